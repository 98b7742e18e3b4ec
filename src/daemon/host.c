#include "daemon/host.h"

#include "base/json.h"
#include "base/memory.h"
#include "daemon/data_dir.h"
#include "daemon/disk.h"
#include "daemon/executor.h"
#include "daemon/network.h"
#include "daemon/node.h"
#include "daemon/notify.h"
#include "daemon/reader.h"
#include "daemon/upkeep.h"
#include "net/loop.h"
#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define IDLE_MS 500

struct host {
	struct config *config;
	struct loop *loop;
	struct data_dir data; /* as it was found */
	struct disk *disk;
	struct catalog *catalog;
	struct executor *executor;
	struct reader *reader;
	struct network *network;
	struct node *node;
	struct loop_timer *node_timer;
	msec node_due_at; /* what it is set to */
	struct loop_timer *idle_timer;
	struct loop_timer *sweep_timer;
	bool sweep_set;
	struct loop_timer *drain_timer;
	struct loop_signal *signals[3];
	char *catalog_path;
	char *socket_path;
	char cluster_id[NODE_CLUSTER_ID_SIZE]; /* as it is being saved */
	int lock;
	bool ready_said;
	bool stopping;
	bool idle_set;
	long long longest_stall_us;
	struct upkeep upkeep;
	struct error failure; /* what ended the node; code 0: nothing did */
};

/* --- what the node wishes ------------------------------------------------------------------------------------------ */

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

static void host_respond(void *context, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                         struct slice payload)
{
	service_respond(network_service(((struct host *)context)->network), connection, stream, response, payload);
}

static void host_send(void *context, uint64_t connection, int frame_type, const ProtobufCMessage *message,
                      struct slice payload)
{
	service_send(network_service(((struct host *)context)->network), connection, frame_type, message, payload);
}

static void host_refuse_busy(struct host *host, uint64_t connection, uint32_t stream)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Error error = CLUSTERD__WIRE__ERROR__INIT;
	error.code = ERR_BUSY;
	error.text = (char *)(uintptr_t)"too many queries wait: come back later";
	error.retry_after_ms = 1000;
	response.error = &error;
	service_respond(network_service(host->network), connection, stream, &response, SLICE(""));
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
	buffer_format(out, ",\"children\":%u,\"loop_longest_stall_us\":%lld,\"resident_bytes\":%" PRIu64 ",\"pid\":%d",
	              executor_running(host->executor), host->longest_stall_us, resident_bytes(), (int)getpid());
}

static void host_fail(void *context, const struct error *error)
{
	struct host *host = context;
	if (host->failure.code == 0)
		host->failure = *error;
	loop_stop(host->loop);
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
	.peer_address = host_peer_address,
	.peer_send = host_peer_send,
	.datagram_send = host_datagram_send,
	.exchange_send = host_exchange_send,
	.call_start = host_call_start,
	.call_abandon = host_call_abandon,
	.status = host_status,
	.fail = host_fail,
};

/* --- what the world tells the node --------------------------------------------------------------------------------- */

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

static const struct disk_handler disk_handler = {
	.synced = disk_synced,
	.vote_saved = disk_vote_saved,
	.identity_saved = disk_identity_saved,
	.entries = disk_entries,
	.checkpointed = disk_checkpointed,
	.failed = host_fail,
};

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

static const struct executor_handler executor_handler = {call_finished, call_heartbeat, call_fetch};

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

static const struct network_handler network_handler = {
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
	service_respond(network_service(host->network), answer->connection, answer->stream, &response, SLICE(""));
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
	service_respond(network_service(host->network), answer->connection, answer->stream, &response, buffer_slice(&answer->result.rows));
	mem_free(columns);
}

static void reader_answered(void *context, const struct reader_answer *answer)
{
	struct host *host = context;
	if (answer->code != 0)
		respond_failed(host, answer);
	else if (answer->copy_path != NULL)
		service_send_file(network_service(host->network), answer->connection, answer->stream, answer->copy_path);
	else
		respond_rows(host, answer);
}

/* --- turns --------------------------------------------------------------------------------------------------------- */

static void say_ready(struct host *host)
{
	host->ready_said = true;
	log_write(LOG_INFO, "node", "%s is ready on %s (data in %s)", host->config->name, network_address(host->network),
	          host->config->data_dir);
	notify_service_manager("READY=1");
}

