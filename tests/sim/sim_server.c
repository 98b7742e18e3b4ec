#include "sim/sim_jobs.h"
#include "sim/sim_topics.h"

#include "base/memory.h"
#include "daemon/log_facts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* A server: what its host does, and its lives. */

#define START_WALL 1700000000000ll
#define BROKEN_RESTARTS_MAX 3

bool server_is_up(const struct server *server)
{
	return server->node != NULL && server->down == UP && !server->swallow;
}

bool server_answers(const struct server *server)
{
	return server_is_up(server) && server->paused_until <= server->sim->now;
}

/* --- clocks -------------------------------------------------------------------------------------------------------- */

/* A clock gains `drift` microseconds a second. */
static msec at_its_rate(const struct server *server)
{
	return server->sim->now + server->sim->now * server->drift / 1000000;
}

msec server_now(const struct server *server)
{
	return server->clock_offset + at_its_rate(server);
}

/* When the server's clock will show it, at the earliest. */
static msec world_time(const struct server *server, msec time)
{
	if (time == MSEC_NEVER || server->drift == 0)
		return time == MSEC_NEVER ? time : time - server->clock_offset;
	msec wanted = time - server->clock_offset;
	msec at = wanted * 1000000 / (1000000 + server->drift);
	while (at + at * server->drift / 1000000 < wanted)
		at++;
	return at;
}

/* --- the host ------------------------------------------------------------------------------------------------------ */

void server_go_down(struct server *server, enum sim_down how)
{
	static const char *const words[] = {"", "the power goes", "the process is killed", "it stops", "it cannot go on"};
	if (server->down != UP)
		return;
	server_trace(server, "--- %s", words[how]);
	server->down = how;
	server->swallow = true;
	if (how == DOWN_POWER || how == DOWN_KILL)
		faulty_vfs_power_off(server->vfs, SIM_CATALOG);
}

/* The disk or the node has failed: right when that was asked for, and a mistake else. */
void server_broken(struct server *server, const struct error *error)
{
	if (server->swallow)
		return;
	if (server->cut_in_catalog || faulty_fs_is_off(server->log_fs) || faulty_fs_is_off(server->fs)) {
		server_go_down(server, DOWN_POWER);
		return;
	}
	if (server->damaged && error->code == ERR_CORRUPT) {
		server_trace(server, "failed: %s", error->text);
		server_go_down(server, DOWN_BROKEN);
		return;
	}
	if (!server->may_break || (error->code != ERR_IO && error->code != ERR_NO_SPACE))
		server_fail(server, "the node ended by itself: %s", error->text);
	server_trace(server, "failed: %s", error->text);
	server_go_down(server, DOWN_BROKEN);
}

/* Every wish of the node comes through here; false: it is not to be carried out, for the process is dead. */
static bool host_enter(struct server *server)
{
	if (server->failed)
		server_fail(server, "the node wishes for something after it said that it cannot go on");
	if (server->swallow)
		return false;
	if (++server->host_calls == server->cut_at) {
		server_go_down(server, server->cut_how);
		return false;
	}
	uint64_t applied = server->node != NULL ? node_applied_index(server->node) : 0;
	if (applied > log_last(&server->durable) && server->sim->options.plant != PLANT_SYNCED_EARLY)
		server_fail(server, "entry %" PRIu64 " was applied, but the log is synced up to %" PRIu64 " only", applied,
		            log_last(&server->durable));
	return true;
}

static msec host_now(void *context)
{
	return server_now(context);
}

msec server_wall(const struct server *server)
{
	return START_WALL + at_its_rate(server) + server->wall_offset;
}

static msec host_wall(void *context)
{
	return server_wall(context);
}

static long long host_now_us(void *context)
{
	struct server *server = context;
	return server->microseconds += server->microseconds_step;
}

static void host_append(void *context, const struct wal_record *records, size_t count)
{
	if (host_enter(context))
		disk_give_append(context, records, count);
}

static void host_cut(void *context, uint64_t last)
{
	if (host_enter(context))
		disk_give_cut(context, last);
}

