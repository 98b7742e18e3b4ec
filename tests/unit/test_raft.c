#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "election/raft.h"

static struct raft_effects step(struct raft *raft, msec now, struct raft_event event)
{
	struct raft_effects effects;
	raft_step(raft, now, &event, &effects);
	return effects;
}

static struct raft *lead_alone(uint64_t last_index)
{
	struct raft *raft;
	assert_int_equal(raft_create(&(struct raft_config){.id = 1, .term = 4, .last_index = last_index}, &raft), 0);
	step(raft, 0, (struct raft_event){.kind = RAFT_START});
	step(raft, 0, (struct raft_event){.kind = RAFT_VOTE_SAVED});
	return raft;
}

static void a_group_of_one_leads_once_its_vote_is_durable(void **state)
{
	struct raft *raft;
	(void)state;
	assert_int_equal(raft_create(&(struct raft_config){.id = 7, .term = 4, .voted_for = 7, .last_index = 12}, &raft), 0);
	assert_int_equal(raft_deadline(raft), MSEC_NEVER);
	struct raft_effects effects = step(raft, 0, (struct raft_event){.kind = RAFT_START});
	assert_true(effects.save_vote);
	assert_false(effects.became_leader);
	assert_int_equal(raft_term(raft), 5);
	assert_int_equal(raft_voted_for(raft), 7);
	assert_int_equal(raft_role(raft), RAFT_CANDIDATE);
	effects = step(raft, 0, (struct raft_event){.kind = RAFT_VOTE_SAVED});
	assert_true(effects.became_leader);
	assert_int_equal(raft_role(raft), RAFT_LEADER);
	assert_int_equal(raft_leader(raft), 7);
	assert_int_equal(raft_last_index(raft), 12);
	assert_int_equal(raft_deadline(raft), MSEC_NEVER); /* nobody to send anything to */
	assert_int_equal(raft_lease_end(raft), MSEC_NEVER);
	raft_destroy(raft);
}

static void an_entry_of_the_term_commits_those_before_it(void **state)
{
	struct raft *raft = lead_alone(12);
	(void)state;
	step(raft, 0, (struct raft_event){.kind = RAFT_SYNCED, .index = 12});
	assert_int_equal(raft_commit_index(raft), 0);
	step(raft, 0, (struct raft_event){.kind = RAFT_APPENDED, .count = 3});
	assert_int_equal(raft_commit_index(raft), 0);
	step(raft, 0, (struct raft_event){.kind = RAFT_SYNCED, .index = 13});
	assert_int_equal(raft_commit_index(raft), 13);
	step(raft, 0, (struct raft_event){.kind = RAFT_SYNCED, .index = 15});
	step(raft, 0, (struct raft_event){.kind = RAFT_SYNCED, .index = 14}); /* late */
	assert_int_equal(raft_commit_index(raft), 15);
	assert_int_equal(raft_synced_index(raft), 15);
	raft_destroy(raft);
}

static void a_read_in_a_group_of_one_waits_for_the_terms_first_commit(void **state)
{
	struct raft *raft = lead_alone(3);
	(void)state;
	struct raft_effects effects = step(raft, 0, (struct raft_event){.kind = RAFT_READ, .id = 9});
	assert_int_equal(effects.read_count, 0);
	step(raft, 0, (struct raft_event){.kind = RAFT_APPENDED, .count = 1});
	effects = step(raft, 0, (struct raft_event){.kind = RAFT_SYNCED, .index = 4});
	assert_int_equal(effects.read_count, 1);
	assert_int_equal(effects.reads[0].id, 9);
	assert_int_equal(effects.reads[0].index, 4);
	effects = step(raft, 0, (struct raft_event){.kind = RAFT_READ, .id = 10});
	assert_int_equal(effects.read_count, 1);
	raft_destroy(raft);
}

static void who_does_not_lead_is_asked_in_vain(void **state)
{
	struct raft_configuration three = {.count = 3, .members = {{1, true}, {2, true}, {3, true}}};
	struct raft_config config = {.id = 1, .configurations = &three, .configuration_count = 1};
	struct raft *raft;
	(void)state;
	assert_int_equal(raft_create(&config, &raft), 0);
	step(raft, 0, (struct raft_event){.kind = RAFT_TICK}); /* before it has started */
	step(raft, 0, (struct raft_event){.kind = RAFT_START});
	assert_int_equal(raft_quorum(raft), 2);
	assert_int_equal(step(raft, 0, (struct raft_event){.kind = RAFT_READ}).result, ERR_NOT_LEADER);
	assert_int_equal(step(raft, 0, (struct raft_event){.kind = RAFT_TRANSFER}).result, ERR_NOT_LEADER);
	assert_int_equal(step(raft, 0, (struct raft_event){.kind = RAFT_CHANGE}).result, ERR_NOT_LEADER);
	assert_int_equal(raft_lease_end(raft), 0);
	assert_false(raft_progress(raft, 2, &(struct raft_progress){0}));
	assert_string_equal(raft_role_name(raft_role(raft)), "follower");
	raft_destroy(raft);
}

