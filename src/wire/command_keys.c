#include "wire/command_keys.h"

#include "base/utf8.h"

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

static Clusterd__Log__Put *encode_put(const struct command *command, struct arena *arena)
{
	Clusterd__Log__Put *put = arena_alloc(arena, sizeof *put);
	clusterd__log__put__init(put);
	put->key = to_bytes(command->put.key);
	put->value = to_bytes(command->put.value);
	put->lease = command->put.lease;
	put->conditional = command->put.condition.given;
	put->version = command->put.condition.version;
	return put;
}

static Clusterd__Log__DeleteKey *encode_delete(const struct command *command, struct arena *arena)
{
	Clusterd__Log__DeleteKey *delete_key = arena_alloc(arena, sizeof *delete_key);
	clusterd__log__delete_key__init(delete_key);
	delete_key->key = to_bytes(command->delete_key.key);
	delete_key->conditional = command->delete_key.condition.given;
	delete_key->version = command->delete_key.condition.version;
	return delete_key;
}

static Clusterd__Log__Write **encode_writes(const struct command_write *writes, size_t count, struct arena *arena)
{
	Clusterd__Log__Write **messages = arena_alloc(arena, count * sizeof *messages);
	for (size_t i = 0; i < count; i++) {
		Clusterd__Log__Write *write = messages[i] = arena_alloc(arena, sizeof *write);
		clusterd__log__write__init(write);
		write->key = to_bytes(writes[i].key);
		write->remove = writes[i].remove;
		write->value = to_bytes(writes[i].value);
		write->lease = writes[i].lease;
	}
	return messages;
}

static Clusterd__Log__Transact *encode_transact(const struct command *command, struct arena *arena)
{
	Clusterd__Log__Transact *transact = arena_alloc(arena, sizeof *transact);
	clusterd__log__transact__init(transact);
	transact->n_comparisons = command->transact.comparison_count;
	transact->comparisons = arena_alloc(arena, transact->n_comparisons * sizeof *transact->comparisons);
	for (size_t i = 0; i < transact->n_comparisons; i++) {
		Clusterd__Log__Comparison *comparison = transact->comparisons[i] = arena_alloc(arena, sizeof *comparison);
		clusterd__log__comparison__init(comparison);
		comparison->key = to_bytes(command->transact.comparisons[i].key);
		comparison->version = command->transact.comparisons[i].version;
	}
	transact->n_writes = command->transact.write_count;
	transact->writes = encode_writes(command->transact.writes, transact->n_writes, arena);
	transact->n_otherwise = command->transact.otherwise_count;
	transact->otherwise = encode_writes(command->transact.otherwise, transact->n_otherwise, arena);
	return transact;
}

void command_keys_encode(const struct command *command, struct arena *arena, Clusterd__Log__Entry *entry)
{
	switch (command->kind) {
	case COMMAND_PUT:
		entry->put = encode_put(command, arena);
		break;
	case COMMAND_DELETE_KEY:
		entry->delete_key = encode_delete(command, arena);
		break;
	case COMMAND_TRANSACT:
		entry->transact = encode_transact(command, arena);
		break;
	case COMMAND_GRANT_LEASE:
		clusterd__log__grant_lease__init(entry->grant_lease = arena_alloc(arena, sizeof *entry->grant_lease));
		entry->grant_lease->ttl_ms = (uint64_t)command->grant_lease.ttl;
		entry->grant_lease->owner = to_bytes(command->grant_lease.owner);
		break;
	case COMMAND_END_LEASES:
		clusterd__log__end_leases__init(entry->end_leases = arena_alloc(arena, sizeof *entry->end_leases));
		entry->end_leases->n_leases = command->end_leases.count;
		entry->end_leases->leases = (uint64_t *)(uintptr_t)command->end_leases.leases;
		break;
	default:
		assert(false);
	}
}

/* --- decoding ------------------------------------------------------------------------------------------------------ */

static int decode_key(ProtobufCBinaryData bytes, struct slice *ret_key, struct error *error)
{
	struct slice key = to_slice(bytes);
	if (key.size == 0 || key.size > KEY_SIZE_MAX || !utf8_is_text(key))
		return error_set(error, ERR_CORRUPT, "a log entry has a key of %zu bytes that cannot be one", key.size);
	*ret_key = key;
	return 0;
}

