#include "sim/linear.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static enum linear_verdict judge(const char *text)
{
	struct linear_history *history = linear_create();
	struct buffer explanation = BUFFER_EMPTY;
	struct error error = {0};
	if (linear_parse(history, slice_of(text), &error) != 0)
		fail_msg("%s", error.text);
	enum linear_verdict verdict = linear_check(history, 0, &explanation);
	assert_true((verdict == LINEAR_BROKEN) == (explanation.size > 0));
	buffer_finish(&explanation);
	linear_destroy(history);
	return verdict;
}

static void holds(const char *text)
{
	assert_int_equal(judge(text), LINEAR_HOLDS);
}

static void broken(const char *text)
{
	assert_int_equal(judge(text), LINEAR_BROKEN);
}

/* --- registers ----------------------------------------------------------------------------------------------------- */

static void nothing_is_linearizable(void **state)
{
	(void)state;
	holds("");
	holds("# only a comment\n\n");
}

static void reads_see_the_last_write(void **state)
{
	(void)state;
	holds("1 0 1 put a x = 5\n"
	      "1 2 3 get a = x 5\n"
	      "2 4 5 put a y = 6\n"
	      "1 6 7 get a = y 6\n");
}

static void a_stale_read_is_found(void **state)
{
	(void)state;
	broken("1 0 1 put a x = 5\n"
	       "1 2 3 put a y = 6\n"
	       "2 4 5 get a = x 5\n");
	broken("1 0 1 put a x = 5\n"
	       "2 4 5 get a = none\n");
}

static void a_read_beside_a_write_sees_either(void **state)
{
	(void)state;
	holds("1 0 1 put a x = 5\n"
	      "1 2 9 put a y = 6\n"
	      "2 3 8 get a = x 5\n");
	holds("1 0 1 put a x = 5\n"
	      "1 2 9 put a y = 6\n"
	      "2 3 8 get a = y 6\n");
	/* But the second read does not see what is older than the first one saw. */
	broken("1 0 1 put a x = 5\n"
	       "1 2 9 put a y = 6\n"
	       "2 3 4 get a = y 6\n"
	       "3 5 6 get a = x 5\n");
}

static void a_lost_update_is_found(void **state)
{
	(void)state;
	broken("1 0 1 put a x = 5\n"
	       "1 2 9 cas a 5 y = 6\n"
	       "2 2 9 cas a 5 z = 7\n");
	holds("1 0 1 put a x = 5\n"
	      "1 2 9 cas a 5 y = 6\n"
	      "2 2 9 cas a 5 z = conflict\n");
	/* What was acknowledged is gone. */
	broken("1 0 1 put a x = 5\n"
	       "1 2 3 put a y = 6\n"
	       "2 4 5 cas a 5 z = 7\n");
}

static void a_conflict_needs_another_version(void **state)
{
	(void)state;
	broken("1 0 1 put a x = 5\n"
	       "2 4 5 cas a 5 z = conflict\n");
	broken("1 4 5 cas a 0 z = conflict\n");
	holds("1 0 1 cas a 0 x = 5\n"
	      "1 4 5 cas a 0 z = conflict\n");
}

static void deletes_leave_nothing(void **state)
{
	(void)state;
	holds("1 0 1 put a x = 5\n"
	      "1 2 3 delete a = ok\n"
	      "2 4 5 get a = none\n"
	      "2 6 7 delete a = none\n"
	      "2 8 9 delete a = done\n"
	      "2 10 11 cas a 0 y = 8\n"
	      "2 12 13 delete a 5 = conflict\n"
	      "2 14 15 delete a 8 = ok\n");
	broken("1 0 1 put a x = 5\n"
	       "1 2 3 delete a = done\n"
	       "2 4 5 get a = x 5\n");
	broken("1 2 3 delete a = ok\n");
}

static void versions_grow(void **state)
{
	(void)state;
	broken("1 0 1 put a x = 5\n"
	       "1 2 3 put a y = 4\n");
	holds("1 0 9 put a x = 5\n"
	      "2 0 9 put a y = 4\n"
	      "2 10 11 get a = x 5\n");
	broken("1 0 9 put a x = 5\n"
	       "2 0 9 put a y = 4\n"
	       "2 10 11 get a = y 4\n");
	broken("1 0 9 put a x = 5\n"
	       "2 0 9 put a y = 5\n");
}

