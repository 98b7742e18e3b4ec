#include "sim/raft_world.h"

#include "base/memory.h"
#include "sim/raft_print.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define STEP_LIMIT 5000000 /* a run that does not come to its end */

struct happening {
	usec at;
	uint64_t sequence;
	int kind;
	struct node *node;
	uint32_t life;
	uint64_t value;
	struct flight *flight;
};

/* A message with all that it points to. */
struct flight {
	struct raft_message message;
	struct raft_entry *entries;
	struct entry *bodies;
	struct raft_configuration *configurations;
	struct raft_snapshot snapshot;
};

uint64_t roll(struct world *world, uint64_t bound)
{
	return random_below(&world->random, bound);
}

bool chance(struct world *world, uint64_t in, uint64_t of)
{
	return roll(world, of) < in;
}

void world_trace(struct world *world, const char *format, ...)
{
	va_list args;
	if (!world->traced)
		return;
	printf("%9.3f  ", (double)world->now / 1000);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

/* --- what happens when --------------------------------------------------------------------------------------------- */

static bool before(const struct happening *left, const struct happening *right)
{
	return left->at != right->at ? left->at < right->at : left->sequence < right->sequence;
}

static void push(struct world *world, struct happening happening)
{
	mem_grow(world->heap, world->heap_capacity, world->heap_count + 1);
	size_t at = world->heap_count++;
	happening.sequence = ++world->sequence;
	for (; at > 0 && before(&happening, &world->heap[(at - 1) / 2]); at = (at - 1) / 2)
		world->heap[at] = world->heap[(at - 1) / 2];
	world->heap[at] = happening;
}

static struct happening pop(struct world *world)
{
	struct happening first = world->heap[0];
	struct happening last = world->heap[--world->heap_count];
	size_t at = 0;
	for (;;) {
		size_t child = at * 2 + 1;
		if (child >= world->heap_count)
			break;
		if (child + 1 < world->heap_count && before(&world->heap[child + 1], &world->heap[child]))
			child++;
		if (!before(&world->heap[child], &last))
			break;
		world->heap[at] = world->heap[child];
		at = child;
	}
	world->heap[at] = last;
	return first;
}

void world_at(struct world *world, usec at, int kind, struct node *node, uint64_t value)
{
	push(world, (struct happening){.at = at, .kind = kind, .node = node, .life = node != NULL ? node->life : 0,
	                               .value = value});
}

/* --- clocks -------------------------------------------------------------------------------------------------------- */

msec node_clock(const struct world *world, const struct node *node)
{
	return node->clock_offset + world->now / 1000 * node->clock_rate / 1000000;
}

static usec when(const struct world *world, const struct node *node, msec clock)
{
	if (clock == MSEC_NEVER)
		return INT64_MAX;
	usec at = (clock - node->clock_offset) * 1000000 / node->clock_rate * 1000;
	if (at < world->now)
		at = world->now;
	while (node->clock_offset + at / 1000 * node->clock_rate / 1000000 < clock)
		at += 1000;
	return at > node->paused_until ? at : node->paused_until;
}

/* --- the network --------------------------------------------------------------------------------------------------- */

static void flight_destroy(struct flight *flight)
{
	mem_free(flight->entries);
	mem_free(flight->bodies);
	mem_free(flight->configurations);
	mem_free(flight);
}

static struct flight *flight_copy(const struct raft_message *message, struct node *from)
{
	struct flight *flight = mem_zero(sizeof *flight);
	flight->message = *message;
	if (message->kind == RAFT_APPEND_REQUEST && message->append_request.count > 0) {
		uint32_t count = message->append_request.count;
		flight->entries = mem_array(count, sizeof *flight->entries);
		flight->bodies = mem_array(count, sizeof *flight->bodies);
		flight->configurations = mem_array(count, sizeof *flight->configurations);
		for (uint32_t i = 0; i < count; i++) {
			flight->bodies[i] = *entries_at(&from->log, message->append_request.prev_index + 1 + i);
			flight->entries[i].term = flight->bodies[i].term;
			if (flight->bodies[i].configuration != NULL) {
				flight->configurations[i] = *flight->bodies[i].configuration;
				flight->entries[i].configuration = &flight->configurations[i];
			}
		}
		flight->message.append_request.entries = flight->entries;
	}
	if (message->kind == RAFT_SNAPSHOT_CHUNK) {
		flight->snapshot = *message->chunk.snapshot;
		flight->message.chunk.snapshot = &flight->snapshot;
	}
	return flight;
}

static usec delay(struct world *world)
{
	if (!world->calm && chance(world, world->slow, 1000))
		return (usec)(5000 + roll(world, 400000));
	return (usec)(100 + roll(world, 3000));
}

void world_send(struct world *world, struct node *node, const struct raft_message *message)
{
	struct raft_message copy = *message;
	struct buffer line = {0};
	struct node *to = &world->nodes[message->to - 1];
	assert(message->to >= 1 && message->to <= world->node_count);
	planted_sending(world, &copy);
	if (world->traced) {
		raft_print_message(&line, &copy);
		world_trace(world, "%s", buffer_string(&line));
		buffer_finish(&line);
	}
	uint32_t copies = !world->calm && chance(world, world->doubling, 1000) ? 2 : 1;
	for (uint32_t i = 0; i < copies; i++) {
		if (world->blocked[message->from][message->to] || (!world->calm && chance(world, world->loss, 1000))) {
			world->counts.lost++;
			continue;
		}
		push(world, (struct happening){.at = world->now + delay(world), .kind = AT_DELIVER, .node = to,
		                               .flight = flight_copy(&copy, node)});
	}
}

/* A follower takes the bodies of what the core accepts. */
static void deliver(struct world *world, struct node *node, struct flight *flight)
{
	struct raft_message message = flight->message;
	if (node->raft == NULL || world->blocked[message.from][message.to])
		return;
	planted_delivery(world, node, &message);
	world->counts.delivered++;
	struct raft_event event = {.kind = RAFT_MESSAGE, .message = &message};
	/* The host finds the bodies by the entries' places. */
	event.id = (uint64_t)(uintptr_t)flight->bodies;
	host_step(world, node, &event);
}

/* --- the run ------------------------------------------------------------------------------------------------------- */

static void happen(struct world *world, struct happening *happening)
{
	struct node *node = happening->node;
	if (node != NULL && node->paused_until > world->now) {
		happening->at = node->paused_until;
		push(world, *happening);
		return;
	}
	bool same_life = node != NULL && node->raft != NULL && node->life == happening->life;
	switch (happening->kind) {
	case AT_DELIVER:
		deliver(world, node, happening->flight);
		flight_destroy(happening->flight);
		break;
	case AT_DISK_LOG:
	case AT_DISK_VOTE:
		if (same_life)
			host_disk_done(world, node, happening->kind == AT_DISK_VOTE);
		break;
	case AT_SNAPSHOT:
		if (same_life)
			host_snapshot_made(world, node);
		break;
	case AT_RESTART:
		if (node->raft == NULL)
			host_start(world, node);
		break;
	case AT_READ:
		if (same_life)
			host_read(world, node, happening->value != 0);
		break;
	case AT_FAULT: faults_next(world); break;
	case AT_CLIENT: clients_next(world); break;
	case AT_HEAL: memset(world->blocked, 0, sizeof world->blocked); break;
	}
}

static struct node *next_tick(struct world *world, usec *ret_at)
{
	struct node *first = NULL;
	*ret_at = INT64_MAX;
	for (uint32_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];
		usec at = node->raft != NULL ? when(world, node, raft_deadline(node->raft)) : INT64_MAX;
		if (at < *ret_at) {
			*ret_at = at;
			first = node;
		}
	}
	return first;
}

