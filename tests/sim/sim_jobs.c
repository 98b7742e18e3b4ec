#include "sim/sim_client.h"
#include "sim/sim_jobs.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Clients that want jobs: which, and what they are told. */

/* --- what is wanted ------------------------------------------------------------------------------------------------ */

static const char *some_needs(struct sim *sim)
{
	static const char *const needs[] = {
		"",
		"cpu = 2",
		"cpu = 0.2",
		"cpu = 1 memory = \"100MiB\"",
		"memory = \"300MiB\" placement = spread",
		"ports = [\"http\"]",
		"ports = [\"http\", \"admin\"] cpu = 0.1 priority = 60",
		"ports = {http: 8080}",
		"placement = random priority = 70",
		"priority = 30 cpu = 0.5",
	};
	return needs[sim_below(sim, sizeof needs / sizeof needs[0])];
}

/* All services together always have room. */
static const char *const small[] = {"", "cpu = 0.1", "memory = \"10MiB\" cpu = 0.05", "ports = [\"http\"]"};

static bool shape_is_group(enum job_shape shape)
{
	return (shape >= SHAPE_GROUP && shape <= SHAPE_MUTE) || shape == SHAPE_JOINT;
}

static void choose(struct sim *sim, struct job_run *run)
{
	static const enum job_shape shapes[] = {
		SHAPE_BATCH, SHAPE_BATCH,   SHAPE_DISPATCHED, SHAPE_DISPATCHED, SHAPE_DISPATCHED, SHAPE_BRITTLE,
		SHAPE_GROUP, SHAPE_FRAGILE, SHAPE_MUTE,       SHAPE_SERVICE,    SHAPE_SERVICE,    SHAPE_JOINT,
		SHAPE_JOINT, SHAPE_SYSTEM,  SHAPE_PERIODIC};
	run->shape = shapes[sim_below(sim, sizeof shapes / sizeof shapes[0])];
	if (sim->sessions_short && run->shape < SHAPE_FIRST_THAT_STAYS)
		run->shape = SHAPE_DISPATCHED; /* begun twice it is one job nevertheless */
	run->needs = some_needs(sim);
	run->count = 1 + (uint32_t)sim_below(sim, (uint64_t[]){1, 5, 5, 50}[sim_below(sim, 4)]);
	run->kind = sim_chance(sim, 75) ? "quick" : "long";
	run->stop_wanted = sim_chance(sim, 20);
	if (run->shape == SHAPE_BRITTLE)
		run->kind = "fails";
	if (run->shape >= SHAPE_FIRST_THAT_STAYS) {
		run->kind = sim_chance(sim, 80) ? "serves" : "deaf";
		run->changes = (uint32_t)sim_below(sim, 4);
	}
	if (run->shape >= SHAPE_FIRST_THAT_STAYS || shape_is_group(run->shape)) {
		run->count = 1 + (uint32_t)sim_below(sim, 3);
		run->needs = small[sim_below(sim, sizeof small / sizeof small[0])];
	}
	if (shape_is_group(run->shape))
		run->kind = run->shape == SHAPE_MUTE ? "mute" : run->shape == SHAPE_JOINT ? "stays" : "joins";
	if (run->shape == SHAPE_PERIODIC) {
		run->kind = sim_chance(sim, 50) ? "quick" : "slow";
		run->overlap = (const char *[]){"skip", "allow", "replace"}[sim_below(sim, 3)];
	}
	/* One on each node. */
	if (strstr(run->needs, "random") != NULL && run->count > 1)
		run->count = sim->founder_count > 2 ? 3 : 1;
	if (strstr(run->needs, "8080") != NULL && run->count > 5)
		run->count = 5;
}

