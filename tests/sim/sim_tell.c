#include "sim/sim.h"

#include "base/memory.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* What a person reads: traces as they happen, or the last of them when it fails. */

#define LINE_SIZE 220

struct sim_ring {
	char (*lines)[LINE_SIZE];
	uint32_t size; /* 0: they are printed at once */
	uint64_t count;
};

const char *const sim_count_names[COUNT_COUNT] = {
	"power", "kill", "stop", "broken", "io", "space", "slow", "pause", "clock", "drift",
	"torn", "unsynced", "flipped", "joined", "left", "machines-lost", "handed-over", "copies", "installed", "partition", "lost",
	"late", "doubled", "reordered", "break", "leaders", "messages", "datagrams", "workers", "clients",
};

static struct sim *running; /* for an assertion that fails */

static void tell_tail(const struct sim *sim)
{
	const struct sim_ring *ring = sim->ring;
	if (ring == NULL || ring->size == 0)
		return;
	uint64_t first = ring->count > ring->size ? ring->count - ring->size : 0;
	fprintf(stderr, "the last %" PRIu64 " things that happened, of %" PRIu64 ":\n", ring->count - first, ring->count);
	for (uint64_t i = first; i < ring->count; i++)
		fprintf(stderr, "%s\n", ring->lines[i % ring->size]);
}

static void __attribute__((format(printf, 3, 0))) fail(struct sim *sim, const char *name, const char *format, va_list args)
{
	fflush(stdout);
	tell_tail(sim);
	fprintf(stderr, "seed %" PRIu64 " failed at %lld ms%s%s: ", sim->options.seed, (long long)sim->now,
	        name[0] != '\0' ? " on " : "", name);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	_exit(1);
}

void sim_fail(struct sim *sim, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fail(sim, "", format, args);
	va_end(args);
	_exit(1);
}

void server_fail(struct server *server, const char *format, ...)
{
	va_list args;
	char name[64];
	snprintf(name, sizeof name, "%s (life %u)", server->name, server->life);
	va_start(args, format);
	fail(server->sim, name, format, args);
	va_end(args);
	_exit(1);
}

void sim_trace_(struct sim *sim, const char *name, const char *format, ...)
{
	struct sim_ring *ring = sim->ring;
	char printed[LINE_SIZE];
	char *line = ring->size > 0 ? ring->lines[ring->count % ring->size] : printed;
	va_list args;
	int used = snprintf(line, LINE_SIZE, "%8lld %-3s ", (long long)sim->now, name);
	va_start(args, format);
	vsnprintf(line + used, LINE_SIZE - (size_t)used, format, args);
	va_end(args);
	ring->count++;
	if (ring->size == 0)
		fprintf(stderr, "%s\n", line);
}

static void assertion_failed(int number)
{
	signal(number, SIG_DFL);
	sim_fail(running, "an assertion of the program failed (see above)");
}

void tell_begin(struct sim *sim)
{
	running = sim;
	signal(SIGABRT, assertion_failed);
	if (!sim->options.trace && sim->options.tail == 0)
		return;
	sim->ring = mem_zero(sizeof *sim->ring);
	if (sim->options.trace)
		return;
	sim->ring->size = sim->options.tail;
	sim->ring->lines = mem_array(sim->ring->size, LINE_SIZE);
}

void tell_finish(struct sim *sim)
{
	if (sim->ring != NULL)
		mem_free(sim->ring->lines);
	mem_free(sim->ring);
}
