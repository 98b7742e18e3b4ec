#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "membership/selector.h"

#include <string.h>

/* Two data centres of three, the first node is the local one. */
static const struct selector_node six[] = {
	{1, {"east", 4}}, {2, {"east", 4}}, {3, {"east", 4}}, {4, {"west", 4}}, {5, {"west", 4}}, {6, {"west", 4}},
};

static size_t pick(enum selector_level level, const struct selector_node *nodes, size_t count, uint64_t seed,
                   uint64_t *ids)
{
	struct random random = {seed};
	struct error error;
	size_t picked = 0;
	int code = selector_pick(level, nodes[0].id, nodes[0].datacenter, nodes, count, &random, ids, &picked, NULL,
	                         &error);
	assert_int_equal(code, 0);
	for (size_t i = 0; i < picked; i++) {
		assert_int_not_equal(ids[i], nodes[0].id);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(ids[i], ids[j]);
	}
	return picked;
}

static void two_times_three_nodes_give_the_numbers_of_the_table(void **state)
{
	static const size_t expected[] = {0, 1, 2, 3, 3, 1, 1 + 2, 5};
	uint64_t ids[6];
	(void)state;
	for (int level = 0; level < SELECTOR_LEVEL_END; level++)
		for (uint64_t seed = 0; seed < 100; seed++)
			assert_int_equal(pick((enum selector_level)level, six, 6, seed, ids), expected[level]);
}

static void all_sizes_give_the_numbers_of_the_table(void **state)
{
	struct selector_node nodes[20];
	uint64_t ids[20];
	(void)state;
	for (size_t local = 1; local < 7; local++) {
		for (size_t other = 0; other < 7; other++) {
			size_t count = local + 2 * other;
			for (size_t i = 0; i < count; i++)
				nodes[i] = (struct selector_node){i + 1, i < local           ? SLICE("a")
				                                         : i < local + other ? SLICE("b")
				                                                             : SLICE("c")};
			assert_int_equal(pick(SELECTOR_QUORUM, nodes, count, count, ids), count / 2);
			assert_int_equal(pick(SELECTOR_LOCAL_QUORUM, nodes, count, count, ids), local / 2);
			for (size_t i = 0; i < local / 2; i++)
				assert_true(ids[i] <= local);
			assert_int_equal(pick(SELECTOR_EACH_QUORUM, nodes, count, count, ids),
			                 local / 2 + (other > 0 ? 2 * (other / 2 + 1) : 0));
			assert_int_equal(pick(SELECTOR_ALL, nodes, count, count, ids), count - 1);
		}
	}
}

static void other_data_centres_come_first_and_each_before_one_comes_twice(void **state)
{
	const struct selector_node nodes[] = {
		{1, {"a", 1}}, {2, {"a", 1}}, {3, {"b", 1}}, {4, {"b", 1}}, {5, {"c", 1}}};
	uint64_t ids[5];
	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		assert_int_equal(pick(SELECTOR_ONE, nodes, 5, seed, ids), 1);
		assert_true(ids[0] >= 3);
		assert_int_equal(pick(SELECTOR_TWO, nodes, 5, seed, ids), 2);
		assert_true((ids[0] == 5) != (ids[1] == 5));
		assert_int_equal(pick(SELECTOR_THREE, nodes, 5, seed, ids), 3);
		for (size_t i = 0; i < 3; i++)
			assert_int_not_equal(ids[i], 2);
	}
}

static void two_of_four_never_fails_and_spreads_the_load(void **state)
{
	const struct selector_node nodes[] = {{1, {"a", 1}}, {2, {"a", 1}}, {3, {"a", 1}}, {4, {"a", 1}}};
	uint64_t ids[4];
	size_t load[5] = {0};
	(void)state;
	for (uint64_t seed = 0; seed < 1000; seed++) {
		assert_int_equal(pick(SELECTOR_TWO, nodes, 4, seed, ids), 2);
		load[ids[0]]++;
		load[ids[1]]++;
	}
	for (size_t id = 2; id <= 4; id++) {
		assert_true(load[id] > 600);
		assert_true(load[id] < 733);
	}
}