static int decode_put(const Clusterd__Log__Put *put, struct command *command, struct error *error)
{
	command->kind = COMMAND_PUT;
	command->put.value = to_slice(put->value);
	command->put.lease = put->lease;
	command->put.condition = (struct command_condition){put->conditional != 0, put->version};
	return decode_key(put->key, &command->put.key, error);
}

static int decode_writes(Clusterd__Log__Write *const *messages, size_t count, struct arena *arena,
                         const struct command_write **ret_writes, struct error *error)
{
	struct command_write *writes = arena_alloc(arena, count * sizeof *writes);
	for (size_t i = 0; i < count; i++) {
		writes[i].remove = messages[i]->remove != 0;
		writes[i].value = to_slice(messages[i]->value);
		writes[i].lease = messages[i]->lease;
		int code = decode_key(messages[i]->key, &writes[i].key, error);
		if (code != 0)
			return code;
	}
	*ret_writes = writes;
	return 0;
}

static int decode_transact(const Clusterd__Log__Transact *transact, struct arena *arena, struct command *command,
                           struct error *error)
{
	if (transact->n_comparisons > TRANSACTION_PARTS_MAX || transact->n_writes > TRANSACTION_PARTS_MAX ||
	    transact->n_otherwise > TRANSACTION_PARTS_MAX)
		return error_set(error, ERR_CORRUPT, "a log entry has a transaction of more than %d parts", TRANSACTION_PARTS_MAX);
	struct command_comparison *comparisons = arena_alloc(arena, transact->n_comparisons * sizeof *comparisons);
	int code = 0;
	for (size_t i = 0; i < transact->n_comparisons && code == 0; i++) {
		comparisons[i].version = transact->comparisons[i]->version;
		code = decode_key(transact->comparisons[i]->key, &comparisons[i].key, error);
	}
	command->kind = COMMAND_TRANSACT;
	command->transact.comparisons = comparisons;
	command->transact.comparison_count = transact->n_comparisons;
	command->transact.write_count = transact->n_writes;
	command->transact.otherwise_count = transact->n_otherwise;
	if (code == 0)
		code = decode_writes(transact->writes, transact->n_writes, arena, &command->transact.writes, error);
	if (code == 0)
		code = decode_writes(transact->otherwise, transact->n_otherwise, arena, &command->transact.otherwise, error);
	return code;
}

static int decode_grant(const Clusterd__Log__GrantLease *grant, struct command *command, struct error *error)
{
	if (grant->ttl_ms < LEASE_TTL_MIN || grant->ttl_ms > LEASE_TTL_MAX || grant->owner.len > LEASE_OWNER_MAX)
		return error_set(error, ERR_CORRUPT, "a log entry grants a lease that cannot be");
	command->kind = COMMAND_GRANT_LEASE;
	command->grant_lease.ttl = (msec)grant->ttl_ms;
	command->grant_lease.owner = to_slice(grant->owner);
	return 0;
}

int command_keys_decode(const Clusterd__Log__Entry *entry, struct arena *arena, struct command *command,
                        struct error *error)
{
	switch (entry->command_case) {
	case CLUSTERD__LOG__ENTRY__COMMAND_PUT:
		return decode_put(entry->put, command, error);
	case CLUSTERD__LOG__ENTRY__COMMAND_DELETE_KEY:
		command->kind = COMMAND_DELETE_KEY;
		command->delete_key.condition =
			(struct command_condition){entry->delete_key->conditional != 0, entry->delete_key->version};
		return decode_key(entry->delete_key->key, &command->delete_key.key, error);
	case CLUSTERD__LOG__ENTRY__COMMAND_TRANSACT:
		return decode_transact(entry->transact, arena, command, error);
	case CLUSTERD__LOG__ENTRY__COMMAND_GRANT_LEASE:
		return decode_grant(entry->grant_lease, command, error);
	case CLUSTERD__LOG__ENTRY__COMMAND_END_LEASES:
		command->kind = COMMAND_END_LEASES;
		command->end_leases.leases = entry->end_leases->leases;
		command->end_leases.count = entry->end_leases->n_leases;
		return 0;
	default:
		return error_set(error, ERR_VERSION, "a log entry holds a command that this version of clusterd does not know");
	}
}
