/* Where a task goes. */
#include "coordinator/scheduler_parts.h"

#include "base/memory.h"

#include <assert.h>

uint32_t bits_next(const uint64_t *bits, uint32_t from, uint32_t end)
{
	while (from < end) {
		uint64_t word = bits[from / BLOCK] >> (from % BLOCK);
		if (word != 0) {
			from += (uint32_t)__builtin_ctzll(word);
			return from < end ? from : end;
		}
		from = (from / BLOCK + 1) * BLOCK;
	}
	return end;
}

/* --- the best of some ----------------------------------------------------------------------------------------------- */

/* What is remembered of the nodes that were looked at for one task. */
struct look {
	const struct job *job;
	bool spread; /* else the fullest one */
	uint32_t seen;
	uint32_t slot; /* the best; NO_SLOT */
	uint32_t tally;
	uint64_t used;
	uint32_t neighbours;
};

static uint64_t part(uint64_t used, uint64_t all)
{
	return all == 0 ? 0 : (used << 20) / all;
}

/* The parts of cpu and memory that are in use afterwards, added. */
static uint64_t used_after(const struct node *node, const struct request *request)
{
	uint64_t cpu = (uint64_t)(node->cpu_used + request->cpu);
	uint64_t memory = (uint64_t)(node->memory_used + request->memory);
	return part(cpu, (uint64_t)node->cpu) + part(memory >> 10, (uint64_t)node->memory >> 10);
}

static bool is_better(const struct look *look, const struct look *than)
{
	if (than->slot == NO_SLOT)
		return true;
	if (look->spread && look->tally != than->tally)
		return look->tally < than->tally;
	if (look->used != than->used)
		return look->spread ? look->used < than->used : look->used > than->used;
	return look->neighbours < than->neighbours;
}

static void consider(const struct scheduler *scheduler, struct look *look, uint32_t slot)
{
	const struct node *node = scheduler->nodes[slot];
	const struct request *request = job_request(look->job);
	struct look other = *look;
	bool asks = request->cpu > 0 || request->memory > 0;
	other.slot = slot;
	other.tally = look->spread ? tally(scheduler, look->job, slot) : 0;
	/* One that asks for nothing fills nothing: it goes where the fewest are. */
	other.used = asks || look->spread ? used_after(node, request) : 0;
	other.neighbours = asks && !look->spread ? 0 : node->allocation_count;
	if (is_better(&other, look)) {
		other.seen = look->seen;
		*look = other;
	}
	/* A better one than the best so far may still come when this one is above the level. */
	look->seen += !look->spread || other.tally <= look->job->level;
}

static void bound_tighten(struct scheduler *scheduler, uint32_t block)
{
	struct bound bound = {-1, -1, false};
	const struct room *rooms = &scheduler->rooms[block * BLOCK];
	for (uint32_t i = 0; i < BLOCK; i++) {
		bound.cpu = rooms[i].cpu > bound.cpu ? rooms[i].cpu : bound.cpu;
		bound.memory = rooms[i].memory > bound.memory ? rooms[i].memory : bound.memory;
	}
	scheduler->bounds[block] = bound;
}

/* Looks at the nodes of the slots from `from` to `to` − 1, until enough were seen. */
static void look_at(struct scheduler *scheduler, struct look *look, uint32_t from, uint32_t to)
{
	const struct request *request = job_request(look->job);
	const uint64_t *bits = look->job->shape->class->bits;
	for (uint32_t slot = from, end; slot < to && look->seen < SAMPLE; slot = end) {
		uint32_t block = slot / BLOCK;
		const struct bound *bound = &scheduler->bounds[block];
		bool any = false;
		end = (block + 1) * BLOCK < to ? (block + 1) * BLOCK : to;
		if (bits[block] == 0 || bound->cpu < request->cpu || bound->memory < request->memory)
			continue;
		for (slot = bits_next(bits, slot, end); slot < end && look->seen < SAMPLE;
		     slot = bits_next(bits, slot + 1, end)) {
			if (!node_fits(scheduler, request, slot))
				continue;
			any = true;
			consider(scheduler, look, slot);
		}
		if (!any && bound->loose)
			bound_tighten(scheduler, block);
	}
}