static void host_read(void *context, uint64_t tag, uint64_t from, uint64_t to)
{
	if (host_enter(context))
		disk_give_read(context, tag, from, to);
}

static void host_save_vote(void *context, uint64_t term, uint64_t voted_for)
{
	if (host_enter(context))
		disk_give_vote(context, term, voted_for);
}

static void host_save_identity(void *context, const struct node_identity *identity)
{
	if (host_enter(context))
		disk_give_identity(context, identity);
}

static void host_respond(void *context, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                         struct slice payload)
{
	if (host_enter(context))
		clients_response(context, connection, stream, response, payload);
}

static void host_send(void *context, uint64_t connection, int frame_type, const ProtobufCMessage *message,
                      struct slice payload)
{
	if (host_enter(context))
		workers_frame(context, connection, frame_type, message, payload);
}

static void host_query(void *context, uint64_t connection, uint32_t stream, const struct node_query *query)
{
	(void)connection;
	(void)stream;
	(void)query;
	server_fail(context, "a query that nobody asked for");
}

static void host_save_snapshot(void *context, uint64_t connection, uint32_t stream)
{
	(void)connection;
	(void)stream;
	server_fail(context, "a snapshot that nobody asked for");
}

static void host_call_start(void *context, struct call_id call, const struct definition *process, struct text *args)
{
	if (host_enter(context))
		calls_start(context, call, process, args);
}

static void host_call_abandon(void *context, struct call_id call)
{
	if (host_enter(context))
		calls_abandon(context, call);
}

static void host_task_start(void *context, const struct allocation_order *order)
{
	if (host_enter(context))
		tasks_start(context, order);
}

static void host_task_stop(void *context, uint64_t allocation)
{
	if (host_enter(context))
		tasks_stop(context, allocation);
}

static void host_task_taken(void *context, uint64_t allocation)
{
	if (host_enter(context))
		tasks_taken(context, allocation);
}

static void host_tasks_keep_only(void *context, const uint64_t *known, size_t count)
{
	if (host_enter(context))
		tasks_keep_only(context, known, count);
}

static void host_peer_address(void *context, uint64_t member, const char *address)
{
	if (host_enter(context))
		net_address(context, member, address);
}

static void host_peer_send(void *context, uint64_t member, int frame_type, uint32_t stream, const ProtobufCMessage *message,
                           const struct slice *payload, size_t payload_count)
{
	if (host_enter(context))
		net_send(context, member, frame_type, stream, message, payload, payload_count);
}

static void host_datagram_send(void *context, const char *address, struct slice bytes)
{
	if (host_enter(context))
		net_datagram(context, address, bytes);
}

static void host_exchange_send(void *context, const char *address, struct slice bytes)
{
	if (host_enter(context))
		net_exchange(context, address, bytes);
}

static void host_snapshot_make(void *context)
{
	if (host_enter(context))
		snapshot_make(context);
}

static void host_snapshot_release(void *context)
{
	if (host_enter(context))
		snapshot_release(context);
}

static int host_snapshot_read(void *context, uint64_t offset, size_t size, struct buffer *out)
{
	return host_enter(context) ? snapshot_read(context, offset, size, out) : ERR_IO;
}

static void host_chunk_write(void *context, const struct raft_snapshot *snapshot, uint64_t offset, struct slice bytes)
{
	if (host_enter(context))
		snapshot_write(context, snapshot, offset, bytes);
}

static void host_snapshot_install(void *context, const struct raft_snapshot *snapshot)
{
	if (host_enter(context))
		snapshot_install(context, snapshot);
}

static void host_left(void *context)
{
	if (host_enter(context))
		machines_left(context);
}

static void host_status(void *context, struct buffer *out)
{
	(void)context;
	(void)out;
}

static void host_fail(void *context, const struct error *error)
{
	struct server *server = context;
	server_broken(server, error);
	server->failed = true;
}

