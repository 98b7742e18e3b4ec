#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loop;
static struct loop_timer *deadline;

/* One end under test, and what its handler heard. */
struct end {
	struct stream *stream;
	struct buffer received;
	char reason[200];
	size_t until;        /* stop the loop when so many bytes have come */
	size_t frame;        /* consume only in pieces of this size; 0: all */
	int readable_count;
	int closed_count;
	int drained_count;
	bool destroy_in_readable;
	bool destroy_in_closed;
	bool pause_in_readable;
	bool stop_when_drained;
};

static void end_readable(void *context, struct stream *stream, struct buffer *input)
{
	struct end *end = context;
	size_t taken = end->frame == 0 ? input->size : input->size / end->frame * end->frame;
	end->readable_count++;
	buffer_append(&end->received, input->data, taken);
	if (end->destroy_in_readable) {
		stream_destroy(stream);
		end->stream = NULL;
		loop_stop(loop);
	}
	if (end->pause_in_readable)
		stream_set_reading(stream, false);
	buffer_consume(input, taken);
	if (end->received.size >= end->until)
		loop_stop(loop);
}

static void end_closed(void *context, struct stream *stream, const char *reason)
{
	struct end *end = context;
	end->closed_count++;
	strncpy(end->reason, reason, sizeof end->reason - 1);
	if (end->destroy_in_closed) {
		stream_destroy(stream);
		end->stream = NULL;
	}
	loop_stop(loop);
}

static void end_drained(void *context, struct stream *stream)
{
	(void)stream;
	struct end *end = context;
	end->drained_count++;
	if (end->stop_when_drained)
		loop_stop(loop);
}

static const struct stream_handler handler = {end_readable, end_closed, end_drained};

static void too_late(void *context)
{
	(void)context;
	fail_msg("the deadline passed");
}

static void run(void)
{
	loop_timer_set(deadline, loop_now(loop) + 20000);
	loop_run(loop);
	loop_timer_set(deadline, MSEC_NEVER);
}

static void stop(void *context)
{
	(void)context;
	loop_stop(loop);
}

/* Lets pass all that is ready now. */
static void run_a_turn(void)
{
	struct loop_timer *timer = loop_timer_create(loop, stop, NULL);
	loop_timer_set(timer, loop_now(loop) + 1);
	run();
	loop_timer_destroy(timer);
}

