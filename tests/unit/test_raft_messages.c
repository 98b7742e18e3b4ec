#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/random.h"
#include "election/raft.h"

static struct raft_configuration three = {.count = 3, .members = {{1, true}, {2, true}, {3, true}}};

static struct raft *create(uint64_t seed)
{
	struct raft_config config = {.id = 1, .configurations = &three, .configuration_count = 1, .seed = seed, .reads_max = 4};
	struct raft_effects effects;
	struct raft *raft;
	assert_int_equal(raft_create(&config, &raft), 0);
	raft_step(raft, 0, &(struct raft_event){.kind = RAFT_START}, &effects);
	return raft;
}

static struct raft_effects hear(struct raft *raft, msec now, struct raft_message message)
{
	struct raft_effects effects;
	message.to = 1;
	raft_step(raft, now, &(struct raft_event){.kind = RAFT_MESSAGE, .message = &message}, &effects);
	return effects;
}

static struct raft_effects event(struct raft *raft, msec now, struct raft_event what)
{
	struct raft_effects effects;
	raft_step(raft, now, &what, &effects);
	return effects;
}

static struct raft_message vote_request(uint64_t from, uint64_t term, uint64_t last_index, uint64_t last_term)
{
	return (struct raft_message){.kind = RAFT_VOTE_REQUEST, .from = from, .term = term, .vote_request = {
		.for_term = term, .last_index = last_index, .last_term = last_term}};
}

static void a_vote_is_said_when_it_is_durable_and_to_one_only(void **state)
{
	struct raft *raft = create(1);
	(void)state;
	struct raft_effects effects = hear(raft, 1000, vote_request(2, 5, 0, 0));
	assert_true(effects.save_vote);
	assert_int_equal(effects.message_count, 0);
	effects = hear(raft, 1000, vote_request(3, 5, 9, 4));
	assert_int_equal(effects.message_count, 1);
	assert_false(effects.messages[0].vote_response.granted);
	effects = event(raft, 1000, (struct raft_event){.kind = RAFT_VOTE_SAVED});
	assert_int_equal(effects.message_count, 1);
	assert_int_equal(effects.messages[0].to, 2);
	assert_true(effects.messages[0].vote_response.granted);
	effects = hear(raft, 1000, vote_request(2, 5, 0, 0)); /* doubled: said again at once */
	assert_int_equal(effects.message_count, 1);
	assert_true(effects.messages[0].vote_response.granted);
	raft_destroy(raft);
}

static void vote_is_refused_when_log_is_behind(void **state)
{
	struct raft_entry entry = {.term = 3};
	struct raft *raft = create(1);
	(void)state;
	hear(raft, 0, (struct raft_message){.kind = RAFT_APPEND_REQUEST, .from = 2, .term = 3, .append_request = {
		.count = 1, .entries = &entry}});
	struct raft_effects effects = hear(raft, 1000, vote_request(3, 9, 5, 2));
	assert_int_equal(effects.message_count, 1);
	assert_false(effects.messages[0].vote_response.granted);
	assert_int_equal(raft_term(raft), 9);
	assert_int_equal(raft_voted_for(raft), 0);
	raft_destroy(raft);
}

static void nobody_is_elected_while_a_leader_is_heard(void **state)
{
	struct raft *raft = create(1);
	(void)state;
	hear(raft, 1000, (struct raft_message){.kind = RAFT_HEARTBEAT, .from = 2, .term = 3});
	hear(raft, 1100, vote_request(3, 9, 0, 0));
	assert_int_equal(raft_term(raft), 3);
	struct raft_message wanted = vote_request(3, 9, 0, 0);
	wanted.vote_request.transfer = true;
	hear(raft, 1100, wanted);
	assert_int_equal(raft_term(raft), 9);
	assert_int_equal(raft_voted_for(raft), 3);
	raft_destroy(raft);
}

