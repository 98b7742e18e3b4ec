#include "daemon/placing_internal.h"

#include <inttypes.h>
#include <stdio.h>

/* Groups that have begun, and of which not all have registered: after their register_timeout they fail, and everything of them is
 * ended. The time counts from when the last of them was placed, which is written down: a new leader goes on with it. */

void groups_note(struct placing *placing, const struct job *job)
{
	if (!job->definition->job->group || job->state != JOB_PENDING)
		return;
	for (size_t i = 0; i < placing->groups.count; i++) {
		if (placing->groups.list[i] == job->id) {
			placing->groups_at = 0;
			return;
		}
	}
	ids_add(&placing->groups, job->id);
	placing->groups_at = 0;
}

/* When the last one was placed; 0: not all are. */
static msec placed_at(const struct job *job, uint32_t *ret_registered)
{
	const struct allocation *allocation;
	msec last = 0;
	*ret_registered = 0;
	for (allocation = job->allocations; allocation != NULL; allocation = allocation->by_task.next) {
		if (allocation->stopping)
			return 0;
		*ret_registered += allocation->registered;
		last = allocation->placed_ms > last ? allocation->placed_ms : last;
	}
	return job->next_task == job->count && job->waiting == NULL ? last : 0;
}

static void fail(struct node *node, const struct job *job, uint32_t registered)
{
	struct command command = {.kind = COMMAND_STOP_JOB};
	char text[160];
	snprintf(text, sizeof text, "%" PRIu32 " of %" PRIu32 " tasks have registered within the register_timeout of %lld ms",
	         registered, job->count, (long long)job->definition->job->register_timeout);
	command.stop_job.job = job->id;
	command.stop_job.reason = slice_of(text);
	node_propose(node, &command, true);
}

void groups_turn(struct node *node)
{
	struct placing *placing = node->placing;
	msec now = node->host->now(node->context);
	msec wall = node->host->wall(node->context);
	size_t kept = 0;
	if (now < placing->groups_at)
		return;
	placing->groups_at = MSEC_NEVER;
	for (size_t i = 0; i < placing->groups.count; i++) {
		const struct job *job = machine_job(node->machine, placing->groups.list[i]);
		uint32_t registered;
		if (job == NULL || job->state != JOB_PENDING)
			continue;
		msec since = placed_at(job, &registered);
		msec left = since + job->definition->job->register_timeout - wall;
		if (since != 0 && left <= 0) {
			fail(node, job, registered);
			continue;
		}
		if (since != 0)
			placing->groups_at = msec_earlier(placing->groups_at, now + left);
		placing->groups.list[kept++] = job->id;
	}
	placing->groups.count = kept;
}
