#include "daemon/programs_internal.h"

#include "base/arena.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One that other nodes have: they are asked for it piece by piece, one after another when one fails. What is there already stays, since all
 * of them have the same bytes; when it does not have its hash in the end, it is begun anew with the next one. */

#define ANSWER_MS 10000 /* a piece comes within */
#define ROUNDS 3        /* through all who may have it, until it cannot be had */
#define ROUND_MS 500    /* before the next round; longer each time */
#define FAILED_MS 30000 /* one that failed is known so long to who asks how far it is */

enum fetch_state {
	FETCH_WAITS,  /* its turn has not come */
	FETCH_ASKS,   /* a node is to answer */
	FETCH_WRITES, /* the thread is at it */
	FETCH_NEXT,   /* the next node is to be asked */
	FETCH_RESTS,  /* until the next round */
	FETCH_THERE,
	FETCH_FAILED,
	FETCH_STATES,
};

#define IN(state) (1u << (state))
static const unsigned allowed_moves[FETCH_STATES] = {
	[FETCH_WAITS] = IN(FETCH_WRITES) | IN(FETCH_RESTS) | IN(FETCH_THERE),
	[FETCH_ASKS] = IN(FETCH_WRITES) | IN(FETCH_NEXT),
	[FETCH_WRITES] = IN(FETCH_ASKS) | IN(FETCH_NEXT) | IN(FETCH_THERE) | IN(FETCH_FAILED),
	[FETCH_NEXT] = IN(FETCH_ASKS) | IN(FETCH_WRITES) | IN(FETCH_RESTS) | IN(FETCH_FAILED),
	[FETCH_RESTS] = IN(FETCH_ASKS) | IN(FETCH_WRITES) | IN(FETCH_RESTS) | IN(FETCH_THERE) | IN(FETCH_FAILED),
};

struct fetch {
	struct programs *programs;
	char hash[DIGEST_SIZE];
	uint64_t size;
	enum fetch_state state;
	bool wanted; /* somebody is to be told */
	bool told;
	struct slice *at; /* names, in the arena */
	size_t at_count;
	struct arena arena;
	uint64_t sources[PROGRAM_SOURCES_MAX];
	size_t source_count;
	size_t source;
	uint32_t round;
	uint32_t stream; /* of the request */
	struct part *part;
	msec due;
	struct error error; /* the last one */
	TAILQ_ENTRY(fetch) link;
};

struct fetch_work {
	struct job job;
	struct fetch *fetch;
	struct part *part;
	bool opens;
	struct buffer bytes;
	int code;
	struct error error;
};

static void move(struct fetch *fetch, enum fetch_state to, msec wait)
{
	struct programs *programs = fetch->programs;
	assert((allowed_moves[fetch->state] & IN(to)) != 0);
	fetch->state = to;
	fetch->due = loop_now(programs->loop) + wait;
	if (fetch->due < programs->due) {
		programs->due = fetch->due;
		loop_timer_set(programs->soon, fetch->due);
	}
}

static void fetch_free(struct fetch *fetch)
{
	TAILQ_REMOVE(&fetch->programs->fetches, fetch, link);
	fetch->programs->fetch_count--;
	part_destroy(fetch->part);
	arena_finish(&fetch->arena);
	mem_free(fetch);
}

static bool is_active(const struct fetch *fetch)
{
	return fetch->state > FETCH_WAITS && fetch->state < FETCH_THERE;
}

static void ends(struct fetch *fetch, enum fetch_state how)
{
	part_destroy(fetch->part);
	fetch->part = NULL;
	move(fetch, how, 0);
}

/* --- the nodes ----------------------------------------------------------------------------------------------------- */

static void ask(struct fetch *fetch)
{
	struct programs *programs = fetch->programs;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__ReadProgram body = CLUSTERD__WIRE__READ_PROGRAM__INIT;
	move(fetch, FETCH_ASKS, 2 * ANSWER_MS);
	fetch->stream = programs->next_stream++;
	body.node = fetch->sources[fetch->source];
	body.hash = fetch->hash;
	body.offset = fetch->part->offset;
	body.size = PROGRAM_PIECE_MAX;
	request.timeout_ms = ANSWER_MS;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_READ_PROGRAM;
	request.read_program = &body;
	programs->handler.ask(programs->context, fetch->stream, &request);
}

static void work_run(struct job *job)
{
	struct fetch_work *work = (struct fetch_work *)job;
	work->code = work->opens ? part_open(work->part, &work->error)
	                         : part_add(work->part, buffer_slice(&work->bytes), &work->error);
}

static void work_done(struct job *job)
{
	struct fetch_work *work = (struct fetch_work *)job;
	struct fetch *fetch = work->fetch;
	int code = work->code;
	if (code != 0)
		fetch->error = work->error;
	buffer_finish(&work->bytes);
	mem_free(work);
	if (fetch->programs->closing) {
		fetch_free(fetch);
	} else if (code == ERR_CORRUPT) { /* of which piece it is the fault nobody can say */
		part_destroy(fetch->part);
		fetch->part = NULL;
		move(fetch, FETCH_NEXT, 0);
	} else if (code != 0) {
		ends(fetch, FETCH_FAILED);
	} else if (fetch->part->offset == fetch->size) {
		program_came(fetch->programs, fetch->hash);
		ends(fetch, FETCH_THERE);
	} else {
		ask(fetch);
	}
}

