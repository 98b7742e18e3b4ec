#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "sim/faulty_fs.h"
#include "store/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What holds of the real one and of the one for tests; `state` gives which. */

struct fixture {
	struct fs *fs;
	char directory[32]; /* of the real one; empty for the other */
};

static int setup_posix(void **state)
{
	static struct fixture fixture;
	fixture = (struct fixture){.directory = "/tmp/clusterd-fs-XXXXXX"};
	*state = &fixture;
	if (mkdtemp(fixture.directory) == NULL)
		return -1;
	return fs_posix_create(fixture.directory, &fixture.fs);
}

static int setup_faulty(void **state)
{
	static struct fixture fixture;
	fixture = (struct fixture){.fs = faulty_fs_create(1)};
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	struct buffer names = BUFFER_EMPTY;
	fixture->fs->operations->list(fixture->fs, &names);
	for (const char *name = names.data; name != NULL && name < names.data + names.size; name += strlen(name) + 1)
		fixture->fs->operations->remove(fixture->fs, name);
	buffer_finish(&names);
	fixture->fs->operations->destroy(fixture->fs);
	if (fixture->directory[0] != '\0')
		return rmdir(fixture->directory);
	return 0;
}

static struct fs *fs_of(void **state)
{
	return ((struct fixture *)*state)->fs;
}

static void make(struct fs *fs, const char *name)
{
	struct fs_file *file;
	assert_int_equal(fs->operations->open(fs, name, true, &file), 0);
	fs->operations->close(file);
}

static void what_is_written_is_read(void **state)
{
	struct fs *fs = fs_of(state);
	struct fs_file *file;
	char bytes[16] = {0};
	assert_int_equal(fs->operations->open(fs, "a", true, &file), 0);
	assert_int_equal(fs->operations->size(file), 0);
	assert_int_equal(fs->operations->write(file, 0, "0123456789", 10), 0);
	assert_int_equal(fs->operations->write(file, 4, "xy", 2), 0);
	assert_int_equal(fs->operations->size(file), 10);
	assert_int_equal(fs->operations->read(file, 2, bytes, 5), 5);
	assert_memory_equal(bytes, "23xy6", 5);
	assert_int_equal(fs->operations->sync(file), 0);
	fs->operations->close(file);
}

static void a_read_at_the_end_is_short(void **state)
{
	struct fs *fs = fs_of(state);
	struct fs_file *file;
	char bytes[16];
	assert_int_equal(fs->operations->open(fs, "a", true, &file), 0);
	assert_int_equal(fs->operations->write(file, 0, "0123456789", 10), 0);
	assert_int_equal(fs->operations->read(file, 8, bytes, 16), 2);
	assert_int_equal(fs->operations->read(file, 10, bytes, 16), 0);
	assert_int_equal(fs->operations->read(file, 100, bytes, 16), 0);
	fs->operations->close(file);
}

static void allocating_gives_zeroes_and_keeps_what_is_there(void **state)
{
	struct fs *fs = fs_of(state);
	struct fs_file *file;
	static char bytes[700000];
	assert_int_equal(fs->operations->open(fs, "a", true, &file), 0);
	assert_int_equal(fs->operations->write(file, 0, "0123456789", 10), 0);
	assert_int_equal(fs->operations->allocate(file, 700000), 0);
	assert_int_equal(fs->operations->size(file), 700000);
	assert_int_equal(fs->operations->read(file, 0, bytes, sizeof bytes), 700000);
	assert_memory_equal(bytes, "0123456789", 10);
	for (size_t i = 10; i < sizeof bytes; i++)
		assert_int_equal(bytes[i], 0);
	assert_int_equal(fs->operations->allocate(file, 100), 0);
	assert_int_equal(fs->operations->size(file), 700000);
	fs->operations->close(file);
}

static void truncating_sets_the_size(void **state)
{
	struct fs *fs = fs_of(state);
	struct fs_file *file;
	char bytes[16];
	assert_int_equal(fs->operations->open(fs, "a", true, &file), 0);
	assert_int_equal(fs->operations->write(file, 0, "0123456789", 10), 0);
	assert_int_equal(fs->operations->truncate(file, 3), 0);
	assert_int_equal(fs->operations->truncate(file, 6), 0);
	assert_int_equal(fs->operations->read(file, 0, bytes, 16), 6);
	assert_memory_equal(bytes, "012\0\0\0", 6);
	fs->operations->close(file);
}

