#include "daemon/host_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static msec host_now(void *context)
{
	return loop_now(((struct host *)context)->loop);
}

static msec host_wall(void *context)
{
	return loop_wall(((struct host *)context)->loop);
}

static long long host_now_us(void *context)
{
	struct timespec now;
	(void)context;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void host_append(void *context, const struct wal_record *records, size_t count)
{
	disk_append(((struct host *)context)->disk, records, count);
}

static void host_cut(void *context, uint64_t last)
{
	disk_cut(((struct host *)context)->disk, last);
}

static void host_read(void *context, uint64_t tag, uint64_t from, uint64_t to)
{
	disk_read(((struct host *)context)->disk, tag, from, to, node_tag_is_member(tag));
}

static void host_save_vote(void *context, uint64_t term, uint64_t voted_for)
{
	disk_save_vote(((struct host *)context)->disk, term, voted_for);
}

static void host_save_identity(void *context, const struct node_identity *identity)
{
	struct host *host = context;
	struct vote_state state = {0};
	data_dir_set_identity(&state, identity);
	memcpy(host->cluster_id, identity->cluster_id, sizeof host->cluster_id);
	disk_save_identity(host->disk, &state);
}

void host_answer(void *context, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                 struct slice payload)
{
	struct host *host = context;
	if (connection == NODE_HOST_CONNECTION)
		programs_answered(host->programs, stream, response, payload);
	else if ((connection & NODE_PEER_CONNECTION) != 0)
		peers_send(network_peers(host->network), connection & ~NODE_PEER_CONNECTION, FRAME_FORWARDED, stream,
		           &response->base, &payload, payload.size != 0 ? 1 : 0);
	else
		service_respond(network_service(host->network), connection, stream, response, payload);
}

static void host_respond(void *context, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                         struct slice payload)
{
	host_answer(context, connection, stream, response, payload);
}

static void host_send(void *context, uint64_t connection, int frame_type, const ProtobufCMessage *message,
                      struct slice payload)
{
	service_send(network_service(((struct host *)context)->network), connection, frame_type, message, payload);
}

/* The node has asked for it and must not be called now, whoever the answer is for. */
static void host_refuse_busy(struct host *host, uint64_t connection, uint32_t stream)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Error error = CLUSTERD__WIRE__ERROR__INIT;
	error.code = ERR_BUSY;
	error.text = (char *)(uintptr_t)"too many requests wait on this node: come back later";
	error.retry_after_ms = 1000;
	response.error = &error;
	host_answer(host, connection, stream, &response, SLICE(""));
}

static void host_query(void *context, uint64_t connection, uint32_t stream, const struct node_query *query)
{
	struct host *host = context;
	if (reader_query(host->reader, connection, stream, query) != 0)
		host_refuse_busy(host, connection, stream);
}

static void host_save_snapshot(void *context, uint64_t connection, uint32_t stream)
{
	struct host *host = context;
	if (reader_copy(host->reader, connection, stream) != 0)
		host_refuse_busy(host, connection, stream);
}

static void host_snapshot_make(void *context)
{
	snapshots_make(((struct host *)context)->snapshots);
}

static void host_snapshot_release(void *context)
{
	snapshots_release(((struct host *)context)->snapshots);
}

static int host_snapshot_read(void *context, uint64_t offset, size_t size, struct buffer *out)
{
	return snapshots_read(((struct host *)context)->snapshots, offset, size, out);
}

static void host_chunk_write(void *context, const struct raft_snapshot *snapshot, uint64_t offset, struct slice bytes)
{
	snapshots_write(((struct host *)context)->snapshots, snapshot, offset, bytes);
}

static void host_snapshot_install(void *context, const struct raft_snapshot *snapshot)
{
	struct host *host = context;
	snapshots_install(host->snapshots, snapshot, disk_cluster_id(host->disk));
}

static void host_peer_address(void *context, uint64_t member, const char *address)
{
	peers_address(network_peers(((struct host *)context)->network), member, address);
}

static void host_peer_send(void *context, uint64_t member, int frame_type, uint32_t stream, const ProtobufCMessage *message,
                           const struct slice *payload, size_t payload_count)
{
	peers_send(network_peers(((struct host *)context)->network), member, frame_type, stream, message, payload, payload_count);
}

static void host_datagram_send(void *context, const char *address, struct slice bytes)
{
	network_datagram(((struct host *)context)->network, address, bytes);
}

static void host_exchange_send(void *context, const char *address, struct slice bytes)
{
	peers_exchange(network_peers(((struct host *)context)->network), address, bytes);
}

