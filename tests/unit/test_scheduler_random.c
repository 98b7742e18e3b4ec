/* The scheduler against one that looks at everything: random clusters, jobs, releases and refusals. After all decisions are made,
 * nothing that waits may fit anywhere; and each decision is looked at by itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "coordinator/scheduler.h"

#include "base/memory.h"
#include "base/random.h"

#define NODES 12
#define JOBS 14
#define TASKS 12
#define TAKEN_MAX 4096
#define SEEDS 120
#define STEPS 200

enum state { IDLE, WAITING, PLACED };

struct job {
	bool present;
	struct job_settings settings;
	struct job_tag on[2];
	struct job_port ports[3];
	struct slice nodes[TASKS];
	enum state tasks[TASKS]; /* of a system job by node */
	msec not_before[TASKS];
	bool refused[TASKS]; /* and not placed since */
};

struct taken {
	bool used;
	uint64_t id; /* 0: not confirmed */
	uint32_t job, task, node;
	const struct job_settings *settings;
	uint16_t ports[JOB_PORTS_MAX];
	bool leaving;
	uint32_t victims; /* that have to go before it may come */
	uint32_t maker;   /* leaving: for whose sake */
};

struct world {
	struct random random;
	struct scheduler *scheduler;
	msec now;
	struct scheduler_node nodes[NODES];
	bool known[NODES];
	struct slice tags[NODES][2];
	char names[NODES][8];
	struct job jobs[JOBS];
	struct taken taken[TAKEN_MAX];
	uint32_t taken_count;
	uint64_t last_id;
	uint64_t last_job;
	uint64_t job_ids[JOBS];
	uint32_t placed, evicted;
};

static uint32_t draw(struct world *world, uint32_t bound)
{
	return (uint32_t)random_below(&world->random, bound);
}

/* --- the slow one --------------------------------------------------------------------------------------------------- */

static bool matches(const struct world *world, const struct job_settings *settings, uint32_t at)
{
	const struct scheduler_node *node = &world->nodes[at];
	if (!world->known[at] || !node->up || !node->eligible)
		return false;
	if (settings->datacenter.size > 0 && !slice_equal(settings->datacenter, node->datacenter))
		return false;
	bool named = settings->node_count == 0;
	for (uint32_t i = 0; i < settings->node_count; i++)
		named |= slice_equal(settings->nodes[i], node->name);
	for (uint32_t i = 0; i < settings->on_count; i++) {
		bool has = false;
		for (size_t tag = 0; tag < node->tag_count; tag++)
			has |= slice_equal(node->tags[tag], settings->on[i].text);
		if (has == settings->on[i].without)
			return false;
	}
	return named;
}

static uint32_t tally(const struct world *world, uint32_t job, uint32_t node)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < world->taken_count; i++)
		count += world->taken[i].used && world->taken[i].job == job && world->taken[i].node == node;
	return count;
}

struct left {
	int64_t cpu, memory;
	uint32_t ports;
	bool port_held; /* a number that is asked for */
	bool port_lost; /* … by one that may not go */
};

static bool may_go(const struct taken *taken, uint32_t most)
{
	return taken->id != 0 && !taken->leaving && taken->settings->type != JOB_SYSTEM &&
	       taken->settings->priority <= most;
}

/* What the node has left when all up to `most` are gone, and those that leave, if `leaving`. */
static struct left left_of(const struct world *world, const struct job_settings *settings, uint32_t at, uint32_t most,
                           bool leaving)
{
	const struct scheduler_node *node = &world->nodes[at];
	struct left left = {node->cpu, (int64_t)node->memory, 0, false, false};
	static bool used[65536];
	memset(used + 100, 0, 100);
	for (uint32_t i = 0; i < world->taken_count; i++) {
		const struct taken *taken = &world->taken[i];
		if (!taken->used || taken->node != at)
			continue;
		bool goes = may_go(taken, most);
		if (!goes && !(leaving && taken->leaving)) {
			left.cpu -= taken->settings->cpu;
			left.memory -= (int64_t)taken->settings->memory;
		}
		for (uint32_t port = 0; port < taken->settings->port_count; port++) {
			used[taken->ports[port]] = true;
			for (uint32_t asked = 0; asked < settings->port_count; asked++) {
				if (settings->ports[asked].number != taken->ports[port])
					continue;
				left.port_held = true;
				left.port_lost |= !goes;
			}
		}
	}
	for (uint32_t asked = 0; asked < settings->port_count; asked++)
		used[settings->ports[asked].number] = true;
	for (uint32_t port = node->port_low; port <= node->port_high; port++)
		left.ports += !used[port];
	return left;
}

