#include "daemon/placing_internal.h"

#include "base/json.h"
#include "base/memory.h"
#include "daemon/allocations.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define PLACED_AT_ONCE 1024 /* proposed, and not applied so far */
#define LOOK_AGAIN_MS 100   /* after something that could not be done */
#define CHANGES_BYTES (4u << 20) /* of output: of one command, no more changes once they have so many */

/* --- life ---------------------------------------------------------------------------------------------------------- */

struct placing *placing_create(uint64_t seed)
{
	struct placing *placing = mem_zero(sizeof *placing);
	placing->seed = seed;
	return placing;
}

static void clear(struct placing *placing)
{
	struct pending *pending;
	struct pending *next_pending;
	struct known_job *job;
	struct known_job *next_job;
	scheduler_destroy(placing->scheduler);
	placing->scheduler = NULL;
	HASH_ITER (hh, placing->pending, pending, next_pending) {
		HASH_DELETE(hh, placing->pending, pending);
		mem_free(pending);
	}
	HASH_ITER (hh, placing->jobs, job, next_job) {
		HASH_DELETE(hh, placing->jobs, job);
		mem_free(job);
	}
	for (struct tenant *tenant = placing->tenants; tenant != NULL; tenant = tenant->hh.next)
		tenant_clear(tenant);
	placing->change_count = placing->stopping.count = placing->placed = 0;
	arena_reset(&placing->texts);
	periodic_clear(placing);
	placing->groups.count = 0;
	placing->periodic_at = placing->groups_at = placing->drains_at = 0;
	placing->leading = false;
}

void placing_destroy(struct placing *placing)
{
	struct tenant *tenant;
	struct tenant *next;
	if (placing == NULL)
		return;
	clear(placing);
	HASH_ITER (hh, placing->tenants, tenant, next) {
		HASH_DELETE(hh, placing->tenants, tenant);
		ids_finish(&tenant->orders);
		ids_finish(&tenant->stops);
		ids_finish(&tenant->taken);
		mem_free(tenant);
	}
	ids_finish(&placing->stopping);
	ids_finish(&placing->groups);
	mem_free(placing->changes);
	arena_finish(&placing->texts);
	mem_free(placing);
}

/* --- what the scheduler knows -------------------------------------------------------------------------------------- */

static void tell_node(struct node *node, const struct node_use *use)
{
	struct placing *placing = node->placing;
	const struct site *site = site_of(node, use->id);
	struct gossip_member member;
	struct scheduler_node known = {
		.id = use->id,
		.name = slice_of(use->name),
		.host = slice_of(use->host),
		.cpu = use->cpu,
		.memory = use->memory,
		.port_low = use->port_low,
		.port_high = use->port_high,
		.eligible = use->eligible && use->drain == DRAIN_NONE,
		.up = use->alive && tenant_of(placing, use->id)->up,
	};
	if (site != NULL) {
		known.tags = site->tags;
		known.tag_count = site->on.tag_count;
	}
	if (gossip_find(node->gossip, use->id, &member))
		gossip_value(&member, GOSSIP_KEY_DATACENTER, &known.datacenter);
	scheduler_node_set(placing->scheduler, &known);
}

/* The machine's times are of the wall; the scheduler's are the node's. */
static msec monotonic(const struct node *node, msec wall)
{
	msec wait = wall - node->host->wall(node->context);
	return wall == 0 || wait <= 0 ? 0 : node->host->now(node->context) + wait;
}

/* A group is placed as a whole, or not at all: what there is of a part of one is ended, so that all of it waits. */
static void regroup(struct placing *placing, const struct job *job)
{
	for (const struct allocation *allocation = job->allocations; allocation != NULL;
	     allocation = allocation->by_task.next) {
		if (!allocation->stopping)
			ids_add(&placing->stopping, allocation->id);
	}
}

