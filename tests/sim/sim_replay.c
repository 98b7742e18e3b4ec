#include "sim/sim.h"

#include "base/arena.h"
#include "base/memory.h"
#include "wire/command.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

/* The same log gives the same tables, however it is cut into transactions, and whether the state was in memory all along or
 * was read again from the catalog (INVARIANTS, 1). The reference applies one command at a time, and never restarts. */

#define REPLAY_VFS "sim-replay"
#define REFERENCE "reference.db"

struct sim_reference {
	struct faulty_vfs *vfs; /* that never fails, for all replays */
	char name[32];
	struct catalog *catalog;
	struct machine *machine;
	uint32_t again;         /* catalogs made since */
};

static void open_replay(struct sim *sim, const char *name, struct sim_reference *ret)
{
	struct error error = {0};
	struct command_member members[RAFT_VOTERS_MAX];
	snprintf(ret->name, sizeof ret->name, "%s", name);
	for (uint32_t i = 0; i < sim->founder_count; i++)
		members[i] = (struct command_member){sim->founders[i], true};
	if (catalog_open(name, REPLAY_VFS, &ret->catalog, &error) != 0 ||
	    machine_create(ret->catalog, &ret->machine, &error) != 0 ||
	    machine_found(ret->machine, slice_of(sim->cluster_id), members, sim->founder_count, &error) != 0)
		sim_fail(sim, "a catalog for a replay cannot be made: %s", error.text);
}

static void close_replay(struct sim *sim, struct sim_reference *replay)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	machine_destroy(replay->machine);
	catalog_close(replay->catalog);
	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0] && replay->name[0] != '\0'; i++) {
		char *name = mem_format("%s%s", replay->name, suffixes[i]);
		faulty_vfs_put(sim->reference->vfs, name, NULL);
		mem_free(name);
	}
}

static void apply_entry(struct sim *sim, struct sim_reference *replay, uint64_t index)
{
	const struct sim_entry *entry = log_at(&sim->committed, index);
	struct arena arena = {0};
	struct command command;
	struct error error = {0};
	if (command_decode(text_slice(entry->body), &arena, &command, &error) != 0)
		sim_fail(sim, "entry %" PRIu64 " of the log cannot be read: %s", index, error.text);
	if (command.stamp <= machine_last_stamp(replay->machine))
		sim_fail(sim, "entry %" PRIu64 " of the log is not stamped above the one before", index);
	if (machine_apply(replay->machine, index, entry->term, &command, &error) != 0)
		sim_fail(sim, "entry %" PRIu64 " of the log cannot be applied in a replay: %s", index, error.text);
	arena_finish(&arena);
}

/* The WAL begins anew with the next transaction. */
static void keep_short(struct sim *sim, const struct sim_reference *replay)
{
	struct error error;
	uint64_t applied;
	bool complete;
	faulty_vfs_use(sim->reference->vfs);
	if (catalog_wal_size(replay->catalog) > (1u << 20) &&
	    catalog_checkpoint(replay->name, &applied, &complete, &error) != 0)
		sim_fail(sim, "a replay cannot go on: %s", error.text);
}

/* Up to `last`, in transactions of `batch` commands. */
static void apply_entries(struct sim *sim, struct sim_reference *replay, uint64_t last, uint64_t batch)
{
	struct error error = {0};
	uint64_t index = machine_applied_index(replay->machine) + 1;
	while (index <= last) {
		uint64_t end = last - index < batch ? last : index + batch - 1;
		int code = machine_begin(replay->machine, &error);
		for (; index <= end && code == 0; index++)
			apply_entry(sim, replay, index);
		if (code == 0)
			code = machine_commit(replay->machine, &error);
		if (code != 0)
			sim_fail(sim, "a replay cannot go on: %s", error.text);
		machine_effects_done(replay->machine);
		machine_trim(replay->machine);
	}
	keep_short(sim, replay);
}

/* --- differences --------------------------------------------------------------------------------------------------- */

static void tell_rows(sqlite3 *database, const char *table, const char *one, const char *other)
{
	sqlite3_stmt *statement;
	char *sql = mem_format("SELECT * FROM %s.%s EXCEPT SELECT * FROM %s.%s", one, table, other, table);
	if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK) {
		for (int rows = 0; rows < 5 && sqlite3_step(statement) == SQLITE_ROW; rows++) {
			fprintf(stderr, "  %s has in %s:", strcmp(one, "main") == 0 ? "the node" : "the replay", table);
			for (int i = 0; i < sqlite3_column_count(statement); i++)
				fprintf(stderr, " %s", sqlite3_column_text(statement, i) != NULL
				                               ? (const char *)sqlite3_column_text(statement, i)
				                               : "NULL");
			fprintf(stderr, "\n");
		}
	}
	sqlite3_finalize(statement);
	mem_free(sql);
}

