#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip_fixture.h"

#include "base/memory.h"
#include "wire/gossip.h"

#include <stdio.h>

struct letter {
	struct letter *next;
	uint64_t from, to;
	bool stream;
	char *refused; /* address of an exchange that cannot be had */
	struct buffer bytes;
};

void fixture_init(struct fixture *fixture)
{
	*fixture = (struct fixture){.now = 1000000, .wall_offset = 1800000000000};
	fixture->last = &fixture->first;
}

void fixture_finish(struct fixture *fixture)
{
	for (size_t id = 1; id <= FIXTURE_NODES; id++)
		gossip_destroy(fixture->nodes[id].gossip);
	while (fixture->first != NULL) {
		struct letter *letter = fixture->first;
		fixture->first = letter->next;
		buffer_finish(&letter->bytes);
		mem_free(letter->refused);
		mem_free(letter);
	}
}

static uint64_t find(const struct fixture *fixture, const char *address)
{
	for (uint64_t id = 1; id <= FIXTURE_NODES; id++)
		if (fixture->nodes[id].gossip != NULL && strcmp(fixture->nodes[id].address, address) == 0)
			return id;
	return 0;
}

static struct letter *post(struct fixture *fixture, uint64_t from, uint64_t to, bool stream)
{
	struct letter *letter = mem_zero(sizeof *letter);
	letter->from = from;
	letter->to = to;
	letter->stream = stream;
	*fixture->last = letter;
	fixture->last = &letter->next;
	return letter;
}

static void encode(struct letter *letter, const struct gossip_message *message)
{
	struct arena arena = {0};
	assert_true(gossip_message_valid(message));
	gossip_encode(message, &arena, &letter->bytes);
	arena_finish(&arena);
}

static void note(struct fixture_node *node, const struct gossip_effects *effects)
{
	for (size_t i = 0; i < effects->change_count; i++) {
		assert_int_equal(effects->changes[i].sequence, node->sequence + 1);
		node->sequence++;
		node->kinds[effects->changes[i].kind]++;
		node->last_changed = effects->changes[i].member.id;
	}
	if (effects->sighting != NULL) {
		node->sighting = *effects->sighting;
		node->sightings++;
	}
	if (effects->conflict != NULL) {
		node->conflict = *effects->conflict;
		node->conflicts++;
	}
	node->lefts += effects->left;
	node->result = effects->result;
}

static void step(struct fixture *fixture, uint64_t id, struct gossip_event *event, uint64_t peer)
{
	struct fixture_node *node = &fixture->nodes[id];
	struct gossip_effects effects;
	event->wall = fixture->now + fixture->wall_offset;
	gossip_step(node->gossip, fixture->now, event, &effects);
	note(node, &effects);
	for (size_t i = 0; i < effects.datagram_count; i++) {
		uint64_t to = find(fixture, effects.datagrams[i].address);
		struct letter *letter = post(fixture, id, to, false);
		encode(letter, effects.datagrams[i].message);
		assert_true(letter->bytes.size <= GOSSIP_DATAGRAM_MAX);
		node->datagrams++;
		if (letter->bytes.size > node->largest)
			node->largest = letter->bytes.size;
	}
	for (size_t i = 0; i < effects.exchange_count; i++) {
		const struct gossip_exchange *exchange = &effects.exchanges[i];
		uint64_t to = exchange->reply ? peer : find(fixture, exchange->address);
		struct letter *letter = post(fixture, id, to, true);
		if (to == 0) {
			letter->to = id;
			letter->refused = mem_string(exchange->address);
		} else {
			encode(letter, exchange->message);
		}
	}
}

void fixture_event(struct fixture *fixture, uint64_t id, struct gossip_event event)
{
	step(fixture, id, &event, 0);
}

static void deliver(struct fixture *fixture, struct letter *letter)
{
	struct gossip_event event = {.kind = letter->stream ? GOSSIP_EXCHANGE : GOSSIP_DATAGRAM};
	struct gossip_message message;
	struct arena arena = {0};
	struct error error;
	if (letter->refused != NULL) {
		event.kind = GOSSIP_EXCHANGE_FAILED;
		event.source = letter->refused;
		step(fixture, letter->to, &event, 0);
	} else {
		assert_int_equal(gossip_decode(buffer_slice(&letter->bytes), &arena, &message, &error), 0);
		event.message = &message;
		event.source = fixture->nodes[letter->from].bound;
		step(fixture, letter->to, &event, letter->from);
	}
	arena_finish(&arena);
}

