#include "sim/sim.h"

#include "catalog/copy.h"

#include <inttypes.h>
#include <sqlite3.h>

/* Copies of a catalog: one that is made and given away, one that is taken and becomes the catalog, as daemon/snapshots.h has it. Nothing
 * of them outlives the process. */

#define OUT "out.db"
#define IN "in.db"

/* --- giving -------------------------------------------------------------------------------------------------------- */

static bool back_up(struct server *server)
{
	sqlite3 *from = NULL;
	sqlite3 *to = NULL;
	bool good = sqlite3_open_v2(SIM_CATALOG, &from, SQLITE_OPEN_READONLY, server->vfs_name) == SQLITE_OK &&
	            sqlite3_open_v2(OUT, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, server->vfs_name) == SQLITE_OK;
	sqlite3_backup *backup = good ? sqlite3_backup_init(to, "main", from, "main") : NULL;
	good = backup != NULL && sqlite3_backup_step(backup, -1) == SQLITE_DONE;
	sqlite3_backup_finish(backup);
	if (good && server->sim->options.plant == PLANT_COPY_WITHOUT_SESSIONS)
		good = sqlite3_exec(to, "DELETE FROM session", NULL, NULL, NULL) == SQLITE_OK;
	good = good && sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) == SQLITE_OK;
	sqlite3_close(to);
	sqlite3_close(from);
	return good;
}

static bool describe(struct server *server, struct raft_snapshot *snapshot)
{
	struct catalog_facts facts = CATALOG_FACTS_EMPTY;
	struct machine_configuration configuration = {0};
	struct error error;
	disk_use(server);
	bool good = catalog_facts_read(OUT, &facts, &error) == 0;
	if (good && facts.configuration.size > 0 &&
	    !machine_configuration_parse(buffer_slice(&facts.configuration), &configuration))
		server_fail(server, "a copy of the catalog has no configuration that can be read");
	snapshot->index = facts.applied_index;
	snapshot->term = facts.applied_term;
	snapshot->configuration = (struct raft_configuration){.index = configuration.index, .count = (uint32_t)configuration.count};
	for (size_t i = 0; i < configuration.count; i++)
		snapshot->configuration.members[i] =
			(struct raft_member){configuration.members[i].id, configuration.members[i].voter};
	snapshot->size = (uint64_t)faulty_vfs_size(server->vfs, OUT);
	snapshot->id = random_next(&server->sim->random) | 1;
	catalog_facts_finish(&facts);
	return good;
}

static void make(void *subject, uint64_t number, uint64_t unused)
{
	struct server *server = subject;
	struct raft_snapshot snapshot = {0};
	(void)unused;
	if (number != server->making)
		return;
	faulty_vfs_put(server->vfs, OUT, NULL);
	bool good = back_up(server) && describe(server, &snapshot);
	server_trace(server, "a copy as of %" PRIu64 " is %s", snapshot.index, good ? "made" : "not made");
	server->sim->counts[COUNT_COPIES] += good;
	if (!good)
		server->making = 0;
	if (!good && server->cut_in_catalog) /* this was what the power was to go at */
		server_go_down(server, DOWN_POWER);
	if (server_is_up(server))
		node_snapshot_made(server->node, good ? &snapshot : NULL);
}

void snapshot_make(struct server *server)
{
	if (server->making != 0)
		server_fail(server, "two copies of the catalog are to be made at once");
	server->making = ++server->next_copy;
	server_after(server, 1 + (msec)sim_below(server->sim, 100), make, server->making, 0);
}

void snapshot_release(struct server *server)
{
	server->making = 0;
}

int snapshot_read(struct server *server, uint64_t offset, size_t size, struct buffer *out)
{
	if (server->making == 0)
		server_fail(server, "a copy is read that there is not");
	if (sim_chance(server->sim, 20))
		size = 1 + (size_t)sim_below(server->sim, size);
	faulty_vfs_read(server->vfs, OUT, offset, size, out);
	return 0;
}

/* --- taking -------------------------------------------------------------------------------------------------------- */

static void written(void *subject, uint64_t unused1, uint64_t unused2)
{
	struct server *server = subject;
	(void)unused1;
	(void)unused2;
	node_chunk_written(server->node);
}

void snapshot_write(struct server *server, const struct raft_snapshot *snapshot, uint64_t offset, struct slice bytes)
{
	if (offset == 0)
		buffer_clear(&server->incoming);
	if (offset != server->incoming.size || bytes.size > snapshot->size - offset)
		server_fail(server, "bytes of a copy from %" PRIu64 " on do not follow the %zu that are there", offset,
		            server->incoming.size);
	buffer_append_slice(&server->incoming, bytes);
	server_after(server, (msec)sim_below(server->sim, 20), written, 0, 0);
}

static void verified(void *subject, uint64_t index, uint64_t term)
{
	struct server *server = subject;
	struct catalog_facts facts = CATALOG_FACTS_EMPTY;
	struct error error = {0};
	faulty_vfs_put(server->vfs, IN, &server->incoming);
	disk_use(server);
	if (catalog_facts_read(IN, &facts, &error) != 0) {
		server_broken(server, &error);
	} else {
		if (facts.applied_index != index || facts.applied_term != term)
			server_fail(server, "a copy that was taken is as of %" PRIu64 " instead of %" PRIu64, facts.applied_index, index);
		disk_give_install(server, IN, index);
	}
	catalog_facts_finish(&facts);
}

void snapshot_install(struct server *server, const struct raft_snapshot *snapshot)
{
	if (server->incoming.size != snapshot->size)
		server_fail(server, "a copy of %" PRIu64 " bytes is to be installed, of which there are %zu", snapshot->size,
		            server->incoming.size);
	server_trace(server, "a copy as of %" PRIu64 " is installed", snapshot->index);
	server_after(server, 1 + (msec)sim_below(server->sim, 50), verified, snapshot->index, snapshot->term);
}

void snapshot_down(struct server *server)
{
	server->making = 0;
	buffer_finish(&server->incoming);
	faulty_vfs_put(server->vfs, OUT, NULL);
	faulty_vfs_put(server->vfs, IN, NULL);
	faulty_vfs_put(server->vfs, OUT "-journal", NULL);
	faulty_vfs_put(server->vfs, IN "-journal", NULL);
}
