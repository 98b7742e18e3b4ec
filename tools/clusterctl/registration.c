#include "command.h"

#include "base/json.h"
#include "base/memory.h"
#include "wire/content.h"
#include "workflow/registry.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CONTENT_MAX (3u << 20) /* of the attachments together: they travel in one frame */

static int read_whole(const char *path, size_t limit, struct buffer *out, struct error *error)
{
	FILE *file = fopen(path, "re");
	size_t got = 1;
	if (file == NULL)
		return error_set(error, ERR_IO, "cannot read %s: %s", path, strerror(errno));
	while (got > 0 && out->size <= limit) {
		char *place = buffer_reserve(out, 65536);
		got = fread(place, 1, 65536, file);
		out->size += got;
	}
	int failed = ferror(file);
	fclose(file);
	if (failed)
		return error_set(error, ERR_IO, "cannot read %s", path);
	if (out->size > limit)
		return error_set(error, ERR_LIMIT, "%s has more than %zu bytes", path, limit);
	return 0;
}

/* Everything that is sent, with the memory that it lives in. */
struct parcel {
	struct arena arena;
	struct source_file *sources;
	Clusterd__Wire__Register message;
};

static int add_source(struct parcel *parcel, const char *path, struct error *error)
{
	struct buffer text = BUFFER_EMPTY;
	int code = read_whole(path, REGISTRY_SOURCE_SIZE_MAX, &text, error);
	if (code == 0) {
		Clusterd__Wire__SourceFile *file = arena_alloc(&parcel->arena, sizeof *file);
		clusterd__wire__source_file__init(file);
		file->path = arena_string(&parcel->arena, slice_of(path));
		file->text.data = (uint8_t *)arena_string(&parcel->arena, buffer_slice(&text));
		file->text.len = text.size;
		parcel->sources[parcel->message.n_files] =
			(struct source_file){slice_of(file->path), {(const char *)file->text.data, text.size}};
		parcel->message.files[parcel->message.n_files++] = file;
	}
	buffer_finish(&text);
	return code;
}

/* `name` as a process's `files` has it, relative to the directory of one of the sources: the first where it exists. */
static int add_attachment(struct parcel *parcel, const char *name, size_t *total, struct error *error)
{
	Clusterd__Wire__Attachment *attachment = arena_alloc(&parcel->arena, sizeof *attachment);
	struct buffer content = BUFFER_EMPTY;
	struct stat status;
	char *path = NULL;
	assert(parcel->message.n_files > 0);
	for (size_t i = 0; i < parcel->message.n_files; i++) {
		const char *source = parcel->message.files[i]->path;
		const char *slash = strrchr(source, '/');
		mem_free(path);
		path = slash != NULL ? mem_format("%.*s/%s", (int)(slash - source), source, name) : mem_string(name);
		if (stat(path, &status) == 0)
			break;
	}
	int code = stat(path, &status) == 0 && !S_ISREG(status.st_mode)
	                   ? error_set(error, ERR_INVALID, "%s is not a regular file", path)
	                   : read_whole(path, CONTENT_MAX, &content, error);
	*total += content.size;
	if (code == 0 && *total > CONTENT_MAX)
		code = error_set(error, ERR_LIMIT, "the files of these processes have more than %u bytes together", CONTENT_MAX);
	if (code == 0) {
		char hash[CONTENT_HASH_SIZE];
		content_hash(buffer_slice(&content), hash);
		clusterd__wire__attachment__init(attachment);
		attachment->path = arena_string(&parcel->arena, slice_of(name));
		attachment->hash = arena_string(&parcel->arena, slice_of(hash));
		attachment->content.data = (uint8_t *)arena_string(&parcel->arena, buffer_slice(&content));
		attachment->content.len = content.size;
		attachment->executable = (status.st_mode & 0100) != 0;
		parcel->message.attachments[parcel->message.n_attachments++] = attachment;
	}
	buffer_finish(&content);
	mem_free(path);
	return code;
}

static int add_attachments(struct parcel *parcel, struct error *error)
{
	struct buffer names = BUFFER_EMPTY;
	struct buffer diagnostics = BUFFER_EMPTY;
	size_t total = 0;
	size_t count = 0;
	int code = registry_attachments(parcel->sources, parcel->message.n_files, &names, &diagnostics, error);
	if (code != 0 && diagnostics.size != 0) {
		fputs(buffer_string(&diagnostics), stderr);
		error_set(error, code, "nothing was registered");
	}
	for (size_t i = 0; i < names.size; i++)
		count += names.data[i] == '\0';
	parcel->message.attachments = arena_alloc(&parcel->arena, (count + 1) * sizeof *parcel->message.attachments);
	for (size_t at = 0; code == 0 && at < names.size; at += strlen(names.data + at) + 1)
		code = add_attachment(parcel, names.data + at, &total, error);
	buffer_finish(&diagnostics);
	buffer_finish(&names);
	return code;
}

static int send_parcel(struct context *context, struct parcel *parcel, struct buffer *ret_json)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	struct reply reply;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_REGISTER;
	request.register_ = &parcel->message;
	int code = client_ask(context->client, &request, SLICE(""), &reply, &context->error);
	if (code != 0)
		return code;
	buffer_append_slice(ret_json, reply.payload);
	reply_finish(&reply);
	return json_check(buffer_slice(ret_json), &context->error);
}

