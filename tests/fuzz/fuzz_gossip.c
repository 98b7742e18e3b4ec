/* Members' messages: the first byte says how, the rest is messages, each behind its length (two bytes). They are decoded, and what
 * can be decoded comes back as it was; then a node with a few members hears them, time goes on in between, and what it says must be
 * what members say, and fit. */
#include "base/random.h"
#include "membership/gossip.h"
#include "wire/gossip.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLUSTER "0123456789abcdef0123456789abcdef"
#define ALL_VALID 1 /* messages are patched to be of this cluster, to a member that asks the right questions */
#define NO_CLUSTER 2

struct world {
	struct gossip *gossip;
	struct clock clock;
	struct arena arena;
	struct buffer bytes;
	msec now;
	uint64_t sequence; /* of the last ping or exchange */
	uint64_t changes;
};

static void check_effects(struct world *world, const struct gossip_effects *effects)
{
	for (size_t i = 0; i < effects->datagram_count; i++) {
		const struct gossip_message *message = effects->datagrams[i].message;
		assert(gossip_message_valid(message) && !gossip_is_exchange(message->kind));
		assert(gossip_address_valid(slice_of(effects->datagrams[i].address)));
		buffer_clear(&world->bytes);
		gossip_encode(message, &world->arena, &world->bytes);
		assert(world->bytes.size <= GOSSIP_DATAGRAM_MAX);
		if (message->kind == GOSSIP_PING)
			world->sequence = message->sequence;
	}
	size_t replies = 0;
	for (size_t i = 0; i < effects->exchange_count; i++) {
		const struct gossip_message *message = effects->exchanges[i].message;
		assert(gossip_message_valid(message));
		buffer_clear(&world->bytes);
		gossip_encode(message, &world->arena, &world->bytes);
		assert(world->bytes.size <= GOSSIP_PIECE_SIZE + 16384);
		replies += effects->exchanges[i].reply;
		if (!effects->exchanges[i].reply)
			world->sequence = message->sequence;
	}
	assert(replies <= 1);
	for (size_t i = 0; i < effects->change_count; i++)
		assert(effects->changes[i].sequence == ++world->changes);
	assert(gossip_sequence(world->gossip) == world->changes);
	arena_reset(&world->arena);
}

static void step(struct world *world, struct gossip_event *event)
{
	struct gossip_effects effects;
	event->wall = 1800000000000 + world->now;
	gossip_step(world->gossip, world->now, event, &effects);
	check_effects(world, &effects);
}

static void let_time_pass(struct world *world, msec most)
{
	msec deadline = gossip_deadline(world->gossip);
	struct gossip_event tick = {.kind = GOSSIP_TICK};
	if (deadline == MSEC_NEVER)
		return;
	if (deadline > world->now)
		world->now = deadline < world->now + most ? deadline : world->now + most;
	step(world, &tick);
}

static void add_member(struct world *world, uint64_t id)
{
	char name[] = "n0";
	char address[] = "10.0.0.0:9189";
	name[1] = address[7] = (char)('0' + id);
	const struct gossip_profile profile = {.name = slice_of(name), .address = slice_of(address)};
	const struct gossip_update update = {.id = id, .generation = 1, .profile = &profile};
	const struct gossip_message message = {.kind = GOSSIP_SPREAD,
	                                       .protocol = GOSSIP_PROTOCOL,
	                                       .cluster_id = CLUSTER,
	                                       .from = id,
	                                       .generation = 1,
	                                       .address = slice_of(address),
	                                       .updates = &update,
	                                       .update_count = 1};
	struct gossip_event event = {.kind = GOSSIP_DATAGRAM, .message = &message, .source = address};
	step(world, &event);
}

static void create(struct world *world, unsigned mode)
{
	struct gossip_config config = {.id = 1,
	                               .generation = 2,
	                               .name = "n1",
	                               .address = "10.0.0.1:9189",
	                               .cluster_id = CLUSTER,
	                               .seed = mode,
	                               .clock = &world->clock,
	                               .dead_grace_ms = 5000,
	                               .exchange_ms = 1000};
	const char *seeds[] = {"10.0.0.7:9189"};
	struct gossip_event join = {.kind = GOSSIP_JOIN, .seeds = seeds, .seed_count = 1};
	if ((mode & NO_CLUSTER) != 0)
		config.cluster_id = "";
	clock_init(&world->clock, 0, 0);
	int code = gossip_create(&config, &world->gossip);
	assert(code == 0);
	step(world, &join);
	if ((mode & NO_CLUSTER) == 0)
		for (uint64_t id = 2; id <= 5; id++)
			add_member(world, id);
}

static void check_there_and_back(const struct gossip_message *message)
{
	struct arena arena = {0};
	struct buffer first = BUFFER_EMPTY;
	struct buffer second = BUFFER_EMPTY;
	struct gossip_message again;
	struct error error = {0};
	/* A datagram that came may be longer than what this node would send. */
	size_t bound = gossip_head_size(message) + message->want_count * GOSSIP_WANT_SIZE;
	for (size_t i = 0; i < message->update_count; i++)
		bound += gossip_update_size(&message->updates[i]);
	if (!gossip_is_exchange(message->kind) && bound > GOSSIP_DATAGRAM_MAX)
		return;
	gossip_encode(message, &arena, &first);
	assert(gossip_is_exchange(message->kind) || first.size <= bound);
	int code = gossip_decode(buffer_slice(&first), &arena, &again, &error);
	assert(code == 0);
	gossip_encode(&again, &arena, &second);
	assert(slice_equal(buffer_slice(&first), buffer_slice(&second)));
	buffer_finish(&first);
	buffer_finish(&second);
	arena_finish(&arena);
}

static void hear(struct world *world, unsigned mode, struct slice bytes)
{
	struct arena arena = {0};
	struct gossip_message message;
	struct error error = {0};
	int code = gossip_decode(bytes, &arena, &message, &error);
	assert(code == 0 || (error.code == code && error.text[0] != '\0'));
	if (code == 0) {
		assert(gossip_message_valid(&message));
		check_there_and_back(&message);
		if ((mode & ALL_VALID) != 0) {
			memcpy(message.cluster_id, gossip_cluster_id(world->gossip), sizeof message.cluster_id);
			message.sequence = world->sequence;
		}
	}
	if (code == 0 || code == ERR_VERSION) {
		bool stream = gossip_is_exchange(message.kind) ||
		              (message.kind == GOSSIP_REFUSAL && message.sequence % 2 == 0);
		struct gossip_event event = {.kind = stream ? GOSSIP_EXCHANGE : GOSSIP_DATAGRAM,
		                             .message = &message,
		                             .source = "10.0.0.9:1"};
		step(world, &event);
	}
	arena_finish(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world = {.now = 1000000};
	if (size < 1)
		return 0;
	unsigned mode = data[0];
	struct slice rest = {(const char *)data + 1, size - 1};
	create(&world, mode);
	while (rest.size >= 2) {
		size_t length = (unsigned char)rest.data[0] | (size_t)(unsigned char)rest.data[1] << 8;
		rest.data += 2;
		rest.size -= 2;
		if (length > rest.size)
			length = rest.size;
		hear(&world, mode, (struct slice){rest.data, length});
		rest.data += length;
		rest.size -= length;
		for (int i = 0; i < 3; i++)
			let_time_pass(&world, 500);
	}
	for (int i = 0; i < 20; i++)
		let_time_pass(&world, 1000);
	gossip_destroy(world.gossip);
	arena_finish(&world.arena);
	buffer_finish(&world.bytes);
	return 0;
}
