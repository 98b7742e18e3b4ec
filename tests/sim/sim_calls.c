#include "sim/sim.h"

#include "base/memory.h"

#include <inttypes.h>
#include <uthash.h>

/* Calls on the node's machine. They end with it. */

enum ending {
	END_RESULT,
	END_FAILURE,
	END_FINAL_FAILURE,
	END_WRONG_TYPE,
	END_BAD_METADATA,
	END_NEVER,
};

struct sim_call {
	struct call_id id;
	struct text *process;
	struct text *args;
	bool pool;
	bool abandoned;
	bool ended;
	bool beats;
	enum ending ending;
};

struct attempt_seen {
	struct call_id id;
	UT_hash_handle hh;
};

void calls_note_attempt(struct sim *sim, struct call_id call)
{
	struct attempt_seen *seen = mem_zero(sizeof *seen);
	struct attempt_seen *known;
	seen->id.instance = call.instance;
	seen->id.ref = call.ref;
	seen->id.attempt = call.attempt;
	HASH_FIND(hh, sim->attempts, &seen->id, sizeof seen->id, known);
	if (known != NULL)
		sim_fail(sim, "attempt %" PRIu64 " of call %u of workflow %" PRIu64 " was handed out twice", call.attempt,
		         call.ref, call.instance);
	HASH_ADD(hh, sim->attempts, id, sizeof seen->id, seen);
	sim->calls_made++;
}

/* --- results ------------------------------------------------------------------------------------------------------- */

/* The same result once more, to another instance that happens to call the same. */
static void plant_astray(struct server *server, const struct sim_call *call, struct slice value)
{
	if (server->sim->options.plant != PLANT_RESULT_ASTRAY)
		return;
	for (size_t i = 0; i < server->call_count; i++) {
		struct sim_call *other = server->calls[i];
		if (other->id.instance != call->id.instance && !other->ended && !other->abandoned &&
		    slice_equal(text_slice(other->process), text_slice(call->process))) {
			other->ended = true;
			node_call_finished(server->node, other->id, false, false, value, SLICE(""));
			return;
		}
	}
}

static void tell_end(void *subject, uint64_t which, uint64_t unused)
{
	struct server *server = subject;
	struct sim *sim = server->sim;
	struct sim_call *call = server->calls[which];
	struct buffer value = BUFFER_EMPTY;
	(void)unused;
	server_trace(server, "call %" PRIu64 "/%u attempt %" PRIu64 ": ends%s", call->id.instance, call->id.ref, call->id.attempt,
	          call->ending == END_RESULT ? "" : " badly");
	call->ended = true;
	flows_compute(text_slice(call->process), text_slice(call->args), &value);
	switch (call->ending) {
	case END_RESULT:
		node_call_finished(server->node, call->id, false, false, buffer_slice(&value),
		                   sim_chance(sim, 10) ? SLICE("{\"cost\":1}") : SLICE(""));
		plant_astray(server, call, buffer_slice(&value));
		break;
	case END_WRONG_TYPE:
		node_call_finished(server->node, call->id, false, false, SLICE("{\"neither\":1}"), SLICE(""));
		break;
	case END_BAD_METADATA:
		node_call_finished(server->node, call->id, false, false, buffer_slice(&value), SLICE("[1"));
		break;
	case END_FAILURE:
	case END_FINAL_FAILURE:
		node_call_finished(server->node, call->id, true, call->ending == END_FINAL_FAILURE, SLICE("out of \xff luck"),
		                   SLICE(""));
		break;
	case END_NEVER:
		break;
	}
	buffer_finish(&value);
}

static void beat(void *subject, uint64_t which, uint64_t unused)
{
	struct server *server = subject;
	const struct sim_call *call = server->calls[which];
	(void)unused;
	if (call->ended || call->abandoned)
		return;
	node_call_heartbeat(server->node, call->id);
	server_after(server, 100 + (msec)sim_below(server->sim, 150), beat, which, 0);
}