static bool arrives(const struct fixture *fixture, const struct letter *letter)
{
	return letter->to != 0 && fixture->nodes[letter->to].gossip != NULL && !fixture->nodes[letter->to].paused &&
	       !fixture->cut[letter->from][letter->to];
}

static void deliver_all(struct fixture *fixture)
{
	int count = 0;
	while (fixture->first != NULL) {
		struct letter *letter = fixture->first;
		fixture->first = letter->next;
		if (fixture->first == NULL)
			fixture->last = &fixture->first;
		if (arrives(fixture, letter))
			deliver(fixture, letter);
		buffer_finish(&letter->bytes);
		mem_free(letter->refused);
		mem_free(letter);
		assert_true(++count < 100000); /* nothing goes on for ever */
	}
}

void fixture_run(struct fixture *fixture, msec duration)
{
	msec end = fixture->now + duration;
	deliver_all(fixture);
	for (;;) {
		msec next = MSEC_NEVER;
		for (uint64_t id = 1; id <= FIXTURE_NODES; id++)
			if (fixture->nodes[id].gossip != NULL && !fixture->nodes[id].paused)
				next = msec_earlier(next, gossip_deadline(fixture->nodes[id].gossip));
		if (next > end)
			break;
		if (next > fixture->now)
			fixture->now = next;
		for (uint64_t id = 1; id <= FIXTURE_NODES; id++) {
			struct gossip_event tick = {.kind = GOSSIP_TICK};
			if (fixture->nodes[id].gossip != NULL && !fixture->nodes[id].paused &&
			    gossip_deadline(fixture->nodes[id].gossip) <= fixture->now)
				step(fixture, id, &tick, 0);
		}
		deliver_all(fixture);
	}
	fixture->now = end;
}

struct gossip *fixture_add_as(struct fixture *fixture, uint64_t id, uint64_t real_id, uint64_t generation,
                              const char *name, const char *address, const char *cluster_id)
{
	struct fixture_node *node = &fixture->nodes[id];
	struct gossip_config config = fixture->settings;
	char default_name[16];
	assert_null(node->gossip);
	uint64_t last = node->clock.last;
	*node = (struct fixture_node){0};
	snprintf(default_name, sizeof default_name, "n%u", (unsigned)id);
	if (address != NULL)
		snprintf(node->address, sizeof node->address, "%s", address);
	else
		snprintf(node->address, sizeof node->address, "10.0.0.%u:9189", (unsigned)id);
	memcpy(node->bound, node->address, sizeof node->bound);
	clock_init(&node->clock, last, 0);
	config.id = real_id;
	config.generation = generation;
	config.name = name != NULL ? name : default_name;
	config.address = node->address;
	config.cluster_id = cluster_id != NULL ? cluster_id : FIXTURE_CLUSTER;
	config.seed = id * 1000 + generation;
	config.clock = &node->clock;
	assert_int_equal(gossip_create(&config, &node->gossip), 0);
	return node->gossip;
}

struct gossip *fixture_add(struct fixture *fixture, uint64_t id, uint64_t generation)
{
	return fixture_add_as(fixture, id, id, generation, NULL, NULL, NULL);
}

void fixture_kill(struct fixture *fixture, uint64_t id)
{
	gossip_destroy(fixture->nodes[id].gossip);
	fixture->nodes[id].gossip = NULL;
}

void fixture_join(struct fixture *fixture, uint64_t id, uint64_t seed)
{
	const char *seeds[] = {fixture->nodes[seed].address};
	fixture_event(fixture, id, (struct gossip_event){.kind = GOSSIP_JOIN, .seeds = seeds, .seed_count = 1});
}

void fixture_cluster(struct fixture *fixture, uint64_t count)
{
	for (uint64_t id = 1; id <= count; id++)
		fixture_add(fixture, id, 1);
	for (uint64_t id = 2; id <= count; id++)
		fixture_join(fixture, id, 1);
	fixture_run(fixture, 2000);
	for (uint64_t from = 1; from <= count; from++)
		for (uint64_t to = 1; to <= count; to++)
			assert_int_equal(fixture_state(fixture, from, to), GOSSIP_ALIVE);
}

struct gossip_member fixture_member(struct fixture *fixture, uint64_t observer, uint64_t member)
{
	struct gossip_member found;
	assert_true(gossip_find(fixture->nodes[observer].gossip, member, &found));
	return found;
}

enum gossip_state fixture_state(struct fixture *fixture, uint64_t observer, uint64_t member)
{
	struct gossip_member found;
	return gossip_find(fixture->nodes[observer].gossip, member, &found) ? found.state : GOSSIP_STATE_END;
}