static void an_absent_file_is_not_made_unasked(void **state)
{
	struct fs *fs = fs_of(state);
	struct fs_file *file = NULL;
	assert_int_equal(fs->operations->open(fs, "none", false, &file), -ENOENT);
	assert_int_equal(fs->operations->remove(fs, "none"), -ENOENT);
	assert_int_equal(fs->operations->rename(fs, "none", "other"), -ENOENT);
	assert_null(file);
}

static void names_are_listed_in_order(void **state)
{
	struct fs *fs = fs_of(state);
	struct buffer names = BUFFER_EMPTY;
	make(fs, "b");
	make(fs, "a10");
	make(fs, "a9");
	make(fs, "c");
	assert_int_equal(fs->operations->rename(fs, "c", "B"), 0);
	assert_int_equal(fs->operations->remove(fs, "b"), 0);
	assert_int_equal(fs->operations->list(fs, &names), 0);
	assert_int_equal(names.size, 9);
	assert_memory_equal(names.data, "B\0a10\0a9\0", 9);
	assert_int_equal(fs->operations->sync_directory(fs), 0);
	buffer_clear(&names);
	assert_int_equal(fs->operations->list(fs, &names), 0);
	assert_int_equal(names.size, 9);
	buffer_finish(&names);
}

static void a_rename_replaces(void **state)
{
	struct fs *fs = fs_of(state);
	struct fs_file *file;
	char byte;
	assert_int_equal(fs->operations->open(fs, "new", true, &file), 0);
	assert_int_equal(fs->operations->write(file, 0, "n", 1), 0);
	fs->operations->close(file);
	make(fs, "old");
	assert_int_equal(fs->operations->rename(fs, "new", "old"), 0);
	assert_int_equal(fs->operations->open(fs, "new", false, &file), -ENOENT);
	assert_int_equal(fs->operations->open(fs, "old", false, &file), 0);
	assert_int_equal(fs->operations->read(file, 0, &byte, 1), 1);
	assert_int_equal(byte, 'n');
	fs->operations->close(file);
}

static void no_name_leads_out_of_the_directory(void **state)
{
	struct fs *fs = fs_of(state);
	struct fs_file *file;
	static const char *const names[] = {"", ".", "..", "../x", "/x", "a/b", "./a"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		assert_int_equal(fs->operations->open(fs, names[i], true, &file), -EINVAL);
		assert_int_equal(fs->operations->rename(fs, "a", names[i]), -EINVAL);
		assert_int_equal(fs->operations->rename(fs, names[i], "a"), -EINVAL);
		assert_int_equal(fs->operations->remove(fs, names[i]), -EINVAL);
	}
}

static void free_space_is_told(void **state)
{
	struct fs *fs = fs_of(state);
	assert_true(fs->operations->free_space(fs) > 0);
}

/* The real one. */

static void files_are_private_and_closed_on_exec(void **state)
{
	struct fixture *fixture = *state;
	char path[PATH_MAX];
	struct stat status;
	mode_t before = umask(0);
	make(fixture->fs, "a");
	umask(before);
	snprintf(path, sizeof path, "%s/a", fixture->directory);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	struct fs_file *file;
	assert_int_equal(fixture->fs->operations->open(fixture->fs, "a", false, &file), 0);
	DIR *descriptors = opendir("/proc/self/fd");
	assert_non_null(descriptors);
	for (struct dirent *entry; (entry = readdir(descriptors)) != NULL;) {
		char target[PATH_MAX];
		ssize_t size = readlinkat(dirfd(descriptors), entry->d_name, target, sizeof target - 1);
		target[size > 0 ? size : 0] = '\0';
		if (strncmp(target, fixture->directory, strlen(fixture->directory)) == 0)
			assert_true((fcntl(atoi(entry->d_name), F_GETFD) & FD_CLOEXEC) != 0);
	}
	closedir(descriptors);
	fixture->fs->operations->close(file);
}

static void a_symbolic_link_is_not_followed(void **state)
{
	struct fixture *fixture = *state;
	struct fs_file *file;
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/link", fixture->directory);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(fixture->fs->operations->open(fixture->fs, "link", false, &file), -ELOOP);
}

