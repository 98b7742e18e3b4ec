#include "sim/sim_bugs.h"
#include "sim/sim_jobs.h"

#include "base/memory.h"
#include "coordinator/internal.h"
#include "daemon/placing_internal.h"

/* Bugs of jobs, planted like those of sim_bugs.c: each is what a line too few would give. */

/* --- what the leader sees to --------------------------------------------------------------------------------------- */

void __real_stop_if_unwanted(struct placing *placing, const struct allocation *allocation);
void __wrap_stop_if_unwanted(struct placing *placing, const struct allocation *allocation);

void __wrap_stop_if_unwanted(struct placing *placing, const struct allocation *allocation)
{
	if (sim_planted != PLANT_STOP_UNTOLD)
		__real_stop_if_unwanted(placing, allocation);
}

static struct known_job *known_of(const struct node *node, uint64_t id)
{
	struct known_job *known;
	HASH_FIND(hh, node->placing->jobs, &id, sizeof id, known);
	return known;
}

/* It is known only once none of its group is live. */
static void forget_live_group(struct node *node, struct known_job *known)
{
	const struct job *job = machine_job(node->machine, known->id);
	if (job == NULL || !job->definition->job->group || job->live == 0)
		return;
	HASH_DELETE(hh, node->placing->jobs, known);
	mem_free(known);
}

static bool taking_over;

void __real_placing_lead(struct node *node);
void __wrap_placing_lead(struct node *node);

void __wrap_placing_lead(struct node *node)
{
	struct known_job *next;
	taking_over = true;
	__real_placing_lead(node);
	taking_over = false;
	for (struct known_job *known = node->placing->jobs; known != NULL && sim_planted == PLANT_GROUP_UNKNOWN; known = next) {
		next = known->hh.next;
		forget_live_group(node, known);
	}
}

void __real_placing_effect(struct node *node, const struct effect *effect);
void __wrap_placing_effect(struct node *node, const struct effect *effect);

void __wrap_placing_effect(struct node *node, const struct effect *effect)
{
	bool was_known = known_of(node, effect->job) != NULL;
	__real_placing_effect(node, effect);
	struct known_job *known = known_of(node, effect->job);
	if (sim_planted == PLANT_GROUP_UNKNOWN && !was_known && known != NULL)
		forget_live_group(node, known);
}

void __real_scheduler_allocated(struct scheduler *scheduler, const struct scheduler_allocation *facts,
                                const struct job_settings *settings);
void __wrap_scheduler_allocated(struct scheduler *scheduler, const struct scheduler_allocation *facts,
                                const struct job_settings *settings);

void __wrap_scheduler_allocated(struct scheduler *scheduler, const struct scheduler_allocation *facts,
                                const struct job_settings *settings)
{
	struct job_settings changed = *settings;
	if (sim_planted == PLANT_ROOM_TWICE && taking_over)
		return;
	if (sim_planted == PLANT_EQUALS_PUT_OUT && taking_over)
		changed.priority = 1;
	__real_scheduler_allocated(scheduler, facts, &changed);
}

void __real_groups_turn(struct node *node);
void __wrap_groups_turn(struct node *node);

void __wrap_groups_turn(struct node *node)
{
	if (sim_planted != PLANT_LATE_GROUP_KEPT)
		__real_groups_turn(node);
}

void __real_drains_turn(struct node *node);
void __wrap_drains_turn(struct node *node);

void __wrap_drains_turn(struct node *node)
{
	if (sim_planted != PLANT_DRAIN_FORGOTTEN || raft_term(node->raft) % 2 == 1)
		__real_drains_turn(node);
}

void __real_periodic_turn(struct node *node);
void __wrap_periodic_turn(struct node *node);

void __wrap_periodic_turn(struct node *node)
{
	if (sim_planted == PLANT_DUE_TWICE) {
		periodic_clear(node->placing);
		node->placing->periodic_at = 0;
	}
	__real_periodic_turn(node);
}

/* --- what is applied ----------------------------------------------------------------------------------------------- */

bool __real_node_use_has_room(const struct node_use *use, const struct job_settings *settings, const uint16_t *ports);
bool __wrap_node_use_has_room(const struct node_use *use, const struct job_settings *settings, const uint16_t *ports);

bool __wrap_node_use_has_room(const struct node_use *use, const struct job_settings *settings, const uint16_t *ports)
{
	return sim_planted == PLANT_ROOM_TWICE || __real_node_use_has_room(use, settings, ports);
}

static struct job_settings *settings_of(const struct definition *definition)
{
	return (struct job_settings *)(uintptr_t)definition->job;
}

int __real_apply_job_due(struct machine *machine, const struct command *command);
int __wrap_apply_job_due(struct machine *machine, const struct command *command);

int __wrap_apply_job_due(struct machine *machine, const struct command *command)
{
	struct job *job = job_find(machine, command->job_due.job);
	struct command changed = *command;
	if (job == NULL)
		return __real_apply_job_due(machine, command);
	struct job_settings *settings = settings_of(job->definition);
	enum job_overlap overlap = settings->overlap;
	const struct job *last = LIST_FIRST(&job->runs);
	msec next = job->next_ms;
	if (sim_planted == PLANT_DUE_TWICE)
		changed.job_due.due = next;
	if (sim_planted == PLANT_OVERLAP_IGNORED)
		settings->overlap = JOB_OVERLAP_ALLOW;
	int code = __real_apply_job_due(machine, &changed);
	settings->overlap = overlap;
	if (code == 0 && command->job_due.due != 0 && (job->next_ms != next || LIST_FIRST(&job->runs) != last))
		jobs_check_due(job->id, command->job_due.due, machine->applied_index);
	return code;
}

int __real_apply_allocations(struct machine *machine, const struct command *command, struct answer *ret_answer);
int __wrap_apply_allocations(struct machine *machine, const struct command *command, struct answer *ret_answer);

/* All of its group have registered, when it has. */
static void register_all(struct machine *machine, const struct command_allocation *change)
{
	const struct allocation *allocation = allocation_find(machine, change->id);
	if (change->event != ALLOCATION_EVENT_REGISTERED || allocation == NULL)
		return;
	for (struct allocation *other = allocation->job->allocations; other != NULL; other = other->by_task.next)
		other->registered = other->registered || other != allocation;
}

static int apply_one(struct machine *machine, const struct command *command, const struct command_allocation *change,
                     struct answer *ret_answer)
{
	struct command one = *command;
	const struct allocation *allocation = allocation_find(machine, change->id);
	bool alone = sim_planted == PLANT_GROUP_ALONE && allocation != NULL && allocation->stopping;
	struct job_settings *settings = alone ? settings_of(allocation->definition) : NULL;
	bool group = alone && settings->group;
	one.allocations.changes = change;
	one.allocations.count = 1;
	if (sim_planted == PLANT_BARRIER_EARLY)
		register_all(machine, change);
	if (group)
		settings->group = false;
	int code = __real_apply_allocations(machine, &one, ret_answer);
	if (group)
		settings->group = true;
	return code;
}

int __wrap_apply_allocations(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	int code = 0;
	if (sim_planted != PLANT_GROUP_ALONE && sim_planted != PLANT_BARRIER_EARLY)
		return __real_apply_allocations(machine, command, ret_answer);
	for (size_t i = 0; i < command->allocations.count && code == 0; i++)
		code = apply_one(machine, command, &command->allocations.changes[i], ret_answer);
	return code;
}
