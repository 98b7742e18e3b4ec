#include "wire/content.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

void content_hash(struct slice content, char ret_hash[CONTENT_HASH_SIZE])
{
	XXH128_hash_t hash = XXH3_128bits(content.data, content.size);
	snprintf(ret_hash, CONTENT_HASH_SIZE, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64, (uint64_t)hash.low64);
}

uint64_t content_receipt(struct slice key, const uint64_t *fields, size_t count)
{
	unsigned char bytes[8 * (CONTENT_FIELDS_MAX + 1)];
	uint64_t field = XXH3_64bits(key.data, key.size);
	assert(count <= CONTENT_FIELDS_MAX);
	for (size_t i = 0; i <= count; i++) {
		for (size_t k = 0; k < 8; k++)
			bytes[8 * i + k] = (unsigned char)(field >> (8 * k));
		if (i < count)
			field = fields[i];
	}
	return XXH3_64bits(bytes, 8 * (count + 1));
}
