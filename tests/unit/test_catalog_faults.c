/* Disks that fail, fill up and lose power. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog_fixture.h"
#include "faulty_vfs.h"

#include "base/random.h"
#include "catalog/copy.h"

#include <stdio.h>
#include <string.h>

#define PATH "one/catalog.db"

struct disk {
	struct faulty_vfs *vfs;
	struct catalog *catalog;
	struct error error;
};

static void open_catalog(struct disk *disk)
{
	if (catalog_open(PATH, "faulty", &disk->catalog, &disk->error) != 0)
		fail_msg("%s", disk->error.text);
}

static int disk_setup(void **state)
{
	static struct disk disk;
	disk = (struct disk){.vfs = faulty_vfs_create("faulty", true, 1)};
	open_catalog(&disk);
	*state = &disk;
	return 0;
}

static int disk_teardown(void **state)
{
	struct disk *disk = *state;
	catalog_close(disk->catalog);
	faulty_vfs_destroy(disk->vfs);
	return 0;
}

/* What a transaction writes for index i; a function of i alone. */
static int write_index(struct catalog *catalog, uint64_t index)
{
	static const char padding[3000] = "";
	struct catalog_instance instance = sample_instance(index);
	struct catalog_call call = sample_call(index / 2, 1);
	instance.args = (struct slice){padding, (size_t)(index * 37 % sizeof padding)};
	int result = catalog_begin(catalog);
	if (result == 0)
		result = catalog_instance_insert(catalog, &instance);
	if (result == 0)
		result = catalog_call_put(catalog, &call);
	if (result == 0)
		result = catalog_meta_set_number(catalog, "applied_index", index);
	return result == 0 ? catalog_commit(catalog) : result;
}

static uint64_t applied_index(struct disk *disk)
{
	uint64_t index = 0;
	if (catalog_meta_number(disk->catalog, "applied_index", &index) != 0)
		fail_msg("%s", catalog_error(disk->catalog));
	return index;
}

static void lose_power(struct disk *disk, enum faulty_loss loss)
{
	faulty_vfs_power_off(disk->vfs, "one/");
	catalog_close(disk->catalog);
	disk->catalog = NULL;
	faulty_vfs_power_on(disk->vfs, "one/", loss);
	open_catalog(disk);
}

static void first_failure_is_the_answer_to_everything_after_it(void **state)
{
	struct disk *disk = *state;
	uint64_t number;
	assert_int_equal(write_index(disk->catalog, 1), 0);
	faulty_vfs_fail(disk->vfs, FAULTY_WRITE, 1, SQLITE_IOERR_WRITE, false); /* this one write, then all is well again */
	assert_int_equal(write_index(disk->catalog, 2), ERR_IO);
	assert_non_null(strstr(catalog_error(disk->catalog), PATH));
	assert_int_equal(catalog_begin(disk->catalog), ERR_IO);
	assert_int_equal(catalog_commit(disk->catalog), ERR_IO);
	assert_int_equal(catalog_meta_number(disk->catalog, "applied_index", &number), ERR_IO);
	assert_int_equal(catalog_hash(disk->catalog, &number), ERR_IO);
	struct catalog_call call = sample_call(1, 1);
	assert_int_equal(catalog_call_put(disk->catalog, &call), ERR_IO);
	catalog_close(disk->catalog);
	open_catalog(disk);
	assert_true(applied_index(disk) == 1);
}

/* The process ends, and is started again. */
static void start_again(struct disk *disk)
{
	faulty_vfs_power_off(disk->vfs, "one/");
	catalog_close(disk->catalog);
	faulty_vfs_power_on(disk->vfs, "one/", FAULTY_LOSE_NOTHING);
	open_catalog(disk);
}

static void checkpoint_fails(struct disk *disk, enum faulty_operation operation, int code)
{
	uint64_t checkpointed = 0;
	bool complete = false;
	faulty_vfs_fail(disk->vfs, operation, 1, code, false);
	assert_int_equal(catalog_checkpoint(PATH, &checkpointed, &complete, &disk->error), ERR_IO);
	start_again(disk);
}

/* The end of the WAL is in the system's memory only, and no sync will bring it to the disk any more: what is moved from it into the
 * file must not be hidden, after a loss of power, by the part of the WAL that was durable before. */
