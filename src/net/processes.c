#include "net/processes.h"

#include "base/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "<pid> (<name>) <state> <parent> …"; the name may hold anything, so the last ")" counts. Field 20 is the number of threads. */
static bool read_process(pid_t pid, struct process *ret_process)
{
	char path[64];
	char text[1024];
	int parent;
	long threads;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = file >= 0 ? read(file, text, sizeof text - 1) : -1;
	if (file >= 0)
		close(file);
	text[size > 0 ? size : 0] = '\0';
	const char *end = strrchr(text, ')');
	if (end == NULL || sscanf(end + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld", &parent,
	                          &threads) != 2)
		return false;
	*ret_process = (struct process){.pid = pid, .parent = parent, .threads = threads > 0 ? (uint32_t)threads : 1};
	return true;
}

static int order_by_pid(const void *left, const void *right)
{
	pid_t a = ((const struct process *)left)->pid;
	pid_t b = ((const struct process *)right)->pid;
	return (a > b) - (a < b);
}

void processes_list(struct processes *processes)
{
	struct dirent *entry;
	struct process process;
	processes->count = 0;
	DIR *directory = opendir("/proc");
	if (directory == NULL)
		return;
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    !read_process((pid_t)strtol(entry->d_name, NULL, 10), &process))
			continue;
		mem_grow(processes->all, processes->capacity, processes->count + 1);
		processes->all[processes->count++] = process;
	}
	closedir(directory);
	if (processes->count > 0)
		qsort(processes->all, processes->count, sizeof *processes->all, order_by_pid);
}

struct process *processes_find(const struct processes *processes, pid_t pid)
{
	struct process key = {.pid = pid};
	if (processes->count == 0)
		return NULL;
	return bsearch(&key, processes->all, processes->count, sizeof key, order_by_pid);
}

void processes_finish(struct processes *processes)
{
	mem_free(processes->all);
	*processes = (struct processes){0};
}
