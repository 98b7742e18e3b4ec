/* Comparing all with one member. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip_fixture.h"

#include "membership/gossip_internal.h"

#include "wire/gossip.h"

#include <stdio.h>

static struct fixture fixture;

static int setup(void **state)
{
	(void)state;
	fixture_init(&fixture);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_finish(&fixture);
	return 0;
}

/* As if it had heard of them long ago; told to nobody. */
static void plant(uint64_t at, uint64_t first, uint64_t count)
{
	struct gossip *gossip = fixture.nodes[at].gossip;
	for (uint64_t id = first; id < first + count; id++) {
		char name[24];
		char address[32];
		snprintf(name, sizeof name, "planted-%u", (unsigned)id);
		snprintf(address, sizeof address, "10.1.%u.%u:9189", (unsigned)(id >> 8), (unsigned)(id & 255));
		const struct gossip_pair pairs[] = {{SLICE("role"), SLICE("server"), 1, false},
		                                    {SLICE("datacenter"), SLICE("somewhere"), 2, false}};
		const struct gossip_profile all = {.name = slice_of(name),
		                                   .address = slice_of(address),
		                                   .version = 2,
		                                   .pairs = pairs,
		                                   .pair_count = 2};
		members_add(&gossip->members, id, profile_create(NULL, 1, &all), 0, false);
	}
}

struct count {
	size_t messages, bytes, largest, rows, updates;
};

static size_t size_of(const struct gossip_message *message)
{
	struct arena arena = {0};
	struct buffer bytes = BUFFER_EMPTY;
	gossip_encode(message, &arena, &bytes);
	size_t size = bytes.size;
	buffer_finish(&bytes);
	arena_finish(&arena);
	return size;
}

static void add_up(struct count *count, const struct gossip_message *message)
{
	size_t size = size_of(message);
	count->messages++;
	count->bytes += size;
	count->largest = size > count->largest ? size : count->largest;
	count->rows += message->row_count;
	count->updates += message->update_count;
}

/* Plays an exchange between two through, without any other traffic. The message of one is read while the other's step is over: it is
 * packed and unpacked on the way. */
static struct count exchange(uint64_t from, uint64_t to, bool all)
{
	struct count count = {0};
	struct gossip *gossip = fixture.nodes[from].gossip;
	struct gossip_effects effects;
	struct buffer bytes = BUFFER_EMPTY;
	struct arena arena = {0};
	outbox_begin(gossip);
	exchange_begin(gossip, fixture.nodes[to].address, all);
	outbox_end(gossip, &effects);
	uint64_t receiver = to;
	while (effects.exchange_count > 0) {
		struct gossip_message message;
		struct error error;
		assert_int_equal(effects.exchange_count, 1);
		add_up(&count, effects.exchanges[0].message);
		buffer_clear(&bytes);
		arena_reset(&arena);
		gossip_encode(effects.exchanges[0].message, &arena, &bytes);
		assert_int_equal(gossip_decode(buffer_slice(&bytes), &arena, &message, &error), 0);
		struct gossip_event event = {.kind = GOSSIP_EXCHANGE,
		                             .message = &message,
		                             .source = fixture.nodes[receiver == to ? from : to].address};
		gossip_step(fixture.nodes[receiver].gossip, fixture.now, &event, &effects);
		fixture.nodes[receiver].sequence += effects.change_count;
		receiver = receiver == to ? from : to;
		assert_true(count.messages < 1000);
	}
	buffer_finish(&bytes);
	arena_finish(&arena);
	for (size_t i = 0; i < FLIGHTS_MAX; i++)
		assert_int_equal(fixture.nodes[from].gossip->flights[i].sequence, 0);
	return count;
}

static size_t known(uint64_t at)
{
	return fixture.nodes[at].gossip->members.count;
}

