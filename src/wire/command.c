#include "wire/command.h"

#include "proto/log.pb-c.h"
#include "wire/command_jobs.h"
#include "wire/command_keys.h"
#include "wire/command_topics.h"
#include "wire/message.h"

#include <assert.h>

#define STAMP_FIELD 2 /* of Entry */

static ProtobufCBinaryData to_bytes(struct slice slice)
{
	return (ProtobufCBinaryData){slice.size, (uint8_t *)(uintptr_t)slice.data};
}

static struct slice to_slice(ProtobufCBinaryData data)
{
	return data.len != 0 ? (struct slice){(const char *)data.data, data.len} : SLICE("");
}

/* --- encoding ------------------------------------------------------------------------------------------------------ */

/* Messages are built in an arena until they are packed. */
struct encoder {
	struct arena *arena;
	Clusterd__Log__Entry entry;
};

static void encode_register(struct encoder *encoder, const struct command *command)
{
	struct arena *arena = encoder->arena;
	Clusterd__Log__Register *message = arena_alloc(arena, sizeof *message);
	clusterd__log__register__init(message);
	message->n_files = command->registering.file_count;
	message->files = arena_alloc(arena, message->n_files * sizeof *message->files);
	for (size_t i = 0; i < message->n_files; i++) {
		Clusterd__Log__SourceFile *file = message->files[i] = arena_alloc(arena, sizeof *file);
		clusterd__log__source_file__init(file);
		file->path = to_bytes(command->registering.files[i].path);
		file->text = to_bytes(command->registering.files[i].text);
	}
	message->n_attachments = command->registering.attachment_count;
	message->attachments = arena_alloc(arena, message->n_attachments * sizeof *message->attachments);
	for (size_t i = 0; i < message->n_attachments; i++) {
		const struct command_attachment *from = &command->registering.attachments[i];
		Clusterd__Log__Attachment *to = message->attachments[i] = arena_alloc(arena, sizeof *to);
		clusterd__log__attachment__init(to);
		to->path = to_bytes(from->path);
		to->hash = to_bytes(from->hash);
		to->executable = from->executable;
		to->content = to_bytes(from->content);
	}
	message->run_jobs = command->kind == COMMAND_RUN_JOBS;
	encoder->entry.register_ = message;
}

static void encode_start(struct encoder *encoder, const struct command *command)
{
	Clusterd__Log__Start *message = arena_alloc(encoder->arena, sizeof *message);
	clusterd__log__start__init(message);
	message->process = to_bytes(command->start.process);
	message->version = command->start.version;
	message->key = to_bytes(command->start.key);
	message->args = to_bytes(command->start.args);
	encoder->entry.start = message;
}

static void encode_results(struct encoder *encoder, const struct command *command)
{
	struct arena *arena = encoder->arena;
	Clusterd__Log__Results *message = arena_alloc(arena, sizeof *message);
	clusterd__log__results__init(message);
	message->instance = command->results.instance;
	message->n_returned = command->results.count;
	message->returned = arena_alloc(arena, message->n_returned * sizeof *message->returned);
	for (size_t i = 0; i < message->n_returned; i++) {
		const struct command_returned *from = &command->results.returned[i];
		Clusterd__Log__Returned *to = message->returned[i] = arena_alloc(arena, sizeof *to);
		clusterd__log__returned__init(to);
		to->ref = from->ref;
		to->attempt = from->attempt;
		to->failed = from->failed;
		to->final = from->final;
		to->cause = (uint32_t)from->cause;
		to->value = to_bytes(from->value);
		to->metadata = to_bytes(from->metadata);
	}
	encoder->entry.results = message;
}

static void encode_assigned(struct encoder *encoder, const struct command *command)
{
	struct arena *arena = encoder->arena;
	Clusterd__Log__Assigned *message = arena_alloc(arena, sizeof *message);
	clusterd__log__assigned__init(message);
	message->node = to_bytes(command->assigned.node);
	message->n_calls = command->assigned.count;
	message->calls = arena_alloc(arena, message->n_calls * sizeof *message->calls);
	for (size_t i = 0; i < message->n_calls; i++) {
		Clusterd__Log__Assignment *to = message->calls[i] = arena_alloc(arena, sizeof *to);
		clusterd__log__assignment__init(to);
		to->instance = command->assigned.calls[i].instance;
		to->ref = command->assigned.calls[i].ref;
		to->attempt = command->assigned.calls[i].attempt;
	}
	encoder->entry.assigned = message;
}

