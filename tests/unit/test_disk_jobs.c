/* What the disk does with its jobs: their order, what it lets go of, the vote file. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "catalog/catalog.h"
#include "daemon/disk.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEADLINE_MS 20000
#define BODY (1u << 20)

static char base[64];
static char *catalog_path;
static struct loop *loop;
static struct loop_timer *deadline;
static struct disk *disk;
static struct catalog *catalog;
static struct error error;
static char *body; /* BODY bytes */

/* What was told. */
static struct {
	unsigned synced, votes, identities, entries, checkpoints, compacted, failed;
	uint64_t synced_index, compacted_index, tag;
	uint64_t first, last; /* of the entries that were read; 0: none */
	uint64_t first_term;
	char order[64]; /* a letter for each, in order */
} told;
static uint64_t needed;
static const unsigned *awaited;
static unsigned awaited_count;

static void note(char letter)
{
	size_t length = strlen(told.order);
	if (length + 1 < sizeof told.order)
		told.order[length] = letter;
}

static void synced(void *context, uint64_t index)
{
	(void)context;
	told.synced++;
	told.synced_index = index;
	note('s');
}

static void vote_saved(void *context)
{
	(void)context;
	told.votes++;
	note('v');
}

static void identity_saved(void *context)
{
	(void)context;
	told.identities++;
	note('i');
}

static void entries(void *context, uint64_t tag, const struct wal_record *records, size_t count)
{
	(void)context;
	told.entries++;
	told.tag = tag;
	told.first = count > 0 ? records[0].index : 0;
	told.first_term = count > 0 ? records[0].term : 0;
	told.last = count > 0 ? records[count - 1].index : 0;
	note('e');
}

static void checkpointed(void *context, bool complete)
{
	(void)context;
	assert_true(complete);
	told.checkpoints++;
}

static uint64_t what_is_needed(void *context)
{
	(void)context;
	return needed;
}

static void compacted(void *context, uint64_t index)
{
	(void)context;
	told.compacted++;
	told.compacted_index = index;
}

static void installed(void *context)
{
	(void)context;
}

static void failed(void *context, const struct error *failure)
{
	(void)context;
	told.failed++;
	error = *failure;
}

static const struct disk_handler handler = {
	synced, vote_saved, identity_saved, entries, checkpointed, what_is_needed, compacted, installed, failed,
};

static void too_late(void *context)
{
	(void)context;
	fail_msg("the deadline passed");
}

static void turn_end(void *context)
{
	(void)context;
	if (awaited != NULL && *awaited >= awaited_count)
		loop_stop(loop);
}

static void wait_for(const unsigned *count, unsigned at_least)
{
	awaited = count;
	awaited_count = at_least;
	loop_timer_set(deadline, loop_now(loop) + DEADLINE_MS);
	if (*count < at_least)
		loop_run(loop);
	loop_timer_set(deadline, MSEC_NEVER);
	awaited = NULL;
}

static void open_disk(uint64_t tail, struct vote_state *ret_vote)
{
	struct disk_options options = {
		.directory = base, .catalog_path = catalog_path, .log_tail = tail,
		.tail_bytes = 32u << 20, .log_bytes_max = 96u << 20,
	};
	struct wal_recovery recovery;
	if (disk_open(&options, &disk, ret_vote, &recovery, &error) != 0 ||
	    disk_run(disk, loop, &handler, NULL, &error) != 0)
		fail_msg("%s", error.text);
}

static int setup(void **state)
{
	struct vote_state vote;
	(void)state;
	memset(&told, 0, sizeof told);
	needed = UINT64_MAX;
	snprintf(base, sizeof base, "/tmp/clusterd-disk-jobs.XXXXXX");
	if (mkdtemp(base) == NULL || loop_create(&loop) != 0)
		return -1;
	catalog_path = mem_format("%s/catalog.db", base);
	body = mem_zero(BODY);
	deadline = loop_timer_create(loop, too_late, NULL);
	loop_at_turn_end(loop, turn_end, NULL);
	open_disk(5, &vote);
	return catalog_open(catalog_path, NULL, &catalog, &error);
}

