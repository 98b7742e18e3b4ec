/* Copies of the catalog between two data directories, on their real threads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/memory.h"
#include "catalog/catalog.h"
#include "daemon/snapshots.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 10000
#define DEADLINE_MS 20000

/* A data directory with its log, its catalog and its copies. */
struct place {
	char *directory;
	char *catalog_path;
	struct disk *disk;
	struct catalog *catalog;
	struct snapshots *snapshots;
	unsigned made, unmade, written, installed, failed, checkpointed, synced;
	struct raft_snapshot snapshot;
	struct error error;
};

static struct loop *loop;
static struct loop_timer *deadline;
static const unsigned *awaited;
static unsigned awaited_count;
static char base[64];
static struct place giver, taker;

static void too_late(void *context)
{
	(void)context;
	fail_msg("the deadline passed; %s %s", giver.error.text, taker.error.text);
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

static void count_synced(void *context, uint64_t index)
{
	(void)index;
	((struct place *)context)->synced++;
}

static void count_nothing(void *context)
{
	(void)context;
}

static void count_entries(void *context, uint64_t tag, const struct wal_record *records, size_t count)
{
	(void)context;
	(void)tag;
	(void)records;
	(void)count;
}

static void count_checkpoint(void *context, bool complete)
{
	(void)complete;
	((struct place *)context)->checkpointed++;
}

static uint64_t needs_nothing(void *context)
{
	(void)context;
	return UINT64_MAX;
}

static void compacted(void *context, uint64_t index)
{
	(void)context;
	(void)index;
}

static void installed(void *context)
{
	struct place *place = context;
	place->installed++;
	snapshots_installed(place->snapshots);
}

static void failed(void *context, const struct error *error)
{
	struct place *place = context;
	place->failed++;
	place->error = *error;
}

static void made(void *context, const struct raft_snapshot *snapshot)
{
	struct place *place = context;
	if (snapshot == NULL) {
		place->unmade++;
		return;
	}
	place->made++;
	place->snapshot = *snapshot;
}

static void written(void *context)
{
	((struct place *)context)->written++;
}

static const struct disk_handler disk_handler = {
	.synced = count_synced,
	.vote_saved = count_nothing,
	.identity_saved = count_nothing,
	.entries = count_entries,
	.checkpointed = count_checkpoint,
	.needed = needs_nothing,
	.compacted = compacted,
	.installed = installed,
	.failed = failed,
};
static const struct snapshots_handler snapshots_handler = {made, written, failed};

static void must(struct place *place, int code)
{
	if (code != 0)
		fail_msg("%s %s", place->error.text, place->catalog != NULL ? catalog_error(place->catalog) : "");
}

static void open_place(struct place *place, const char *name)
{
	*place = (struct place){.directory = mem_format("%s/%s", base, name)};
	place->catalog_path = mem_format("%s/catalog.db", place->directory);
	struct disk_options options = {.directory = place->directory, .catalog_path = place->catalog_path, .log_tail = 100};
	struct snapshots_options snapshots = {.directory = place->directory, .catalog_path = place->catalog_path};
	struct vote_state vote;
	struct wal_recovery recovery;
	mkdir(place->directory, 0700);
	must(place, disk_open(&options, &place->disk, &vote, &recovery, &place->error));
	must(place, catalog_open(place->catalog_path, NULL, &place->catalog, &place->error));
	must(place, disk_run(place->disk, loop, &disk_handler, place, &place->error));
	snapshots.disk = place->disk;
	must(place, snapshots_create(loop, &snapshots, &snapshots_handler, place, &place->snapshots, &place->error));
}

static void close_place(struct place *place)
{
	snapshots_destroy(place->snapshots);
	disk_close(place->disk);
	catalog_close(place->catalog);
	mem_free(place->directory);
	mem_free(place->catalog_path);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	snprintf(base, sizeof base, "/tmp/clusterd-snapshots.XXXXXX");
	if (mkdtemp(base) == NULL || loop_create(&loop) != 0)
		return -1;
	deadline = loop_timer_create(loop, too_late, NULL);
	loop_at_turn_end(loop, turn_end, NULL);
	open_place(&giver, "giver");
	open_place(&taker, "taker");
	return 0;
}

static void remove_tree(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		char *name = mem_format("%s/%s", path, entry->d_name);
		if (unlink(name) != 0)
			remove_tree(name);
		mem_free(name);
	}
	if (directory != NULL)
		closedir(directory);
	rmdir(path);
}

