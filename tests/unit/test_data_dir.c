/* What a node finds in its data directory when it starts, after whatever happened before. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/memory.h"
#include "catalog/copy.h"
#include "daemon/data_dir.h"
#include "wire/command.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char base[64];
static struct config config;
static struct data_dir data;
static struct error error;

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	snprintf(base, sizeof base, "/tmp/clusterd-data-dir.XXXXXX");
	if (mkdtemp(base) == NULL)
		return -1;
	config = (struct config){.data_dir = mem_format("%s/node", base), .log_tail = 100};
	data = (struct data_dir){0};
	return mkdir(config.data_dir, 0700);
}

static void close_data(void)
{
	disk_close(data.disk);
	catalog_close(data.catalog);
	log_facts_finish(&data.facts);
	data = (struct data_dir){0};
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
	close_data();
	mem_free(config.data_dir);
	remove_tree(base);
	return 0;
}

static void open_data(void)
{
	close_data();
	if (data_dir_open(&config, &data, &error) != 0)
		fail_msg("%s", error.text);
}

static int refusal(void)
{
	close_data();
	return data_dir_open(&config, &data, &error);
}

static char *path_of(const char *name)
{
	return mem_format("%s/%s", config.data_dir, name);
}

/* --- identity ------------------------------------------------------------------------------------------------------ */

static void node_by_itself_begins_a_cluster_of_one(void **state)
{
	(void)state;
	open_data();
	struct vote_state first = data.vote;
	assert_int_equal(strlen(first.cluster_id), 32);
	assert_true(first.node_id != 0);
	assert_int_equal(first.founder_count, 1);
	assert_int_equal(first.founders[0], first.node_id);
	assert_int_equal(first.starts, 1);
	open_data();
	assert_string_equal(data.vote.cluster_id, first.cluster_id);
	assert_int_equal(data.vote.node_id, first.node_id);
	assert_int_equal(data.vote.starts, 2); /* a start more, though no term has risen */
	config.expect = 3; /* it is known by now */
	open_data();
	assert_string_equal(data.vote.cluster_id, first.cluster_id);
	struct node_identity identity;
	struct vote_state again = {0};
	data_dir_identity(&data.vote, &identity);
	assert_string_equal(identity.cluster_id, first.cluster_id);
	data_dir_set_identity(&again, &identity);
	assert_string_equal(again.cluster_id, first.cluster_id);
	assert_int_equal(again.founders[0], first.node_id);
}

static void node_that_is_to_join_or_wait_for_others_has_no_cluster_yet(void **state)
{
	(void)state;
	config.expect = 3;
	open_data();
	assert_string_equal(data.vote.cluster_id, "");
	assert_true(data.vote.node_id != 0);
	assert_int_equal(data.vote.founder_count, 0);
	close_data();
	remove_tree(config.data_dir);
	assert_int_equal(mkdir(config.data_dir, 0700), 0);
	config.expect = 0;
	config.join_count = 1;
	open_data();
	assert_string_equal(data.vote.cluster_id, "");
}

static void files_of_two_nodes_are_refused(void **state)
{
	(void)state;
	open_data();
	assert_int_equal(catalog_begin(data.catalog), 0);
	assert_int_equal(catalog_meta_set_text(data.catalog, "cluster_id", SLICE("another")), 0);
	assert_int_equal(catalog_commit(data.catalog), 0);
	assert_int_equal(refusal(), ERR_CORRUPT);
	assert_non_null(strstr(error.text, "mixed"));
	close_data();
	char *vote = path_of("vote");
	assert_int_equal(unlink(vote), 0);
	mem_free(vote);
	config.expect = 3;
	assert_int_equal(refusal(), ERR_CORRUPT);
	assert_non_null(strstr(error.text, "no cluster"));
}

/* --- log and catalog ----------------------------------------------------------------------------------------------- */

static void apply_up_to(struct catalog *catalog, uint64_t index, uint64_t term)
{
	assert_int_equal(catalog_begin(catalog), 0);
	assert_int_equal(catalog_meta_set_number(catalog, "applied_index", index), 0);
	assert_int_equal(catalog_meta_set_number(catalog, "applied_term", term), 0);
	assert_int_equal(catalog_commit(catalog), 0);
}