static void a_read_gives_the_version_of_its_value(void **state)
{
	(void)state;
	broken("1 0 1 put a x = 5\n"
	       "1 2 3 get a = x 6\n");
}

static void keys_have_nothing_to_do_with_each_other(void **state)
{
	(void)state;
	holds("1 0 1 put a x = 5\n"
	      "1 2 3 get b = none\n"
	      "1 4 5 lock a = 9\n");
}

static void what_was_not_answered_may_happen_at_any_time_or_never(void **state)
{
	(void)state;
	holds("1 0 - put a x = ?\n"
	      "2 5 6 get a = none\n"
	      "2 7 8 get a = x 3\n"
	      "2 9 10 get a = x 3\n");
	holds("1 0 - put a x = ?\n"
	      "2 5 6 get a = none\n");
	broken("1 0 - put a x = ?\n"
	       "2 7 8 get a = x 3\n"
	       "2 9 10 get a = none\n");
	broken("1 7 - put a x = ?\n"
	       "2 5 6 get a = x 3\n");
	/* Once only. */
	broken("1 0 - put a x = ?\n"
	       "2 1 2 get a = x 3\n"
	       "2 3 4 put a y = 5\n"
	       "2 5 6 get a = x 7\n");
}

static void an_unanswered_write_explains_a_conflict(void **state)
{
	(void)state;
	holds("1 0 1 put a x = 5\n"
	      "2 2 - put a y = ?\n"
	      "1 3 4 cas a 5 z = conflict\n");
	holds("1 0 1 put a x = 5\n"
	      "2 2 - delete a = ?\n"
	      "1 3 4 get a = none\n");
	/* A version that the unanswered write cannot have. */
	broken("1 0 1 put a x = 5\n"
	       "2 2 - put a y = ?\n"
	       "1 3 4 cas a 5 z = conflict\n"
	       "1 5 6 get a = x 5\n");
}

static void an_unanswered_cas_happens_only_where_it_fits(void **state)
{
	(void)state;
	holds("1 0 1 put a x = 5\n"
	      "2 2 - cas a 5 y = ?\n"
	      "1 3 4 get a = y 6\n");
	broken("1 0 1 put a x = 5\n"
	       "2 2 - cas a 4 y = ?\n"
	       "1 3 4 get a = y 6\n");
}

/* --- locks --------------------------------------------------------------------------------------------------------- */

static void a_lock_has_one_holder(void **state)
{
	(void)state;
	holds("1 0 1 lock l = 3\n"
	      "2 2 3 lock l = held\n"
	      "1 4 5 unlock l 3 = ok\n"
	      "2 6 7 lock l = 8\n");
	broken("1 0 1 lock l = 3\n"
	       "2 2 3 lock l = 4\n");
	broken("1 0 9 lock l = 3\n"
	       "2 2 3 lock l = 4\n");
	broken("1 0 1 lock l = held\n");
}

static void an_expired_lock_goes_to_another(void **state)
{
	(void)state;
	holds("1 0 1 lock l = 3\n"
	      "1 100 - expire l 3 = ?\n"
	      "2 90 110 lock l = 4\n"
	      "1 120 121 unlock l 3 = none\n");
	/* Not before its time. */
	broken("1 0 1 lock l = 3\n"
	       "1 100 - expire l 3 = ?\n"
	       "2 90 99 lock l = 4\n");
	/* Once it is gone it does not come back. */
	broken("1 0 1 lock l = 3\n"
	       "1 100 - expire l 3 = ?\n"
	       "2 110 120 lock l = 4\n"
	       "1 121 122 unlock l 3 = ok\n");
}

static void tokens_grow(void **state)
{
	(void)state;
	broken("1 0 1 lock l = 3\n"
	       "1 2 3 unlock l 3 = ok\n"
	       "2 4 5 lock l = 2\n");
}

static void an_unanswered_lock_may_be_held(void **state)
{
	(void)state;
	holds("1 0 - lock l = ?\n"
	      "2 2 3 lock l = held\n"
	      "1 50 - expire l 0 = ?\n"
	      "2 60 61 lock l = 9\n");
	broken("1 0 - lock l = ?\n"
	       "2 2 3 lock l = held\n"
	       "2 60 61 lock l = 9\n");
}

/* --- against all orders there are ---------------------------------------------------------------------------------- */

#define SMALL 6

