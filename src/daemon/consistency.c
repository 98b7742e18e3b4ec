#include "daemon/consistency.h"

#include "base/memory.h"
#include "base/random.h"
#include "daemon/parked.h"

#include <assert.h>

#define AGAIN_MS 50 /* a read that was refused is asked for again after so long */
#define ATTEMPT_BITS 8

struct consistency {
	struct parking parking;
	uint64_t
		next_id; /* ids of reads are these with the number of the attempt below, never used twice, not after a restart */
	/* The read that is being asked for: its answer may come at once. */
	uint64_t asking;
	bool answered;
	int result;
	uint64_t leader; /* when it was looked at last */
	uint64_t term;
	struct arena arena;
};

struct consistency *consistency_create(uint64_t seed)
{
	struct consistency *consistency = mem_zero(sizeof *consistency);
	struct random random = {seed};
	consistency->parking.next = MSEC_NEVER;
	consistency->next_id = random_next(&random) >> (ATTEMPT_BITS + 1);
	return consistency;
}

void consistency_destroy(struct consistency *consistency)
{
	if (consistency == NULL)
		return;
	parked_clear(&consistency->parking);
	arena_finish(&consistency->arena);
	mem_free(consistency);
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

static bool lease_suffices(const Clusterd__Wire__Request *message)
{
	return message->consistency == CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LEADER;
}

/* true: it was answered at once, with `result`. */
static bool ask(struct node *node, uint64_t id, bool lease)
{
	struct consistency *consistency = node->consistency;
	assert(consistency->asking == 0);
	consistency->asking = id;
	consistency->answered = false;
	node_read(node, id, lease);
	consistency->asking = 0;
	return consistency->answered;
}

void consistency_read(const struct request *request)
{
	struct node *node = request->node;
	struct consistency *consistency = node->consistency;
	struct error error = {0};
	if (request->message->consistency == CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LOCAL && !node->installing) {
		request_read(request);
		return;
	}
	uint64_t id = consistency->next_id++;
	bool answered = ask(node, id << ATTEMPT_BITS, lease_suffices(request->message));
	if (answered && consistency->result == 0) {
		request_read(request);
		return;
	}
	msec now = node->host->now(node->context);
	struct parked *parked = parked_add(&consistency->parking, id, request->connection, request->stream,
	                                   request->message, request->payload, now, &error);
	if (parked == NULL) {
		node->counts.busy++;
		request_refuse(request, error.code, "%s", error.text);
		return;
	}
	request_wait(request, WAIT_READ, id, 0, 0);
	parked_waits(&consistency->parking, parked, now);
	if (answered)
		parked_again(&consistency->parking, parked, now + AGAIN_MS);
}

static struct parked *take_out(struct node *node, struct parked *parked)
{
	struct waiter waiter;
	waiters_take(node->waiters, WAIT_READ, parked->id, 0, &waiter);
	parked_take(&node->consistency->parking, parked);
	return parked;
}

static void carry_out(struct node *node, struct parked *parked)
{
	struct consistency *consistency = node->consistency;
	struct request request = {.node = node, .connection = parked->connection, .stream = parked->stream};
	struct error error = {0};
	take_out(node, parked);
	request.message = parked_read(parked, &consistency->arena, &request.payload, &error);
	assert(request.message != NULL); /* this node has packed it */
	request_read(&request);
	arena_reset(&consistency->arena);
	parked_destroy(parked);
}

static void answer(struct node *node, struct parked *parked, int result)
{
	if (result == 0)
		carry_out(node, parked);
	else
		parked_again(&node->consistency->parking, parked, node->host->now(node->context) + AGAIN_MS);
}

void node_read_ready(struct node *node, uint64_t id, int result)
{
	struct consistency *consistency = node->consistency;
	if (id == consistency->asking) {
		consistency->answered = true;
		consistency->result = result;
		return;
	}
	struct parked *parked = parked_find(&consistency->parking, id >> ATTEMPT_BITS);
	if (parked != NULL)
		answer(node, parked, result);
}

static void ask_again(struct node *node, struct parked *parked)
{
	struct slice payload;
	struct error error = {0};
	const Clusterd__Wire__Request *message = parked_read(parked, &node->consistency->arena, &payload, &error);
	assert(message != NULL);
	bool lease = lease_suffices(message);
	arena_reset(&node->consistency->arena);
	parked->again = MSEC_NEVER;
	uint64_t attempt = ++parked->attempt & ((UINT64_C(1) << ATTEMPT_BITS) - 1);
	if (ask(node, parked->id << ATTEMPT_BITS | attempt, lease))
		answer(node, parked, node->consistency->result);
}

void consistency_forget(struct node *node, uint64_t id)
{
	struct parked *parked = parked_find(&node->consistency->parking, id);
	if (parked == NULL)
		return;
	parked_take(&node->consistency->parking, parked);
	parked_destroy(parked);
}

/* --- time ---------------------------------------------------------------------------------------------------------- */

static void give_up(struct node *node, struct parked *parked)
{
	take_out(node, parked);
	respond_error(node, parked->connection, parked->stream, ERR_NOT_LEADER,
	              SLICE("no leader has said in time what the answer must contain; with --consistency local this "
	                    "node would "
	                    "answer alone"));
	parked_destroy(parked);
}

/* Asking for one may bring the answers of others: so they are gone through by their ids. */
static uint64_t *due(const struct parking *parking, msec now, size_t *ret_count)
{
	uint64_t *ids = mem_array(parking->count, sizeof *ids);
	size_t count = 0;
	for (const struct parked *parked = parking->items; parked != NULL; parked = parked->hh.next) {
		if (parked->until <= now || parked->again <= now)
			ids[count++] = parked->id;
	}
	*ret_count = count;
	return ids;
}

/* Who leads may say what the last one did not. */
static void look(struct node *node, msec now)
{
	struct consistency *consistency = node->consistency;
	uint64_t leader = raft_leader(node->raft);
	uint64_t term = raft_term(node->raft);
	if (leader == consistency->leader && term == consistency->term)
		return;
	consistency->leader = leader;
	consistency->term = term;
	for (struct parked *parked = consistency->parking.items; parked != NULL && leader != 0; parked = parked->hh.next) {
		if (parked->again != MSEC_NEVER)
			parked_again(&consistency->parking, parked, now);
	}
}

void consistency_turn(struct node *node)
{
	struct parking *parking = &node->consistency->parking;
	msec now = node->host->now(node->context);
	size_t count;
	look(node, now);
	if (parking->next > now)
		return;
	uint64_t *ids = due(parking, now, &count);
	for (size_t i = 0; i < count; i++) {
		struct parked *parked = parked_find(parking, ids[i]);
		if (parked != NULL && parked->until <= now)
			give_up(node, parked);
		else if (parked != NULL)
			ask_again(node, parked);
	}
	mem_free(ids);
	parking_looked(parking, now);
}

msec consistency_deadline(const struct node *node)
{
	return node->consistency->parking.next;
}
