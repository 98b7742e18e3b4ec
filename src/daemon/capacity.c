/* What this machine gives to whoever asks, and so to tasks. */
#include "daemon/allocations.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GROUP_SIZE 512

/* The first line of a file; false: there is none. */
static bool read_line(const char *path, char *ret_line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool found = file != NULL && fgets(ret_line, (int)size, file) != NULL;
	if (file != NULL)
		fclose(file);
	return found;
}

/* The group of this process in version 2, "" at the top. */
static void own_group(char ret_group[GROUP_SIZE])
{
	char line[GROUP_SIZE];
	FILE *file = fopen("/proc/self/cgroup", "re");
	ret_group[0] = '\0';
	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (strlen(line) > 4)
			snprintf(ret_group, GROUP_SIZE, "%s", line + 3);
	}
	if (file != NULL)
		fclose(file);
}

static void lower(uint64_t *value, uint64_t other)
{
	if (other > 0 && other < *value)
		*value = other;
}

static void look_at_group(const char *group, uint64_t *cpu, uint64_t *memory)
{
	char path[GROUP_SIZE + 64];
	char line[64];
	unsigned long long quota;
	unsigned long long period;
	snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
	if (read_line(path, line, sizeof line) && sscanf(line, "%llu %llu", &quota, &period) == 2 && period > 0)
		lower(cpu, quota * 1000 / period);
	snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
	if (read_line(path, line, sizeof line))
		lower(memory, strtoull(line, NULL, 10)); /* "max": 0 */
}

void allocations_capacity(uint32_t *ret_cpu, uint64_t *ret_memory)
{
	cpu_set_t allowed;
	char group[GROUP_SIZE];
	char line[64];
	unsigned long long total = 0;
	long count = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed)
	                                                                 : sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t cpu = (uint64_t)(count > 0 ? count : 1) * 1000;
	if (read_line("/proc/meminfo", line, sizeof line))
		sscanf(line, "MemTotal: %llu kB", &total);
	uint64_t memory = total << 10;
	own_group(group);
	for (char *end = group + strlen(group);; end = strrchr(group, '/')) {
		if (end == NULL)
			break;
		*end = '\0';
		look_at_group(group, &cpu, &memory);
		if (group[0] == '\0')
			break;
	}
	*ret_cpu = (uint32_t)cpu;
	*ret_memory = memory;
}
