/* A connected worker in a process of its own: answers each call at once with the same value. */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include "base/error.h"

#include <stdint.h>
#include <sys/types.h>

struct worker;

/* Serves `process` with room for `credit` calls at once. */
int worker_start(const char *address, const char *process, uint32_t credit, struct worker **ret_worker,
                 struct error *error);
void worker_stop(struct worker *worker); /* NULL is fine */
pid_t worker_pid(const struct worker *worker);
uint64_t worker_calls(const struct worker *worker); /* answered so far */

#endif