static bool fits(const struct linear_operation *operation, const struct linear_operation *there, bool *ret_nothing)
{
	*ret_nothing = there == NULL;
	switch (operation->kind) {
	case LINEAR_GET:
		return operation->result == LINEAR_NONE ? there == NULL : there != NULL && strcmp(there->value, operation->value) == 0;
	case LINEAR_DELETE:
		*ret_nothing = true;
		return (operation->result == LINEAR_OK) == (there != NULL);
	default:
		return true;
	}
}

/* All orders of what is left; times and answers of a history without versions. */
static bool any_order(const struct linear_operation *operations, size_t count, unsigned int done,
                      const struct linear_operation *there)
{
	bool left = false;
	for (size_t i = 0; i < count; i++)
		left = left || ((done & 1u << i) == 0 && operations[i].result != LINEAR_UNKNOWN);
	if (!left)
		return true;
	for (size_t i = 0; i < count; i++) {
		const struct linear_operation *next = &operations[i];
		bool nothing;
		bool early = true;
		for (size_t k = 0; k < count; k++)
			early = early && ((done & 1u << k) != 0 || k == i || operations[k].returned >= next->invoked);
		if ((done & 1u << i) != 0 || !early || !fits(next, there, &nothing))
			continue;
		bool put = next->kind == LINEAR_PUT;
		if (any_order(operations, count, done | 1u << i, put ? next : nothing ? NULL : there))
			return true;
	}
	return false;
}

static void make_small(struct random *random, struct linear_operation *operations, size_t count)
{
	static const char *const values[] = {"u", "v", "w"};
	for (size_t i = 0; i < count; i++) {
		struct linear_operation *operation = &operations[i];
		*operation = (struct linear_operation){.client = i, .key = "k"};
		operation->invoked = (int64_t)random_below(random, 12);
		operation->returned = operation->invoked + (int64_t)random_below(random, 6);
		operation->result = LINEAR_OK;
		switch (random_below(random, 4)) {
		case 0:
			operation->kind = LINEAR_DELETE;
			operation->result = random_below(random, 2) == 0 ? LINEAR_OK : LINEAR_NONE;
			break;
		case 1:
			operation->kind = LINEAR_PUT;
			operation->value = values[random_below(random, 3)];
			if (random_below(random, 4) == 0) {
				operation->result = LINEAR_UNKNOWN;
				operation->returned = LINEAR_NEVER;
			}
			break;
		default:
			operation->kind = LINEAR_GET;
			operation->value = values[random_below(random, 3)];
			if (random_below(random, 4) == 0)
				operation->result = LINEAR_NONE;
			break;
		}
	}
}

static void the_search_agrees_with_trying_all_orders(void **state)
{
	struct random random = {.state = 7};
	size_t verdicts[2] = {0, 0};
	(void)state;
	for (int round = 0; round < 40000; round++) {
		struct linear_operation operations[SMALL];
		struct buffer explanation = BUFFER_EMPTY;
		struct linear_history *history = linear_create();
		size_t count = 2 + random_below(&random, SMALL - 1);
		make_small(&random, operations, count);
		for (size_t i = 0; i < count; i++)
			linear_add(history, &operations[i]);
		bool expected = any_order(operations, count, 0, NULL);
		verdicts[expected]++;
		if ((linear_check(history, 0, &explanation) == LINEAR_HOLDS) != expected) {
			buffer_clear(&explanation);
			linear_print(history, &explanation);
			fail_msg("it is %slinearizable:\n%s", expected ? "" : "not ", buffer_string(&explanation));
		}
		buffer_finish(&explanation);
		linear_destroy(history);
	}
	assert_true(verdicts[0] > 1000 && verdicts[1] > 1000);
}

/* --- large ones ---------------------------------------------------------------------------------------------------- */

#define CLIENTS 8

struct making {
	struct random random;
	struct linear_history *history;
	int64_t now;
	char value[24];      /* what is there */
	uint64_t version;    /* 0: nothing */
	uint64_t next_version;
	uint64_t known;      /* a version that somebody has read */
	int64_t free_at[CLIENTS];
};