/* The rows in which two catalogs differ, for a person. */
static void tell_difference(struct sim *sim, const char *vfs, const char *name, const char *other, const char *when)
{
	static const char *const tables[] = {"meta",       "setting", "unit",   "process", "pi_instance", "pi_call",
	                                     "pi_history", "timer",   "signal", "session", "node",
	                                     "kv",         "kv_change", "lease", "lease_key"};
	sqlite3 *database;
	char *attach = mem_format("ATTACH 'file:%s?vfs=%s' AS other", other, REPLAY_VFS);
	sqlite3_open_v2(name, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI, vfs);
	sqlite3_exec(database, attach, NULL, NULL, NULL);
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
		tell_rows(database, tables[i], "main", "other");
		tell_rows(database, tables[i], "other", "main");
	}
	mem_free(attach);
	sim_fail(sim, "the tables are others than the log gives, %s", when);
}

static bool differ(struct sim *sim, struct catalog *left, const struct sim_reference *right)
{
	uint64_t hashes[2] = {0, 0};
	if (catalog_hash(left, &hashes[0]) != 0 || catalog_hash(right->catalog, &hashes[1]) != 0)
		sim_fail(sim, "a catalog cannot be read");
	return hashes[0] != hashes[1];
}

void reference_init(struct sim *sim)
{
	sim->reference = mem_zero(sizeof *sim->reference);
	sim->reference->vfs = faulty_vfs_create(REPLAY_VFS, true, 1);
	faulty_vfs_set_reliable(sim->reference->vfs);
}

/* One command at a time; where many seeds are to be run quickly, only with some of them. */
static uint64_t batch_of(const struct sim *sim)
{
	return sim->founder_count == 1 || sim->options.seed % 8 == 0 ? 1 : 64;
}

/* It begins when the cluster has begun. */
static struct sim_reference *need_reference(struct sim *sim)
{
	if (sim->reference->machine == NULL)
		open_replay(sim, REFERENCE, sim->reference);
	return sim->reference;
}

void reference_finish(struct sim *sim)
{
	close_replay(sim, sim->reference);
	faulty_vfs_destroy(sim->reference->vfs);
	mem_free(sim->reference);
}

static bool has_configuration(struct server *server)
{
	struct buffer text = BUFFER_EMPTY;
	int code = catalog_meta_text(server->catalog, "raft_configuration", &text);
	bool there = text.size > 0;
	if (code != 0)
		server_fail(server, "the catalog cannot be read: %s", catalog_error(server->catalog));
	buffer_finish(&text);
	return there;
}

void reference_compare(struct server *server, bool thoroughly, const char *when)
{
	struct sim *sim = server->sim;
	uint64_t applied = 0;
	if (server->node != NULL)
		node_settle(server->node);
	if (catalog_meta_number(server->catalog, "applied_index", &applied) != 0)
		server_fail(server, "the catalog cannot be read: %s", catalog_error(server->catalog));
	/* It may not have been founded. Who began the cluster is not in the log: a machine that came later is told of it with the first
	 * change of the group, or with a copy. */
	if (applied == 0 || (server->number >= sim->founder_count && !has_configuration(server)))
		return;
	if (applied >= machine_applied_index(need_reference(sim)->machine)) {
		apply_entries(sim, sim->reference, applied, batch_of(sim));
		if (differ(sim, server->catalog, sim->reference))
			tell_difference(sim, server->vfs_name, SIM_CATALOG, REFERENCE, when);
	} else if (thoroughly) {
		/* Transactions that had not reached the disk are gone: what is there is to be what the log gave by then. */
		struct sim_reference again = {0};
		char *name = mem_format("again-%u.db", ++sim->reference->again);
		open_replay(sim, name, &again);
		apply_entries(sim, &again, applied, applied);
		if (differ(sim, server->catalog, &again))
			tell_difference(sim, server->vfs_name, SIM_CATALOG, name, when);
		close_replay(sim, &again);
		mem_free(name);
	}
}

static void compare_replay(struct sim *sim, struct sim_reference *replay, const char *name, const char *when)
{
	if (differ(sim, replay->catalog, sim->reference))
		tell_difference(sim, REPLAY_VFS, name, REFERENCE, when);
	close_replay(sim, replay);
}

void replay_compare(struct sim *sim)
{
	struct sim_reference replay = {0};
	uint64_t last = log_last(&sim->committed);
	apply_entries(sim, sim->reference, last, batch_of(sim));
	open_replay(sim, "whole.db", &replay);
	apply_entries(sim, &replay, last, last);
	compare_replay(sim, &replay, "whole.db", "with the whole log as one transaction");
	/* In batches of any size, the state read again from the catalog after each. */
	open_replay(sim, "pieces.db", &replay);
	while (machine_applied_index(replay.machine) < last) {
		uint64_t size = 1 + sim_below(sim, 200);
		uint64_t to = machine_applied_index(replay.machine) + size;
		struct error error = {0};
		apply_entries(sim, &replay, to < last ? to : last, 1 + sim_below(sim, size));
		machine_destroy(replay.machine);
		if (machine_create(replay.catalog, &replay.machine, &error) != 0)
			sim_fail(sim, "a catalog cannot be read again: %s", error.text);
	}
	compare_replay(sim, &replay, "pieces.db", "with the state read again between transactions");
}
