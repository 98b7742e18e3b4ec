#include "command.h"

#include "base/json.h"
#include "base/memory.h"
#include "lang/parser.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Jobs: run, looked at, stopped. */

#define EXPLAIN_MS 3000 /* the leader says why tasks wait within */

static bool parse_job(const char *word, uint64_t *ret_id)
{
	return parse_number(word, "a job", ret_id);
}

/* --- waiting ------------------------------------------------------------------------------------------------------- */

/* Until it has ended, or with `running` runs. 0: it has completed, or runs. */
static int await_job(struct context *context, uint64_t id, bool running)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__AwaitJob body = CLUSTERD__WIRE__AWAIT_JOB__INIT;
	struct reply reply;
	body.job = id;
	body.running = running;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_AWAIT_JOB;
	request.await_job = &body;
	client_set_timeout(context->client, context->timeout_given ? context->timeout : MSEC_NEVER);
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0)
		return report(context);
	const Clusterd__Wire__Finished *finished = reply.response->finished;
	bool good = reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_FINISHED &&
	            (strcmp(finished->state, "completed") == 0 || (running && strcmp(finished->state, "running") == 0));
	if (!good && reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_FINISHED)
		fprintf(stderr, "clusterctl: job %" PRIu64 " has %s%s%s\nSee: clusterctl job status %" PRIu64 "\n", id,
		        strcmp(finished->state, "stopped") == 0 ? "been stopped" : finished->state,
		        finished->error[0] != '\0' ? ": " : "", finished->error, id);
	reply_finish(&reply);
	return good ? EXIT_DONE : EXIT_FAILED;
}

int run_job_wait(struct context *context, const struct arguments *arguments)
{
	uint64_t id;
	if (!parse_job(arguments->values[0], &id))
		return EXIT_USAGE;
	int code = need_client(context);
	return code != 0 ? code : await_job(context, id, arguments->flags[0] != NULL);
}

/* --- running ------------------------------------------------------------------------------------------------------- */

static uint64_t member_number(struct slice row, const char *name)
{
	struct slice value;
	long long number = 0;
	if (!json_member(row, slice_of(name), &value) || json_integer(value, 0, INT64_MAX, &number) != 0)
		return 0;
	return (uint64_t)number;
}

static struct slice member_text(struct slice row, const char *name, struct buffer *plain)
{
	struct slice value;
	buffer_clear(plain);
	if (json_member(row, slice_of(name), &value) && json_kind(value) == JSON_STRING)
		json_unquote(plain, value);
	return buffer_slice(plain);
}

static void print_run(struct slice row)
{
	struct buffer name = BUFFER_EMPTY;
	struct buffer change = BUFFER_EMPTY;
	member_text(row, "name", &name);
	member_text(row, "change", &change);
	printf("%" PRIu64 "  %s@%" PRIu64 "  %s\n", member_number(row, "id"), buffer_string(&name),
	       member_number(row, "version"), buffer_string(&change));
	buffer_finish(&name);
	buffer_finish(&change);
}

int run_job_run(struct context *context, const struct arguments *arguments)
{
	struct buffer json = BUFFER_EMPTY;
	struct json_iterator iterator;
	struct slice rows;
	struct slice key;
	struct slice row;
	int code = need_client(context);
	if (code != 0)
		return code;
	if (register_files(context, arguments->values, arguments->value_count, REGISTRATION_RUN, &json) != 0) {
		buffer_finish(&json);
		return report(context);
	}
	print_warnings(buffer_slice(&json));
	if (json_member(buffer_slice(&json), SLICE("jobs"), &rows)) {
		if (context->form != OUTPUT_TABLE)
			printf("%.*s\n", SLICE_ARGS(rows));
		json_iterate(&iterator, rows);
		while (code == EXIT_DONE && json_next(&iterator, &key, &row)) {
			if (context->form == OUTPUT_TABLE)
				print_run(row);
			fflush(stdout);
			if (arguments->flags[0] != NULL)
				code = await_job(context, member_number(row, "id"), false);
		}
	}
	buffer_finish(&json);
	return code;
}

