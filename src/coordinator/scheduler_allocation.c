/* What is taken of nodes: by allocations that are written down, and by placements that are not yet. */
#include "coordinator/scheduler_parts.h"

#include "base/memory.h"

#include <assert.h>

/* --- slots ---------------------------------------------------------------------------------------------------------- */

static uint32_t slot_take(struct scheduler *scheduler)
{
	uint32_t slot = scheduler->free_allocation;
	if (slot != NO_SLOT) {
		scheduler->free_allocation = scheduler->allocations[slot].next;
	} else {
		mem_grow(scheduler->allocations, scheduler->allocation_capacity, scheduler->allocation_count + 1);
		slot = scheduler->allocation_count++;
	}
	scheduler->allocations[slot] = (struct allocation){
		.previous = NO_SLOT,
		.next = NO_SLOT,
		.outbox_index = HEAP_OUT,
	};
	return slot;
}

static void slot_free(struct scheduler *scheduler, uint32_t slot)
{
	struct allocation *allocation = &scheduler->allocations[slot];
	mem_free(allocation->ports);
	*allocation = (struct allocation){.job = NO_SLOT, .next = scheduler->free_allocation};
	scheduler->free_allocation = slot;
}

void allocations_finish(struct scheduler *scheduler)
{
	struct eviction *eviction;
	for (uint32_t i = 0; i < scheduler->allocation_count; i++)
		mem_free(scheduler->allocations[i].ports);
	while ((eviction = TAILQ_FIRST(&scheduler->evictions)) != NULL) {
		eviction_destroy(scheduler, eviction);
	}
	mem_free(scheduler->allocations);
	mem_free(scheduler->outbox);
	mem_free(scheduler->victims);
	table_finish(&scheduler->allocation_slots);
	table_finish(&scheduler->singles);
	table_finish(&scheduler->tallies);
}

/* --- counting ------------------------------------------------------------------------------------------------------- */

/* `sign` 1: it is there; −1: it is gone. */
static void count(struct scheduler *scheduler, uint32_t slot, int32_t sign)
{
	struct allocation *allocation = &scheduler->allocations[slot];
	struct node *node = scheduler->nodes[allocation->node];
	struct job *job = scheduler->jobs[allocation->job];
	node->cpu_used += sign * (int64_t)allocation->cpu;
	node->memory_used += sign * allocation->memory;
	node->allocation_count += (uint32_t)sign;
	job->cpu += sign * (int64_t)allocation->cpu;
	job->memory += sign * allocation->memory;
	job->live += (uint32_t)sign;
	assert(node->cpu_used >= 0 && node->memory_used >= 0 && job->cpu >= 0 && job->memory >= 0);
	table_add(&scheduler->tallies, pair_key(allocation->job, allocation->node), sign);
	if (sign > 0)
		ports_use(node, allocation, slot);
	else
		ports_release(node, allocation, slot);
	node_update_room(scheduler, allocation->node);
	job_update_share(scheduler, job);
}

/* --- what could be put out ------------------------------------------------------------------------------------------ */

static struct level *level_of(struct node *node, uint32_t priority)
{
	size_t at = 0;
	while (at < node->level_count && node->levels[at].priority < priority)
		at++;
	if (at < node->level_count && node->levels[at].priority == priority)
		return &node->levels[at];
	mem_grow(node->levels, node->level_capacity, node->level_count + 1);
	memmove(&node->levels[at + 1], &node->levels[at], (node->level_count - at) * sizeof *node->levels);
	node->levels[at] = (struct level){.priority = priority, .first = NO_SLOT};
	node->level_count++;
	return &node->levels[at];
}

void level_enter(struct scheduler *scheduler, uint32_t slot)
{
	struct allocation *allocation = &scheduler->allocations[slot];
	if (allocation->system)
		return;
	struct level *level = level_of(scheduler->nodes[allocation->node], allocation->priority);
	level->count++;
	level->cpu += allocation->cpu;
	level->memory += allocation->memory;
	allocation->previous = NO_SLOT;
	allocation->next = level->first;
	if (level->first != NO_SLOT)
		scheduler->allocations[level->first].previous = slot;
	level->first = slot;
	scheduler->priorities[allocation->priority]++;
}