static void entries_are_acknowledged_when_they_and_the_term_are_durable(void **state)
{
	struct raft_entry entries[2] = {{.term = 3}, {.term = 3}};
	struct raft *raft = create(1);
	(void)state;
	struct raft_effects effects = hear(raft, 0, (struct raft_message){.kind = RAFT_APPEND_REQUEST, .from = 2, .term = 3,
		.append_request = {.count = 2, .entries = entries, .commit = 1}});
	assert_true(effects.save_vote);
	assert_int_equal(effects.accept_first, 1);
	assert_int_equal(effects.accept_count, 2);
	assert_int_equal(effects.message_count, 0);
	assert_int_equal(raft_commit_index(raft), 1);
	effects = event(raft, 0, (struct raft_event){.kind = RAFT_SYNCED, .index = 2});
	assert_int_equal(effects.message_count, 0);
	effects = event(raft, 0, (struct raft_event){.kind = RAFT_VOTE_SAVED});
	assert_int_equal(effects.message_count, 1);
	assert_int_equal(effects.messages[0].append_response.match, 2);
	raft_destroy(raft);
}

static void what_a_sync_says_of_a_log_that_was_cut_since_is_not_believed(void **state)
{
	struct raft_entry old[3] = {{.term = 3}, {.term = 3}, {.term = 3}};
	struct raft_entry new[3] = {{.term = 4}, {.term = 4}, {.term = 4}};
	struct raft *raft = create(1);
	(void)state;
	hear(raft, 0, (struct raft_message){.kind = RAFT_APPEND_REQUEST, .from = 2, .term = 3,
		.append_request = {.count = 3, .entries = old}});
	struct raft_effects effects = hear(raft, 0, (struct raft_message){.kind = RAFT_APPEND_REQUEST, .from = 3, .term = 4,
		.append_request = {.count = 3, .entries = new}});
	assert_true(effects.cut);
	assert_int_equal(effects.cut_after, 0);
	event(raft, 0, (struct raft_event){.kind = RAFT_SYNCED, .index = 3});
	assert_int_equal(raft_synced_index(raft), 0);
	event(raft, 0, (struct raft_event){.kind = RAFT_SYNCED, .index = 3, .cuts = 1});
	assert_int_equal(raft_synced_index(raft), 3);
	raft_destroy(raft);
}

static void forgeries_are_refused_and_counted(void **state)
{
	struct raft_entry good[2] = {{.term = 3}, {.term = 3}};
	struct raft_entry other[2] = {{.term = 2}, {.term = 2}};
	struct raft_entry falling[2] = {{.term = 3}, {.term = 2}};
	struct raft_configuration nobody = {0};
	struct raft_entry senseless = {.term = 3, .configuration = &nobody};
	struct raft *raft = create(1);
	(void)state;
	hear(raft, 0, (struct raft_message){.kind = RAFT_APPEND_REQUEST, .from = 2, .term = 3,
		.append_request = {.count = 2, .entries = good, .commit = 2}});
	const struct raft_message forged[] = {
		{.kind = RAFT_HEARTBEAT, .from = 0, .term = 3},
		{.kind = RAFT_HEARTBEAT, .from = 1, .term = 3},
		{.kind = RAFT_HEARTBEAT, .from = 2, .term = RAFT_TERM_MAX + 1},
		{.kind = RAFT_HEARTBEAT, .from = 3, .term = 3}, /* another leader of the term */
		{.kind = (enum raft_message_kind)77, .from = 2, .term = 3},
		{.kind = RAFT_APPEND_REQUEST, .from = 2, .term = 3, .append_request = {.count = 1}},
		{.kind = RAFT_APPEND_REQUEST, .from = 2, .term = 3, .append_request = {.prev_term = 1}},
		{.kind = RAFT_APPEND_REQUEST, .from = 2, .term = 3, .append_request = {.prev_index = RAFT_INDEX_MAX, .count = 1}},
		{.kind = RAFT_APPEND_REQUEST, .from = 2, .term = 3, .append_request = {.count = 2, .entries = falling}},
		{.kind = RAFT_APPEND_REQUEST, .from = 2, .term = 3, .append_request = {.count = 2, .entries = other}},
		{.kind = RAFT_APPEND_REQUEST, .from = 2, .term = 3, .append_request = {.prev_index = 2, .prev_term = 2}},
		{.kind = RAFT_APPEND_REQUEST, .from = 2, .term = 3, .append_request = {.count = 1, .entries = &senseless}},
		{.kind = RAFT_SNAPSHOT_CHUNK, .from = 2, .term = 3},
		{.kind = RAFT_VOTE_REQUEST, .from = 2, .term = 3, .vote_request = {.for_term = 9}},
	};
	for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
		hear(raft, 0, forged[i]);
		assert_int_equal(raft_counts(raft)->refused, i + 1);
	}
	assert_int_equal(raft_term(raft), 3);
	assert_int_equal(raft_last_index(raft), 2);
	assert_int_equal(raft_leader(raft), 2);
	raft_destroy(raft);
}