int run_job_dispatch(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__DispatchJob body = CLUSTERD__WIRE__DISPATCH_JOB__INIT;
	struct reply reply;
	uint64_t id = 0;
	int code = need_client(context);
	if (code != 0)
		return code;
	char *plain = mem_string(arguments->values[0]);
	char *at = strchr(plain, '@');
	if (at != NULL) {
		*at = '\0';
		body.version = (uint32_t)strtoul(at + 1, NULL, 10);
	}
	body.name = plain;
	body.key = (char *)(uintptr_t)(arguments->flags[0] != NULL ? arguments->flags[0] : "");
	body.words = (char **)(uintptr_t)(arguments->values + 1);
	body.n_words = (size_t)arguments->value_count - 1;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_DISPATCH_JOB;
	request.dispatch_job = &body;
	code = client_ask(context->client, &request, SLICE(""), &reply, &context->error);
	mem_free(plain);
	if (code != 0)
		return report(context);
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_STARTED)
		id = reply.response->started->instance;
	reply_finish(&reply);
	printf("%" PRIu64 "\n", id);
	fflush(stdout);
	return arguments->flags[1] != NULL ? await_job(context, id, false) : EXIT_DONE;
}

int run_job_stop(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__StopJob body = CLUSTERD__WIRE__STOP_JOB__INIT;
	if (!parse_job(arguments->values[0], &body.job))
		return EXIT_USAGE;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_STOP_JOB;
	request.stop_job = &body;
	return ask_simple(context, &request, SLICE(""));
}

int run_job_scale(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__ScaleJob body = CLUSTERD__WIRE__SCALE_JOB__INIT;
	uint64_t count;
	if (!parse_job(arguments->values[0], &body.job) ||
	    !parse_number(arguments->values[1], "a number of tasks", &count))
		return EXIT_USAGE;
	body.count = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_SCALE_JOB;
	request.scale_job = &body;
	return ask_simple(context, &request, SLICE(""));
}

/* --- looking ------------------------------------------------------------------------------------------------------- */

int run_job_list(struct context *context, const struct arguments *arguments)
{
	(void)arguments;
	return print_query(
		context,
		"SELECT id, name, version, type, state, priority, count, running, completed, failed, submitted_ms, next_ms,"
		" finished_ms"
		" FROM job ORDER BY id DESC",
		NULL, 0);
}

#define EXIT_OF_JOB \
	"(SELECT exit_code FROM allocation WHERE job = job.id AND finished_ms IS NOT NULL ORDER BY finished_ms DESC, id DESC LIMIT 1)"

/* Of a periodic job: those of its runs. */
#define WITH_RUNS "a.job IN (SELECT id FROM job WHERE id = CAST(?1 AS INTEGER) OR parent = CAST(?1 AS INTEGER))"

/* Nothing, when there are no rows. */
static int print_part(struct context *context, const char *title, const char *sql, const char *const *parameters)
{
	struct reply reply;
	int code = ask_query(context, sql, parameters, 1, &reply);
	if (code != 0)
		return code;
	if (json_count(reply.payload) > 0) {
		printf("\n%s\n", title);
		output_report(context->form, &reply, stdout);
	}
	reply_finish(&reply);
	return EXIT_DONE;
}

/* How many tasks are in which state: of each task its newest attempt counts. */
static int print_counts(struct context *context, const char *const *parameters)
{
	return print_part(context, "Tasks by their newest attempt",
	                  "SELECT sum(state = 'placed') AS placed, sum(state = 'running') AS running,"
	                  " sum(state = 'running' AND healthy = 0) AS unwell, sum(state = 'completed') AS completed,"
	                  " sum(state = 'failed') AS failed, sum(state = 'stopped') AS stopped, sum(state = 'lost') AS lost,"
	                  " coalesce((SELECT count(*) FROM job_task AS t WHERE t.job = CAST(?1 AS INTEGER)), 0) AS waiting_again"
	                  " FROM (SELECT state, healthy, max(id) FROM allocation AS a WHERE " WITH_RUNS
	                  " GROUP BY job, task) HAVING count(*) > 0",
	                  parameters);
}