static void encode_node(struct encoder *encoder, const struct command *command)
{
	Clusterd__Log__Node *message = arena_alloc(encoder->arena, sizeof *message);
	clusterd__log__node__init(message);
	message->id = command->node.id;
	message->generation = command->node.generation;
	message->name = to_bytes(command->node.name);
	message->role = to_bytes(command->node.role);
	message->address = to_bytes(command->node.address);
	message->datacenter = to_bytes(command->node.datacenter);
	message->state = to_bytes(command->node.state);
	message->tags = to_bytes(command->node.tags);
	message->cpu = command->node.cpu;
	message->memory = command->node.memory;
	message->port_low = command->node.port_low;
	message->port_high = command->node.port_high;
	encoder->entry.node = message;
}

static void encode_configuration(struct encoder *encoder, const struct command *command)
{
	struct arena *arena = encoder->arena;
	Clusterd__Log__Configuration *message = arena_alloc(arena, sizeof *message);
	clusterd__log__configuration__init(message);
	message->n_members = command->configuration.count;
	message->members = arena_alloc(arena, message->n_members * sizeof *message->members);
	for (size_t i = 0; i < message->n_members; i++) {
		Clusterd__Log__Member *to = message->members[i] = arena_alloc(arena, sizeof *to);
		clusterd__log__member__init(to);
		to->id = command->configuration.members[i].id;
		to->voter = command->configuration.members[i].voter;
	}
	encoder->entry.configuration = message;
}

static void encode_small(struct encoder *encoder, const struct command *command)
{
	struct arena *arena = encoder->arena;
	Clusterd__Log__Entry *entry = &encoder->entry;
	switch (command->kind) {
	case COMMAND_NOOP:
		clusterd__log__noop__init(entry->noop = arena_alloc(arena, sizeof *entry->noop));
		break;
	case COMMAND_OPEN_SESSION:
		clusterd__log__open_session__init(entry->open_session = arena_alloc(arena, sizeof *entry->open_session));
		entry->open_session->ttl_ms = (uint64_t)command->open_session.ttl;
		entry->open_session->proof = to_bytes(command->open_session.proof);
		break;
	case COMMAND_CLOSE_SESSION:
		clusterd__log__close_session__init(entry->close_session = arena_alloc(arena, sizeof *entry->close_session));
		entry->close_session->n_sessions = command->close_session.count;
		entry->close_session->sessions = (uint64_t *)(uintptr_t)command->close_session.sessions;
		break;
	case COMMAND_TIMERS:
		clusterd__log__timers__init(entry->timers = arena_alloc(arena, sizeof *entry->timers));
		break;
	case COMMAND_CANCEL:
		clusterd__log__cancel__init(entry->cancel = arena_alloc(arena, sizeof *entry->cancel));
		entry->cancel->instance = command->cancel.instance;
		break;
	case COMMAND_RETRY:
		clusterd__log__retry__init(entry->retry = arena_alloc(arena, sizeof *entry->retry));
		entry->retry->instance = command->retry.instance;
		break;
	case COMMAND_SIGNAL:
		clusterd__log__signal__init(entry->signal = arena_alloc(arena, sizeof *entry->signal));
		entry->signal->instance = command->signal.instance;
		entry->signal->name = to_bytes(command->signal.name);
		entry->signal->key = to_bytes(command->signal.key);
		entry->signal->value = to_bytes(command->signal.value);
		break;
	case COMMAND_SET_SETTING:
		clusterd__log__set_setting__init(entry->set_setting = arena_alloc(arena, sizeof *entry->set_setting));
		entry->set_setting->name = to_bytes(command->set_setting.name);
		entry->set_setting->value = to_bytes(command->set_setting.value);
		break;
	case COMMAND_EXPIRE:
		clusterd__log__expire__init(entry->expire = arena_alloc(arena, sizeof *entry->expire));
		break;
	default:
		assert(false);
	}
}