static void two_that_agree_say_two_short_messages(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 2);
	plant(1, 100, 5000);
	plant(2, 100, 5000);
	struct count count = exchange(1, 2, false);
	assert_int_equal(count.messages, 2);
	assert_int_equal(count.rows, 0);
	assert_true(count.bytes < 10000);
}

static void one_difference_costs_one_bucket(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 2);
	plant(1, 100, 5001);
	plant(2, 100, 5000);
	struct count count = exchange(1, 2, false);
	assert_int_equal(known(2), 5003);
	assert_true(count.rows < 40);
	assert_int_equal(count.updates, 2); /* who asks, and what the other lacks */
	assert_true(count.bytes < 15000);
	count = exchange(1, 2, false);
	assert_int_equal(count.messages, 2);
}

static void both_learn_what_they_lack_in_pieces_of_bounded_size(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 2);
	plant(1, 100, 6000);
	plant(2, 3000, 6000);
	struct count first = exchange(1, 2, false);
	assert_true(first.largest <= GOSSIP_PIECE_SIZE + 8192);
	assert_true(first.messages > 10);
	assert_int_equal(known(1), 8902);
	assert_int_equal(known(2), 8902);
	assert_int_equal(exchange(2, 1, false).messages, 2);
}

static void who_is_alone_gets_all_in_pieces(void **state)
{
	(void)state;
	fixture_add(&fixture, 1, 1);
	fixture_add(&fixture, 2, 1);
	fixture_run(&fixture, 1);
	plant(1, 100, 9000);
	struct count count = exchange(2, 1, true);
	assert_int_equal(known(2), 9002);
	assert_int_equal(known(1), 9002);
	assert_true(count.largest <= GOSSIP_PIECE_SIZE + 8192);
	assert_int_equal(fixture.nodes[2].gossip->rumours.active, 1); /* what all know already need not be told */
}

static void newer_versions_go_over_as_changes_only(void **state)
{
	(void)state;
	fixture.settings.exchange_ms = 100000000;
	fixture_cluster(&fixture, 3);
	fixture_run(&fixture, 5000);
	/* Nothing arrives but in the exchange that is played here. */
	memset(fixture.cut, 1, sizeof fixture.cut);
	fixture_event(&fixture, 1, (struct gossip_event){.kind = GOSSIP_SET, .key = SLICE("a"), .value = SLICE("1")});
	exchange(1, 2, false);
	struct gossip_member member = fixture_member(&fixture, 2, 1);
	struct slice value;
	assert_true(gossip_value(&member, "a", &value));
	/* And the other way, of a third. */
	exchange(3, 2, false);
	member = fixture_member(&fixture, 3, 1);
	assert_true(gossip_value(&member, "a", &value));
}

static void the_departed_come_with_their_age_and_only_when_they_are_worth_it(void **state)
{
	(void)state;
	fixture.settings.dead_grace_ms = 60000;
	fixture_cluster(&fixture, 3);
	fixture_kill(&fixture, 3);
	fixture_run(&fixture, 15000);
	fixture_add(&fixture, 4, 1);
	fixture_join(&fixture, 4, 1);
	fixture_run(&fixture, 1000);
	assert_int_equal(fixture_state(&fixture, 4, 3), GOSSIP_FAILED);
	assert_true(fixture.now - fixture_member(&fixture, 4, 3).since > 10000);
	assert_int_equal(fixture_member(&fixture, 4, 3).since, fixture_member(&fixture, 1, 3).since);
	fixture_run(&fixture, 20000);
	fixture_add(&fixture, 5, 1);
	fixture_join(&fixture, 5, 1);
	fixture_run(&fixture, 1000);
	assert_int_equal(fixture_state(&fixture, 1, 3), GOSSIP_FAILED);
	assert_int_equal(fixture_state(&fixture, 5, 3), GOSSIP_STATE_END);
	fixture_run(&fixture, 30000);
	for (uint64_t id = 1; id <= 5; id++)
		if (id != 3)
			assert_int_equal(fixture_state(&fixture, id, 3), GOSSIP_STATE_END);
}