static void checkpoint_after_a_sync_that_failed_is_durable(void **state)
{
	struct disk *disk = *state;
	uint64_t checkpointed = 0;
	bool complete = false;
	for (uint64_t i = 1; i <= 20; i++)
		assert_int_equal(write_index(disk->catalog, i), 0);
	checkpoint_fails(disk, FAULTY_WRITE, SQLITE_IOERR_WRITE); /* the WAL was synced */
	for (uint64_t i = 21; i <= 40; i++)
		assert_int_equal(write_index(disk->catalog, i), 0);
	checkpoint_fails(disk, FAULTY_SYNC, SQLITE_IOERR_FSYNC);
	assert_int_equal(applied_index(disk), 40);
	assert_int_equal(catalog_checkpoint(PATH, &checkpointed, &complete, &disk->error), 0);
	assert_true(complete);
	assert_int_equal(checkpointed, 40);
	lose_power(disk, FAULTY_LOSE_ALL);
	assert_int_equal(applied_index(disk), 40);
}

static void full_disk_is_named_as_such(void **state)
{
	struct disk *disk = *state;
	assert_int_equal(write_index(disk->catalog, 1), 0);
	faulty_vfs_fail(disk->vfs, FAULTY_WRITE, 1, SQLITE_FULL, true);
	assert_int_equal(write_index(disk->catalog, 2), ERR_NO_SPACE);
	assert_non_null(strstr(catalog_error(disk->catalog), "full"));
	assert_int_equal(catalog_begin(disk->catalog), ERR_NO_SPACE);
	faulty_vfs_fail(disk->vfs, FAULTY_WRITE, 0, 0, false);
	catalog_close(disk->catalog);
	open_catalog(disk);
	assert_true(applied_index(disk) == 1);
}

static void read_that_fails_is_an_io_error(void **state)
{
	struct disk *disk = *state;
	assert_int_equal(write_index(disk->catalog, 1), 0);
	catalog_close(disk->catalog);
	open_catalog(disk); /* with nothing in its cache */
	faulty_vfs_fail(disk->vfs, FAULTY_READ, 1, SQLITE_IOERR_READ, true);
	struct catalog_instance instance;
	assert_int_equal(catalog_instance_read(disk->catalog, 1, &instance), ERR_IO);
	faulty_vfs_fail(disk->vfs, FAULTY_READ, 0, 0, false);
	assert_int_equal(catalog_instance_read(disk->catalog, 1, &instance), ERR_IO);
}

static void damaged_page_is_corrupt(void **state)
{
	struct disk *disk = *state;
	char garbage[4096];
	memset(garbage, 0xA5, sizeof garbage);
	for (uint64_t i = 1; i <= 200; i++)
		assert_int_equal(write_index(disk->catalog, i), 0);
	catalog_close(disk->catalog);
	int64_t size = faulty_vfs_size(disk->vfs, PATH);
	for (int64_t page = 3; page < size / 4096; page++)
		faulty_vfs_damage(disk->vfs, PATH, (uint64_t)page * 4096, garbage, sizeof garbage);
	int result = catalog_open(PATH, "faulty", &disk->catalog, &disk->error);
	uint64_t hash;
	if (result == 0)
		result = catalog_hash(disk->catalog, &hash);
	else
		disk->catalog = NULL;
	assert_int_equal(result, ERR_CORRUPT);
}

/* Whatever operation fails when, in making the file, writing and closing: an error, never a crash; and then the file
 * opens, and holds all transactions up to some point. */