/* SPREAD: nodes that gained room may have fewer of the job than the level says. */
static void level_lower(const struct scheduler *scheduler, struct job *job)
{
	if (scheduler->gains - job->gains_seen > GAINS_KEPT)
		job->level = 0;
	for (uint64_t i = job->gains_seen; job->level > 0 && i < scheduler->gains; i++) {
		uint32_t there = tally(scheduler, job, scheduler->gained[i % GAINS_KEPT]);
		if (there < job->level)
			job->level = there;
	}
	job->gains_seen = scheduler->gains;
}

/* The best of the nodes that have room, among a sample that begins where the last one was found; all are looked at before it is said
 * that there is none, and SPREAD does not take one with more of the job than it needs to. NO_SLOT. */
static uint32_t find(struct scheduler *scheduler, struct job *job)
{
	struct look look = {.job = job, .slot = NO_SLOT, .spread = job->settings->placement == JOB_SPREAD};
	uint32_t end = scheduler->slot_count, from = job->cursor < end ? job->cursor : 0;
	if (look.spread)
		level_lower(scheduler, job);
	look_at(scheduler, &look, from, end);
	look_at(scheduler, &look, 0, from);
	if (look.slot == NO_SLOT)
		return NO_SLOT;
	if (look.spread && look.tally > job->level)
		job->level = look.tally;
	job->cursor = look.spread ? look.slot + 1 : look.slot;
	return look.slot;
}

/* --- one after the other -------------------------------------------------------------------------------------------- */

/* The room was seen to be there. */
static uint32_t place(struct scheduler *scheduler, struct job *job, uint32_t task, uint32_t slot)
{
	assert(bit_get(job->shape->class->bits, slot) && node_fits(scheduler, job_request(job), slot));
	if (!job_is_system(job))
		tasks_remove(scheduler, job, task);
	return placement_make(scheduler, job, task, slot);
}

static bool place_one(struct scheduler *scheduler, struct job *job)
{
	uint32_t slot = find(scheduler, job);
	if (slot == NO_SLOT)
		return false;
	outbox_add(scheduler, place(scheduler, job, tasks_first(job), slot));
	return true;
}

static bool place_system(struct scheduler *scheduler, struct job *job)
{
	const uint64_t *bits = job->shape->class->bits;
	uint32_t end = scheduler->slot_count, from = job->cursor < end ? job->cursor : 0;
	for (uint32_t round = 0; round < 2; round++) {
		uint32_t slot = round == 0 ? from : 0, to = round == 0 ? end : from;
		for (slot = bits_next(bits, slot, to); slot < to; slot = bits_next(bits, slot + 1, to)) {
			if (!node_fits(scheduler, job_request(job), slot) || !system_lacks(scheduler, job, slot))
				continue;
			uint32_t task = system_number(job, scheduler->nodes[slot]->id);
			outbox_add(scheduler, place(scheduler, job, task, slot));
			job->cursor = slot;
			return true;
		}
	}
	return false;
}

/* --- where it is told to -------------------------------------------------------------------------------------------- */

/* A name before an id before a host, and among nodes of one host the one with the lowest id. */
static uint32_t pin_find(const struct scheduler *scheduler, const uint64_t *bits, struct slice name)
{
	uint32_t best = NO_SLOT, end = scheduler->slot_count;
	bool best_named = false;
	for (uint32_t slot = bits_next(bits, 0, end); slot < end; slot = bits_next(bits, slot + 1, end)) {
		const struct node *node = scheduler->nodes[slot];
		bool named = !slice_equal(node->host, name) || slice_equal(node->name, name);
		if (slice_equal(node->name, name))
			return slot;
		if (!node_is_named(node, name) || (best_named && !named))
			continue;
		if (best == NO_SLOT || (named && !best_named) || node->id < scheduler->nodes[best]->id) {
			best = slot;
			best_named = named;
		}
	}
	return best;
}

const uint32_t *job_pins(const struct scheduler *scheduler, struct job *job)
{
	const struct job_settings *settings = job->settings;
	if (job->pins != NULL && job->pins_of == scheduler->node_version)
		return job->pins;
	if (job->pins == NULL)
		job->pins = mem_array(settings->node_count + 1, sizeof *job->pins);
	for (uint32_t i = 0; i < settings->node_count; i++)
		job->pins[i] = pin_find(scheduler, job->shape->class->bits, settings->nodes[i]);
	job->pins_of = scheduler->node_version;
	return job->pins;
}

