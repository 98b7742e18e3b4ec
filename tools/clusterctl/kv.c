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
	int code = need_client(context);
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
	int code = need_client(context);
	if (code != 0)
		return code;
	body.key = (char *)(uintptr_t)arguments->values[0];
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_GET;
	request.get = &body;
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0)
		return report(context);
	struct slice value = reply.payload;
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

struct rows {
	struct buffer json; /* an array that is not closed yet */
	bool keys_only;
};

static void add_row(struct rows *rows, const struct clusterd_key *key)
{
	struct buffer *out = &rows->json;
	buffer_append_string(out, out->size > 1 ? ",[" : "[");
	json_quote(out, slice_of(key->key));
	buffer_append_char(out, ',');
	if (!rows->keys_only) {
		json_quote(out, (struct slice){key->value, key->value_size});
		buffer_append_char(out, ',');
	}
	buffer_format(out, "%" PRIu64 ",", key->version);
	print_id(out, key->lease);
	buffer_format(out, ",%" PRIu64 "]", key->created);
}

static void print_rows(enum output_form form, struct rows *rows)
{
	static const char *const columns[] = {"key", "value", "version", "lease", "created"};
	static const char *const without_value[] = {"key", "version", "lease", "created"};
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Rows body = CLUSTERD__WIRE__ROWS__INIT;
	body.columns = (char **)(uintptr_t)(rows->keys_only ? without_value : columns);
	body.n_columns = rows->keys_only ? 4 : 5;
	response.rows = &body;
	buffer_append_char(&rows->json, ']');
	struct reply reply = {.response = &response, .payload = buffer_slice(&rows->json)};
	output_rows(form, &reply, stdout);
	buffer_clear(&rows->json);
	buffer_append_char(&rows->json, '[');
}

/* A page behind `after`, which becomes its last key; NULL: there are no more. */
static int list_page(struct context *context, const char *prefix, char **after, uint32_t limit, struct rows *rows,
                     size_t *ret_count, struct clusterd_error *error)
{
	struct clusterd_reply *reply;
	struct clusterd_key key = {0};
	int code = clusterd_key_list(client_library(context->client), prefix, *after, limit, rows->keys_only, &reply,
	                             timeout_of(context), error);
	if (code != 0)
		return code;
	*ret_count = clusterd_reply_key_count(reply);
	for (size_t i = 0; i < *ret_count; i++) {
		clusterd_reply_key(reply, i, &key);
		add_row(rows, &key);
	}
	mem_free(*after);
	*after = clusterd_reply_truncated(reply) && key.key != NULL ? mem_string(key.key) : NULL;
	clusterd_reply_destroy(reply);
	return 0;
}

int run_kv_list(struct context *context, const struct arguments *arguments)
{
	struct rows rows = {.keys_only = arguments->flags[0] != NULL};
	struct clusterd_error error;
	uint64_t limit = UINT64_MAX;
	char *after = NULL;
	if (arguments->flags[1] != NULL && !parse_number(arguments->flags[1], "--limit", &limit))
		return EXIT_USAGE;
	int code = need_client(context);
	if (code != 0)
		return code;
	limit = limit == 0 ? UINT64_MAX : limit;
	buffer_append_char(&rows.json, '[');
	do {
		size_t count = 0;
		code = list_page(context, arguments->value_count > 0 ? arguments->values[0] : "", &after,
		                 limit < UINT32_MAX ? (uint32_t)limit : 0, &rows, &count, &error);
		limit -= limit == UINT64_MAX ? 0 : count < limit ? count : limit;
		bool last = after == NULL || limit == 0;
		if (code == 0 && (last || context->form == OUTPUT_JSONL))
			print_rows(context->form, &rows);
	} while (code == 0 && after != NULL && limit != 0);
	mem_free(after);
	buffer_finish(&rows.json);
	return code != 0 ? report_failure(context, &error) : EXIT_DONE;
}

/* --- watch --------------------------------------------------------------------------------------------------------- */

struct watching {
	enum output_form form;
	uint64_t left; /* events; UINT64_MAX: no end */
	bool over;
	struct clusterd_error error;
};

/* What would break the line is quoted. */
static void append_event(struct buffer *out, const struct clusterd_key *key, struct slice value)
{
	const char *event = key->deleted ? "delete" : key->state ? "is" : "put";
	bool plain = true;
	for (size_t i = 0; i < value.size && plain; i++)
		plain = (unsigned char)value.data[i] >= ' ' && value.data[i] != '"';
	buffer_format(out, "%" PRIu64 " %s %s%s", key->version, event, key->key, key->deleted ? "" : " ");
	if (plain)
		buffer_append_slice(out, value);
	else
		json_quote(out, value);
}

static void append_event_json(struct buffer *out, const struct clusterd_key *key, struct slice value)
{
	const char *event = key->deleted ? "delete" : key->state ? "is" : "put";
	buffer_format(out, "{\"version\":%" PRIu64 ",\"event\":\"%s\",\"key\":", key->version, event);
	json_quote(out, slice_of(key->key));
	buffer_append_string(out, ",\"value\":");
	if (key->deleted)
		buffer_append_string(out, "null");
	else
		json_quote(out, value);
	buffer_append_string(out, ",\"lease\":");
	print_id(out, key->lease);
	buffer_append_char(out, '}');
}

/* A line for each event. */
static void print_event(void *context, const struct clusterd_key *key, const struct clusterd_error *error)
{
	struct watching *watching = context;
	struct buffer out = BUFFER_EMPTY;
	if (error != NULL)
		watching->error = *error;
	if (error != NULL || watching->left == 0) {
		watching->over = true;
		return;
	}
	struct slice value = {key->value, key->value != NULL ? key->value_size : 0};
	if (watching->form == OUTPUT_TABLE)
		append_event(&out, key, value);
	else
		append_event_json(&out, key, value);
	puts(buffer_string(&out));
	buffer_finish(&out);
	watching->left -= watching->left != UINT64_MAX;
	watching->over = watching->left == 0;
}

int run_kv_watch(struct context *context, const struct arguments *arguments)
{
	struct watching watching = {.form = context->form, .left = UINT64_MAX};
	struct clusterd_watch_options options = CLUSTERD_WATCH_OPTIONS;
	const char *prefix = arguments->flags[0];
	if (arguments->flags[1] != NULL && !parse_number(arguments->flags[1], "--from", &options.from))
		return EXIT_USAGE;
	if (arguments->flags[3] != NULL && !parse_number(arguments->flags[3], "--count", &watching.left))
		return EXIT_USAGE;
	if ((prefix != NULL && arguments->value_count > 0) || (arguments->flags[1] != NULL && arguments->flags[2] != NULL)) {
		fprintf(stderr, "clusterctl: a key and --prefix exclude one another, and so do --from and --state\n");
		return EXIT_USAGE;
	}
	int code = need_client(context);
	if (code != 0)
		return code;
	options.prefix = arguments->value_count == 0;
	options.key = !options.prefix ? arguments->values[0] : prefix != NULL ? prefix : "";
	options.state = arguments->flags[2] != NULL;
	options.changed = print_event;
	options.context = &watching;
	struct clusterd_client *library = client_library(context->client);
	struct clusterd_watch *watch = clusterd_watch_create(library, &options);
	watching.over = watching.left == 0;
	while (!watching.over) {
		fflush(stdout);
		clusterd_client_poll(library, CLUSTERD_NO_TIMEOUT);
	}
	clusterd_watch_destroy(watch);
	fflush(stdout);
	return watching.error.code != 0 ? report_failure(context, &watching.error) : EXIT_DONE;
}
