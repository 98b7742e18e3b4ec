/* Instances, calls, history, timers, signals, retention. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog_fixture.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

#define MEGABYTE (1u << 20)

static void assert_slice(struct slice slice, const char *text)
{
	if (text == NULL) {
		assert_null(slice.data);
		return;
	}
	assert_int_equal(slice.size, strlen(text));
	assert_memory_equal(slice.data, text, slice.size);
}

static void instance_is_read_as_it_was_written(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_instance written = sample_instance(5), read;
	written.key = SLICE("order-1");
	begin(fixture);
	must(fixture, catalog_instance_insert(fixture->catalog, &written));
	must(fixture, catalog_instance_read(fixture->catalog, 5, &read));
	assert_true(read.id == 5);
	assert_slice(read.key, "order-1");
	assert_slice(read.process, "Order");
	assert_int_equal(read.version, 2);
	assert_slice(read.state, "running");
	assert_slice(read.args, "{\"n\":21}");
	assert_slice(read.result, NULL);
	assert_slice(read.error, NULL);
	assert_int_equal(read.started_ms, 1000);
	assert_int_equal(read.finished_ms, 0);
	written.state = SLICE("failed");
	written.error = SLICE("");
	written.finished_ms = 2000;
	written.step = 4;
	written.failing = true;
	must(fixture, catalog_instance_update(fixture->catalog, &written));
	must(fixture, catalog_instance_read(fixture->catalog, 5, &read));
	assert_slice(read.state, "failed");
	assert_slice(read.error, ""); /* empty is not absent */
	assert_slice(read.args, "{\"n\":21}");
	assert_int_equal(read.finished_ms, 2000);
	assert_int_equal(read.step, 4);
	assert_true(read.failing);
	commit(fixture);
	assert_int_equal(outside_number(fixture, "SELECT count(*) FROM pi_instance WHERE result IS NULL AND error = ''"), 1);
}

static void instance_that_is_not_there_is_not_found(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_instance instance = sample_instance(5);
	uint64_t id;
	begin(fixture);
	assert_int_equal(catalog_instance_read(fixture->catalog, 5, &instance), ERR_NOT_FOUND);
	assert_int_equal(catalog_instance_update(fixture->catalog, &instance), ERR_NOT_FOUND);
	assert_int_equal(catalog_instance_by_key(fixture->catalog, SLICE("none"), &id), ERR_NOT_FOUND);
	commit(fixture);
}

static void key_finds_its_instance_and_is_given_once(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_instance instance = sample_instance(1);
	uint64_t id = 0;
	begin(fixture);
	must(fixture, catalog_instance_insert(fixture->catalog, &instance)); /* without a key, as many as you like */
	instance.id = 2;
	must(fixture, catalog_instance_insert(fixture->catalog, &instance));
	instance.id = 3;
	instance.key = SLICE("a");
	must(fixture, catalog_instance_insert(fixture->catalog, &instance));
	instance.id = 4;
	assert_int_equal(catalog_instance_insert(fixture->catalog, &instance), ERR_EXISTS);
	must(fixture, catalog_instance_by_key(fixture->catalog, SLICE("a"), &id));
	assert_true(id == 3);
	commit(fixture);
}

static void open_instances_come_in_order_and_in_pieces(void **state)
{
	struct fixture *fixture = *state;
	uint64_t ids[4];
	begin(fixture);
	for (uint64_t id = 10; id >= 1; id--) {
		struct catalog_instance instance = sample_instance(id);
		must(fixture, catalog_instance_insert(fixture->catalog, &instance));
		instance.finished_ms = 2000;
		if (id % 2 == 0)
			must(fixture, catalog_instance_update(fixture->catalog, &instance));
	}
	assert_int_equal(catalog_instances_open(fixture->catalog, 0, ids, 4), 4);
	assert_true(ids[0] == 1 && ids[1] == 3 && ids[2] == 5 && ids[3] == 7);
	assert_int_equal(catalog_instances_open(fixture->catalog, 7, ids, 4), 1);
	assert_true(ids[0] == 9);
	assert_int_equal(catalog_instances_open(fixture->catalog, 9, ids, 4), 0);
	commit(fixture);
}