static void every_operation_may_fail_at_any_time(void **state)
{
	static const struct {
		enum faulty_operation operation;
		int code;
	} faults[] = {
		{FAULTY_OPEN, SQLITE_CANTOPEN},         {FAULTY_READ, SQLITE_IOERR_READ},  {FAULTY_WRITE, SQLITE_IOERR_WRITE},
		{FAULTY_WRITE, SQLITE_FULL},            {FAULTY_SYNC, SQLITE_IOERR_FSYNC},
		{FAULTY_TRUNCATE, SQLITE_IOERR_TRUNCATE},
	};
	struct disk *disk = *state;
	catalog_close(disk->catalog);
	disk->catalog = NULL;
	for (size_t kind = 0; kind < sizeof faults / sizeof faults[0]; kind++) {
		bool reached = true;
		for (uint64_t nth = 1; reached && nth < 400; nth++) {
			faulty_vfs_destroy(disk->vfs);
			disk->vfs = faulty_vfs_create("faulty", true, nth);
			faulty_vfs_fail(disk->vfs, faults[kind].operation, nth, faults[kind].code, false);
			uint64_t written = 0;
			int result = catalog_open(PATH, "faulty", &disk->catalog, &disk->error);
			if (result == 0) {
				while (result == 0 && written < 10)
					result = write_index(disk->catalog, ++written);
				if (result != 0)
					written--;
				catalog_close(disk->catalog);
			}
			reached = faulty_vfs_count(disk->vfs, faults[kind].operation) >= nth;
			faulty_vfs_fail(disk->vfs, faults[kind].operation, 0, 0, false);
			disk->catalog = NULL;
			open_catalog(disk);
			uint64_t found = applied_index(disk);
			/* A commit that failed may be there: the node ended, and takes it from the log again. */
			assert_true(found == written || found == written + 1);
			catalog_close(disk->catalog);
			disk->catalog = NULL;
		}
		assert_false(reached);
	}
}

/* A catalog that is open has a WAL, whatever failed once while it was made. */
static void catalog_without_a_wal_is_never_open(void **state)
{
	static const int codes[FAULTY_OPERATIONS] = {SQLITE_CANTOPEN, SQLITE_IOERR_READ, SQLITE_IOERR_WRITE,
	                                             SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_FSYNC};
	struct disk *disk = *state;
	unsigned int refused = 0;
	for (unsigned int i = 0; i < FAULTY_OPERATIONS * 60; i++) {
		enum faulty_operation operation = (enum faulty_operation)(i % FAULTY_OPERATIONS);
		struct catalog *made = NULL;
		struct error error;
		char path[32];
		char wal[48];
		snprintf(path, sizeof path, "new/%u.db", i);
		snprintf(wal, sizeof wal, "%s-wal", path);
		faulty_vfs_fail(disk->vfs, operation, i / FAULTY_OPERATIONS + 1, codes[operation], false);
		if (catalog_open(path, "faulty", &made, &error) != 0) {
			refused++;
		} else {
			faulty_vfs_fail(disk->vfs, operation, 0, 0, false);
			assert_int_equal(write_index(made, 1), 0);
			assert_true(faulty_vfs_size(disk->vfs, wal) > 0);
		}
		catalog_close(made);
		faulty_vfs_fail(disk->vfs, operation, 0, 0, false);
	}
	assert_true(refused > 10);
}

static void death_of_the_process_loses_no_commit(void **state)
{
	struct disk *disk = *state;
	for (uint64_t i = 1; i <= 20; i++)
		assert_int_equal(write_index(disk->catalog, i), 0);
	lose_power(disk, FAULTY_LOSE_NOTHING);
	assert_true(applied_index(disk) == 20);
}

/* The claim that lets segments of the log go (INVARIANTS, 15). */
static void loss_of_power_takes_nothing_that_a_complete_checkpoint_had(void **state)
{
	struct disk *disk = *state;
	struct random random = {.state = 42};
	uint64_t index = 0;
	for (int round = 0; round < 300; round++) {
		uint64_t safe = 0;
		bool complete = false;
		for (uint64_t i = random_below(&random, 6) + 1; i > 0; i--)
			assert_int_equal(write_index(disk->catalog, ++index), 0);
		assert_int_equal(catalog_checkpoint(PATH, &safe, &complete, &disk->error), 0);
		assert_true(complete && safe == index);
		for (uint64_t i = random_below(&random, 12); i > 0; i--)
			assert_int_equal(write_index(disk->catalog, ++index), 0);
		lose_power(disk, random_below(&random, 3) == 0 ? FAULTY_LOSE_ALL : FAULTY_LOSE_SOME);
		uint64_t found = applied_index(disk);
		assert_in_range(found, safe, index);
		index = found;
		/* All of each transaction, and nothing of those that are lost. */
		struct catalog_instance instance;
		assert_int_equal(catalog_instance_read(disk->catalog, found, &instance), 0);
		assert_int_equal(instance.args.size, found * 37 % 3000);
		assert_int_equal(catalog_instance_read(disk->catalog, found + 1, &instance), ERR_NOT_FOUND);
		uint64_t ids[1];
		assert_int_equal(catalog_instances_open(disk->catalog, found, ids, 1), 0);
	}
}

