/* Probing, suspicion, local health: one core, to which the test plays the others. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "membership/gossip.h"

#include <stdio.h>
#include <string.h>

#define CLUSTER "0123456789abcdef0123456789abcdef"
#define PROBE 200
#define TIMEOUT 80

static struct gossip *gossip;
static struct gossip_effects effects;
static msec now;

static struct gossip_message from(uint64_t id, enum gossip_message_kind kind)
{
	static char addresses[64][GOSSIP_ADDRESS_MAX];
	snprintf(addresses[id], sizeof addresses[id], "10.0.0.%u:9189", (unsigned)id);
	return (struct gossip_message){
		.kind = kind,
		.protocol = GOSSIP_PROTOCOL,
		.cluster_id = CLUSTER,
		.from = id,
		.generation = 1,
		.address = slice_of(addresses[id]),
	};
}

static void hear(struct gossip_message message)
{
	char source[GOSSIP_ADDRESS_MAX + 1];
	snprintf(source, sizeof source, "%.*s", SLICE_ARGS(message.address));
	assert_true(gossip_message_valid(&message));
	gossip_step(gossip, now, &(struct gossip_event){.kind = GOSSIP_DATAGRAM, .message = &message, .source = source},
	            &effects);
}

static void hear_update(uint64_t sender, struct gossip_update update)
{
	struct gossip_message message = from(sender, GOSSIP_SPREAD);
	message.updates = &update;
	message.update_count = 1;
	hear(message);
}

static void tick(void)
{
	gossip_step(gossip, now, &(struct gossip_event){.kind = GOSSIP_TICK}, &effects);
}

/* To the next deadline. */
static void wait(void)
{
	msec deadline = gossip_deadline(gossip);
	assert_true(deadline != MSEC_NEVER);
	now = deadline > now ? deadline : now;
	tick();
}

static void add(uint64_t id)
{
	char name[16];
	snprintf(name, sizeof name, "n%u", (unsigned)id);
	const struct gossip_profile profile = {.name = slice_of(name), .address = from(id, GOSSIP_PING).address};
	hear_update(id, (struct gossip_update){.id = id, .generation = 1, .state = GOSSIP_ALIVE, .profile = &profile});
}

static const struct gossip_message *sent(enum gossip_message_kind kind)
{
	for (size_t i = 0; i < effects.datagram_count; i++)
		if (effects.datagrams[i].message->kind == kind)
			return effects.datagrams[i].message;
	return NULL;
}

static size_t count_sent(enum gossip_message_kind kind)
{
	size_t count = 0;
	for (size_t i = 0; i < effects.datagram_count; i++)
		count += effects.datagrams[i].message->kind == kind;
	return count;
}

/* The next ping of a probe; what else is sent is let go. */
static struct gossip_message next_ping(void)
{
	do
		wait();
	while (sent(GOSSIP_PING) == NULL);
	return *sent(GOSSIP_PING);
}

static void ack(const struct gossip_message *ping)
{
	struct gossip_message message = from(ping->target, GOSSIP_ACK);
	message.target = ping->target;
	message.sequence = ping->sequence;
	hear(message);
}

static struct gossip_member member(uint64_t id)
{
	struct gossip_member found;
	assert_true(gossip_find(gossip, id, &found));
	return found;
}

static uint32_t health(void)
{
	struct gossip_statistics statistics;
	gossip_statistics(gossip, &statistics);
	return statistics.health;
}

static void create(uint64_t members)
{
	struct gossip_config config = {.id = 1,
	                               .generation = 1,
	                               .name = "n1",
	                               .address = "10.0.0.1:9189",
	                               .cluster_id = CLUSTER,
	                               .seed = 7,
	                               .exchange_ms = 100000000,
	                               .probe_ms = PROBE,
	                               .probe_timeout_ms = TIMEOUT};
	now = 5000;
	assert_int_equal(gossip_create(&config, &gossip), 0);
	for (uint64_t id = 2; id <= members; id++)
		add(id);
}

static int teardown(void **state)
{
	(void)state;
	gossip_destroy(gossip);
	gossip = NULL;
	return 0;
}

/* --- probing ------------------------------------------------------------------------------------------------------- */