static void tell_job(struct node *node, const struct job *job)
{
	struct placing *placing = node->placing;
	const struct job_task *waiting;
	struct known_job *known = mem_zero(sizeof *known);
	known->id = job->id;
	known->definition = job->definition;
	known->count = job->count;
	known->updating = placing->updating = true;
	HASH_ADD(hh, placing->jobs, id, sizeof known->id, known);
	if (job->definition->job->group && job->live > 0)
		return; /* the scheduler gets it once all of it waits */
	scheduler_job_add(placing->scheduler, job->id, job->definition->job, job->next_task, job->count);
	for (waiting = job->waiting; waiting != NULL; waiting = waiting->hh.next)
		scheduler_task_waits(placing->scheduler, job->id, waiting->task, monotonic(node, waiting->due_ms));
}

static struct known_job *job_known(const struct placing *placing, uint64_t id)
{
	struct known_job *known;
	HASH_FIND(hh, placing->jobs, &id, sizeof id, known);
	return known;
}

static void forget_job(struct placing *placing, struct known_job *known)
{
	scheduler_job_remove(placing->scheduler, known->id);
	HASH_DELETE(hh, placing->jobs, known);
	mem_free(known);
}

static void tell_allocation(struct node *node, const struct allocation *allocation)
{
	struct scheduler_allocation told = {
		.id = allocation->id,
		.job = allocation->job->id,
		.task = allocation->task,
		.node = allocation->node,
		.ports = allocation->ports,
	};
	scheduler_allocated(node->placing->scheduler, &told, allocation->definition->job);
}

static bool is_wanted(const struct job *job)
{
	return job != NULL && job->state != JOB_STOPPING && job_kind(job) != JOB_PERIODIC;
}

void placing_lead(struct node *node)
{
	struct placing *placing = node->placing;
	clear(placing);
	placing->leading = true;
	placing->scheduler = scheduler_create(placing->seed ^ raft_term(node->raft));
	tenant_of(placing, node->id)->up = true;
	for (const struct node_use *use = machine_nodes(node->machine); use != NULL; use = use->hh.next) {
		const struct allocation *allocation;
		tell_node(node, use);
		TAILQ_FOREACH (allocation, &use->allocations, of_node)
			tell_allocation(node, allocation);
	}
	for (const struct job *job = machine_jobs(node->machine); job != NULL; job = job->hh.next) {
		if (!is_wanted(job))
			continue;
		groups_note(placing, job);
		tell_job(node, job);
		if (job->definition->job->group && job->live > 0 && job->live < job->count)
			regroup(placing, job);
	}
	for (struct tenant *tenant = placing->tenants; tenant != NULL; tenant = tenant->hh.next)
		tenant->whole = tenant->up;
	placing->lost_due = true;
}

void placing_unlead(struct node *node)
{
	clear(node->placing);
}

static void tell_node_again(struct node *node, uint64_t member)
{
	const struct node_use *use = machine_node(node->machine, member);
	if (node->placing->leading && use != NULL)
		tell_node(node, use);
}

void placing_peer_up(struct node *node, uint64_t member)
{
	struct tenant *tenant = tenant_of(node->placing, member);
	tenant_clear(tenant);
	tenant->up = tenant->whole = true;
	tell_node_again(node, member);
}

void placing_peer_down(struct node *node, uint64_t member)
{
	struct tenant *tenant = tenant_of(node->placing, member);
	tenant_clear(tenant);
	tenant->up = tenant->whole = false;
	tell_node_again(node, member);
}

void placing_site_known(struct node *node, uint64_t member)
{
	tell_node_again(node, member);
}

/* --- what was applied ---------------------------------------------------------------------------------------------- */

static void pending_forget(struct placing *placing, uint64_t id)
{
	struct pending *pending;
	HASH_FIND(hh, placing->pending, &id, sizeof id, pending);
	if (pending == NULL)
		return;
	HASH_DELETE(hh, placing->pending, pending);
	mem_free(pending);
}

static void order(struct node *node, const struct allocation *allocation)
{
	const struct allocation *other;
	struct placing *placing = node->placing;
	if (!allocation->definition->job->group) {
		ids_add(&tenant_of(placing, allocation->node)->orders, allocation->id);
		return;
	}
	for (other = allocation->job->allocations; other != NULL && group_is_placed(allocation->job);
	     other = other->by_task.next) {
		if (other->phase == ALLOCATION_PLACED)
			ids_add(&tenant_of(placing, other->node)->orders, other->id);
	}
}