/* The newest attempt of each task; those that have something to say first. */
static int print_tasks(struct context *context, const char *const *parameters)
{
	return print_part(context, "Newest attempts",
	                  "SELECT a.id, a.job, a.task, a.attempt, coalesce(n.name, a.node) AS node, a.state, a.healthy, a.exit_code,"
	                  " a.exit_signal, a.ports, a.placed_ms, a.started_ms, a.finished_ms, a.error FROM allocation AS a"
	                  " LEFT JOIN node AS n ON n.id = a.node WHERE a.id IN"
	                  " (SELECT max(a.id) FROM allocation AS a WHERE " WITH_RUNS " GROUP BY a.job, a.task)"
	                  " ORDER BY a.state = 'completed', a.job DESC, a.task LIMIT 40",
	                  parameters);
}

/* What has happened last, the newest first: read from the attempts. */
static int print_events(struct context *context, const char *const *parameters)
{
	return print_part(context, "Newest events",
	                  "SELECT e.time_ms, e.event, a.task, a.attempt, a.id AS allocation, coalesce(n.name, a.node) AS node, CASE"
	                  " e.event WHEN a.state THEN coalesce(a.error, CASE WHEN a.exit_signal > 0 THEN 'signal ' || a.exit_signal"
	                  " WHEN a.exit_code >= 0 THEN 'exit code ' || a.exit_code END, '') ELSE '' END AS detail FROM"
	                  " (SELECT id, placed_ms AS time_ms, 'placed' AS event, 0 AS rank FROM allocation AS a WHERE " WITH_RUNS
	                  " UNION ALL SELECT id, started_ms, 'started', 1 FROM allocation AS a WHERE " WITH_RUNS
	                  " AND started_ms IS NOT NULL UNION ALL SELECT id, finished_ms, state, 2 FROM allocation AS a WHERE " WITH_RUNS
	                  " AND finished_ms IS NOT NULL) AS e JOIN allocation AS a ON a.id = e.id"
	                  " LEFT JOIN node AS n ON n.id = a.node ORDER BY e.time_ms DESC, e.id DESC, e.rank DESC LIMIT 12",
	                  parameters);
}

/* Why tasks wait, when the leader says so soon; the rest can be read without. */
static void explain(struct context *context, uint64_t id)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__ExplainJob body = CLUSTERD__WIRE__EXPLAIN_JOB__INIT;
	struct buffer why = BUFFER_EMPTY;
	struct error unheard;
	struct reply reply;
	body.job = id;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_EXPLAIN_JOB;
	request.explain_job = &body;
	client_set_timeout(context->client, msec_earlier(context->timeout, EXPLAIN_MS));
	if (client_ask(context->client, &request, SLICE(""), &reply, &unheard) == 0) {
		uint64_t waiting = member_number(reply.payload, "waiting");
		member_text(reply.payload, "why", &why);
		if (waiting > 0)
			printf("\n%" PRIu64 " task%s wait%s for a place\n%s", waiting, waiting == 1 ? "" : "s", waiting == 1 ? "s" : "",
			       buffer_string(&why));
		reply_finish(&reply);
	}
	client_set_timeout(context->client, context->timeout);
	buffer_finish(&why);
}