static const Clusterd__Log__Entry__CommandCase cases[] = {
	[COMMAND_NOOP] = CLUSTERD__LOG__ENTRY__COMMAND_NOOP,
	[COMMAND_OPEN_SESSION] = CLUSTERD__LOG__ENTRY__COMMAND_OPEN_SESSION,
	[COMMAND_CLOSE_SESSION] = CLUSTERD__LOG__ENTRY__COMMAND_CLOSE_SESSION,
	[COMMAND_REGISTER] = CLUSTERD__LOG__ENTRY__COMMAND_REGISTER,
	[COMMAND_START] = CLUSTERD__LOG__ENTRY__COMMAND_START,
	[COMMAND_RESULTS] = CLUSTERD__LOG__ENTRY__COMMAND_RESULTS,
	[COMMAND_ASSIGNED] = CLUSTERD__LOG__ENTRY__COMMAND_ASSIGNED,
	[COMMAND_TIMERS] = CLUSTERD__LOG__ENTRY__COMMAND_TIMERS,
	[COMMAND_CANCEL] = CLUSTERD__LOG__ENTRY__COMMAND_CANCEL,
	[COMMAND_RETRY] = CLUSTERD__LOG__ENTRY__COMMAND_RETRY,
	[COMMAND_SIGNAL] = CLUSTERD__LOG__ENTRY__COMMAND_SIGNAL,
	[COMMAND_SET_SETTING] = CLUSTERD__LOG__ENTRY__COMMAND_SET_SETTING,
	[COMMAND_EXPIRE] = CLUSTERD__LOG__ENTRY__COMMAND_EXPIRE,
	[COMMAND_NODE] = CLUSTERD__LOG__ENTRY__COMMAND_NODE,
	[COMMAND_CONFIGURATION] = CLUSTERD__LOG__ENTRY__COMMAND_CONFIGURATION,
	[COMMAND_PUT] = CLUSTERD__LOG__ENTRY__COMMAND_PUT,
	[COMMAND_DELETE_KEY] = CLUSTERD__LOG__ENTRY__COMMAND_DELETE_KEY,
	[COMMAND_TRANSACT] = CLUSTERD__LOG__ENTRY__COMMAND_TRANSACT,
	[COMMAND_GRANT_LEASE] = CLUSTERD__LOG__ENTRY__COMMAND_GRANT_LEASE,
	[COMMAND_END_LEASES] = CLUSTERD__LOG__ENTRY__COMMAND_END_LEASES,
	[COMMAND_RUN_JOBS] = CLUSTERD__LOG__ENTRY__COMMAND_REGISTER,
	[COMMAND_DISPATCH_JOB] = CLUSTERD__LOG__ENTRY__COMMAND_DISPATCH_JOB,
	[COMMAND_STOP_JOB] = CLUSTERD__LOG__ENTRY__COMMAND_STOP_JOB,
	[COMMAND_SCALE_JOB] = CLUSTERD__LOG__ENTRY__COMMAND_SCALE_JOB,
	[COMMAND_PLACE] = CLUSTERD__LOG__ENTRY__COMMAND_PLACE,
	[COMMAND_ALLOCATIONS] = CLUSTERD__LOG__ENTRY__COMMAND_ALLOCATIONS,
	[COMMAND_STOP_ALLOCATIONS] = CLUSTERD__LOG__ENTRY__COMMAND_STOP_ALLOCATIONS,
	[COMMAND_ELIGIBLE] = CLUSTERD__LOG__ENTRY__COMMAND_ELIGIBLE,
	[COMMAND_DRAIN] = CLUSTERD__LOG__ENTRY__COMMAND_DRAIN,
	[COMMAND_JOB_DUE] = CLUSTERD__LOG__ENTRY__COMMAND_JOB_DUE,
	[COMMAND_PUBLISH] = CLUSTERD__LOG__ENTRY__COMMAND_PUBLISH,
	[COMMAND_UNPUBLISH] = CLUSTERD__LOG__ENTRY__COMMAND_UNPUBLISH,
	[COMMAND_SUBSCRIBE] = CLUSTERD__LOG__ENTRY__COMMAND_SUBSCRIBE,
	[COMMAND_UNSUBSCRIBE] = CLUSTERD__LOG__ENTRY__COMMAND_UNSUBSCRIBE,
	[COMMAND_SWEEP] = CLUSTERD__LOG__ENTRY__COMMAND_SWEEP,
};

