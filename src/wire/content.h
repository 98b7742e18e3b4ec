/* Names of contents: files that travel with definitions are known by a hash of their bytes. */
#ifndef CLUSTERD_WIRE_CONTENT_H
#define CLUSTERD_WIRE_CONTENT_H

#include "base/slice.h"

#include <stdint.h>

#define CONTENT_HASH_SIZE 33 /* 32 lower-case hex digits and a NUL */

/* XXH128 of the bytes. */
void content_hash(struct slice content, char ret_hash[CONTENT_HASH_SIZE]);

/* What only who knows the key makes out of these fields by chance once in 2^64; the same on all nodes and in all versions. It guards
 * against mistakes, not against forgers. */
#define CONTENT_FIELDS_MAX 8
uint64_t content_receipt(struct slice key, const uint64_t *fields, size_t count);

#endif