static void allocated_blocks_are_really_there(void **state)
{
	struct fixture *fixture = *state;
	struct fs_file *file;
	struct stat status;
	char path[PATH_MAX];
	assert_int_equal(fixture->fs->operations->open(fixture->fs, "a", true, &file), 0);
	assert_int_equal(fixture->fs->operations->allocate(file, 1 << 20), 0);
	assert_int_equal(fixture->fs->operations->sync(file), 0);
	fixture->fs->operations->close(file);
	snprintf(path, sizeof path, "%s/a", fixture->directory);
	assert_int_equal(stat(path, &status), 0);
	assert_true(status.st_blocks * 512 >= 1 << 20);
}

static void only_a_directory_will_do(void **state)
{
	(void)state;
	struct fs *fs = NULL;
	assert_int_equal(fs_posix_create("/nonexistent/directory", &fs), -ENOENT);
	assert_int_equal(fs_posix_create("/dev/null", &fs), -ENOTDIR);
	assert_null(fs);
}

/* The one for tests fails as it should. */

static void sectors_that_were_not_synced_may_be_lost_each_by_itself(void **state)
{
	(void)state;
	bool lost[3] = {false};
	bool kept[3] = {false};
	bool torn = false;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct fs *fs = faulty_fs_create(seed);
		struct fs_file *file;
		char bytes[2048];
		assert_int_equal(fs->operations->open(fs, "a", true, &file), 0);
		assert_int_equal(fs->operations->allocate(file, 2048), 0);
		assert_int_equal(fs->operations->write(file, 0, "synced", 6), 0);
		assert_int_equal(fs->operations->sync(file), 0);
		assert_int_equal(fs->operations->sync_directory(fs), 0);
		memset(bytes, 'x', sizeof bytes);
		assert_int_equal(fs->operations->write(file, 512, bytes, 1536), 0);
		faulty_fs_crash(fs);
		assert_int_equal(fs->operations->size(file), -EIO);
		fs->operations->close(file);
		assert_int_equal(fs->operations->open(fs, "a", false, &file), 0);
		assert_int_equal(fs->operations->read(file, 0, bytes, 2048), 2048);
		assert_memory_equal(bytes, "synced", 6);
		for (size_t i = 0; i < 3; i++) {
			const char *sector = bytes + 512 * (i + 1);
			torn |= sector[0] != sector[511];
			lost[i] |= sector[0] == '\0' && sector[511] == '\0';
			kept[i] |= sector[0] == 'x' && sector[511] == 'x';
		}
		fs->operations->close(file);
		fs->operations->destroy(fs);
	}
	for (size_t i = 0; i < 3; i++)
		assert_true(lost[i] && kept[i]);
	assert_true(torn);
}

static void names_that_were_not_synced_may_be_lost(void **state)
{
	(void)state;
	unsigned made = 0;
	unsigned moved = 0;
	unsigned back = 0;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct fs *fs = faulty_fs_create(seed);
		struct fs_file *file;
		make(fs, "old");
		make(fs, "gone");
		assert_int_equal(fs->operations->sync_directory(fs), 0);
		make(fs, "new");
		assert_int_equal(fs->operations->rename(fs, "old", "renamed"), 0);
		assert_int_equal(fs->operations->remove(fs, "gone"), 0);
		faulty_fs_crash(fs);
		static const char *const names[] = {"new", "renamed", "gone"};
		unsigned *const counts[] = {&made, &moved, &back};
		for (size_t i = 0; i < 3; i++) {
			if (fs->operations->open(fs, names[i], false, &file) != 0)
				continue;
			++*counts[i];
			fs->operations->close(file);
		}
		fs->operations->destroy(fs);
	}
	assert_in_range(made, 20, 180);
	assert_in_range(moved, 20, 180);
	assert_in_range(back, 20, 180);
}