int run_job_status(struct context *context, const struct arguments *arguments)
{
	const char *parameters[] = {arguments->values[0]};
	uint64_t id;
	if (!parse_job(arguments->values[0], &id))
		return EXIT_USAGE;
	int code = print_record(
		context, "job", "job", parameters[0],
		"SELECT id, name, version, type, state, " EXIT_OF_JOB
		" AS exit_code, priority, count, running, completed, failed,"
		" lost, submitted_ms, started_ms, next_ms, (SELECT count(*) FROM job AS r WHERE r.parent = job.id) AS runs,"
		" (SELECT max(id) FROM job AS r WHERE r.parent = job.id) AS last_run, finished_ms, error"
		" FROM job WHERE id = CAST(?1 AS INTEGER)");
	if (code != EXIT_DONE || context->form != OUTPUT_TABLE)
		return code;
	code = print_counts(context, parameters);
	if (code == EXIT_DONE)
		explain(context, id);
	if (code == EXIT_DONE)
		code = print_tasks(context, parameters);
	return code != EXIT_DONE ? code : print_events(context, parameters);
}

int run_job_history(struct context *context, const struct arguments *arguments)
{
	const char *parameters[] = {arguments->values[0]};
	uint64_t id;
	if (!parse_job(arguments->values[0], &id))
		return EXIT_USAGE;
	int code = need_row(context, "job", "job", arguments->values[0]);
	if (code != 0)
		return code;
	return print_query(
		context,
		"SELECT a.id, a.job, a.task, a.attempt, a.version, coalesce(n.name, a.node) AS node, a.state, a.exit_code,"
		" a.exit_signal, a.placed_ms, a.started_ms, a.finished_ms, a.error FROM allocation AS a"
		" LEFT JOIN node AS n ON n.id = a.node WHERE " WITH_RUNS
		" ORDER BY a.id",
		parameters, 1);
}

/* --- from inside of a task ----------------------------------------------------------------------------------------- */

int run_allocation_ready(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__TaskReady body = CLUSTERD__WIRE__TASK_READY__INIT;
	struct reply reply;
	uint64_t job = 0;
	const char *id = arguments->value_count > 0 ? arguments->values[0] : getenv("CLUSTERD_ALLOCATION");
	if (id == NULL) {
		fprintf(stderr, "clusterctl: which allocation? A task has CLUSTERD_ALLOCATION in its environment\n");
		return EXIT_USAGE;
	}
	if (!parse_number(id, "an allocation", &body.allocation))
		return EXIT_USAGE;
	int code = need_client(context);
	if (code != 0)
		return code;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_TASK_READY;
	request.task_ready = &body;
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0)
		return report(context);
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_STARTED)
		job = reply.response->started->instance;
	reply_finish(&reply);
	return await_job(context, job, true);
}

/* --- allocations --------------------------------------------------------------------------------------------------- */

#define ALLOCATIONS \
	"SELECT a.id, a.job, j.name, a.task, a.attempt, a.version, coalesce(n.name, a.node) AS node, a.state, a.healthy," \
	" a.exit_code, a.exit_signal, a.ports, a.placed_ms, a.started_ms, a.finished_ms, a.error FROM allocation AS a" \
	" LEFT JOIN node AS n ON n.id = a.node LEFT JOIN job AS j ON j.id = a.job WHERE "

int run_allocation_list(struct context *context, const struct arguments *arguments)
{
	const char *job = arguments->flags[0] != NULL ? arguments->flags[0] : "";
	const char *node = arguments->flags[1] != NULL ? arguments->flags[1] : "";
	const char *parameters[] = {job, node, arguments->flags[2] != NULL ? "1" : "0"};
	uint64_t id;
	if (job[0] != '\0' && !parse_job(job, &id))
		return EXIT_USAGE;
	return print_query(context,
	                   ALLOCATIONS "(?1 = '' OR a.job = CAST(?1 AS INTEGER)) AND (?2 = '' OR n.name = ?2 OR a.node = ?2)"
	                               " AND (?3 = '1' OR a.finished_ms IS NULL) ORDER BY a.id DESC",
	                   parameters, 3);
}

int run_allocation_status(struct context *context, const struct arguments *arguments)
{
	uint64_t id;
	if (!parse_number(arguments->values[0], "an allocation", &id))
		return EXIT_USAGE;
	return print_record(context, "allocation", "allocation", arguments->values[0], ALLOCATIONS "a.id = CAST(?1 AS INTEGER)");
}