static int teardown(void **state)
{
	(void)state;
	close_place(&giver);
	close_place(&taker);
	loop_timer_destroy(deadline);
	loop_destroy(loop);
	remove_tree(base);
	return 0;
}

static const char *taker_directory(void)
{
	static char path[80];
	snprintf(path, sizeof path, "%s/taker", base);
	return path;
}

static unsigned files_in(const struct place *place)
{
	DIR *directory = opendir(snapshots_directory(place->snapshots));
	unsigned count = 0;
	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count - 2;
}

/* The catalog as of entry `index`. */
static void fill(struct place *place, uint64_t index)
{
	char value[200];
	memset(value, 'v', sizeof value);
	must(place, catalog_begin(place->catalog));
	for (uint64_t i = 0; i < index; i++) {
		char name[32];
		snprintf(name, sizeof name, "setting-%d", (int)i);
		must(place, catalog_setting_set(place->catalog, slice_of(name), (struct slice){value, sizeof value}));
	}
	must(place, catalog_meta_set_number(place->catalog, "applied_index", index));
	must(place, catalog_meta_set_number(place->catalog, "applied_term", 3));
	must(place, catalog_meta_set_text(place->catalog, "cluster_id", SLICE("c")));
	must(place, catalog_meta_set_text(place->catalog, "raft_configuration",
	                                  SLICE("{\"index\":2,\"members\":[{\"id\":5,\"voter\":true},{\"id\":6,\"voter\":false}]}")));
	must(place, catalog_commit(place->catalog));
}

static void append(struct place *place, uint64_t index, uint64_t term)
{
	struct wal_record record = {index, term, SLICE("body")};
	disk_append(place->disk, &record, 1);
}

static void make(void)
{
	unsigned before = giver.made;
	snapshots_make(giver.snapshots);
	wait_for(&giver.made, before + 1);
}

/* Over to the taker, chunk by chunk. `spoiled`: a byte on the way is not what it was. */
static void transfer(bool spoiled)
{
	struct buffer chunk = BUFFER_EMPTY;
	for (uint64_t offset = 0; offset < giver.snapshot.size; offset += chunk.size) {
		buffer_clear(&chunk);
		assert_int_equal(snapshots_read(giver.snapshots, offset, CHUNK, &chunk), 0);
		assert_true(chunk.size > 0);
		if (spoiled && offset >= CHUNK)
			chunk.data[100] ^= 1;
		unsigned before = taker.written;
		snapshots_write(taker.snapshots, &giver.snapshot, offset, buffer_slice(&chunk));
		wait_for(&taker.written, before + 1);
	}
	buffer_finish(&chunk);
}

static void install(const char *cluster_id)
{
	snapshots_install(taker.snapshots, &giver.snapshot, cluster_id);
	wait_for(&taker.installed, 1);
	must(&taker, catalog_accept(taker.catalog));
}

static void expect_same(void)
{
	uint64_t hashes[2];
	must(&giver, catalog_hash(giver.catalog, &hashes[0]));
	must(&taker, catalog_hash(taker.catalog, &hashes[1]));
	assert_true(hashes[0] == hashes[1]);
}

static void copy_says_what_it_is_a_copy_of(void **state)
{
	(void)state;
	fill(&giver, 500);
	make();
	assert_int_equal(giver.snapshot.index, 500);
	assert_int_equal(giver.snapshot.term, 3);
	assert_true(giver.snapshot.id != 0 && giver.snapshot.size > CHUNK);
	assert_int_equal(giver.snapshot.configuration.index, 2);
	assert_int_equal(giver.snapshot.configuration.count, 2);
	assert_int_equal(giver.snapshot.configuration.members[0].id, 5);
	assert_true(giver.snapshot.configuration.members[0].voter);
	assert_false(giver.snapshot.configuration.members[1].voter);
	uint64_t size = giver.snapshot.size;
	uint64_t id = giver.snapshot.id;
	fill(&giver, 600); /* what was made stays as it is */
	struct buffer bytes = BUFFER_EMPTY;
	assert_int_equal(snapshots_read(giver.snapshots, 0, size + 10, &bytes), 0);
	assert_int_equal(bytes.size, size);
	buffer_clear(&bytes);
	assert_int_equal(snapshots_read(giver.snapshots, size, 10, &bytes), 0);
	assert_int_equal(bytes.size, 0);
	snapshots_release(giver.snapshots);
	assert_int_equal(snapshots_read(giver.snapshots, 0, 10, &bytes), ERR_IO);
	make();
	assert_int_equal(giver.snapshot.index, 600);
	assert_true(giver.snapshot.id != id);
	buffer_finish(&bytes);
}