/* One operation of an honest register; its effect at the moment `now`. */
static void make_one(struct making *making, uint64_t client)
{
	struct linear_operation operation = {.client = client, .key = "k", .result = LINEAR_OK};
	char value[24];
	uint64_t dice = random_below(&making->random, 10);
	operation.invoked = making->now - (int64_t)random_below(&making->random, (uint64_t)(making->now - making->free_at[client]));
	operation.returned = making->now + (int64_t)random_below(&making->random, 40);
	snprintf(value, sizeof value, "v%lld", (long long)making->now);
	if (dice < 5) {
		operation.kind = LINEAR_GET;
		operation.result = making->version != 0 ? LINEAR_OK : LINEAR_NONE;
		operation.value = making->version != 0 ? making->value : NULL;
		operation.version = making->version;
		making->known = making->version;
	} else if (dice < 9) {
		operation.kind = dice < 7 ? LINEAR_PUT : LINEAR_CAS;
		operation.value = value;
		operation.expected = operation.kind == LINEAR_CAS ? making->known : 0;
		bool fitting = operation.kind == LINEAR_PUT || making->known == making->version;
		if (fitting) {
			memcpy(making->value, value, sizeof value);
			operation.version = making->version = making->next_version++;
		} else {
			operation.result = LINEAR_CONFLICT;
		}
	} else {
		operation.kind = LINEAR_DELETE;
		operation.result = making->version != 0 ? LINEAR_OK : LINEAR_NONE;
		making->version = 0;
	}
	if (operation.kind != LINEAR_GET && random_below(&making->random, 20) == 0) {
		operation.result = LINEAR_UNKNOWN;
		operation.version = 0;
		making->free_at[client] = making->now + 1;
		operation.returned = LINEAR_NEVER;
	} else {
		making->free_at[client] = operation.returned + 1;
	}
	linear_add(making->history, &operation);
}

static void make_large(struct making *making, uint64_t seed, size_t count)
{
	*making = (struct making){.random = {.state = seed}, .history = linear_create(), .now = 1, .next_version = 1};
	for (size_t made = 0; made < count; making->now++) {
		uint64_t client = random_below(&making->random, CLIENTS);
		if (making->free_at[client] < making->now) {
			make_one(making, client);
			made++;
		}
	}
}

static void long_histories_are_decided(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct making making;
		struct buffer explanation = BUFFER_EMPTY;
		make_large(&making, seed, 5000);
		assert_int_equal(linear_check(making.history, 0, &explanation), LINEAR_HOLDS);
		buffer_finish(&explanation);
		linear_destroy(making.history);
	}
}

static void a_mistake_in_a_long_history_is_found(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct making making;
		struct buffer explanation = BUFFER_EMPTY;
		make_large(&making, seed, 1500);
		/* Somebody reads what was there before. */
		linear_add(making.history, &(struct linear_operation){.client = CLIENTS, .key = "k", .kind = LINEAR_PUT,
			.result = LINEAR_OK, .value = "old", .version = making.next_version,
			.invoked = making.now + 100, .returned = making.now + 101});
		linear_add(making.history, &(struct linear_operation){.client = CLIENTS, .key = "k", .kind = LINEAR_PUT,
			.result = LINEAR_OK, .value = "new", .version = making.next_version + 1,
			.invoked = making.now + 102, .returned = making.now + 103});
		linear_add(making.history, &(struct linear_operation){.client = CLIENTS, .key = "k", .kind = LINEAR_GET,
			.result = LINEAR_OK, .value = "old", .version = making.next_version, .invoked = making.now + 104,
			.returned = making.now + 105});
		enum linear_verdict verdict = linear_check(making.history, 0, &explanation);
		if (verdict != LINEAR_BROKEN)
			fail_msg("%s", verdict == LINEAR_HOLDS ? "it is not seen" : "it is not decided");
		assert_non_null(strstr(buffer_string(&explanation), "get k = old"));
		buffer_finish(&explanation);
		linear_destroy(making.history);
	}
}

/* --- text ---------------------------------------------------------------------------------------------------------- */