void command_encode(const struct command *command, struct arena *scratch, struct buffer *out)
{
	struct encoder encoder = {.arena = scratch};
	clusterd__log__entry__init(&encoder.entry);
	encoder.entry.machine_version = command->machine_version;
	encoder.entry.stamp = command->stamp;
	encoder.entry.session = command->session;
	encoder.entry.sequence = command->sequence;
	encoder.entry.answered_below = command->answered_below;
	encoder.entry.command_case = cases[command->kind];
	switch (command->kind) {
	case COMMAND_REGISTER:
	case COMMAND_RUN_JOBS:
		encode_register(&encoder, command);
		break;
	case COMMAND_START:
		encode_start(&encoder, command);
		break;
	case COMMAND_RESULTS:
		encode_results(&encoder, command);
		break;
	case COMMAND_ASSIGNED:
		encode_assigned(&encoder, command);
		break;
	case COMMAND_NODE:
		encode_node(&encoder, command);
		break;
	case COMMAND_CONFIGURATION:
		encode_configuration(&encoder, command);
		break;
	case COMMAND_PUT:
	case COMMAND_DELETE_KEY:
	case COMMAND_TRANSACT:
	case COMMAND_GRANT_LEASE:
	case COMMAND_END_LEASES:
		command_keys_encode(command, scratch, &encoder.entry);
		break;
	case COMMAND_DISPATCH_JOB:
	case COMMAND_STOP_JOB:
	case COMMAND_SCALE_JOB:
	case COMMAND_PLACE:
	case COMMAND_ALLOCATIONS:
	case COMMAND_STOP_ALLOCATIONS:
	case COMMAND_ELIGIBLE:
	case COMMAND_DRAIN:
	case COMMAND_JOB_DUE:
		command_jobs_encode(command, scratch, &encoder.entry);
		break;
	case COMMAND_PUBLISH:
	case COMMAND_UNPUBLISH:
	case COMMAND_SUBSCRIBE:
	case COMMAND_UNSUBSCRIBE:
	case COMMAND_SWEEP:
		command_topics_encode(command, scratch, &encoder.entry);
		break;
	default:
		encode_small(&encoder, command);
		break;
	}
	message_append(out, &encoder.entry.base);
}

/* --- decoding ------------------------------------------------------------------------------------------------------ */

static void decode_register(const Clusterd__Log__Register *message, struct arena *arena, struct command *command)
{
	struct command_file *files = arena_alloc(arena, message->n_files * sizeof *files);
	for (size_t i = 0; i < message->n_files; i++)
		files[i] = (struct command_file){to_slice(message->files[i]->path), to_slice(message->files[i]->text)};
	struct command_attachment *attachments = arena_alloc(arena, message->n_attachments * sizeof *attachments);
	for (size_t i = 0; i < message->n_attachments; i++) {
		const Clusterd__Log__Attachment *from = message->attachments[i];
		attachments[i] = (struct command_attachment){to_slice(from->path), to_slice(from->hash),
		                                             from->executable != 0, to_slice(from->content)};
	}
	command->kind = message->run_jobs ? COMMAND_RUN_JOBS : COMMAND_REGISTER;
	command->registering.files = files;
	command->registering.file_count = message->n_files;
	command->registering.attachments = attachments;
	command->registering.attachment_count = message->n_attachments;
}

static int decode_results(const Clusterd__Log__Results *message, struct arena *arena, struct command *command,
                          struct error *error)
{
	struct command_returned *returned = arena_alloc(arena, message->n_returned * sizeof *returned);
	for (size_t i = 0; i < message->n_returned; i++) {
		const Clusterd__Log__Returned *from = message->returned[i];
		if (from->cause >= CAUSE_END)
			return error_set(error, ERR_VERSION, "a log entry has the unknown cause of failure %u", from->cause);
		returned[i] = (struct command_returned){
			.ref = from->ref,
			.attempt = from->attempt,
			.failed = from->failed != 0,
			.final = from->final != 0,
			.cause = (enum failure_cause)from->cause,
			.value = to_slice(from->value),
			.metadata = to_slice(from->metadata),
		};
	}
	command->kind = COMMAND_RESULTS;
	command->results.instance = message->instance;
	command->results.returned = returned;
	command->results.count = message->n_returned;
	return 0;
}