static void give(struct fetch *fetch, bool opens, struct slice bytes)
{
	struct fetch_work *work = mem_zero(sizeof *work);
	work->job.run = work_run;
	work->job.done = work_done;
	work->fetch = fetch;
	work->part = fetch->part;
	work->opens = opens;
	buffer_append_slice(&work->bytes, bytes);
	move(fetch, FETCH_WRITES, MSEC_NEVER - loop_now(fetch->programs->loop));
	jobs_give(fetch->programs->jobs, &work->job);
}

/* With a part that is open, or is opened first. */
static void ask_or_open(struct fetch *fetch)
{
	if (fetch->part != NULL) {
		ask(fetch);
		return;
	}
	fetch->part = part_create(fetch->programs, fetch->hash, fetch->size);
	give(fetch, true, SLICE(""));
}

static void end_round(struct fetch *fetch)
{
	if (++fetch->round < ROUNDS)
		move(fetch, FETCH_RESTS, ROUND_MS * fetch->round);
	else
		ends(fetch, FETCH_FAILED);
}

static void begin_round(struct fetch *fetch)
{
	struct programs *programs = fetch->programs;
	if (program_is_here(programs, fetch->hash, fetch->size)) {
		ends(fetch, FETCH_THERE);
		return;
	}
	fetch->source = 0;
	fetch->source_count =
		programs->handler.holders(programs->context, fetch->at, fetch->at_count, fetch->sources, PROGRAM_SOURCES_MAX);
	if (fetch->source_count > 0) {
		ask_or_open(fetch);
		return;
	}
	error_set(&fetch->error, ERR_NOT_FOUND, "no other node is there");
	end_round(fetch);
}

static void next_source(struct fetch *fetch)
{
	fetch->source++;
	if (fetch->source < fetch->source_count)
		ask_or_open(fetch);
	else
		end_round(fetch);
}

void programs_answered(struct programs *programs, uint32_t stream, const Clusterd__Wire__Response *response, struct slice payload)
{
	struct fetch *fetch;
	TAILQ_FOREACH (fetch, &programs->fetches, link) {
		if (fetch->state == FETCH_ASKS && fetch->stream == stream)
			break;
	}
	if (fetch == NULL)
		return;
	const Clusterd__Wire__Program *body =
		response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_PROGRAM ? response->program : NULL;
	if (body != NULL && body->size == fetch->size && body->offset == fetch->part->offset && payload.size > 0 &&
	    payload.size <= fetch->size - fetch->part->offset) {
		give(fetch, false, payload);
		return;
	}
	if (response->error != NULL && response->error->code != 0)
		error_set(&fetch->error, response->error->code < 0 ? response->error->code : ERR_INVALID, "%s",
		          response->error->text);
	else
		error_set(&fetch->error, ERR_INVALID, "a node has answered something else than a piece of it");
	move(fetch, FETCH_NEXT, 0);
}

/* --- time ---------------------------------------------------------------------------------------------------------- */

/* Who waits for it may want another one at once. */
static void tell(struct fetch *fetch)
{
	struct programs *programs = fetch->programs;
	char *path = program_path(programs, fetch->hash);
	char why[ERROR_TEXT_SIZE];
	snprintf(why, sizeof why, "the program %.12s… cannot be had from any of %zu nodes: %.300s", fetch->hash, fetch->source_count,
	         fetch->error.text);
	fetch->told = true;
	programs->handler.supplied(programs->context, fetch->hash, fetch->state == FETCH_THERE ? path : NULL, why);
	mem_free(path);
}

/* Does what is due with one; true: which there are may be others now. */
static bool look_at(struct fetch *fetch, msec now)
{
	switch (fetch->state) {
	case FETCH_ASKS:
		error_set(&fetch->error, ERR_TIMEOUT, "a node has not answered in time");
		move(fetch, FETCH_NEXT, 0);
		break;
	case FETCH_NEXT:
		next_source(fetch);
		break;
	case FETCH_RESTS:
		begin_round(fetch);
		break;
	case FETCH_THERE:
	case FETCH_FAILED:
		if (fetch->wanted && !fetch->told) {
			tell(fetch);
			return true;
		}
		if (fetch->state == FETCH_FAILED && !fetch->told) {
			fetch->told = true;
			fetch->due = now + FAILED_MS;
			return false;
		}
		fetch_free(fetch);
		return true;
	default:
		break;
	}
	return false;
}

