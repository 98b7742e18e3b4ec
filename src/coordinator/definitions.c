#include "coordinator/internal.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/memory.h"

#include <inttypes.h>

/* Definitions. A unit is what was registered together; its sources are kept, and a restart registers the units again in the
 * order of their ids, which gives the same versions. */

static void append_field(struct buffer *out, const char *name, struct slice plain)
{
	buffer_format(out, "\"%s\":", name);
	json_quote(out, plain);
}

static void files_print(const struct command *command, struct buffer *out)
{
	buffer_append_char(out, '[');
	for (size_t i = 0; i < command->registering.file_count; i++) {
		buffer_append_string(out, i > 0 ? ",{" : "{");
		append_field(out, "path", command->registering.files[i].path);
		buffer_append_char(out, ',');
		append_field(out, "text", command->registering.files[i].text);
		buffer_append_char(out, '}');
	}
	buffer_append_char(out, ']');
}

static void attachments_print(const struct command *command, struct buffer *out)
{
	buffer_append_char(out, '[');
	for (size_t i = 0; i < command->registering.attachment_count; i++) {
		buffer_append_string(out, i > 0 ? ",{" : "{");
		append_field(out, "path", command->registering.attachments[i].path);
		buffer_append_char(out, ',');
		append_field(out, "hash", command->registering.attachments[i].hash);
		buffer_append_char(out, '}');
	}
	buffer_append_char(out, ']');
}

static void registration_print(const struct registration *registration, struct slice warnings, struct buffer *out)
{
	buffer_append_string(out, "{\"processes\":[");
	for (uint32_t i = 0; i < registration->count; i++) {
		const struct definition *definition = registration->entries[i].definition;
		buffer_append_string(out, i > 0 ? ",{" : "{");
		append_field(out, "name", definition->name);
		buffer_format(out, ",\"version\":%u,\"kind\":\"%s\",", definition->version, definition_kind_name(definition->kind));
		append_field(out, "signature", definition->signature);
		buffer_format(out, ",\"is_new\":%s}", registration->entries[i].is_new ? "true" : "false");
	}
	buffer_append_string(out, "],");
	append_field(out, "diagnostics", warnings);
	buffer_append_char(out, '}');
}

static int store_unit(struct machine *machine, const struct command *command, const struct registration *registration)
{
	struct buffer *text = &machine->scratch;
	struct buffer attachments = BUFFER_EMPTY;
	uint64_t unit = machine->next_unit++;
	int code = 0;
	buffer_clear(text);
	files_print(command, text);
	attachments_print(command, &attachments);
	code = catalog_unit_insert(machine->catalog, unit, buffer_slice(text), buffer_slice(&attachments), machine->now);
	buffer_finish(&attachments);
	for (size_t i = 0; i < command->registering.attachment_count && code == 0; i++) {
		const struct command_attachment *file = &command->registering.attachments[i];
		code = catalog_file_insert(machine->catalog, file->hash, file->executable, file->content);
	}
	for (uint32_t i = 0; i < registration->count && code == 0; i++) {
		const struct definition *definition = registration->entries[i].definition;
		struct catalog_process row = {
			.name = definition->name,
			.version = definition->version,
			.kind = slice_of(definition_kind_name(definition->kind)),
			.signature = definition->signature,
			.source = definition->source,
			.registered_ms = machine->now,
			.unit = unit,
		};
		if (registration->entries[i].is_new)
			code = catalog_process_insert(machine->catalog, &row);
	}
	effect_add(machine, EFFECT_REGISTERED, 0);
	return code;
}

int register_files(struct machine *machine, const struct command *command, struct registration *ret_registration,
                   struct buffer *ret_diagnostics, struct answer *ret_answer)
{
	size_t file_count = command->registering.file_count;
	size_t attachment_count = command->registering.attachment_count;
	struct source_file *files = mem_array(file_count, sizeof *files);
	struct attachment *attachments = mem_array(attachment_count, sizeof *attachments);
	struct error refused = {0};
	for (size_t i = 0; i < file_count; i++)
		files[i] = (struct source_file){command->registering.files[i].path, command->registering.files[i].text};
	for (size_t i = 0; i < attachment_count; i++)
		attachments[i] = (struct attachment){command->registering.attachments[i].path,
		                                     command->registering.attachments[i].hash};
	int code = registry_register(machine->registry, files, file_count, attachments, attachment_count, false,
	                             ret_registration, ret_diagnostics, &refused);
	if (code != 0) {
		*ret_answer = answer_error(refused.code, "%s", refused.text);
		code = 0;
	} else if (ret_registration->new_count > 0) {
		code = store_unit(machine, command, ret_registration);
		if (code != 0)
			registration_finish(ret_registration);
	}
	mem_free(attachments);
	mem_free(files);
	return code;
}

int apply_register(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	struct registration registration;
	struct buffer diagnostics = BUFFER_EMPTY;
	int code = register_files(machine, command, &registration, &diagnostics, ret_answer);
	if (code == 0 && ret_answer->code == 0) {
		buffer_clear(&machine->scratch);
		registration_print(&registration, buffer_slice(&diagnostics), &machine->scratch);
		*ret_answer = (struct answer){.text = text_create(buffer_slice(&machine->scratch))};
		registration_finish(&registration);
	}
	buffer_finish(&diagnostics);
	return code;
}

