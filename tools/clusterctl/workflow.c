#include "command.h"

#include "base/json.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool parse_id(struct context *context, const char *word, uint64_t *ret_id)
{
	long long id;
	(void)context;
	if (json_integer(slice_of(word), 1, (long long)1 << 53, &id) != 0) {
		fprintf(stderr, "clusterctl: \"%s\" is not the id of a workflow (a number)\n", word);
		return false;
	}
	*ret_id = (uint64_t)id;
	return true;
}

int ask_simple(struct context *context, Clusterd__Wire__Request *request, struct slice payload)
{
	struct reply reply;
	int code = need_client(context);
	if (code != 0)
		return code;
	if (client_ask(context->client, request, payload, &reply, &context->error) != 0)
		return report(context);
	reply_finish(&reply);
	return EXIT_DONE;
}

int ask_query(struct context *context, const char *sql, const char *const *parameters, size_t count, struct reply *ret_reply)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Query body = CLUSTERD__WIRE__QUERY__INIT;
	int code = need_client(context);
	if (code != 0)
		return code;
	body.sql = (char *)(uintptr_t)sql;
	body.parameters = (char **)(uintptr_t)parameters;
	body.n_parameters = count;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_QUERY;
	request.query = &body;
	return client_ask(context->client, &request, SLICE(""), ret_reply, &context->error) != 0 ? report(context) : 0;
}

int print_query(struct context *context, const char *sql, const char *const *parameters, size_t count)
{
	struct reply reply;
	int code = ask_query(context, sql, parameters, count, &reply);
	if (code != 0)
		return code;
	output_report(context->form, &reply, stdout);
	reply_finish(&reply);
	return EXIT_DONE;
}

int need_row(struct context *context, const char *what, const char *table, const char *id)
{
	char sql[100];
	struct reply reply;
	snprintf(sql, sizeof sql, "SELECT 1 FROM %s WHERE id = CAST(?1 AS INTEGER)", table);
	int code = ask_query(context, sql, &id, 1, &reply);
	if (code != 0)
		return code;
	bool found = json_count(reply.payload) > 0;
	if (!found)
		fprintf(stderr, "clusterctl: there is no %s with the id %s\n", what, id);
	reply_finish(&reply);
	return found ? EXIT_DONE : EXIT_FAILED;
}

int print_record(struct context *context, const char *what, const char *table, const char *id, const char *sql)
{
	struct reply reply;
	int code = need_row(context, what, table, id);
	if (code == 0)
		code = ask_query(context, sql, &id, 1, &reply);
	if (code != 0)
		return code;
	output_record(context->form, &reply, stdout);
	reply_finish(&reply);
	return EXIT_DONE;
}

/* --- start, wait --------------------------------------------------------------------------------------------------- */

int start_workflow(struct context *context, const char *name, const char *const *words, int word_count, const char *key,
                   uint64_t *ret_id)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Start body = CLUSTERD__WIRE__START__INIT;
	struct reply reply;
	char *plain = mem_string(name);
	char *at = strchr(plain, '@');
	if (at != NULL) {
		*at = '\0';
		body.version = (uint32_t)strtoul(at + 1, NULL, 10);
	}
	body.process = plain;
	body.key = (char *)(uintptr_t)(key != NULL ? key : "");
	body.words = (char **)(uintptr_t)words;
	body.n_words = (size_t)word_count;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_START;
	request.start = &body;
	int code = client_ask(context->client, &request, SLICE(""), &reply, &context->error);
	mem_free(plain);
	if (code != 0)
		return code;
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_STARTED)
		*ret_id = reply.response->started->instance;
	reply_finish(&reply);
	return 0;
}

int run_start(struct context *context, const struct arguments *arguments)
{
	uint64_t id = 0;
	int code = need_client(context);
	if (code != 0)
		return code;
	if (start_workflow(context, arguments->values[0], arguments->values + 1, arguments->value_count - 1,
	                   arguments->flags[0], &id) != 0)
		return report(context);
	if (arguments->flags[1] != NULL)
		return await_end(context, id);
	printf("%" PRIu64 "\n", id);
	return EXIT_DONE;
}

int run_wait(struct context *context, const struct arguments *arguments)
{
	uint64_t id;
	if (!parse_id(context, arguments->values[0], &id))
		return EXIT_USAGE;
	int code = need_client(context);
	return code != 0 ? code : await_end(context, id);
}

/* --- cancel, retry, signal ----------------------------------------------------------------------------------------- */

int run_cancel(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Cancel body = CLUSTERD__WIRE__CANCEL__INIT;
	if (!parse_id(context, arguments->values[0], &body.instance))
		return EXIT_USAGE;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_CANCEL;
	request.cancel = &body;
	return ask_simple(context, &request, SLICE(""));
}

