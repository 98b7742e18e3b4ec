/* Room for a task that fits nowhere, at the cost of lower ones on one node. Free ports are not made so, and neither is room for what is
 * placed whole. */
#include "coordinator/scheduler_parts.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

struct victim {
	uint32_t slot;
	uint32_t priority;
	uint64_t size; /* the parts of cpu and memory that it has, added */
	uint64_t id;
	bool port; /* it has a port that is asked for */
};

/* What is still needed when nobody goes; nothing of it above 0: enough. */
static struct room shortage(const struct node *node, const struct request *request)
{
	return (struct room){
		.cpu = request->cpu - (node->cpu - node->cpu_used + node->cpu_leaving),
		.memory = request->memory - (node->memory - node->memory_used + node->memory_leaving),
	};
}

/* Whether those that have ports that are asked for could go; *priority is that of the highest of them, if it is higher. */
static bool ports_could_be_had(const struct scheduler *scheduler, const struct node *node,
                               const struct request *request, uint32_t most, uint32_t *priority)
{
	uint32_t needed = request->free_ports;
	for (uint32_t i = 0; i < request->port_count; i++) {
		size_t cursor = 0;
		uint32_t slot;
		if (request->ports[i] == 0)
			continue;
		while ((slot = port_holder(node, request->ports[i], &cursor)) != NO_SLOT) {
			const struct allocation *holder = &scheduler->allocations[slot];
			if (holder->id == 0 || holder->system || holder->leaving || holder->priority > most)
				return false;
			*priority = holder->priority > *priority ? holder->priority : *priority;
		}
		needed += cursor == 1 && port_in_range(node, request->ports[i]);
	}
	return request->free_ports == 0 || needed <= node->ports_free;
}

/* The priority up to which allocations would have to go; 0: not possible, or nobody has to. */
static uint32_t price(const struct scheduler *scheduler, const struct job *job, uint32_t slot)
{
	const struct node *node = scheduler->nodes[slot];
	const struct request *request = job_request(job);
	uint32_t price = 0, most = job->priority > PREEMPTION_DISTANCE ? job->priority - PREEMPTION_DISTANCE : 0;
	if (!node_is_usable(node) || node->level_count == 0 || node->levels[0].priority > most)
		return 0;
	if (!ports_could_be_had(scheduler, node, request, most, &price))
		return 0;
	struct room short_of = shortage(node, request);
	for (size_t i = 0; i < node->level_count && (short_of.cpu > 0 || short_of.memory > 0); i++) {
		const struct level *level = &node->levels[i];
		if (level->priority > most)
			return 0;
		short_of.cpu -= level->cpu;
		short_of.memory -= level->memory;
		price = level->priority > price ? level->priority : price;
	}
	return short_of.cpu <= 0 && short_of.memory <= 0 ? price : 0;
}

bool preemption_could_help(const struct scheduler *scheduler, const struct job *job, uint32_t slot)
{
	return price(scheduler, job, slot) > 0;
}

/* --- the victims of a node ------------------------------------------------------------------------------------------ */

/* The first may stay rather than those behind it: the highest priority, then the smallest, so that few have to go. */
static int compare(const void *left, const void *right)
{
	const struct victim *one = left, *other = right;
	if (one->priority != other->priority)
		return one->priority > other->priority ? -1 : 1;
	if (one->size != other->size)
		return one->size < other->size ? -1 : 1;
	return one->id < other->id ? -1 : one->id > other->id;
}

static uint64_t size_of(const struct node *node, const struct allocation *allocation)
{
	uint64_t cpu = node->cpu > 0 ? ((uint64_t)allocation->cpu << 20) / (uint64_t)node->cpu : 0;
	uint64_t all = (uint64_t)node->memory >> 10;
	return cpu + (all > 0 ? (((uint64_t)allocation->memory >> 10) << 20) / all : 0);
}

static bool has_port_of(const struct allocation *allocation, const struct request *request)
{
	for (uint32_t i = 0; i < allocation->port_count; i++) {
		for (uint32_t j = 0; j < request->port_count; j++) {
			if (request->ports[j] != 0 && request->ports[j] == allocation->ports[i])
				return true;
		}
	}
	return false;
}

/* All up to that priority go, then one after the other stays that may. Returns how many go; the caller frees them. */
static size_t victims_choose(const struct scheduler *scheduler, const struct job *job, uint32_t slot, uint32_t up_to,
                             struct victim **ret_victims)
{
	const struct node *node = scheduler->nodes[slot];
	const struct request *request = job_request(job);
	struct room short_of = shortage(node, request);
	struct victim *victims = NULL;
	size_t count = 0, capacity = 0, kept = 0;
	for (size_t i = 0; i < node->level_count && node->levels[i].priority <= up_to; i++) {
		uint32_t at = node->levels[i].first;
		for (; at != NO_SLOT; at = scheduler->allocations[at].next) {
			const struct allocation *allocation = &scheduler->allocations[at];
			mem_grow(victims, capacity, count + 1);
			victims[count++] = (struct victim){at, allocation->priority, size_of(node, allocation),
			                                   allocation->id, has_port_of(allocation, request)};
			short_of.cpu -= allocation->cpu;
			short_of.memory -= allocation->memory;
		}
	}
	assert(count > 0 && short_of.cpu <= 0 && short_of.memory <= 0);
	qsort(victims, count, sizeof *victims, compare);
	for (size_t i = 0; i < count; i++) {
		const struct allocation *allocation = &scheduler->allocations[victims[i].slot];
		if (short_of.cpu + allocation->cpu <= 0 && short_of.memory + allocation->memory <= 0 &&
		    !victims[i].port) {
			short_of.cpu += allocation->cpu;
			short_of.memory += allocation->memory;
		} else {
			victims[kept++] = victims[i];
		}
	}
	*ret_victims = victims;
	return kept;
}

