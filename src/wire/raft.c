#include "wire/raft.h"

#include "wire/command.h"

#include <assert.h>

/* --- packing ------------------------------------------------------------------------------------------------------- */

static Clusterd__Wire__RaftConfiguration *pack_configuration(const struct raft_configuration *configuration,
                                                             struct arena *arena)
{
	Clusterd__Wire__RaftConfiguration *packed = arena_alloc(arena, sizeof *packed);
	clusterd__wire__raft_configuration__init(packed);
	packed->index = configuration->index;
	packed->n_members = configuration->count;
	packed->members = arena_alloc(arena, configuration->count * sizeof *packed->members);
	for (uint32_t i = 0; i < configuration->count; i++) {
		Clusterd__Wire__RaftMember *member = packed->members[i] = arena_alloc(arena, sizeof *member);
		clusterd__wire__raft_member__init(member);
		member->id = configuration->members[i].id;
		member->voter = configuration->members[i].voter;
	}
	return packed;
}

static Clusterd__Wire__SnapshotHead *pack_snapshot(const struct raft_snapshot *snapshot, struct arena *arena)
{
	Clusterd__Wire__SnapshotHead *packed = arena_alloc(arena, sizeof *packed);
	clusterd__wire__snapshot_head__init(packed);
	packed->index = snapshot->index;
	packed->term = snapshot->term;
	packed->id = snapshot->id;
	packed->size = snapshot->size;
	packed->configuration = pack_configuration(&snapshot->configuration, arena);
	return packed;
}

static void pack_entries(Clusterd__Wire__RaftMessage *packed, const struct raft_outgoing *entries, size_t count,
                         struct arena *arena)
{
	packed->sizes = arena_alloc(arena, count * sizeof *packed->sizes);
	packed->runs = arena_alloc(arena, count * sizeof *packed->runs);
	packed->n_sizes = count;
	for (size_t i = 0; i < count; i++) {
		packed->sizes[i] = (uint32_t)entries[i].body.size;
		if (packed->n_runs == 0 || packed->runs[packed->n_runs - 1]->term != entries[i].term) {
			Clusterd__Wire__TermRun *run = packed->runs[packed->n_runs++] = arena_alloc(arena, sizeof *run);
			clusterd__wire__term_run__init(run);
			run->term = entries[i].term;
		}
		packed->runs[packed->n_runs - 1]->count++;
	}
}

Clusterd__Wire__RaftMessage *raft_pack(const struct raft_message *message, const struct raft_outgoing *entries,
                                       struct arena *arena)
{
	Clusterd__Wire__RaftMessage *packed = arena_alloc(arena, sizeof *packed);
	clusterd__wire__raft_message__init(packed);
	packed->kind = (uint32_t)message->kind;
	packed->term = message->term;
	switch (message->kind) {
	case RAFT_VOTE_REQUEST:
		packed->flag = message->vote_request.pre;
		packed->granted = message->vote_request.transfer;
		packed->for_term = message->vote_request.for_term;
		packed->index = message->vote_request.last_index;
		packed->index_term = message->vote_request.last_term;
		break;
	case RAFT_VOTE_RESPONSE:
		packed->flag = message->vote_response.pre;
		packed->granted = message->vote_response.granted;
		packed->for_term = message->vote_response.for_term;
		break;
	case RAFT_APPEND_REQUEST:
		packed->index = message->append_request.prev_index;
		packed->index_term = message->append_request.prev_term;
		packed->commit = message->append_request.commit;
		packed->round = message->append_request.round;
		pack_entries(packed, entries, message->append_request.count, arena);
		break;
	case RAFT_APPEND_RESPONSE:
		packed->flag = message->append_response.rejected;
		packed->index = message->append_response.accepted;
		packed->match = message->append_response.match;
		packed->round = message->append_response.round;
		packed->rejected_prev = message->append_response.rejected_prev;
		packed->hint_index = message->append_response.hint_index;
		packed->hint_term = message->append_response.hint_term;
		break;
	case RAFT_HEARTBEAT:
		packed->commit = message->heartbeat.commit;
		packed->round = message->heartbeat.round;
		break;
	case RAFT_SNAPSHOT_CHUNK:
		packed->round = message->chunk.round;
		packed->offset = message->chunk.offset;
		packed->snapshot = pack_snapshot(message->chunk.snapshot, arena);
		break;
	case RAFT_SNAPSHOT_RESPONSE:
		packed->id = message->snapshot_response.id;
		packed->offset = message->snapshot_response.offset;
		packed->round = message->snapshot_response.round;
		break;
	case RAFT_TIMEOUT_NOW:
		break;
	case RAFT_READ_REQUEST:
		packed->id = message->read_request.id;
		break;
	case RAFT_READ_RESPONSE:
		packed->id = message->read_response.id;
		packed->index = message->read_response.index;
		packed->flag = message->read_response.refused;
		break;
	}
	return packed;
}

