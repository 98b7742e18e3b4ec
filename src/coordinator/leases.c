#include "coordinator/internal.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>

/* Leases: keys bound to one are deleted when it ends. When that is, the leader decides, by command: the state machine knows no
 * deadlines (INVARIANTS, 25). A lease's id is the log index of its grant. */

#define KEYS_ENDED_AT_ONCE 256

static struct lease *lease_find(const struct machine *machine, uint64_t id)
{
	struct lease *lease;
	HASH_FIND(hh, machine->leases, &id, sizeof id, lease);
	return lease;
}

static void lease_add(struct machine *machine, uint64_t id, msec ttl, bool ending)
{
	struct lease *lease = mem_zero(sizeof *lease);
	lease->id = id;
	lease->ttl = ttl;
	lease->ending = ending;
	HASH_ADD(hh, machine->leases, id, sizeof lease->id, lease);
}

static int lease_loaded(void *context, const struct catalog_lease *row)
{
	lease_add(context, row->id, row->ttl, row->ending);
	return 0;
}

int leases_load(struct machine *machine, struct error *error)
{
	int code = catalog_leases(machine->catalog, lease_loaded, machine);
	if (code != 0)
		return error_set(error, code, "the leases cannot be read from the catalog: %s", catalog_error(machine->catalog));
	return 0;
}

void leases_release(struct machine *machine)
{
	struct lease *lease;
	struct lease *next;
	HASH_ITER(hh, machine->leases, lease, next) {
		HASH_DELETE(hh, machine->leases, lease);
		mem_free(lease);
	}
}

bool lease_holds(const struct machine *machine, uint64_t id)
{
	const struct lease *lease = lease_find(machine, id);
	return lease != NULL && !lease->ending;
}

int lease_rebind(struct machine *machine, struct slice key, uint64_t before, uint64_t after)
{
	int code = before != 0 ? catalog_lease_key_delete(machine->catalog, before, key) : 0;
	return code == 0 && after != 0 ? catalog_lease_key_insert(machine->catalog, after, key) : code;
}

int apply_grant_lease(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	struct catalog_lease row = {
		.id = machine->applied_index,
		.ttl = command->grant_lease.ttl,
		.owner = command->grant_lease.owner,
		.granted_ms = machine->now,
	};
	lease_add(machine, row.id, row.ttl, false);
	effect_add(machine, EFFECT_LEASE_GRANTED, 0)->lease = row.id;
	ret_answer->number = row.id;
	return catalog_lease_put(machine->catalog, &row);
}

/* Deletes keys of the lease as long as `budget` lasts. Returns 1 when none is left, 0 when some are, or an ERR_. */
static int delete_keys(struct machine *machine, uint64_t id, int *budget)
{
	for (;;) {
		struct catalog_key before;
		buffer_clear(&machine->scratch);
		int code = catalog_lease_key_first(machine->catalog, id, &machine->scratch);
		if (code <= 0)
			return code < 0 ? code : 1;
		if (*budget == 0)
			return 0;
		--*budget;
		code = key_stat(machine, buffer_slice(&machine->scratch), &before);
		if (code == 0)
			code = key_remove(machine, buffer_slice(&machine->scratch), &before);
		if (code != 0)
			return code;
	}
}

static int lease_ending(struct machine *machine, struct lease *lease)
{
	if (lease->ending)
		return 0;
	lease->ending = true;
	return catalog_lease_end(machine->catalog, lease->id);
}

static int lease_end(struct machine *machine, struct lease *lease, int *budget)
{
	int code = delete_keys(machine, lease->id, budget);
	if (code < 0)
		return code;
	struct effect *effect = effect_add(machine, code == 1 ? EFFECT_LEASE_ENDED : EFFECT_LEASE_ENDING, 0);
	effect->lease = lease->id;
	if (code == 0)
		return lease_ending(machine, lease);
	code = catalog_lease_delete(machine->catalog, lease->id);
	HASH_DELETE(hh, machine->leases, lease);
	mem_free(lease);
	return code;
}

int apply_end_leases(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	int budget = KEYS_ENDED_AT_ONCE;
	int code = 0;
	size_t found = 0;
	for (size_t i = 0; i < command->end_leases.count && code == 0; i++) {
		struct lease *lease = lease_find(machine, command->end_leases.leases[i]);
		if (lease == NULL)
			continue;
		found++;
		code = lease_end(machine, lease, &budget);
	}
	if (code == 0 && found == 0 && command->session != 0)
		*ret_answer = answer_error(ERR_NOT_FOUND, "there is no lease %" PRIu64 ": it was never granted, or has ended",
		                           command->end_leases.count != 0 ? command->end_leases.leases[0] : 0);
	ret_answer->number = code == 0 && found != 0 ? machine->applied_index : ret_answer->number;
	return code == 0 ? changes_drop(machine) : code;
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

const struct lease *machine_lease(const struct machine *machine, uint64_t id)
{
	return lease_find(machine, id);
}

size_t machine_lease_count(const struct machine *machine)
{
	return HASH_COUNT(machine->leases);
}

static int compare_ids(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;
	return a < b ? -1 : a > b;
}

size_t machine_leases(const struct machine *machine, uint64_t *ret_ids, size_t count)
{
	size_t found = 0;
	for (const struct lease *lease = machine->leases; lease != NULL && found < count; lease = lease->hh.next)
		ret_ids[found++] = lease->id;
	qsort(ret_ids, found, sizeof *ret_ids, compare_ids);
	return found;
}
