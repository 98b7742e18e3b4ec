#include "sim/sim_jobs.h"

#include "daemon/node_internal.h"

#include <inttypes.h>
#include <stdio.h>

/* Machines come and go: one joins, one leaves for good, one is lost with its disks, or damaged, and another one takes its place. An
 * operator removes from the group who will not come back.
 *
 * What was acknowledged may be lost with more than half of the disks, so one machine is lost at a time: the next when the group
 * has recovered. */

#define MACHINES_MAX 9     /* in a run */
#define OPERATOR_MS 2000

/* It is in use, and will be. */
bool server_stays(const struct server *server)
{
	return !server->gone;
}

uint32_t machines_present(const struct sim *sim)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < sim->server_count; i++)
		count += server_stays(sim->servers[i]);
	return count;
}

struct server *machines_some(struct sim *sim)
{
	struct server *server;
	do
		server = sim->servers[sim_below(sim, sim->server_count)];
	while (!server_stays(server));
	return server;
}

static const struct raft_configuration *configuration_of(const struct server *server)
{
	return raft_configuration(server->node->raft);
}

static bool has_vote(const struct server *server, uint64_t id)
{
	const struct raft_configuration *configuration = configuration_of(server);
	for (uint32_t i = 0; i < configuration->count; i++) {
		if (configuration->members[i].id == id)
			return configuration->members[i].voter;
	}
	return false;
}

/* All voters are there, healthy, and all servers agree who they are. */
static bool is_stable(const struct sim *sim)
{
	const struct server *first = NULL;
	for (uint32_t i = 0; i < sim->server_count; i++) {
		const struct server *server = sim->servers[i];
		if (!server_stays(server))
			continue;
		if (server->damaged || !server_is_up(server) || !node_ready(server->node))
			return false;
		if (first != NULL && configuration_of(first)->index != configuration_of(server)->index)
			return false;
		first = first != NULL ? first : server;
	}
	for (uint32_t i = 0; i < sim->server_count && first != NULL; i++) {
		if (!server_stays(sim->servers[i]) && has_vote(first, sim->servers[i]->vote.node_id))
			return false;
	}
	return first != NULL && node_applied_index(first->node) >= configuration_of(first)->index;
}

/* One voter may be lost for good, now or until what is damaged is noticed: the others are still most of them, and nobody is about to take
 * his vote away. */
static bool bears_a_loss(const struct sim *sim)
{
	uint32_t voters = 0;
	for (uint32_t i = 0; i < sim->server_count; i++) {
		const struct server *server = sim->servers[i];
		if (!server_stays(server))
			continue;
		if (server->node->leaving)
			return false;
		voters += has_vote(server, server->vote.node_id);
	}
	return voters > 2;
}

static void join(struct sim *sim)
{
	struct server *server = server_create(sim, sim->server_count);
	sim->servers[sim->server_count++] = server;
	sim->counts[COUNT_JOINED]++;
	server_trace(server, "--- a new machine");
	server_start(server);
}

/* For good: nothing of it comes back. */
void machines_lost(struct server *server)
{
	struct sim *sim = server->sim;
	server_trace(server, "--- the machine is lost, with its disks");
	server->gone = true;
	server->damaged = false;
	tasks_gone(server);
	sim->counts[COUNT_LOST_MACHINES]++;
	join(sim);
}

void machines_left(struct server *server)
{
	server_trace(server, "--- it has left for good");
	server->gone = true;
	tasks_keep_only(server, NULL, 0);
	server->sim->counts[COUNT_LEFT]++;
	server_go_down(server, DOWN_STOP);
}

static void ask(struct server *server, const Clusterd__Wire__Request *message)
{
	server->touched = true;
	node_request(server->node, server->sim->next_connection++, 1, message, SLICE(""));
}

static void ask_to_leave(struct server *server)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Leave body = CLUSTERD__WIRE__LEAVE__INIT;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_LEAVE;
	message.leave = &body;
	server_trace(server, "is asked to leave");
	ask(server, &message);
}