static void what_is_printed_is_read_again(void **state)
{
	static const char text[] =
		"1 0 1 get a = none\n"
		"1 2 3 get a = x 5\n"
		"1 4 5 put a x = 5\n"
		"1 6 - put a x = ?\n"
		"2 7 8 cas a 5 y = 6\n"
		"2 7 8 cas a 5 y = conflict\n"
		"2 7 - cas a 0 y = ?\n"
		"3 7 8 delete a = ok\n"
		"3 7 8 delete a 4 = conflict\n"
		"3 7 8 delete a = none\n"
		"3 7 8 delete a = done\n"
		"4 -5 8 lock l = 8\n"
		"4 7 8 lock l = held\n"
		"4 7 8 unlock l 3 = ok\n"
		"4 7 8 unlock l 3 = none\n"
		"4 7 - expire l 0 = ?\n";
	struct linear_history *history = linear_create();
	struct buffer out = BUFFER_EMPTY;
	struct error error = {0};
	(void)state;
	assert_int_equal(linear_parse(history, slice_of(text), &error), 0);
	assert_int_equal(linear_count(history), 16);
	linear_print(history, &out);
	assert_string_equal(buffer_string(&out), text);
	buffer_finish(&out);
	linear_destroy(history);
}

static void other_lines_are_refused(void **state)
{
	static const char *const lines[] = {
		"1 2 3",            "1 2 3 get a",        "1 2 3 get a =",     "1 2 3 get a = x",    "1 2 3 find a = x 4",
		"1 2 3 put a = 4",  "1 2 3 put a x = y",  "1 2 3 put a x = ?", "1 2 - put a x = 4",  "1 - 3 put a x = 4",
		"1 3 2 put a x = 4", "x 2 3 put a x = 4", "1 2 3 cas a x y = 4", "1 2 3 lock a = ok", "1 2 3 delete a = 4",
		"1 2 3 expire a 4 = ok",
	};
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct linear_history *history = linear_create();
		struct error error = {0};
		if (linear_parse(history, slice_of(lines[i]), &error) != ERR_INVALID)
			fail_msg("%s", lines[i]);
		linear_destroy(history);
	}
}

static void a_history_is_recorded_as_it_happens(void **state)
{
	struct linear_history *history = linear_create();
	struct buffer out = BUFFER_EMPTY;
	(void)state;
	size_t put = linear_add(history, &(struct linear_operation){.client = 1, .invoked = 1, .returned = LINEAR_NEVER,
		.kind = LINEAR_PUT, .key = "a", .value = "x"});
	size_t get = linear_add(history, &(struct linear_operation){.client = 2, .invoked = 2, .returned = LINEAR_NEVER,
		.kind = LINEAR_GET, .key = "a"});
	size_t lock = linear_add(history, &(struct linear_operation){.client = 2, .invoked = 2, .returned = LINEAR_NEVER,
		.kind = LINEAR_LOCK, .key = "l"});
	linear_return(history, get, 3, LINEAR_OK, "x", 7);
	linear_return(history, put, 4, LINEAR_OK, NULL, 7);
	linear_forget(history, lock);
	linear_print(history, &out);
	assert_string_equal(buffer_string(&out), "1 1 4 put a x = 7\n2 2 3 get a = x 7\n");
	assert_int_equal(linear_check(history, 0, &out), LINEAR_HOLDS);
	buffer_finish(&out);
	linear_destroy(history);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_linearizable),
		cmocka_unit_test(reads_see_the_last_write),
		cmocka_unit_test(a_stale_read_is_found),
		cmocka_unit_test(a_read_beside_a_write_sees_either),
		cmocka_unit_test(a_lost_update_is_found),
		cmocka_unit_test(a_conflict_needs_another_version),
		cmocka_unit_test(deletes_leave_nothing),
		cmocka_unit_test(versions_grow),
		cmocka_unit_test(a_read_gives_the_version_of_its_value),
		cmocka_unit_test(keys_have_nothing_to_do_with_each_other),
		cmocka_unit_test(what_was_not_answered_may_happen_at_any_time_or_never),
		cmocka_unit_test(an_unanswered_write_explains_a_conflict),
		cmocka_unit_test(an_unanswered_cas_happens_only_where_it_fits),
		cmocka_unit_test(a_lock_has_one_holder),
		cmocka_unit_test(an_expired_lock_goes_to_another),
		cmocka_unit_test(tokens_grow),
		cmocka_unit_test(an_unanswered_lock_may_be_held),
		cmocka_unit_test(the_search_agrees_with_trying_all_orders),
		cmocka_unit_test(long_histories_are_decided),
		cmocka_unit_test(a_mistake_in_a_long_history_is_found),
		cmocka_unit_test(what_is_printed_is_read_again),
		cmocka_unit_test(other_lines_are_refused),
		cmocka_unit_test(a_history_is_recorded_as_it_happens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
