/* How many tasks the scheduler places in a second. clusterd-bench-scheduler [NODES] */
#include "coordinator/scheduler.h"

#include "base/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MIB (UINT64_C(1) << 20)
#define JOBS_MAX 1000
#define PLACED_MAX 60000u

struct bench {
	struct scheduler *scheduler;
	uint32_t nodes;
	struct job_settings settings[JOBS_MAX];
	uint64_t last_id;
	uint32_t *times; /* nanoseconds of each scheduler_next */
	size_t heap_nodes;
};

static uint64_t now_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static size_t heap_used(void)
{
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

static void begin(struct bench *bench)
{
	static struct slice tags[2] = {{"gpu", 3}, {"ssd", 3}};
	size_t before = heap_used();
	bench->scheduler = scheduler_create(1);
	bench->last_id = 0;
	memset(bench->settings, 0, sizeof bench->settings);
	for (uint32_t i = 1; i <= bench->nodes; i++) {
		char name[24];
		int size = snprintf(name, sizeof name, "node-%u", i);
		struct scheduler_node node = {
			.id = i,
			.name = {name, (size_t)size},
			.host = SLICE("192.0.2.1"),
			.datacenter = SLICE("dc1"),
			.tags = tags + (i % 2),
			.tag_count = 1,
			.cpu = 16000,
			.memory = 64 * 1024 * MIB,
			.port_low = 20000,
			.port_high = 32000,
			.eligible = true,
			.up = true,
		};
		scheduler_node_set(bench->scheduler, &node);
	}
	bench->heap_nodes = heap_used() - before;
}

static struct job_settings *job(struct bench *bench, uint32_t index, enum job_placement placement, uint32_t count,
                                uint32_t cpu)
{
	struct job_settings *settings = &bench->settings[index];
	settings->type = JOB_BATCH;
	settings->placement = placement;
	settings->priority = 50;
	settings->count = count;
	settings->cpu = cpu;
	settings->memory = cpu * MIB;
	return settings;
}

static int compare(const void *left, const void *right)
{
	uint32_t one = *(const uint32_t *)left, other = *(const uint32_t *)right;
	return one < other ? -1 : one > other;
}

/* Places all that fits, each confirmed at once; what it takes is of both. `title` NULL: it is not told. */
static uint32_t run(struct bench *bench, const char *title)
{
	struct scheduler_placement placement;
	uint32_t placed = 0;
	size_t before = heap_used();
	uint64_t start = now_ns();
	for (;;) {
		uint64_t from = now_ns();
		bool any = scheduler_next(bench->scheduler, 0, &placement);
		if (title != NULL && placed < PLACED_MAX)
			bench->times[placed] = (uint32_t)(now_ns() - from);
		if (!any)
			break;
		struct scheduler_allocation allocation = {
			++bench->last_id, placement.job, placement.task, placement.node, placement.ports,
		};
		scheduler_allocated(bench->scheduler, &allocation, &bench->settings[placement.job - 1]);
		placed++;
	}
	double seconds = (double)(now_ns() - start) / 1e9;
	if (title == NULL)
		return placed;
	uint32_t timed = placed < PLACED_MAX ? placed : PLACED_MAX;
	qsort(bench->times, timed, sizeof *bench->times, compare);
	printf("%-34s %8u %12.0f %10.1f %12.0f\n", title, placed, placed / seconds,
	       timed > 0 ? bench->times[timed * 99 / 100] / 1e3 : 0,
	       ((double)heap_used() - (double)before) / (placed > 0 ? placed : 1));
	return placed;
}

static void end(struct bench *bench)
{
	scheduler_destroy(bench->scheduler);
}

static void add(struct bench *bench, uint32_t index)
{
	scheduler_job_add(bench->scheduler, index + 1, &bench->settings[index], 0, bench->settings[index].count);
}

static void one_batch(struct bench *bench, enum job_placement placement, uint32_t count, const char *title)
{
	begin(bench);
	job(bench, 0, placement, count, 10);
	add(bench, 0);
	run(bench, title);
	end(bench);
}

static void many_jobs(struct bench *bench)
{
	static struct job_tag on[2] = {{{"gpu", 3}, false}, {{"ssd", 3}, true}};
	static struct job_port ports[2] = {{{"http", 4}, 0}, {{"admin", 5}, 8080}};
	begin(bench);
	for (uint32_t i = 0; i < JOBS_MAX; i++) {
		struct job_settings *settings = job(bench, i, i % 2 == 0 ? JOB_SPREAD : JOB_PACK, 10,
		                                    100 + i % 10 * 10);
		settings->on = &on[i % 3 == 0];
		settings->on_count = i % 3 != 2;
		settings->ports = ports;
		settings->port_count = 1 + (i % 4 == 0);
		add(bench, i);
	}
	run(bench, "1,000 jobs of 10, tags and ports");
	end(bench);
}

/* 19 of 20 parts are taken; a job fills the rest, and what ends is replaced. */
static void nearly_full(struct bench *bench)
{
	begin(bench);
	job(bench, 0, JOB_PACK, bench->nodes * 19, 800);
	add(bench, 0);
	run(bench, NULL);
	scheduler_job_remove(bench->scheduler, 1);
	uint64_t full = bench->last_id;
	job(bench, 1, JOB_PACK, 1000000, 400);
	add(bench, 1);
	run(bench, "95 % full: the rest is filled");
	uint64_t start = now_ns();
	uint32_t replaced = 0;
	for (uint64_t id = 1; id <= full && id <= 10000; id++) {
		scheduler_released(bench->scheduler, id * 7919 % full + 1);
		replaced += run(bench, NULL);
	}
	printf("%-34s %8u %12.0f\n", "full: one ends, others come", replaced,
	       replaced / ((double)(now_ns() - start) / 1e9));
	end(bench);
}

int main(int count, char **words)
{
	static struct bench bench;
	bench.nodes = count > 1 ? (uint32_t)strtoul(words[1], NULL, 10) : 5000;
	if (bench.nodes < 1 || bench.nodes > 1000000) {
		fputs("usage: clusterd-bench-scheduler [NODES]    1 to 1000000, default 5000\n", stderr);
		return 2;
	}
	bench.times = mem_array(PLACED_MAX, sizeof *bench.times);
	printf("%-34s %8s %12s %10s %12s\n", "", "placed", "placed/s", "p99 us", "bytes/task");
	one_batch(&bench, JOB_PACK, 10000, "one batch job of 10,000");
	many_jobs(&bench);
	nearly_full(&bench);
	one_batch(&bench, JOB_SPREAD, 3 * bench.nodes, "spread, three for each node");
	one_batch(&bench, JOB_RANDOM, bench.nodes, "random, one on each node");
	begin(&bench);
	job(&bench, 0, JOB_PACK, 1000000, 16001);
	size_t before = heap_used();
	add(&bench, 0);
	run(&bench, NULL);
	printf("a node: %zu bytes; a job of 1,000,000 tasks that wait: %zu bytes\n", bench.heap_nodes / bench.nodes,
	       heap_used() - before);
	end(&bench);
	mem_free(bench.times);
	return 0;
}
