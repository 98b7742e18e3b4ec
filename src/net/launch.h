/* What a shim (shim.c) and a supervisor (supervisor.c) have in common: how they start the one command that they are there for. */
#ifndef CLUSTERD_NET_LAUNCH_H
#define CLUSTERD_NET_LAUNCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct launch {
	char *const *argv; /* argv[0] without a "/" is looked up in the PATH of `env` */
	char *const *env;
	const char *directory;  /* NULL: where the caller is */
	int cgroup_entrance;    /* −1: none */
	int standard[3];        /* what becomes descriptors 0, 1, 2, all above 2; −1: as it is */
	uint64_t address_space; /* bytes; 0: as inherited, likewise the others */
	uint64_t data;          /* bytes of memory of its own; what is only mapped and not used does not count */
	uint64_t open_files;
	uint64_t processes;
};

/* Puts the signals of this process at their defaults, for the command. */
void launch_reset_signals(void);
/* Blocks SIGCHLD and those that ask to end, and gives a descriptor that tells of them (signalfd). −1 with errno. */
int launch_open_signals(void);
/* Starts the command in a session of its own; it dies with the caller. The caller stands still until it executes. The pid, or −1;
 * `ret_failure` is errno's value when there is no process, or the one that there is (to be collected) could not execute; else 0. */
pid_t launch_start(const struct launch *launch, int *ret_failure);
/* "could not be executed: …", for people. `directory`: where the command would have been; NULL: here. */
void launch_describe(char *ret_text, size_t size, const char *program, const char *directory, int failure);

#endif