static void text_of(const struct job_run *run, struct buffer *out)
{
	static const char *const types[SHAPE_COUNT] = {"batch", "batch",   "batch",   "batch",  "batch",
	                                               "batch", "service", "service", "system", "periodic"};
	bool ends = run->shape < SHAPE_FIRST_THAT_STAYS || run->shape == SHAPE_PERIODIC;
	buffer_format(out, "job %s { type = %s exec = [\"%s\", \"%u\"] %s stop_grace = 2s backoff = 50ms backoff_max = 400ms", run->name,
	              types[run->shape], run->kind, run->edition, run->needs);
	if (run->shape != SHAPE_SYSTEM)
		buffer_format(out, " count = %u", run->written);
	if (run->shape == SHAPE_DISPATCHED)
		buffer_format(out, " parameters = {x: Number}");
	if (ends)
		buffer_format(out, " retries = %u", run->shape == SHAPE_BRITTLE ? 1 : 500);
	if (shape_is_group(run->shape))
		buffer_format(out, " group = %s register_timeout = %s", run->shape == SHAPE_FRAGILE ? "stop" : "restart",
		              run->shape == SHAPE_MUTE ? "4s" : "1h");
	if (run->shape == SHAPE_PERIODIC)
		buffer_format(out, " schedule = \"* * * * *\" overlap = %s", run->overlap);
	buffer_format(out, " }\n");
}

/* --- requests ------------------------------------------------------------------------------------------------------ */

static void add_request(struct sim_client *client, enum request_kind kind, struct job_run *run, uint32_t number)
{
	struct client_request *request = request_add(client, kind, NULL);
	request->job = run;
	request->number = number;
	if (run != NULL)
		run->busy = true;
}

static void want_job(struct sim *sim, struct sim_client *client)
{
	struct job_run *run = mem_zero(sizeof *run);
	uint64_t number = sim->next_x++;
	choose(sim, run);
	run->written = run->count;
	run->client = client->number;
	snprintf(run->name, sizeof run->name, "%s%" PRIu64,
	         shape_is_group(run->shape) ? "group" : run->overlap != NULL ? run->overlap : "j", number);
	if (run->shape == SHAPE_DISPATCHED)
		snprintf(run->key, sizeof run->key, "job-%" PRIu64, number);
	run->next = sim->jobs;
	sim->jobs = run;
	client->jobs_wanted--;
	add_request(client, run->shape == SHAPE_DISPATCHED ? REQUEST_JOB_REGISTER : REQUEST_JOB_RUN, run, 0);
}

static bool want_change(struct sim *sim, struct sim_client *client, struct job_run *run)
{
	if (run->changes == 0 || run->stop_sent || run->id == 0 || sim->calm || !sim_chance(sim, 10))
		return false;
	run->changes--;
	if (run->shape == SHAPE_SERVICE && sim_chance(sim, 50)) {
		add_request(client, REQUEST_JOB_SCALE, run, (uint32_t)sim_below(sim, 5));
		return true;
	}
	run->edition++;
	add_request(client, REQUEST_JOB_RUN, run, 0);
	return true;
}

static bool want_about(struct sim *sim, struct sim_client *client, struct job_run *run)
{
	if (run->busy)
		return false;
	if (run->registered && run->id == 0) {
		add_request(client, REQUEST_JOB_DISPATCH, run, 0);
		return true;
	}
	if (run->id != 0 && run->stop_wanted && !run->stop_sent && (sim->calm || sim_chance(sim, 10))) {
		run->stop_sent = true;
		add_request(client, REQUEST_JOB_STOP, run, 0);
		return true;
	}
	if (run->shape == SHAPE_DISPATCHED && run->id != 0 && !sim->expired && !sim->calm && sim_chance(sim, 2)) {
		add_request(client, REQUEST_JOB_DISPATCH, run, 0); /* the same key once more */
		return true;
	}
	return want_change(sim, client, run);
}

bool jobs_want(struct sim *sim, struct sim_client *client)
{
	if (nodes_want(sim, client))
		return true;
	for (struct job_run *run = sim->jobs; run != NULL; run = run->next) {
		if (sim->closing && run->shape >= SHAPE_FIRST_THAT_STAYS)
			run->stop_wanted = true;
		if (run->client == client->number && want_about(sim, client, run))
			return true;
	}
	if (client->jobs_wanted == 0 || sim->expired || !sim_chance(sim, sim->calm ? 50 : sim->rate))
		return false;
	want_job(sim, client);
	return true;
}