static void decode_assigned(const Clusterd__Log__Assigned *message, struct arena *arena, struct command *command)
{
	struct command_assignment *calls = arena_alloc(arena, message->n_calls * sizeof *calls);
	for (size_t i = 0; i < message->n_calls; i++) {
		const Clusterd__Log__Assignment *from = message->calls[i];
		calls[i] = (struct command_assignment){from->instance, from->ref, from->attempt};
	}
	command->kind = COMMAND_ASSIGNED;
	command->assigned.node = to_slice(message->node);
	command->assigned.calls = calls;
	command->assigned.count = message->n_calls;
}

static int decode_configuration(const Clusterd__Log__Configuration *message, struct arena *arena,
                                struct command *command, struct error *error)
{
	struct command_member *members = arena_alloc(arena, message->n_members * sizeof *members);
	if (message->n_members == 0 || message->n_members > COMMAND_MEMBERS_MAX)
		return error_set(error, ERR_CORRUPT, "a log entry has a configuration of %zu members; 1 to %d are possible",
		                 message->n_members, COMMAND_MEMBERS_MAX);
	for (size_t i = 0; i < message->n_members; i++)
		members[i] = (struct command_member){message->members[i]->id, message->members[i]->voter != 0};
	command->kind = COMMAND_CONFIGURATION;
	command->configuration.members = members;
	command->configuration.count = message->n_members;
	return 0;
}

static int decode_open(const Clusterd__Log__OpenSession *message, struct command *command, struct error *error)
{
	if ((message->proof.len != 0 && message->proof.len != SESSION_PROOF_SIZE) || message->ttl_ms > SESSION_TTL_MAX)
		return error_set(error, ERR_CORRUPT, "a log entry opens a session that cannot be");
	command->kind = COMMAND_OPEN_SESSION;
	command->open_session.ttl = (msec)message->ttl_ms;
	command->open_session.proof = to_slice(message->proof);
	return 0;
}

static int decode_body(const Clusterd__Log__Entry *entry, struct arena *arena, struct command *command,
                       struct error *error)
{
	switch (entry->command_case) {
	case CLUSTERD__LOG__ENTRY__COMMAND_NOOP:
		command->kind = COMMAND_NOOP;
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_OPEN_SESSION:
		return decode_open(entry->open_session, command, error);
	case CLUSTERD__LOG__ENTRY__COMMAND_CLOSE_SESSION:
		command->kind = COMMAND_CLOSE_SESSION;
		command->close_session.sessions = entry->close_session->sessions;
		command->close_session.count = entry->close_session->n_sessions;
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_REGISTER:
		decode_register(entry->register_, arena, command);
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_START:
		command->kind = COMMAND_START;
		command->start.process = to_slice(entry->start->process);
		command->start.version = entry->start->version;
		command->start.key = to_slice(entry->start->key);
		command->start.args = to_slice(entry->start->args);
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_RESULTS:
		return decode_results(entry->results, arena, command, error);
	case CLUSTERD__LOG__ENTRY__COMMAND_ASSIGNED:
		decode_assigned(entry->assigned, arena, command);
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_TIMERS:
		command->kind = COMMAND_TIMERS;
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_CANCEL:
		command->kind = COMMAND_CANCEL;
		command->cancel.instance = entry->cancel->instance;
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_RETRY:
		command->kind = COMMAND_RETRY;
		command->retry.instance = entry->retry->instance;
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_SIGNAL:
		command->kind = COMMAND_SIGNAL;
		command->signal.instance = entry->signal->instance;
		command->signal.name = to_slice(entry->signal->name);
		command->signal.key = to_slice(entry->signal->key);
		command->signal.value = to_slice(entry->signal->value);
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_SET_SETTING:
		command->kind = COMMAND_SET_SETTING;
		command->set_setting.name = to_slice(entry->set_setting->name);
		command->set_setting.value = to_slice(entry->set_setting->value);
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_EXPIRE:
		command->kind = COMMAND_EXPIRE;
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_NODE:
		command->kind = COMMAND_NODE;
		command->node.id = entry->node->id;
		command->node.generation = entry->node->generation;
		command->node.name = to_slice(entry->node->name);
		command->node.role = to_slice(entry->node->role);
		command->node.address = to_slice(entry->node->address);
		command->node.datacenter = to_slice(entry->node->datacenter);
		command->node.state = to_slice(entry->node->state);
		command->node.tags = to_slice(entry->node->tags);
		command->node.cpu = entry->node->cpu;
		command->node.memory = entry->node->memory;
		command->node.port_low = entry->node->port_low;
		command->node.port_high = entry->node->port_high;
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_CONFIGURATION:
		return decode_configuration(entry->configuration, arena, command, error);
	default:
		if (command_topics_has(entry))
			return command_topics_decode(entry, command, error);
		return command_jobs_has(entry) ? command_jobs_decode(entry, arena, command, error)
		                               : command_keys_decode(entry, arena, command, error);
	}
}

