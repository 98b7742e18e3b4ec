#include "daemon/node_internal.h"

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

void status_print(struct node *node, struct buffer *out)
{
	const char *state = node->ready ? "primary" : "inactive";
	buffer_append_string(out, "{\"node\":");
	json_quote(out, slice_of(node->name));
	field_text(out, "state", state);
	field_text(out, "role", "server");
	field_text(out, "leader", node->ready ? node->name : "");
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
	field_number(out, "requests_refused", node->counts.refused);
	field_number(out, "requests_busy", node->counts.busy);
	field_number(out, "requests_forwarded", node->counts.forwarded);
	field_number(out, "results_ignored", node->counts.results_ignored);
	field_number(out, "elections", node->counts.elections);
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
		return error_set(error, ERR_NOT_FOUND, "there is no process or workflow %s", what->name);
	if (!what->term) {
		buffer_append_slice(out, definition->source);
		return 0;
	}
	if (definition->kind != DEFINITION_WORKFLOW)
		return error_set(error, ERR_INVALID, "%s is a process: only a workflow is a term", what->name);
	program_print(definition->program, out);
	return 0;
}

int inspect_instance(struct node *node, const Clusterd__Wire__InspectInstance *what, struct buffer *out,
                     struct error *error)
{
	return machine_print_instance(node->machine, what->instance, what->step, out, error);
}
