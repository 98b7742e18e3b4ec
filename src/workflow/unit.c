#include "workflow/unit.h"

#include "base/memory.h"

#include <uthash.h>

struct unit_text {
	UT_hash_handle hh;
	const char *place;
	struct text *text;
};

static struct slice copy_slice(struct arena *arena, struct slice slice)
{
	return (struct slice){arena_string(arena, slice), slice.size};
}

struct unit *unit_create(const struct source_file *files, size_t file_count)
{
	struct unit *unit = mem_zero(sizeof *unit);
	size_t size = 0;
	for (size_t i = 0; i < file_count; i++)
		size += files[i].text.size;
	unit->sources = mem_array(file_count != 0 ? file_count : 1, sizeof *unit->sources);
	unit->source_count = file_count;
	char *texts = arena_alloc(&unit->arena, size + 1);
	unit->source_text = (struct slice){texts, size};
	for (size_t i = 0; i < file_count; i++) {
		if (files[i].text.size != 0)
			memcpy(texts, files[i].text.data, files[i].text.size);
		unit->sources[i].path = copy_slice(&unit->arena, files[i].path);
		unit->sources[i].text = (struct slice){texts, files[i].text.size};
		unit->sources[i].index = (uint32_t)i;
		texts += files[i].text.size;
	}
	return unit;
}

void unit_destroy(struct unit *unit)
{
	struct unit_text *entry;
	struct unit_text *next;
	if (unit == NULL)
		return;
	HASH_ITER(hh, unit->texts, entry, next) {
		HASH_DEL(unit->texts, entry);
		text_release(entry->text);
		mem_free(entry);
	}
	mem_free(unit->sources);
	arena_finish(&unit->arena);
	mem_free(unit);
}

struct slice unit_keep(struct unit *unit, struct slice slice)
{
	uintptr_t begin = (uintptr_t)unit->source_text.data;
	uintptr_t at = (uintptr_t)slice.data;
	if (at >= begin && at < begin + unit->source_text.size)
		return slice;
	return copy_slice(&unit->arena, slice);
}

struct text *unit_text(struct unit *unit, struct slice json)
{
	struct unit_text *entry;
	HASH_FIND(hh, unit->texts, &json.data, sizeof json.data, entry);
	if (entry != NULL)
		return entry->text;
	entry = mem_zero(sizeof *entry);
	entry->place = json.data;
	entry->text = text_create(json);
	HASH_ADD(hh, unit->texts, place, sizeof entry->place, entry);
	return entry->text;
}