bool jobs_wait(const struct sim *sim, const struct sim_client *client)
{
	if (client->jobs_wanted > 0 || nodes_wait(sim, client))
		return true;
	for (const struct job_run *run = sim->jobs; run != NULL; run = run->next) {
		if (run->client == client->number && (run->busy || run->id == 0 || run->stop_wanted != run->stopped))
			return true;
	}
	return false;
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

static union {
	Clusterd__Wire__Register registering;
	Clusterd__Wire__DispatchJob dispatch;
	Clusterd__Wire__StopJob stop;
	Clusterd__Wire__ScaleJob scale;
} body;
static Clusterd__Wire__SourceFile file;
static Clusterd__Wire__SourceFile *files[1];
static char path[24];

static void fill_text(struct sim *sim, const struct client_request *request, Clusterd__Wire__Request *message)
{
	clusterd__wire__register__init(message->register_ = &body.registering);
	clusterd__wire__source_file__init(files[0] = &file);
	message->body_case = CLUSTERD__WIRE__REQUEST__BODY_REGISTER;
	message->register_->files = files;
	message->register_->n_files = 1;
	message->register_->run_jobs = request->kind == REQUEST_JOB_RUN;
	text_of(request->job, &sim->scratch);
	snprintf(path, sizeof path, "%s.flow", request->job->name);
	file.path = path;
	file.text.data = (uint8_t *)sim->scratch.data;
	file.text.len = sim->scratch.size;
}

void jobs_fill(struct sim *sim, const struct client_request *request, Clusterd__Wire__Request *message)
{
	switch (request->kind) {
	case REQUEST_JOB_DISPATCH:
		clusterd__wire__dispatch_job__init(message->dispatch_job = &body.dispatch);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_DISPATCH_JOB;
		body.dispatch.name = request->job->name;
		body.dispatch.key = request->job->key;
		buffer_append_string(&sim->scratch, "{\"x\":1}");
		break;
	case REQUEST_JOB_STOP:
		clusterd__wire__stop_job__init(message->stop_job = &body.stop);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_STOP_JOB;
		body.stop.job = request->job->id;
		break;
	case REQUEST_JOB_SCALE:
		clusterd__wire__scale_job__init(message->scale_job = &body.scale);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_SCALE_JOB;
		body.scale.job = request->job->id;
		body.scale.count = request->number;
		break;
	case REQUEST_ELIGIBLE:
	case REQUEST_DRAIN:
		nodes_fill(request, message);
		break;
	default:
		fill_text(sim, request, message);
		break;
	}
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static void note_id(struct sim *sim, struct job_run *run, uint64_t id)
{
	if (run->id != 0 && run->id != id)
		sim_fail(sim, "job %s was acknowledged as %" PRIu64 ", and then as %" PRIu64, run->name, run->id, id);
	if (run->id == 0)
		sim_trace(sim, "job %s has the id %" PRIu64, run->name, id);
	run->id = id;
}

static void take_run(struct sim *sim, struct job_run *run, struct slice payload)
{
	struct buffer text = BUFFER_EMPTY;
	buffer_append_slice(&text, payload);
	const char *id = strstr(buffer_string(&text), "\"id\":");
	if (id == NULL)
		sim_fail(sim, "job %s was run, and no id is told: %s", run->name, buffer_string(&text));
	note_id(sim, run, strtoull(id + strlen("\"id\":"), NULL, 10));
	buffer_finish(&text);
}

void jobs_answer(struct sim *sim, const struct client_request *request, const Clusterd__Wire__Response *response,
                 struct slice payload)
{
	struct job_run *run = request->job;
	int code = response->error != NULL ? response->error->code : 0;
	if (request->member != NULL) {
		nodes_answer(sim, request, code);
		return;
	}
	run->busy = false;
	if (code != 0)
		sim_fail(sim, "request %d about job %s (%" PRIu64 ") is refused: %s", (int)request->kind, run->name, run->id,
		         response->error->text);
	switch (request->kind) {
	case REQUEST_JOB_REGISTER:
		run->registered = true;
		break;
	case REQUEST_JOB_RUN:
		take_run(sim, run, payload);
		break;
	case REQUEST_JOB_DISPATCH:
		note_id(sim, run, response->started->instance);
		break;
	case REQUEST_JOB_STOP:
		run->stopped = true;
		break;
	default:
		run->count = request->number;
		break;
	}
}

void jobs_finish(struct sim *sim)
{
	struct sim_ran *ran;
	struct sim_ran *next;
	while (sim->jobs != NULL) {
		struct job_run *run = sim->jobs;
		sim->jobs = run->next;
		mem_free(run);
	}
	HASH_ITER (hh, sim->ran, ran, next) {
		HASH_DELETE(hh, sim->ran, ran);
		mem_free(ran);
	}
}