static void every_member_is_probed_once_in_a_round_in_another_order_each_time(void **state)
{
	uint64_t orders[2][9];
	(void)state;
	create(10);
	for (int round = 0; round < 2; round++) {
		bool seen[11] = {false};
		for (int i = 0; i < 9; i++) {
			struct gossip_message ping = next_ping();
			assert_false(seen[ping.target]);
			seen[ping.target] = true;
			orders[round][i] = ping.target;
			ack(&ping);
		}
	}
	assert_true(memcmp(orders[0], orders[1], sizeof orders[0]) != 0);
}

static void the_period_is_kept_and_an_answer_ends_the_probe(void **state)
{
	(void)state;
	create(4);
	struct gossip_message ping = next_ping();
	msec begun = now;
	ack(&ping);
	ping = next_ping();
	assert_int_equal(now, begun + PROBE);
	ack(&ping);
	assert_int_equal(gossip_counts(gossip)->acks, 2);
	assert_int_equal(gossip_counts(gossip)->probes_failed, 0);
}

static void without_an_answer_three_others_are_asked(void **state)
{
	bool asked[11] = {false};
	(void)state;
	create(10);
	struct gossip_message ping = next_ping();
	msec begun = now;
	do
		wait();
	while (sent(GOSSIP_PING_REQUEST) == NULL);
	assert_int_equal(now, begun + TIMEOUT);
	assert_int_equal(count_sent(GOSSIP_PING_REQUEST), 3);
	for (size_t i = 0; i < effects.datagram_count; i++) {
		const struct gossip_message *request = effects.datagrams[i].message;
		if (request->kind != GOSSIP_PING_REQUEST)
			continue;
		unsigned helper = 0;
		sscanf(effects.datagrams[i].address, "10.0.0.%u:", &helper);
		assert_int_equal(request->target, ping.target);
		assert_true(helper != ping.target && helper != 1 && !asked[helper]);
		asked[helper] = true;
	}
	/* One of them has reached it. */
	struct gossip_message passed = from(ping.target == 2 ? 3 : 2, GOSSIP_ACK);
	passed.target = ping.target;
	passed.sequence = ping.sequence;
	hear(passed);
	now = begun + PROBE;
	tick();
	assert_int_equal(gossip_counts(gossip)->probes_failed, 0);
	assert_int_equal(member(ping.target).state, GOSSIP_ALIVE);
}

static void nobody_answering_makes_it_suspect_at_the_end_of_the_period(void **state)
{
	(void)state;
	create(10);
	struct gossip_message ping = next_ping();
	msec begun = now;
	while (gossip_counts(gossip)->probes_failed == 0)
		wait();
	assert_int_equal(now, begun + PROBE);
	assert_int_equal(member(ping.target).state, GOSSIP_SUSPECT);
	assert_int_equal(gossip_counts(gossip)->suspicions, 1);
}

static void an_answer_to_another_question_is_none(void **state)
{
	(void)state;
	create(4);
	struct gossip_message ping = next_ping();
	struct gossip_message wrong = from(ping.target, GOSSIP_ACK);
	wrong.target = ping.target;
	wrong.sequence = ping.sequence + 1;
	hear(wrong);
	wrong.sequence = ping.sequence;
	wrong.target = ping.target == 2 ? 3 : 2;
	hear(wrong);
	assert_int_equal(gossip_counts(gossip)->acks, 0);
}

static void a_doubt_is_looked_into_at_once(void **state)
{
	(void)state;
	create(10);
	gossip_step(gossip, now, &(struct gossip_event){.kind = GOSSIP_DOUBT, .member = 6}, &effects);
	assert_non_null(sent(GOSSIP_PING));
	assert_int_equal(sent(GOSSIP_PING)->target, 6);
	gossip_step(gossip, now, &(struct gossip_event){.kind = GOSSIP_DOUBT, .member = 6}, &effects);
	assert_null(sent(GOSSIP_PING)); /* once */
	gossip_step(gossip, now, &(struct gossip_event){.kind = GOSSIP_DOUBT, .member = 77}, &effects);
	gossip_step(gossip, now, &(struct gossip_event){.kind = GOSSIP_DOUBT, .member = 1}, &effects);
	assert_null(sent(GOSSIP_PING));
}

/* --- for others ---------------------------------------------------------------------------------------------------- */

