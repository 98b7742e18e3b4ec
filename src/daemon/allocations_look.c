/* What others want to know of the tasks that are here. */
#include "daemon/allocations_internal.h"

#include <stdio.h>

uint32_t allocations_running(const struct allocations *allocations)
{
	uint32_t count = 0;
	for (const struct task *task = allocations->tasks; task != NULL; task = task->hh.next)
		count += task->state != ALLOCATION_ENDED;
	return count;
}

int allocations_find_process(const struct allocations *allocations, uint64_t id, char *ret_path, size_t size, int *ret_pid,
                             struct error *error)
{
	const struct task *task;
	HASH_FIND(hh, allocations->tasks, &id, sizeof id, task);
	if (task == NULL)
		return error_set(error, ERR_NOT_FOUND, "allocation %llu does not run on %s", (unsigned long long)id,
		                 allocations->options.node_name);
	if (task->state != ALLOCATION_RUNNING || task->pid <= 0)
		return error_set(error, ERR_CONFLICT, "allocation %llu does not run now", (unsigned long long)id);
	snprintf(ret_path, size, "%s", task->directory);
	*ret_pid = task->pid;
	return 0;
}

int allocations_find_output(const struct allocations *allocations, uint64_t id, char *ret_path, size_t size, bool *ret_ended,
                            struct error *error)
{
	const struct task *task;
	HASH_FIND(hh, allocations->tasks, &id, sizeof id, task);
	if (task != NULL)
		snprintf(ret_path, size, "%s", task->directory);
	else if (!retention_has(allocations->retention, id, ret_path, size))
		return error_set(error, ERR_NOT_FOUND, "the output of allocation %llu is not kept on %s any more",
		                 (unsigned long long)id, allocations->options.node_name);
	*ret_ended = task == NULL || task->state == ALLOCATION_ENDED;
	return 0;
}
