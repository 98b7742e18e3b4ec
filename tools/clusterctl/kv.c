#include "command.h"

#include "base/json.h"
#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Keys and their values. */

bool parse_number(const char *word, const char *what, uint64_t *ret_number)
{
	long long number;
	if (json_integer(slice_of(word), 0, (long long)1 << 53, &number) != 0) {
		fprintf(stderr, "clusterctl: %s is a number, not \"%s\"\n", what, word);
		return false;
	}
	*ret_number = (uint64_t)number;
	return true;
}

/* --- put, delete --------------------------------------------------------------------------------------------------- */

/* --if-version and --if-absent. */
static bool read_condition(const char *version, const char *absent, protobuf_c_boolean *ret_conditional,
                           uint64_t *ret_version)
{
	if (version != NULL && absent != NULL) {
		fprintf(stderr, "clusterctl: --if-version and --if-absent exclude one another\n");
		return false;
	}
	*ret_conditional = version != NULL || absent != NULL;
	*ret_version = 0;
	if (version == NULL)
		return true;
	if (!parse_number(version, "--if-version", ret_version))
		return false;
	if (*ret_version != 0)
		return true;
	fprintf(stderr, "clusterctl: versions begin with 1; for a key that is not there, say --if-absent\n");
	return false;
}

static int ask_written(struct context *context, Clusterd__Wire__Request *request, struct slice payload, const char *key)
{
	struct reply reply;
	int code = need_client(context, CLUSTERD__WIRE__ROLE__ROLE_CLIENT);
	if (code != 0)
		return code;
	if (client_ask(context->client, request, payload, &reply, &context->error) != 0)
		return report(context);
	uint64_t version = 0;
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_WRITTEN)
		version = reply.response->written->version;
	reply_finish(&reply);
	if (context->form == OUTPUT_TABLE) {
		printf("%" PRIu64 "\n", version);
		return EXIT_DONE;
	}
	struct buffer object = BUFFER_EMPTY;
	buffer_append_string(&object, "{\"key\":");
	json_quote(&object, slice_of(key));
	buffer_format(&object, ",\"version\":%" PRIu64 "}", version);
	output_object(context->form, buffer_slice(&object), stdout);
	buffer_finish(&object);
	return EXIT_DONE;
}

static int read_stdin(struct buffer *out)
{
	for (;;) {
		ssize_t got = read(STDIN_FILENO, buffer_reserve(out, 65536), 65536);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			fprintf(stderr, "clusterctl: the value cannot be read from stdin: %s\n", strerror(errno));
			return EXIT_FAILED;
		}
		if (got == 0)
			return 0;
		out->size += (size_t)got;
	}
}

int run_kv_put(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Put body = CLUSTERD__WIRE__PUT__INIT;
	struct buffer input = BUFFER_EMPTY;
	int code = 0;
	if (!read_condition(arguments->flags[0], arguments->flags[1], &body.conditional, &body.version))
		return EXIT_USAGE;
	if (arguments->flags[2] != NULL && !parse_number(arguments->flags[2], "--lease", &body.lease))
		return EXIT_USAGE;
	if (arguments->value_count > 1)
		buffer_append_string(&input, arguments->values[1]);
	else
		code = read_stdin(&input);
	body.key = (char *)(uintptr_t)arguments->values[0];
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_PUT;
	request.put = &body;
	if (code == 0)
		code = ask_written(context, &request, buffer_slice(&input), arguments->values[0]);
	buffer_finish(&input);
	return code;
}

int run_kv_delete(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__DeleteKey body = CLUSTERD__WIRE__DELETE_KEY__INIT;
	if (!read_condition(arguments->flags[0], NULL, &body.conditional, &body.version))
		return EXIT_USAGE;
	body.key = (char *)(uintptr_t)arguments->values[0];
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_DELETE_KEY;
	request.delete_key = &body;
	return ask_written(context, &request, SLICE(""), arguments->values[0]);
}

/* --- get, list ----------------------------------------------------------------------------------------------------- */

static void print_id(struct buffer *out, uint64_t id)
{
	if (id != 0)
		buffer_format(out, "%" PRIu64, id);
	else
		buffer_append_string(out, "null");
}