static void a_probe_for_another_passes_the_answer_on(void **state)
{
	(void)state;
	create(4);
	struct gossip_message request = from(2, GOSSIP_PING_REQUEST);
	request.target = 3;
	request.target_address = SLICE("10.0.0.3:9189");
	request.sequence = 4711;
	hear(request);
	const struct gossip_message *ping = sent(GOSSIP_PING);
	assert_non_null(ping);
	assert_int_equal(ping->target, 3);
	assert_int_not_equal(ping->sequence, 4711);
	struct gossip_message copy = *ping;
	ack(&copy);
	assert_non_null(sent(GOSSIP_ACK));
	assert_int_equal(sent(GOSSIP_ACK)->sequence, 4711);
	assert_int_equal(sent(GOSSIP_ACK)->target, 3);
	assert_string_equal(effects.datagrams[0].address, "10.0.0.2:9189");
}

static void a_late_answer_is_announced_by_a_nack_in_time(void **state)
{
	(void)state;
	create(4);
	struct gossip_message request = from(2, GOSSIP_PING_REQUEST);
	request.target = 3;
	request.target_address = SLICE("10.0.0.3:9189");
	request.sequence = 4711;
	msec begun = now;
	hear(request);
	do
		wait();
	while (sent(GOSSIP_NACK) == NULL);
	assert_true(now < begun + TIMEOUT);
	assert_int_equal(sent(GOSSIP_NACK)->sequence, 4711);
	assert_int_equal(sent(GOSSIP_NACK)->target, 3);
}

static void probes_for_others_have_a_limit(void **state)
{
	(void)state;
	create(4);
	struct gossip_message request = from(2, GOSSIP_PING_REQUEST);
	request.target = 3;
	request.target_address = SLICE("10.0.0.3:9189");
	for (request.sequence = 1; request.sequence <= 100; request.sequence++)
		hear(request);
	assert_int_equal(gossip_counts(gossip)->relayed, 64);
	assert_int_equal(gossip_counts(gossip)->refused_full, 36);
}

/* --- local health -------------------------------------------------------------------------------------------------- */

static void missing_nacks_say_that_it_may_be_this_node(void **state)
{
	(void)state;
	create(10);
	next_ping();
	while (gossip_counts(gossip)->probes_failed == 0)
		wait();
	assert_int_equal(health(), 3); /* three were asked, none said anything */
}

static void nacks_say_that_it_is_not(void **state)
{
	(void)state;
	create(10);
	struct gossip_message ping = next_ping();
	do
		wait();
	while (sent(GOSSIP_PING_REQUEST) == NULL);
	for (uint64_t id = 2, said = 0; said < 3; id++) {
		struct gossip_message nack = from(id, GOSSIP_NACK);
		if (id == ping.target)
			continue;
		nack.target = ping.target;
		nack.sequence = ping.sequence;
		hear(nack);
		said++;
	}
	while (gossip_counts(gossip)->probes_failed == 0)
		wait();
	assert_int_equal(health(), 0);
}

static void ill_health_makes_it_slower_and_answers_make_it_well(void **state)
{
	(void)state;
	create(10);
	next_ping();
	while (gossip_counts(gossip)->probes_failed == 0)
		wait();
	assert_int_equal(health(), 3);
	struct gossip_message ping = *sent(GOSSIP_PING); /* was due already; the one after it is not */
	msec begun = now;
	ack(&ping);
	ping = next_ping();
	assert_int_equal(now, begun + 4 * PROBE);
	for (int i = 0; i < 5; i++) {
		ack(&ping);
		ping = next_ping();
	}
	assert_int_equal(health(), 0);
}

static void health_has_bounds(void **state)
{
	(void)state;
	create(10);
	for (int i = 0; i < 1000 && health() < GOSSIP_HEALTH_MAX; i++)
		wait();
	for (int i = 0; i < 100; i++)
		wait();
	assert_int_equal(health(), GOSSIP_HEALTH_MAX);
}

/* --- suspicion ----------------------------------------------------------------------------------------------------- */

static struct gossip_update suspicion(uint64_t id, uint64_t by)
{
	return (struct gossip_update){.id = id, .generation = 1, .state = GOSSIP_SUSPECT, .from = by};
}

/* How long until it has failed. */
static msec time_to_fail(uint64_t id, msec since)
{
	while (member(id).state != GOSSIP_FAILED) {
		struct gossip_message ping;
		wait();
		if (sent(GOSSIP_PING) != NULL && sent(GOSSIP_PING)->target != id) {
			ping = *sent(GOSSIP_PING);
			ack(&ping);
		}
	}
	return now - since;
}