static void who_is_no_member_moves_no_term_by_answering(void **state)
{
	struct raft *raft = create(1);
	(void)state;
	hear(raft, 0, (struct raft_message){.kind = RAFT_APPEND_RESPONSE, .from = 9, .term = 50});
	assert_int_equal(raft_term(raft), 0);
	assert_int_equal(raft_counts(raft)->stale, 1);
	raft_destroy(raft);
}

static msec be_elected(struct raft *raft)
{
	msec now = raft_deadline(raft);
	event(raft, now, (struct raft_event){.kind = RAFT_TICK});
	hear(raft, now, (struct raft_message){.kind = RAFT_VOTE_RESPONSE, .from = 2,
		.vote_response = {.pre = true, .granted = true, .for_term = 1}});
	event(raft, now, (struct raft_event){.kind = RAFT_VOTE_SAVED});
	hear(raft, now, (struct raft_message){.kind = RAFT_VOTE_RESPONSE, .from = 2, .term = 1,
		.vote_response = {.granted = true, .for_term = 1}});
	assert_int_equal(raft_role(raft), RAFT_LEADER);
	event(raft, now, (struct raft_event){.kind = RAFT_APPENDED, .count = 1});
	return now;
}

static struct raft *lead_three(void)
{
	struct raft *raft = create(1);
	be_elected(raft);
	return raft;
}

static void a_tick_shortly_before_a_heartbeat_is_due_sends_it(void **state)
{
	struct raft_config config = {.id = 1, .configurations = &three, .configuration_count = 1, .seed = 1,
	                             .heartbeat_ms = 40, .heartbeat_slack_ms = 10};
	struct raft_effects effects;
	struct raft *raft;
	(void)state;
	assert_int_equal(raft_create(&config, &raft), 0);
	raft_step(raft, 0, &(struct raft_event){.kind = RAFT_START}, &effects);
	msec now = be_elected(raft);
	event(raft, now, (struct raft_event){.kind = RAFT_TICK});
	assert_int_equal(raft_deadline(raft), now + 40);
	assert_int_equal(event(raft, now + 29, (struct raft_event){.kind = RAFT_TICK}).message_count, 0);
	assert_int_equal(event(raft, now + 30, (struct raft_event){.kind = RAFT_TICK}).message_count, 2);
	assert_int_equal(raft_deadline(raft), now + 70);
	raft_destroy(raft);
}

static void a_vote_counts_once_and_of_members_only(void **state)
{
	struct raft *raft = create(1);
	msec now = raft_deadline(raft);
	struct raft_message no = {.kind = RAFT_VOTE_RESPONSE, .from = 2, .vote_response = {.pre = true, .for_term = 1}};
	struct raft_message stranger = {.kind = RAFT_VOTE_RESPONSE, .from = 9,
		.vote_response = {.pre = true, .granted = true, .for_term = 1}};
	(void)state;
	event(raft, now, (struct raft_event){.kind = RAFT_TICK});
	hear(raft, now, no);
	hear(raft, now, no);
	hear(raft, now, stranger);
	assert_int_equal(raft_role(raft), RAFT_PRE_CANDIDATE);
	raft_destroy(raft);
}