static void job_effect(struct node *node, uint64_t id)
{
	struct placing *placing = node->placing;
	const struct job *job = machine_job(node->machine, id);
	struct known_job *known = job_known(placing, id);
	const struct allocation *allocation;
	if (known != NULL && (job == NULL || job->state == JOB_STOPPING || job->definition != known->definition ||
	                      job->count < known->count)) {
		forget_job(placing, known);
		known = NULL;
		for (allocation = job != NULL ? job->allocations : NULL; allocation != NULL;
		     allocation = allocation->by_task.next)
			stop_if_unwanted(placing, allocation);
	}
	if (!is_wanted(job))
		return;
	groups_note(placing, job);
	if (known == NULL) {
		tell_job(node, job);
	} else if (job->count > known->count) {
		scheduler_job_add(placing->scheduler, id, job->definition->job, known->count, job->count);
		known->count = job->count;
	}
}

/* Its task waits again, if it does. */
static void task_effect(struct node *node, const struct effect *effect)
{
	const struct job *job = machine_job(node->machine, effect->job);
	struct known_job *known = job_known(node->placing, effect->job);
	struct job_task *waiting = NULL;
	uint32_t task = effect->task;
	if (is_wanted(job) && job->definition->job->group) {
		if (job->live > 0)
			return;
		if (known != NULL)
			forget_job(node->placing, known);
		tell_job(node, job);
		return;
	}
	if (job != NULL && known != NULL)
		HASH_FIND(hh, job->waiting, &task, sizeof task, waiting);
	if (waiting != NULL)
		scheduler_task_waits(node->placing->scheduler, effect->job, task, monotonic(node, waiting->due_ms));
}

static void refused_effect(struct node *node, const struct effect *effect)
{
	const struct job *job = machine_job(node->machine, effect->job);
	scheduler_refused(node->placing->scheduler, effect->job, effect->task);
	if (is_wanted(job) && job->definition->job->group)
		regroup(node->placing, job);
}

int placing_check(const struct node *node, const struct job_settings *settings, struct error *error)
{
	struct scheduler *scheduler = node->placing->scheduler;
	return scheduler != NULL ? scheduler_check(scheduler, settings, settings->count, error) : 0;
}

/* The node may run it all the same, when it was lost; what comes there in its place waits for its end. */
static void allocation_effect(struct placing *placing, const struct effect *effect)
{
	struct tenant *tenant = tenant_of(placing, effect->node);
	if (slice_is(slice_of(effect->state), allocation_phase_names[ALLOCATION_LOST]))
		tenant->whole = tenant->up;
	else
		ids_add(&tenant->taken, effect->allocation);
}

void placing_effect(struct node *node, const struct effect *effect)
{
	struct placing *placing = node->placing;
	const struct allocation *allocation;
	if (!placing->leading)
		return;
	switch (effect->kind) {
	case EFFECT_JOB_CHANGED:
		job_effect(node, effect->job);
		periodic_effect(node, effect);
		break;
	case EFFECT_ALLOCATION_PLACED:
		placing->placed -= placing->placed > 0;
		allocation = machine_allocation(node->machine, effect->allocation);
		if (allocation == NULL)
			break; /* it has ended in the same transaction */
		tell_allocation(node, allocation);
		groups_note(placing, allocation->job);
		order(node, allocation);
		break;
	case EFFECT_ALLOCATION_CHANGED:
		placing->drains_at = 0;
		pending_forget(placing, effect->allocation);
		allocation = machine_allocation(node->machine, effect->allocation);
		if (allocation != NULL)
			stop_if_unwanted(placing, allocation);
		break;
	case EFFECT_ALLOCATION_ENDED:
		placing->drains_at = 0;
		pending_forget(placing, effect->allocation);
		scheduler_released(placing->scheduler, effect->allocation);
		allocation_effect(placing, effect);
		task_effect(node, effect);
		break;
	case EFFECT_PLACEMENT_REFUSED:
		placing->placed -= placing->placed > 0;
		refused_effect(node, effect);
		break;
	case EFFECT_NODE_CHANGED:
		tell_node_again(node, effect->node);
		placing->drains_at = 0;
		placing->lost_due = true;
		break;
	default:
		break;
	}
}

