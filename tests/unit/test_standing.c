#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "daemon/node_internal.h"
#include "node_fixture.h"
#include "wire/frame.h"
#include "wire/raft.h"

enum { ALICE = 8, BOB = 9 }; /* the other members */

struct world {
	struct node_fixture fixture;
	uint64_t term;
};

static int setup(void **state)
{
	struct world *world = mem_zero(sizeof *world);
	node_fixture_init_group(&world->fixture);
	world->term = raft_term(world->fixture.node->raft);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	node_fixture_finish(&world->fixture);
	mem_free(world);
	return 0;
}

struct life {
	uint64_t generation, term, index;
};

static void hear(struct world *world, struct life life, const struct raft_message *message)
{
	struct arena arena = {0};
	Clusterd__Wire__RaftMessage *packed = raft_pack(message, NULL, &arena);
	packed->generation = life.generation;
	packed->born_term = life.term;
	packed->born_index = life.index;
	node_fixture_hear(&world->fixture, ALICE, FRAME_RAFT, 0, &packed->base, SLICE(""));
	arena_finish(&arena);
}

/* ALICE, in that life, says that it has all up to the index. */
static void acknowledge(struct world *world, struct life life, uint64_t index)
{
	struct raft_message message = {.kind = RAFT_APPEND_RESPONSE, .from = ALICE, .to = NODE_FIXTURE_SELF, .term = world->term};
	message.append_response = (struct raft_append_response){.accepted = index, .match = index};
	hear(world, life, &message);
}

static bool is_refused(struct world *world)
{
	struct peer_frame frame;
	if (!node_fixture_sent(&world->fixture, FRAME_SET_BACK, &frame))
		return false;
	assert_int_equal(frame.member, ALICE);
	node_fixture_frame_finish(&frame);
	return true;
}

static void member_with_a_shorter_log_than_it_had_is_refused(void **state)
{
	struct world *world = *state;
	uint64_t last = raft_last_index(world->fixture.node->raft);
	acknowledge(world, (struct life){3, world->term, last}, last);
	assert_false(is_refused(world));
	acknowledge(world, (struct life){4, world->term, last - 1}, last);
	assert_true(is_refused(world));
	assert_int_equal(node_fixture_status(&world->fixture, "members_set_back"), 1);
	/* And each time that it speaks, but it is one member. */
	acknowledge(world, (struct life){4, world->term, last - 1}, last);
	assert_true(is_refused(world));
	assert_int_equal(node_fixture_status(&world->fixture, "members_set_back"), 1);
}

static void member_with_an_older_vote_than_it_gave_is_refused(void **state)
{
	struct world *world = *state;
	uint64_t last = raft_last_index(world->fixture.node->raft);
	struct raft_message vote = {.kind = RAFT_VOTE_RESPONSE, .from = ALICE, .to = NODE_FIXTURE_SELF, .term = world->term};
	vote.vote_response = (struct raft_vote_response){.granted = true, .for_term = world->term};
	hear(world, (struct life){3, world->term, last}, &vote);
	assert_false(is_refused(world));
	acknowledge(world, (struct life){4, world->term - 1, last + 100}, 0);
	assert_true(is_refused(world));
}

static void member_with_all_that_it_had_is_heard(void **state)
{
	struct world *world = *state;
	uint64_t last = raft_last_index(world->fixture.node->raft);
	acknowledge(world, (struct life){3, world->term, last}, last);
	acknowledge(world, (struct life){4, world->term, last}, last);
	assert_false(is_refused(world));
	/* A leader of a later term may have cut it. */
	acknowledge(world, (struct life){5, world->term + 1, 0}, 0);
	assert_false(is_refused(world));
	assert_int_equal(node_fixture_status(&world->fixture, "members_set_back"), 0);
}

static void copy_with_the_number_of_the_life_before_is_told_from_it(void **state)
{
	struct world *world = *state;
	uint64_t last = raft_last_index(world->fixture.node->raft);
	acknowledge(world, (struct life){3, world->term, last}, last);
	acknowledge(world, (struct life){3, world->term, last - 1}, last);
	assert_true(is_refused(world));
	/* What it was made of is welcome. */
	acknowledge(world, (struct life){3, world->term, last}, last);
	assert_false(is_refused(world));
}

static void what_a_former_life_said_comes_too_late(void **state)
{
	struct world *world = *state;
	uint64_t last = raft_last_index(world->fixture.node->raft);
	long long before = node_fixture_status(&world->fixture, "raft_messages_refused");
	acknowledge(world, (struct life){4, world->term, last}, last);
	acknowledge(world, (struct life){3, world->term, last}, last);
	assert_int_equal(node_fixture_status(&world->fixture, "raft_messages_refused"), before + 1);
	acknowledge(world, (struct life){4, world->term, last}, last);
	assert_int_equal(node_fixture_status(&world->fixture, "raft_messages_refused"), before + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(member_with_a_shorter_log_than_it_had_is_refused),
		TEST(member_with_an_older_vote_than_it_gave_is_refused),
		TEST(member_with_all_that_it_had_is_heard),
		TEST(copy_with_the_number_of_the_life_before_is_told_from_it),
		TEST(what_a_former_life_said_comes_too_late),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
