#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/lock.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char parent[] = "/tmp/clusterd-lock-XXXXXX";
static char directory[sizeof parent + 8];
static struct error error;

static int setup(void **state)
{
	(void)state;
	memcpy(parent + sizeof parent - 7, "XXXXXX", 6);
	if (mkdtemp(parent) == NULL)
		return -1;
	snprintf(directory, sizeof directory, "%s/data", parent);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/lock", directory);
	unlink(path);
	unlink(directory);
	rmdir(directory);
	return rmdir(parent);
}

static void the_directory_is_made_for_its_owner_alone(void **state)
{
	(void)state;
	struct stat status;
	int fd = -1;
	assert_int_equal(lock_take(directory, &fd, &error), 0);
	assert_int_equal(stat(directory, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	lock_release(fd);
}

static void the_lock_file_names_the_process(void **state)
{
	(void)state;
	char path[PATH_MAX];
	char text[32] = {0};
	char expected[32];
	int fd = -1;
	/* A longer text of a former holder does not show through. */
	assert_int_equal(mkdir(directory, 0700), 0);
	snprintf(path, sizeof path, "%s/lock", directory);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs("123456789012345\n", file);
	fclose(file);
	assert_int_equal(lock_take(directory, &fd, &error), 0);
	snprintf(expected, sizeof expected, "%ld\n", (long)getpid());
	assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
	assert_string_equal(text, expected);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	lock_release(fd);
}

static void a_second_process_is_told_who_holds_it(void **state)
{
	(void)state;
	int fd = -1;
	int outcome[2];
	char text[ERROR_TEXT_SIZE] = {0};
	char expected[PATH_MAX];
	assert_int_equal(lock_take(directory, &fd, &error), 0);
	assert_int_equal(pipe(outcome), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int other;
		struct error refused = {0};
		int result = lock_take(directory, &other, &refused);
		ssize_t size = write(outcome[1], refused.text, strlen(refused.text));
		_exit(result == ERR_BUSY && size > 0 ? 0 : 1);
	}
	close(outcome[1]);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_true(read(outcome[0], text, sizeof text - 1) > 0);
	close(outcome[0]);
	snprintf(expected, sizeof expected, "%s is in use by process %ld", directory, (long)getpid());
	assert_string_equal(text, expected);
	lock_release(fd);
}

static void the_lock_goes_with_its_process(void **state)
{
	(void)state;
	int status;
	int fd = -1;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(lock_take(directory, &fd, &error) == 0 ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(lock_take(directory, &fd, &error), 0);
	lock_release(fd);
}

static void a_released_lock_can_be_taken_again(void **state)
{
	(void)state;
	int fd = -1;
	int other = -1;
	assert_int_equal(lock_take(directory, &fd, &error), 0);
	assert_int_equal(lock_take(directory, &other, &error), ERR_BUSY);
	lock_release(fd);
	assert_int_equal(lock_take(directory, &fd, &error), 0);
	lock_release(fd);
}

static void a_file_instead_of_a_directory_is_refused(void **state)
{
	(void)state;
	int fd = -1;
	FILE *file = fopen(directory, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(lock_take(directory, &fd, &error), ERR_IO);
	assert_non_null(strstr(error.text, directory));
	assert_non_null(strstr(error.text, "not a directory"));
	assert_int_equal(fd, -1);
}

static void a_missing_parent_is_named(void **state)
{
	(void)state;
	char path[PATH_MAX];
	char expected[PATH_MAX + 64];
	int fd = -1;
	snprintf(path, sizeof path, "%s/none/data", parent);
	snprintf(expected, sizeof expected, "cannot create the directory %s: No such file or directory", path);
	assert_int_equal(lock_take(path, &fd, &error), ERR_IO);
	assert_string_equal(error.text, expected);
}

/* The permission bits do not bind root: then somebody else tries. */
static void a_directory_that_cannot_be_written_is_named(void **state)
{
	(void)state;
	const uid_t nobody = 65534;
	char expected[PATH_MAX];
	int fd = -1;
	int status;
	snprintf(expected, sizeof expected, "cannot write in %s: Permission denied", directory);
	assert_int_equal(mkdir(directory, 0555), 0);
	assert_int_equal(chmod(parent, 0755), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (geteuid() == 0 && setuid(nobody) < 0)
			_exit(2);
		int result = lock_take(directory, &fd, &error);
		_exit(result == ERR_IO && strcmp(error.text, expected) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 2)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void too_long_a_name_is_refused_with_both_sizes(void **state)
{
	(void)state;
	static char name[5001];
	int fd = -1;
	memset(name, 'x', sizeof name - 1);
	assert_int_equal(lock_take(name, &fd, &error), ERR_LIMIT);
	assert_non_null(strstr(error.text, "5000"));
	assert_non_null(strstr(error.text, "4090"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_directory_is_made_for_its_owner_alone),
		TEST(the_lock_file_names_the_process),
		TEST(a_second_process_is_told_who_holds_it),
		TEST(the_lock_goes_with_its_process),
		TEST(a_released_lock_can_be_taken_again),
		TEST(a_file_instead_of_a_directory_is_refused),
		TEST(a_missing_parent_is_named),
		TEST(a_directory_that_cannot_be_written_is_named),
		TEST(too_long_a_name_is_refused_with_both_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