static void changes_and_transfers_of_a_group_of_one(void **state)
{
	struct raft *raft = lead_alone(0);
	struct raft_event add = {.kind = RAFT_CHANGE, .change = {RAFT_ADD_LEARNER, 2}};
	struct raft_event promote = {.kind = RAFT_CHANGE, .change = {RAFT_PROMOTE, 2}};
	(void)state;
	assert_int_equal(step(raft, 0, add).result, ERR_BUSY); /* the term has no committed entry */
	step(raft, 0, (struct raft_event){.kind = RAFT_APPENDED, .count = 1});
	step(raft, 0, (struct raft_event){.kind = RAFT_SYNCED, .index = 1});
	assert_int_equal(step(raft, 0, (struct raft_event){.kind = RAFT_TRANSFER}).result, ERR_NOT_FOUND);
	assert_int_equal(step(raft, 0, (struct raft_event){.kind = RAFT_TRANSFER, .peer = 1}).result, ERR_INVALID);
	struct raft_effects effects = step(raft, 0, add);
	assert_int_equal(effects.result, 0);
	assert_int_equal(effects.append_configuration->index, 2);
	assert_int_equal(raft_last_index(raft), 2);
	assert_int_equal(step(raft, 0, promote).result, ERR_BUSY); /* the change before is not committed */
	step(raft, 0, (struct raft_event){.kind = RAFT_SYNCED, .index = 2});
	assert_int_equal(step(raft, 0, promote).result, ERR_BUSY); /* it has not caught up */
	assert_int_equal(raft_needed_index(raft), 1);
	raft_destroy(raft);
}

static void what_contradicts_itself_is_refused_at_the_start(void **state)
{
	struct raft_term_run falling[] = {{1, 5}, {4, 3}};
	struct raft_term_run gap[] = {{2, 5}};
	struct raft_configuration late = {.index = 9, .count = 1, .members = {{1, true}}};
	struct raft_configuration twice = {.count = 2, .members = {{1, true}, {1, true}}};
	struct raft_configuration order[] = {{.index = 3, .count = 1, .members = {{1, true}}},
	                                     {.index = 3, .count = 1, .members = {{1, true}}}};
	struct raft *raft;
	(void)state;
	assert_int_equal(raft_create(&(struct raft_config){.id = 1, .last_index = 6, .runs = falling, .run_count = 2}, &raft),
	                 ERR_INVALID);
	assert_int_equal(raft_create(&(struct raft_config){.id = 1, .last_index = 6, .runs = gap, .run_count = 1}, &raft),
	                 ERR_INVALID);
	assert_int_equal(raft_create(&(struct raft_config){.id = 1, .last_index = 6, .snapshot_index = 7}, &raft), ERR_INVALID);
	assert_int_equal(raft_create(&(struct raft_config){.id = 1, .last_index = 6, .commit_index = 7}, &raft), ERR_INVALID);
	assert_int_equal(raft_create(&(struct raft_config){.id = 1, .last_index = 6, .configurations = &late,
	                                                   .configuration_count = 1}, &raft), ERR_INVALID);
	assert_int_equal(raft_create(&(struct raft_config){.id = 1, .last_index = 6, .configurations = &twice,
	                                                   .configuration_count = 1}, &raft), ERR_INVALID);
	assert_int_equal(raft_create(&(struct raft_config){.id = 1, .last_index = 6, .configurations = order,
	                                                   .configuration_count = 2}, &raft), ERR_INVALID);
}

static void a_log_that_was_durable_before_the_term_raises_it(void **state)
{
	struct raft_term_run run = {1, 8};
	struct raft *raft;
	(void)state;
	assert_int_equal(raft_create(&(struct raft_config){.id = 1, .term = 6, .voted_for = 3, .last_index = 2, .runs = &run,
	                                                   .run_count = 1}, &raft), 0);
	assert_int_equal(raft_term(raft), 8);
	assert_int_equal(raft_voted_for(raft), 0);
	assert_int_equal(raft_last_term(raft), 8);
	raft_destroy(raft);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_of_one_leads_once_its_vote_is_durable),
		cmocka_unit_test(an_entry_of_the_term_commits_those_before_it),
		cmocka_unit_test(a_read_in_a_group_of_one_waits_for_the_terms_first_commit),
		cmocka_unit_test(who_does_not_lead_is_asked_in_vain),
		cmocka_unit_test(changes_and_transfers_of_a_group_of_one),
		cmocka_unit_test(what_contradicts_itself_is_refused_at_the_start),
		cmocka_unit_test(a_log_that_was_durable_before_the_term_raises_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
