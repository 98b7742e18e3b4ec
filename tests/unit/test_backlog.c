#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/backlog.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "base/random.h"

#include <stdio.h>

static struct backlog backlog;

static void say(uint64_t time, const char *text)
{
	backlog_add(&backlog, STREAM_DATA, time, slice_of(text), 1);
}

/* What a cursor gets, in pieces of `piece` bytes, up to `size` bytes in all. */
static void get(struct backlog_cursor *cursor, size_t piece, size_t size, struct buffer *out)
{
	struct iovec parts[3];
	size_t count;
	while (size != 0 && (count = backlog_parts(cursor, parts, 3)) != 0) {
		size_t got = 0;
		size_t room = piece < size ? piece : size;
		for (size_t i = 0; i < count && got < room; i++) {
			size_t some = parts[i].iov_len < room - got ? parts[i].iov_len : room - got;
			buffer_append(out, parts[i].iov_base, some);
			got += some;
		}
		backlog_got(&backlog, cursor, got);
		size -= got;
	}
}

/* As text: "start 3 | 3: a b | frontier 4 | …" */
static const char *read_all(struct backlog_cursor *cursor, struct buffer *bytes)
{
	static char text[4096];
	size_t length = 0;
	struct stream_frame frame;
	size_t size;
	size_t taken = 0;
	get(cursor, 11, SIZE_MAX, bytes);
	text[0] = '\0';
	while (taken < bytes->size) {
		struct slice rest = {bytes->data + taken, bytes->size - taken};
		struct error error;
		assert_int_equal(stream_frame_parse(rest, STREAM_FRAME_MAX, &frame, &size, &error), 1);
		taken += size;
		const char *between = length != 0 ? " | " : "";
		unsigned long long time = frame.time;
		if (frame.type == STREAM_START || frame.type == STREAM_FRONTIER) {
			length += (size_t)snprintf(text + length, sizeof text - length, "%s%s %llu", between,
			                           frame.type == STREAM_START ? "start" : "frontier", time);
			continue;
		}
		length += (size_t)snprintf(text + length, sizeof text - length, "%s%s%llu:", between,
		                           frame.type == STREAM_STATE ? "state " : "", time);
		struct slice part;
		int64_t count;
		while (stream_parts_next(frame.type, &frame.body, &part, &count))
			length += (size_t)snprintf(text + length, sizeof text - length, " %.*s",
			                           part.size < 20 ? (int)part.size : 1, part.data);
	}
	buffer_finish(bytes);
	return text;
}

static const char *what_comes(struct backlog_cursor *cursor)
{
	struct buffer bytes = BUFFER_EMPTY;
	return read_all(cursor, &bytes);
}

