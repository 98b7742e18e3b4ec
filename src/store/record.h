/* The bytes of the log: header of a segment, and records behind it. Little-endian; records begin at multiples of 8.
 *
 *   segment   0 checksum of 8…63 · 8 magic · 16 version (4) · 20 flags (4) · 24 generation · 32 previous generation
 *             40 first index · 48 size of the file · 56 zero
 *   record    0 checksum of 8…55 · 8 magic (4) · 12 size of the body (4) · 16 index · 24 term · 32 synced index
 *             40 epoch (4) · 44 zero (4) · 48 checksum of the body with its padding · 56 body, padded with zeroes to 8
 *
 * The header of a record has a checksum of its own, so that the search behind a broken record can believe what a header says
 * without reading the body: it costs the same whatever the bytes are. */
#ifndef CLUSTERD_STORE_RECORD_H
#define CLUSTERD_STORE_RECORD_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

#define SEGMENT_HEADER_SIZE 64u
#define SEGMENT_SIZE_MAX (UINT64_C(1) << 30)
#define SEGMENT_INDEX_MAX (UINT64_C(1) << 62)      /* first index and generation stay below it: sums do not overflow */
#define RECORD_HEADER_SIZE 56u
#define RECORD_ALIGNMENT 8u

struct segment_header {
	uint64_t generation;
	uint64_t previous; /* generation of the segment that this one continues; 0: nothing before it counts */
	uint64_t first;    /* index of its first entry; all entries before it were synced when it was made */
	uint64_t size;
	bool zeroed;       /* the file held nothing but zeroes, it was not recycled */
};

enum record_kind {
	RECORD_ENTRY,
	RECORD_MARK, /* no entry: notes the synced index, or begins an epoch */
};

struct record {
	enum record_kind kind;
	uint32_t body_size;
	uint32_t epoch;  /* rises whenever a tail was cut: what lies behind with a lower one is void */
	uint64_t index;  /* of a mark: the last entry before it */
	uint64_t term;
	uint64_t synced; /* entries up to here were synced when this was written */
	uint64_t body_checksum;
};

static inline uint64_t record_padded(uint64_t body_size)
{
	return (body_size + RECORD_ALIGNMENT - 1) & ~(uint64_t)(RECORD_ALIGNMENT - 1);
}

static inline uint64_t record_size(uint64_t body_size)
{
	return RECORD_HEADER_SIZE + record_padded(body_size);
}

void segment_header_encode(const struct segment_header *header, char *ret_bytes);
/* From SEGMENT_HEADER_SIZE bytes. 0; ERR_VERSION; ERR_CORRUPT, then *ret_problem says what is wrong. */
int segment_header_decode(const char *bytes, struct segment_header *ret_header, const char **ret_problem);

/* Appends the record; size and checksum of the body are taken from `body`. */
void record_append(struct buffer *buffer, uint64_t generation, const struct record *record, struct slice body);
/* Whether RECORD_HEADER_SIZE bytes are the header of a record of this generation. */
bool record_decode(const char *bytes, uint64_t generation, struct record *ret_record);
/* Whether the bytes behind the header, padding included, are what it says. */
bool record_body_matches(const struct record *record, uint64_t generation, const char *padded_body);
/* Whether the second word of a header begins like this one: a quick test before record_decode. */
bool record_magic(uint64_t word);

#endif
