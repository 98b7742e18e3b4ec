/* Names of contents: files that travel with definitions are known by a hash of their bytes. */
#ifndef CLUSTERD_WIRE_CONTENT_H
#define CLUSTERD_WIRE_CONTENT_H

#include "base/slice.h"

#define CONTENT_HASH_SIZE 33 /* 32 lower-case hex digits and a NUL */

/* XXH128 of the bytes. */
void content_hash(struct slice content, char ret_hash[CONTENT_HASH_SIZE]);

#endif