static int setup(void **state)
{
	(void)state;
	if (loop_create(&loop) != 0)
		return -1;
	deadline = loop_timer_create(loop, too_late, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	loop_timer_destroy(deadline);
	loop_destroy(loop);
	return 0;
}

/* A pair of sockets: ours is a stream, the other is returned. */
static int end_init(struct end *end)
{
	int pair[2];
	*end = (struct end){.until = SIZE_MAX};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	end->stream = stream_create(loop, pair[0], &handler, end);
	return pair[1];
}

static void end_finish(struct end *end)
{
	stream_destroy(end->stream);
	buffer_finish(&end->received);
}

static void write_all(int descriptor, const char *text)
{
	assert_int_equal(write(descriptor, text, strlen(text)), strlen(text));
}

static void assert_received(const struct end *end, const char *text)
{
	assert_int_equal(end->received.size, strlen(text));
	assert_memory_equal(end->received.data, text, strlen(text));
}

/* --- reading */

static void bytes_come_as_they_were_written(void **state)
{
	(void)state;
	struct end end;
	int other = end_init(&end);
	end.until = 10;
	write_all(other, "hello");
	write_all(other, "world");
	run();
	assert_received(&end, "helloworld");
	assert_string_equal(stream_peer(end.stream), "unix");
	assert_int_equal(stream_peer_uid(end.stream), getuid());
	assert_ptr_equal(stream_context(end.stream), &end);
	close(other);
	end_finish(&end);
}

static void what_is_not_consumed_comes_again_with_more(void **state)
{
	(void)state;
	struct end end;
	int other = end_init(&end);
	end.frame = 4;
	end.until = 4;
	write_all(other, "abcdef");
	run();
	assert_received(&end, "abcd");
	end.until = 8;
	write_all(other, "gh");
	run();
	assert_received(&end, "abcdefgh");
	close(other);
	end_finish(&end);
}

static void frame_of_sixteen_mebibytes_arrives_in_one_piece(void **state)
{
	(void)state;
	struct end end;
	struct end sender = {.until = SIZE_MAX};
	int other = end_init(&end);
	size_t size = (16u << 20) + 20;
	struct buffer data = BUFFER_EMPTY;
	for (size_t i = 0; i < size; i++)
		buffer_append_char(&data, (char)(i * 2654435761u >> 13));
	sender.stream = stream_create(loop, other, &handler, &sender);
	stream_write(sender.stream, data.data, data.size);
	end.frame = end.until = size;
	run();
	assert_int_equal(end.received.size, size);
	assert_memory_equal(end.received.data, data.data, size);
	assert_int_equal(stream_queued(sender.stream), 0);
	buffer_finish(&data);
	end_finish(&sender);
	end_finish(&end);
}

static void input_that_makes_no_message_closes_the_stream(void **state)
{
	(void)state;
	struct end end;
	struct end sender = {.until = SIZE_MAX};
	int other = end_init(&end);
	char *block = mem_zero(1 << 20);
	end.frame = SIZE_MAX / 2;
	sender.stream = stream_create(loop, other, &handler, &sender);
	for (int i = 0; i < 19; i++)
		stream_write(sender.stream, block, 1 << 20);
	run();
	assert_int_equal(end.closed_count, 1);
	assert_non_null(strstr(end.reason, "bytes came that make no whole message (limit 18874368)"));
	mem_free(block);
	end_finish(&sender);
	end_finish(&end);
}

static void one_stream_reads_no_more_than_its_share_of_a_turn(void **state)
{
	(void)state;
	struct end end;
	int other = end_init(&end);
	size_t size = 2 * STREAM_READ_SIZE;
	int room = 1 << 20;
	setsockopt(other, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	char *block = mem_zero(size);
	assert_int_equal(write(other, block, size), size);
	end.until = 1; /* ends the loop with the first turn */
	run();
	assert_true(end.received.size <= STREAM_READ_SIZE);
	end.until = size;
	run();
	assert_int_equal(end.received.size, size);
	mem_free(block);
	close(other);
	end_finish(&end);
}

static void paused_stream_leaves_bytes_in_the_system(void **state)
{
	(void)state;
	struct end end;
	int other = end_init(&end);
	stream_set_reading(end.stream, false);
	write_all(other, "later");
	run_a_turn();
	assert_int_equal(end.readable_count, 0);
	end.until = 5;
	stream_set_reading(end.stream, true);
	run();
	assert_received(&end, "later");
	close(other);
	end_finish(&end);
}

static void what_was_left_at_a_pause_is_shown_again_afterwards(void **state)
{
	(void)state;
	struct end end;
	int other = end_init(&end);
	end.frame = 4;
	end.pause_in_readable = true;
	write_all(other, "abc");
	end.until = 0;
	run();
	assert_int_equal(end.readable_count, 1);
	end.pause_in_readable = false;
	end.frame = 1;
	end.until = 3;
	stream_set_reading(end.stream, true);
	run();
	assert_received(&end, "abc");
	close(other);
	end_finish(&end);
}

/* --- closing */

static void close_of_the_peer_is_told_once_after_the_last_bytes(void **state)
{
	(void)state;
	struct end end;
	int other = end_init(&end);
	write_all(other, "last words");
	close(other);
	run();
	assert_received(&end, "last words");
	assert_int_equal(end.closed_count, 1);
	assert_string_equal(end.reason, "the peer has closed the connection");
	run_a_turn();
	assert_int_equal(end.closed_count, 1);
	end_finish(&end);
}

static void last_bytes_of_the_peer_come_before_the_failure_of_a_write(void **state)
{
	(void)state;
	struct end end;
	int other = end_init(&end);
	write_all(other, "goodbye");
	close(other);
	/* Past the size that is written at once: the error is known before the loop has read anything. */
	char *block = mem_zero(128 << 10);
	stream_write(end.stream, block, 128 << 10);
	assert_int_equal(end.closed_count, 0);
	assert_int_equal(stream_queued(end.stream), 0);
	run();
	assert_received(&end, "goodbye");
	assert_int_equal(end.closed_count, 1);
	assert_string_equal(end.reason, strerror(EPIPE));
	mem_free(block);
	end_finish(&end);
}

static void answer_goes_out_although_the_peer_has_finished_its_side(void **state)
{
	(void)state;
	struct end end;
	int other = end_init(&end);
	char text[16] = "";
	shutdown(other, SHUT_WR);
	run();
	assert_int_equal(end.closed_count, 1);
	stream_write(end.stream, "answer", 6);
	run_a_turn();
	assert_int_equal(read(other, text, sizeof text), 6);
	assert_string_equal(text, "answer");
	close(other);
	end_finish(&end);
}

static void stream_can_be_destroyed_in_readable(void **state)
{
	(void)state;
	struct end end;
	int other = end_init(&end);
	char byte;
	end.destroy_in_readable = true;
	write_all(other, "x");
	run();
	assert_null(end.stream);
	assert_received(&end, "x");
	assert_int_equal(read(other, &byte, 1), 0);
	close(other);
	end_finish(&end);
}

static void stream_can_be_destroyed_in_readable_with_input_of_its_own(void **state)
{
	(void)state;
	struct end end;
	struct end sender = {.until = SIZE_MAX};
	int other = end_init(&end);
	char *block = mem_zero(200000);
	sender.stream = stream_create(loop, other, &handler, &sender);
	stream_write(sender.stream, block, 150000);
	end.frame = 200000;
	end.until = SIZE_MAX;
	while (end.readable_count < 3)
		run_a_turn();
	end.destroy_in_readable = true;
	stream_write(sender.stream, block, 50000);
	while (end.stream != NULL)
		run_a_turn();
	mem_free(block);
	end_finish(&sender);
	end_finish(&end);
}

static void stream_can_be_destroyed_in_closed(void **state)
{
	(void)state;
	struct end end;
	int other = end_init(&end);
	end.destroy_in_closed = true;
	close(other);
	run();
	assert_null(end.stream);
	assert_int_equal(end.closed_count, 1);
	end_finish(&end);
}

/* --- writing */

static void turn_end_write(void *context)
{
	struct end *end = context;
	stream_write(end->stream, "c", 1);
	loop_stop(loop);
}

static void what_a_turn_writes_goes_out_together_at_its_end(void **state)
{
	(void)state;
	struct end end;
	int pair[2];
	/* Packets show which bytes were written in one go. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	end = (struct end){.until = SIZE_MAX};
	end.stream = stream_create(loop, pair[0], &handler, &end);
	char text[16] = "";
	const struct slice parts[] = {SLICE("a"), SLICE("b")};
	loop_at_turn_end(loop, turn_end_write, &end);
	stream_write_slices(end.stream, parts, 2);
	assert_int_equal(stream_queued(end.stream), 2);
	assert_int_equal(recv(pair[1], text, sizeof text, MSG_DONTWAIT), -1);
	run();
	assert_int_equal(recv(pair[1], text, sizeof text, MSG_DONTWAIT), 3);
	assert_string_equal(text, "abc");
	assert_int_equal(stream_queued(end.stream), 0);
	loop_forget_turn_end(loop, turn_end_write, &end);
	close(pair[1]);
	end_finish(&end);
}

static void large_writes_do_not_wait_for_the_end_of_the_turn(void **state)
{
	(void)state;
	struct end end;
	int other = end_init(&end);
	char *block = mem_zero(64 << 10);
	stream_write(end.stream, block, 64 << 10);
	assert_int_equal(recv(other, block, 64 << 10, MSG_DONTWAIT), 64 << 10);
	mem_free(block);
	close(other);
	end_finish(&end);
}

static void drained_is_told_when_the_queue_has_fallen_from_high_to_low(void **state)
{
	(void)state;
	struct end end;
	struct end reader = {.until = SIZE_MAX};
	int other = end_init(&end);
	char *block = mem_zero(STREAM_HIGH_MARK);
	end.stop_when_drained = true;
	stream_write(end.stream, block, STREAM_HIGH_MARK);
	stream_write(end.stream, block, STREAM_HIGH_MARK);
	assert_true(stream_queued(end.stream) > STREAM_HIGH_MARK);
	run_a_turn();
	assert_int_equal(end.drained_count, 0);
	reader.stream = stream_create(loop, other, &handler, &reader);
	run();
	assert_int_equal(end.drained_count, 1);
	assert_true(stream_queued(end.stream) < STREAM_LOW_MARK);
	reader.until = 2 * STREAM_HIGH_MARK;
	if (reader.received.size < reader.until)
		run();
	run_a_turn();
	assert_int_equal(end.drained_count, 1);
	mem_free(block);
	end_finish(&reader);
	end_finish(&end);
}

static void peer_that_never_reads_is_closed_at_a_limit(void **state)
{
	(void)state;
	struct end end;
	int other = end_init(&end);
	char *block = mem_zero(1 << 20);
	for (int i = 0; i < 70; i++)
		stream_write(end.stream, block, 1 << 20);
	assert_int_equal(stream_queued(end.stream), 0);
	run();
	assert_int_equal(end.closed_count, 1);
	assert_string_equal(end.reason, "more than 67108864 bytes wait for a peer that does not read them");
	mem_free(block);
	close(other);
	end_finish(&end);
}

static void finish_closes_the_writing_side_after_the_last_byte(void **state)
{
	(void)state;
	struct end end;
	struct end reader = {.until = SIZE_MAX};
	int other = end_init(&end);
	char *block = mem_zero(1 << 20);
	stream_write(end.stream, block, 1 << 20);
	stream_finish(end.stream);
	reader.stream = stream_create(loop, other, &handler, &reader);
	run();
	assert_int_equal(reader.received.size, 1 << 20);
	assert_int_equal(reader.closed_count, 1);
	/* The other direction still works. */
	end.until = 2;
	stream_write(reader.stream, "ok", 2);
	run();
	assert_received(&end, "ok");
	mem_free(block);
	end_finish(&reader);
	end_finish(&end);
}

/* --- pipes */

static void pipe_is_read_to_its_end(void **state)
{
	(void)state;
	struct end end = {.until = SIZE_MAX};
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	end.stream = stream_create(loop, ends[0], &handler, &end);
	write_all(ends[1], "output");
	close(ends[1]);
	run();
	assert_received(&end, "output");
	assert_int_equal(end.closed_count, 1);
	assert_string_equal(stream_peer(end.stream), "pipe");
	assert_int_equal(stream_peer_uid(end.stream), -1);
	end_finish(&end);
}

static void finished_pipe_is_closed_for_its_reader(void **state)
{
	(void)state;
	struct end end = {.until = SIZE_MAX};
	int ends[2];
	char text[16] = "";
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	end.stream = stream_create(loop, ends[1], &handler, &end);
	stream_write(end.stream, "input", 5);
	stream_finish(end.stream);
	run_a_turn();
	assert_int_equal(read(ends[0], text, sizeof text), 5);
	assert_int_equal(read(ends[0], text, sizeof text), 0);
	assert_int_equal(end.closed_count, 0);
	close(ends[0]);
	end_finish(&end);
}

static void reader_that_closes_its_pipe_is_noticed_without_a_write(void **state)
{
	(void)state;
	struct end end = {.until = SIZE_MAX};
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	end.stream = stream_create(loop, ends[1], &handler, &end);
	close(ends[0]);
	run();
	assert_int_equal(end.closed_count, 1);
	assert_string_equal(end.reason, "the reader has closed the pipe");
	stream_write(end.stream, "x", 1); /* dropped, and no signal */
	run_a_turn();
	end_finish(&end);
}

/* --- memory */

static void idle_streams_keep_no_buffers(void **state)
{
	(void)state;
	enum { COUNT = 1000 };
	static struct end ends[COUNT];
	static int others[COUNT];
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 2 * COUNT + 100)
		skip();
	for (int i = 0; i < COUNT; i++) {
		others[i] = end_init(&ends[i]);
		ends[i].until = 5;
	}
	struct mallinfo2 before = mallinfo2();
	for (int i = 0; i < COUNT; i++) {
		write_all(others[i], "hello");
		stream_write(ends[i].stream, "answer", 6);
		run();
		assert_received(&ends[i], "hello");
		buffer_finish(&ends[i].received);
	}
	run_a_turn();
	struct mallinfo2 after = mallinfo2();
	/* The scratch buffer of the loop, and nothing for each stream. */
	assert_true(after.uordblks < before.uordblks + 2 * STREAM_READ_SIZE);
	for (int i = 0; i < COUNT; i++) {
		close(others[i]);
		end_finish(&ends[i]);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(bytes_come_as_they_were_written),
		TEST(what_is_not_consumed_comes_again_with_more),
		TEST(frame_of_sixteen_mebibytes_arrives_in_one_piece),
		TEST(input_that_makes_no_message_closes_the_stream),
		TEST(one_stream_reads_no_more_than_its_share_of_a_turn),
		TEST(paused_stream_leaves_bytes_in_the_system),
		TEST(what_was_left_at_a_pause_is_shown_again_afterwards),
		TEST(close_of_the_peer_is_told_once_after_the_last_bytes),
		TEST(last_bytes_of_the_peer_come_before_the_failure_of_a_write),
		TEST(answer_goes_out_although_the_peer_has_finished_its_side),
		TEST(stream_can_be_destroyed_in_readable),
		TEST(stream_can_be_destroyed_in_readable_with_input_of_its_own),
		TEST(stream_can_be_destroyed_in_closed),
		TEST(what_a_turn_writes_goes_out_together_at_its_end),
		TEST(large_writes_do_not_wait_for_the_end_of_the_turn),
		TEST(drained_is_told_when_the_queue_has_fallen_from_high_to_low),
		TEST(peer_that_never_reads_is_closed_at_a_limit),
		TEST(finish_closes_the_writing_side_after_the_last_byte),
		TEST(pipe_is_read_to_its_end),
		TEST(finished_pipe_is_closed_for_its_reader),
		TEST(reader_that_closes_its_pipe_is_noticed_without_a_write),
		TEST(idle_streams_keep_no_buffers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