static void independent_confirmations_shorten_a_suspicion(void **state)
{
	/* α = 3, β = 6, n = 10: 600 ms at least; log(c + 1) / log(4) of the way to it. */
	static const msec expected[] = {3600, 2100, 1224, 600};
	(void)state;
	for (uint64_t confirmations = 0; confirmations <= 3; confirmations++) {
		create(10);
		msec begun = now;
		hear_update(2, suspicion(5, 2));
		for (uint64_t by = 3; by < 3 + confirmations; by++)
			hear_update(2, suspicion(5, by == 5 ? 9 : by));
		/* What this node finds out itself would confirm it, too: it finds nothing out. */
		while (member(5).state == GOSSIP_SUSPECT) {
			struct gossip_message ping;
			wait();
			if (sent(GOSSIP_PING) != NULL) {
				ping = *sent(GOSSIP_PING);
				ack(&ping);
			}
		}
		assert_in_range(now - begun, expected[confirmations], expected[confirmations] + 5);
		gossip_destroy(gossip);
	}
	create(2);
}

static void the_same_one_confirms_once(void **state)
{
	(void)state;
	create(10);
	msec begun = now;
	hear_update(2, suspicion(5, 2));
	for (int i = 0; i < 5; i++)
		hear_update(3, suspicion(5, 2));
	assert_true(time_to_fail(5, begun) > 600 + 100);
}

static void of_two_nodes_the_other_is_given_up_after_the_shortest_time(void **state)
{
	(void)state;
	create(2);
	next_ping();
	while (member(2).state == GOSSIP_ALIVE)
		wait();
	assert_int_equal(time_to_fail(2, now), 600);
}

static void a_higher_incarnation_refutes_and_a_lower_one_does_not(void **state)
{
	(void)state;
	create(10);
	hear_update(2, suspicion(5, 2));
	assert_int_equal(member(5).state, GOSSIP_SUSPECT);
	hear_update(5, (struct gossip_update){.id = 5, .generation = 1, .incarnation = 0, .state = GOSSIP_ALIVE});
	assert_int_equal(member(5).state, GOSSIP_SUSPECT);
	hear_update(5, (struct gossip_update){.id = 5, .generation = 1, .incarnation = 1, .state = GOSSIP_ALIVE});
	assert_int_equal(member(5).state, GOSSIP_ALIVE);
	assert_int_equal(gossip_counts(gossip)->false_suspicions, 1);
	hear_update(3, suspicion(5, 3)); /* of incarnation 0: old */
	assert_int_equal(member(5).state, GOSSIP_ALIVE);
}

static void failed_beats_alive_of_the_same_incarnation_and_left_beats_all(void **state)
{
	(void)state;
	create(10);
	struct gossip_update update = {.id = 5, .generation = 1, .incarnation = 3, .state = GOSSIP_FAILED, .from = 2};
	hear_update(2, update);
	assert_int_equal(member(5).state, GOSSIP_FAILED);
	update.state = GOSSIP_ALIVE;
	hear_update(3, update);
	assert_int_equal(member(5).state, GOSSIP_FAILED);
	update.incarnation = 4;
	hear_update(3, update);
	assert_int_equal(member(5).state, GOSSIP_ALIVE);
	update.incarnation = 0;
	update.state = GOSSIP_LEFT;
	hear_update(3, update);
	assert_int_equal(member(5).state, GOSSIP_LEFT);
	update.incarnation = 9;
	update.state = GOSSIP_ALIVE;
	hear_update(3, update);
	assert_int_equal(member(5).state, GOSSIP_LEFT);
}

static void a_suspicion_of_this_node_is_refuted_and_told(void **state)
{
	(void)state;
	create(10);
	hear_update(2, suspicion(1, 2));
	assert_int_equal(member(1).incarnation, 1);
	assert_int_equal(member(1).state, GOSSIP_ALIVE);
	assert_int_equal(health(), 1);
	do
		wait();
	while (effects.datagram_count == 0);
	assert_int_equal(effects.datagrams[0].message->updates[0].id, 1);
	assert_int_equal(effects.datagrams[0].message->updates[0].incarnation, 1);
	hear_update(2, suspicion(1, 2)); /* the same again: refuted already */
	assert_int_equal(member(1).incarnation, 1);
	hear_update(2, (struct gossip_update){
			       .id = 1, .generation = 1, .incarnation = 7, .state = GOSSIP_FAILED, .from = 2});
	assert_int_equal(member(1).incarnation, 8);
	assert_int_equal(gossip_counts(gossip)->refuted, 2);
}