/* The system may have what the disk does not have, and not know it: the process that begins anew writes it again. */
static void what_a_failed_sync_has_left_is_not_taken_for_synced(void **state)
{
	struct disk *disk = *state;
	struct catalog_instance instance;
	uint64_t safe = 0;
	bool complete = false;
	for (uint64_t i = 1; i <= 10; i++)
		assert_int_equal(write_index(disk->catalog, i), 0);
	assert_int_equal(catalog_checkpoint(PATH, &safe, &complete, &disk->error), 0);
	for (uint64_t i = 11; i <= 20; i++)
		assert_int_equal(write_index(disk->catalog, i), 0);
	/* Of the file: the WAL is synced by then. */
	faulty_vfs_fail(disk->vfs, FAULTY_WRITE, 1, SQLITE_IOERR_WRITE, true);
	assert_int_equal(catalog_checkpoint(PATH, &safe, &complete, &disk->error), ERR_IO);
	catalog_close(disk->catalog);
	faulty_vfs_fail(disk->vfs, FAULTY_WRITE, 0, 0, false);
	open_catalog(disk);
	for (uint64_t i = 21; i <= 30; i++)
		assert_int_equal(write_index(disk->catalog, i), 0);
	faulty_vfs_fail(disk->vfs, FAULTY_SYNC, 1, SQLITE_IOERR_FSYNC, true);
	assert_int_equal(catalog_checkpoint(PATH, &safe, &complete, &disk->error), ERR_IO);
	catalog_close(disk->catalog);
	faulty_vfs_fail(disk->vfs, FAULTY_SYNC, 0, 0, false);
	open_catalog(disk);
	assert_int_equal(catalog_checkpoint(PATH, &safe, &complete, &disk->error), 0);
	assert_true(complete && safe == 30);
	lose_power(disk, FAULTY_LOSE_ALL);
	assert_int_equal(applied_index(disk), 30);
	for (uint64_t i = 1; i <= 30; i++)
		assert_int_equal(catalog_instance_read(disk->catalog, i, &instance), 0);
}

static void loss_of_power_within_a_checkpoint_harms_nothing(void **state)
{
	struct disk *disk = *state;
	uint64_t safe = 0, index = 0;
	for (uint64_t nth = 1; nth < 40; nth++) {
		uint64_t checkpointed = 0;
		bool complete = false;
		for (int i = 0; i < 5; i++)
			assert_int_equal(write_index(disk->catalog, ++index), 0);
		enum faulty_operation operation = nth % 2 == 0 ? FAULTY_WRITE : FAULTY_SYNC;
		faulty_vfs_fail(disk->vfs, operation, nth / 2 + 1, SQLITE_IOERR, true);
		if (catalog_checkpoint(PATH, &checkpointed, &complete, &disk->error) == 0 && complete)
			safe = checkpointed;
		faulty_vfs_fail(disk->vfs, operation, 0, 0, false);
		lose_power(disk, FAULTY_LOSE_SOME);
		uint64_t found = applied_index(disk);
		assert_in_range(found, safe, index);
		index = found;
		uint64_t hash;
		assert_int_equal(catalog_hash(disk->catalog, &hash), 0);
	}
}

/* A catalog of entries 1 … `count`, closed, all of it on the disk. */
static uint64_t make_other(struct disk *disk, const char *path, uint64_t count)
{
	struct catalog *other;
	uint64_t hash = 0, index;
	bool complete;
	assert_int_equal(catalog_open(path, "faulty", &other, &disk->error), 0);
	for (uint64_t i = 1; i <= count; i++)
		assert_int_equal(write_index(other, i), 0);
	assert_int_equal(catalog_checkpoint(path, &index, &complete, &disk->error), 0);
	assert_int_equal(catalog_hash(other, &hash), 0);
	catalog_close(other);
	return hash;
}

/* Whatever fails in taking a copy over, and the power with it: the catalog is what it was, or the copy; the copy, when it was said to
 * be. */