/* --- nodes --------------------------------------------------------------------------------------------------------- */

int run_node_eligibility(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__SetEligible body = CLUSTERD__WIRE__SET_ELIGIBLE__INIT;
	bool enable = arguments->flags[0] != NULL;
	if (enable == (arguments->flags[1] != NULL)) {
		fprintf(stderr, "clusterctl: one of --enable and --disable is needed\n");
		return EXIT_USAGE;
	}
	body.member = (char *)(uintptr_t)arguments->values[0];
	body.eligible = enable;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_SET_ELIGIBLE;
	request.set_eligible = &body;
	return ask_simple(context, &request, SLICE(""));
}

#define DRAIN_WITHIN_MS (3600 * 1000)
#define LOOK_AGAIN_US 200000

/* Of the node with this name or id: 1: drained; 0: it is being drained; −1: neither, or the exit code was told. */
static int drain_state(struct context *context, const char *name, int *ret_code)
{
	struct reply reply;
	struct json_iterator rows;
	struct slice key;
	struct slice row;
	const char *parameters[] = {name};
	*ret_code = ask_query(context, "SELECT coalesce(drain, '') FROM node WHERE name = ?1 OR CAST(id AS TEXT) = ?1", parameters, 1,
	                      &reply);
	if (*ret_code != 0)
		return -1;
	json_iterate(&rows, reply.payload);
	int state = -1;
	if (json_next(&rows, &key, &row))
		state = slice_is(row, "[\"drained\"]") ? 1 : slice_is(row, "[\"draining\"]") ? 0 : -1;
	reply_finish(&reply);
	return state;
}

static int await_drained(struct context *context, const char *name)
{
	int code = EXIT_DONE;
	int state;
	long long waited = 0;
	while ((state = drain_state(context, name, &code)) == 0) {
		if (context->timeout_given && waited >= context->timeout) {
			fprintf(stderr, "clusterctl: %s is still being drained; it goes on\nSee: clusterctl node status\n", name);
			return EXIT_TIME;
		}
		usleep(LOOK_AGAIN_US);
		waited += LOOK_AGAIN_US / 1000;
	}
	if (state < 0 && code == EXIT_DONE) {
		fprintf(stderr, "clusterctl: %s is not drained any more: somebody uses it again\n", name);
		return EXIT_FAILED;
	}
	return code;
}

int run_node_drain(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__DrainNode body = CLUSTERD__WIRE__DRAIN_NODE__INIT;
	msec within = DRAIN_WITHIN_MS;
	if (arguments->flags[0] != NULL && parser_duration(slice_of(arguments->flags[0]), &within) != 0) {
		fprintf(stderr, "clusterctl: --deadline is a duration such as 30s or 1h, not \"%s\"\n", arguments->flags[0]);
		return EXIT_USAGE;
	}
	body.member = (char *)(uintptr_t)arguments->values[0];
	body.within_ms = (uint64_t)within;
	body.cancel = arguments->flags[1] != NULL;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_DRAIN_NODE;
	request.drain_node = &body;
	int code = ask_simple(context, &request, SLICE(""));
	if (code != EXIT_DONE || body.cancel || arguments->flags[2] != NULL)
		return code;
	return await_drained(context, arguments->values[0]);
}

int run_node_status(struct context *context, const struct arguments *arguments)
{
	const char *parameters[] = {arguments->value_count > 0 ? arguments->values[0] : ""};
	return print_query(context,
	                   "SELECT id, name, role, state, eligible, coalesce(drain, '') AS drain, drain_until_ms,"
	                   " cpu / 1000.0 AS cpu, memory,"
	                   " (SELECT count(*) FROM allocation WHERE node = node.id AND finished_ms IS NULL) AS tasks"
	                   " FROM node WHERE ?1 = '' OR name = ?1 OR CAST(id AS TEXT) = ?1 ORDER BY name, id",
	                   parameters, 1);
}
