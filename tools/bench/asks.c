#include "base/error.h"
#include "base/memory.h"
#include "line.h"
#include "net/loop.h"
#include "process.h"
#include "wire/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clusterd-asks: one client that stays connected, and asks a node again and again, while a job runs. tasks.sh runs it. */

#define PAUSE_MS 10 /* between an answer and the next request */
#define TIMES_MAX 1000000

static const char usage[] =
	"usage: clusterd-asks ADDRESS JOB\n"
	"\n"
	"Asks for the node's status, and then for the row of the job as `clusterctl job status -o json` does, until the job has\n"
	"ended. Prints for each of the two: how many answers, p50, p99 and the slowest one in ms. CLUSTERD_TOKEN as for clusterctl.\n";

static const char job_sql[] =
	"SELECT id, name, version, type, state, (SELECT exit_code FROM allocation WHERE job = job.id"
	" AND finished_ms IS NOT NULL ORDER BY finished_ms DESC, id DESC LIMIT 1) AS exit_code, priority, count, running,"
	" completed, failed, lost, submitted_ms, started_ms, next_ms, (SELECT count(*) FROM job AS r WHERE r.parent = job.id) AS runs,"
	" (SELECT max(id) FROM job AS r WHERE r.parent = job.id) AS last_run, finished_ms, error"
	" FROM job WHERE id = CAST(?1 AS INTEGER)";

enum kind { STATUS, JOB, KINDS };

struct times {
	double *list;
	size_t count;
	size_t capacity;
};

static struct {
	struct loop *loop;
	struct loop_timer *timer;
	struct line *line;
	const char *job;
	enum kind kind;
	double since_us;
	struct times times[KINDS];
	int code;
} asks;

static void ask(void *context)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Status status = CLUSTERD__WIRE__STATUS__INIT;
	Clusterd__Wire__Query query = CLUSTERD__WIRE__QUERY__INIT;
	char *parameters[] = {(char *)(uintptr_t)asks.job};
	(void)context;
	if (asks.kind == STATUS) {
		request.body_case = CLUSTERD__WIRE__REQUEST__BODY_STATUS;
		request.status = &status;
	} else {
		request.body_case = CLUSTERD__WIRE__REQUEST__BODY_QUERY;
		request.query = &query;
		query.sql = (char *)(uintptr_t)job_sql;
		query.parameters = parameters;
		query.n_parameters = 1;
	}
	asks.since_us = clock_us();
	line_send(asks.line, FRAME_REQUEST, 1, &request.base, SLICE(""));
}

static bool has(struct slice text, const char *part)
{
	return memmem(text.data, text.size, part, strlen(part)) != NULL;
}

static void take_frame(void *context, const struct frame *frame)
{
	struct times *times = &asks.times[asks.kind];
	(void)context;
	if (frame->type != FRAME_RESPONSE)
		return;
	if (times->count < TIMES_MAX) {
		mem_grow(times->list, times->capacity, times->count + 1);
		times->list[times->count++] = clock_us() - asks.since_us;
	}
	if (asks.kind == JOB && (has(frame->payload, "\"completed\"") || has(frame->payload, "\"failed\""))) {
		loop_stop(asks.loop);
		return;
	}
	asks.kind = asks.kind == STATUS ? JOB : STATUS;
	loop_timer_set(asks.timer, loop_now(asks.loop) + PAUSE_MS);
}

static void line_has_ended(void *context, const struct error *reason)
{
	(void)context;
	fprintf(stderr, "clusterd-asks: %s\n", reason->text);
	asks.code = 1;
	loop_stop(asks.loop);
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left;
	double b = *(const double *)right;
	return (a > b) - (a < b);
}

static void print(const char *name, struct times *times)
{
	if (times->count == 0)
		return;
	qsort(times->list, times->count, sizeof *times->list, compare);
	printf("%s %zu %.1f %.1f %.1f\n", name, times->count, times->list[times->count / 2] / 1e3,
	       times->list[times->count - 1 - times->count / 100] / 1e3, times->list[times->count - 1] / 1e3);
	mem_free(times->list);
}

int main(int count, char **words)
{
	static const struct line_handler handler = {ask, take_frame, line_has_ended};
	struct error error;
	if (count != 3)
		return fputs(usage, stdout), count == 1 ? 0 : 2;
	asks.job = words[2];
	if (loop_create(&asks.loop) != 0)
		return 1;
	asks.timer = loop_timer_create(asks.loop, ask, NULL);
	if (line_create(asks.loop, words[1], CLUSTERD__WIRE__ROLE__ROLE_CLIENT, &handler, NULL, &asks.line, &error) != 0)
		return fprintf(stderr, "clusterd-asks: %s\n", error.text), 1;
	loop_run(asks.loop);
	print("status", &asks.times[STATUS]);
	print("job", &asks.times[JOB]);
	line_destroy(asks.line);
	loop_timer_destroy(asks.timer);
	loop_destroy(asks.loop);
	return asks.code;
}