static uint32_t free_asked(const struct job_settings *settings)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < settings->port_count; i++)
		count += settings->ports[i].number == 0;
	return count;
}

static bool fits(const struct world *world, const struct job_settings *settings, uint32_t at)
{
	struct left left = left_of(world, settings, at, 0, false);
	return matches(world, settings, at) && left.cpu >= settings->cpu && left.memory >= (int64_t)settings->memory &&
	       !left.port_held && (free_asked(settings) == 0 || left.ports >= free_asked(settings));
}

/* The lowest priority up to which others have to go; 0: it is not possible, or nobody has to. */
static uint32_t price(const struct world *world, const struct job_settings *settings, uint32_t at)
{
	if (!matches(world, settings, at))
		return 0;
	for (uint32_t most = 0; most + 10 <= settings->priority; most++) {
		struct left left = left_of(world, settings, at, most, true);
		if (left.cpu >= settings->cpu && left.memory >= (int64_t)settings->memory && !left.port_lost &&
		    (free_asked(settings) == 0 || left.ports >= free_asked(settings)))
			return most;
	}
	return 0;
}

static uint32_t capacity(const struct world *world, const struct job_settings *settings, uint32_t at)
{
	if (!fits(world, settings, at))
		return 0;
	struct left left = left_of(world, settings, at, 0, false);
	uint32_t most = TASKS;
	if (settings->cpu > 0 && left.cpu / settings->cpu < most)
		most = (uint32_t)(left.cpu / settings->cpu);
	if (settings->memory > 0 && (uint64_t)left.memory / settings->memory < most)
		most = (uint32_t)((uint64_t)left.memory / settings->memory);
	if (free_asked(settings) > 0 && left.ports / free_asked(settings) < most)
		most = left.ports / free_asked(settings);
	return free_asked(settings) < settings->port_count ? 1 : most;
}

/* --- nothing that waits fits ---------------------------------------------------------------------------------------- */

static void nothing_fits_one(const struct world *world, const struct job_settings *settings, uint32_t node)
{
	assert_false(fits(world, settings, node));
	assert_int_equal(price(world, settings, node), 0);
}

static void nothing_fits(const struct world *world, uint32_t at)
{
	const struct job *job = &world->jobs[at];
	const struct job_settings *settings = &job->settings;
	uint32_t ready = 0, room = 0, different = 0, refused = 0;
	for (uint32_t task = 0; task < TASKS; task++) {
		refused += job->refused[task];
		ready += job->tasks[task] == WAITING && job->not_before[task] <= world->now;
	}
	for (uint32_t node = 0; node < NODES; node++) {
		room += capacity(world, settings, node);
		different += tally(world, at, node) == 0 && fits(world, settings, node);
	}
	if (settings->type == JOB_SYSTEM) {
		for (uint32_t node = 0; node < NODES; node++) {
			if (tally(world, at, node) == 0)
				nothing_fits_one(world, settings, node);
		}
	} else if (settings->placement == JOB_RANDOM) {
		assert_true(ready == 0 || different < ready);
	} else if (settings->group) {
		assert_true(ready == 0 || (ready != settings->count && ready != refused) || room < ready);
	} else if (settings->placement == JOB_PINNED) {
		for (uint32_t task = 0; task < settings->count; task++) {
			for (uint32_t node = 0; node < NODES; node++) {
				if (job->tasks[task] == WAITING && job->not_before[task] <= world->now &&
				    world->known[node] && slice_equal(settings->nodes[task], world->nodes[node].name))
					nothing_fits_one(world, settings, node);
			}
		}
	} else {
		for (uint32_t node = 0; ready > 0 && node < NODES; node++)
			nothing_fits_one(world, settings, node);
	}
}

/* --- a decision ----------------------------------------------------------------------------------------------------- */

static uint32_t job_at(const struct world *world, uint64_t id)
{
	uint32_t at = 0;
	while (at < JOBS && (!world->jobs[at].present || world->job_ids[at] != id))
		at++;
	assert_true(at < JOBS);
	return at;
}

static struct taken *taken_new(struct world *world)
{
	uint32_t at = 0;
	while (at < world->taken_count && world->taken[at].used)
		at++;
	assert_true(at < TAKEN_MAX);
	if (at == world->taken_count)
		world->taken_count++;
	memset(&world->taken[at], 0, sizeof world->taken[at]);
	world->taken[at].used = true;
	return &world->taken[at];
}

