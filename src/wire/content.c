#include "wire/content.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

void content_hash(struct slice content, char ret_hash[CONTENT_HASH_SIZE])
{
	XXH128_hash_t hash = XXH3_128bits(content.data, content.size);
	snprintf(ret_hash, CONTENT_HASH_SIZE, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64, (uint64_t)hash.low64);
}
