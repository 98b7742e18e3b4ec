/* The cluster secret: whoever has it belongs to the cluster. It never travels; what is shown is HMAC-SHA256 (RFC 2104) of something
 * that the other side knows, too. Each use has a label of its own, so that no proof serves for another use. */
#ifndef CLUSTERD_WIRE_SECRET_H
#define CLUSTERD_WIRE_SECRET_H

#include "base/buffer.h"
#include "base/error.h"

#define SECRET_SIZE_MIN 16 /* bytes; shorter ones can be guessed by trying */
#define SECRET_SIZE_MAX 4096
#define SECRET_PROOF_SIZE 32
#define SECRET_TOKEN_SIZE 65 /* 64 hex digits and a NUL */

struct secret;

/* Blanks and line ends around the text are not part of it. ERR_LIMIT: shorter or longer than it may be. */
int secret_create(struct slice text, struct secret **ret_secret, struct error *error);
void secret_destroy(struct secret *secret); /* wipes it; NULL is fine */

/* HMAC-SHA256 of the label, a NUL, and the bytes. */
void secret_prove(const struct secret *secret, const char *label, struct slice bytes,
                  unsigned char ret_proof[SECRET_PROOF_SIZE]);
/* Whether `proof` is its first `size` bytes; takes as long whatever is in it. */
bool secret_is_proof(const struct secret *secret, const char *label, struct slice bytes, const void *proof, size_t size);
/* What clients show over TCP: HMAC-SHA256 of "client token" in hex. */
void secret_token(const struct secret *secret, char ret_token[SECRET_TOKEN_SIZE]);

/* A text that tells whether a client's secret is the one that it was made of, and tells nothing else of it, in hex. */
void secret_digest(struct slice client_secret, char ret_digest[SECRET_TOKEN_SIZE]);

/* In a time that does not depend on the bytes. */
bool secret_equal(const void *left, const void *right, size_t size);

#endif