static void catalog_without_a_configuration_says_so(void **state)
{
	(void)state;
	make();
	assert_int_equal(giver.snapshot.configuration.count, 0);
	assert_int_equal(giver.snapshot.index, 0);
}

static void copy_released_while_it_is_made_is_not_told(void **state)
{
	(void)state;
	fill(&giver, 500);
	for (int i = 0; i < 5; i++) {
		snapshots_make(giver.snapshots);
		snapshots_release(giver.snapshots);
	}
	fill(&giver, 501);
	make();
	assert_int_equal(giver.made, 1);
	assert_int_equal(giver.unmade, 0);
	assert_int_equal(giver.snapshot.index, 501);
	assert_int_equal(files_in(&giver), 1);
	snapshots_release(giver.snapshots);
	snapshots_release(giver.snapshots); /* nothing is left to release */
}

static void copy_that_cannot_be_made_is_none(void **state)
{
	(void)state;
	char *blocked = mem_format("%s/out.db", snapshots_directory(giver.snapshots));
	assert_int_equal(mkdir(blocked, 0700), 0);
	char *inside = mem_format("%s/x", blocked);
	assert_int_equal(mkdir(inside, 0700), 0);
	log_set_level(LOG_ERROR);
	snapshots_make(giver.snapshots);
	wait_for(&giver.unmade, 1);
	assert_int_equal(giver.failed, 0);
	snapshots_release(giver.snapshots);
	assert_int_equal(rmdir(inside), 0);
	assert_int_equal(rmdir(blocked), 0);
	make();
	mem_free(inside);
	mem_free(blocked);
}

static void taker_becomes_what_the_giver_is(void **state)
{
	(void)state;
	fill(&giver, 700);
	fill(&taker, 3);
	for (uint64_t i = 1; i <= 9; i++)
		append(&taker, i, 2);
	make();
	transfer(false);
	append(&taker, 10, 2); /* under way when the installation begins */
	install("c");
	assert_int_equal(taker.failed, 0);
	expect_same();
	assert_int_equal(disk_log_first(taker.disk), 701);
	unsigned before = taker.synced;
	append(&taker, 701, 3);
	wait_for(&taker.synced, before + 1);
	assert_int_equal(disk_log_first(taker.disk), 701);
	snapshots_release(giver.snapshots);
	snapshots_write(taker.snapshots, &giver.snapshot, 0, SLICE("x")); /* the thread has come by all before */
	wait_for(&taker.written, taker.written + 1);
	assert_int_equal(files_in(&taker), 1);
}

static void installation_goes_beside_checkpoints_and_readers(void **state)
{
	(void)state;
	fill(&giver, 700);
	fill(&taker, 600);
	make();
	transfer(false);
	for (int i = 0; i < 3; i++)
		disk_checkpoint(taker.disk);
	snapshots_install(taker.snapshots, &giver.snapshot, "");
	for (int i = 0; taker.installed == 0; i++) {
		disk_checkpoint(taker.disk);
		wait_for(&taker.checkpointed, taker.checkpointed + 1);
	}
	must(&taker, catalog_accept(taker.catalog));
	expect_same();
	assert_int_equal(disk_log_first(taker.disk), 701);
	assert_int_equal(taker.failed, 0);
}

static void transfer_may_begin_anew(void **state)
{
	(void)state;
	fill(&giver, 900);
	make();
	transfer(true);
	snapshots_release(giver.snapshots);
	fill(&giver, 800);
	make();
	transfer(false);
	install("c");
	expect_same();
}