static bool next(struct world *world, usec end)
{
	usec tick_at;
	struct node *node = next_tick(world, &tick_at);
	usec at = world->heap_count > 0 ? world->heap[0].at : INT64_MAX;
	if ((at < tick_at ? at : tick_at) > end)
		return false;
	if (++world->counts.steps > STEP_LIMIT)
		fail(world, "the run comes to no end");
	if (at <= tick_at) {
		struct happening happening = pop(world);
		world->now = happening.at;
		happen(world, &happening);
	} else {
		world->now = tick_at;
		host_step(world, node, &(struct raft_event){.kind = RAFT_TICK});
	}
	if (world->counts.steps % 256 == 0)
		check_logs_match(world);
	return world->failure[0] == '\0';
}

static void run_until(struct world *world, usec end)
{
	while (next(world, end))
		;
	if (world->failure[0] == '\0')
		world->now = end;
}

bool world_run(struct world *world, usec duration)
{
	run_until(world, duration);
	if (world->failure[0] != '\0')
		return false;
	heal(world);
	world->writing = 10;
	uint64_t before_writes = world->counts.writes;
	uint64_t before_reads = world->counts.reads;
	usec deadline = world->now + 20000000;
	while (world->failure[0] == '\0' && world->now < deadline) {
		run_until(world, world->now + 500000);
		if (world->counts.writes > before_writes + 5 && world->counts.reads > before_reads + 5 && check_all_well(world))
			break;
	}
	if (world->failure[0] == '\0' && world->now >= deadline)
		fail(world, "20 s after all faults ended: %" PRIu64 " writes, %" PRIu64 " reads, %s",
		     world->counts.writes - before_writes, world->counts.reads - before_reads,
		     check_all_well(world) ? "all have everything" : "not all have everything");
	check_logs_match(world);
	return world->failure[0] == '\0';
}