/* --- what nodes report --------------------------------------------------------------------------------------------- */

/* false: what is proposed already says it. */
static bool pending_note(struct placing *placing, uint64_t id, bool ended)
{
	struct pending *pending;
	HASH_FIND(hh, placing->pending, &id, sizeof id, pending);
	if (pending != NULL && (pending->ended || !ended))
		return !pending->ended && !ended;
	if (pending == NULL) {
		pending = mem_zero(sizeof *pending);
		pending->id = id;
		HASH_ADD(hh, placing->pending, id, sizeof pending->id, pending);
	}
	pending->ended = pending->ended || ended;
	return true;
}

bool placing_note_stop(struct placing *placing, uint64_t id)
{
	return pending_note(placing, id, false);
}

static void change(struct placing *placing, const struct command_allocation *what)
{
	bool ended = what->event == ALLOCATION_EVENT_ENDED || what->event == ALLOCATION_EVENT_LOST;
	if (!pending_note(placing, what->id, ended))
		return;
	mem_grow(placing->changes, placing->change_capacity, placing->change_count + 1);
	struct command_allocation *kept = &placing->changes[placing->change_count++];
	*kept = *what;
	kept->text = slice_of(arena_string(&placing->texts, what->text));
	kept->value = (struct slice){arena_string(&placing->texts, what->value), what->value.size};
}

/* What a node has said, as text of a bounded size; in the arena. */
static struct slice plain(struct placing *placing, const void *data, size_t size)
{
	struct buffer quoted = BUFFER_EMPTY;
	struct buffer text = BUFFER_EMPTY;
	json_quote(&quoted, (struct slice){data, size < ALLOCATION_TEXT_MAX ? size : ALLOCATION_TEXT_MAX});
	json_unquote(&text, buffer_slice(&quoted)); /* what is no text was replaced, and may have grown */
	if (text.size > ALLOCATION_TEXT_MAX) {
		text.size = ALLOCATION_TEXT_MAX;
		while (text.size > 0 && ((unsigned char)text.data[text.size] & 0xC0) == 0x80)
			text.size--; /* whole characters */
	}
	struct slice result = slice_of(arena_string(&placing->texts, buffer_slice(&text)));
	buffer_finish(&quoted);
	buffer_finish(&text);
	return result;
}

static struct slice report_text(struct placing *placing, const Clusterd__Wire__TaskReport *report)
{
	return report->text.len != 0 ? plain(placing, report->text.data, report->text.len) : SLICE("");
}

/* What a call's job has printed is looked at as any other output of a call. */
static void take_output(struct node *node, const struct allocation *allocation, uint32_t outcome, struct slice output,
                        struct command_allocation *what)
{
	const struct job *job = allocation->job;
	const struct call *call;
	struct error error = {0};
	if (job->call.of.instance == 0 || what->exit_code != 0 || outcome == TASK_OUTCOME_NONE)
		return;
	what->output = OUTPUT_FAULT;
	if (outcome != TASK_OUTCOME_VALUE) {
		what->value = plain(node->placing, output.data, output.size);
		return;
	}
	call = node_calls_look(node, job->call.of.instance, (uint32_t)job->call.of.ref);
	if (call == NULL)
		return; /* nobody waits for it */
	if (node_calls_accept(node, call, output, &error) == 0) {
		what->output = OUTPUT_VALUE;
		what->value = buffer_slice(&node->scratch);
	} else {
		what->cause = error.code == ERR_LIMIT ? CAUSE_LIMIT : CAUSE_TYPE;
		what->value = slice_of(arena_string(&node->placing->texts, slice_of(error.text)));
	}
}

