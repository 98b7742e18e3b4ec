#include "coordinator/internal.h"

#include <inttypes.h>

/* Keys and their values. The version of a key is the log index of its last change: it never comes twice, whatever happens to
 * the key, and so it is a fencing token. What has changed is kept for a while, for those who watch. */

#define CHANGES_DROPPED 256 /* of those that need not be kept any more, in one command; and kept beyond the settings */

/* --- life ---------------------------------------------------------------------------------------------------------- */

int keys_load(struct machine *machine, struct error *error)
{
	struct catalog_change first = {0};
	struct catalog_change last = {0};
	int code = catalog_changes_kept(machine->catalog, &first, &last);
	if (code < 0)
		return error_set(error, code, "the changes of keys cannot be read from the catalog: %s",
		                 catalog_error(machine->catalog));
	machine->changes.first = first.seq;
	machine->changes.last = last.seq;
	machine->changes.first_bytes = first.bytes;
	machine->changes.last_bytes = last.bytes;
	machine->changes.last_version = last.key.version;
	return 0;
}

/* --- changes ------------------------------------------------------------------------------------------------------- */

struct dropping {
	const struct machine *machine;
	uint64_t count;
	uint64_t cut;       /* seq of the first one that stays */
	uint64_t cut_bytes;
	uint64_t compacted; /* version of the last one that goes */
};

static int find_cut(void *context, const struct catalog_change *change)
{
	struct dropping *dropping = context;
	const struct key_changes *changes = &dropping->machine->changes;
	const struct machine_settings *settings = &dropping->machine->settings;
	dropping->cut = change->seq;
	dropping->cut_bytes = change->bytes;
	if (dropping->count++ == CHANGES_DROPPED || change->seq == changes->last)
		return 1;
	if (changes->last - change->seq < settings->changes_kept &&
	    changes->last_bytes - change->bytes <= settings->change_bytes_kept)
		return 1;
	dropping->compacted = change->key.version;
	return 0;
}

int changes_drop(struct machine *machine)
{
	struct key_changes *changes = &machine->changes;
	if (changes->last - changes->first < machine->settings.changes_kept + CHANGES_DROPPED &&
	    changes->last_bytes - changes->first_bytes <= machine->settings.change_bytes_kept)
		return 0;
	struct dropping dropping = {.machine = machine, .cut = changes->first, .compacted = changes->compacted};
	int code = catalog_change_sizes(machine->catalog, changes->first, find_cut, &dropping);
	if (code < 0)
		return code;
	changes->first = dropping.cut;
	changes->first_bytes = dropping.cut_bytes;
	changes->compacted = dropping.compacted;
	return catalog_changes_delete(machine->catalog, dropping.cut);
}