static struct taken *taken_by_id(struct world *world, uint64_t id)
{
	for (uint32_t i = 0; i < world->taken_count; i++) {
		if (world->taken[i].used && world->taken[i].id == id)
			return &world->taken[i];
	}
	fail();
	return NULL;
}

static struct taken *taken_by_task(struct world *world, uint32_t job, uint32_t task)
{
	for (uint32_t i = 0; i < world->taken_count; i++) {
		struct taken *taken = &world->taken[i];
		if (taken->used && taken->id == 0 && taken->job == job && taken->task == task)
			return taken;
	}
	return NULL;
}

/* As few as there can be of these, and as low as there are anywhere. */
static void check_victims(struct world *world, const struct job_settings *settings,
                          const struct scheduler_placement *placement, uint32_t node)
{
	uint32_t lowest = 0, highest = 0;
	for (uint32_t i = 0; i < NODES; i++) {
		uint32_t there = price(world, settings, i);
		assert_true(settings->type == JOB_SYSTEM || settings->placement == JOB_PINNED ||
		            !fits(world, settings, i));
		if (there > 0 && (lowest == 0 || there < lowest))
			lowest = there;
	}
	for (size_t i = 0; i < placement->victim_count; i++) {
		struct taken *victim = taken_by_id(world, placement->victims[i]);
		assert_true(may_go(victim, settings->priority - 10));
		assert_int_equal(victim->node, node);
		highest = victim->settings->priority > highest ? victim->settings->priority : highest;
	}
	if (settings->type != JOB_SYSTEM && settings->placement != JOB_PINNED)
		assert_int_equal(highest, lowest);
	for (size_t i = 0; i <= placement->victim_count; i++) {
		for (size_t j = 0; j < placement->victim_count; j++)
			taken_by_id(world, placement->victims[j])->leaving = j != i;
		struct left left = left_of(world, settings, node, 0, true);
		bool ports = true;
		for (uint32_t j = 0; j < world->taken_count; j++) {
			const struct taken *taken = &world->taken[j];
			for (uint32_t port = 0;
			     taken->used && taken->node == node && port < taken->settings->port_count; port++) {
				for (uint32_t asked = 0; asked < settings->port_count; asked++)
					ports &= taken->leaving || settings->ports[asked].number != taken->ports[port];
			}
		}
		bool enough = left.cpu >= settings->cpu && left.memory >= (int64_t)settings->memory && ports;
		assert_int_equal(enough, i == placement->victim_count);
	}
}

static void check_ports(const struct world *world, const struct job_settings *settings,
                        const struct scheduler_placement *placement, uint32_t node)
{
	for (uint32_t i = 0; i < settings->port_count; i++) {
		uint16_t port = placement->ports[i];
		if (settings->ports[i].number != 0)
			assert_int_equal(port, settings->ports[i].number);
		else
			assert_in_range(port, world->nodes[node].port_low, world->nodes[node].port_high);
		for (uint32_t j = 0; j < i; j++)
			assert_int_not_equal(port, placement->ports[j]);
		for (uint32_t j = 0; j < world->taken_count; j++) {
			const struct taken *taken = &world->taken[j];
			for (uint32_t k = 0; taken->used && taken->node == node && k < taken->settings->port_count; k++)
				assert_true(taken->leaving || taken->ports[k] != port);
		}
	}
}

static void settle(struct world *world, struct taken *taken)
{
	if (draw(world, 10) == 0) {
		struct job *job = &world->jobs[taken->job];
		taken->used = false;
		if (job->settings.type != JOB_SYSTEM) {
			job->tasks[taken->task] = WAITING;
			job->refused[taken->task] = true;
		}
		scheduler_refused(world->scheduler, world->job_ids[taken->job], taken->task);
		return;
	}
	taken->id = ++world->last_id;
	struct scheduler_allocation allocation = {taken->id, world->job_ids[taken->job], taken->task,
	                                          world->nodes[taken->node].id, taken->ports};
	scheduler_allocated(world->scheduler, &allocation, taken->settings);
	world->placed++;
}