void level_leave(struct scheduler *scheduler, uint32_t slot)
{
	struct allocation *allocation = &scheduler->allocations[slot];
	struct node *node = scheduler->nodes[allocation->node];
	if (allocation->system)
		return;
	struct level *level = level_of(node, allocation->priority);
	level->count--;
	level->cpu -= allocation->cpu;
	level->memory -= allocation->memory;
	if (allocation->previous != NO_SLOT)
		scheduler->allocations[allocation->previous].next = allocation->next;
	else
		level->first = allocation->next;
	if (allocation->next != NO_SLOT)
		scheduler->allocations[allocation->next].previous = allocation->previous;
	scheduler->priorities[allocation->priority]--;
	if (level->count > 0)
		return;
	size_t at = (size_t)(level - node->levels);
	node->level_count--;
	memmove(&node->levels[at], &node->levels[at + 1], (node->level_count - at) * sizeof *node->levels);
}

/* --- what is told --------------------------------------------------------------------------------------------------- */

void outbox_add(struct scheduler *scheduler, uint32_t slot)
{
	mem_grow(scheduler->outbox, scheduler->outbox_capacity, scheduler->outbox_count + 1);
	scheduler->allocations[slot].outbox_index = scheduler->outbox_count;
	scheduler->outbox[scheduler->outbox_count++] = slot;
}

uint32_t outbox_take(struct scheduler *scheduler)
{
	while (scheduler->outbox_head < scheduler->outbox_count) {
		uint32_t slot = scheduler->outbox[scheduler->outbox_head++];
		if (slot == NO_SLOT)
			continue;
		scheduler->allocations[slot].outbox_index = HEAP_OUT;
		return slot;
	}
	scheduler->outbox_head = scheduler->outbox_count = 0;
	return NO_SLOT;
}

/* --- placements ----------------------------------------------------------------------------------------------------- */

uint32_t placement_make(struct scheduler *scheduler, struct job *job, uint32_t task, uint32_t node)
{
	const struct request *request = job_request(job);
	uint16_t ports[JOB_PORTS_MAX];
	uint64_t key = pair_key(job->slot, task);
	assert(table_get(&scheduler->singles, key, NO_SLOT) == NO_SLOT && "a task is placed once");
	uint32_t slot = slot_take(scheduler);
	struct allocation *allocation = &scheduler->allocations[slot];
	allocation->port_next_before = scheduler->nodes[node]->port_next;
	ports_choose(scheduler->nodes[node], request, ports);
	allocation->job = job->slot;
	allocation->task = task;
	allocation->node = node;
	allocation->cpu = (uint32_t)request->cpu;
	allocation->memory = request->memory;
	allocation->ports = request->port_count > 0 ? mem_copy(ports, request->port_count * sizeof *ports) : NULL;
	allocation->port_count = (uint8_t)request->port_count;
	allocation->priority = (uint8_t)job->priority;
	allocation->system = job_is_system(job);
	count(scheduler, slot, 1);
	table_put(&scheduler->singles, key, slot);
	scheduler->placements++;
	return slot;
}

void eviction_destroy(struct scheduler *scheduler, struct eviction *eviction)
{
	TAILQ_REMOVE(&scheduler->evictions, eviction, link);
	mem_free(eviction->placements);
	mem_free(eviction->victims);
	mem_free(eviction);
}

/* The placement does not wait for the victims any more, and nobody does when it was the last. */
static void eviction_leave(struct scheduler *scheduler, uint32_t slot)
{
	struct eviction *eviction = scheduler->allocations[slot].eviction;
	if (eviction == NULL)
		return;
	scheduler->allocations[slot].eviction = NULL;
	uint32_t at = 0;
	while (eviction->placements[at] != slot)
		at++;
	eviction->placements[at] = eviction->placements[--eviction->placement_count];
}