int run_retry(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Retry body = CLUSTERD__WIRE__RETRY__INIT;
	if (!parse_id(context, arguments->values[0], &body.instance))
		return EXIT_USAGE;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_RETRY;
	request.retry = &body;
	return ask_simple(context, &request, SLICE(""));
}

int run_signal(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Signal body = CLUSTERD__WIRE__SIGNAL__INIT;
	const char *value = arguments->value_count > 2 ? arguments->values[2] : "null";
	if (!parse_id(context, arguments->values[0], &body.instance))
		return EXIT_USAGE;
	body.name = (char *)(uintptr_t)arguments->values[1];
	if (arguments->flags[0] != NULL)
		body.key = (char *)(uintptr_t)arguments->flags[0];
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_SIGNAL;
	request.signal = &body;
	return ask_simple(context, &request, slice_of(value));
}

/* --- looking ------------------------------------------------------------------------------------------------------- */

int run_workflow_list(struct context *context, const struct arguments *arguments)
{
	const char *parameters[2] = {arguments->flags[0] != NULL ? arguments->flags[0] : "",
	                             arguments->flags[1] != NULL ? arguments->flags[1] : "50"};
	long long limit;
	if (json_integer(slice_of(parameters[1]), 1, 1000000, &limit) != 0) {
		fprintf(stderr, "clusterctl: --limit is a number from 1 to 1000000\n");
		return EXIT_USAGE;
	}
	const char *sql = context->form == OUTPUT_TABLE
	                          ? "SELECT id, process || '@' || version AS process, state, key, "
	                            "datetime(started_ms / 1000, 'unixepoch') AS started, "
	                            "finished_ms - started_ms AS ms, "
	                            "coalesce(result, error) AS outcome FROM pi_instance "
	                            "WHERE ?1 = '' OR state = ?1 ORDER BY id DESC LIMIT CAST(?2 AS INTEGER)"
	                          : "SELECT id, key, process, version, state, args, result, error, started_ms, finished_ms "
	                            "FROM pi_instance WHERE ?1 = '' OR state = ?1 ORDER BY id DESC LIMIT CAST(?2 AS INTEGER)";
	return print_query(context, sql, parameters, 2);
}

static int print_inspected(struct context *context, Clusterd__Wire__Inspect *what)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	struct reply reply;
	int code = need_client(context);
	if (code != 0)
		return code;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_INSPECT;
	request.inspect = what;
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0)
		return report(context);
	const char *text = reply.payload.data;
	size_t length = reply.payload.size;
	printf("%s%s", text, length > 0 && text[length - 1] == '\n' ? "" : "\n");
	reply_finish(&reply);
	return EXIT_DONE;
}

int run_process_show(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Inspect what = CLUSTERD__WIRE__INSPECT__INIT;
	Clusterd__Wire__InspectProcess process = CLUSTERD__WIRE__INSPECT_PROCESS__INIT;
	char *name = mem_string(arguments->values[0]);
	char *at = strchr(name, '@');
	if (at != NULL) {
		*at = '\0';
		process.version = (uint32_t)strtoul(at + 1, NULL, 10);
	}
	process.name = name;
	process.term = arguments->flags[0] != NULL;
	what.what_case = CLUSTERD__WIRE__INSPECT__WHAT_PROCESS;
	what.process = &process;
	int code = print_inspected(context, &what);
	mem_free(name);
	return code;
}

int run_process_list(struct context *context, const struct arguments *arguments)
{
	if (arguments->flags[0] != NULL)
		return print_query(context, "SELECT name, version, kind, signature, registered_ms FROM process ORDER BY name, version",
		                   NULL, 0);
	return print_query(context,
	                   "SELECT name, max(version) AS version, kind, signature, registered_ms FROM process "
	                   "GROUP BY name ORDER BY name",
	                   NULL, 0);
}

static int inspect_instance(struct context *context, uint64_t id, const char *step)
{
	Clusterd__Wire__Inspect what = CLUSTERD__WIRE__INSPECT__INIT;
	Clusterd__Wire__InspectInstance instance = CLUSTERD__WIRE__INSPECT_INSTANCE__INIT;
	long long number = 0;
	if (step != NULL && json_integer(slice_of(step), 1, UINT32_MAX, &number) != 0) {
		fprintf(stderr, "clusterctl: --step is a number from 1 on\n");
		return EXIT_USAGE;
	}
	instance.instance = id;
	instance.step = (uint32_t)number;
	what.what_case = CLUSTERD__WIRE__INSPECT__WHAT_INSTANCE;
	what.instance = &instance;
	return print_inspected(context, &what);
}