static bool place_pinned(struct scheduler *scheduler, struct job *job)
{
	const uint32_t *pins = job_pins(scheduler, job);
	for (size_t i = 0; i < job->range_count; i++) {
		uint32_t task = job->ranges[i].from;
		for (; task < job->ranges[i].to && task < job->settings->node_count; task++) {
			if (pins[task] == NO_SLOT || !node_fits(scheduler, job_request(job), pins[task]))
				continue;
			outbox_add(scheduler, place(scheduler, job, task, pins[task]));
			return true;
		}
	}
	return false;
}

/* --- whole or not at all -------------------------------------------------------------------------------------------- */

/* All that waits, each task on a node that has none of the job. */
static bool place_random(struct scheduler *scheduler, struct job *job, uint64_t *ret_missing)
{
	const uint64_t *bits = job->shape->class->bits;
	uint32_t end = scheduler->slot_count, wanted = job->ready, count = 0;
	uint32_t *slots = mem_array(end, sizeof *slots);
	for (uint32_t slot = bits_next(bits, 0, end); slot < end; slot = bits_next(bits, slot + 1, end)) {
		if (node_fits(scheduler, job_request(job), slot) && tally(scheduler, job, slot) == 0)
			slots[count++] = slot;
	}
	if (count < wanted)
		*ret_missing = wanted - count;
	for (uint32_t i = 0; count >= wanted && i < wanted; i++) {
		uint32_t drawn = i + (uint32_t)random_below(&scheduler->random, count - i);
		uint32_t slot = slots[drawn];
		slots[drawn] = slots[i];
		outbox_add(scheduler, place(scheduler, job, tasks_first(job), slot));
	}
	mem_free(slots);
	return count >= wanted;
}

static bool place_group(struct scheduler *scheduler, struct job *job, uint64_t *ret_missing)
{
	const uint64_t *bits = job->shape->class->bits;
	uint32_t end = scheduler->slot_count, wanted = job->ready;
	uint64_t room = 0;
	for (uint32_t slot = bits_next(bits, 0, end); slot < end && room < wanted;
	     slot = bits_next(bits, slot + 1, end))
		room += node_capacity(scheduler, job_request(job), slot);
	if (room < wanted) {
		*ret_missing = wanted - room;
		return false;
	}
	/* How many tasks fit does not depend on where the first of them go. */
	for (uint32_t i = 0; i < wanted; i++) {
		bool placed = place_one(scheduler, job);
		assert(placed);
		(void)placed;
	}
	return true;
}

static bool place_pinned_group(struct scheduler *scheduler, struct job *job)
{
	size_t begin = scheduler->outbox_count;
	uint32_t wanted = job->ready, placed = 0;
	while (placed < wanted && place_pinned(scheduler, job))
		placed++;
	if (placed == wanted)
		return true;
	while (scheduler->outbox_count > begin) {
		uint32_t slot = scheduler->outbox[scheduler->outbox_count - 1];
		uint32_t task = scheduler->allocations[slot].task;
		placement_unmake(scheduler, slot);
		scheduler->outbox_count--;
		tasks_add(scheduler, job, task, task + 1);
	}
	return false;
}

static bool place_where_room_is(struct scheduler *scheduler, struct job *job, uint64_t *ret_missing)
{
	if (job_is_system(job))
		return place_system(scheduler, job);
	if (job->settings->placement == JOB_RANDOM)
		return place_random(scheduler, job, ret_missing);
	if (job->settings->placement == JOB_PINNED)
		return job->settings->group ? place_pinned_group(scheduler, job) : place_pinned(scheduler, job);
	if (job->settings->group)
		return place_group(scheduler, job, ret_missing);
	return place_one(scheduler, job);
}

bool place_job(struct scheduler *scheduler, struct job *job, uint32_t *ret_notice, uint64_t *ret_missing)
{
	*ret_missing = 1;
	*ret_notice = NO_SLOT;
	if (place_where_room_is(scheduler, job, ret_missing))
		return true;
	*ret_notice = preempt(scheduler, job);
	return *ret_notice != NO_SLOT;
}
