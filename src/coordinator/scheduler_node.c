#include "coordinator/scheduler_parts.h"

#include "base/memory.h"

#include <assert.h>

/* --- what is known of a node ---------------------------------------------------------------------------------------- */

static struct slice copy(struct slice slice)
{
	return (struct slice){mem_copy(slice.data, slice.size), slice.size};
}

static void let_go(struct slice *slice)
{
	mem_free((char *)(uintptr_t)slice->data);
	*slice = (struct slice){NULL, 0};
}

static void facts_finish(struct node *node)
{
	let_go(&node->name);
	let_go(&node->host);
	let_go(&node->datacenter);
	for (size_t i = 0; i < node->tag_count; i++)
		let_go(&node->tags[i]);
	mem_free(node->tags);
	node->tags = NULL;
	node->tag_count = 0;
}

static void facts_set(struct node *node, const struct scheduler_node *facts)
{
	int64_t memory = facts->memory < (uint64_t)MEMORY_MOST ? (int64_t)facts->memory : MEMORY_MOST - 1;
	facts_finish(node);
	node->name = copy(facts->name);
	node->host = copy(facts->host);
	node->datacenter = copy(facts->datacenter);
	node->tags = mem_array(facts->tag_count, sizeof *node->tags);
	node->tag_count = facts->tag_count;
	for (size_t i = 0; i < facts->tag_count; i++)
		node->tags[i] = copy(facts->tags[i]);
	node->cpu = facts->cpu;
	node->memory = memory;
	node->eligible = facts->eligible;
	node->up = facts->up;
	node->known = true;
	ports_set_range(node, facts->port_low, facts->port_high);
}

bool node_is_usable(const struct node *node)
{
	return node->known && node->up && node->eligible;
}

/* --- slots ---------------------------------------------------------------------------------------------------------- */

static void slots_grow(struct scheduler *scheduler)
{
	uint32_t old = scheduler->slot_capacity;
	uint32_t capacity = old == 0 ? BLOCK : 2 * old;
	scheduler->nodes = mem_resize(scheduler->nodes, capacity * sizeof(struct node *));
	scheduler->rooms = mem_resize(scheduler->rooms, capacity * sizeof(struct room));
	scheduler->bounds = mem_resize(scheduler->bounds, capacity / BLOCK * sizeof(struct bound));
	for (uint32_t i = old; i < capacity; i++) {
		scheduler->nodes[i] = NULL;
		scheduler->rooms[i] = (struct room){-1, -1};
	}
	for (uint32_t i = old / BLOCK; i < capacity / BLOCK; i++)
		scheduler->bounds[i] = (struct bound){-1, -1, false};
	scheduler->slot_capacity = capacity;
	classes_grow(scheduler, old, capacity);
}

uint32_t node_slot_of(struct scheduler *scheduler, uint64_t id)
{
	uint32_t slot = table_get(&scheduler->node_slots, id, NO_SLOT);
	if (slot != NO_SLOT)
		return slot;
	if (scheduler->free_count > 0) {
		slot = scheduler->free_slots[--scheduler->free_count];
	} else {
		if (scheduler->slot_count == scheduler->slot_capacity)
			slots_grow(scheduler);
		slot = scheduler->slot_count++;
	}
	struct node *node = mem_zero(sizeof *node);
	node->id = id;
	ports_set_range(node, 0, 0);
	scheduler->nodes[slot] = node;
	table_put(&scheduler->node_slots, id, slot);
	return slot;
}

static void node_destroy(struct node *node)
{
	if (node == NULL)
		return;
	facts_finish(node);
	ports_finish(node);
	mem_free(node->levels);
	mem_free(node);
}

void node_let_go(struct scheduler *scheduler, uint32_t slot)
{
	struct node *node = scheduler->nodes[slot];
	if (node->known || node->allocation_count > 0)
		return;
	table_remove(&scheduler->node_slots, node->id);
	scheduler->nodes[slot] = NULL;
	scheduler->rooms[slot] = (struct room){-1, -1};
	node_destroy(node);
	mem_grow(scheduler->free_slots, scheduler->free_capacity, scheduler->free_count + 1);
	scheduler->free_slots[scheduler->free_count++] = slot;
}