/* How a call goes. One that fails for good does so only where its workflow may fail. */
static void plan(struct server *server, size_t which)
{
	struct sim *sim = server->sim;
	struct sim_call *call = server->calls[which];
	bool fragile = slice_is(text_slice(call->process), "Fragile");
	uint64_t dice = sim_below(sim, 100);
	msec takes = sim_chance(sim, 70) ? (msec)sim_below(sim, 60) : (msec)sim_below(sim, 700);
	call->ending = END_RESULT;
	call->beats = true;
	if (!sim_faulty(sim, SIM_CALLS)) {
		takes = (msec)sim_below(sim, 60);
		dice = 100;
	}
	if (dice < 8) {
		call->ending = END_FAILURE;
	} else if (dice < 10) {
		call->ending = END_WRONG_TYPE;
	} else if (dice < 11) {
		call->ending = END_BAD_METADATA;
	} else if (dice < 14) {
		call->ending = END_NEVER;
		call->beats = sim_chance(sim, 50);
	} else if (dice < 17) {
		takes = 1500 + (msec)sim_below(sim, 3000); /* around its timeout, or after it was abandoned */
		call->beats = sim_chance(sim, 70);
	} else if (dice < 22 && fragile) {
		call->ending = END_FINAL_FAILURE;
	} else if (dice < 50 && fragile) {
		call->ending = END_FAILURE;
	}
	if (call->ending != END_NEVER)
		server_after(server, takes, tell_end, which, 0);
	if (dice < 30 && dice % 4 == 0 && call->ending != END_NEVER) /* said twice, at once or much later */
		server_after(server, takes + (sim_chance(sim, 50) ? 0 : (msec)sim_below(sim, 900)), tell_end, which, 0);
	if (call->beats)
		server_after(server, 100, beat, which, 0);
}

/* --- what the node wishes ------------------------------------------------------------------------------------------ */

static void check_slots(struct server *server, const struct sim_call *call)
{
	uint32_t running = 0;
	for (size_t i = 0; i < server->call_count; i++) {
		const struct sim_call *other = server->calls[i];
		running += !other->ended && !other->abandoned && other->pool == call->pool &&
		           (!call->pool || slice_equal(text_slice(other->process), text_slice(call->process)));
	}
	if (running > (call->pool ? SIM_POOL_CALLS : SIM_EXEC_SLOTS))
		server_fail(server, "%u calls run at once where %d may", running, call->pool ? SIM_POOL_CALLS : SIM_EXEC_SLOTS);
}

void calls_start(struct server *server, struct call_id id, const struct definition *process, struct text *args)
{
	struct sim_call *call = mem_zero(sizeof *call);
	calls_note_attempt(server->sim, id);
	call->id = id;
	call->process = text_create(process->name);
	call->args = text_create(text_slice(args));
	call->pool = process->settings.pool_count > 0;
	mem_grow(server->calls, server->call_capacity, server->call_count + 1);
	server->calls[server->call_count++] = call;
	server_trace(server, "call %" PRIu64 "/%u attempt %" PRIu64 ": %.*s %.*s", id.instance, id.ref, id.attempt,
	          SLICE_ARGS(process->name), SLICE_ARGS(text_slice(args)));
	check_slots(server, call);
	plan(server, server->call_count - 1);
}

void calls_abandon(struct server *server, struct call_id id)
{
	for (size_t i = server->call_count; i-- > 0;) {
		struct sim_call *call = server->calls[i];
		if (call->id.instance == id.instance && call->id.ref == id.ref && call->id.attempt == id.attempt) {
			server_trace(server, "call %" PRIu64 "/%u attempt %" PRIu64 ": abandoned", id.instance, id.ref, id.attempt);
			call->abandoned = true;
			return;
		}
	}
	server_fail(server, "a call is abandoned that was never started");
}

void calls_down(struct server *server)
{
	while (server->call_count > 0) {
		struct sim_call *call = server->calls[--server->call_count];
		text_release(call->process);
		text_release(call->args);
		mem_free(call);
	}
}

void calls_finish(struct sim *sim)
{
	struct attempt_seen *seen;
	struct attempt_seen *next;
	HASH_ITER(hh, sim->attempts, seen, next) {
		HASH_DELETE(hh, sim->attempts, seen);
		mem_free(seen);
	}
}