static void take(struct world *world, const struct scheduler_placement *placement)
{
	uint32_t at = job_at(world, placement->job), node = (uint32_t)placement->node - 1;
	struct job *job = &world->jobs[at];
	struct taken *taken = taken_by_task(world, at, placement->task);
	if (taken != NULL) { /* its victims are gone */
		assert_true(placement->victim_count == 0 && taken->victims == 0 && taken->node == node);
		assert_memory_equal(taken->ports, placement->ports, sizeof taken->ports);
		settle(world, taken);
		return;
	}
	if (job->settings.type == JOB_SYSTEM) {
		assert_int_equal(tally(world, at, node), 0);
	} else {
		assert_true(job->tasks[placement->task] == WAITING && job->not_before[placement->task] <= world->now);
		job->tasks[placement->task] = PLACED;
		job->refused[placement->task] = false;
	}
	if (job->settings.placement == JOB_RANDOM)
		assert_int_equal(tally(world, at, node), 0);
	if (job->settings.placement == JOB_PINNED)
		assert_true(slice_equal(job->settings.nodes[placement->task], world->nodes[node].name));
	assert_true(matches(world, &job->settings, node));
	if (placement->victim_count == 0)
		assert_true(fits(world, &job->settings, node));
	else
		check_victims(world, &job->settings, placement, node);
	check_ports(world, &job->settings, placement, node);
	taken = taken_new(world);
	taken->job = at;
	taken->task = placement->task;
	taken->node = node;
	taken->settings = &job->settings;
	taken->victims = (uint32_t)placement->victim_count;
	memcpy(taken->ports, placement->ports, sizeof taken->ports);
	for (size_t i = 0; i < placement->victim_count; i++) {
		taken_by_id(world, placement->victims[i])->leaving = true;
		taken_by_id(world, placement->victims[i])->maker = (uint32_t)(taken - world->taken);
	}
	world->evicted += placement->victim_count > 0;
	if (placement->victim_count == 0)
		settle(world, taken);
}

static void decide_all(struct world *world)
{
	struct scheduler_placement placement;
	while (scheduler_next(world->scheduler, world->now, &placement))
		take(world, &placement);
	for (uint32_t job = 0; job < JOBS; job++) {
		if (world->jobs[job].present)
			nothing_fits(world, job);
	}
}

/* --- what happens --------------------------------------------------------------------------------------------------- */

static void release(struct world *world, struct taken *taken, bool again)
{
	uint64_t id = taken->id;
	struct job *job = &world->jobs[taken->job];
	taken->used = false;
	if (taken->leaving && world->taken[taken->maker].victims > 0)
		world->taken[taken->maker].victims--;
	scheduler_released(world->scheduler, id);
	if (!job->present || job->settings.type == JOB_SYSTEM)
		return;
	job->tasks[taken->task] = IDLE;
	if (!again)
		return;
	job->tasks[taken->task] = WAITING;
	job->not_before[taken->task] = world->now + draw(world, 3) * 10;
	scheduler_task_waits(world->scheduler, world->job_ids[taken->job], taken->task, job->not_before[taken->task]);
}

static void release_some(struct world *world)
{
	for (uint32_t i = 0; i < world->taken_count; i++) {
		struct taken *taken = &world->taken[i];
		if (taken->used && taken->id != 0 && draw(world, taken->leaving ? 3 : 8) == 0)
			release(world, taken, draw(world, 3) != 0);
	}
}

static void node_change(struct world *world)
{
	static const char *const datacenters[] = {"a", "b"}, *const tags[] = {"gpu", "ssd"};
	uint32_t at = draw(world, NODES);
	struct scheduler_node *node = &world->nodes[at];
	for (uint32_t i = 0; i < world->taken_count;
	     i++) { /* those that wait for victims lose their place when it goes */
		const struct taken *taken = &world->taken[i];
		if (taken->used && taken->node == at && taken->id == 0)
			return;
	}
	uint32_t what = world->known[at] ? draw(world, 5) : 0;
	if (what == 4) {
		for (uint32_t i = 0; i < world->taken_count; i++) {
			if (world->taken[i].used && world->taken[i].node == at)
				release(world, &world->taken[i], true);
		}
		world->known[at] = false;
		scheduler_node_remove(world->scheduler, node->id);
		return;
	}
	snprintf(world->names[at], sizeof world->names[at], "n%u", at % 100);
	node->id = at + 1;
	node->name = slice_of(world->names[at]);
	if (what == 0 && !world->known[at]) {
		node->cpu = 1000 * (1 + draw(world, 4));
		node->memory = 100 * (1 + draw(world, 4));
		node->datacenter = slice_of(datacenters[draw(world, 2)]);
		node->tags = world->tags[at];
		node->tag_count = draw(world, 3);
		for (size_t i = 0; i < node->tag_count; i++)
			world->tags[at][i] = slice_of(tags[i]);
		node->port_low = 100;
		node->port_high = (uint16_t)(101 + draw(world, 6));
	}
	node->up = draw(world, 5) != 0;
	node->eligible = draw(world, 5) != 0;
	world->known[at] = true;
	scheduler_node_set(world->scheduler, node);
}

