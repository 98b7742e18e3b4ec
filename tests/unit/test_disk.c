#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "catalog/catalog.h"
#include "daemon/disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BODY_SIZE 60
#define DEADLINE_MS 20000

/* A disk on a directory of its own; what it told is noted. */
struct scene {
	char *directory;
	char *catalog_path;
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_timer *deadline;
	struct disk *disk;
	uint64_t appended;
	uint64_t synced;
	uint64_t last;      /* the test ends when so much is synced */
	uint32_t batch;     /* entries of each batch */
	bool in_append;
	bool reads;         /* each batch is read back in the turn that appended it */
	uint64_t read_upto;
};

static struct scene scene;

static void append_next(struct scene *at)
{
	static const char body[BODY_SIZE];
	struct wal_record records[64];
	for (uint32_t i = 0; i < at->batch; i++)
		records[i] = (struct wal_record){++at->appended, 1, {body, sizeof body}};
	at->in_append = true;
	disk_append(at->disk, records, at->batch);
	if (at->reads)
		disk_read(at->disk, at->appended, records[0].index, at->appended, false);
	at->in_append = false;
}

static void synced(void *context, uint64_t index)
{
	struct scene *at = context;
	assert_false(at->in_append);
	assert_int_equal(index, at->appended);
	at->synced = index;
	if (at->reads)
		return; /* goes on when it was read */
	if (index >= at->last)
		loop_stop(at->loop);
	else
		append_next(at);
}

static void entries(void *context, uint64_t tag, const struct wal_record *records, size_t count)
{
	struct scene *at = context;
	assert_int_equal(tag, at->synced);
	assert_int_equal(count, at->batch);
	assert_int_equal(records[0].index, at->read_upto + 1);
	assert_int_equal(records[0].body.size, BODY_SIZE);
	at->read_upto += count;
	assert_int_equal(at->read_upto, at->synced);
	if (at->read_upto >= at->last)
		loop_stop(at->loop);
	else
		append_next(at);
}

static void vote_saved(void *context)
{
	(void)context;
}

static void checkpointed(void *context, bool complete)
{
	(void)context;
	(void)complete;
}

static void failed(void *context, const struct error *error)
{
	(void)context;
	fail_msg("%s", error->text);
}

static const struct disk_handler handler = {
	.synced = synced,
	.vote_saved = vote_saved,
	.entries = entries,
	.checkpointed = checkpointed,
	.failed = failed,
};

static void begin(void *context)
{
	append_next(context);
}

static void too_late(void *context)
{
	(void)context;
	fail_msg("the deadline passed: %llu synced", (unsigned long long)scene.synced);
}

static void open_disk(struct scene *at, struct wal_recovery *recovery)
{
	struct error error;
	struct vote_state vote = {0};
	struct disk_options options = {.directory = at->directory, .catalog_path = at->catalog_path};
	assert_int_equal(disk_open(&options, &at->disk, &vote, recovery, &error), 0);
	assert_int_equal(disk_run(at->disk, at->loop, &handler, at, &error), 0);
}

static int setup(void **state)
{
	const char *place = getenv("TMPDIR");
	struct wal_recovery recovery;
	(void)state;
	memset(&scene, 0, sizeof scene);
	scene.directory = mem_format("%s/clusterd-test-disk-XXXXXX", place != NULL ? place : "/tmp");
	assert_non_null(mkdtemp(scene.directory));
	scene.catalog_path = mem_format("%s/catalog.db", scene.directory);
	assert_int_equal(loop_create(&scene.loop), 0);
	scene.timer = loop_timer_create(scene.loop, begin, &scene);
	scene.deadline = loop_timer_create(scene.loop, too_late, NULL);
	open_disk(&scene, &recovery);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	disk_close(scene.disk);
	loop_timer_destroy(scene.timer);
	loop_timer_destroy(scene.deadline);
	loop_destroy(scene.loop);
	char *remove = mem_format("rm -r '%s'", scene.directory);
	assert_int_equal(system(remove), 0);
	mem_free(remove);
	mem_free(scene.catalog_path);
	mem_free(scene.directory);
	return 0;
}

static void run(uint64_t last, uint32_t batch)
{
	scene.last = last;
	scene.batch = batch;
	loop_timer_set(scene.timer, loop_now(scene.loop));
	loop_timer_set(scene.deadline, loop_now(scene.loop) + DEADLINE_MS);
	loop_run(scene.loop);
	assert_true(scene.synced >= last);
}

/* Small ones one after another: those that go to the thread and those that the loop's thread does, in any mixture. */
static void batches_are_synced_in_order(void **state)
{
	(void)state;
	run(60, 1);
	run(120, 2);
	run(520, 40);
	run(580, 1);
	assert_int_equal(disk_syncs(scene.disk), 60 + 30 + 10 + 60);
}

static void segments_fill_and_follow_one_another(void **state)
{
	(void)state;
	uint64_t first_size = disk_log_size(scene.disk);
	run(3600, 60);
	run(3700, 2);
	assert_true(disk_log_size(scene.disk) > first_size);
}

static void a_read_sees_the_batch_that_was_given_before_it(void **state)
{
	(void)state;
	scene.reads = true;
	run(60, 1);
	run(100, 4);
}

/* The loop has stopped before the batch of its last turn is written. */
static void closing_writes_what_was_given_and_tells_nobody(void **state)
{
	(void)state;
	struct wal_recovery recovery;
	run(60, 1);
	append_next(&scene);
	disk_close(scene.disk);
	assert_int_equal(scene.synced, 60);
	open_disk(&scene, &recovery);
	assert_int_equal(recovery.last_index, 61);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(batches_are_synced_in_order),
		TEST(segments_fill_and_follow_one_another),
		TEST(a_read_sees_the_batch_that_was_given_before_it),
		TEST(closing_writes_what_was_given_and_tells_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