/* Entries `from` … `to` of a term, synced. */
static void write_log(uint64_t from, uint64_t to, uint64_t term)
{
	char *path = path_of("log");
	struct fs *fs;
	struct wal *wal;
	struct wal_recovery recovery;
	mkdir(path, 0700);
	assert_int_equal(fs_posix_create(path, &fs), 0);
	assert_int_equal(wal_open(fs, NULL, &wal, &recovery, &error), 0);
	for (uint64_t index = from; index <= to; index++) {
		struct arena arena = {0};
		struct buffer body = BUFFER_EMPTY;
		struct command command = {.kind = COMMAND_NOOP, .machine_version = 1, .stamp = index};
		command_encode(&command, &arena, &body);
		struct wal_record record = {index, term, buffer_slice(&body)};
		assert_int_equal(wal_append(wal, &record, 1, &error), 0);
		buffer_finish(&body);
		arena_finish(&arena);
	}
	assert_int_equal(wal_sync(wal, &error), 0);
	wal_close(wal);
	fs->operations->destroy(fs);
	mem_free(path);
}

static void log_beyond_the_catalog_is_told(void **state)
{
	(void)state;
	open_data();
	apply_up_to(data.catalog, 4, 2);
	close_data();
	write_log(1, 5, 2);
	write_log(6, 9, 3);
	open_data();
	assert_int_equal(data.recovery.first_index, 1);
	assert_int_equal(data.recovery.last_index, 9);
	assert_int_equal(data.facts.run_count, 2);
	assert_int_equal(data.facts.runs[0].first, 5);
	assert_int_equal(data.facts.runs[1].first, 6);
	assert_int_equal(data.facts.runs[1].term, 3);
}

static void log_behind_the_catalog_is_emptied(void **state)
{
	(void)state;
	open_data();
	apply_up_to(data.catalog, 20, 2);
	close_data();
	write_log(1, 9, 2);
	open_data();
	assert_int_equal(data.recovery.first_index, 21);
	assert_int_equal(data.recovery.last_index, 20);
	assert_int_equal(data.facts.run_count, 0);
	close_data();
	write_log(21, 22, 3);
	open_data();
	assert_int_equal(data.recovery.first_index, 21);
	assert_int_equal(data.recovery.last_index, 22);
	assert_int_equal(data.facts.run_count, 1);
}

static void log_of_another_history_than_the_catalog_is_emptied(void **state)
{
	(void)state;
	open_data();
	apply_up_to(data.catalog, 7, 4);
	close_data();
	write_log(1, 9, 2);
	open_data();
	assert_int_equal(data.recovery.first_index, 8);
	assert_int_equal(data.recovery.last_index, 7);
	assert_int_equal(data.facts.run_count, 0);
}

static void log_that_begins_too_late_is_refused(void **state)
{
	(void)state;
	open_data();
	apply_up_to(data.catalog, 7, 4);
	close_data();
	write_log(9, 12, 4);
	assert_int_equal(refusal(), ERR_NOT_FOUND);
	assert_non_null(strstr(error.text, "begins at 9"));
}

/* --- death within an installation ---------------------------------------------------------------------------------- */

enum death {
	DEATH_BEFORE,    /* nothing but the copy is there */
	DEATH_CATALOG,   /* the catalog has become it */
	DEATH_LOG,       /* the log is emptied */
	DEATH_AT_A_TIME, /* some microseconds after the beginning */
};

/* As a node does it, in a process that dies. */
static void install_and_die(enum death death, const char *copy, useconds_t time)
{
	char *path = path_of("catalog.db");
	if (data_dir_open(&config, &data, &error) != 0)
		_exit(1);
	if (death == DEATH_AT_A_TIME)
		ualarm(time, 0);
	if (death >= DEATH_CATALOG && catalog_install(copy, path, 0, &error) != 0)
		_exit(2);
	if (death == DEATH_CATALOG)
		_exit(0);
	if (death >= DEATH_LOG && disk_reset(data.disk, 301, &error) != 0)
		_exit(3);
	_exit(0);
}