static void what_cannot_be_refuted_any_more_wants_a_new_generation(void **state)
{
	(void)state;
	create(10);
	hear_update(2, (struct gossip_update){.id = 1,
	                                      .generation = 1,
	                                      .incarnation = GOSSIP_INCARNATION_MAX,
	                                      .state = GOSSIP_SUSPECT,
	                                      .from = 2});
	assert_int_equal(member(1).incarnation, 0);
	assert_non_null(effects.conflict);
	assert_int_equal(effects.conflict->reason, GOSSIP_REFUSED_GENERATION);
}

static void an_age_that_cannot_be_is_the_oldest_that_can(void **state)
{
	(void)state;
	create(10);
	hear_update(2, (struct gossip_update){.id = 5, .generation = 1, .state = GOSSIP_LEFT, .since_ms = UINT64_MAX});
	assert_int_equal(member(5).state, GOSSIP_LEFT);
	assert_int_equal(member(5).since, now - 3600000);
}

static void a_suspect_hears_first_of_its_suspicion(void **state)
{
	(void)state;
	create(10);
	hear_update(2, suspicion(5, 2));
	struct gossip_message ping = from(5, GOSSIP_PING);
	ping.target = 1;
	ping.sequence = 1;
	hear(ping);
	assert_non_null(sent(GOSSIP_ACK));
	assert_int_equal(sent(GOSSIP_ACK)->updates[0].id, 5);
	assert_int_equal(sent(GOSSIP_ACK)->updates[0].state, GOSSIP_SUSPECT);
}

static void what_is_to_be_told_is_told_a_bounded_number_of_times(void **state)
{
	size_t told = 0;
	(void)state;
	create(9);
	for (int i = 0; i < 1000; i++) {
		wait();
		for (size_t j = 0; j < effects.datagram_count; j++)
			for (size_t k = 0; k < effects.datagrams[j].message->update_count; k++)
				told += effects.datagrams[j].message->updates[k].id == 1;
	}
	assert_int_equal(told, 8); /* λ = 4, as for ten members */
}

static void lateness_of_this_node_is_not_held_against_others(void **state)
{
	(void)state;
	create(10);
	hear_update(2, suspicion(5, 2));
	next_ping();
	now += 30000; /* it was not run */
	tick();
	assert_int_equal(gossip_counts(gossip)->pauses, 1);
	assert_int_equal(member(5).state, GOSSIP_SUSPECT);
	for (uint64_t id = 2; id <= 10; id++)
		assert_int_not_equal(member(id).state, GOSSIP_FAILED);
	assert_int_equal(gossip_counts(gossip)->probes_failed, 0);
	assert_true(health() >= 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_member_is_probed_once_in_a_round_in_another_order_each_time),
		TEST(the_period_is_kept_and_an_answer_ends_the_probe),
		TEST(without_an_answer_three_others_are_asked),
		TEST(nobody_answering_makes_it_suspect_at_the_end_of_the_period),
		TEST(an_answer_to_another_question_is_none),
		TEST(a_doubt_is_looked_into_at_once),
		TEST(a_probe_for_another_passes_the_answer_on),
		TEST(a_late_answer_is_announced_by_a_nack_in_time),
		TEST(probes_for_others_have_a_limit),
		TEST(missing_nacks_say_that_it_may_be_this_node),
		TEST(nacks_say_that_it_is_not),
		TEST(ill_health_makes_it_slower_and_answers_make_it_well),
		TEST(health_has_bounds),
		TEST(independent_confirmations_shorten_a_suspicion),
		TEST(the_same_one_confirms_once),
		TEST(of_two_nodes_the_other_is_given_up_after_the_shortest_time),
		TEST(a_higher_incarnation_refutes_and_a_lower_one_does_not),
		TEST(failed_beats_alive_of_the_same_incarnation_and_left_beats_all),
		TEST(a_suspicion_of_this_node_is_refuted_and_told),
		TEST(what_cannot_be_refuted_any_more_wants_a_new_generation),
		TEST(an_age_that_cannot_be_is_the_oldest_that_can),
		TEST(a_suspect_hears_first_of_its_suspicion),
		TEST(what_is_to_be_told_is_told_a_bounded_number_of_times),
		TEST(lateness_of_this_node_is_not_held_against_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