int run_kv_get(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Get body = CLUSTERD__WIRE__GET__INIT;
	struct reply reply;
	int code = need_client(context, CLUSTERD__WIRE__ROLE__ROLE_CLIENT);
	if (code != 0)
		return code;
	body.key = (char *)(uintptr_t)arguments->values[0];
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_GET;
	request.get = &body;
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0)
		return report(context);
	struct slice value = buffer_slice(&reply.payload);
	if (context->form == OUTPUT_TABLE) {
		fwrite(value.data, 1, value.size, stdout);
		if (isatty(STDOUT_FILENO))
			putchar('\n');
	} else if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_KEYS && reply.response->keys->n_keys == 1) {
		const Clusterd__Wire__Key *key = reply.response->keys->keys[0];
		struct buffer object = BUFFER_EMPTY;
		buffer_append_string(&object, "{\"key\":");
		json_quote(&object, slice_of(key->key));
		buffer_append_string(&object, ",\"value\":");
		json_quote(&object, value);
		buffer_format(&object, ",\"version\":%" PRIu64 ",\"lease\":", key->version);
		print_id(&object, key->lease);
		buffer_format(&object, ",\"created\":%" PRIu64 "}", key->created);
		output_object(context->form, buffer_slice(&object), stdout);
		buffer_finish(&object);
	}
	reply_finish(&reply);
	return EXIT_DONE;
}

/* The keys of one answer as rows, behind those that are there. */
static void append_rows(const struct reply *reply, bool keys_only, struct buffer *rows)
{
	const Clusterd__Wire__Keys *keys = reply->response->keys;
	size_t at = 0;
	for (size_t i = 0; i < keys->n_keys; i++) {
		const Clusterd__Wire__Key *key = keys->keys[i];
		struct slice value = {reply->payload.data + at, key->size};
		buffer_append_string(rows, rows->size > 1 ? ",[" : "[");
		json_quote(rows, slice_of(key->key));
		buffer_append_char(rows, ',');
		if (!keys_only) {
			json_quote(rows, value);
			buffer_append_char(rows, ',');
			at += key->size;
		}
		buffer_format(rows, "%" PRIu64 ",", key->version);
		print_id(rows, key->lease);
		buffer_format(rows, ",%" PRIu64 "]", key->created);
	}
}

static void print_rows(enum output_form form, bool keys_only, struct buffer *rows)
{
	static const char *const columns[] = {"key", "value", "version", "lease", "created"};
	static const char *const without_value[] = {"key", "version", "lease", "created"};
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Rows body = CLUSTERD__WIRE__ROWS__INIT;
	body.columns = (char **)(uintptr_t)(keys_only ? without_value : columns);
	body.n_columns = keys_only ? 4 : 5;
	response.rows = &body;
	buffer_append_char(rows, ']');
	struct reply reply = {.response = &response, .payload = *rows};
	output_rows(form, &reply, stdout);
}

/* One page; its last key goes to `after`, which is empty when nothing is left. */
static int list_page(struct context *context, Clusterd__Wire__Request *request, struct buffer *rows, struct buffer *after)
{
	struct reply reply;
	if (client_ask(context->client, request, SLICE(""), &reply, &context->error) != 0)
		return report(context);
	buffer_clear(after);
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_KEYS) {
		const Clusterd__Wire__Keys *keys = reply.response->keys;
		append_rows(&reply, request->list_keys->keys_only != 0, rows);
		if (keys->truncated && keys->n_keys > 0)
			buffer_append_string(after, keys->keys[keys->n_keys - 1]->key);
		if (request->list_keys->limit != 0)
			request->list_keys->limit -= (uint32_t)keys->n_keys;
	}
	reply_finish(&reply);
	return 0;
}

int run_kv_list(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__ListKeys body = CLUSTERD__WIRE__LIST_KEYS__INIT;
	struct buffer rows = BUFFER_EMPTY;
	struct buffer after = BUFFER_EMPTY;
	uint64_t limit = 0;
	bool lines = context->form == OUTPUT_JSONL;
	if (arguments->flags[1] != NULL && !parse_number(arguments->flags[1], "--limit", &limit))
		return EXIT_USAGE;
	int code = need_client(context, CLUSTERD__WIRE__ROLE__ROLE_CLIENT);
	if (code != 0)
		return code;
	body.prefix = (char *)(uintptr_t)(arguments->value_count > 0 ? arguments->values[0] : "");
	body.keys_only = arguments->flags[0] != NULL;
	body.limit = (uint32_t)(limit < UINT32_MAX ? limit : UINT32_MAX);
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_LIST_KEYS;
	request.list_keys = &body;
	buffer_append_char(&rows, '[');
	do {
		body.after = (char *)(uintptr_t)buffer_string(&after);
		code = list_page(context, &request, &rows, &after);
		if (code == 0 && lines) {
			print_rows(context->form, body.keys_only != 0, &rows);
			buffer_clear(&rows);
			buffer_append_char(&rows, '[');
		}
	} while (code == 0 && after.size != 0 && (limit == 0 || body.limit != 0));
	if (code == 0 && !lines)
		print_rows(context->form, body.keys_only != 0, &rows);
	buffer_finish(&rows);
	buffer_finish(&after);
	return code;
}
