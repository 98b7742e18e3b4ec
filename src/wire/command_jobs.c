#include "wire/command_jobs.h"

#include <assert.h>

static ProtobufCBinaryData to_bytes(struct slice slice)
{
	return (ProtobufCBinaryData){slice.size, (uint8_t *)(uintptr_t)slice.data};
}

static struct slice to_slice(ProtobufCBinaryData data)
{
	return data.len != 0 ? (struct slice){(const char *)data.data, data.len} : SLICE("");
}

/* --- encoding ------------------------------------------------------------------------------------------------------ */

static Clusterd__Log__Place *encode_place(const struct command *command, struct arena *arena)
{
	Clusterd__Log__Place *place = arena_alloc(arena, sizeof *place);
	clusterd__log__place__init(place);
	place->n_placements = command->place.count;
	place->placements = arena_alloc(arena, place->n_placements * sizeof *place->placements);
	for (size_t i = 0; i < place->n_placements; i++) {
		const struct command_placement *from = &command->place.placements[i];
		Clusterd__Log__Placement *to = place->placements[i] = arena_alloc(arena, sizeof *to);
		clusterd__log__placement__init(to);
		to->job = from->job;
		to->task = from->task;
		to->node = from->node;
		to->n_ports = from->port_count;
		to->ports = (uint32_t *)(uintptr_t)from->ports;
	}
	return place;
}

static Clusterd__Log__Allocations *encode_allocations(const struct command *command, struct arena *arena)
{
	Clusterd__Log__Allocations *allocations = arena_alloc(arena, sizeof *allocations);
	clusterd__log__allocations__init(allocations);
	allocations->n_changes = command->allocations.count;
	allocations->changes = arena_alloc(arena, allocations->n_changes * sizeof *allocations->changes);
	for (size_t i = 0; i < allocations->n_changes; i++) {
		const struct command_allocation *from = &command->allocations.changes[i];
		Clusterd__Log__AllocationChange *to = allocations->changes[i] = arena_alloc(arena, sizeof *to);
		clusterd__log__allocation_change__init(to);
		to->id = from->id;
		to->event = (uint32_t)from->event;
		to->healthy = from->healthy;
		to->exit_code = from->exit_code;
		to->exit_signal = (uint32_t)from->exit_signal;
		to->text = to_bytes(from->text);
		to->output = (uint32_t)from->output;
		to->cause = (uint32_t)from->cause;
		to->value = to_bytes(from->value);
	}
	return allocations;
}

void command_jobs_encode(const struct command *command, struct arena *arena, Clusterd__Log__Entry *entry)
{
	switch (command->kind) {
	case COMMAND_DISPATCH_JOB:
		clusterd__log__dispatch_job__init(
			entry->dispatch_job = arena_alloc(arena, sizeof *entry->dispatch_job));
		entry->dispatch_job->name = to_bytes(command->dispatch_job.name);
		entry->dispatch_job->version = command->dispatch_job.version;
		entry->dispatch_job->args = to_bytes(command->dispatch_job.args);
		entry->dispatch_job->key = to_bytes(command->dispatch_job.key);
		break;
	case COMMAND_STOP_JOB:
		clusterd__log__stop_job__init(entry->stop_job = arena_alloc(arena, sizeof *entry->stop_job));
		entry->stop_job->job = command->stop_job.job;
		entry->stop_job->reason = to_bytes(command->stop_job.reason);
		break;
	case COMMAND_SCALE_JOB:
		clusterd__log__scale_job__init(entry->scale_job = arena_alloc(arena, sizeof *entry->scale_job));
		entry->scale_job->job = command->scale_job.job;
		entry->scale_job->count = command->scale_job.count;
		break;
	case COMMAND_PLACE:
		entry->place = encode_place(command, arena);
		break;
	case COMMAND_ALLOCATIONS:
		entry->allocations = encode_allocations(command, arena);
		break;
	case COMMAND_STOP_ALLOCATIONS:
		clusterd__log__stop_allocations__init(
			entry->stop_allocations = arena_alloc(arena, sizeof *entry->stop_allocations));
		entry->stop_allocations->n_ids = command->stop_allocations.count;
		entry->stop_allocations->ids = (uint64_t *)(uintptr_t)command->stop_allocations.ids;
		entry->stop_allocations->reason = to_bytes(command->stop_allocations.reason);
		break;
	case COMMAND_ELIGIBLE:
		clusterd__log__eligible__init(entry->eligible = arena_alloc(arena, sizeof *entry->eligible));
		entry->eligible->node = command->eligible.node;
		entry->eligible->eligible = command->eligible.eligible;
		break;
	case COMMAND_DRAIN:
		clusterd__log__drain__init(entry->drain = arena_alloc(arena, sizeof *entry->drain));
		entry->drain->node = command->drain.node;
		entry->drain->state = (uint32_t)command->drain.state;
		entry->drain->within_ms = (uint64_t)command->drain.within;
		break;
	case COMMAND_JOB_DUE:
		clusterd__log__job_due__init(entry->job_due = arena_alloc(arena, sizeof *entry->job_due));
		entry->job_due->job = command->job_due.job;
		entry->job_due->version = command->job_due.version;
		entry->job_due->due = (uint64_t)command->job_due.due;
		entry->job_due->next = (uint64_t)command->job_due.next;
		break;
	default:
		assert(false);
	}
}

