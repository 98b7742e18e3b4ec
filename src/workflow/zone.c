#include "workflow/zone.h"

#include "base/memory.h"
#include "workflow/zone_rule.h"

#define HEADER_SIZE 44u
#define OFFSET_MAX (24 * 3600) /* less than a day: schedule.h */

struct zone {
	uint32_t change_count;
	int64_t *changes;      /* rising */
	int32_t *offsets;      /* from changes[i] on: offsets[i + 1] */
	struct zone_rule rule; /* behind the last change */
	bool has_rule;
};

struct counts {
	uint32_t utc;
	uint32_t standard;
	uint32_t leaps;
	uint32_t changes;
	uint32_t types;
	uint32_t characters;
};

static uint32_t u32_at(struct slice bytes, size_t at)
{
	const unsigned char *b = (const unsigned char *)bytes.data + at;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int64_t i64_at(struct slice bytes, size_t at)
{
	return (int64_t)((uint64_t)u32_at(bytes, at) << 32 | u32_at(bytes, at + 4));
}

static size_t block_size(const struct counts *counts, size_t time_size)
{
	return counts->changes * (time_size + 1) + counts->types * (size_t)6 + counts->characters +
	       counts->leaps * (time_size + 4) + counts->standard + counts->utc;
}

/* Of a block whose header is at `at`; false: there is none, or it does not fit. */
static bool read_header(struct slice file, size_t at, size_t time_size, struct counts *counts)
{
	if (at > file.size || file.size - at < HEADER_SIZE || memcmp(file.data + at, "TZif", 4) != 0 ||
	    file.data[at + 4] < '2')
		return false;
	*counts = (struct counts){u32_at(file, at + 20), u32_at(file, at + 24), u32_at(file, at + 28),
	                          u32_at(file, at + 32), u32_at(file, at + 36), u32_at(file, at + 40)};
	return counts->utc <= file.size && counts->standard <= file.size && counts->leaps <= file.size &&
	       counts->changes <= file.size && counts->types <= file.size && counts->characters <= file.size &&
	       block_size(counts, time_size) <= file.size - at - HEADER_SIZE;
}

static bool read_offset(struct slice file, size_t types, uint32_t index, int32_t *ret_offset)
{
	*ret_offset = (int32_t)u32_at(file, types + index * (size_t)6);
	return *ret_offset > -OFFSET_MAX && *ret_offset < OFFSET_MAX;
}

static bool read_changes(struct slice file, size_t at, const struct counts *counts, struct zone *zone)
{
	size_t indices = at + counts->changes * (size_t)8;
	size_t types = indices + counts->changes;
	zone->changes = mem_array(counts->changes + (size_t)1, sizeof *zone->changes);
	zone->offsets = mem_array(counts->changes + (size_t)1, sizeof *zone->offsets);
	zone->change_count = counts->changes;
	if (!read_offset(file, types, 0, &zone->offsets[0]))
		return false;
	for (uint32_t i = 0; i < counts->changes; i++) {
		uint32_t index = (unsigned char)file.data[indices + i];
		zone->changes[i] = i64_at(file, at + i * (size_t)8);
		if (index >= counts->types || !read_offset(file, types, index, &zone->offsets[i + 1]))
			return false;
		if (i > 0 && zone->changes[i] <= zone->changes[i - 1])
			return false;
	}
	return true;
}

/* "\nRULE\n"; the rule may be empty. */
static bool read_rule(struct slice rest, struct zone *zone)
{
	if (rest.size < 2 || rest.data[0] != '\n' || rest.data[rest.size - 1] != '\n')
		return false;
	struct slice text = {rest.data + 1, rest.size - 2};
	zone->has_rule = text.size > 0;
	return text.size == 0 || zone_rule_parse(text, &zone->rule);
}

int zone_parse(struct slice file, struct zone **ret_zone, struct error *error)
{
	struct counts counts;
	if (file.size > ZONE_SIZE_MAX)
		return error_set(error, ERR_LIMIT, "a file of a time zone has at most %u bytes, not %zu", ZONE_SIZE_MAX,
		                 file.size);
	/* The first block has times of 32 bits, and is skipped. */
	if (!read_header(file, 0, 4, &counts))
		return error_set(error, ERR_INVALID, "this is no file of a time zone, or one of the first version");
	size_t second = HEADER_SIZE + block_size(&counts, 4);
	if (!read_header(file, second, 8, &counts) || counts.types == 0)
		return error_set(error, ERR_INVALID, "this file of a time zone is cut, or damaged");
	if (counts.leaps != 0)
		return error_set(error, ERR_INVALID, "this time zone counts leap seconds");
	struct zone *zone = mem_zero(sizeof *zone);
	size_t rest = second + HEADER_SIZE + block_size(&counts, 8);
	if (!read_changes(file, second + HEADER_SIZE, &counts, zone) ||
	    !read_rule((struct slice){file.data + rest, file.size - rest}, zone)) {
		zone_destroy(zone);
		return error_set(error, ERR_INVALID, "this file of a time zone is damaged");
	}
	*ret_zone = zone;
	return 0;
}

void zone_destroy(struct zone *zone)
{
	if (zone == NULL)
		return;
	mem_free(zone->changes);
	mem_free(zone->offsets);
	mem_free(zone);
}

int32_t zone_offset(const struct zone *zone, int64_t utc)
{
	uint32_t low = 0;
	uint32_t high = zone->change_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (utc >= zone->changes[middle])
			low = middle + 1;
		else
			high = middle;
	}
	if (low == zone->change_count && zone->has_rule)
		return zone_rule_offset(&zone->rule, utc);
	return zone->offsets[low];
}

static int32_t offset_of(void *context, int64_t utc)
{
	return zone_offset(context, utc);
}

struct timetable_zone zone_offsets(struct zone *zone)
{
	return (struct timetable_zone){offset_of, zone};
}