static void finished_instance_that_goes_on_is_open_again(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_instance instance = sample_instance(1), read;
	uint64_t id;
	begin(fixture);
	must(fixture, catalog_instance_insert(fixture->catalog, &instance));
	instance.finished_ms = 2000;
	must(fixture, catalog_instance_update(fixture->catalog, &instance));
	assert_int_equal(catalog_instances_open(fixture->catalog, 0, &id, 1), 0);
	instance.finished_ms = 0;
	must(fixture, catalog_instance_update(fixture->catalog, &instance));
	assert_int_equal(catalog_instances_open(fixture->catalog, 0, &id, 1), 1);
	must(fixture, catalog_instance_read(fixture->catalog, 1, &read));
	assert_int_equal(read.finished_ms, 0);
	assert_int_equal(catalog_instances_expire(fixture->catalog, 9000, 10), 0);
	commit(fixture);
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

static int print_call(void *context, const struct catalog_call *call)
{
	buffer_format(context, "%llu/%u %.*s %.*s step %u;", (unsigned long long)call->instance, call->ref,
	              SLICE_ARGS(call->state), (int)call->result.size, call->result.data != NULL ? call->result.data : "",
	              call->step);
	return 0;
}

static int stop_at_second(void *context, const struct catalog_call *call)
{
	(void)call;
	return ++*(int *)context == 2 ? 77 : 0;
}

static int keep_call(void *context, const struct catalog_call *call)
{
	struct catalog_call *kept = context;
	assert_slice(call->node, "one");
	assert_slice(call->error, "first attempt");
	assert_slice(call->kind, "sleep");
	assert_slice(call->process, "Charge");
	*kept = *call;
	return 0;
}

static void call_is_read_as_it_was_written(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_call written = sample_call(1, 2), read = {0};
	written.kind = SLICE("sleep");
	written.error = SLICE("first attempt");
	written.node = SLICE("one");
	written.attempts = 3;
	written.attempt = (7ull << 32) + 9;
	written.started_ms = 11;
	written.returned_ms = 12;
	written.due_ms = 13;
	begin(fixture);
	must(fixture, catalog_call_put(fixture->catalog, &written));
	must(fixture, catalog_calls(fixture->catalog, 1, CATALOG_CALLS_BY_REF, keep_call, &read));
	commit(fixture);
	assert_true(read.instance == 1 && read.ref == 2 && read.attempt == written.attempt);
	assert_int_equal(read.version, 1);
	assert_int_equal(read.attempts, 3);
	assert_int_equal(read.called_ms, 1001);
	assert_int_equal(read.started_ms, 11);
	assert_int_equal(read.returned_ms, 12);
	assert_int_equal(read.due_ms, 13);
}

static void calls_come_by_reference_or_by_step(void **state)
{
	struct fixture *fixture = *state;
	struct buffer seen = BUFFER_EMPTY;
	begin(fixture);
	for (uint32_t ref = 4; ref >= 1; ref--) {
		struct catalog_call call = sample_call(8, ref);
		must(fixture, catalog_call_put(fixture->catalog, &call));
		call.state = SLICE("done");
		call.result = SLICE("1");
		call.step = ref == 1 ? 3 : 2;
		if (ref != 4)
			must(fixture, catalog_call_put(fixture->catalog, &call));
	}
	struct catalog_call neighbour = sample_call(9, 1);
	must(fixture, catalog_call_put(fixture->catalog, &neighbour));
	commit(fixture);
	must(fixture, catalog_calls(fixture->catalog, 8, CATALOG_CALLS_BY_REF, print_call, &seen));
	assert_string_equal(buffer_string(&seen), "8/1 done 1 step 3;8/2 done 1 step 2;8/3 done 1 step 2;8/4 ready  step 0;");
	buffer_clear(&seen);
	must(fixture, catalog_calls(fixture->catalog, 8, CATALOG_CALLS_BY_STEP, print_call, &seen));
	assert_string_equal(buffer_string(&seen), "8/2 done 1 step 2;8/3 done 1 step 2;8/1 done 1 step 3;");
	int count = 0;
	assert_int_equal(catalog_calls(fixture->catalog, 8, CATALOG_CALLS_BY_REF, stop_at_second, &count), 77);
	assert_int_equal(count, 2);
	buffer_finish(&seen);
}

static void values_of_a_mebibyte_are_carried_byte_for_byte(void **state)
{
	struct fixture *fixture = *state;
	char *value = mem_alloc(MEGABYTE);
	for (size_t i = 0; i < MEGABYTE; i++)
		value[i] = (char)('a' + i * 7 % 26);
	struct catalog_instance instance = sample_instance(1), read;
	struct catalog_call call = sample_call(1, 1);
	instance.args = call.result = (struct slice){value, MEGABYTE};
	begin(fixture);
	must(fixture, catalog_instance_insert(fixture->catalog, &instance));
	must(fixture, catalog_call_put(fixture->catalog, &call));
	must(fixture, catalog_call_put(fixture->catalog, &call));
	commit(fixture);
	must(fixture, catalog_instance_read(fixture->catalog, 1, &read));
	assert_int_equal(read.args.size, MEGABYTE);
	assert_memory_equal(read.args.data, value, MEGABYTE);
	assert_int_equal(outside_number(fixture, "SELECT length(result) FROM pi_call"), MEGABYTE);
	mem_free(value);
}

static void events_show_values_beside_the_history(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_instance instance = sample_instance(1);
	struct catalog_call call = sample_call(1, 1);
	instance.result = SLICE("\"all\"");
	call.result = SLICE("\"one\"");
	begin(fixture);
	must(fixture, catalog_instance_insert(fixture->catalog, &instance));
	must(fixture, catalog_call_put(fixture->catalog, &call));
	must(fixture, catalog_instance_update(fixture->catalog, &instance));
	static const char *const kinds[] = {"start", "call", "return", "result"};
	for (uint64_t i = 0; i < 4; i++)
		must(fixture, catalog_history_append(fixture->catalog, i + 1, 1, 1000, slice_of(kinds[i]),
		                                     i == 1 || i == 2 ? 1 : 0, SLICE("{}")));
	assert_int_equal(catalog_history_append(fixture->catalog, 4, 1, 1000, SLICE("result"), 0, SLICE("{}")), ERR_EXISTS);
	commit(fixture);
	char *seen = outside_text(fixture, "SELECT group_concat(kind || ' ' || coalesce(process, '-') || ' ' ||"
	                                   " coalesce(args, '-') || ' ' || coalesce(result, '-'), '; ')"
	                                   " FROM (SELECT * FROM pi_event WHERE instance = 1 ORDER BY seq)");
	assert_string_equal(seen, "start - {\"n\":21} -; call Charge {\"amount\":12.50} -; return Charge - \"one\"; "
	                          "result - - \"all\"");
	mem_free(seen);
	assert_int_equal(outside_number(fixture, "SELECT count(*) FROM pi_history WHERE ref IS NULL"), 2);
}

/* --- timers and signals ------------------------------------------------------------------------------------------- */

static void timers_are_due_in_order(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_timer timers[3];
	msec due = 0;
	must(fixture, catalog_timer_next(fixture->catalog, &due));
	assert_true(due == MSEC_NEVER);
	begin(fixture);
	must(fixture, catalog_timer_insert(fixture->catalog, 300, 1, 1));
	must(fixture, catalog_timer_insert(fixture->catalog, 200, 9, 2));
	must(fixture, catalog_timer_insert(fixture->catalog, 200, 9, 1));
	must(fixture, catalog_timer_insert(fixture->catalog, 200, 8, 5));
	must(fixture, catalog_timer_insert(fixture->catalog, 100, 7, 1));
	must(fixture, catalog_timer_delete(fixture->catalog, 100, 7, 1));
	must(fixture, catalog_timer_delete(fixture->catalog, 100, 7, 2));
	must(fixture, catalog_timer_next(fixture->catalog, &due));
	assert_int_equal(due, 200);
	assert_int_equal(catalog_timers_due(fixture->catalog, 199, timers, 3), 0);
	assert_int_equal(catalog_timers_due(fixture->catalog, 200, timers, 3), 3);
	assert_true(timers[0].instance == 8 && timers[0].ref == 5);
	assert_true(timers[1].instance == 9 && timers[1].ref == 1);
	assert_true(timers[2].instance == 9 && timers[2].ref == 2);
	assert_int_equal(catalog_timers_due(fixture->catalog, 1000, timers, 2), 2);
	commit(fixture);
}

static void signals_are_taken_in_the_order_they_came(void **state)
{
	struct fixture *fixture = *state;
	struct catalog *catalog = fixture->catalog;
	struct buffer value = BUFFER_EMPTY;
	begin(fixture);
	must(fixture, catalog_signal_push(catalog, 1, SLICE("paid"), SLICE("null"), 10, SLICE("\"second\"")));
	must(fixture, catalog_signal_push(catalog, 1, SLICE("paid"), SLICE("null"), 9, SLICE("\"first\"")));
	must(fixture, catalog_signal_push(catalog, 1, SLICE("paid"), SLICE("\"k\""), 8, SLICE("\"other key\"")));
	must(fixture, catalog_signal_push(catalog, 2, SLICE("paid"), SLICE("null"), 7, SLICE("\"other instance\"")));
	must(fixture, catalog_signal_pop(catalog, 1, SLICE("paid"), SLICE("null"), &value));
	assert_string_equal(buffer_string(&value), "\"first\"");
	must(fixture, catalog_signal_pop(catalog, 1, SLICE("paid"), SLICE("null"), &value));
	assert_string_equal(buffer_string(&value), "\"second\"");
	assert_int_equal(catalog_signal_pop(catalog, 1, SLICE("paid"), SLICE("null"), &value), ERR_NOT_FOUND);
	assert_int_equal(catalog_signal_pop(catalog, 1, SLICE("sent"), SLICE("\"k\""), &value), ERR_NOT_FOUND);
	must(fixture, catalog_signals_drop(catalog, 1));
	commit(fixture);
	assert_int_equal(outside_number(fixture, "SELECT group_concat(instance) FROM signal"), 2);
	buffer_finish(&value);
}

/* --- retention ---------------------------------------------------------------------------------------------------- */

static void finish_instance(struct fixture *fixture, uint64_t id, msec finished, uint32_t calls)
{
	struct catalog_instance instance = sample_instance(id);
	must(fixture, catalog_instance_insert(fixture->catalog, &instance));
	for (uint32_t ref = 1; ref <= calls; ref++) {
		struct catalog_call call = sample_call(id, ref);
		must(fixture, catalog_call_put(fixture->catalog, &call));
		must(fixture, catalog_history_append(fixture->catalog, id * 100000 + ref, id, 1, SLICE("call"), ref, SLICE("{}")));
	}
	must(fixture, catalog_signal_push(fixture->catalog, id, SLICE("late"), SLICE("null"), id, SLICE("1")));
	instance.finished_ms = finished;
	must(fixture, catalog_instance_update(fixture->catalog, &instance));
}

static void oldest_finished_instances_expire_first_with_all_their_rows(void **state)
{
	struct fixture *fixture = *state;
	begin(fixture);
	finish_instance(fixture, 1, 500, 2);
	finish_instance(fixture, 2, 300, 2);
	finish_instance(fixture, 3, 300, 2);
	finish_instance(fixture, 4, 900, 2);
	struct catalog_instance running = sample_instance(5);
	must(fixture, catalog_instance_insert(fixture->catalog, &running));
	assert_int_equal(catalog_finished_before(fixture->catalog, 300), 0); /* before, not at */
	assert_int_equal(catalog_finished_before(fixture->catalog, 301), 1);
	assert_int_equal(catalog_instances_expire(fixture->catalog, 300, 10), 0);
	assert_int_equal(catalog_instances_expire(fixture->catalog, 900, 1), 1);
	commit(fixture);
	char *left = outside_text(fixture, "SELECT group_concat(id) FROM (SELECT id FROM pi_instance ORDER BY id)");
	assert_string_equal(left, "1,3,4,5");
	mem_free(left);
	begin(fixture);
	assert_int_equal(catalog_instances_expire(fixture->catalog, 900, 10), 2);
	commit(fixture);
	static const char *const tables[] = {"pi_call", "pi_history", "signal"};
	for (size_t i = 0; i < 3; i++) {
		char *sql = mem_format("SELECT count(DISTINCT instance) * 1000 + max(instance) FROM %s", tables[i]);
		assert_int_equal(outside_number(fixture, sql), 1004);
		mem_free(sql);
	}
}

static void large_instance_expires_in_several_bounded_steps(void **state)
{
	struct fixture *fixture = *state;
	begin(fixture);
	finish_instance(fixture, 1, 100, 1000);
	commit(fixture);
	int steps = 0, deleted = 0;
	while (deleted == 0) {
		begin(fixture);
		int64_t before = outside_number(fixture, "SELECT count(*) FROM pi_call") +
		                 outside_number(fixture, "SELECT count(*) FROM pi_history");
		deleted = must(fixture, catalog_instances_expire(fixture->catalog, 200, 2));
		commit(fixture);
		int64_t after = outside_number(fixture, "SELECT count(*) FROM pi_call") +
		                outside_number(fixture, "SELECT count(*) FROM pi_history");
		assert_true(before - after <= 128);
		assert_true(deleted == 1 || after < before);
		steps++;
	}
	assert_int_equal(deleted, 1);
	assert_true(steps > 10);
	assert_int_equal(outside_number(fixture, "SELECT count(*) FROM pi_instance"), 0);
}

static void free_pages_go_back_a_few_at_a_time(void **state)
{
	struct fixture *fixture = *state;
	char *value = mem_zero(MEGABYTE);
	begin(fixture);
	for (uint64_t id = 1; id <= 16; id++) {
		struct catalog_instance instance = sample_instance(id);
		instance.args = (struct slice){value, MEGABYTE};
		instance.finished_ms = 100;
		must(fixture, catalog_instance_insert(fixture->catalog, &instance));
	}
	commit(fixture);
	begin(fixture);
	assert_int_equal(catalog_instances_expire(fixture->catalog, 200, 16), 16);
	commit(fixture);
	int64_t pages = outside_number(fixture, "PRAGMA page_count");
	int64_t before;
	do {
		before = pages;
		begin(fixture);
		assert_int_equal(catalog_instances_expire(fixture->catalog, 200, 16), 0);
		commit(fixture);
		pages = outside_number(fixture, "PRAGMA page_count");
		assert_in_range(before - pages, 0, 80); /* 64, and pages of the map that keeps track */
	} while (pages < before);
	assert_true(outside_number(fixture, "PRAGMA freelist_count") <= 2048);
	assert_true(pages < 2200);
	mem_free(value);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(instance_is_read_as_it_was_written),
		TEST(instance_that_is_not_there_is_not_found),
		TEST(key_finds_its_instance_and_is_given_once),
		TEST(open_instances_come_in_order_and_in_pieces),
		TEST(finished_instance_that_goes_on_is_open_again),
		TEST(call_is_read_as_it_was_written),
		TEST(calls_come_by_reference_or_by_step),
		TEST(values_of_a_mebibyte_are_carried_byte_for_byte),
		TEST(events_show_values_beside_the_history),
		TEST(timers_are_due_in_order),
		TEST(signals_are_taken_in_the_order_they_came),
		TEST(oldest_finished_instances_expire_first_with_all_their_rows),
		TEST(large_instance_expires_in_several_bounded_steps),
		TEST(free_pages_go_back_a_few_at_a_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