/* A timer that is set too early costs one turn for nothing, setting it costs a system call: so it is only ever set earlier. */
static void set_node_timer(struct host *host)
{
	msec deadline = node_deadline(host->node);
	if (deadline >= host->node_due_at)
		return;
	host->node_due_at = deadline;
	loop_timer_set(host->node_timer, deadline);
}

static void turn_end(void *context)
{
	struct host *host = context;
	upkeep_turn(&host->upkeep);
	node_turn(host->node);
	if (!host->ready_said && node_ready(host->node))
		say_ready(host);
	if (host->stopping && node_quiet(host->node))
		loop_stop(host->loop);
	set_node_timer(host);
	peers_set_reading(network_peers(host->network), !node_behind(host->node));
	if (!host->sweep_set && service_counts(network_service(host->network))->connections > 0) {
		host->sweep_set = true;
		loop_timer_set(host->sweep_timer, loop_now(host->loop) + SERVICE_HELLO_MS);
	}
	if (!host->idle_set && (disk_wants_idle(host->disk) || upkeep_refuses(&host->upkeep))) {
		host->idle_set = true;
		loop_timer_set(host->idle_timer, loop_now(host->loop) + IDLE_MS);
	}
}

/* The end of this turn does what is due. */
static void node_due(void *context)
{
	((struct host *)context)->node_due_at = MSEC_NEVER;
}

/* Some time after something was written; when nothing happens, nothing is done. */
static void idle_due(void *context)
{
	struct host *host = context;
	host->idle_set = false;
	disk_idle(host->disk);
	upkeep_room(&host->upkeep);
}

static void sweep_due(void *context)
{
	struct host *host = context;
	host->sweep_set = false;
	service_sweep(network_service(host->network));
}

/* --- signals ------------------------------------------------------------------------------------------------------- */

static void drain_over(void *context)
{
	struct host *host = context;
	log_write(LOG_WARNING, "node", "calls still run after %lld ms: they are stopped, and start again with the node",
	          (long long)host->config->drain_timeout);
	loop_stop(host->loop);
}

static void asked_to_stop(void *context)
{
	struct host *host = context;
	if (host->stopping) {
		loop_stop(host->loop);
		return;
	}
	host->stopping = true;
	notify_service_manager("STOPPING=1");
	log_write(LOG_INFO, "node", "stopping: no new calls, running ones have %lld ms",
	          (long long)host->config->drain_timeout);
	node_drain(host->node);
	loop_timer_set(host->drain_timer, loop_now(host->loop) + host->config->drain_timeout);
}

static void asked_to_reload(void *context)
{
	struct host *host = context;
	struct error error = {0};
	if (config_reload(host->config, &error) != 0)
		log_write(LOG_ERROR, "config", "%s", error.text);
	log_set_level(host->config->log_level);
	notify_service_manager("READY=1");
}

/* --- coming up ----------------------------------------------------------------------------------------------------- */

static int open_store(struct host *host, struct node_config *node, struct error *error)
{
	int code = data_dir_open(host->config, &host->data, error);
	if (code != 0)
		return code;
	const struct vote_state *vote = &host->data.vote;
	host->disk = host->data.disk;
	host->catalog = host->data.catalog;
	node->id = vote->node_id;
	node->term = vote->term;
	node->voted_for = vote->voted_for;
	node->generation = vote->starts;
	node->first_index = host->data.recovery.first_index;
	node->last_index = host->data.recovery.last_index;
	node->facts = &host->data.facts;
	data_dir_identity(vote, &node->identity);
	return 0;
}

static int open_executor(struct host *host, struct error *error)
{
	char *directory = mem_format("%s/work", host->config->data_dir);
	struct executor_options options = {
		.directory = directory,
		.node_name = host->config->name,
		.exec_slots = (uint32_t)host->config->exec_slots,
		.pool_children = (uint32_t)host->config->pool_children,
		.pool_depth = (uint32_t)host->config->pool_depth,
		.kill_grace = host->config->kill_grace,
	};
	int code = executor_create(host->loop, &options, &executor_handler, host, &host->executor, error);
	mem_free(directory);
	return code;
}