int command_decode(struct slice body, struct arena *arena, struct command *ret_command, struct error *error)
{
	ProtobufCMessage *message;
	int unpacked = message_unpack_known(&clusterd__log__entry__descriptor, body, arena, &message, error);
	if (unpacked == ERR_VERSION)
		return unpacked;
	if (unpacked != 0)
		return error_set(error, ERR_CORRUPT, "a log entry of %zu bytes cannot be decoded", body.size);
	const Clusterd__Log__Entry *entry = (const Clusterd__Log__Entry *)message;
	if (entry->machine_version == 0 || entry->machine_version > MACHINE_VERSION)
		return error_set(error, ERR_VERSION,
		                 "a log entry was made by state machine version %u; this clusterd knows versions up to %u",
		                 entry->machine_version, MACHINE_VERSION);
	struct command command = {
		.machine_version = entry->machine_version,
		.stamp = entry->stamp,
		.session = entry->session,
		.sequence = entry->sequence,
		.answered_below = entry->answered_below,
	};
	int code = decode_body(entry, arena, &command, error);
	if (code == 0)
		*ret_command = command;
	return code;
}

/* A varint off the front of `rest`; false: it is cut short or too long. */
static bool take_varint(struct slice *rest, uint64_t *ret_value)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < 10 && i < rest->size; i++) {
		unsigned char byte = (unsigned char)rest->data[i];
		value |= (uint64_t)(byte & 0x7F) << (7 * i);
		if (byte < 0x80) {
			*rest = (struct slice){rest->data + i + 1, rest->size - i - 1};
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static bool skip(struct slice *rest, uint64_t size)
{
	if (size > rest->size)
		return false;
	*rest = (struct slice){rest->data + size, rest->size - (size_t)size};
	return true;
}

static uint64_t fixed64(const char *from)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < 8; i++)
		value |= (uint64_t)(unsigned char)from[i] << (8 * i);
	return value;
}

int command_peek(struct slice body, struct command_head *ret_head)
{
	struct command_head head = {0};
	struct slice rest = body;
	while (rest.size > 0) {
		uint64_t tag;
		uint64_t number = 0;
		if (!take_varint(&rest, &tag))
			return ERR_CORRUPT;
		switch (tag & 7) {
		case 0:
			if (!take_varint(&rest, &number))
				return ERR_CORRUPT;
			break;
		case 1:
			if (rest.size < 8)
				return ERR_CORRUPT;
			if (tag >> 3 == STAMP_FIELD)
				head.stamp = fixed64(rest.data);
			skip(&rest, 8);
			break;
		case 2:
			if (!take_varint(&rest, &number) || !skip(&rest, number))
				return ERR_CORRUPT;
			if (tag >> 3 == CLUSTERD__LOG__ENTRY__COMMAND_CONFIGURATION)
				head.configuration = true;
			break;
		default:
			return ERR_CORRUPT;
		}
	}
	*ret_head = head;
	return 0;
}