/* --- unpacking ----------------------------------------------------------------------------------------------------- */

static int unpack_configuration(const Clusterd__Wire__RaftConfiguration *packed,
                                struct raft_configuration *ret_configuration, struct error *error)
{
	struct raft_configuration configuration = {.index = packed->index, .count = (uint32_t)packed->n_members};
	if (packed->n_members > RAFT_MEMBERS_MAX)
		return error_set(error, ERR_LIMIT, "a configuration of %zu members; at most %d are possible", packed->n_members,
		                 RAFT_MEMBERS_MAX);
	for (size_t i = 0; i < packed->n_members; i++)
		configuration.members[i] = (struct raft_member){packed->members[i]->id, packed->members[i]->voter != 0};
	*ret_configuration = configuration;
	return 0;
}

static int unpack_snapshot(const Clusterd__Wire__SnapshotHead *packed, struct arena *arena,
                           const struct raft_snapshot **ret_snapshot, struct error *error)
{
	if (packed == NULL || packed->configuration == NULL)
		return error_set(error, ERR_INVALID, "a piece of a snapshot does not say of which");
	struct raft_snapshot *snapshot = arena_alloc(arena, sizeof *snapshot);
	*snapshot = (struct raft_snapshot){packed->index, packed->term, packed->id, packed->size, {0}};
	*ret_snapshot = snapshot;
	return unpack_configuration(packed->configuration, &snapshot->configuration, error);
}

/* What the entry holds, which changes the group as soon as it is in the log. */
static int decode_configuration(struct slice body, struct arena *arena, const struct raft_configuration **ret_configuration,
                                struct error *error)
{
	struct command command;
	int code = command_decode(body, arena, &command, error);
	if (code != 0)
		return code;
	if (command.kind != COMMAND_CONFIGURATION)
		return error_set(error, ERR_INVALID, "an entry that is said to hold a configuration holds none");
	struct raft_configuration *configuration = arena_alloc(arena, sizeof *configuration);
	*configuration = (struct raft_configuration){.count = (uint32_t)command.configuration.count};
	for (size_t i = 0; i < command.configuration.count; i++)
		configuration->members[i] =
			(struct raft_member){command.configuration.members[i].id, command.configuration.members[i].voter};
	*ret_configuration = configuration;
	return 0;
}

static int split_bodies(const Clusterd__Wire__RaftMessage *packed, struct slice payload, struct slice *bodies,
                        struct raft_entry *entries, struct arena *arena, struct error *error)
{
	size_t at = 0;
	for (size_t i = 0; i < packed->n_sizes; i++) {
		struct command_head head;
		size_t size = packed->sizes[i];
		if (size > payload.size - at)
			return error_set(error, ERR_INVALID, "%zu entries are said to be larger than the %zu bytes that came",
			                 packed->n_sizes, payload.size);
		bodies[i] = (struct slice){payload.data + at, size};
		at += size;
		if (command_peek(bodies[i], &head) != 0)
			return error_set(error, ERR_CORRUPT, "entry %zu of %zu is none", i, packed->n_sizes);
		if (head.configuration) {
			int code = decode_configuration(bodies[i], arena, &entries[i].configuration, error);
			if (code != 0)
				return code;
		}
	}
	if (at != payload.size)
		return error_set(error, ERR_INVALID, "%zu bytes came that belong to no entry", payload.size - at);
	return 0;
}