static void failures_heard_in_an_exchange_are_looked_into_and_not_believed(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 3);
	fixture_run(&fixture, 20000);
	struct gossip *liar = fixture.nodes[2].gossip;
	members_set_state(&liar->members, members_find(&liar->members, 3), GOSSIP_FAILED, fixture.now);
	exchange(1, 2, false);
	assert_int_equal(fixture_state(&fixture, 1, 3), GOSSIP_ALIVE);
	fixture_run(&fixture, 10000);
	assert_int_equal(fixture_state(&fixture, 1, 3), GOSSIP_ALIVE);
	assert_int_equal(fixture_state(&fixture, 2, 3), GOSSIP_ALIVE);
}

static void who_is_nobody_is_told_nothing(void **state)
{
	struct gossip_effects effects;
	const struct gossip_message message = {.kind = GOSSIP_ASK_ALL,
	                                       .protocol = GOSSIP_PROTOCOL,
	                                       .cluster_id = FIXTURE_CLUSTER,
	                                       .from = 9,
	                                       .generation = 1,
	                                       .address = SLICE("10.0.0.9:9189"),
	                                       .sequence = 3};
	struct gossip_event event = {.kind = GOSSIP_EXCHANGE, .message = &message, .source = "10.0.0.9:9189"};
	(void)state;
	fixture_cluster(&fixture, 2);
	gossip_step(fixture.nodes[1].gossip, fixture.now, &event, &effects);
	assert_int_equal(effects.exchange_count, 0);
}

static void an_answer_that_was_not_asked_for_is_let_go(void **state)
{
	struct gossip_effects effects;
	struct gossip_message message = {.kind = GOSSIP_ALL,
	                                 .protocol = GOSSIP_PROTOCOL,
	                                 .cluster_id = FIXTURE_CLUSTER,
	                                 .from = 2,
	                                 .generation = 1,
	                                 .address = SLICE("10.0.0.2:9189"),
	                                 .sequence = 4711,
	                                 .cursor = 5};
	struct gossip_event event = {.kind = GOSSIP_EXCHANGE, .message = &message, .source = "10.0.0.2:9189"};
	(void)state;
	fixture_cluster(&fixture, 2);
	gossip_step(fixture.nodes[1].gossip, fixture.now, &event, &effects);
	assert_int_equal(effects.exchange_count, 0);
	message.kind = GOSSIP_DIGEST;
	message.bucket_count = 1;
	message.first_bucket = 1;
	message.cursor = 0;
	gossip_step(fixture.nodes[1].gossip, fixture.now, &event, &effects);
	assert_int_equal(effects.exchange_count, 0);
}

static void an_exchange_without_answer_is_given_up_and_others_follow(void **state)
{
	(void)state;
	fixture.settings.exchange_ms = 1000;
	fixture_cluster(&fixture, 3);
	fixture_run(&fixture, 5000);
	fixture.nodes[3].paused = true;
	uint64_t before = gossip_counts(fixture.nodes[1].gossip)->exchanges;
	fixture_run(&fixture, 20000);
	assert_true(gossip_counts(fixture.nodes[1].gossip)->exchanges > before + 10);
	assert_true(gossip_counts(fixture.nodes[1].gossip)->exchanges_failed > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(two_that_agree_say_two_short_messages),
		TEST(one_difference_costs_one_bucket),
		TEST(both_learn_what_they_lack_in_pieces_of_bounded_size),
		TEST(who_is_alone_gets_all_in_pieces),
		TEST(newer_versions_go_over_as_changes_only),
		TEST(the_departed_come_with_their_age_and_only_when_they_are_worth_it),
		TEST(failures_heard_in_an_exchange_are_looked_into_and_not_believed),
		TEST(who_is_nobody_is_told_nothing),
		TEST(an_answer_that_was_not_asked_for_is_let_go),
		TEST(an_exchange_without_answer_is_given_up_and_others_follow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