/* --- decoding ------------------------------------------------------------------------------------------------------ */

static int decode_place(const Clusterd__Log__Place *place, struct arena *arena, struct command *command,
                        struct error *error)
{
	if (place->n_placements > PLACEMENTS_MAX)
		return error_set(error, ERR_CORRUPT, "a log entry places %zu tasks at once; at most %d",
		                 place->n_placements, PLACEMENTS_MAX);
	struct command_placement *placements = arena_alloc(arena, place->n_placements * sizeof *placements);
	for (size_t i = 0; i < place->n_placements; i++) {
		const Clusterd__Log__Placement *from = place->placements[i];
		if (from->n_ports > ALLOCATION_PORTS_MAX)
			return error_set(error, ERR_CORRUPT, "a log entry places a task with %zu ports; at most %d",
			                 from->n_ports, ALLOCATION_PORTS_MAX);
		placements[i] = (struct command_placement){from->job, from->task, from->node, from->ports,
		                                           from->n_ports};
	}
	command->kind = COMMAND_PLACE;
	command->place.placements = placements;
	command->place.count = place->n_placements;
	return 0;
}

static int decode_allocations(const Clusterd__Log__Allocations *allocations, struct arena *arena,
                              struct command *command, struct error *error)
{
	if (allocations->n_changes > PLACEMENTS_MAX)
		return error_set(error, ERR_CORRUPT, "a log entry changes %zu allocations at once; at most %d",
		                 allocations->n_changes, PLACEMENTS_MAX);
	struct command_allocation *changes = arena_alloc(arena, allocations->n_changes * sizeof *changes);
	for (size_t i = 0; i < allocations->n_changes; i++) {
		const Clusterd__Log__AllocationChange *from = allocations->changes[i];
		if (from->event >= ALLOCATION_EVENT_END)
			return error_set(error, ERR_VERSION,
			                 "a log entry tells of an allocation what is not known here: %u", from->event);
		if (from->text.len > ALLOCATION_TEXT_MAX || from->exit_signal > INT8_MAX)
			return error_set(error, ERR_CORRUPT, "a log entry has an end of an allocation that cannot be");
		if (from->output >= OUTPUT_END || from->cause >= CAUSE_END)
			return error_set(error, ERR_VERSION, "a log entry has output of a kind that is not known here");
		changes[i] = (struct command_allocation){
			.id = from->id,
			.event = (enum command_allocation_event)from->event,
			.healthy = from->healthy != 0,
			.exit_code = from->exit_code,
			.exit_signal = (int)from->exit_signal,
			.text = to_slice(from->text),
			.output = (enum command_output)from->output,
			.cause = (enum failure_cause)from->cause,
			.value = to_slice(from->value),
		};
	}
	command->kind = COMMAND_ALLOCATIONS;
	command->allocations.changes = changes;
	command->allocations.count = allocations->n_changes;
	return 0;
}