static void spoiled_bytes_are_noticed(void **state)
{
	(void)state;
	fill(&giver, 700);
	fill(&taker, 3);
	make();
	transfer(true);
	snapshots_install(taker.snapshots, &giver.snapshot, "c");
	wait_for(&taker.failed, 1);
	assert_int_equal(taker.error.code, ERR_CORRUPT);
	assert_non_null(strstr(taker.error.text, "not what was sent"));
	uint64_t index = 0;
	must(&taker, catalog_meta_number(taker.catalog, "applied_index", &index));
	assert_int_equal(index, 3);
	assert_false(catalog_foreign_write(taker.catalog));
}

static void expect_refusal(const char *cluster_id, const char *words)
{
	transfer(false);
	snapshots_install(taker.snapshots, &giver.snapshot, cluster_id);
	unsigned before = taker.failed;
	wait_for(&taker.failed, before + 1);
	if (strstr(taker.error.text, words) == NULL)
		fail_msg("%s", taker.error.text);
}

static void copy_of_something_else_is_refused(void **state)
{
	(void)state;
	fill(&giver, 100);
	make();
	expect_refusal("another", "it is of cluster c");
	giver.snapshot.index++;
	expect_refusal("c", "as of entry 100");
	giver.snapshot.index--;
	giver.snapshot.term = 4;
	expect_refusal("c", "of term 4");
	assert_int_equal(taker.installed, 0);
}

static void chunk_that_does_not_follow_is_refused(void **state)
{
	(void)state;
	fill(&giver, 100);
	make();
	snapshots_write(taker.snapshots, &giver.snapshot, 0, SLICE("abc"));
	wait_for(&taker.written, 1);
	snapshots_write(taker.snapshots, &giver.snapshot, 4, SLICE("e"));
	wait_for(&taker.failed, 1);
	assert_int_equal(taker.error.code, ERR_INVALID);
	giver.snapshot.size = 2;
	snapshots_write(taker.snapshots, &giver.snapshot, 0, SLICE("abc"));
	wait_for(&taker.failed, 2);
}

static void what_another_process_left_is_removed(void **state)
{
	(void)state;
	char *left = mem_format("%s/copy-7.db.partial", snapshots_directory(taker.snapshots));
	FILE *file = fopen(left, "w");
	assert_non_null(file);
	fclose(file);
	close_place(&taker);
	open_place(&taker, "taker");
	assert_int_equal(files_in(&taker), 0);
	mem_free(left);
}

/* At whatever time it is closed: the one or the other, and it opens again. */
static void closing_within_an_installation_leaves_the_old_or_the_new(void **state)
{
	(void)state;
	uint64_t hashes[2], now;
	fill(&giver, 700);
	must(&giver, catalog_hash(giver.catalog, &hashes[1]));
	make();
	for (int i = 0; i < 8; i++) {
		close_place(&taker);
		remove_tree(taker_directory());
		open_place(&taker, "taker");
		fill(&taker, 3);
		append(&taker, 1, 2);
		must(&taker, catalog_hash(taker.catalog, &hashes[0]));
		transfer(false);
		snapshots_install(taker.snapshots, &giver.snapshot, "c");
		for (int turn = 0; turn < i && taker.installed == 0; turn++) {
			disk_checkpoint(taker.disk);
			wait_for(&taker.checkpointed, taker.checkpointed + 1);
		}
		close_place(&taker);
		open_place(&taker, "taker");
		must(&taker, catalog_hash(taker.catalog, &now));
		assert_true(now == hashes[0] || now == hashes[1]);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(copy_says_what_it_is_a_copy_of),
		TEST(catalog_without_a_configuration_says_so),
		TEST(copy_released_while_it_is_made_is_not_told),
		TEST(copy_that_cannot_be_made_is_none),
		TEST(taker_becomes_what_the_giver_is),
		TEST(installation_goes_beside_checkpoints_and_readers),
		TEST(transfer_may_begin_anew),
		TEST(spoiled_bytes_are_noticed),
		TEST(copy_of_something_else_is_refused),
		TEST(chunk_that_does_not_follow_is_refused),
		TEST(what_another_process_left_is_removed),
		TEST(closing_within_an_installation_leaves_the_old_or_the_new),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