static const struct node_host node_host = {
	.now = host_now,
	.wall = host_wall,
	.now_us = host_now_us,
	.append = host_append,
	.cut = host_cut,
	.read = host_read,
	.save_vote = host_save_vote,
	.save_identity = host_save_identity,
	.respond = host_respond,
	.send = host_send,
	.query = host_query,
	.save_snapshot = host_save_snapshot,
	.call_start = host_call_start,
	.call_abandon = host_call_abandon,
	.task_start = host_task_start,
	.task_stop = host_task_stop,
	.task_taken = host_task_taken,
	.tasks_keep_only = host_tasks_keep_only,
	.peer_address = host_peer_address,
	.peer_send = host_peer_send,
	.datagram_send = host_datagram_send,
	.exchange_send = host_exchange_send,
	.snapshot_make = host_snapshot_make,
	.snapshot_release = host_snapshot_release,
	.snapshot_read = host_snapshot_read,
	.chunk_write = host_chunk_write,
	.snapshot_install = host_snapshot_install,
	.left = host_left,
	.status = host_status,
	.fail = host_fail,
};

/* --- lives --------------------------------------------------------------------------------------------------------- */

/* Whether the log goes on where the catalog ends (daemon/data_dir.c). It does, unless a copy became the catalog just before. */
static bool log_fits(const struct server *server, uint64_t applied, uint64_t applied_term, uint64_t last)
{
	const struct sim_entry *entry = log_at(&server->durable, applied);
	return applied == 0 || (applied <= last && (entry == NULL || entry->term == applied_term));
}

static int note_facts(struct server *server, struct wal_recovery *recovery, struct log_facts *facts, struct error *error)
{
	uint64_t applied = 0;
	uint64_t term = 0;
	int code = catalog_meta_number(server->catalog, "applied_index", &applied);
	if (code == 0)
		code = catalog_meta_number(server->catalog, "applied_term", &term);
	if (code != 0)
		return error_set(error, code, "the catalog cannot be read: %s", catalog_error(server->catalog));
	if (!log_fits(server, applied, term, recovery->last_index)) {
		if (server->installing == 0 && !server->may_break)
			server_fail(server, "the catalog has entry %" PRIu64 " of term %" PRIu64 " applied, and the log does not fit",
			            applied, term);
		code = disk_empty_log(server, applied, recovery, error);
	}
	if (code == 0)
		server->installing = 0; /* else the next start finds the same */
	server_trace(server, "found: log up to %" PRIu64 ", applied up to %" PRIu64 ", term %" PRIu64, recovery->last_index,
	             applied, server->vote.term);
	for (uint64_t index = applied + 1; index <= recovery->last_index && code == 0; index++) {
		const struct sim_entry *entry = log_at(&server->durable, index);
		struct wal_record record = {index, entry->term, text_slice(entry->body)};
		code = log_facts_add(facts, &record, error);
	}
	return code;
}

/* The vote was told of the cluster first, and the power may have gone before the catalog was (daemon/data_dir.c). */
static int note_cluster_id(struct server *server, struct error *error)
{
	struct buffer known = BUFFER_EMPTY;
	struct slice own = slice_of(server->vote.cluster_id);
	int code = catalog_meta_text(server->catalog, "cluster_id", &known);
	if (code == 0 && known.size == 0 && own.size != 0) {
		code = catalog_begin(server->catalog);
		if (code == 0)
			code = catalog_meta_set_text(server->catalog, "cluster_id", own);
		if (code == 0)
			code = catalog_commit(server->catalog);
	} else if (code == 0 && !slice_equal(buffer_slice(&known), own)) {
		server_fail(server, "its catalog is of cluster %.*s, and its vote of %s", SLICE_ARGS(buffer_slice(&known)),
		            server->vote.cluster_id);
	}
	buffer_finish(&known);
	return code != 0 ? error_set(error, code, "the catalog cannot be noted: %s", catalog_error(server->catalog)) : 0;
}

static size_t addresses_of_others(const struct server *server, const char **addresses)
{
	size_t count = 0;
	for (uint32_t i = 0; i < server->sim->server_count; i++) {
		if (server->sim->servers[i] != server)
			addresses[count++] = server->sim->servers[i]->address;
	}
	return count;
}

