/* How two nodes show one another who they are (PROTOCOL, 26), shared by the files of this directory. Each side sends a nonce and all that
 * it says of itself; then each proves, with the cluster secret, over everything that both have said. A proof of one side is none of
 * the other (the labels differ), nor of another connection (the nonces differ). What follows the handshake is not protected: who can
 * change bytes on the way can still do harm, which takes TLS to prevent. */
#ifndef CLUSTERD_WIRE_INTRODUCTION_H
#define CLUSTERD_WIRE_INTRODUCTION_H

#include "base/buffer.h"
#include "base/error.h"
#include "proto/wire.pb-c.h"
#include "wire/secret.h"

#define INTRODUCTION_NONCE_SIZE 32
#define INTRODUCTION_WELCOME_LABEL "clusterd welcome"
#define INTRODUCTION_PROOF_LABEL "clusterd proof"

/* What is proved, in an order and form of its own: protobuf has several for the same. */
void introduction_add_hello(struct buffer *transcript, const Clusterd__Wire__Hello *hello);
void introduction_add_welcome(struct buffer *transcript, const Clusterd__Wire__Welcome *welcome);

/* Sets `bytes` (which points into `ret_proof`) to the proof; empty without a secret. */
void introduction_prove(const struct secret *secret, const char *label, const struct buffer *transcript,
                        unsigned char ret_proof[SECRET_PROOF_SIZE], ProtobufCBinaryData *ret_bytes);
bool introduction_is_proof(const struct secret *secret, const char *label, const struct buffer *transcript,
                           const ProtobufCBinaryData *proof);
/* Of its form; NULL is refused, too. ERR_INVALID. */
int introduction_check(const Clusterd__Wire__Introduction *introduction, struct error *error);

#endif
