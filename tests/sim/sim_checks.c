#include "sim/sim.h"

#include "base/memory.h"
#include "daemon/node_internal.h"

#include <inttypes.h>

/* What must hold of all servers together (Raft dissertation, figure 3.2). The nodes are looked into; nothing of them is changed. */

/* The last entry that was committed in a term before this one. */
static uint64_t committed_before(const struct sim *sim, uint64_t term)
{
	uint64_t index = log_last(&sim->committed);
	while (index > 0 && sim->committed_in[index - 1] >= term)
		index--;
	return index;
}

/* One leader in a term, and it has all that was committed in earlier ones. */
static void check_leader(struct server *server)
{
	struct sim *sim = server->sim;
	uint64_t term = raft_term(server->node->raft);
	uint64_t committed = committed_before(sim, term);
	server->led_term = term;
	sim->counts[COUNT_LEADERS]++;
	server_trace(server, "leads in term %" PRIu64, term);
	if (term >= sim->leader_capacity) {
		size_t old = sim->leader_capacity;
		mem_grow(sim->leaders, sim->leader_capacity, term + 1);
		memset(sim->leaders + old, 0, (sim->leader_capacity - old) * sizeof *sim->leaders);
	}
	if (sim->leaders[term] != 0)
		server_fail(server, "leads in term %" PRIu64 ", in which n%" PRIu64 " led", term, sim->leaders[term]);
	sim->leaders[term] = server->number + 1;
	if (committed == 0 || committed <= server->log.base)
		return;
	const struct sim_entry *entry = log_at(&server->log, committed);
	if (entry == NULL)
		server_fail(server, "leads in term %" PRIu64 " without entry %" PRIu64 ", which was committed", term, committed);
	if (entry->term != log_at(&sim->committed, committed)->term)
		server_fail(server, "leads in term %" PRIu64 " with another entry %" PRIu64 " than the one that was committed", term,
		            committed);
}

static bool has_durably(const struct server *server, uint64_t index, uint64_t term)
{
	const struct sim_entry *entry = log_at(&server->durable, index);
	return index <= server->durable.base || (entry != NULL && entry->term == term);
}

static const struct server *server_of(const struct sim *sim, uint64_t id)
{
	for (uint32_t i = 0; i < sim->server_count; i++) {
		if (sim->servers[i]->vote.node_id == id)
			return sim->servers[i];
	}
	return NULL;
}

/* What is applied anywhere for the first time is on the disks of most voters. When a change of the group has been begun since, it is those
 * of the group before it that count, which may have had one more or one less. */
static void check_durable(struct server *server, uint64_t index, uint64_t term)
{
	const struct raft_configuration *configuration = raft_configuration(server->node->raft);
	uint32_t voters = 0;
	uint32_t have = 0;
	for (uint32_t i = 0; i < configuration->count; i++) {
		const struct server *member = server_of(server->sim, configuration->members[i].id);
		if (!configuration->members[i].voter)
			continue;
		voters++;
		have += member != NULL && has_durably(member, index, term);
	}
	bool changed = configuration->index > index;
	if (changed ? 2 * have < voters : 2 * have <= voters)
		server_fail(server, "entry %" PRIu64 " was applied, but only %u of %u voters have it on their disks", index, have,
		            voters);
}

/* All servers apply the same. */
static void check_applied(struct server *server)
{
	struct sim *sim = server->sim;
	uint64_t applied = node_applied_index(server->node);
	for (uint64_t index = server->checked + 1; index <= applied; index++) {
		const struct sim_entry *entry = log_at(&server->log, index);
		const struct sim_entry *committed = log_at(&sim->committed, index);
		if (entry == NULL && index <= server->log.base)
			continue; /* of a copy that was installed */
		if (entry == NULL)
			server_fail(server, "entry %" PRIu64 " was applied, and is not in the log", index);
		if (committed == NULL) {
			check_durable(server, index, entry->term);
			mem_grow(sim->committed_in, sim->committed_in_capacity, index);
			sim->committed_in[index - 1] = raft_term(server->node->raft);
			log_append(&sim->committed, entry->term, entry->body);
		} else if (committed->term != entry->term || committed->body != entry->body) {
			server_fail(server, "applied an entry %" PRIu64 " of term %" PRIu64 ", another server one of term %" PRIu64, index,
			            entry->term, committed->term);
		}
	}
	server->checked = applied;
}

void checks_applied(struct server *server)
{
	if (server->checked != node_applied_index(server->node))
		check_applied(server);
}

/* A leader changes the group when the last change is committed. */
static void check_configuration(struct server *server)
{
	const struct raft *raft = server->node->raft;
	uint64_t index = raft_configuration(raft)->index;
	bool begun = raft_role(raft) == RAFT_LEADER && server->led_term == raft_term(raft) && index > server->configuration;
	if (begun && server->configuration > raft_commit_index(raft))
		server_fail(server, "changes the group with entry %" PRIu64 ", when entry %" PRIu64 " with the last change is not "
		            "committed", index, server->configuration);
	server->configuration = index;
}

void checks_turn(struct server *server)
{
	checks_applied(server);
	check_configuration(server);
	if (raft_role(server->node->raft) == RAFT_LEADER && server->led_term != raft_term(server->node->raft))
		check_leader(server);
}

/* What a server finds on its disks when it starts: its catalog has applied nothing but what is committed. */
void checks_restarted(struct server *server)
{
	struct sim *sim = server->sim;
	uint64_t applied = 0;
	bool alone = sim->server_count == 1;
	if (catalog_meta_number(server->catalog, "applied_index", &applied) != 0)
		server_fail(server, "the catalog cannot be read: %s", catalog_error(server->catalog));
	if (applied > log_last(&sim->committed))
		server_fail(server, "the catalog has entry %" PRIu64 " applied, but no server applied it", applied);
	server->checked = applied;
	server->led_term = 0;
	server->configuration = 0;
	if (!sim->expired && (alone || sim_chance(sim, 5)))
		audit_catalog(server);
	if (alone || sim_chance(sim, 25))
		reference_compare(server, alone || sim_chance(sim, 8), "after the restart");
}