void fetches_due(struct programs *programs)
{
	struct fetch *fetch;
	uint32_t active = 0;
	msec now = loop_now(programs->loop);
	programs->due = MSEC_NEVER;
	for (fetch = TAILQ_FIRST(&programs->fetches); fetch != NULL;) {
		bool again = fetch->state != FETCH_WAITS && fetch->due <= now && look_at(fetch, now);
		fetch = again ? TAILQ_FIRST(&programs->fetches) : TAILQ_NEXT(fetch, link);
	}
	TAILQ_FOREACH (fetch, &programs->fetches, link)
		active += is_active(fetch);
	TAILQ_FOREACH (fetch, &programs->fetches, link) {
		if (fetch->state == FETCH_WAITS && active < PROGRAM_FETCHES_AT_ONCE) {
			begin_round(fetch);
			active += is_active(fetch);
		}
		if (fetch->state != FETCH_WAITS)
			programs->due = fetch->due < programs->due ? fetch->due : programs->due;
	}
	loop_timer_set(programs->soon, programs->due);
}

/* --- which --------------------------------------------------------------------------------------------------------- */

static struct fetch *find(const struct programs *programs, const char *hash)
{
	struct fetch *fetch;
	TAILQ_FOREACH (fetch, &programs->fetches, link) {
		if (strcmp(fetch->hash, hash) == 0)
			return fetch;
	}
	return NULL;
}

/* One that is there is told at once, when its turn comes; one that has failed is tried again. */
static struct fetch *find_or_add(struct programs *programs, const char *hash, uint64_t size)
{
	struct fetch *fetch = find(programs, hash);
	if (fetch != NULL && fetch->state == FETCH_FAILED && fetch->told) {
		fetch_free(fetch);
		fetch = NULL;
	}
	if (fetch != NULL)
		return fetch;
	fetch = mem_zero(sizeof *fetch);
	fetch->programs = programs;
	snprintf(fetch->hash, sizeof fetch->hash, "%s", hash);
	fetch->size = size;
	TAILQ_INSERT_TAIL(&programs->fetches, fetch, link);
	programs->fetch_count++;
	programs->due = loop_now(programs->loop);
	loop_timer_set(programs->soon, programs->due);
	return fetch;
}

static void name_sources(struct fetch *fetch, size_t count)
{
	fetch->at = arena_alloc(&fetch->arena, (count + 1) * sizeof *fetch->at);
	fetch->at_count = count;
}

void fetch_want(struct programs *programs, const struct job_program *program)
{
	char hash[DIGEST_SIZE];
	snprintf(hash, sizeof hash, "%.*s", SLICE_ARGS(program->hash));
	struct fetch *fetch = find_or_add(programs, hash, program->size);
	fetch->wanted = true;
	fetch->told = false;
	if (fetch->at != NULL)
		return;
	name_sources(fetch, program->at_count);
	for (size_t i = 0; i < program->at_count; i++)
		fetch->at[i] = slice_of(arena_string(&fetch->arena, program->at[i]));
}

static void answer(struct programs *programs, uint64_t connection, uint32_t stream, uint64_t offset, uint64_t size, bool stored)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Program body = CLUSTERD__WIRE__PROGRAM__INIT;
	body.offset = offset;
	body.size = size;
	body.stored = stored;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_PROGRAM;
	response.program = &body;
	programs->handler.answer(programs->context, connection, stream, &response, SLICE(""));
}

void fetch_request(struct programs *programs, uint64_t connection, uint32_t stream, const Clusterd__Wire__KeepProgram *body)
{
	struct error error = {0};
	struct fetch *fetch = find(programs, body->hash);
	if (program_check(programs, slice_of(body->hash), body->size, &error) != 0) {
		program_refuse(programs, connection, stream, error.code, "%s", error.text);
	} else if (program_is_here(programs, body->hash, body->size)) {
		answer(programs, connection, stream, body->size, body->size, true);
	} else if (fetch != NULL && fetch->state == FETCH_FAILED) {
		program_refuse(programs, connection, stream, fetch->error.code != 0 ? fetch->error.code : ERR_NOT_FOUND,
		               "the program cannot be had: %s", fetch->error.text);
		if (fetch->told)
			fetch_free(fetch);
	} else if (fetch == NULL && programs->fetch_count >= PROGRAM_FETCHES_MAX) {
		program_refuse(programs, connection, stream, ERR_BUSY, "%u programs are being fetched here already", PROGRAM_FETCHES_MAX);
	} else {
		if (fetch == NULL) {
			fetch = find_or_add(programs, body->hash, body->size);
			size_t count = body->n_at < JOB_PROGRAM_NODES_MAX ? body->n_at : JOB_PROGRAM_NODES_MAX;
			name_sources(fetch, count);
			for (size_t i = 0; i < count; i++)
				fetch->at[i] = slice_of(arena_string(&fetch->arena, slice_of(body->at[i])));
		}
		answer(programs, connection, stream, fetch->part != NULL && fetch->state == FETCH_ASKS ? fetch->part->offset : 0,
		       fetch->size, false);
	}
}

void fetches_finish(struct programs *programs)
{
	struct fetch *fetch;
	struct fetch *next;
	for (fetch = TAILQ_FIRST(&programs->fetches); fetch != NULL; fetch = next) {
		next = TAILQ_NEXT(fetch, link);
		if (fetch->state != FETCH_WRITES)
			fetch_free(fetch); /* else the thread has it */
	}
}