void placement_unmake(struct scheduler *scheduler, uint32_t slot)
{
	struct allocation *allocation = &scheduler->allocations[slot];
	assert(allocation->id == 0);
	eviction_leave(scheduler, slot);
	if (allocation->outbox_index != HEAP_OUT)
		scheduler->outbox[allocation->outbox_index] = NO_SLOT;
	table_remove(&scheduler->singles, pair_key(allocation->job, allocation->task));
	count(scheduler, slot, -1);
	slot_free(scheduler, slot);
}

static void take_back_one(struct scheduler *scheduler, uint32_t slot)
{
	struct job *job = scheduler->jobs[scheduler->allocations[slot].job];
	uint32_t task = scheduler->allocations[slot].task, node = scheduler->allocations[slot].node;
	placement_unmake(scheduler, slot);
	if (job->settings != NULL) {
		if (!job_is_system(job))
			tasks_add(scheduler, job, task, task + 1);
		job->refused += job->settings->group;
		queue_update(scheduler, job);
		queue_wake(scheduler, job);
	}
	node_gained(scheduler, node);
	node_let_go(scheduler, node);
	job_let_go(scheduler, job);
}

void placement_take_back(struct scheduler *scheduler, uint32_t slot)
{
	struct eviction *eviction = scheduler->allocations[slot].eviction;
	if (eviction == NULL) {
		take_back_one(scheduler, slot);
		return;
	}
	while (eviction->placement_count > 0)
		take_back_one(scheduler, eviction->placements[eviction->placement_count - 1]);
}

void evictions_cancel(struct scheduler *scheduler, uint32_t node)
{
	struct eviction *eviction;
	TAILQ_FOREACH (eviction, &scheduler->evictions, link) {
		for (uint32_t i = 0; i < eviction->placement_count; i++) {
			if (scheduler->allocations[eviction->placements[i]].node != node)
				continue;
			placement_take_back(scheduler, eviction->placements[i]);
			break;
		}
	}
}

void scheduler_refused(struct scheduler *scheduler, uint64_t job_id, uint32_t task)
{
	struct job *job = scheduler_job_find(scheduler, job_id);
	uint32_t slot = job != NULL ? table_get(&scheduler->singles, pair_key(job->slot, task), NO_SLOT) : NO_SLOT;
	if (slot != NO_SLOT && slot != SINGLE_DELAYED)
		placement_take_back(scheduler, slot);
}

/* --- allocations ---------------------------------------------------------------------------------------------------- */

static bool is_confirmed_by(const struct scheduler *scheduler, const struct allocation *placement,
                            const struct scheduler_allocation *allocation, const struct job_settings *settings)
{
	uint32_t node = table_get(&scheduler->node_slots, allocation->node, NO_SLOT);
	return placement->node == node && placement->port_count == settings->port_count &&
	       placement->cpu == settings->cpu &&
	       (placement->port_count == 0 ||
	        memcmp(placement->ports, allocation->ports, placement->port_count * sizeof(uint16_t)) == 0);
}

/* It was not placed from here, or otherwise than it is written down. */
static uint32_t allocation_make(struct scheduler *scheduler, struct job *job, const struct scheduler_allocation *facts,
                                const struct job_settings *settings)
{
	uint32_t slot = slot_take(scheduler);
	uint32_t node = node_slot_of(scheduler, facts->node);
	struct allocation *allocation = &scheduler->allocations[slot];
	size_t ports_size = settings->port_count * sizeof *facts->ports;
	allocation->job = job->slot;
	allocation->task = facts->task;
	allocation->node = node;
	allocation->cpu = settings->cpu;
	allocation->memory = settings->memory < (uint64_t)MEMORY_MOST ? (int64_t)settings->memory : MEMORY_MOST;
	allocation->ports = settings->port_count > 0 ? mem_copy(facts->ports, ports_size) : NULL;
	allocation->port_count = (uint8_t)settings->port_count;
	allocation->priority = (uint8_t)settings->priority;
	allocation->system = settings->type == JOB_SYSTEM;
	count(scheduler, slot, 1);
	return slot;
}

