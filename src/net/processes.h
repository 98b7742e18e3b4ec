/* The processes of this machine, as /proc lists them. The list is not taken in one moment, so parents may be missing, or form circles:
 * who walks up bounds the steps. */
#ifndef CLUSTERD_NET_PROCESSES_H
#define CLUSTERD_NET_PROCESSES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t pid;
	pid_t parent;
	uint32_t threads;
	int mark; /* the caller's, 0 at first */
};

/* Zeroed at first. */
struct processes {
	struct process *all; /* by pid */
	size_t count;
	size_t capacity;
};

/* Lists them anew; none when /proc cannot be read. */
void processes_list(struct processes *processes);
/* NULL: it is not in the list. */
struct process *processes_find(const struct processes *processes, pid_t pid);
void processes_finish(struct processes *processes);

#endif