struct world *world_create(uint64_t seed, enum planted planted, bool traced)
{
	struct world *world = mem_zero(sizeof *world);
	world->seed = seed;
	world->planted = planted;
	world->traced = traced;
	world->random.state = seed * 0x2545F4914F6CDD1Du + 12345;
	world->next_payload = world->next_read = 1;
	mem_grow(world->committed, world->committed_capacity, 1);
	world->committed[0] = (struct committed){0};
	world->committed_count = 1;
	world->first_voters = (uint32_t)(1 + roll(world, 5));
	if (world->first_voters < 3 && chance(world, 2, 3))
		world->first_voters = 3;
	world->node_count = world->first_voters + (uint32_t)roll(world, 3);
	world->first_configuration.count = world->first_voters;
	for (uint32_t i = 0; i < world->first_voters; i++)
		world->first_configuration.members[i] = (struct raft_member){i + 1, true};
	for (uint32_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];
		node->id = i + 1;
		node->clock_offset = (msec)roll(world, 1000000);
		node->clock_rate = 950000 + (int64_t)roll(world, 100001);
		node->sync_time = chance(world, 1, 8) ? 100000 : 4000;
		STAILQ_INIT(&node->log_jobs);
		STAILQ_INIT(&node->vote_jobs);
		if (i < world->first_voters)
			node->disk_state.configuration = world->first_configuration;
		host_start(world, node);
	}
	faults_begin(world);
	return world;
}

void world_destroy(struct world *world)
{
	while (world->heap_count > 0) {
		struct happening happening = pop(world);
		if (happening.flight != NULL)
			flight_destroy(happening.flight);
	}
	for (uint32_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];
		host_crash(world, node);
		mem_free(node->log.list);
		mem_free(node->disk_log.list);
		mem_free(node->writes);
		mem_free(node->reads);
	}
	for (size_t i = 0; i < world->kept_count; i++)
		mem_free(world->kept[i]);
	mem_free(world->kept);
	mem_free(world->heap);
	mem_free(world->committed);
	mem_free(world->leaders);
	mem_free(world);
}
