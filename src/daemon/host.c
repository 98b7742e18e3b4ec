#include "daemon/host_internal.h"

#include "base/memory.h"
#include "daemon/notify.h"

#include <signal.h>

#define IDLE_MS 500

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
	if (node_applies(host->node))
		loop_pause_ask(host->apply_pause);
	peers_set_reading(network_peers(host->network), !node_behind(host->node));
	service_read_workers(network_service(host->network), !node_workers_wait(host->node));
	if (!host->sweep_set && service_counts(network_service(host->network))->connections > 0) {
		host->sweep_set = true;
		loop_timer_set(host->sweep_timer, loop_now(host->loop) + SERVICE_HELLO_MS);
	}
	if (!host->idle_set && (disk_wants_idle(host->disk) || upkeep_refuses(&host->upkeep))) {
		host->idle_set = true;
		loop_timer_set(host->idle_timer, loop_now(host->loop) + IDLE_MS);
	}
}

static void apply(void *context)
{
	node_apply(((struct host *)context)->node);
}

/* The end of this turn does what follows from it. */
static void applied(void *context)
{
	(void)context;
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

/* --- its life ------------------------------------------------------------------------------------------------------ */

static void host_watch(struct host *host)
{
	host->node_timer = loop_timer_create(host->loop, node_due, host);
	host->apply_pause = loop_pause_create(host->loop, apply, applied, host);
	host->idle_timer = loop_timer_create(host->loop, idle_due, host);
	host->sweep_timer = loop_timer_create(host->loop, sweep_due, host);
	host->drain_timer = loop_timer_create(host->loop, drain_over, host);
	host->signals[0] = loop_signal_create(host->loop, SIGTERM, asked_to_stop, host);
	host->signals[1] = loop_signal_create(host->loop, SIGINT, asked_to_stop, host);
	host->signals[2] = loop_signal_create(host->loop, SIGHUP, asked_to_reload, host);
	loop_at_turn_end(host->loop, turn_end, host);
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
		discovery_start(host.discovery);
		loop_run(host.loop);
		node_settle(host.node); /* unless it has failed: a start is quicker then, no more */
		code = host.failure.code;
		if (code != 0)
			*error = host.failure;
	}
	host_close(&host);
	return code;
}
