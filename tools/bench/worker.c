#include "worker.h"

#include "base/arena.h"
#include "base/memory.h"
#include "line.h"
#include "process.h"
#include "wire/message.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ANSWER SLICE("{\"done\":true}")

/* Seen by both processes. */
struct shared {
	_Atomic uint64_t calls;
};

struct worker {
	pid_t pid;
	struct shared *shared;
};

/* --- in the child ------------------------------------------------------------------------------------------------- */

struct server {
	struct loop *loop;
	struct line *line;
	struct shared *shared;
	const char *process;
	uint32_t credit;
};

static void offer(void *context)
{
	struct server *server = context;
	Clusterd__Wire__Offer message = CLUSTERD__WIRE__OFFER__INIT;
	Clusterd__Wire__OfferedProcess process = CLUSTERD__WIRE__OFFERED_PROCESS__INIT;
	Clusterd__Wire__OfferedProcess *processes[1] = {&process};
	process.name = (char *)(uintptr_t)server->process;
	message.processes = processes;
	message.n_processes = 1;
	message.credit = server->credit;
	line_send(server->line, FRAME_OFFER, 0, &message.base, SLICE(""));
}

static void answer(void *context, const struct frame *frame)
{
	struct server *server = context;
	struct arena arena = {0};
	ProtobufCMessage *message;
	struct error error;
	if (frame->type != FRAME_ASSIGNMENT)
		return;
	if (message_unpack(&clusterd__wire__assignment__descriptor, frame->message, &arena, &message, &error) == 0) {
		const Clusterd__Wire__Assignment *assignment = (const Clusterd__Wire__Assignment *)message;
		Clusterd__Wire__Result result = CLUSTERD__WIRE__RESULT__INIT;
		result.instance = assignment->instance;
		result.ref = assignment->ref;
		result.attempt = assignment->attempt;
		line_send(server->line, FRAME_RESULT, 0, &result.base, ANSWER);
		atomic_fetch_add_explicit(&server->shared->calls, 1, memory_order_relaxed);
	}
	arena_finish(&arena);
}

static void ended(void *context, const struct error *reason)
{
	struct server *server = context;
	(void)reason;
	loop_stop(server->loop);
}

static const struct line_handler handler = {offer, answer, ended};

static int serve(const char *address, const char *process, uint32_t credit, struct shared *shared)
{
	struct server server = {.shared = shared, .process = process, .credit = credit};
	struct error error = {0};
	if (loop_create(&server.loop) != 0)
		return 1;
	if (line_create(server.loop, address, CLUSTERD__WIRE__ROLE__ROLE_WORKER, &handler, &server, &server.line,
	                &error) != 0) {
		fprintf(stderr, "clusterd-bench: worker: %s\n", error.text);
		return 1;
	}
	loop_run(server.loop);
	return 0;
}

/* --- in the parent ------------------------------------------------------------------------------------------------ */

int worker_start(const char *address, const char *process, uint32_t credit, struct worker **ret_worker,
                 struct error *error)
{
	pid_t self = getpid();
	struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return error_set(error, ERR_IO, "no memory to share with a worker: %s", strerror(errno));
	pid_t pid = fork();
	if (pid < 0) {
		munmap(shared, sizeof *shared);
		return error_set(error, ERR_IO, "the worker cannot be started: %s", strerror(errno));
	}
	if (pid == 0) {
		/* The parent's connections: they would not close when the parent closes them. */
		close_range(STDERR_FILENO + 1, ~0u, 0);
		_exit(process_dies_with(self) ? serve(address, process, credit, shared) : 1);
	}
	struct worker *worker = mem_zero(sizeof *worker);
	worker->pid = pid;
	worker->shared = shared;
	*ret_worker = worker;
	return 0;
}

void worker_stop(struct worker *worker)
{
	if (worker == NULL)
		return;
	process_end(worker->pid, SIGKILL, 5000);
	munmap(worker->shared, sizeof *worker->shared);
	mem_free(worker);
}

pid_t worker_pid(const struct worker *worker)
{
	return worker->pid;
}

uint64_t worker_calls(const struct worker *worker)
{
	return atomic_load_explicit(&worker->shared->calls, memory_order_relaxed);
}