/* --- at start ------------------------------------------------------------------------------------------------------ */

struct loading {
	struct machine *machine;
	struct error *error;
};

static char *member_text(struct arena *arena, struct slice object, const char *name, size_t *ret_size)
{
	struct buffer plain = BUFFER_EMPTY;
	struct slice value = SLICE("\"\"");
	json_member(object, slice_of(name), &value);
	json_unquote(&plain, value);
	char *copy = arena_string(arena, buffer_slice(&plain));
	*ret_size = plain.size;
	buffer_finish(&plain);
	return copy;
}

static int unit_loaded(void *context, uint64_t id, struct slice files_json, struct slice attachments_json)
{
	struct loading *loading = context;
	struct arena arena = {0};
	struct json_iterator rows;
	struct slice key;
	struct slice row;
	struct registration registration;
	struct buffer diagnostics = BUFFER_EMPTY;
	size_t file_count = json_count(files_json);
	size_t attachment_count = json_count(attachments_json);
	struct source_file *files = arena_alloc(&arena, (file_count + 1) * sizeof *files);
	struct attachment *attachments = arena_alloc(&arena, (attachment_count + 1) * sizeof *attachments);
	json_iterate(&rows, files_json);
	for (size_t i = 0; json_next(&rows, &key, &row); i++) {
		files[i].path.data = member_text(&arena, row, "path", &files[i].path.size);
		files[i].text.data = member_text(&arena, row, "text", &files[i].text.size);
	}
	json_iterate(&rows, attachments_json);
	for (size_t i = 0; json_next(&rows, &key, &row); i++) {
		attachments[i].path.data = member_text(&arena, row, "path", &attachments[i].path.size);
		attachments[i].hash.data = member_text(&arena, row, "hash", &attachments[i].hash.size);
	}
	int code = registry_register(loading->machine->registry, files, file_count, attachments, attachment_count, false,
	                             &registration, &diagnostics, loading->error);
	if (code == 0)
		registration_finish(&registration);
	else
		code = error_set(loading->error, ERR_CORRUPT, "unit %" PRIu64 " of the catalog cannot be registered again: %s", id,
		                 buffer_string(&diagnostics));
	buffer_finish(&diagnostics);
	arena_finish(&arena);
	return code;
}

int definitions_load(struct machine *machine, struct error *error)
{
	struct loading loading = {machine, error};
	struct error first = {0};
	loading.error = &first;
	int code = catalog_units(machine->catalog, unit_loaded, &loading);
	if (code != 0)
		return error_set(error, code, "%s", first.code != 0 ? first.text : catalog_error(machine->catalog));
	return 0;
}

/* --- from another node --------------------------------------------------------------------------------------------- */

uint64_t machine_unit_count(const struct machine *machine)
{
	return machine->next_unit - 1;
}

static bool has_texts_only(struct slice row)
{
	struct json_iterator members;
	struct slice key;
	struct slice value;
	if (json_kind(row) != JSON_OBJECT)
		return false;
	json_iterate(&members, row);
	while (json_next(&members, &key, &value)) {
		if (json_kind(value) != JSON_STRING)
			return false;
	}
	return true;
}

/* As files_print and attachments_print make them. */
static bool is_list(struct slice json)
{
	struct json_iterator rows;
	struct slice key;
	struct slice row;
	if (json_check(json, NULL) != 0 || json_kind(json_trim(json)) != JSON_ARRAY)
		return false;
	json_iterate(&rows, json_trim(json));
	while (json_next(&rows, &key, &row)) {
		if (!has_texts_only(row))
			return false;
	}
	return true;
}

int machine_supply_unit(struct machine *machine, struct slice files, struct slice attachments, struct error *error)
{
	struct loading loading = {machine, error};
	if (!is_list(files) || !is_list(attachments))
		return error_set(error, ERR_INVALID, "what was to be registered is not as a catalog has it");
	int code = machine_begin(machine, error);
	if (code != 0)
		return code;
	code = unit_loaded(&loading, machine->next_unit, json_trim(files), json_trim(attachments));
	if (code != 0) {
		struct error ignored;
		machine_commit(machine, &ignored);
		return error_set(error, ERR_INVALID, "unit %" PRIu64 " cannot be registered here", machine->next_unit);
	}
	code = catalog_unit_insert(machine->catalog, machine->next_unit, files, attachments, 0);
	if (code != 0)
		return error_set(error, code, "%s", catalog_error(machine->catalog));
	machine->next_unit++;
	return machine_commit(machine, error);
}

int machine_supply_file(struct machine *machine, struct slice hash, bool executable, struct slice content,
                        struct error *error)
{
	int code = machine_begin(machine, error);
	if (code != 0)
		return code;
	code = catalog_file_insert(machine->catalog, hash, executable, content);
	if (code != 0)
		return error_set(error, code, "%s", catalog_error(machine->catalog));
	return machine_commit(machine, error);
}