static void job_fill(struct world *world, uint32_t at)
{
	static const char *const tags[] = {"gpu", "ssd"};
	struct job *job = &world->jobs[at];
	memset(job, 0, sizeof *job);
	struct job_settings *settings = &job->settings;
	settings->type = draw(world, 8) == 0 ? JOB_SYSTEM : JOB_BATCH;
	settings->placement = (enum job_placement)draw(world, 4);
	settings->priority = 10 * (1 + draw(world, 9));
	settings->count = 1 + draw(world, settings->placement == JOB_RANDOM ? 4 : 8);
	settings->cpu = draw(world, 4) * 400;
	settings->memory = draw(world, 4) * 30;
	settings->on = job->on;
	settings->on_count = draw(world, 3) == 0;
	job->on[0] = (struct job_tag){slice_of(tags[draw(world, 2)]), draw(world, 3) == 0};
	settings->ports = job->ports;
	settings->port_count = draw(world, 3) == 0 ? 1 + draw(world, 2) : 0;
	for (uint32_t i = 0; i < settings->port_count; i++)
		job->ports[i].number = draw(world, 2) == 0 ? (uint16_t)(100 + 3 * i + draw(world, 3)) : 0;
	if (draw(world, 4) == 0)
		settings->datacenter = SLICE("a");
	if (settings->type == JOB_SYSTEM) {
		settings->placement = JOB_SPREAD;
		settings->count = 1;
	}
	settings->group = settings->type == JOB_BATCH && settings->placement < JOB_RANDOM && draw(world, 4) == 0;
	settings->nodes = job->nodes;
	if (settings->placement == JOB_PINNED) {
		uint32_t first = draw(world, NODES);
		settings->node_count = settings->count;
		for (uint32_t i = 0; i < settings->count; i++) {
			uint32_t node = (first + i) % NODES;
			snprintf(world->names[node], sizeof world->names[node], "n%u", node % 100);
			job->nodes[i] = slice_of(world->names[node]);
		}
	}
}

static void job_begin(struct world *world, uint32_t at)
{
	struct job *job = &world->jobs[at];
	for (uint32_t i = 0; i < world->taken_count; i++) {
		if (world->taken[i].used && world->taken[i].job == at)
			return; /* something of the last one is still there */
	}
	job_fill(world, at);
	job->present = true;
	world->job_ids[at] = ++world->last_job;
	for (uint32_t i = 0; job->settings.type != JOB_SYSTEM && i < job->settings.count; i++)
		job->tasks[i] = WAITING;
	scheduler_job_add(world->scheduler, world->job_ids[at], &job->settings, 0, job->settings.count);
}

static void job_end(struct world *world, uint32_t at)
{
	world->jobs[at].present = false;
	scheduler_job_remove(world->scheduler, world->job_ids[at]);
	for (uint32_t i = 0; i < world->taken_count; i++) {
		struct taken *taken = &world->taken[i];
		if (taken->used && taken->job == at && taken->id == 0)
			taken->used = false;
	}
}

static void step(struct world *world)
{
	uint32_t at = draw(world, JOBS);
	switch (draw(world, 8)) {
	case 0:
	case 1:
		node_change(world);
		break;
	case 2:
	case 3:
		if (!world->jobs[at].present)
			job_begin(world, at);
		else if (draw(world, 3) == 0)
			job_end(world, at);
		break;
	case 4:
		world->now += 7;
		break;
	default:
		release_some(world);
	}
	decide_all(world);
}

static void everything_that_fits_is_placed_and_nothing_else(void **state)
{
	uint32_t placed = 0, evicted = 0;
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world *world = mem_zero(sizeof *world);
		world->random.state = seed;
		world->scheduler = scheduler_create(seed);
		for (uint32_t i = 0; i < STEPS; i++)
			step(world);
		placed += world->placed;
		evicted += world->evicted;
		scheduler_destroy(world->scheduler);
		mem_free(world);
	}
	print_message("%u placed, %u of them after others were put out\n", placed, evicted);
	assert_true(placed > 5000 && evicted > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(everything_that_fits_is_placed_and_nothing_else)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
