#include "store/wal_private.h"

#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define NUMBER_DIGITS 16
#define PLACE_DISTANCE (16u << 10)

void segment_name(char ret_name[WAL_NAME_SIZE], uint64_t number)
{
	snprintf(ret_name, WAL_NAME_SIZE, "%016" PRIx64 ".seg", number);
}

void spare_name(char ret_name[WAL_NAME_SIZE], uint64_t number)
{
	snprintf(ret_name, WAL_NAME_SIZE, "%016" PRIx64 ".spare", number);
}

uint64_t segment_parse_name(const char *name, bool *ret_segment)
{
	uint64_t number = 0;
	for (int i = 0; i < NUMBER_DIGITS; i++) {
		char digit = name[i];
		if (digit >= '0' && digit <= '9')
			number = number << 4 | (uint64_t)(digit - '0');
		else if (digit >= 'a' && digit <= 'f')
			number = number << 4 | (uint64_t)(digit - 'a' + 10);
		else
			return 0;
	}
	*ret_segment = strcmp(name + NUMBER_DIGITS, ".seg") == 0;
	if (!*ret_segment && strcmp(name + NUMBER_DIGITS, ".spare") != 0)
		return 0;
	return number;
}

struct segment *segments_add(struct wal *wal, const struct segment_header *header)
{
	mem_grow(wal->segments, wal->segment_capacity, wal->segment_count + 1);
	struct segment *segment = &wal->segments[wal->segment_count++];
	*segment = (struct segment){.header = *header};
	mem_grow(segment->places, segment->place_capacity, 1);
	segment->places[segment->place_count++] = (struct place){.index = header->first, .offset = SEGMENT_HEADER_SIZE};
	return segment;
}

void segment_finish(struct segment *segment)
{
	mem_free(segment->places);
	*segment = (struct segment){0};
}

void segment_note(struct segment *segment, struct place place)
{
	if (place.offset < segment->places[segment->place_count - 1].offset + PLACE_DISTANCE)
		return;
	mem_grow(segment->places, segment->place_capacity, segment->place_count + 1);
	segment->places[segment->place_count++] = place;
}

struct place segment_place(const struct segment *segment, uint64_t index)
{
	size_t low = 0;
	size_t high = segment->place_count;
	assert(index >= segment->header.first);
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (segment->places[middle].index <= index)
			low = middle;
		else
			high = middle;
	}
	return segment->places[low];
}
