/* What the system knows of processes: the processor's time that they took, and the memory that they hold. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

double process_cpu_us(pid_t pid);             /* of all its threads, ended ones included; 0: there is no such process */
double process_descendants_cpu_us(pid_t pid); /* of all processes below it that live */
double process_resident_mib(pid_t pid);
double process_private_mib(pid_t pid);        /* of that, what is not pages of files (RssAnon) */

double clock_us(void);                        /* monotonic */
void pause_us(unsigned microseconds);

/* In a child behind fork: SIGKILL when the parent ends, however that happens. false: it has ended meanwhile. */
bool process_dies_with(pid_t parent);
/* Ends a child of this process: `signal` first, SIGKILL when it is still there after `patience_ms`. */
void process_end(pid_t pid, int signal, unsigned patience_ms);

#endif