static int decode_stop_allocations(const Clusterd__Log__StopAllocations *stop, struct command *command,
                                   struct error *error)
{
	if (stop->n_ids > PLACEMENTS_MAX)
		return error_set(error, ERR_CORRUPT, "a log entry stops %zu allocations at once; at most %d",
		                 stop->n_ids, PLACEMENTS_MAX);
	command->kind = COMMAND_STOP_ALLOCATIONS;
	if (stop->reason.len > ALLOCATION_TEXT_MAX)
		return error_set(error, ERR_CORRUPT, "a log entry has a reason of %zu bytes; at most %d", stop->reason.len,
		                 ALLOCATION_TEXT_MAX);
	command->stop_allocations.reason = to_slice(stop->reason);
	command->stop_allocations.ids = stop->ids;
	command->stop_allocations.count = stop->n_ids;
	return 0;
}

static int decode_drain(const Clusterd__Log__Drain *drain, struct command *command, struct error *error)
{
	if (drain->state >= DRAIN_END || drain->within_ms > DRAIN_WITHIN_MAX)
		return error_set(error, ERR_CORRUPT, "a log entry has a drain that cannot be");
	command->kind = COMMAND_DRAIN;
	command->drain.node = drain->node;
	command->drain.state = (enum drain_state)drain->state;
	command->drain.within = (msec)drain->within_ms;
	return 0;
}

static int decode_job_due(const Clusterd__Log__JobDue *job_due, struct command *command, struct error *error)
{
	if (job_due->due > INT64_MAX || job_due->next > INT64_MAX)
		return error_set(error, ERR_CORRUPT, "a log entry has a time of a job that cannot be");
	command->kind = COMMAND_JOB_DUE;
	command->job_due.job = job_due->job;
	command->job_due.version = job_due->version;
	command->job_due.due = (msec)job_due->due;
	command->job_due.next = (msec)job_due->next;
	return 0;
}

bool command_jobs_has(const Clusterd__Log__Entry *entry)
{
	return entry->command_case >= CLUSTERD__LOG__ENTRY__COMMAND_DISPATCH_JOB &&
	       entry->command_case <= CLUSTERD__LOG__ENTRY__COMMAND_DRAIN;
}

int command_jobs_decode(const Clusterd__Log__Entry *entry, struct arena *arena, struct command *command,
                        struct error *error)
{
	switch (entry->command_case) {
	case CLUSTERD__LOG__ENTRY__COMMAND_DISPATCH_JOB:
		command->kind = COMMAND_DISPATCH_JOB;
		command->dispatch_job.name = to_slice(entry->dispatch_job->name);
		command->dispatch_job.version = entry->dispatch_job->version;
		command->dispatch_job.args = to_slice(entry->dispatch_job->args);
		command->dispatch_job.key = to_slice(entry->dispatch_job->key);
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_STOP_JOB:
		command->kind = COMMAND_STOP_JOB;
		command->stop_job.job = entry->stop_job->job;
		command->stop_job.reason = to_slice(entry->stop_job->reason);
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_SCALE_JOB:
		command->kind = COMMAND_SCALE_JOB;
		command->scale_job.job = entry->scale_job->job;
		command->scale_job.count = entry->scale_job->count;
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_PLACE:
		return decode_place(entry->place, arena, command, error);
	case CLUSTERD__LOG__ENTRY__COMMAND_ALLOCATIONS:
		return decode_allocations(entry->allocations, arena, command, error);
	case CLUSTERD__LOG__ENTRY__COMMAND_STOP_ALLOCATIONS:
		return decode_stop_allocations(entry->stop_allocations, command, error);
	case CLUSTERD__LOG__ENTRY__COMMAND_ELIGIBLE:
		command->kind = COMMAND_ELIGIBLE;
		command->eligible.node = entry->eligible->node;
		command->eligible.eligible = entry->eligible->eligible != 0;
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_DRAIN:
		return decode_drain(entry->drain, command, error);
	default:
		return decode_job_due(entry->job_due, command, error);
	}
}