static int open_network(struct host *host, const struct node_config *node, struct error *error)
{
	struct network_options options = {
		.config = host->config,
		.socket_path = host->socket_path,
		.id = node->id,
		.generation = node->generation,
		.cluster_id = host->data.vote.cluster_id,
		.seed = node->seed + 1,
	};
	return network_open(host->loop, &options, &network_handler, host, &host->network, error);
}

static int draw_seed(uint64_t *ret_seed, struct error *error)
{
	if (getrandom(ret_seed, sizeof *ret_seed, 0) != sizeof *ret_seed)
		return error_set(error, ERR_IO, "the system gives no random numbers: %s", strerror(errno));
	return 0;
}

static int host_open(struct host *host, struct error *error)
{
	struct node_config node = {0};
	const struct config *config = host->config;
	int code = lock_take(config->data_dir, &host->lock, error);
	if (code == 0)
		code = open_store(host, &node, error);
	if (code == 0 && loop_create(&host->loop) != 0)
		code = error_set(error, ERR_IO, "the event loop cannot be made: %s", strerror(errno));
	if (code == 0)
		code = disk_run(host->disk, host->loop, &disk_handler, host, error);
	if (code == 0)
		code = open_executor(host, error);
	if (code == 0)
		code = reader_create(host->loop, host->catalog_path, config->data_dir, reader_answered, host, &host->reader, error);
	if (code == 0)
		code = draw_seed(&node.seed, error);
	if (code == 0)
		code = open_network(host, &node, error);
	if (code != 0)
		return code;
	node.name = config->name;
	node.address = network_address(host->network);
	node.datacenter = config->datacenter;
	node.tags = config->tags;
	node.exec_slots = (uint32_t)config->exec_slots;
	node.agent = config->agent;
	node.expect = (uint32_t)config->expect;
	node.seeds = (const char *const *)config->join;
	node.seed_count = config->join_count;
	node.pool_calls = (uint32_t)(config->pool_children * config->pool_depth);
	code = node_create(&node, host->catalog, &node_host, host, &host->node, error);
	if (code != 0)
		return code;
	service_set_node(network_service(host->network), host->node);
	host->upkeep = (struct upkeep){.disk = host->disk, .catalog = host->catalog, .node = host->node};
	return 0;
}

static void host_watch(struct host *host)
{
	host->node_timer = loop_timer_create(host->loop, node_due, host);
	host->idle_timer = loop_timer_create(host->loop, idle_due, host);
	host->sweep_timer = loop_timer_create(host->loop, sweep_due, host);
	host->drain_timer = loop_timer_create(host->loop, drain_over, host);
	host->signals[0] = loop_signal_create(host->loop, SIGTERM, asked_to_stop, host);
	host->signals[1] = loop_signal_create(host->loop, SIGINT, asked_to_stop, host);
	host->signals[2] = loop_signal_create(host->loop, SIGHUP, asked_to_reload, host);
	loop_at_turn_end(host->loop, turn_end, host);
}

static void host_close(struct host *host)
{
	executor_destroy(host->executor);
	reader_destroy(host->reader);
	network_close(host->network);
	disk_close(host->disk);
	node_destroy(host->node);
	catalog_close(host->catalog);
	log_facts_finish(&host->data.facts);
	if (host->loop != NULL) {
		loop_timer_destroy(host->node_timer);
		loop_timer_destroy(host->idle_timer);
		loop_timer_destroy(host->sweep_timer);
		loop_timer_destroy(host->drain_timer);
		for (size_t i = 0; i < sizeof host->signals / sizeof host->signals[0]; i++)
			loop_signal_destroy(host->signals[i]);
		loop_destroy(host->loop);
	}
	mem_free(host->catalog_path);
	mem_free(host->socket_path);
	if (host->lock >= 0)
		lock_release(host->lock);
}

int host_run(struct config *config, struct error *error)
{
	struct host host = {.config = config, .lock = -1, .node_due_at = MSEC_NEVER};
	host.catalog_path = mem_format("%s/catalog.db", config->data_dir);
	host.socket_path = mem_format("%s/clusterd.sock", config->data_dir);
	int code = host_open(&host, error);
	if (code == 0) {
		host_watch(&host);
		node_start(host.node);
		loop_run(host.loop);
		code = host.failure.code;
		if (code != 0)
			*error = host.failure;
	}
	host_close(&host);
	return code;
}
