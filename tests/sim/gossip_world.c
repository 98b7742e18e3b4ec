#include "sim/gossip_world.h"

#include "base/memory.h"
#include "membership/gossip_internal.h"
#include "wire/gossip.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define WAITING_MAX 200    /* datagrams that a socket of a paused node holds */
#define REFUSED_AFTER 1000 /* microseconds until a connection to a node that is down is refused */
#define STREAM_LOSS_DELAY 200000
#define DATAGRAMS_PER_SECOND 2000 /* of one node: more is a storm */

enum kind { TICK, DATAGRAM, STREAM, REFUSED };

struct happening {
	usec at;
	uint64_t order;
	enum kind kind;
	uint32_t to, to_life;
	uint32_t from, from_life;
	uint32_t size;
	char *bytes; /* DATAGRAM, STREAM: the message; REFUSED: the address */
};

/* --- what happens when --------------------------------------------------------------------------------------------- */

static bool before(const struct happening *left, const struct happening *right)
{
	return left->at != right->at ? left->at < right->at : left->order < right->order;
}

static void push(struct world *world, struct happening happening)
{
	mem_grow(world->heap, world->heap_capacity, world->heap_count + 1);
	size_t at = world->heap_count++;
	happening.order = ++world->order;
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

uint64_t roll(struct world *world, uint64_t bound)
{
	return random_below(&world->random, bound);
}

void fail(struct world *world, const char *format, ...)
{
	va_list args;
	if (world->failure[0] != '\0')
		return;
	int head = snprintf(world->failure, sizeof world->failure, "at %.3f s: ", (double)world->now / 1e6);
	va_start(args, format);
	vsnprintf(world->failure + head, sizeof world->failure - (size_t)head, format, args);
	va_end(args);
}

/* --- the network --------------------------------------------------------------------------------------------------- */

void node_address(const struct node *node, char ret_address[GOSSIP_ADDRESS_MAX + 1])
{
	snprintf(ret_address, GOSSIP_ADDRESS_MAX + 1, "10.%u.%u.%u:%u", node->index >> 16 & 255, node->index >> 8 & 255,
	         node->index & 255, node->port);
}

/* NULL: nobody listens there. */
static struct node *node_at(struct world *world, const char *address)
{
	unsigned parts[3] = {0};
	unsigned port = 0;
	const char *at = address + 3;
	for (size_t i = 0; i < 3; i++, at++)
		for (; *at >= '0' && *at <= '9'; at++)
			parts[i] = parts[i] * 10 + (unsigned)(*at - '0');
	for (; *at >= '0' && *at <= '9'; at++)
		port = port * 10 + (unsigned)(*at - '0');
	uint32_t index = parts[0] << 16 | parts[1] << 8 | parts[2];
	struct node *node = index < world->node_count ? &world->nodes[index] : NULL;
	return node != NULL && node->port == port && node->gossip != NULL ? node : NULL;
}

static usec delay(struct world *world)
{
	return world->delay_min + (usec)roll(world, (uint64_t)(world->delay_max - world->delay_min) + 1);
}

static char *encode(struct world *world, const struct gossip_message *message, uint32_t *ret_size)
{
	buffer_clear(&world->buffer);
	arena_reset(&world->arena);
	if (!gossip_message_valid(message))
		fail(world, "node %" PRIu64 " says what cannot be: a %s", message->from,
		     gossip_message_name(message->kind));
	gossip_encode(message, &world->arena, &world->buffer);
	*ret_size = (uint32_t)world->buffer.size;
	if (world->buffer.size > world->counts.largest_message)
		world->counts.largest_message = world->buffer.size;
	return mem_copy(world->buffer.data, world->buffer.size);
}

static void send_datagram(struct world *world, struct node *from, const struct gossip_datagram *datagram)
{
	struct happening sent = {.kind = DATAGRAM, .from = from->index, .from_life = from->life};
	sent.bytes = encode(world, datagram->message, &sent.size);
	from->bytes_out += sent.size + GOSSIP_SEAL_SIZE;
	from->datagrams_out++;
	world->counts.datagrams++;
	world->counts.bytes += sent.size + GOSSIP_SEAL_SIZE;
	if (sent.size > world->counts.largest_datagram)
		world->counts.largest_datagram = sent.size;
	if (from->second != world->now / 1000000)
		from->in_second = 0;
	from->second = world->now / 1000000;
	if (++from->in_second > DATAGRAMS_PER_SECOND)
		fail(world, "node %" PRIu64 " sends %u datagrams in a second", from->id, from->in_second);
	if (sent.size > GOSSIP_DATAGRAM_MAX)
		fail(world, "node %" PRIu64 " sends a datagram of %u bytes", from->id, sent.size);
	struct node *to = node_at(world, datagram->address);
	if (to == NULL || to->part != from->part || roll(world, 1000) < world->loss) {
		world->counts.lost++;
		mem_free(sent.bytes);
		return;
	}
	sent.to = to->index;
	sent.to_life = to->life;
	sent.at = world->now + delay(world);
	if (world->doubling != 0 && roll(world, 1000) < world->doubling) {
		struct happening again = sent;
		again.bytes = mem_copy(sent.bytes, sent.size);
		again.at = world->now + 10 * delay(world);
		world->counts.doubled++;
		push(world, again);
	}
	push(world, sent);
}

/* Streams lose nothing; what the network loses comes later. A connection to a node that is down is refused, one to a node that cannot be
 * reached says nothing. */
static void send_stream(struct world *world, struct node *from, struct node *to, const char *address,
                        const struct gossip_message *message)
{
	struct happening sent = {.kind = STREAM, .from = from->index, .from_life = from->life};
	if (to == NULL) {
		sent.kind = REFUSED;
		sent.to = from->index;
		sent.to_life = from->life;
		sent.at = world->now + REFUSED_AFTER;
		sent.bytes = mem_string(address);
		push(world, sent);
		return;
	}
	sent.bytes = encode(world, message, &sent.size);
	from->exchange_bytes += sent.size;
	world->counts.exchange_messages++;
	world->counts.exchange_bytes += sent.size;
	if (sent.size > GOSSIP_PIECE_SIZE + 8192)
		fail(world, "node %" PRIu64 " sends %u bytes in one piece", from->id, sent.size);
	if (to->part != from->part) {
		mem_free(sent.bytes);
		return;
	}
	sent.to = to->index;
	sent.to_life = to->life;
	sent.at = world->now + 2 * delay(world);
	while (roll(world, 1000) < world->loss)
		sent.at += STREAM_LOSS_DELAY;
	push(world, sent);
}

/* --- nodes --------------------------------------------------------------------------------------------------------- */

bool node_up(const struct world *world, const struct node *node)
{
	return node->gossip != NULL && node->paused_until <= world->now && !node->left;
}

struct node *node_of(struct world *world, uint64_t id)
{
	return id >= 1 && id <= world->node_count ? &world->nodes[id - 1] : NULL;
}

static void schedule(struct world *world, struct node *node)
{
	msec deadline = gossip_deadline(node->gossip);
	if (deadline == MSEC_NEVER) {
		node->tick_at = 0;
		return;
	}
	usec at = deadline * 1000 > world->now ? deadline * 1000 : world->now;
	if (node->tick_at != 0 && node->tick_at <= at && node->tick_at >= world->now)
		return;
	node->tick_at = at;
	push(world, (struct happening){.at = at, .kind = TICK, .to = node->index, .to_life = node->life});
}

static void watch(struct world *world, struct node *node, const struct gossip_change *change)
{
	struct watch *watch = &world->watch;
	bool failed = watch->state == GOSSIP_FAILED;
	bool seen = failed ? change->kind == GOSSIP_HAS_FAILED || change->kind == GOSSIP_HAS_LEFT
	                   : change->kind == GOSSIP_JOINED;
	if (watch->seen == NULL || change->member.id != watch->id || change->member.generation < watch->generation ||
	    !seen || watch->seen[node->index])
		return;
	watch->seen[node->index] = 1;
	if (watch->count++ == 0)
		watch->first = world->now;
	watch->last = world->now;
}

void world_watch(struct world *world, const struct node *node, enum gossip_state state)
{
	mem_free(world->watch.seen);
	world->watch = (struct watch){
		.id = node->id,
		.generation = node->generation,
		.state = state,
		.seen = mem_array(world->node_count, 1),
		.since = world->now,
	};
}

static void carry_out(struct world *world, struct node *node, const struct gossip_effects *effects, struct node *peer)
{
	for (size_t i = 0; i < effects->datagram_count; i++)
		send_datagram(world, node, &effects->datagrams[i]);
	for (size_t i = 0; i < effects->exchange_count; i++) {
		const struct gossip_exchange *exchange = &effects->exchanges[i];
		if (!exchange->reply)
			send_stream(world, node, node_at(world, exchange->address), exchange->address,
			            exchange->message);
		else if (peer != NULL)
			send_stream(world, node, peer, "", exchange->message);
	}
	for (size_t i = 0; i < effects->change_count; i++)
		watch(world, node, &effects->changes[i]);
}

static void step(struct world *world, struct node *node, struct gossip_event *event, struct node *peer)
{
	struct gossip_effects effects;
	event->wall = WALL_START + world->now / 1000 + node->skew;
	world->counts.steps++;
	planted_before_step(world, node, event);
	gossip_step(node->gossip, world->now / 1000, event, &effects);
	planted_after_step(world, node, &effects);
	check_changes(world, node, &effects);
	carry_out(world, node, &effects, peer);
	node->left = node->left || effects.left;
	schedule(world, node);
}

void node_event(struct world *world, struct node *node, struct gossip_event *event)
{
	step(world, node, event, NULL);
}

void node_start(struct world *world, struct node *node, uint32_t seed_node)
{
	char address[GOSSIP_ADDRESS_MAX + 1];
	char name[32];
	struct gossip_config config = world->settings;
	struct gossip_pair pairs[] = {{.key = SLICE("role"), .value = SLICE("server")},
	                              {.key = SLICE("datacenter"), .value = SLICE("dc1")}};
	assert(node->gossip == NULL);
	node->generation++;
	node->left = false;
	node->sequence_seen = 0;
	node_address(node, address);
	snprintf(name, sizeof name, "node-%u", node->index + 1);
	clock_init(&node->clock, node->clock.last, 0);
	config.id = node->id;
	config.generation = node->generation;
	config.name = name;
	config.address = address;
	config.cluster_id = "0123456789abcdef0123456789abcdef";
	config.pairs = pairs;
	config.pair_count = 2;
	config.seed = random_next(&world->random);
	config.clock = &node->clock;
	config.shared = world->shared;
	if (gossip_create(&config, &node->gossip) != 0)
		fail(world, "node %" PRIu64 " cannot be made", node->id);
	if (node->mirrors != NULL)
		memset(node->mirrors, 0, world->node_count * sizeof *node->mirrors);
	if (seed_node == node->index)
		return;
	char seed[GOSSIP_ADDRESS_MAX + 1];
	node_address(&world->nodes[seed_node], seed);
	const char *seeds[] = {seed};
	struct gossip_event event = {.kind = GOSSIP_JOIN, .seeds = seeds, .seed_count = 1};
	step(world, node, &event, NULL);
}

void node_crash(struct world *world, struct node *node)
{
	gossip_destroy(node->gossip);
	node->gossip = NULL;
	node->life++;
	node->tick_at = 0;
	node->waiting = 0;
	node->paused_until = 0;
	node->disturbed_at = world->now;
}

void node_pause(struct world *world, struct node *node, usec duration)
{
	node->paused_until = world->now + duration;
	node->disturbed_at = node->paused_until;
}

/* --- running ------------------------------------------------------------------------------------------------------- */

static void deliver(struct world *world, struct node *node, const struct happening *happening)
{
	struct gossip_message message;
	struct gossip_event event = {.kind = happening->kind == STREAM ? GOSSIP_EXCHANGE : GOSSIP_DATAGRAM};
	struct node *from = &world->nodes[happening->from];
	struct error error;
	char source[GOSSIP_ADDRESS_MAX + 1];
	arena_reset(&world->arena);
	if (gossip_decode((struct slice){happening->bytes, happening->size}, &world->arena, &message, &error) != 0) {
		fail(world, "a message of node %" PRIu64 " cannot be decoded: %s", from->id, error.text);
		return;
	}
	planted_delivery(world, node, &message);
	/* Where it comes from is not where the sender listens. */
	snprintf(source, sizeof source, "10.%u.%u.%u:%u", from->index >> 16 & 255, from->index >> 8 & 255,
	         from->index & 255, from->port);
	event.message = &message;
	event.source = source;
	bool answered = from->life == happening->from_life && from->gossip != NULL;
	step(world, node, &event, answered ? from : NULL);
}

static void happen(struct world *world, struct happening *happening)
{
	struct node *node = &world->nodes[happening->to];
	if (node->life != happening->to_life || node->gossip == NULL ||
	    (happening->kind == TICK && node->tick_at != happening->at)) {
		mem_free(happening->bytes);
		return;
	}
	if (node->paused_until > world->now) {
		if (happening->kind == DATAGRAM && ++node->waiting > WAITING_MAX) {
			mem_free(happening->bytes);
			return;
		}
		happening->at = node->paused_until;
		if (happening->kind == TICK)
			node->tick_at = happening->at;
		push(world, *happening);
		return;
	}
	node->waiting = 0;
	struct gossip_event event = {.kind = GOSSIP_TICK};
	if (happening->kind == TICK) {
		node->tick_at = 0;
		step(world, node, &event, NULL);
	} else if (happening->kind == REFUSED) {
		event.kind = GOSSIP_EXCHANGE_FAILED;
		event.source = happening->bytes;
		step(world, node, &event, NULL);
	} else {
		deliver(world, node, happening);
	}
	mem_free(happening->bytes);
}

void world_run(struct world *world, usec until)
{
	while (world->failure[0] == '\0' && world->heap_count > 0 && world->heap[0].at <= until) {
		struct happening happening = pop(world);
		world->now = happening.at > world->now ? happening.at : world->now;
		happen(world, &happening);
	}
	if (world->now < until)
		world->now = until;
}

/* As if all had been there for long: reaches into the cores, since ten thousand joins take their time. */
void world_fill(struct world *world)
{
	struct gossip_event event = {.kind = GOSSIP_TICK};
	for (uint32_t i = 0; i < world->node_count; i++)
		if (world->nodes[i].gossip == NULL)
			node_start(world, &world->nodes[i], i);
	for (uint32_t i = 0; i < world->node_count; i++) {
		struct gossip *gossip = world->nodes[i].gossip;
		members_reserve(&gossip->members, world->node_count);
		for (uint32_t j = 0; j < world->node_count; j++) {
			struct gossip *other = world->nodes[j].gossip;
			if (i != j)
				members_add(&gossip->members, other->id,
				            profile_hold(record_of(other, other->self)->profile), 0, false);
		}
	}
	for (uint32_t i = 0; i < world->node_count; i++) {
		step(world, &world->nodes[i], &event, NULL);
		rumour_end(world->nodes[i].gossip, world->nodes[i].gossip->self);
	}
}

struct world *world_create(uint64_t seed, uint32_t node_count, bool checked)
{
	struct world *world = mem_zero(sizeof *world);
	world->seed = world->random.state = seed;
	world->node_count = node_count;
	world->nodes = mem_array(node_count, sizeof *world->nodes);
	world->shared = gossip_shared_create();
	world->delay_min = 100;
	world->delay_max = 500;
	world->checked = checked;
	world->now = 1000000;
	for (uint32_t i = 0; i < node_count; i++) {
		world->nodes[i].index = i;
		world->nodes[i].id = i + 1;
		world->nodes[i].port = 9189;
		world->nodes[i].skew = (msec)roll(world, 200) - 100;
		if (checked)
			world->nodes[i].mirrors = mem_array(node_count, sizeof(struct mirror));
	}
	return world;
}

void world_destroy(struct world *world)
{
	for (uint32_t i = 0; i < world->node_count; i++) {
		gossip_destroy(world->nodes[i].gossip);
		mem_free(world->nodes[i].mirrors);
	}
	for (size_t i = 0; i < world->heap_count; i++)
		mem_free(world->heap[i].bytes);
	gossip_shared_destroy(world->shared);
	arena_finish(&world->arena);
	buffer_finish(&world->buffer);
	mem_free(world->watch.seen);
	mem_free(world->heap);
	mem_free(world->nodes);
	mem_free(world);
}