void scheduler_allocated(struct scheduler *scheduler, const struct scheduler_allocation *facts,
                         const struct job_settings *settings)
{
	assert(facts->id != 0 && settings->priority <= JOB_PRIORITY_MAX && settings->port_count <= JOB_PORTS_MAX);
	if (table_get(&scheduler->allocation_slots, facts->id, NO_SLOT) != NO_SLOT)
		return;
	struct job *job = job_open(scheduler, facts->job);
	uint64_t key = pair_key(job->slot, facts->task);
	uint32_t slot = table_get(&scheduler->singles, key, NO_SLOT), left = NO_SLOT;
	if (slot == SINGLE_DELAYED)
		slot = NO_SLOT;
	if (slot != NO_SLOT && !is_confirmed_by(scheduler, &scheduler->allocations[slot], facts, settings)) {
		left = scheduler->allocations[slot].node;
		placement_unmake(scheduler, slot);
		slot = NO_SLOT;
	}
	if (slot == NO_SLOT) {
		tasks_remove(scheduler, job, facts->task);
		slot = allocation_make(scheduler, job, facts, settings);
	} else {
		struct allocation *placement = &scheduler->allocations[slot];
		eviction_leave(scheduler, slot);
		if (placement->outbox_index != HEAP_OUT)
			scheduler->outbox[placement->outbox_index] = NO_SLOT;
		placement->outbox_index = HEAP_OUT;
		table_remove(&scheduler->singles, key);
	}
	if (settings->type == JOB_SYSTEM)
		system_assign(job, facts->task, facts->node);
	scheduler->allocations[slot].id = facts->id;
	table_put(&scheduler->allocation_slots, facts->id, slot);
	level_enter(scheduler, slot);
	queue_update(scheduler, job);
	queue_node_preemptible(scheduler, scheduler->allocations[slot].node);
	if (left != NO_SLOT) {
		node_gained(scheduler, left);
		node_let_go(scheduler, left);
	}
}

/* A victim is gone: who waits for it may come when it was the last. */
static void victim_is_gone(struct scheduler *scheduler, struct eviction *eviction)
{
	assert(eviction->victims_left > 0);
	if (--eviction->victims_left > 0)
		return;
	for (uint32_t i = 0; i < eviction->placement_count; i++) {
		scheduler->allocations[eviction->placements[i]].eviction = NULL;
		outbox_add(scheduler, eviction->placements[i]);
	}
	eviction_destroy(scheduler, eviction);
}

void scheduler_released(struct scheduler *scheduler, uint64_t id)
{
	uint32_t slot = table_get(&scheduler->allocation_slots, id, NO_SLOT);
	if (slot == NO_SLOT)
		return;
	struct allocation *allocation = &scheduler->allocations[slot];
	struct job *job = scheduler->jobs[allocation->job];
	uint32_t node = allocation->node;
	struct eviction *eviction = allocation->eviction;
	if (allocation->leaving) {
		scheduler->nodes[node]->cpu_leaving -= allocation->cpu;
		scheduler->nodes[node]->memory_leaving -= allocation->memory;
	} else {
		level_leave(scheduler, slot);
	}
	bool was_system = allocation->system;
	table_remove(&scheduler->allocation_slots, id);
	count(scheduler, slot, -1);
	slot_free(scheduler, slot);
	if (was_system && !scheduler->nodes[node]->known && tally(scheduler, job, node) == 0)
		system_forget(job, scheduler->nodes[node]->id);
	if (eviction != NULL)
		victim_is_gone(scheduler, eviction);
	queue_update(scheduler, job);
	node_gained(scheduler, node);
	node_let_go(scheduler, node);
	job_let_go(scheduler, job);
}