int register_files(struct context *context, const char *const *paths, int count, enum registration_mode mode,
                   struct buffer *ret_json)
{
	struct parcel parcel = {.arena = {0}};
	int code = 0;
	clusterd__wire__register__init(&parcel.message);
	parcel.message.check_only = mode == REGISTRATION_CHECK;
	parcel.message.run_jobs = mode == REGISTRATION_RUN;
	parcel.message.plan = mode == REGISTRATION_PLAN;
	parcel.sources = arena_alloc(&parcel.arena, (size_t)count * sizeof *parcel.sources);
	parcel.message.files = arena_alloc(&parcel.arena, (size_t)count * sizeof *parcel.message.files);
	for (int i = 0; i < count && code == 0; i++)
		code = add_source(&parcel, paths[i], &context->error);
	if (code == 0)
		code = add_attachments(&parcel, &context->error);
	if (code == 0)
		code = send_parcel(context, &parcel, ret_json);
	arena_finish(&parcel.arena);
	return code;
}

/* --- commands ------------------------------------------------------------------------------------------------------ */

void print_warnings(struct slice json)
{
	struct slice warnings;
	struct buffer plain = BUFFER_EMPTY;
	if (!json_member(json, SLICE("diagnostics"), &warnings))
		return;
	json_unquote(&plain, warnings);
	fputs(buffer_string(&plain), stderr);
	buffer_finish(&plain);
}

static void print_field(struct slice row, const char *name, const char *after)
{
	struct slice value = SLICE("\"\"");
	struct buffer plain = BUFFER_EMPTY;
	json_member(row, slice_of(name), &value);
	if (json_kind(value) == JSON_STRING)
		json_unquote(&plain, value);
	else
		buffer_append_slice(&plain, value);
	printf("%s%s", buffer_string(&plain), after);
	buffer_finish(&plain);
}

int run_register(struct context *context, const struct arguments *arguments)
{
	struct buffer json = BUFFER_EMPTY;
	struct slice rows;
	struct json_iterator iterator;
	struct slice key;
	struct slice row;
	bool check_only = arguments->flags[0] != NULL;
	int code = need_client(context);
	if (code != 0)
		return code;
	enum registration_mode mode = check_only ? REGISTRATION_CHECK : REGISTRATION_ONLY;
	if (register_files(context, arguments->values, arguments->value_count, mode, &json) != 0) {
		buffer_finish(&json);
		return report(context);
	}
	print_warnings(buffer_slice(&json));
	if (json_member(buffer_slice(&json), SLICE("processes"), &rows)) {
		if (context->form != OUTPUT_TABLE)
			printf("%.*s\n", SLICE_ARGS(rows));
		json_iterate(&iterator, rows);
		while (context->form == OUTPUT_TABLE && json_next(&iterator, &key, &row)) {
			struct slice is_new = SLICE("false");
			json_member(row, SLICE("is_new"), &is_new);
			print_field(row, "kind", " ");
			print_field(row, "name", "@");
			print_field(row, "version", "");
			print_field(row, "signature", slice_is(is_new, "true") ? "\n" : "  (unchanged)\n");
		}
	}
	buffer_finish(&json);
	return EXIT_DONE;
}

int run_job_check(struct context *context, const struct arguments *arguments)
{
	struct buffer json = BUFFER_EMPTY;
	int code = need_client(context);
	if (code != 0)
		return code;
	code = register_files(context, arguments->values, arguments->value_count, REGISTRATION_CHECK, &json);
	if (code == 0)
		print_warnings(buffer_slice(&json));
	buffer_finish(&json);
	return code == 0 ? EXIT_DONE : report(context);
}

/* The workflow that `run` means: the one that was named, the only one, or Main. NULL: said why not. */
static char *choose_workflow(struct slice json, const char *named)
{
	struct slice rows = SLICE("[]");
	struct json_iterator iterator;
	struct slice key;
	struct slice row;
	struct buffer list = BUFFER_EMPTY;
	char *chosen = NULL;
	bool main_found = false;
	size_t count = 0;
	json_member(json, SLICE("processes"), &rows);
	json_iterate(&iterator, rows);
	while (json_next(&iterator, &key, &row)) {
		struct slice kind = SLICE("");
		struct slice name = SLICE("");
		struct buffer plain = BUFFER_EMPTY;
		json_member(row, SLICE("kind"), &kind);
		json_member(row, SLICE("name"), &name);
		if (!slice_is(kind, "\"workflow\""))
			continue;
		json_unquote(&plain, name);
		buffer_format(&list, "%s%s", count > 0 ? ", " : "", buffer_string(&plain));
		main_found = main_found || slice_is(buffer_slice(&plain), "Main");
		mem_free(chosen);
		chosen = mem_string(buffer_string(&plain));
		buffer_finish(&plain);
		count++;
	}
	if (named != NULL || main_found || count != 1) {
		mem_free(chosen);
		chosen = mem_string(named != NULL ? named : main_found ? "Main" : NULL);
	}
	if (chosen == NULL && count == 0)
		fprintf(stderr, "clusterctl: the file has no workflow\n");
	else if (chosen == NULL)
		fprintf(stderr, "clusterctl: the file has several workflows (%s): choose one with -p\n", buffer_string(&list));
	buffer_finish(&list);
	return chosen;
}

int run_run(struct context *context, const struct arguments *arguments)
{
	struct buffer json = BUFFER_EMPTY;
	uint64_t id = 0;
	int code = need_client(context);
	if (code != 0)
		return code;
	if (register_files(context, arguments->values, 1, REGISTRATION_ONLY, &json) != 0) {
		buffer_finish(&json);
		return report(context);
	}
	print_warnings(buffer_slice(&json));
	char *workflow = choose_workflow(buffer_slice(&json), arguments->flags[0]);
	buffer_finish(&json);
	if (workflow == NULL)
		return EXIT_USAGE;
	code = start_workflow(context, workflow, arguments->values + 1, arguments->value_count - 1, arguments->flags[1], &id);
	mem_free(workflow);
	return code != 0 ? report(context) : await_end(context, id);
}