static void host_call_start(void *context, struct call_id call, const struct definition *process, struct text *args)
{
	struct host *host = context;
	executor_start(host->executor, (struct executor_key){call.instance, call.ref, call.attempt}, process, args);
}

static void host_call_abandon(void *context, struct call_id call)
{
	struct host *host = context;
	executor_abandon(host->executor, (struct executor_key){call.instance, call.ref, call.attempt});
}

static void host_task_start(void *context, const struct allocation_order *order)
{
	allocations_start(((struct host *)context)->allocations, order);
}

static void host_task_stop(void *context, uint64_t allocation)
{
	allocations_stop(((struct host *)context)->allocations, allocation);
}

static void host_task_taken(void *context, uint64_t allocation)
{
	allocations_acknowledge(((struct host *)context)->allocations, allocation);
}

static void host_tasks_keep_only(void *context, const uint64_t *known, size_t count)
{
	allocations_keep_only(((struct host *)context)->allocations, known, count);
}

static void host_local(void *context, uint64_t connection, uint32_t stream, const Clusterd__Wire__Request *request,
                       struct slice payload)
{
	struct host *host = context;
	switch (request->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_UPLOAD_PROGRAM:
	case CLUSTERD__WIRE__REQUEST__BODY_KEEP_PROGRAM:
	case CLUSTERD__WIRE__REQUEST__BODY_READ_PROGRAM:
		programs_request(host->programs, connection, stream, request, payload);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_BEGIN_EXEC:
	case CLUSTERD__WIRE__REQUEST__BODY_CONTINUE_EXEC:
		guests_request(host->guests, connection, stream, request, payload);
		break;
	default:
		if (desk_ask(host->desk, connection, stream, request, payload) != 0)
			host_refuse_busy(host, connection, stream);
		break;
	}
}

static void host_closed(void *context, uint64_t connection)
{
	struct host *host = context;
	/* Connections are closed after those at the end of the node. */
	if (host->programs != NULL)
		programs_closed(host->programs, connection);
	if (host->guests != NULL)
		guests_closed(host->guests, connection);
}

static uint64_t resident_bytes(void)
{
	unsigned long long size = 0;
	unsigned long long resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void host_status(void *context, struct buffer *out)
{
	struct host *host = context;
	long long stall = loop_longest_stall_us(host->loop);
	if (stall > host->longest_stall_us)
		host->longest_stall_us = stall;
	buffer_format(out, ",\"log_bytes\":%" PRIu64 ",\"log_first_index\":%" PRIu64 ",\"log_syncs\":%" PRIu64,
	              disk_log_size(host->disk), disk_log_first(host->disk), disk_syncs(host->disk));
	buffer_format(out, ",\"log_appended_bytes\":%" PRIu64 ",\"checkpoints\":%" PRIu64, disk_bytes(host->disk),
	              disk_checkpoints(host->disk));
	network_status(host->network, out);
	discovery_status(host->discovery, out);
	buffer_format(out, ",\"tasks\":%u", allocations_running(host->allocations));
	buffer_format(out, ",\"children\":%u,\"loop_longest_stall_us\":%lld,\"resident_bytes\":%" PRIu64 ",\"pid\":%d",
	              executor_running(host->executor), host->longest_stall_us, resident_bytes(), (int)getpid());
}

static int host_zone(void *context, struct slice name, struct timetable_zone *ret_zone, struct error *error)
{
	struct host *host = context;
	return zones_find(host->zones, name, ret_zone, error);
}

static void host_left(void *context)
{
	struct host *host = context;
	allocations_keep_only(host->allocations, NULL, 0); /* their supervisors see to it, also when the daemon is gone */
	log_write(LOG_INFO, "node", "%s has left the cluster", host->config->name);
	loop_stop(host->loop);
}

void host_fail(void *context, const struct error *error)
{
	struct host *host = context;
	if (host->failure.code == 0)
		host->failure = *error;
	loop_stop(host->loop);
}

const struct node_host host_wishes = {
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
	.snapshot_make = host_snapshot_make,
	.snapshot_release = host_snapshot_release,
	.snapshot_read = host_snapshot_read,
	.chunk_write = host_chunk_write,
	.snapshot_install = host_snapshot_install,
	.peer_address = host_peer_address,
	.peer_send = host_peer_send,
	.datagram_send = host_datagram_send,
	.exchange_send = host_exchange_send,
	.call_start = host_call_start,
	.call_abandon = host_call_abandon,
	.task_start = host_task_start,
	.task_stop = host_task_stop,
	.task_taken = host_task_taken,
	.tasks_keep_only = host_tasks_keep_only,
	.local = host_local,
	.closed = host_closed,
	.left = host_left,
	.zone = host_zone,
	.status = host_status,
	.fail = host_fail,
};