static int open_node(struct server *server, struct log_facts *facts, struct error *error)
{
	struct sim *sim = server->sim;
	struct wal_recovery recovery;
	const char *seeds[SIM_SERVERS_MAX];
	int code = disk_start(server, &recovery, error);
	disk_use(server);
	if (code == 0)
		code = catalog_open(SIM_CATALOG, server->vfs_name, &server->catalog, error);
	if (code == 0)
		code = note_cluster_id(server, error);
	if (code == 0)
		code = note_facts(server, &recovery, facts, error);
	if (code != 0)
		return code;
	struct node_config config = {
		.name = server->name,
		.address = server->address,
		.datacenter = "",
		.tags = "{}",
		.id = server->vote.node_id,
		.term = server->vote.term,
		.voted_for = server->vote.voted_for,
		.identity.founder_count = server->vote.founder_count,
		.first_index = recovery.first_index,
		.last_index = recovery.last_index,
		.facts = facts,
		.seed = random_next(&sim->random),
		.exec_slots = SIM_EXEC_SLOTS,
		.pool_calls = SIM_POOL_CALLS,
		.cpu = SIM_CPU,
		.memory = SIM_MEMORY,
		.port_low = SIM_PORT_LOW,
		.port_high = SIM_PORT_HIGH,
		.generation = server->vote.starts,
		.seeds = seeds,
		.seed_count = addresses_of_others(server, seeds),
		.expect = sim->forms && server->number < sim->founder_count ? sim->founder_count : 0,
	};
	memcpy(config.identity.cluster_id, server->vote.cluster_id, NODE_CLUSTER_ID_SIZE - 1);
	memcpy(config.identity.pledged_id, server->vote.pledged_id, NODE_CLUSTER_ID_SIZE - 1);
	memcpy(config.identity.founders, server->vote.founders, sizeof config.identity.founders);
	if (!server->may_break)
		checks_restarted(server);
	return node_create(&config, server->catalog, &node_host, server, &server->node, error);
}

static void start_again(void *subject, uint64_t unused1, uint64_t unused2);

static void bring_down(struct server *server)
{
	static const enum faulty_loss losses[] = {FAULTY_LOSE_SOME, FAULTY_LOSE_SOME, FAULTY_LOSE_ALL, FAULTY_LOSE_NOTHING};
	struct sim *sim = server->sim;
	enum sim_down how = server->down;
	sim->counts[COUNT_POWER + how - DOWN_POWER]++;
	server->swallow = true;
	net_server_down(server, how == DOWN_POWER);
	if (server->node != NULL)
		checks_applied(server);
	node_destroy(server->node);
	server->node = NULL;
	catalog_close(server->catalog);
	server->catalog = NULL;
	disk_stop(server);
	snapshot_down(server);
	faults_withdraw(server);
	if (how == DOWN_POWER) {
		struct faulty_losses losses_of_log = {0, 0};
		faulty_fs_crash(server->fs);
		faulty_fs_crash(server->log_fs);
		faulty_fs_losses(server->fs, &losses_of_log);
		faulty_fs_losses(server->log_fs, &losses_of_log);
		sim->counts[COUNT_TORN] += losses_of_log.torn;
		sim->counts[COUNT_UNSYNCED] += losses_of_log.lost;
		faulty_vfs_power_on(server->vfs, SIM_CATALOG, losses[sim_below(sim, 4)]);
	} else if (how == DOWN_KILL) {
		faulty_vfs_power_on(server->vfs, SIM_CATALOG, FAULTY_LOSE_NOTHING);
	}
	calls_down(server);
	tasks_down(server, how);
	workers_down(server);
	clients_down(server);
	keys_down(server);
	topics_down(server);
	server->down = UP;
	server->due = MSEC_NEVER;
	server->paused_until = 0;
	server->drain_until = MSEC_NEVER;
	if (server->damaged && how == DOWN_BROKEN)
		machines_lost(server);
	if (server->gone)
		return;
	msec away = sim_faulty(sim, SIM_POWER) && sim->server_count > 1 && sim_chance(sim, 20) ? 20000 : 400;
	server_after_any(server, 1 + (msec)sim_below(sim, (uint64_t)away), start_again, 0, 0);
}