int run_workflow_show(struct context *context, const struct arguments *arguments)
{
	uint64_t id;
	const char *parameters[1] = {arguments->values[0]};
	if (!parse_id(context, arguments->values[0], &id))
		return EXIT_USAGE;
	if (arguments->flags[0] != NULL || arguments->flags[1] != NULL)
		return inspect_instance(context, id, arguments->flags[1]);
	int code = print_record(context, "workflow", "pi_instance", arguments->values[0],
	                        "SELECT id, key, process, version, state, args, result, error, started_ms, finished_ms "
	                        "FROM pi_instance WHERE id = CAST(?1 AS INTEGER)");
	if (code != 0)
		return code;
	if (context->form == OUTPUT_TABLE)
		putchar('\n');
	return print_query(context,
	                   "SELECT ref, process, state, attempts, returned_ms - called_ms AS ms, args, "
	                   "coalesce(result, error) AS outcome FROM pi_call WHERE instance = CAST(?1 AS INTEGER) ORDER BY ref",
	                   parameters, 1);
}

/* --- history ------------------------------------------------------------------------------------------------------- */

static int print_events(struct context *context, const char *id, uint64_t *last_seq)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Query body = CLUSTERD__WIRE__QUERY__INIT;
	char after[24];
	const char *parameters[2] = {id, after};
	struct reply reply;
	struct json_iterator rows;
	struct slice key;
	struct slice row;
	snprintf(after, sizeof after, "%" PRIu64, *last_seq);
	body.sql = (char *)(uintptr_t)(context->form == OUTPUT_TABLE
	                                       ? "SELECT seq, strftime('%H:%M:%f', time_ms / 1000.0, 'unixepoch') AS time, "
	                                         "kind, nullif(ref, 0) AS ref, process, "
	                                         "coalesce(args, result, detail) AS what "
	                                         "FROM pi_event WHERE instance = CAST(?1 AS INTEGER) AND seq > CAST(?2 AS INTEGER) "
	                                         "ORDER BY seq"
	                                       : "SELECT seq, instance, time_ms, kind, ref, process, args, result, detail "
	                                         "FROM pi_event WHERE instance = CAST(?1 AS INTEGER) AND seq > CAST(?2 AS INTEGER) "
	                                         "ORDER BY seq");
	body.parameters = (char **)(uintptr_t)parameters;
	body.n_parameters = 2;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_QUERY;
	request.query = &body;
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0)
		return report(context);
	json_iterate(&rows, reply.payload);
	bool any = false;
	while (json_next(&rows, &key, &row)) {
		struct json_iterator cells;
		struct slice value;
		long long seq;
		json_iterate(&cells, row);
		if (json_next(&cells, &key, &value) && json_integer(value, 0, INT64_MAX, &seq) == 0)
			*last_seq = (uint64_t)seq;
		any = true;
	}
	if (any)
		output_rows(context->form, &reply, stdout);
	fflush(stdout);
	reply_finish(&reply);
	return EXIT_DONE;
}

/* Waits until the history has grown past what was shown; *ret_finished: it will not any more. */
static int await_growth(struct context *context, uint64_t id, uint64_t after, bool *ret_finished)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Watch body = CLUSTERD__WIRE__WATCH__INIT;
	struct reply reply;
	body.instance = id;
	body.after = after;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_WATCH;
	request.watch = &body;
	client_set_timeout(context->client, MSEC_NEVER);
	int code = client_ask(context->client, &request, SLICE(""), &reply, &context->error);
	client_set_timeout(context->client, context->timeout);
	if (code != 0)
		return report(context);
	*ret_finished = reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_GROWN && reply.response->grown->finished;
	reply_finish(&reply);
	client_leave(context->client);
	return EXIT_DONE;
}

int run_history(struct context *context, const struct arguments *arguments)
{
	uint64_t id;
	uint64_t last_seq = 0;
	bool finished = false;
	if (!parse_id(context, arguments->values[0], &id))
		return EXIT_USAGE;
	int code = need_row(context, "workflow", "pi_instance", arguments->values[0]);
	if (code == 0)
		code = print_events(context, arguments->values[0], &last_seq);
	if (arguments->flags[0] != NULL && context->form == OUTPUT_JSON)
		context->form = OUTPUT_JSONL;
	while (code == 0 && arguments->flags[0] != NULL && !finished) {
		code = await_growth(context, id, last_seq, &finished);
		if (code == 0)
			code = print_events(context, arguments->values[0], &last_seq);
	}
	return code;
}
