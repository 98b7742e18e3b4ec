#include "daemon/host_internal.h"

#include "base/memory.h"

#include <string.h>

static void disk_synced(void *context, uint64_t index)
{
	node_synced(((struct host *)context)->node, index);
}

static void disk_vote_saved(void *context)
{
	node_vote_saved(((struct host *)context)->node);
}

static void disk_identity_saved(void *context)
{
	struct host *host = context;
	network_set_cluster(host->network, host->cluster_id);
	node_identity_saved(host->node);
}

static void disk_entries(void *context, uint64_t tag, const struct wal_record *records, size_t count)
{
	node_entries(((struct host *)context)->node, tag, records, count);
}

static void disk_checkpointed(void *context, bool complete)
{
	(void)complete;
	upkeep_checkpointed(&((struct host *)context)->upkeep);
}

static uint64_t disk_needed(void *context)
{
	return node_needed_index(((struct host *)context)->node);
}

static void disk_compacted(void *context, uint64_t index)
{
	node_compacted(((struct host *)context)->node, index);
}

static void disk_installed(void *context)
{
	struct host *host = context;
	struct error error = {0};
	if (catalog_accept(host->catalog) != 0) {
		error_set(&error, ERR_IO, "%s: %s", host->catalog_path, catalog_error(host->catalog));
		host_fail(host, &error);
		return;
	}
	snapshots_installed(host->snapshots);
	node_snapshot_installed(host->node);
}

const struct disk_handler host_disk_handler = {
	.synced = disk_synced,
	.vote_saved = disk_vote_saved,
	.identity_saved = disk_identity_saved,
	.entries = disk_entries,
	.checkpointed = disk_checkpointed,
	.needed = disk_needed,
	.compacted = disk_compacted,
	.installed = disk_installed,
	.failed = host_fail,
};

static void snapshot_made(void *context, const struct raft_snapshot *snapshot)
{
	node_snapshot_made(((struct host *)context)->node, snapshot);
}

static void snapshot_written(void *context)
{
	node_chunk_written(((struct host *)context)->node);
}

const struct snapshots_handler host_snapshots_handler = {snapshot_made, snapshot_written, host_fail};

static struct call_id call_of(struct executor_key key)
{
	return (struct call_id){key.instance, key.ref, key.attempt};
}

static void call_finished(void *context, const struct executor_result *result)
{
	node_call_finished(((struct host *)context)->node, call_of(result->key), result->failed, result->final, result->value,
	                   result->metadata);
}

static void call_heartbeat(void *context, struct executor_key key)
{
	node_call_heartbeat(((struct host *)context)->node, call_of(key));
}

static int call_fetch(void *context, struct slice hash, bool *ret_executable, struct buffer *ret_content,
                      struct error *error)
{
	return node_file(((struct host *)context)->node, hash, ret_executable, ret_content, error);
}

const struct executor_handler host_executor_handler = {call_finished, call_heartbeat, call_fetch};

/* The node only notes it: it may have asked for it just now. */
static void task_report(void *context, const struct allocation_report *report)
{
	node_task_report(((struct host *)context)->node, report);
}

static void task_wants(void *context, const struct job_program *program)
{
	programs_want(((struct host *)context)->programs, program);
}

const struct allocations_handler host_allocations_handler = {task_report, call_fetch, task_wants};

static void program_ask(void *context, uint32_t stream, const Clusterd__Wire__Request *request)
{
	node_request(((struct host *)context)->node, NODE_HOST_CONNECTION, stream, request, SLICE(""));
}

static size_t program_holders(void *context, const struct slice *names, size_t count, uint64_t *ret_ids, size_t most)
{
	return node_others(((struct host *)context)->node, names, count, ret_ids, most);
}

static bool program_wanted(void *context, const char *hash)
{
	return node_wants_program(((struct host *)context)->node, slice_of(hash));
}

static void program_supplied(void *context, const char *hash, const char *path, const char *why)
{
	allocations_supply(((struct host *)context)->allocations, slice_of(hash), path, why);
}

const struct programs_handler host_programs_handler = {
	.ask = program_ask,
	.holders = program_holders,
	.wanted = program_wanted,
	.supplied = program_supplied,
	.answer = host_answer,
};

static void peer_up(void *context, uint64_t member)
{
	node_peer_up(((struct host *)context)->node, member);
}

static void peer_down(void *context, uint64_t member)
{
	node_peer_down(((struct host *)context)->node, member);
}

static void peer_message(void *context, uint64_t member, int frame_type, uint32_t stream, const ProtobufCMessage *message,
                         struct slice payload)
{
	node_peer_message(((struct host *)context)->node, member, frame_type, stream, message, payload);
}

static void peer_exchange(void *context, const char *from, struct slice bytes, struct buffer *reply)
{
	node_exchange(((struct host *)context)->node, from, bytes, reply);
}

static void peer_exchange_failed(void *context, const char *address)
{
	node_exchange_failed(((struct host *)context)->node, address);
}

static void datagram_came(void *context, const char *from, struct slice bytes)
{
	node_datagram(((struct host *)context)->node, from, bytes);
}

const struct network_handler host_network_handler = {
	.peers = {peer_up, peer_down, peer_message, peer_exchange, peer_exchange_failed},
	.datagram = datagram_came,
};

static void respond_failed(struct host *host, const struct reader_answer *answer)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Error error = CLUSTERD__WIRE__ERROR__INIT;
	error.code = answer->code;
	error.text = (char *)(uintptr_t)answer->error.text;
	response.error = &error;
	node_respond(host->node, answer->connection, answer->stream, &response, SLICE(""));
}

static void respond_rows(struct host *host, const struct reader_answer *answer)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Rows rows = CLUSTERD__WIRE__ROWS__INIT;
	uint32_t count = answer->result.column_count;
	char **columns = mem_array(count, sizeof *columns);
	char *name = answer->result.columns.data;
	for (uint32_t i = 0; i < count; i++, name += strlen(name) + 1)
		columns[i] = name;
	rows.columns = columns;
	rows.n_columns = count;
	rows.truncated = answer->result.truncated;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_ROWS;
	response.rows = &rows;
	node_respond(host->node, answer->connection, answer->stream, &response, buffer_slice(&answer->result.rows));
	mem_free(columns);
}

void host_reader_answered(void *context, const struct reader_answer *answer)
{
	struct host *host = context;
	if (answer->code != 0)
		respond_failed(host, answer);
	else if (answer->copy_path != NULL)
		service_send_file(network_service(host->network), answer->connection, answer->stream, answer->copy_path);
	else
		respond_rows(host, answer);
}

void host_found(void *context, const struct places *places)
{
	const char *seeds[PLACES_MAX];
	for (size_t i = 0; i < places->count; i++)
		seeds[i] = places->places[i].address;
	node_seeds(((struct host *)context)->node, seeds, places->count);
}