static void make_copy(char **ret_path)
{
	char *source = mem_format("%s/source.db", base);
	struct catalog *catalog;
	assert_int_equal(catalog_open(source, NULL, &catalog, &error), 0);
	apply_up_to(catalog, 300, 5);
	assert_int_equal(catalog_begin(catalog), 0);
	for (int i = 0; i < 3000; i++) {
		char name[32];
		snprintf(name, sizeof name, "%d", i);
		assert_int_equal(catalog_setting_set(catalog, slice_of(name), SLICE("a value of no great length")), 0);
	}
	assert_int_equal(catalog_meta_set_text(catalog, "cluster_id", slice_of(data.vote.cluster_id)), 0);
	assert_int_equal(catalog_commit(catalog), 0);
	*ret_path = mem_format("%s/copy.db", base);
	assert_int_equal(catalog_copy(source, *ret_path, &error), 0);
	catalog_close(catalog);
	mem_free(source);
}

static void count_setting(void *context, struct slice name, struct slice value)
{
	(void)name;
	(void)value;
	++*(unsigned *)context;
}

static uint64_t applied(void)
{
	uint64_t index = 0;
	unsigned settings = 0;
	assert_int_equal(catalog_meta_number(data.catalog, "applied_index", &index), 0);
	assert_int_equal(catalog_settings(data.catalog, count_setting, &settings), 0);
	assert_int_equal(settings, index == 300 ? 3000 : 0);
	return index;
}

/* One life: it dies like this; then the log goes on where the catalog ends. Gives whether it has become the copy. */
static bool die_and_come_back(enum death death, useconds_t time, uint64_t log_last, uint64_t log_term)
{
	char *copy;
	int status;
	close_data();
	remove_tree(config.data_dir);
	assert_int_equal(mkdir(config.data_dir, 0700), 0);
	open_data();
	make_copy(&copy);
	apply_up_to(data.catalog, 40, 2);
	close_data();
	write_log(1, 40, 2);
	write_log(41, log_last, log_term);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		install_and_die(death, copy, time);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	mem_free(copy);
	open_data();
	bool new = applied() == 300;
	if (new && log_term != 5) {
		assert_int_equal(data.recovery.first_index, 301);
		assert_int_equal(data.recovery.last_index, 300);
	} else if (!new) {
		assert_int_equal(applied(), 40);
		assert_int_equal(data.recovery.first_index, 1);
		assert_int_equal(data.recovery.last_index, log_last);
		assert_int_equal(data.facts.runs[0].first, 41);
	}
	uint64_t next = data.recovery.last_index + 1;
	close_data();
	write_log(next, next, 9);
	open_data();
	assert_int_equal(data.recovery.last_index, next);
	return new;
}

static void death_within_an_installation_leaves_the_old_or_the_new(void **state)
{
	(void)state;
	for (uint64_t last = 60; last <= 360; last += 300) { /* a log that is behind the copy, and one that is ahead */
		assert_false(die_and_come_back(DEATH_BEFORE, 0, last, 3));
		assert_true(die_and_come_back(DEATH_CATALOG, 0, last, 3));
		assert_true(die_and_come_back(DEATH_LOG, 0, last, 3));
	}
}

/* What the log has beyond the copy is of the same history: it stays. */
static void death_within_an_installation_keeps_the_log_that_goes_on_from_it(void **state)
{
	(void)state;
	assert_true(die_and_come_back(DEATH_CATALOG, 0, 360, 5));
	assert_int_equal(data.recovery.first_index, 1);
	assert_int_equal(data.recovery.last_index, 361);
	assert_int_equal(data.facts.runs[0].first, 301);
}

static void death_at_any_time_leaves_the_old_or_the_new(void **state)
{
	(void)state;
	for (useconds_t time = 100; time < 40000; time += time / 2)
		die_and_come_back(DEATH_AT_A_TIME, time, time % 2 == 0 ? 60 : 360, 3);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(node_by_itself_begins_a_cluster_of_one),
		TEST(node_that_is_to_join_or_wait_for_others_has_no_cluster_yet),
		TEST(files_of_two_nodes_are_refused),
		TEST(log_beyond_the_catalog_is_told),
		TEST(log_behind_the_catalog_is_emptied),
		TEST(log_of_another_history_than_the_catalog_is_emptied),
		TEST(log_that_begins_too_late_is_refused),
		TEST(death_within_an_installation_leaves_the_old_or_the_new),
		TEST(death_within_an_installation_keeps_the_log_that_goes_on_from_it),
		TEST(death_at_any_time_leaves_the_old_or_the_new),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