static void quorums_are_not_always_the_same_nodes(void **state)
{
	uint64_t ids[6];
	size_t load[7] = {0};
	(void)state;
	for (uint64_t seed = 0; seed < 1000; seed++) {
		assert_int_equal(pick(SELECTOR_QUORUM, six, 6, seed, ids), 3);
		for (size_t i = 0; i < 3; i++)
			load[ids[i]]++;
	}
	for (size_t id = 2; id <= 6; id++) {
		assert_true(load[id] > 540);
		assert_true(load[id] < 660);
	}
}

static void a_data_centre_that_is_gone_is_not_picked_from(void **state)
{
	uint64_t ids[6];
	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		size_t picked = pick(SELECTOR_EACH_QUORUM, six, 3, seed, ids);
		assert_int_equal(picked, 1);
		for (size_t i = 0; i < picked; i++)
			assert_true(ids[i] <= 3);
	}
}

static void too_few_nodes_is_an_error_with_both_numbers(void **state)
{
	struct random random = {1};
	struct selector_shortage shortage;
	struct error error;
	uint64_t ids[6];
	size_t picked = 77;
	(void)state;
	int code = selector_pick(SELECTOR_THREE, 1, SLICE("east"), six, 3, &random, ids, &picked, &shortage, &error);
	assert_int_equal(code, ERR_BUSY);
	assert_int_equal(shortage.live, 2);
	assert_int_equal(shortage.required, 3);
	assert_int_equal(picked, 77);
	assert_non_null(strstr(error.text, "needs 3"));
	assert_non_null(strstr(error.text, "2 are live"));
	/* Nobody at all. */
	assert_int_equal(selector_pick(SELECTOR_ONE, 1, SLICE(""), NULL, 0, &random, ids, &picked, &shortage, &error),
	                 ERR_BUSY);
	assert_int_equal(selector_pick(SELECTOR_ALL, 1, SLICE(""), NULL, 0, &random, ids, &picked, NULL, &error), 0);
	assert_int_equal(picked, 0);
	assert_int_equal(
		selector_pick((enum selector_level)99, 1, SLICE(""), six, 6, &random, ids, &picked, NULL, &error),
		ERR_INVALID);
}

static void the_local_node_need_not_be_in_the_list(void **state)
{
	struct random random = {1};
	struct error error;
	uint64_t ids[6];
	size_t picked;
	(void)state;
	assert_int_equal(
		selector_pick(SELECTOR_EACH_QUORUM, 1, SLICE("east"), six + 1, 5, &random, ids, &picked, NULL, &error),
		0);
	assert_int_equal(picked, 3);
}

static void levels_have_names(void **state)
{
	enum selector_level level;
	(void)state;
	for (int i = 0; i < SELECTOR_LEVEL_END; i++) {
		assert_int_equal(selector_level_parse(slice_of(selector_level_name((enum selector_level)i)), &level),
		                 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(selector_level_parse(SLICE("most"), &level), ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_times_three_nodes_give_the_numbers_of_the_table),
		cmocka_unit_test(all_sizes_give_the_numbers_of_the_table),
		cmocka_unit_test(other_data_centres_come_first_and_each_before_one_comes_twice),
		cmocka_unit_test(two_of_four_never_fails_and_spreads_the_load),
		cmocka_unit_test(quorums_are_not_always_the_same_nodes),
		cmocka_unit_test(a_data_centre_that_is_gone_is_not_picked_from),
		cmocka_unit_test(too_few_nodes_is_an_error_with_both_numbers),
		cmocka_unit_test(the_local_node_need_not_be_in_the_list),
		cmocka_unit_test(levels_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