static void take_report(struct node *node, uint64_t member, const Clusterd__Wire__TaskReport *report,
                        struct slice output)
{
	struct placing *placing = node->placing;
	const struct allocation *allocation = machine_allocation(node->machine, report->id);
	struct command_allocation what = {.id = report->id, .exit_code = -1};
	if (allocation == NULL || allocation->node != member) {
		if (report->state == TASK_ENDED || report->state == TASK_LOST)
			ids_add(&tenant_of(placing, member)->taken, report->id);
		else
			ids_add(&tenant_of(placing, member)->stops, report->id);
		return;
	}
	switch (report->state) {
	case TASK_RUNNING:
		if (allocation->phase == ALLOCATION_PLACED) {
			what.event = ALLOCATION_EVENT_STARTED;
			change(placing, &what);
		}
		if (report->checked && (!allocation->checked || allocation->healthy != (report->healthy != 0))) {
			what.event = ALLOCATION_EVENT_CHECKED;
			what.healthy = report->healthy != 0;
			change(placing, &what);
		}
		stop_if_unwanted(placing, allocation);
		break;
	case TASK_ENDED:
		what.event = ALLOCATION_EVENT_ENDED;
		what.exit_code = report->exit_code;
		what.exit_signal = report->exit_signal <= INT8_MAX ? (int)report->exit_signal : 0;
		what.text = report_text(placing, report);
		take_output(node, allocation, report->output, output, &what);
		change(placing, &what);
		break;
	case TASK_LOST:
		what.event = ALLOCATION_EVENT_LOST;
		what.text = report_text(placing, report);
		change(placing, &what);
		break;
	default:
		stop_if_unwanted(placing, allocation);
		break;
	}
}

void placing_reports(struct node *node, uint64_t member, const Clusterd__Wire__TaskReports *reports,
                     struct slice payload)
{
	if (!node->placing->leading || !node->ready || reports->term != raft_term(node->raft))
		return;
	for (size_t i = 0; i < reports->n_reports && !node->failed; i++) {
		uint64_t size = reports->reports[i]->output_size;
		if (size > payload.size) {
			node->counts.messages_refused++;
			return;
		}
		take_report(node, member, reports->reports[i], (struct slice){payload.data, (size_t)size});
		payload.data += size;
		payload.size -= (size_t)size;
	}
}

/* --- turns --------------------------------------------------------------------------------------------------------- */

/* Of nodes that were declared dead, or have left. */
static void find_lost(struct node *node)
{
	struct placing *placing = node->placing;
	if (!placing->lost_due)
		return;
	placing->lost_due = false;
	for (const struct node_use *use = machine_nodes(node->machine); use != NULL; use = use->hh.next) {
		const struct allocation *allocation;
		if (use->alive)
			continue;
		TAILQ_FOREACH (allocation, &use->allocations, of_node) {
			struct command_allocation what = {
				.id = allocation->id, .event = ALLOCATION_EVENT_LOST, .exit_code = -1};
			if (placing->change_count >= PLACEMENTS_MAX) {
				placing->lost_due = true;
				return;
			}
			what.text = SLICE("its node is gone");
			change(placing, &what);
		}
	}
}

/* A new version of a job takes the place of the old one task by task: the next one is ended when all others run, and are well. */
static void update_job(struct placing *placing, struct known_job *known, const struct job *job)
{
	const struct allocation *allocation;
	const struct allocation *outdated = NULL;
	bool busy = job->waiting != NULL || job->next_task < job->count;
	for (allocation = job->allocations; allocation != NULL && !busy; allocation = allocation->by_task.next) {
		bool well = allocation->definition->job->check.kind == JOB_CHECK_NONE ||
		            (allocation->checked && allocation->healthy);
		bool old = allocation->definition != job->definition;
		busy = allocation->stopping || allocation->phase != ALLOCATION_RUNS || (!well && !old);
		if (old && outdated == NULL)
			outdated = allocation;
	}
	if (!busy && outdated == NULL)
		known->updating = false;
	else if (!busy && pending_note(placing, outdated->id, false))
		ids_add(&placing->stopping, outdated->id);
}

static void update_jobs(struct node *node)
{
	struct placing *placing = node->placing;
	if (!placing->updating)
		return;
	placing->updating = false;
	for (struct known_job *known = placing->jobs; known != NULL; known = known->hh.next) {
		const struct job *job = known->updating ? machine_job(node->machine, known->id) : NULL;
		if (job == NULL || job_kind(job) == JOB_BATCH)
			known->updating = false;
		else
			update_job(placing, known, job);
		placing->updating = placing->updating || known->updating;
	}
}