static void loss_of_power_within_an_installation_leaves_the_one_or_the_other(void **state)
{
	struct disk *disk = *state;
	unsigned old = 0, new = 0;
	uint64_t hashes[2] = {make_other(disk, "two/first.db", 30), make_other(disk, "two/second.db", 90)};
	for (uint64_t nth = 1; nth < 260; nth++) {
		static const enum faulty_operation operations[] = {FAULTY_WRITE, FAULTY_SYNC, FAULTY_OPEN, FAULTY_READ};
		enum faulty_operation operation = operations[nth % 4];
		static const enum faulty_loss losses[] = {FAULTY_LOSE_SOME, FAULTY_LOSE_ALL, FAULTY_LOSE_NOTHING};
		uint64_t hash;
		assert_int_equal(catalog_install("two/first.db", PATH, 0, &disk->error), 0);
		lose_power(disk, losses[nth % 3]);
		assert_int_equal(catalog_hash(disk->catalog, &hash), 0);
		assert_true(hash == hashes[0]); /* it was said to be there */
		faulty_vfs_fail(disk->vfs, operation, nth / 4 + 1, SQLITE_IOERR, true);
		int result = catalog_install("two/second.db", PATH, 0, &disk->error);
		faulty_vfs_fail(disk->vfs, operation, 0, 0, false);
		lose_power(disk, losses[nth % 3]);
		assert_int_equal(catalog_hash(disk->catalog, &hash), 0);
		assert_true(hash == hashes[1] || (result != 0 && hash == hashes[0]));
		old += hash == hashes[0];
		new += hash == hashes[1];
	}
	assert_true(old > 20 && new > 20);
}

/* Then the copy is in the WAL only, and synced there. */
static void installation_beside_a_reader_survives_the_loss_of_power(void **state)
{
	struct disk *disk = *state;
	sqlite3 *reader;
	sqlite3_stmt *statement;
	uint64_t hash, expected = make_other(disk, "two/first.db", 30);
	assert_int_equal(write_index(disk->catalog, 1), 0);
	assert_int_equal(sqlite3_open_v2(PATH, &reader, SQLITE_OPEN_READONLY, "faulty"), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(reader, "SELECT * FROM meta", -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_int_equal(catalog_install("two/first.db", PATH, 0, &disk->error), 0);
	faulty_vfs_power_off(disk->vfs, "one/");
	sqlite3_finalize(statement);
	sqlite3_close(reader);
	lose_power(disk, FAULTY_LOSE_ALL);
	assert_int_equal(catalog_hash(disk->catalog, &hash), 0);
	assert_true(hash == expected);
}

/* The copy of the same history has the same hash, whatever happened to its disk. */
static void replay_after_a_crash_gives_the_same_tables(void **state)
{
	struct disk *disk = *state;
	struct catalog *other;
	uint64_t hash, other_hash;
	for (uint64_t i = 1; i <= 30; i++)
		assert_int_equal(write_index(disk->catalog, i), 0);
	lose_power(disk, FAULTY_LOSE_SOME);
	for (uint64_t i = applied_index(disk) + 1; i <= 40; i++)
		assert_int_equal(write_index(disk->catalog, i), 0);
	assert_int_equal(catalog_open("two/catalog.db", "faulty", &other, &disk->error), 0);
	for (uint64_t i = 1; i <= 40; i++)
		assert_int_equal(write_index(other, i), 0);
	assert_int_equal(catalog_hash(disk->catalog, &hash), 0);
	assert_int_equal(catalog_hash(other, &other_hash), 0);
	assert_true(hash == other_hash);
	catalog_close(other);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, disk_setup, disk_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_failure_is_the_answer_to_everything_after_it),
		TEST(checkpoint_after_a_sync_that_failed_is_durable),
		TEST(full_disk_is_named_as_such),
		TEST(read_that_fails_is_an_io_error),
		TEST(damaged_page_is_corrupt),
		TEST(every_operation_may_fail_at_any_time),
		TEST(catalog_without_a_wal_is_never_open),
		TEST(death_of_the_process_loses_no_commit),
		TEST(loss_of_power_takes_nothing_that_a_complete_checkpoint_had),
		TEST(what_a_failed_sync_has_left_is_not_taken_for_synced),
		TEST(loss_of_power_within_a_checkpoint_harms_nothing),
		TEST(loss_of_power_within_an_installation_leaves_the_one_or_the_other),
		TEST(installation_beside_a_reader_survives_the_loss_of_power),
		TEST(replay_after_a_crash_gives_the_same_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