void nodes_finish(struct scheduler *scheduler)
{
	for (uint32_t i = 0; i < scheduler->slot_count; i++)
		node_destroy(scheduler->nodes[i]);
	mem_free(scheduler->nodes);
	mem_free(scheduler->rooms);
	mem_free(scheduler->bounds);
	mem_free(scheduler->free_slots);
	table_finish(&scheduler->node_slots);
}

/* --- room ----------------------------------------------------------------------------------------------------------- */

void node_update_room(struct scheduler *scheduler, uint32_t slot)
{
	const struct node *node = scheduler->nodes[slot];
	struct room *room = &scheduler->rooms[slot];
	struct bound *bound = &scheduler->bounds[slot / BLOCK];
	*room = (struct room){-1, -1};
	if (node_is_usable(node))
		*room = (struct room){node->cpu - node->cpu_used, node->memory - node->memory_used};
	if (room->cpu > bound->cpu)
		bound->cpu = room->cpu;
	if (room->memory > bound->memory)
		bound->memory = room->memory;
	bound->loose = true;
}

void node_gained(struct scheduler *scheduler, uint32_t slot)
{
	node_update_room(scheduler, slot);
	if (!node_is_usable(scheduler->nodes[slot]))
		return;
	scheduler->gained[scheduler->gains++ % GAINS_KEPT] = slot;
	queue_node_gained(scheduler, slot);
}

bool node_fits(const struct scheduler *scheduler, const struct request *request, uint32_t slot)
{
	const struct room *room = &scheduler->rooms[slot];
	return room->cpu >= request->cpu && room->memory >= request->memory &&
	       (request->port_count == 0 || ports_fit(scheduler->nodes[slot], request));
}

uint32_t node_capacity(const struct scheduler *scheduler, const struct request *request, uint32_t slot)
{
	if (!node_fits(scheduler, request, slot))
		return 0;
	const struct room *room = &scheduler->rooms[slot];
	uint64_t most = UINT32_MAX;
	if (request->cpu > 0 && (uint64_t)(room->cpu / request->cpu) < most)
		most = (uint64_t)(room->cpu / request->cpu);
	if (request->memory > 0 && (uint64_t)(room->memory / request->memory) < most)
		most = (uint64_t)(room->memory / request->memory);
	if (request->free_ports > 0 && scheduler->nodes[slot]->ports_free / request->free_ports < most)
		most = scheduler->nodes[slot]->ports_free / request->free_ports;
	return request->free_ports < request->port_count ? 1 : (uint32_t)most;
}

/* --- nodes come, change and go -------------------------------------------------------------------------------------- */

static void totals_add(struct scheduler *scheduler, int64_t cpu, int64_t memory)
{
	scheduler->cpu += cpu;
	scheduler->memory += memory;
	if (cpu != 0 || memory != 0)
		scheduler->totals_changed = true;
}

void scheduler_node_set(struct scheduler *scheduler, const struct scheduler_node *facts)
{
	uint32_t slot = node_slot_of(scheduler, facts->id);
	struct node *node = scheduler->nodes[slot];
	int64_t cpu = 0, memory = 0;
	if (node->known) {
		cpu = node->cpu;
		memory = node->memory;
	} else {
		scheduler->known_nodes++;
	}
	facts_set(node, facts);
	totals_add(scheduler, node->cpu - cpu, node->memory - memory);
	scheduler->node_version++;
	classes_node_changed(scheduler, slot);
	if (!node_is_usable(node))
		evictions_cancel(scheduler, slot);
	node_gained(scheduler, slot);
}

void scheduler_node_remove(struct scheduler *scheduler, uint64_t id)
{
	uint32_t slot = table_get(&scheduler->node_slots, id, NO_SLOT);
	if (slot == NO_SLOT || !scheduler->nodes[slot]->known)
		return;
	struct node *node = scheduler->nodes[slot];
	totals_add(scheduler, -node->cpu, -node->memory);
	scheduler->known_nodes--;
	scheduler->node_version++;
	node->known = node->up = node->eligible = false;
	classes_node_changed(scheduler, slot);
	node_update_room(scheduler, slot);
	evictions_cancel(scheduler, slot);
	systems_forget(scheduler, slot);
	node_let_go(scheduler, slot);
}