static void after_a_failed_sync_later_ones_succeed_without_the_data(void **state)
{
	(void)state;
	unsigned lost = 0;
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct fs *fs = faulty_fs_create(seed);
		struct fs_file *file;
		char byte = 0;
		assert_int_equal(fs->operations->open(fs, "a", true, &file), 0);
		assert_int_equal(fs->operations->allocate(file, 512), 0);
		assert_int_equal(fs->operations->sync(file), 0);
		assert_int_equal(fs->operations->sync_directory(fs), 0);
		assert_int_equal(fs->operations->write(file, 0, "x", 1), 0);
		faulty_fs_fail_sync(fs, 1);
		assert_int_equal(fs->operations->sync(file), -EIO);
		assert_int_equal(fs->operations->sync(file), 0);
		assert_int_equal(fs->operations->read(file, 0, &byte, 1), 1);
		assert_int_equal(byte, 'x');
		fs->operations->close(file);
		faulty_fs_crash(fs);
		assert_int_equal(fs->operations->open(fs, "a", false, &file), 0);
		assert_int_equal(fs->operations->read(file, 0, &byte, 1), 1);
		lost += byte != 'x';
		fs->operations->close(file);
		fs->operations->destroy(fs);
	}
	assert_in_range(lost, 5, 45);
}

static void beyond_its_capacity_there_is_no_space(void **state)
{
	(void)state;
	struct fs *fs = faulty_fs_create(1);
	struct fs_file *file;
	static char bytes[1000];
	faulty_fs_set_capacity(fs, 1500);
	assert_int_equal(fs->operations->open(fs, "a", true, &file), 0);
	assert_int_equal(fs->operations->write(file, 0, bytes, 1000), 0);
	assert_int_equal(fs->operations->free_space(fs), 500);
	assert_int_equal(fs->operations->write(file, 1000, bytes, 1000), -ENOSPC);
	assert_int_equal(fs->operations->size(file), 1500);
	assert_int_equal(fs->operations->write(file, 500, bytes, 1000), 0);
	assert_int_equal(fs->operations->allocate(file, 1600), -ENOSPC);
	fs->operations->close(file);
	fs->operations->destroy(fs);
}

static void when_the_power_goes_everything_fails_until_it_is_back(void **state)
{
	(void)state;
	struct fs *fs = faulty_fs_create(1);
	struct fs_file *file;
	struct buffer names = BUFFER_EMPTY;
	make(fs, "a");
	faulty_fs_power_off_at(fs, 2);
	assert_int_equal(fs->operations->open(fs, "a", false, &file), 0);
	assert_int_equal(fs->operations->write(file, 0, "x", 1), 0);
	assert_int_equal(fs->operations->write(file, 1, "x", 1), -EIO);
	assert_true(faulty_fs_is_off(fs));
	assert_int_equal(fs->operations->sync(file), -EIO);
	assert_int_equal(fs->operations->list(fs, &names), -EIO);
	fs->operations->close(file);
	faulty_fs_crash(fs);
	assert_false(faulty_fs_is_off(fs));
	assert_int_equal(fs->operations->list(fs, &names), 0);
	buffer_finish(&names);
	fs->operations->destroy(fs);
}

#define BOTH(name)                                                                                                     \
	{"posix: " #name, name, setup_posix, teardown, NULL}, {"faulty: " #name, name, setup_faulty, teardown, NULL}
#define POSIX(name) cmocka_unit_test_setup_teardown(name, setup_posix, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(what_is_written_is_read),
		BOTH(a_read_at_the_end_is_short),
		BOTH(allocating_gives_zeroes_and_keeps_what_is_there),
		BOTH(truncating_sets_the_size),
		BOTH(an_absent_file_is_not_made_unasked),
		BOTH(names_are_listed_in_order),
		BOTH(a_rename_replaces),
		BOTH(no_name_leads_out_of_the_directory),
		BOTH(free_space_is_told),
		POSIX(files_are_private_and_closed_on_exec),
		POSIX(a_symbolic_link_is_not_followed),
		POSIX(allocated_blocks_are_really_there),
		cmocka_unit_test(only_a_directory_will_do),
		cmocka_unit_test(sectors_that_were_not_synced_may_be_lost_each_by_itself),
		cmocka_unit_test(names_that_were_not_synced_may_be_lost),
		cmocka_unit_test(after_a_failed_sync_later_ones_succeed_without_the_data),
		cmocka_unit_test(beyond_its_capacity_there_is_no_space),
		cmocka_unit_test(when_the_power_goes_everything_fails_until_it_is_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
