#include "daemon/cluster.h"

#include "base/json.h"

#include <inttypes.h>

static void field_text(struct buffer *out, const char *name, const char *value)
{
	buffer_format(out, ",\"%s\":", name);
	json_quote(out, slice_of(value));
}

static void field_number(struct buffer *out, const char *name, uint64_t value)
{
	buffer_format(out, ",\"%s\":%" PRIu64, name, value);
}

static uint64_t lease_left(const struct node *node)
{
	msec end = raft_lease_end(node->raft);
	msec left = end - node->host->now(node->context);
	return end != MSEC_NEVER && left > 0 ? (uint64_t)left : 0; /* by itself a node needs none */
}

static void gossip_print(const struct node *node, struct buffer *out)
{
	const struct gossip_counts *counts = gossip_counts(node->gossip);
	field_number(out, "gossip_probes", counts->probes);
	field_number(out, "gossip_probes_failed", counts->probes_failed);
	field_number(out, "gossip_suspicions", counts->suspicions);
	field_number(out, "gossip_refuted", counts->refuted);
	field_number(out, "gossip_exchanges", counts->exchanges);
	field_number(out, "gossip_refused_cluster", counts->refused_cluster);
	field_number(out, "gossip_refused_other", counts->refused_protocol + counts->refused_malformed +
	                                                  counts->refused_stale + counts->refused_conflict +
	                                                  counts->refused_forgotten + counts->refused_full);
	field_number(out, "stamps_refused", node->clock.refused);
}

const char *status_state(const struct node *node)
{
	if (node->leader)
		return node->ready ? "primary" : STATUS_INACTIVE;
	bool led = node->agent ? node->runner.leader != 0 : cluster_leader_name(node)[0] != '\0';
	return led ? "secondary" : STATUS_INACTIVE;
}

void status_print(struct node *node, struct buffer *out)
{
	const char *leader = cluster_leader_name(node);
	const char *state = status_state(node);
	struct gossip_statistics members;
	gossip_statistics(node->gossip, &members);
	buffer_append_string(out, "{\"node\":");
	json_quote(out, slice_of(node->name));
	field_text(out, "state", state);
	field_text(out, "role", node->agent ? "agent" : "server");
	field_text(out, "leader", node->ready || !node->leader ? leader : "");
	field_text(out, "cluster", node->identity.cluster_id);
	field_text(out, "problem", node->problem.code != 0 ? node->problem.text : "");
	field_text(out, "address", node->address);
	field_number(out, "term", raft_term(node->raft));
	field_number(out, "last_index", raft_last_index(node->raft));
	field_number(out, "commit_index", raft_commit_index(node->raft));
	field_number(out, "applied_index", machine_applied_index(node->machine));
	field_number(out, "apply_lag", raft_commit_index(node->raft) - machine_applied_index(node->machine));
	field_number(out, "log_queue", raft_last_index(node->raft) - machine_applied_index(node->machine));
	field_number(out, "catalog_wal_bytes", catalog_wal_size(node->catalog));
	field_number(out, "instances_loaded", machine_loaded_count(node->machine));
	field_number(out, "calls_waiting", dispatch_waiting(node->dispatch));
	field_number(out, "calls_running", dispatch_running(node->dispatch));
	field_number(out, "results_waiting", sequencer_waiting(node->sequencer));
	field_number(out, "requests", node->counts.requests);
	field_number(out, "requests_waiting", waiters_count(node->waiters));
	field_number(out, "watches", waiters_count_watches(node->waiters));
	field_number(out, "leases", machine_lease_count(node->machine));
	field_number(out, "requests_refused", node->counts.refused);
	field_number(out, "requests_busy", node->counts.busy);
	field_number(out, "requests_forwarded", node->counts.forwarded);
	field_number(out, "results_ignored", node->counts.results_ignored);
	field_number(out, "elections", raft_counts(node->raft)->elections);
	field_number(out, "pre_votes", raft_counts(node->raft)->pre_votes);
	field_number(out, "times_leader", node->counts.elections);
	field_number(out, "times_cut_off", raft_counts(node->raft)->cut_off);
	field_text(out, "raft_role", raft_role_name(raft_role(node->raft)));
	field_number(out, "quorum", raft_quorum(node->raft));
	field_number(out, "lease_ms", lease_left(node));
	field_number(out, "snapshots_installed", raft_counts(node->raft)->snapshots);
	field_number(out, "raft_messages_refused", raft_counts(node->raft)->refused + node->counts.messages_refused);
	field_number(out, "raft_messages_stale", raft_counts(node->raft)->stale);
	field_number(out, "members_set_back", node->counts.set_back);
	field_number(out, "members_live", members.live);
	field_number(out, "members_dead", members.dead);
	field_number(out, "gossip_health", members.health);
	gossip_print(node, out);
	field_number(out, "log_entries", node->counts.entries);
	field_number(out, "log_batches", node->counts.batches);
	struct slice unserved = dispatch_unserved(node->dispatch);
	buffer_append_string(out, ",\"unserved\":");
	if (unserved.size != 0)
		json_quote(out, unserved);
	else
		buffer_append_string(out, "null");
	node->host->status(node->context, out);
	buffer_append_char(out, '}');
}

int inspect_process(struct node *node, const Clusterd__Wire__InspectProcess *what, struct buffer *out,
                    struct error *error)
{
	const struct definition *definition =
		registry_find(machine_registry(node->machine), slice_of(what->name), what->version);
	if (definition == NULL)
		return error_set(error, ERR_NOT_FOUND, "there is no process, workflow or job %s", what->name);
	if (!what->term) {
		buffer_append_slice(out, definition->source);
		return 0;
	}
	if (definition->kind != DEFINITION_WORKFLOW)
		return error_set(error, ERR_INVALID, "%s is a %s: only a workflow is a term", what->name,
		                 definition_kind_name(definition->kind));
	program_print(definition->program, out);
	return 0;
}

int inspect_instance(struct node *node, const Clusterd__Wire__InspectInstance *what, struct buffer *out,
                     struct error *error)
{
	return machine_print_instance(node->machine, what->instance, what->step, out, error);
}
