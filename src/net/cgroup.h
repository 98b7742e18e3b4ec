/* A control group (version 2) of its own for each child, below the daemon's, where that is allowed: ending a group
 * is one write, and nothing that forks can outrun it. Without it, everything works by the process tree alone. */
#ifndef CLUSTERD_NET_CGROUP_H
#define CLUSTERD_NET_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CGROUP_PATH_SIZE 600

/* Where the group of the shim `pid` is, or would be. 0, or −1: there is no such thing here, `ret_path` is "". */
int cgroup_find(pid_t pid, char ret_path[CGROUP_PATH_SIZE]);
/* Makes it; the same results. */
int cgroup_create(pid_t pid, char ret_path[CGROUP_PATH_SIZE]);
/* The same by a name that does not begin with a digit. One of that name that is empty is made anew. */
int cgroup_find_named(const char *name, char ret_path[CGROUP_PATH_SIZE]);
int cgroup_create_named(const char *name, char ret_path[CGROUP_PATH_SIZE]);
/* Each: true when it holds from now on, for all in the group together. */
bool cgroup_limit_memory(const char *path, uint64_t bytes);
bool cgroup_limit_processes(const char *path, uint64_t count);
bool cgroup_weigh(const char *path, uint32_t cpu); /* thousandths of a processor: 1000 is the weight of groups without one */
bool cgroup_was_out_of_memory(const char *path);   /* the kernel has killed something in it for that */
/* A descriptor (close on exec): who writes "0" to it joins the group. −1: not allowed. */
int cgroup_entrance(const char *path);
void cgroup_kill(const char *path);   /* SIGKILL to all in it; "" is fine */
int cgroup_remove(const char *path);  /* it must be empty; 0 or −1 (errno); "" is fine */
bool cgroup_remove_patiently(const char *path); /* tries again for up to 50 ms; false: it is still there */

#endif
