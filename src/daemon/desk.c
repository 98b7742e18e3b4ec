#include "daemon/desk.h"

#include "base/memory.h"
#include "net/jobs.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

struct desk {
	struct allocations *allocations;
	desk_answer *answer;
	void *context;
	struct jobs *jobs;
	struct loop_watch *watch;
	unsigned waiting;
};

/* A request on its way through the thread. */
struct errand {
	struct job job;
	struct desk *desk;
	uint64_t connection;
	uint32_t stream;
	int code;
	struct error error;
	/* Output: what is asked for, and what there is. */
	uint64_t allocation;
	bool standard_error;
	int64_t offset;
	uint32_t size;
	char path[PATH_MAX];
	bool over;   /* the task has ended */
	bool at_end;
	uint64_t begin;
	struct buffer bytes;
};

static void jobs_ready(void *context, bool readable, bool writable)
{
	struct desk *desk = context;
	(void)readable;
	(void)writable;
	jobs_collect(desk->jobs);
}

int desk_create(struct loop *loop, struct allocations *allocations, desk_answer *answer, void *context,
                struct desk **ret_desk, struct error *error)
{
	struct desk *desk = mem_zero(sizeof *desk);
	desk->allocations = allocations;
	desk->answer = answer;
	desk->context = context;
	int code = jobs_create("desk", &desk->jobs);
	if (code != 0) {
		desk_destroy(desk);
		return error_set(error, code, "the desk's thread cannot be started");
	}
	desk->watch = loop_watch_create(loop, jobs_descriptor(desk->jobs), jobs_ready, desk);
	loop_watch_set(desk->watch, true, false);
	*ret_desk = desk;
	return 0;
}

static void errand_destroy(struct errand *errand)
{
	buffer_finish(&errand->bytes);
	mem_free(errand);
}

static void errand_drop(struct job *job)
{
	errand_destroy((struct errand *)job);
}

void desk_destroy(struct desk *desk)
{
	if (desk == NULL)
		return;
	loop_watch_destroy(desk->watch);
	if (desk->jobs != NULL)
		jobs_abandon(desk->jobs, errand_drop);
	mem_free(desk);
}

static struct errand *errand_create(struct desk *desk, uint64_t connection, uint32_t stream, void (*run)(struct job *),
                                    void (*done)(struct job *))
{
	struct errand *errand = mem_zero(sizeof *errand);
	errand->job.run = run;
	errand->job.done = done;
	errand->desk = desk;
	errand->connection = connection;
	errand->stream = stream;
	return errand;
}

static void send(struct desk *desk, struct errand *errand)
{
	desk->waiting++;
	jobs_give(desk->jobs, &errand->job);
}

static void answer_error(const struct errand *errand)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Error error = CLUSTERD__WIRE__ERROR__INIT;
	error.code = errand->code;
	error.text = (char *)(uintptr_t)errand->error.text;
	response.error = &error;
	errand->desk->answer(errand->desk->context, errand->connection, errand->stream, &response, SLICE(""));
}

/* --- what tasks have written --------------------------------------------------------------------------------------- */

static int find_output(struct errand *errand)
{
	return allocations_find_output(errand->desk->allocations, errand->allocation, errand->path, sizeof errand->path,
	                               &errand->over, &errand->error);
}

static void output_run(struct job *job)
{
	struct errand *errand = (struct errand *)job;
	if (errand->code == 0)
		errand->code = task_output_read(errand->path, errand->standard_error ? "stderr" : "stdout", errand->offset,
		                                errand->size, &errand->bytes, &errand->begin, &errand->at_end,
		                                &errand->error);
}

/* Its directory went elsewhere meanwhile, when its end was acknowledged: it is looked for there. */
static bool has_moved(struct errand *errand)
{
	char before[PATH_MAX];
	memcpy(before, errand->path, sizeof before);
	return errand->code == ERR_NOT_FOUND && find_output(errand) == 0 && strcmp(before, errand->path) != 0;
}

static void output_done(struct job *job)
{
	struct errand *errand = (struct errand *)job;
	struct desk *desk = errand->desk;
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Output body = CLUSTERD__WIRE__OUTPUT__INIT;
	desk->waiting--;
	if (has_moved(errand)) {
		errand->code = 0;
		send(desk, errand);
		return;
	}
	if (errand->code != 0) {
		answer_error(errand);
	} else {
		body.offset = errand->begin;
		body.ended = errand->over && errand->at_end;
		response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_OUTPUT;
		response.output = &body;
		desk->answer(desk->context, errand->connection, errand->stream, &response, buffer_slice(&errand->bytes));
	}
	errand_destroy(errand);
}

static void read_output(struct desk *desk, uint64_t connection, uint32_t stream, const Clusterd__Wire__ReadOutput *body)
{
	struct errand *errand = errand_create(desk, connection, stream, output_run, output_done);
	errand->allocation = body->allocation;
	errand->standard_error = body->standard_error != 0;
	errand->offset = body->offset < 0 ? -1 : body->offset;
	errand->size = body->size < DESK_PIECE_MAX ? body->size : DESK_PIECE_MAX;
	errand->code = find_output(errand);
	send(desk, errand);
}

/* --- the door ------------------------------------------------------------------------------------------------------ */

static void refused_run(struct job *job)
{
	(void)job;
}

static void refused_done(struct job *job)
{
	struct errand *errand = (struct errand *)job;
	errand->desk->waiting--;
	answer_error(errand);
	errand_destroy(errand);
}

int desk_ask(struct desk *desk, uint64_t connection, uint32_t stream, const Clusterd__Wire__Request *request,
             struct slice payload)
{
	(void)payload;
	if (desk->waiting >= DESK_QUEUE_MAX)
		return ERR_BUSY;
	if (request->body_case == CLUSTERD__WIRE__REQUEST__BODY_READ_OUTPUT) {
		read_output(desk, connection, stream, request->read_output);
		return 0;
	}
	struct errand *errand = errand_create(desk, connection, stream, refused_run, refused_done);
	errand->code = error_set(&errand->error, ERR_UNSUPPORTED, "this node does not know this request");
	send(desk, errand);
	return 0;
}