static int note_change(struct machine *machine, const struct catalog_key *key)
{
	struct key_changes *changes = &machine->changes;
	struct catalog_change change = {
		.seq = changes->last + 1,
		.key = *key,
		.bytes = changes->last_bytes + key->key.size + key->value.size,
	};
	struct effect *effect = effect_add(machine, EFFECT_KEY_CHANGED, 0);
	effect->key = text_create(key->key);
	effect->seq = key->version;
	int code = catalog_change_append(machine->catalog, &change);
	changes->last = change.seq;
	changes->last_bytes = change.bytes;
	changes->last_version = key->version;
	if (changes->first == 0) {
		changes->first = change.seq;
		changes->first_bytes = change.bytes;
	}
	return code;
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

static int key_write(struct machine *machine, const struct command_write *write, const struct catalog_key *before)
{
	struct catalog_key after = {
		.key = write->key,
		.value = write->value,
		.version = machine->applied_index,
		.lease = write->lease,
		.created = before->version != 0 ? before->created : machine->applied_index,
	};
	int code = catalog_key_put(machine->catalog, &after);
	if (code == 0 && before->lease != write->lease)
		code = lease_rebind(machine, write->key, before->lease, write->lease);
	return code == 0 ? note_change(machine, &after) : code;
}

int key_remove(struct machine *machine, struct slice key, const struct catalog_key *before)
{
	struct catalog_key after = {.key = key, .version = machine->applied_index, .created = before->created};
	int code = catalog_key_delete(machine->catalog, key);
	if (code == 0 && before->lease != 0)
		code = lease_rebind(machine, key, before->lease, 0);
	return code == 0 ? note_change(machine, &after) : code;
}

/* Those that are not there have version 0. */
int key_stat(struct machine *machine, struct slice key, struct catalog_key *ret_key)
{
	*ret_key = (struct catalog_key){0};
	int code = catalog_key_stat(machine->catalog, key, ret_key);
	return code < 0 ? code : 0;
}

static struct answer answer_condition(struct slice key, uint64_t wanted, uint64_t found)
{
	int shown = key.size < 200 ? (int)key.size : 200;
	struct answer answer;
	if (found == 0)
		answer = answer_error(ERR_CONFLICT, "there is no key \"%.*s\", where version %" PRIu64 " is expected", shown,
		                      key.data, wanted);
	else if (wanted == 0)
		answer = answer_error(ERR_CONFLICT, "key \"%.*s\" exists already, with version %" PRIu64, shown, key.data, found);
	else
		answer = answer_error(ERR_CONFLICT, "key \"%.*s\" has version %" PRIu64 ", not %" PRIu64, shown, key.data, found,
		                      wanted);
	answer.number = found;
	return answer;
}

static bool holds(const struct command_condition *condition, const struct catalog_key *before)
{
	return !condition->given || condition->version == before->version;
}

static struct answer answer_no_lease(uint64_t lease)
{
	return answer_error(ERR_NOT_FOUND, "there is no lease %" PRIu64 ": it was never granted, or has ended", lease);
}

int apply_put(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	struct catalog_key before;
	struct command_write write = {command->put.key, false, command->put.value, command->put.lease};
	int code = key_stat(machine, write.key, &before);
	if (code != 0)
		return code;
	if (!holds(&command->put.condition, &before)) {
		*ret_answer = answer_condition(write.key, command->put.condition.version, before.version);
		return 0;
	}
	if (write.lease != 0 && !lease_holds(machine, write.lease)) {
		*ret_answer = answer_no_lease(write.lease);
		return 0;
	}
	ret_answer->number = machine->applied_index;
	code = key_write(machine, &write, &before);
	return code == 0 ? changes_drop(machine) : code;
}

int apply_delete_key(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	struct slice key = command->delete_key.key;
	struct catalog_key before;
	int code = key_stat(machine, key, &before);
	if (code != 0)
		return code;
	if (!holds(&command->delete_key.condition, &before)) {
		*ret_answer = answer_condition(key, command->delete_key.condition.version, before.version);
		return 0;
	}
	if (before.version == 0) {
		*ret_answer = answer_error(ERR_NOT_FOUND, "there is no key \"%.*s\"", key.size < 200 ? (int)key.size : 200, key.data);
		return 0;
	}
	ret_answer->number = machine->applied_index;
	code = key_remove(machine, key, &before);
	return code == 0 ? changes_drop(machine) : code;
}

/* --- transactions -------------------------------------------------------------------------------------------------- */

static int compare(struct machine *machine, const struct command *command, bool *ret_equal)
{
	*ret_equal = true;
	for (size_t i = 0; i < command->transact.comparison_count; i++) {
		struct catalog_key found;
		int code = key_stat(machine, command->transact.comparisons[i].key, &found);
		if (code != 0)
			return code;
		if (found.version != command->transact.comparisons[i].version)
			*ret_equal = false;
	}
	return 0;
}

static int write_all(struct machine *machine, const struct command_write *writes, size_t count)
{
	int code = 0;
	for (size_t i = 0; i < count && code == 0; i++) {
		struct catalog_key before;
		code = key_stat(machine, writes[i].key, &before);
		if (code == 0 && !writes[i].remove)
			code = key_write(machine, &writes[i], &before);
		else if (code == 0 && before.version != 0)
			code = key_remove(machine, writes[i].key, &before);
	}
	return code;
}

/* All comparisons are made before anything is written; keys that a branch deletes need not be there. A lease that has ended
 * refuses the whole branch. */
int apply_transact(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	bool equal;
	int code = compare(machine, command, &equal);
	if (code != 0)
		return code;
	const struct command_write *writes = equal ? command->transact.writes : command->transact.otherwise;
	size_t count = equal ? command->transact.write_count : command->transact.otherwise_count;
	for (size_t i = 0; i < count; i++) {
		if (!writes[i].remove && writes[i].lease != 0 && !lease_holds(machine, writes[i].lease)) {
			*ret_answer = answer_no_lease(writes[i].lease);
			return 0;
		}
	}
	ret_answer->number = machine->applied_index;
	ret_answer->existed = equal;
	code = write_all(machine, writes, count);
	return code == 0 && count != 0 ? changes_drop(machine) : code;
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

uint64_t machine_compacted(const struct machine *machine)
{
	return machine->changes.compacted;
}

int machine_changes_from(const struct machine *machine, uint64_t version, uint64_t *ret_seq)
{
	const struct key_changes *changes = &machine->changes;
	if (version <= changes->compacted)
		return ERR_COMPACTED;
	if (changes->last == 0 || version > changes->last_version)
		return 0;
	int code = catalog_change_find(machine->catalog, changes->first, changes->last, version, ret_seq);
	return code == 0 ? 1 : code;
}
