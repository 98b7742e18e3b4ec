#include "command.h"

#include "base/json.h"
#include "base/memory.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* Live progress on a terminal: a line for each running call, or a bar where a process is called many times. It is drawn over
 * itself on stderr and gone at the end, so that stdout holds the result alone. */

#define REDRAW_MS 200
#define BAR_WIDTH 24
#define BAR_FROM 6 /* calls of one process: fewer get a line each */
#define LINES_MAX 15

static const char calls_sql[] =
	"SELECT process, count(*), sum(state = 'done'), sum(state = 'running'), sum(state = 'backoff'), "
	"sum(state IN ('failed', 'cancelled')), max(CASE WHEN state = 'running' THEN coalesce(started_ms, called_ms) END), "
	"max(attempts) FROM pi_call WHERE instance = CAST(?1 AS INTEGER) GROUP BY process ORDER BY min(ref)";

struct screen {
	unsigned lines; /* drawn, to be drawn over */
	bool colour;
};

static void screen_clear(struct screen *screen)
{
	for (; screen->lines > 0; screen->lines--)
		fputs("\033[1A\033[2K", stderr);
}

static void draw_process(struct screen *screen, const long long *counts, const char *process)
{
	long long total = counts[0];
	long long done = counts[1];
	fprintf(stderr, "  %-20s ", process);
	if (total >= BAR_FROM) {
		int filled = (int)(done * BAR_WIDTH / total);
		fputs(screen->colour ? "\033[32m" : "", stderr);
		for (int i = 0; i < BAR_WIDTH; i++)
			fputs(i < filled ? "█" : "░", stderr);
		fputs(screen->colour ? "\033[0m" : "", stderr);
		fprintf(stderr, " %lld/%lld", done, total);
	} else {
		fputs(done == total ? "done" : counts[2] > 0 ? "running" : "waiting", stderr);
		if (total > 1)
			fprintf(stderr, " (%lld of %lld done)", done, total);
	}
	if (counts[3] > 0)
		fprintf(stderr, ", %lld waiting to be tried again", counts[3]);
	if (counts[4] > 0)
		fprintf(stderr, ", %lld failed", counts[4]);
	fputs("\n", stderr);
	screen->lines++;
}

static void draw(struct context *context, struct screen *screen, uint64_t id)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Query body = CLUSTERD__WIRE__QUERY__INIT;
	char id_text[24];
	const char *parameters[1] = {id_text};
	struct reply reply;
	struct json_iterator rows;
	struct slice key;
	struct slice row;
	snprintf(id_text, sizeof id_text, "%" PRIu64, id);
	body.sql = (char *)(uintptr_t)calls_sql;
	body.parameters = (char **)(uintptr_t)parameters;
	body.n_parameters = 1;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_QUERY;
	request.query = &body;
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0)
		return;
	screen_clear(screen);
	fprintf(stderr, "workflow %" PRIu64 "\n", id);
	screen->lines++;
	json_iterate(&rows, reply.payload);
	while (json_next(&rows, &key, &row) && screen->lines < LINES_MAX) {
		struct json_iterator cells;
		struct slice value;
		struct buffer process = BUFFER_EMPTY;
		long long counts[5] = {0};
		json_iterate(&cells, row);
		json_next(&cells, &key, &value);
		json_unquote(&process, value);
		for (int i = 0; i < 5 && json_next(&cells, &key, &value); i++)
			json_integer(value, 0, INT64_MAX, &counts[i]);
		draw_process(screen, counts, buffer_string(&process));
		buffer_finish(&process);
	}
	reply_finish(&reply);
}

static int ask_end(struct context *context, uint64_t id, msec timeout, struct reply *ret_reply)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Wait body = CLUSTERD__WIRE__WAIT__INIT;
	body.instance = id;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_WAIT;
	request.wait = &body;
	client_set_timeout(context->client, timeout);
	int code = client_ask(context->client, &request, SLICE(""), ret_reply, &context->error);
	client_set_timeout(context->client, context->timeout);
	return code;
}

static int wait_with_progress(struct context *context, uint64_t id, msec deadline, struct reply *ret_reply)
{
	struct screen screen = {.colour = output_colour(stderr)};
	int code;
	for (;;) {
		code = ask_end(context, id, REDRAW_MS, ret_reply);
		bool waits = code == ERR_TIMEOUT || code == ERR_NOT_LEADER || code == ERR_BUSY;
		if (!waits || loop_now(client_loop(context->client)) >= deadline)
			break;
		client_leave(context->client);
		draw(context, &screen, id);
	}
	screen_clear(&screen);
	return code;
}

static int print_end(uint64_t id, const struct reply *reply)
{
	const Clusterd__Wire__Finished *finished = reply->response->finished;
	if (reply->response->body_case != CLUSTERD__WIRE__RESPONSE__BODY_FINISHED)
		return EXIT_FAILED;
	if (strcmp(finished->state, "completed") == 0) {
		fwrite(reply->payload.data, 1, reply->payload.size, stdout);
		putchar('\n');
		return EXIT_DONE;
	}
	fprintf(stderr, "clusterctl: workflow %" PRIu64 " %s%s: %s\n", id,
	        strcmp(finished->state, "stuck") == 0 ? "is " : "", finished->state, finished->error);
	fprintf(stderr, "See: clusterctl workflow history %" PRIu64 "\n", id);
	return EXIT_FAILED;
}

int await_end(struct context *context, uint64_t id)
{
	struct reply reply;
	msec timeout = context->timeout_given ? context->timeout : MSEC_NEVER;
	msec deadline = timeout == MSEC_NEVER ? MSEC_NEVER : loop_now(client_loop(context->client)) + timeout;
	int code = isatty(STDERR_FILENO) ? wait_with_progress(context, id, deadline, &reply)
	                                 : ask_end(context, id, timeout, &reply);
	if (code != 0)
		return report(context);
	code = print_end(id, &reply);
	reply_finish(&reply);
	return code;
}