static int set_up(void **state)
{
	(void)state;
	backlog_init(&backlog, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	backlog_finish(&backlog);
	return 0;
}

static void all_get_the_same(void **state)
{
	struct backlog_cursor first;
	struct backlog_cursor second;
	(void)state;
	assert_int_equal(backlog_join(&backlog, &first, STREAM_FROM_NOW), 0);
	assert_int_equal(backlog_join(&backlog, &second, STREAM_FROM_NOW), 0);
	say(0, "a");
	say(0, "b");
	say(1, "c");
	backlog_advance(&backlog, 1);
	say(1, "d");
	assert_string_equal(what_comes(&first), "start 0 | 0: a b | 1: c | frontier 1");
	backlog_seal(&backlog);
	assert_string_equal(what_comes(&first), "1: d");
	assert_string_equal(what_comes(&second), "start 0 | 0: a b | 1: c | frontier 1 | 1: d");
	assert_false(backlog_has_more(&backlog, &first));
	backlog_leave(&backlog, &first);
	backlog_leave(&backlog, &second);
}

static void who_comes_later_begins_with_the_first_epoch_that_it_gets_all_of(void **state)
{
	struct backlog_cursor cursor;
	(void)state;
	backlog_advance(&backlog, 3);
	say(3, "a");
	say(5, "b");
	assert_int_equal(backlog_join(&backlog, &cursor, STREAM_FROM_NOW), 6);
	say(5, "c");
	say(6, "d");
	backlog_advance(&backlog, 6);
	assert_string_equal(what_comes(&cursor), "start 6 | 5: c | 6: d | frontier 6");
	backlog_leave(&backlog, &cursor);
}

static void what_nobody_is_to_get_is_not_kept(void **state)
{
	struct backlog_cursor slow;
	char large[1000] = "";
	(void)state;
	memset(large, 'x', sizeof large - 1);
	for (uint64_t time = 0; time < 10000; time++)
		say(time, large);
	assert_true(backlog.memory <= 2 * BACKLOG_CHUNK_SIZE);
	backlog_join(&backlog, &slow, STREAM_FROM_NOW);
	for (uint64_t time = 10000; time < 20000; time++)
		say(time, large);
	backlog_seal(&backlog);
	assert_true(backlog_lag(&backlog, &slow) > 10000 * sizeof large);
	assert_true(backlog.memory > 10000 * sizeof large);
	backlog_leave(&backlog, &slow);
	assert_true(backlog.memory <= 2 * BACKLOG_CHUNK_SIZE);
}

static void what_is_kept_can_be_had_from_an_earlier_epoch_on(void **state)
{
	struct backlog_cursor cursor;
	char large[60000] = "";
	(void)state;
	memset(large, 'x', sizeof large - 1);
	backlog.kept = 4 * BACKLOG_CHUNK_SIZE;
	for (uint64_t time = 0; time < 100; time++) {
		say(time, large);
		backlog_advance(&backlog, time + 1);
	}
	assert_int_equal(backlog_join(&backlog, &cursor, 97), 97);
	assert_non_null(strstr(what_comes(&cursor), "97: x | frontier 98 | 98: x | frontier 99 | 99: x | frontier 100"));
	backlog_leave(&backlog, &cursor);
	uint64_t from = backlog_join(&backlog, &cursor, 5);
	assert_true(from > 80 && from < 95);
	backlog_leave(&backlog, &cursor);
	assert_int_equal(backlog_join(&backlog, &cursor, 300), 300);
	backlog_leave(&backlog, &cursor);
}

static void who_skips_gets_the_rest_of_a_frame_and_then_whole_epochs(void **state)
{
	struct backlog_cursor cursor;
	struct buffer bytes = BUFFER_EMPTY;
	char large[60000] = "";
	(void)state;
	memset(large, 'x', sizeof large - 1);
	backlog_join(&backlog, &cursor, STREAM_FROM_NOW);
	for (uint64_t time = 0; time < 100; time++) {
		say(time, large);
		backlog_advance(&backlog, time + 1);
	}
	get(&cursor, 1000, 70000, &bytes); /* into the second epoch */
	uint64_t from = backlog_skip(&backlog, &cursor, 4 * BACKLOG_CHUNK_SIZE);
	assert_true(from > 85 && from < 95);
	assert_true(backlog.memory < 8 * BACKLOG_CHUNK_SIZE);
	char expected[100];
	snprintf(expected, sizeof expected, "start 0 | 0: x | frontier 1 | 1: x | start %d | %d: x | frontier", (int)from, (int)from);
	const char *got = read_all(&cursor, &bytes);
	assert_memory_equal(got, expected, strlen(expected));
	assert_string_equal(got + strlen(got) - 12, "frontier 100");
	backlog_leave(&backlog, &cursor);
}

static void a_note_that_was_begun_is_ended_before_another_one(void **state)
{
	struct backlog_cursor cursor;
	struct buffer bytes = BUFFER_EMPTY;
	(void)state;
	backlog_join(&backlog, &cursor, STREAM_FROM_NOW);
	say(0, "a");
	get(&cursor, 7, 7, &bytes);
	backlog_skip(&backlog, &cursor, 0);
	get(&cursor, 3, 3, &bytes);
	say(1, "b");
	backlog_skip(&backlog, &cursor, 0);
	say(2, "c");
	backlog_seal(&backlog);
	assert_string_equal(read_all(&cursor, &bytes), "start 0 | start 2 | 2: c");
	backlog_leave(&backlog, &cursor);
}

static void a_state_comes_whole_before_what_changes(void **state)
{
	struct backlog_cursor cursor;
	struct buffer bytes = BUFFER_EMPTY;
	uint32_t many = 0;
	struct backlog_state *first = backlog_state_create(&many);
	struct backlog_state *second = backlog_state_create(&many);
	(void)state;
	backlog_state_add(first, SLICE("a"), 2);
	backlog_state_add(first, SLICE("b"), 1);
	backlog_state_seal(first);
	backlog_state_seal(second); /* an empty one */
	say(0, "said before");
	backlog_join(&backlog, &cursor, STREAM_FROM_NOW);
	backlog_restart(&backlog, &cursor, first);
	backlog_add(&backlog, STREAM_CHANGES, 1, SLICE("c"), 1);
	get(&cursor, 5, 25, &bytes); /* in the midst of the state */
	backlog_restart(&backlog, &cursor, second);
	backlog_state_release(first);
	backlog_state_release(second);
	backlog_add(&backlog, STREAM_CHANGES, 2, SLICE("d"), 1);
	backlog_seal(&backlog);
	assert_string_equal(read_all(&cursor, &bytes), "state 0: a b | state 0: | start 2 | 2: d");
	assert_int_equal(many, 0);
	backlog_leave(&backlog, &cursor);
}

/* Cursors that read pieces, skip, leave and come back, at random: frames stay whole, epochs that are shown are complete. */
struct reader {
	struct backlog_cursor cursor;
	struct buffer bytes;
	uint64_t from;
	int seen[400];
};

static void check_frame(struct reader *reader, const struct stream_frame *frame, const int *said)
{
	struct slice body = frame->body;
	struct slice part;
	int64_t count;
	if (frame->type == STREAM_START) {
		reader->from = frame->time;
		memset(reader->seen, 0, sizeof reader->seen);
	} else if (frame->type == STREAM_FRONTIER) {
		for (uint64_t time = reader->from; time < frame->time; time++)
			assert_int_equal(reader->seen[time], said[time]);
		reader->from = frame->time > reader->from ? frame->time : reader->from;
	} else {
		while (stream_parts_next(frame->type, &body, &part, &count))
			reader->seen[frame->time]++;
	}
}

static void check_reader(struct reader *reader, const int *said)
{
	struct stream_frame frame;
	struct error error;
	size_t taken = 0;
	size_t size;
	for (;;) {
		struct slice rest = {reader->bytes.data + taken, reader->bytes.size - taken};
		if (stream_frame_parse(rest, STREAM_FRAME_MAX, &frame, &size, &error) != 1)
			break;
		check_frame(reader, &frame, said);
		taken += size;
	}
	buffer_consume(&reader->bytes, taken);
}

static void epochs_are_whole_whatever_happens(void **state)
{
	static char large[BACKLOG_CHUNK_SIZE];
	(void)state;
	memset(large, 'x', sizeof large);
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct random random = {seed};
		struct reader *readers = mem_array(3, sizeof *readers);
		int said[400] = {0};
		backlog_finish(&backlog);
		backlog_init(&backlog, seed % 2 != 0 ? 300000 : 0);
		for (int i = 0; i < 3; i++)
			backlog_join(&backlog, &readers[i].cursor, STREAM_FROM_NOW);
		for (int step = 0; step < 3000 && backlog.frontier < 390; step++) {
			struct reader *reader = &readers[random_below(&random, 3)];
			uint64_t time = backlog.frontier + random_below(&random, 3);
			switch (random_below(&random, 12)) {
			case 0:
				backlog_advance(&backlog, backlog.frontier + random_below(&random, 3));
				break;
			case 1:
				backlog_skip(&backlog, &reader->cursor, random_below(&random, 400000));
				break;
			case 2:
				backlog_leave(&backlog, &reader->cursor);
				buffer_finish(&reader->bytes);
				backlog_join(&backlog, &reader->cursor, random_below(&random, 2) != 0 ? reader->from : STREAM_FROM_NOW);
				break;
			case 3:
			case 4:
				get(&reader->cursor, 1 + random_below(&random, 100000), random_below(&random, 500000), &reader->bytes);
				check_reader(reader, said);
				break;
			default:
				backlog_add(&backlog, STREAM_DATA, time, (struct slice){large, random_below(&random, sizeof large)}, 1);
				said[time]++;
				break;
			}
		}
		backlog_advance(&backlog, 399);
		for (int i = 0; i < 3; i++) {
			get(&readers[i].cursor, 5000, SIZE_MAX, &readers[i].bytes);
			check_reader(&readers[i], said);
			assert_true(readers[i].from == 399 && readers[i].bytes.size == 0);
			backlog_leave(&backlog, &readers[i].cursor);
			buffer_finish(&readers[i].bytes);
		}
		mem_free(readers);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_get_the_same, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_comes_later_begins_with_the_first_epoch_that_it_gets_all_of, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_nobody_is_to_get_is_not_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_kept_can_be_had_from_an_earlier_epoch_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_skips_gets_the_rest_of_a_frame_and_then_whole_epochs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_note_that_was_begun_is_ended_before_another_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_state_comes_whole_before_what_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(epochs_are_whole_whatever_happens, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
