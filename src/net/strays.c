#include "net/strays.h"

#include "base/memory.h"
#include "net/cgroup.h"
#include "net/supervisor_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MAX 20               /* looks at all processes: who forks all the time is met sooner or later */
#define ENVIRONMENT_READ (64 << 10) /* bytes of each */

/* `text` is "NAME=value" strings with their NULs. */
static bool has_variable(const char *text, size_t size, const char *variable)
{
	size_t length = strlen(variable) + 1; /* its NUL too */
	for (size_t at = 0; at < size;) {
		size_t entry = strnlen(text + at, size - at) + 1;
		if (entry == length && at + length <= size && memcmp(text + at, variable, length) == 0)
			return true;
		at += entry;
	}
	return false;
}

static bool is_stray(const char *pid, const char *home, char *text)
{
	char path[300];
	snprintf(path, sizeof path, "/proc/%s/environ", pid);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	ssize_t size = 0;
	ssize_t more;
	while (size < ENVIRONMENT_READ && (more = read(file, text + size, (size_t)(ENVIRONMENT_READ - size))) > 0)
		size += more;
	close(file);
	return has_variable(text, (size_t)size, home);
}

/* How many were met. */
static int kill_round(const char *home, char *text)
{
	struct dirent *entry;
	int count = 0;
	DIR *all = opendir("/proc");
	if (all == NULL)
		return 0;
	while ((entry = readdir(all)) != NULL) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !is_stray(entry->d_name, home, text))
			continue;
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid != getpid() && kill(pid, SIGKILL) == 0)
			count++;
	}
	closedir(all);
	return count;
}

void strays_end(const char *directory)
{
	char name[SUPERVISOR_GROUP_SIZE];
	char group[CGROUP_PATH_SIZE] = "";
	char *home = mem_format("HOME=%s/work", directory);
	char *text = mem_alloc(ENVIRONMENT_READ);
	if (supervisor_group(directory, name) == 0 && cgroup_find_named(name, group) == 0)
		cgroup_kill(group);
	for (int round = 0; round < ROUNDS_MAX && kill_round(home, text) > 0; round++)
		usleep(1000); /* until they are gone */
	cgroup_remove_patiently(group);
	mem_free(text);
	mem_free(home);
}