static void remove_files(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	while (directory != NULL && (entry = readdir(directory)) != NULL)
		unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory != NULL)
		closedir(directory);
	rmdir(path);
}

static int teardown(void **state)
{
	(void)state;
	disk_close(disk);
	catalog_close(catalog);
	loop_timer_destroy(deadline);
	loop_destroy(loop);
	char *log = mem_format("%s/log", base);
	remove_files(log);
	remove_files(base);
	mem_free(log);
	mem_free(catalog_path);
	mem_free(body);
	return 0;
}

static void append(uint64_t from, uint64_t to, uint64_t term, size_t size)
{
	struct wal_record records[256];
	size_t count = 0;
	for (uint64_t index = from; index <= to; index++)
		records[count++] = (struct wal_record){index, term, {body, size}};
	disk_append(disk, records, count);
}

static void read_entries(uint64_t tag, uint64_t from, uint64_t to, bool may_be_gone)
{
	disk_read(disk, tag, from, to, may_be_gone);
	wait_for(&told.entries, told.entries + 1);
}

static void apply_up_to(uint64_t index)
{
	assert_int_equal(catalog_begin(catalog), 0);
	assert_int_equal(catalog_meta_set_number(catalog, "applied_index", index), 0);
	assert_int_equal(catalog_commit(catalog), 0);
}

/* And what follows it: the job behind it has been done as well. */
static void checkpoint(void)
{
	disk_checkpoint(disk);
	wait_for(&told.checkpoints, told.checkpoints + 1);
	disk_save_vote(disk, 1, 1);
	wait_for(&told.votes, told.votes + 1);
}

static void cuts_keep_their_place_among_appends_and_readings(void **state)
{
	(void)state;
	append(1, 9, 1, 10);
	disk_cut(disk, 6);
	disk_read(disk, 7, 1, 9, true);
	append(7, 8, 2, 10);
	disk_read(disk, 7, 7, 20, true);
	wait_for(&told.entries, 1);
	assert_int_equal(told.tag, 7);
	wait_for(&told.entries, 2);
	assert_string_equal(told.order, "sese");
	assert_int_equal(told.first, 7);
	assert_int_equal(told.first_term, 2);
	assert_int_equal(told.last, 8);
	assert_int_equal(told.synced_index, 8);
	disk_cut(disk, 8); /* nothing to cut */
	read_entries(1, 1, 9, true);
	assert_int_equal(told.first, 1);
	assert_int_equal(told.last, 8);
	assert_int_equal(told.failed, 0);
}

static void entries_that_are_gone_are_none_for_members_and_a_failure_for_the_node(void **state)
{
	(void)state;
	append(101, 103, 1, 10); /* an empty log begins anywhere */
	read_entries(5, 100, 103, true);
	assert_int_equal(told.first, 0);
	read_entries(5, 104, 200, true);
	assert_int_equal(told.first, 0);
	read_entries(0, 101, 101, false);
	assert_int_equal(told.first, 101);
	disk_read(disk, 0, 100, 103, false);
	wait_for(&told.failed, 1);
	assert_int_equal(error.code, ERR_NOT_FOUND);
}