static void answers_that_cannot_be_move_nothing_at_the_leader(void **state)
{
	struct raft *raft = lead_three();
	struct raft_progress progress;
	(void)state;
	hear(raft, 500, (struct raft_message){.kind = RAFT_APPEND_RESPONSE, .from = 2, .term = 1,
		.append_response = {.round = 77}});
	hear(raft, 500, (struct raft_message){.kind = RAFT_APPEND_RESPONSE, .from = 2, .term = 1,
		.append_response = {.accepted = 9, .match = 9}});
	hear(raft, 500, (struct raft_message){.kind = RAFT_APPEND_RESPONSE, .from = 2, .term = 1,
		.append_response = {.accepted = 0, .match = 1}});
	assert_int_equal(raft_counts(raft)->refused, 3);
	assert_int_equal(raft_commit_index(raft), 0);
	assert_true(raft_progress(raft, 2, &progress));
	assert_int_equal(progress.match, 0);
	assert_int_equal(progress.state, RAFT_PROBE);
	raft_destroy(raft);
}

static void a_snapshot_of_what_the_log_has_is_not_installed(void **state)
{
	struct raft_entry entries[3] = {{.term = 3}, {.term = 3}, {.term = 3}};
	struct raft_snapshot snapshot = {.index = 2, .term = 3, .id = 5, .size = 10, .configuration = three};
	struct raft *raft = create(1);
	(void)state;
	hear(raft, 0, (struct raft_message){.kind = RAFT_APPEND_REQUEST, .from = 2, .term = 3,
		.append_request = {.count = 3, .entries = entries}});
	struct raft_effects effects = hear(raft, 0, (struct raft_message){.kind = RAFT_SNAPSHOT_CHUNK, .from = 2, .term = 3,
		.chunk = {.length = 10, .snapshot = &snapshot}});
	assert_false(effects.write_chunk);
	assert_int_equal(raft_commit_index(raft), 2);
	assert_int_equal(raft_last_index(raft), 3);
	raft_destroy(raft);
}

static void a_leader_that_nobody_answers_steps_down_and_refuses_reads(void **state)
{
	struct raft *raft = lead_three();
	msec now = raft_deadline(raft) + 1000;
	(void)state;
	event(raft, 450, (struct raft_event){.kind = RAFT_READ, .id = 6});
	for (uint64_t id = 0; id < 3; id++)
		assert_int_equal(event(raft, 450, (struct raft_event){.kind = RAFT_READ, .id = 10 + id}).result, 0);
	assert_int_equal(event(raft, 450, (struct raft_event){.kind = RAFT_READ, .id = 20}).result, ERR_BUSY);
	struct raft_effects effects = event(raft, now, (struct raft_event){.kind = RAFT_TICK});
	assert_true(effects.stepped_down);
	assert_int_equal(effects.read_count, 4);
	assert_int_equal(raft_counts(raft)->cut_off, 1);
	assert_int_equal(raft_leader(raft), 0);
	raft_destroy(raft);
}

/* --- anything at all ----------------------------------------------------------------------------------------------- */

static uint64_t number(struct random *random)
{
	uint64_t kind = random_below(random, 40);
	if (kind == 0)
		return random_next(random);
	if (kind == 1)
		return RAFT_INDEX_MAX - random_below(random, 3);
	return random_below(random, 8);
}

static void fill(struct random *random, struct raft_message *message, struct raft_entry *entries,
                 struct raft_snapshot *snapshot)
{
	uint64_t *words = (uint64_t *)&message->append_request;
	message->kind = (enum raft_message_kind)random_below(random, RAFT_READ_RESPONSE + 2);
	message->from = random_below(random, 5);
	message->to = 1;
	message->term = random_below(random, 100) == 0 ? number(random) : random_below(random, 12);
	for (size_t i = 0; i < (sizeof *message - offsetof(struct raft_message, append_request)) / sizeof *words; i++)
		words[i] = number(random);
	if (message->kind == RAFT_VOTE_REQUEST || message->kind == RAFT_VOTE_RESPONSE) {
		message->vote_request.pre = random_below(random, 2);
		message->vote_request.transfer = random_below(random, 2);
		message->vote_request.for_term = message->term + message->vote_request.pre;
	}
	if (message->kind == RAFT_APPEND_RESPONSE)
		message->append_response.rejected = random_below(random, 2);
	if (message->kind == RAFT_READ_RESPONSE)
		message->read_response.refused = random_below(random, 2);
	if (message->kind == RAFT_APPEND_REQUEST) {
		message->append_request.count = (uint32_t)random_below(random, 5);
		message->append_request.entries = entries;
		uint64_t term = message->append_request.prev_term;
		for (int i = 0; i < 5; i++)
			entries[i] = (struct raft_entry){.term = term += random_below(random, 2),
			                                 .configuration = random_below(random, 10) == 0 ? &three : NULL};
	}
	if (message->kind == RAFT_SNAPSHOT_CHUNK) {
		*snapshot = (struct raft_snapshot){number(random), number(random), number(random), number(random), three};
		message->chunk.snapshot = snapshot;
		message->chunk.length = (uint32_t)number(random);
	}
}