static void ask_for_another_leader(struct server *server)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Transfer body = CLUSTERD__WIRE__TRANSFER__INIT;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_TRANSFER;
	message.transfer = &body;
	server_trace(server, "is asked for another leader");
	server->sim->counts[COUNT_HANDED_OVER]++;
	ask(server, &message);
}

static void ask_to_remove(struct server *server, struct server *gone)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Remove body = CLUSTERD__WIRE__REMOVE__INIT;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_REMOVE;
	message.remove = &body;
	body.member = gone->name;
	server_trace(server, "is asked to remove %s", gone->name);
	ask(server, &message);
}

static void operate(void *subject, uint64_t unused1, uint64_t unused2)
{
	struct sim *sim = subject;
	struct server *server = machines_some(sim);
	(void)unused1;
	(void)unused2;
	sim_after(sim, OPERATOR_MS, operate, 0, 0);
	if (!server_answers(server))
		return;
	for (uint32_t i = 0; i < sim->server_count && server_answers(server); i++) {
		if (!server_stays(sim->servers[i]) && has_vote(server, sim->servers[i]->vote.node_id))
			ask_to_remove(server, sim->servers[i]);
	}
}

/* --- damage -------------------------------------------------------------------------------------------------------- */

static void restart(void *subject, uint64_t unused1, uint64_t unused2)
{
	struct server *server = subject;
	(void)unused1;
	(void)unused2;
	if (server->damaged)
		server_go_down(server, DOWN_POWER);
}

/* A bit of the log or of the vote is not what was written. It is noticed, at the latest when the node starts again; until then nothing
 * else may be lost. */
static void damage(struct server *server)
{
	struct sim *sim = server->sim;
	struct buffer names = BUFFER_EMPTY;
	bool vote = sim_chance(sim, 20);
	struct fs *fs = vote ? server->fs : server->log_fs;
	size_t size = 0;
	const char *name;
	if (fs->operations->list(fs, &names) != 0 || names.size == 0) {
		buffer_finish(&names);
		return;
	}
	/* The newest is the last one. */
	name = names.data;
	for (const char *next = name; next < names.data + names.size; next += strlen(next) + 1) {
		if (sim_chance(sim, 50))
			name = next;
	}
	if (faulty_fs_bytes(fs, name, &size) != NULL && size > 0) {
		uint64_t offset = sim_below(sim, size);
		server_trace(server, "--- a bit of %s flips, at byte %" PRIu64 " of %zu", name, offset, size);
		faulty_fs_flip(fs, name, offset, (unsigned)sim_below(sim, 8));
		server->damaged = true;
		sim->counts[COUNT_FLIPPED]++;
		server_after(server, (msec)sim_below(sim, 8000), restart, 0, 0);
	}
	buffer_finish(&names);
}

/* --- what happens -------------------------------------------------------------------------------------------------- */

void machines_trouble(struct sim *sim, unsigned int kind)
{
	struct server *server = machines_some(sim);
	uint32_t present = machines_present(sim);
	bool room = sim->server_count < MACHINES_MAX;
	if (!is_stable(sim) || !server_answers(server))
		return;
	if (kind == SIM_FLIP) {
		if (room && bears_a_loss(sim))
			damage(server);
		return;
	}
	switch (sim_below(sim, 4)) {
	case 0:
		ask_for_another_leader(server);
		break;
	case 1:
		if (room && present <= sim->founder_count)
			join(sim);
		break;
	case 2:
		if (present > sim->founder_count)
			ask_to_leave(server);
		break;
	default:
		if (room && bears_a_loss(sim)) {
			server_go_down(server, DOWN_POWER);
			machines_lost(server);
		}
		break;
	}
}

/* Who is damaged is found out now. */
void machines_calm(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->server_count; i++) {
		if (server_is_up(sim->servers[i]) && sim->servers[i]->damaged)
			server_go_down(sim->servers[i], DOWN_POWER);
	}
}

void machines_init(struct sim *sim)
{
	if (sim->founder_count > 1)
		sim_after(sim, OPERATOR_MS, operate, 0, 0);
}