static void vote_and_identity_are_one_file(void **state)
{
	(void)state;
	struct vote_state vote = {0};
	struct vote_state identity = {.founder_count = 2, .founders = {3, 4}, .cluster_id = "c", .pledged_id = "p"};
	disk_save_vote(disk, 7, 3);
	disk_save_identity(disk, &identity);
	disk_save_vote(disk, 8, 4);
	wait_for(&told.votes, 2);
	assert_string_equal(told.order, "viv");
	assert_string_equal(disk_cluster_id(disk), "c");
	disk_close(disk);
	open_disk(5, &vote);
	assert_int_equal(vote.term, 8);
	assert_int_equal(vote.voted_for, 4);
	assert_string_equal(vote.cluster_id, "c");
	assert_string_equal(vote.pledged_id, "p");
	assert_int_equal(vote.founder_count, 2);
	assert_int_equal(vote.founders[1], 4);
	identity.cluster_id[0] = 'd';
	disk_save_identity(disk, &identity);
	wait_for(&told.identities, 2);
	disk_close(disk);
	open_disk(5, &vote);
	assert_string_equal(vote.cluster_id, "d");
	assert_int_equal(vote.term, 8);
}

/* 60 MiB and a little, in segments of 16 MiB. */
static void fill(void)
{
	for (uint64_t index = 1; index <= 60; index += 4)
		append(index, index + 3, 1, BODY);
	wait_for(&told.synced, 15);
}

static void log_goes_behind_what_is_checkpointed_but_for_a_tail(void **state)
{
	(void)state;
	fill();
	apply_up_to(20);
	checkpoint();
	assert_in_range(disk_log_first(disk), 2, 21);
	assert_int_equal(told.compacted, 1);
	assert_int_equal(told.compacted_index, disk_log_first(disk) - 1);
	apply_up_to(60);
	checkpoint();
	assert_in_range(disk_log_first(disk), 22, 56); /* five stay */
	assert_int_equal(told.compacted, 2);
	assert_int_equal(told.compacted_index, disk_log_first(disk) - 1);
	checkpoint();
	assert_int_equal(told.compacted, 2); /* nothing more went */
}

static void what_a_member_needs_stays(void **state)
{
	(void)state;
	fill();
	apply_up_to(60);
	needed = 20;
	checkpoint();
	assert_in_range(disk_log_first(disk), 2, 20);
	needed = 1;
	checkpoint();
	needed = 0;
	checkpoint();
	assert_in_range(disk_log_first(disk), 2, 20);
	needed = 61;
	checkpoint();
	assert_in_range(disk_log_first(disk), 22, 56);
}

static void tail_has_a_size_too(void **state)
{
	(void)state;
	struct vote_state vote;
	disk_close(disk);
	open_disk(100000, &vote);
	fill();
	apply_up_to(60);
	checkpoint();
	assert_in_range(disk_log_first(disk), 15, 35); /* 32 MiB stay, and up to a segment more */
}

/* A member that is down for long: the log does not grow for its sake for ever. */
static void what_a_member_needs_goes_when_the_log_is_too_long(void **state)
{
	(void)state;
	needed = 2;
	for (uint64_t index = 1; index <= 100; index += 4)
		append(index, index + 3, 1, BODY);
	wait_for(&told.synced, 25);
	assert_true(disk_log_size(disk) > 96u << 20);
	apply_up_to(100);
	checkpoint();
	assert_in_range(disk_log_first(disk), 70, 96);
}

static void nobody_is_told_of_what_is_done_while_closing(void **state)
{
	(void)state;
	struct vote_state vote;
	append(1, 9, 1, 10);
	disk_save_vote(disk, 5, 1);
	disk_close(disk);
	assert_string_equal(told.order, "");
	open_disk(5, &vote);
	assert_int_equal(vote.term, 5); /* it was done */
	read_entries(0, 1, 9, false);
	assert_int_equal(told.last, 9);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cuts_keep_their_place_among_appends_and_readings),
		TEST(entries_that_are_gone_are_none_for_members_and_a_failure_for_the_node),
		TEST(vote_and_identity_are_one_file),
		TEST(log_goes_behind_what_is_checkpointed_but_for_a_tail),
		TEST(what_a_member_needs_stays),
		TEST(tail_has_a_size_too),
		TEST(what_a_member_needs_goes_when_the_log_is_too_long),
		TEST(nobody_is_told_of_what_is_done_while_closing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
