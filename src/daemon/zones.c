#include "daemon/zones.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "discovery/whole_file.h"
#include "workflow/zone.h"

#include <stdlib.h>
#include <uthash.h>

struct known {
	UT_hash_handle hh;
	char *name;
	struct zone *zone;
};

struct zones {
	char *directory;
	struct known *known;
};

struct zones *zones_create(const char *directory)
{
	struct zones *zones = mem_zero(sizeof *zones);
	const char *own = getenv("TZDIR");
	if (directory == NULL)
		directory = own != NULL && own[0] != '\0' ? own : "/usr/share/zoneinfo";
	zones->directory = mem_string(directory);
	return zones;
}

void zones_destroy(struct zones *zones)
{
	struct known *known;
	struct known *next;
	if (zones == NULL)
		return;
	HASH_ITER (hh, zones->known, known, next) {
		HASH_DEL(zones->known, known);
		zone_destroy(known->zone);
		mem_free(known->name);
		mem_free(known);
	}
	mem_free(zones->directory);
	mem_free(zones);
}

/* Whether it stays below the directory. */
static bool is_plain(struct slice name)
{
	return name.size > 0 && name.data[0] != '/' && memchr(name.data, '.', name.size) == NULL &&
	       memchr(name.data, '\0', name.size) == NULL;
}

static int read_zone(const struct zones *zones, struct slice name, struct zone **ret_zone, struct error *error)
{
	struct error cause = {0};
	struct buffer file = BUFFER_EMPTY;
	char *path = mem_format("%s/%.*s", zones->directory, SLICE_ARGS(name));
	int code = whole_file_read(path, ZONE_SIZE_MAX, &file, &cause);
	if (code == 0)
		code = zone_parse(buffer_slice(&file), ret_zone, &cause);
	buffer_finish(&file);
	mem_free(path);
	if (code == 0)
		return 0;
	return error_set(error, code, "%s does not know the time zone %.*s: %s", zones->directory, SLICE_ARGS(name),
	                 cause.text);
}

int zones_find(struct zones *zones, struct slice name, struct timetable_zone *ret_zone, struct error *error)
{
	struct known *known;
	struct zone *zone;
	if (!is_plain(name))
		return error_set(error, ERR_NOT_FOUND, "%.*s is no name of a time zone", SLICE_ARGS(name));
	HASH_FIND(hh, zones->known, name.data, name.size, known);
	if (known == NULL) {
		int code = read_zone(zones, name, &zone, error);
		if (code != 0)
			return code;
		known = mem_zero(sizeof *known);
		known->name = mem_format("%.*s", SLICE_ARGS(name));
		known->zone = zone;
		HASH_ADD_KEYPTR(hh, zones->known, known->name, name.size, known);
	}
	*ret_zone = zone_offsets(known->zone);
	return 0;
}
