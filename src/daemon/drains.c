#include "daemon/placing_internal.h"

#include "base/memory.h"

/* Nodes that are drained: they get nothing new, services move elsewhere one by one, batch tasks may end by themselves until the
 * deadline, and what each node has goes last. What is written down says all that a new leader needs to go on. */

#define LOOK_AGAIN_MS 1000 /* whether there is room elsewhere */

static bool is_well(const struct allocation *allocation)
{
	return allocation->phase == ALLOCATION_RUNS && !allocation->stopping &&
	       (allocation->definition->job->check.kind == JOB_CHECK_NONE || (allocation->checked && allocation->healthy));
}

/* One task of a service is moved at a time, while all others of it run and are well, and when there is room for it. */
static bool may_move(struct placing *placing, const struct job *job)
{
	struct scheduler_placement place;
	const struct allocation *allocation;
	if (job->waiting != NULL || job->next_task < job->count)
		return false;
	for (allocation = job->allocations; allocation != NULL; allocation = allocation->by_task.next) {
		if (!is_well(allocation))
			return false;
	}
	return scheduler_plan(placing->scheduler, job->definition->job, 1, &place, 1, NULL) == 1 && place.victim_count == 0;
}

static void stop_group(struct ids *stopping, const struct job *job)
{
	for (const struct allocation *other = job->allocations; other != NULL; other = other->by_task.next) {
		if (!other->stopping)
			ids_add(stopping, other->id);
	}
}

static bool only_system(const struct node_use *use)
{
	const struct allocation *allocation;
	TAILQ_FOREACH (allocation, &use->allocations, of_node) {
		if (job_kind(allocation->job) != JOB_SYSTEM)
			return false;
	}
	return true;
}

static bool is_moved(struct placing *placing, const struct allocation *allocation, bool late, bool last)
{
	const struct job *job = allocation->job;
	if (late)
		return true;
	switch (job_kind(job)) {
	case JOB_SYSTEM:
		return last;
	case JOB_SERVICE:
		return job->definition->job->group || may_move(placing, job);
	default:
		return false;
	}
}

static void drain(struct node *node, const struct node_use *use, msec wall)
{
	struct placing *placing = node->placing;
	const struct allocation *allocation;
	struct ids stopping = {0};
	bool late = wall >= use->drain_until;
	bool last = only_system(use);
	TAILQ_FOREACH (allocation, &use->allocations, of_node) {
		if (allocation->stopping || !is_moved(placing, allocation, late, last) ||
		    !placing_note_stop(placing, allocation->id))
			continue;
		if (allocation->definition->job->group)
			stop_group(&stopping, allocation->job);
		else
			ids_add(&stopping, allocation->id);
		if (job_kind(allocation->job) == JOB_SERVICE && !late)
			break; /* the next one when this one has been moved */
	}
	placing_propose_stop(node, &stopping, SLICE("its node is drained"));
	ids_finish(&stopping);
}

static void propose_drained(struct node *node, const struct node_use *use)
{
	struct command command = {.kind = COMMAND_DRAIN};
	command.drain.node = use->id;
	command.drain.state = DRAIN_DONE;
	node_propose(node, &command, true);
}

void drains_turn(struct node *node)
{
	struct placing *placing = node->placing;
	msec now = node->host->now(node->context);
	msec wall = node->host->wall(node->context);
	if (now < placing->drains_at)
		return;
	placing->drains_at = MSEC_NEVER;
	for (const struct node_use *use = machine_nodes(node->machine); use != NULL; use = use->hh.next) {
		if (use->drain != DRAIN_UNDER_WAY)
			continue;
		placing->drains_at = now + LOOK_AGAIN_MS;
		if (TAILQ_EMPTY(&use->allocations))
			propose_drained(node, use);
		else
			drain(node, use, wall);
	}
}