static int fill_terms(const Clusterd__Wire__RaftMessage *packed, struct raft_entry *entries, struct error *error)
{
	size_t at = 0;
	for (size_t i = 0; i < packed->n_runs; i++) {
		const Clusterd__Wire__TermRun *run = packed->runs[i];
		if (run->count > packed->n_sizes - at)
			break;
		for (uint32_t k = 0; k < run->count; k++)
			entries[at++].term = run->term;
	}
	if (at != packed->n_sizes)
		return error_set(error, ERR_INVALID, "the terms of %zu entries do not fit", packed->n_sizes);
	return 0;
}

static int unpack_entries(const Clusterd__Wire__RaftMessage *packed, struct slice payload, struct arena *arena,
                          struct raft_append_request *request, const struct slice **ret_bodies, struct error *error)
{
	size_t count = packed->n_sizes;
	if (count > RAFT_MESSAGE_ENTRIES_MAX)
		return error_set(error, ERR_LIMIT, "%zu entries in one message; at most %d are possible", count,
		                 RAFT_MESSAGE_ENTRIES_MAX);
	struct slice *bodies = arena_alloc(arena, (count + 1) * sizeof *bodies);
	struct raft_entry *entries = arena_alloc(arena, (count + 1) * sizeof *entries);
	for (size_t i = 0; i < count; i++)
		entries[i] = (struct raft_entry){0};
	int code = split_bodies(packed, payload, bodies, entries, arena, error);
	if (code == 0)
		code = fill_terms(packed, entries, error);
	request->count = (uint32_t)count;
	request->entries = entries;
	*ret_bodies = bodies;
	return code;
}

int raft_unpack(const Clusterd__Wire__RaftMessage *packed, uint64_t from, uint64_t to, struct slice payload,
                struct arena *arena, struct raft_message *ret_message, const struct slice **ret_bodies,
                struct error *error)
{
	struct raft_message message = {.from = from, .to = to, .term = packed->term};
	int code = 0;
	if (packed->kind > RAFT_READ_RESPONSE)
		return error_set(error, ERR_INVALID, "an unknown kind %u of message of Raft", packed->kind);
	message.kind = (enum raft_message_kind)packed->kind;
	if (payload.size > 0 && message.kind != RAFT_APPEND_REQUEST && message.kind != RAFT_SNAPSHOT_CHUNK)
		return error_set(error, ERR_INVALID, "%zu bytes came with a message that carries none", payload.size);
	switch (message.kind) {
	case RAFT_VOTE_REQUEST:
		message.vote_request = (struct raft_vote_request){packed->flag != 0, packed->granted != 0, packed->for_term,
		                                                  packed->index, packed->index_term};
		break;
	case RAFT_VOTE_RESPONSE:
		message.vote_response =
			(struct raft_vote_response){packed->flag != 0, packed->granted != 0, packed->for_term};
		break;
	case RAFT_APPEND_REQUEST:
		message.append_request = (struct raft_append_request){.prev_index = packed->index,
		                                                      .prev_term = packed->index_term,
		                                                      .commit = packed->commit,
		                                                      .round = packed->round};
		code = unpack_entries(packed, payload, arena, &message.append_request, ret_bodies, error);
		break;
	case RAFT_APPEND_RESPONSE:
		message.append_response = (struct raft_append_response){packed->flag != 0,     packed->index,
		                                                        packed->match,         packed->round,
		                                                        packed->rejected_prev, packed->hint_index,
		                                                        packed->hint_term};
		break;
	case RAFT_HEARTBEAT:
		message.heartbeat = (struct raft_heartbeat){packed->commit, packed->round};
		break;
	case RAFT_SNAPSHOT_CHUNK:
		message.chunk = (struct raft_snapshot_chunk){.round = packed->round,
		                                             .offset = packed->offset,
		                                             .length = (uint32_t)payload.size};
		code = unpack_snapshot(packed->snapshot, arena, &message.chunk.snapshot, error);
		break;
	case RAFT_SNAPSHOT_RESPONSE:
		message.snapshot_response = (struct raft_snapshot_response){packed->id, packed->offset, packed->round};
		break;
	case RAFT_TIMEOUT_NOW:
		break;
	case RAFT_READ_REQUEST:
		message.read_request = (struct raft_read_request){packed->id};
		break;
	case RAFT_READ_RESPONSE:
		message.read_response = (struct raft_read_response){packed->id, packed->index, packed->flag != 0};
		break;
	}
	if (code == 0)
		*ret_message = message;
	return code;
}