void server_start(struct server *server)
{
	struct sim *sim = server->sim;
	struct error error = {0};
	struct log_facts facts = LOG_FACTS_EMPTY;
	server->life++;
	server->swallow = server->failed = server->draining = server->cut_in_catalog = false;
	server->cut_at = 0;
	server->wal_at_checkpoint = 0;
	server->clock_offset = 1 + (msec)sim_below(sim, 1000000);
	server->microseconds_step = (long long[]){0, 0, 1000, 6000}[sim_below(sim, 4)];
	/* It may come up while the disk still fails. */
	server->may_break = sim_faulty(sim, SIM_IO) && server->restarts_broken < BROKEN_RESTARTS_MAX && sim_chance(sim, 10);
	if (server->may_break)
		faulty_vfs_fail(server->vfs, (enum faulty_operation)sim_below(sim, FAULTY_OPERATIONS), 1 + sim_below(sim, 60),
		                10 /* SQLITE_IOERR */, sim_chance(sim, 50));
	server_trace(server, "--- the node starts (life %u)", server->life);
	int code = open_node(server, &facts, &error);
	log_facts_finish(&facts);
	if (code != 0) {
		server_broken(server, &error);
		server->restarts_broken++;
		bring_down(server);
		return;
	}
	server->restarts_broken = 0;
	server->touched = true;
	tasks_up(server);
	node_start(server->node);
}

static void start_again(void *subject, uint64_t unused1, uint64_t unused2)
{
	(void)unused1;
	(void)unused2;
	server_start(subject);
}

void server_drain(struct server *server, msec time)
{
	if (!server_is_up(server) || server->draining)
		return;
	server_trace(server, "--- it is asked to stop");
	server->draining = true;
	server->drain_until = server->sim->now + time;
	server->touched = true;
	node_drain(server->node);
}

void server_turn(struct server *server)
{
	struct sim *sim = server->sim;
	server->touched = false;
	if (server_is_up(server))
		node_turn(server->node);
	bool applies = server_is_up(server) && node_applies(server->node);
	if (applies)
		node_apply(server->node);
	if (server_is_up(server) && server->draining && (node_quiet(server->node) || sim->now >= server->drain_until)) {
		if (sim_chance(sim, 50))
			node_settle(server->node);
		server_go_down(server, DOWN_STOP);
	}
	if (server->node != NULL && server->down != UP) {
		bring_down(server);
		return;
	}
	if (server->node == NULL)
		return;
	checks_turn(server);
	disk_turn(server);
	server->due = applies ? sim->now : world_time(server, node_deadline(server->node));
	if (server->draining)
		server->due = msec_earlier(server->due, server->drain_until);
}

/* --- machines ------------------------------------------------------------------------------------------------------ */

struct server *server_create(struct sim *sim, uint32_t number)
{
	struct server *server = mem_zero(sizeof *server);
	server->sim = sim;
	server->number = number;
	server->id = number < sim->founder_count ? sim->founders[number] : 1000 * (number + 1) + sim_below(sim, 1000);
	snprintf(server->name, sizeof server->name, "n%u", number + 1);
	snprintf(server->address, sizeof server->address, "10.0.0.%u:9189", number + 1);
	snprintf(server->vfs_name, sizeof server->vfs_name, "sim-%u", number + 1);
	server->vfs = faulty_vfs_create(server->vfs_name, false, random_next(&sim->random));
	server->due = MSEC_NEVER;
	server->drain_until = MSEC_NEVER;
	disk_init(server);
	return server;
}

void server_destroy(struct server *server)
{
	server->down = UP;
	server->swallow = true;
	if (server->node != NULL) {
		node_destroy(server->node);
		catalog_close(server->catalog);
		disk_stop(server);
		snapshot_down(server);
	}
	calls_down(server);
	tasks_gone(server);
	mem_free(server->calls);
	disk_finish(server);
	faulty_vfs_destroy(server->vfs);
	mem_free(server);
}