/* --- the node ------------------------------------------------------------------------------------------------------- */

struct bargain {
	uint32_t price;
	uint32_t slots[SAMPLE_VICTIMS]; /* that have it */
	uint32_t count;
};

static void bargain_look(struct bargain *bargain, uint32_t slot, uint32_t price)
{
	if (price == 0 || (bargain->price != 0 && price > bargain->price))
		return;
	if (price < bargain->price)
		bargain->count = 0;
	bargain->price = price;
	if (bargain->count < SAMPLE_VICTIMS)
		bargain->slots[bargain->count++] = slot;
}

static bool anybody_could_go(const struct scheduler *scheduler, const struct job *job)
{
	for (uint32_t priority = 0; priority + PREEMPTION_DISTANCE <= job->priority; priority++) {
		if (scheduler->priorities[priority] > 0)
			return true;
	}
	return false;
}

/* They are told; the placement waits for them. */
static uint32_t evict(struct scheduler *scheduler, struct job *job, uint32_t task, uint32_t slot,
                      const struct victim *victims, size_t count)
{
	struct node *node = scheduler->nodes[slot];
	struct eviction *eviction = mem_zero(sizeof *eviction);
	eviction->victims = mem_array(count, sizeof *eviction->victims);
	eviction->victims_left = eviction->victim_count = (uint32_t)count;
	mem_grow(scheduler->victims, scheduler->victim_capacity, count);
	for (size_t i = 0; i < count; i++) {
		const struct victim *victim = &victims[count - 1 - i];
		struct allocation *allocation = &scheduler->allocations[victim->slot];
		assert(victim->priority + PREEMPTION_DISTANCE <= job->priority && !allocation->leaving);
		level_leave(scheduler, victim->slot);
		allocation->leaving = true;
		allocation->eviction = eviction;
		node->cpu_leaving += allocation->cpu;
		node->memory_leaving += allocation->memory;
		eviction->victims[i] = victim->slot;
		scheduler->victims[i] = victim->id;
	}
	if (!job_is_system(job))
		tasks_remove(scheduler, job, task);
	uint32_t placement = placement_make(scheduler, job, task, slot);
	assert(node->cpu - node->cpu_used + node->cpu_leaving >= 0);
	assert(node->memory - node->memory_used + node->memory_leaving >= 0);
	scheduler->allocations[placement].eviction = eviction;
	eviction->placements = mem_array(1, sizeof *eviction->placements);
	eviction->placements[0] = placement;
	eviction->placement_count = 1;
	TAILQ_INSERT_TAIL(&scheduler->evictions, eviction, link);
	return placement;
}

/* The fewest victims, among the nodes where the highest of them is the lowest. */
static uint32_t strike(struct scheduler *scheduler, struct job *job, uint32_t task, const struct bargain *bargain)
{
	struct victim *best = NULL, *victims;
	size_t best_count = SIZE_MAX;
	uint32_t best_slot = NO_SLOT;
	if (bargain->price == 0)
		return NO_SLOT;
	for (uint32_t i = 0; i < bargain->count; i++) {
		size_t count = victims_choose(scheduler, job, bargain->slots[i], bargain->price, &victims);
		if (count < best_count) {
			mem_free(best);
			best = victims;
			best_count = count;
			best_slot = bargain->slots[i];
		} else {
			mem_free(victims);
		}
	}
	if (job_is_system(job))
		task = system_number(job, scheduler->nodes[best_slot]->id);
	uint32_t placement = evict(scheduler, job, task, best_slot, best, best_count);
	mem_free(best);
	return placement;
}

uint32_t preempt(struct scheduler *scheduler, struct job *job)
{
	const uint64_t *bits = job->shape->class->bits;
	uint32_t end = scheduler->slot_count;
	struct bargain bargain = {0};
	if (job_is_whole(job) || !anybody_could_go(scheduler, job))
		return NO_SLOT;
	if (!job_is_system(job) && job->settings->placement == JOB_PINNED) {
		const uint32_t *pins = job_pins(scheduler, job);
		for (uint32_t task = 0; task < job->settings->node_count; task++) {
			if (pins[task] == NO_SLOT || !task_is_ready(job, task))
				continue;
			bargain_look(&bargain, pins[task], price(scheduler, job, pins[task]));
			if (bargain.price != 0)
				return strike(scheduler, job, task, &bargain);
		}
		return NO_SLOT;
	}
	for (uint32_t slot = bits_next(bits, 0, end); slot < end; slot = bits_next(bits, slot + 1, end)) {
		if (!job_is_system(job) || system_lacks(scheduler, job, slot))
			bargain_look(&bargain, slot, price(scheduler, job, slot));
	}
	return strike(scheduler, job, job_is_system(job) ? 0 : tasks_first(job), &bargain);
}

void eviction_undo(struct scheduler *scheduler, uint32_t placement)
{
	struct eviction *eviction = scheduler->allocations[placement].eviction;
	for (uint32_t i = 0; i < eviction->victim_count; i++) {
		struct allocation *allocation = &scheduler->allocations[eviction->victims[i]];
		struct node *node = scheduler->nodes[allocation->node];
		allocation->leaving = false;
		allocation->eviction = NULL;
		node->cpu_leaving -= allocation->cpu;
		node->memory_leaving -= allocation->memory;
		level_enter(scheduler, eviction->victims[i]);
	}
	scheduler->allocations[placement].eviction = NULL;
	eviction_destroy(scheduler, eviction);
}
