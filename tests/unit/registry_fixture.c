#include "registry_fixture.h"

#include "base/memory.h"

#include <assert.h>
#include <stdio.h>

void registry_fixture_init(struct registry_fixture *fixture)
{
	*fixture = (struct registry_fixture){.attachment_count = 0};
	assert(registry_create(&fixture->registry) == 0);
}

void registry_fixture_finish(struct registry_fixture *fixture)
{
	registration_finish(&fixture->registration);
	registry_destroy(fixture->registry);
	buffer_finish(&fixture->text);
}

int registry_fixture_register(struct registry_fixture *fixture, const char *source, bool dry_run)
{
	struct source_file file = {SLICE("t.flow"), slice_of(source)};
	struct registration registration;
	buffer_clear(&fixture->text);
	int code = registry_register(fixture->registry, &file, 1, fixture->attachments, fixture->attachment_count, dry_run,
	                             &registration, &fixture->text, &fixture->error);
	if (code == 0) {
		registration_finish(&fixture->registration);
		fixture->registration = registration;
	}
	return code;
}

const char *registry_fixture_versions(struct registry_fixture *fixture, const char *source)
{
	if (registry_fixture_register(fixture, source, false) != 0)
		return buffer_string(&fixture->text);
	buffer_clear(&fixture->text);
	for (uint32_t i = 0; i < fixture->registration.count; i++) {
		const struct registered *entry = &fixture->registration.entries[i];
		buffer_format(&fixture->text, "%s%.*s@%u %s", i > 0 ? ", " : "", SLICE_ARGS(entry->definition->name),
		              entry->definition->version, entry->is_new ? "new" : "same");
	}
	return buffer_string(&fixture->text);
}

/* A rendered line: diagnostics and notes begin with the path, hints with their mark; all else shows the source. */
static void keep_line(struct slice line, struct buffer *out)
{
	const char path[] = "t.flow:";
	const char *hint = memmem(line.data, line.size, "= hint: ", 8);
	const char *note = memmem(line.data, line.size, ": note: ", 8);
	if (line.size > sizeof path && memcmp(line.data, path, sizeof path - 1) == 0) {
		struct slice rest = {line.data + sizeof path - 1, line.size - (sizeof path - 1)};
		if (note != NULL)
			buffer_format(out, "  note %.*s: %.*s\n", (int)(note - rest.data), rest.data,
			              (int)(line.data + line.size - note) - 8, note + 8);
		else
			buffer_format(out, "%.*s\n", SLICE_ARGS(rest));
	} else if (hint != NULL) {
		buffer_format(out, "  hint: %.*s\n", (int)(line.data + line.size - hint) - 8, hint + 8);
	}
}

const char *registry_fixture_diagnose(struct registry_fixture *fixture, const char *source)
{
	struct buffer out = BUFFER_EMPTY;
	registry_fixture_register(fixture, source, false);
	struct slice rest = buffer_slice(&fixture->text);
	while (rest.size > 0) {
		const char *end = memchr(rest.data, '\n', rest.size);
		size_t size = end != NULL ? (size_t)(end - rest.data) : rest.size;
		keep_line((struct slice){rest.data, size}, &out);
		size += end != NULL;
		rest = (struct slice){rest.data + size, rest.size - size};
	}
	buffer_finish(&fixture->text);
	fixture->text = out;
	return buffer_string(&fixture->text);
}

const char *registry_fixture_print(struct registry_fixture *fixture, const char *source, const char *workflow)
{
	if (registry_fixture_register(fixture, source, false) != 0)
		return buffer_string(&fixture->text);
	const struct definition *definition = registry_find(fixture->registry, slice_of(workflow), 0);
	assert(definition != NULL && definition->program != NULL);
	buffer_clear(&fixture->text);
	program_print(definition->program, &fixture->text);
	return buffer_string(&fixture->text);
}
