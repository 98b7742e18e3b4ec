/* SHA-256 (FIPS 180-4) of bytes that come piece by piece: the name of a program that was submitted. */
#ifndef CLUSTERD_WIRE_DIGEST_H
#define CLUSTERD_WIRE_DIGEST_H

#include "base/slice.h"

#define DIGEST_SIZE 65 /* 64 lower-case hex digits and a NUL */

struct digest;

struct digest *digest_create(void);
void digest_destroy(struct digest *digest); /* NULL is fine */
void digest_add(struct digest *digest, struct slice bytes);
/* Once, after all of it. */
void digest_end(struct digest *digest, char ret_hex[DIGEST_SIZE]);
/* Whether it is written as one is: so it is the name of a file, too. */
bool digest_is_hex(struct slice text);

#endif
