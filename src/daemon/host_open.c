#include "daemon/host_internal.h"

#include "base/memory.h"
#include "store/lock.h"

#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <sys/random.h>

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

/* Copies for other nodes, and beside them those for clients. */
static int open_reader(struct host *host, struct error *error)
{
	struct snapshots_options options = {
		.directory = host->config->data_dir, .catalog_path = host->catalog_path, .disk = host->disk,
	};
	int code = snapshots_create(host->loop, &options, &host_snapshots_handler, host, &host->snapshots, error);
	if (code == 0)
		code = reader_create(host->loop, host->catalog_path, snapshots_directory(host->snapshots), host_reader_answered, host,
		                     &host->reader, error);
	return code;
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
	int code = executor_create(host->loop, &options, &host_executor_handler, host, &host->executor, error);
	mem_free(directory);
	return code;
}

static int open_programs(struct host *host, const struct node_config *node, struct error *error)
{
	char *directory = mem_format("%s/programs", host->config->data_dir);
	struct programs_options options = {
		.directory = directory,
		.size_max = (uint64_t)host->config->program_max,
		.kept = host->config->program_kept,
		.seed = node->seed + 3,
	};
	int code = programs_create(host->loop, &options, &host_programs_handler, host, &host->programs, error);
	mem_free(directory);
	return code;
}

static int open_allocations(struct host *host, struct node_config *node, struct error *error)
{
	char *directory = mem_format("%s/allocations", host->config->data_dir);
	char *root = realpath(host->config->data_dir, NULL);
	char *socket = mem_format("%s/clusterd.sock", root != NULL ? root : host->config->data_dir); /* tasks run elsewhere */
	struct allocations_options options = {
		.directory = directory,
		.node_name = host->config->name,
		.address = network_address(host->network),
		.socket = socket,
		.processes = (uint64_t)host->config->task_processes,
		.disk = (uint64_t)host->config->task_disk,
	};
	int code = open_programs(host, node, error);
	if (code == 0)
		code = allocations_create(host->loop, &options, &host_allocations_handler, host, &host->allocations, error);
	mem_free(directory);
	mem_free(socket);
	free(root);
	if (code == 0)
		code = desk_create(host->loop, host->allocations, host_answer, host, &host->desk, error);
	if (code == 0)
		code = guests_create(host->loop, host->allocations, host_answer, host, &host->guests, error);
	allocations_capacity(&node->cpu, &node->memory);
	node->port_low = (uint16_t)host->config->port_low;
	node->port_high = (uint16_t)host->config->port_high;
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
	return network_open(host->loop, &options, &host_network_handler, host, &host->network, error);
}

static int open_discovery(struct host *host, const struct node_config *node, struct error *error)
{
	struct discovery_options options = {
		.sources = (const char *const *)host->config->join,
		.source_count = host->config->join_count,
		.mount = host->config->kubernetes_mount,
		.seed = node->seed + 2,
	};
	return discovery_create(host->loop, &options, host_found, host, &host->discovery, error);
}

static int draw_seed(uint64_t *ret_seed, struct error *error)
{
	if (getrandom(ret_seed, sizeof *ret_seed, 0) != sizeof *ret_seed)
		return error_set(error, ERR_IO, "the system gives no random numbers: %s", strerror(errno));
	return 0;
}

int host_open(struct host *host, struct error *error)
{
	struct node_config node = {0};
	const struct config *config = host->config;
	int code = lock_take(config->data_dir, &host->lock, error);
	if (code == 0)
		code = open_store(host, &node, error);
	if (code == 0 && loop_create(&host->loop) != 0)
		code = error_set(error, ERR_IO, "the event loop cannot be made: %s", strerror(errno));
	if (code == 0)
		code = disk_run(host->disk, host->loop, &host_disk_handler, host, error);
	if (code == 0)
		code = open_executor(host, error);
	if (code == 0)
		code = open_reader(host, error);
	if (code == 0)
		code = draw_seed(&node.seed, error);
	if (code == 0)
		code = open_network(host, &node, error);
	if (code == 0)
		code = open_allocations(host, &node, error);
	if (code == 0)
		code = open_discovery(host, &node, error);
	if (code != 0)
		return code;
	node.name = config->name;
	node.address = network_address(host->network);
	node.datacenter = config->datacenter;
	node.tags = config->tags;
	node.exec_slots = (uint32_t)config->exec_slots;
	node.agent = config->agent;
	node.expect = (uint32_t)config->expect;
	node.pool_calls = (uint32_t)(config->pool_children * config->pool_depth);
	host->zones = zones_create(NULL);
	code = node_create(&node, host->catalog, &host_wishes, host, &host->node, error);
	if (code != 0)
		return code;
	service_set_node(network_service(host->network), host->node);
	host->upkeep = (struct upkeep){.disk = host->disk, .catalog = host->catalog, .node = host->node};
	return 0;
}

void host_close(struct host *host)
{
	discovery_destroy(host->discovery);
	executor_destroy(host->executor);
	guests_destroy(host->guests);
	host->guests = NULL;
	desk_destroy(host->desk);
	programs_destroy(host->programs);
	host->programs = NULL;
	allocations_destroy(host->allocations);
	reader_destroy(host->reader);
	network_close(host->network);
	snapshots_destroy(host->snapshots);
	disk_close(host->disk);
	node_destroy(host->node);
	zones_destroy(host->zones);
	catalog_close(host->catalog);
	log_facts_finish(&host->data.facts);
	if (host->loop != NULL) {
		loop_timer_destroy(host->node_timer);
		loop_pause_destroy(host->apply_pause);
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