/* How many of these changes one command takes. */
static size_t command_share(const struct command_allocation *changes, size_t count)
{
	size_t bytes = 0;
	size_t share = 0;
	for (; share < count && share < PLACEMENTS_MAX && bytes < CHANGES_BYTES; share++)
		bytes += changes[share].value.size;
	return share;
}

void placing_propose_stop(struct node *node, const struct ids *ids, struct slice reason)
{
	for (size_t i = 0; i < ids->count; i += PLACEMENTS_MAX) {
		struct command command = {.kind = COMMAND_STOP_ALLOCATIONS};
		size_t left = ids->count - i;
		command.stop_allocations.ids = ids->list + i;
		command.stop_allocations.count = left < PLACEMENTS_MAX ? left : PLACEMENTS_MAX;
		command.stop_allocations.reason = reason;
		node_propose(node, &command, true);
	}
}

static void propose_changes(struct node *node)
{
	struct placing *placing = node->placing;
	for (size_t i = 0; i < placing->change_count;) {
		struct command command = {.kind = COMMAND_ALLOCATIONS};
		command.allocations.changes = placing->changes + i;
		command.allocations.count = command_share(placing->changes + i, placing->change_count - i);
		node_propose(node, &command, true);
		i += command.allocations.count;
	}
	placing->change_count = 0;
	arena_reset(&placing->texts);
	placing_propose_stop(node, &placing->stopping, SLICE(""));
	placing->stopping.count = 0;
}

/* Those that are lower make room. */
static void put_out(struct node *node, const struct job *job, const struct scheduler_placement *found)
{
	struct ids victims = {0};
	char reason[160];
	snprintf(reason, sizeof reason, "it makes room for job %" PRIu64 " of priority %" PRIu32, found->job,
	         job != NULL ? job->definition->job->priority : 0);
	for (size_t i = 0; i < found->victim_count; i++)
		ids_add(&victims, found->victims[i]);
	placing_propose_stop(node, &victims, slice_of(reason));
	ids_finish(&victims);
}

static void pump(struct node *node)
{
	struct placing *placing = node->placing;
	struct command_placement placements[PLACEMENTS_MAX];
	uint32_t ports[PLACEMENTS_MAX][JOB_PORTS_MAX];
	struct scheduler_placement found;
	struct command command = {.kind = COMMAND_PLACE};
	size_t count = 0;
	while (count < PLACEMENTS_MAX && placing->placed < PLACED_AT_ONCE &&
	       scheduler_next(placing->scheduler, node->host->now(node->context), &found)) {
		const struct job *job = machine_job(node->machine, found.job);
		if (found.victim_count > 0) {
			put_out(node, job, &found);
			continue;
		}
		if (job == NULL) {
			scheduler_refused(placing->scheduler, found.job, found.task);
			continue;
		}
		uint32_t port_count = job->definition->job->port_count;
		for (uint32_t i = 0; i < port_count; i++)
			ports[count][i] = found.ports[i];
		placements[count] = (struct command_placement){found.job, found.task, found.node, ports[count],
		                                               port_count};
		count++;
		placing->placed++;
	}
	command.place.placements = placements;
	command.place.count = count;
	if (count > 0)
		node_propose(node, &command, true);
}

void placing_turn(struct node *node)
{
	struct placing *placing = node->placing;
	if (!placing->leading || !node->ready)
		return;
	find_lost(node);
	periodic_turn(node);
	groups_turn(node);
	drains_turn(node);
	update_jobs(node);
	pump(node);
	propose_changes(node);
	for (struct tenant *tenant = placing->tenants; tenant != NULL; tenant = tenant->hh.next)
		tenant_serve(node, tenant);
}

msec placing_deadline(const struct node *node)
{
	const struct placing *placing = node->placing;
	if (!placing->leading || !node->ready)
		return MSEC_NEVER;
	if (placing->lost_due)
		return node->host->now(node->context) + LOOK_AGAIN_MS;
	msec known = msec_earlier(placing->drains_at, msec_earlier(placing->periodic_at, placing->groups_at));
	return msec_earlier(known, placing->placed < PLACED_AT_ONCE
	                                                  ? scheduler_deadline(placing->scheduler)
	                                                  : MSEC_NEVER);
}