/* A host that does what is wanted at once. */
static void obey(struct raft *raft, msec now, struct raft_effects effects, uint64_t *cuts)
{
	bool save = effects.save_vote;
	bool chunk = effects.write_chunk;
	*cuts += effects.cut || effects.install_snapshot != NULL ? 1 : 0;
	if (effects.became_leader)
		obey(raft, now, event(raft, now, (struct raft_event){.kind = RAFT_APPENDED, .count = 1}), cuts);
	if (effects.install_snapshot != NULL)
		obey(raft, now, event(raft, now, (struct raft_event){.kind = RAFT_SNAPSHOT_INSTALLED}), cuts);
	if (chunk)
		obey(raft, now, event(raft, now, (struct raft_event){.kind = RAFT_CHUNK_SAVED}), cuts);
	if (save)
		obey(raft, now, event(raft, now, (struct raft_event){.kind = RAFT_VOTE_SAVED}), cuts);
	if (effects.make_snapshot)
		obey(raft, now, event(raft, now, (struct raft_event){.kind = RAFT_SNAPSHOT_READY}), cuts);
}

static void no_message_makes_it_fall(void **state)
{
	struct random random = {99};
	(void)state;
	for (uint64_t round = 0; round < 300; round++) {
		struct raft *raft = create(round);
		uint64_t cuts = 0;
		uint64_t commit = 0;
		msec now = 0;
		for (int i = 0; i < 1000; i++) {
			struct raft_message message = {0};
			struct raft_entry entries[5];
			struct raft_snapshot snapshot;
			fill(&random, &message, entries, &snapshot);
			now += (msec)random_below(&random, 30);
			obey(raft, now, event(raft, now, (struct raft_event){.kind = RAFT_MESSAGE, .message = &message}), &cuts);
			if (raft_deadline(raft) <= now)
				obey(raft, now, event(raft, now, (struct raft_event){.kind = RAFT_TICK}), &cuts);
			if (random_below(&random, 10) == 0)
				obey(raft, now, event(raft, now, (struct raft_event){.kind = RAFT_READ, .id = (uint64_t)i}), &cuts);
			obey(raft, now, event(raft, now, (struct raft_event){.kind = RAFT_SYNCED, .index = raft_last_index(raft),
			                                                     .cuts = cuts}), &cuts);
			assert_true(raft_commit_index(raft) >= commit);
			commit = raft_commit_index(raft);
		}
		raft_destroy(raft);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vote_is_said_when_it_is_durable_and_to_one_only),
		cmocka_unit_test(vote_is_refused_when_log_is_behind),
		cmocka_unit_test(nobody_is_elected_while_a_leader_is_heard),
		cmocka_unit_test(entries_are_acknowledged_when_they_and_the_term_are_durable),
		cmocka_unit_test(what_a_sync_says_of_a_log_that_was_cut_since_is_not_believed),
		cmocka_unit_test(forgeries_are_refused_and_counted),
		cmocka_unit_test(who_is_no_member_moves_no_term_by_answering),
		cmocka_unit_test(a_tick_shortly_before_a_heartbeat_is_due_sends_it),
		cmocka_unit_test(a_vote_counts_once_and_of_members_only),
		cmocka_unit_test(answers_that_cannot_be_move_nothing_at_the_leader),
		cmocka_unit_test(a_snapshot_of_what_the_log_has_is_not_installed),
		cmocka_unit_test(a_leader_that_nobody_answers_steps_down_and_refuses_reads),
		cmocka_unit_test(no_message_makes_it_fall),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
