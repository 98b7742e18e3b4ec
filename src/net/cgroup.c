#include "net/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define REMOVE_TRIES 100

/* Where version 2 is mounted: alone, or beside version 1. NULL: nowhere. */
static const char *hierarchy(void)
{
	static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	struct statfs system;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		if (statfs(places[i], &system) == 0 && system.f_type == CGROUP2_SUPER_MAGIC)
			return places[i];
	}
	return NULL;
}

/* The group of this process, from the line "0::/…". Without stdio, whose memory a supervisor would keep for all its life. */
static int own_group(char *ret_path, size_t size)
{
	char text[4096];
	int file = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	ssize_t length = file >= 0 ? read(file, text, sizeof text - 1) : -1;
	if (file >= 0)
		close(file);
	if (length <= 0)
		return -1;
	text[length] = '\0';
	for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		if (strncmp(line, "0::/", 4) == 0)
			return snprintf(ret_path, size, "%s", line + 3) < (int)size ? 0 : -1;
	}
	return -1;
}

int cgroup_find_named(const char *name, char ret_path[CGROUP_PATH_SIZE])
{
	char group[512];
	const char *top = hierarchy();
	ret_path[0] = '\0';
	if (top == NULL || own_group(group, sizeof group) != 0)
		return -1;
	const char *slash = strcmp(group, "/") == 0 ? "" : "/";
	if (snprintf(ret_path, CGROUP_PATH_SIZE, "%s%s%sclusterd-%s", top, group, slash, name) < CGROUP_PATH_SIZE)
		return 0;
	ret_path[0] = '\0';
	return -1;
}

int cgroup_create_named(const char *name, char ret_path[CGROUP_PATH_SIZE])
{
	if (cgroup_find_named(name, ret_path) == 0) {
		if (mkdir(ret_path, 0755) == 0)
			return 0;
		if (errno == EEXIST && rmdir(ret_path) == 0 && mkdir(ret_path, 0755) == 0)
			return 0;
	}
	ret_path[0] = '\0';
	return -1;
}

int cgroup_find(pid_t pid, char ret_path[CGROUP_PATH_SIZE])
{
	char name[16];
	snprintf(name, sizeof name, "%d", (int)pid);
	return cgroup_find_named(name, ret_path);
}

int cgroup_create(pid_t pid, char ret_path[CGROUP_PATH_SIZE])
{
	if (cgroup_find(pid, ret_path) == 0 && mkdir(ret_path, 0755) == 0)
		return 0;
	ret_path[0] = '\0';
	return -1;
}

static int open_file(const char *path, const char *name)
{
	char file[CGROUP_PATH_SIZE + 32];
	snprintf(file, sizeof file, "%s/%s", path, name);
	return open(file, O_WRONLY | O_CLOEXEC);
}

static bool put(const char *path, const char *name, uint64_t value)
{
	char text[24];
	int file = path[0] != '\0' ? open_file(path, name) : -1;
	if (file < 0)
		return false;
	int size = snprintf(text, sizeof text, "%" PRIu64, value);
	bool done = write(file, text, (size_t)size) == size;
	close(file);
	return done;
}

/* When one of its processes is killed for want of memory, all are: what is left of a program is of no use. */
bool cgroup_limit_memory(const char *path, uint64_t bytes)
{
	if (!put(path, "memory.max", bytes))
		return false;
	put(path, "memory.oom.group", 1);
	return true;
}

bool cgroup_limit_processes(const char *path, uint64_t count)
{
	return put(path, "pids.max", count);
}

bool cgroup_weigh(const char *path, uint32_t cpu)
{
	uint64_t weight = cpu / 10;
	if (weight < 1)
		weight = 1;
	return put(path, "cpu.weight", weight < 10000 ? weight : 10000);
}

bool cgroup_was_out_of_memory(const char *path)
{
	char file_name[CGROUP_PATH_SIZE + 32];
	char line[128];
	unsigned long long count = 0;
	if (path[0] == '\0')
		return false;
	snprintf(file_name, sizeof file_name, "%s/memory.events", path);
	FILE *file = fopen(file_name, "re");
	if (file == NULL)
		return false;
	while (fgets(line, sizeof line, file) != NULL && sscanf(line, "oom_kill %llu", &count) != 1)
		;
	fclose(file);
	return count > 0;
}

int cgroup_entrance(const char *path)
{
	return open_file(path, "cgroup.procs");
}

void cgroup_kill(const char *path)
{
	if (path[0] == '\0')
		return;
	int file = open_file(path, "cgroup.kill");
	if (file < 0)
		return; /* Linux before 5.14 */
	ssize_t written = write(file, "1", 1);
	(void)written; /* the process tree is walked in any case */
	close(file);
}

int cgroup_remove(const char *path)
{
	return path[0] == '\0' ? 0 : rmdir(path);
}

/* The kernel takes a process out of its group a moment after its parent has collected it. */
bool cgroup_remove_patiently(const char *path)
{
	const struct timespec moment = {.tv_nsec = 500000};
	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (cgroup_remove(path) == 0)
			return true;
		if (errno != EBUSY)
			return false;
		nanosleep(&moment, NULL);
	}
	return false;
}
