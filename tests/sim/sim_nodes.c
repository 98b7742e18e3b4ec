#include "sim/sim_client.h"
#include "sim/sim_jobs.h"

#include "coordinator/jobs.h"
#include "daemon/node_internal.h"

/* Nodes that are to get no tasks, and those that are drained. While things go wrong both are taken back at any time; once they do not any
 * more a node is used again only when its drain is over, so that one which nobody sees to is noticed. */

#define CANCEL UINT32_MAX

static const struct node_use *use_of(const struct machine *machine, const struct server *server)
{
	return machine != NULL ? machine_node(machine, server->vote.node_id) : NULL;
}

static bool is_drained(const struct sim *sim, const struct server *server)
{
	const struct node_use *use = use_of(newest_machine(sim), server);
	return use == NULL || use->drain != DRAIN_UNDER_WAY;
}

static void add(struct sim *sim, struct sim_client *client, enum request_kind kind, struct server *server, uint32_t number)
{
	struct client_request *request = request_add(client, kind, NULL);
	request->member = server;
	request->number = number;
	sim->nodes_busy = true;
}

static bool want_of(struct sim *sim, struct sim_client *client, struct server *server)
{
	if (server->ineligible ? sim->calm || sim_chance(sim, 5) : !sim->calm && sim_chance(sim, 1)) {
		server->ineligible = true; /* until it is said not to be any more */
		add(sim, client, REQUEST_ELIGIBLE, server, sim->calm || sim_chance(sim, 50));
		return true;
	}
	if (!server->emptied && !sim->calm && sim_chance(sim, 1)) {
		server->emptied = true;
		add(sim, client, REQUEST_DRAIN, server, (uint32_t)sim_below(sim, (uint64_t[]){100, 5000, 40000}[sim_below(sim, 3)]));
		return true;
	}
	if (server->emptied && (sim->calm ? is_drained(sim, server) : sim_chance(sim, 3))) {
		add(sim, client, REQUEST_DRAIN, server, CANCEL);
		return true;
	}
	return false;
}

bool nodes_want(struct sim *sim, struct sim_client *client)
{
	if (client->number != 0 || sim->nodes_busy || client->may_desert || sim->founder_count == 1)
		return false;
	for (uint32_t i = 0; i < sim->server_count; i++) {
		if (server_stays(sim->servers[i]) && want_of(sim, client, sim->servers[i]))
			return true;
	}
	return false;
}

bool nodes_wait(const struct sim *sim, const struct sim_client *client)
{
	if (client->number == 0 && sim->nodes_busy)
		return true;
	for (uint32_t i = 0; i < sim->server_count; i++) {
		if (server_stays(sim->servers[i]) && (sim->servers[i]->ineligible || sim->servers[i]->emptied))
			return true;
	}
	return false;
}

void nodes_fill(const struct client_request *request, Clusterd__Wire__Request *message)
{
	static Clusterd__Wire__SetEligible eligible;
	static Clusterd__Wire__DrainNode drain;
	if (request->kind == REQUEST_ELIGIBLE) {
		clusterd__wire__set_eligible__init(message->set_eligible = &eligible);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_SET_ELIGIBLE;
		eligible.member = request->member->name;
		eligible.eligible = request->number != 0;
		return;
	}
	clusterd__wire__drain_node__init(message->drain_node = &drain);
	message->body_case = CLUSTERD__WIRE__REQUEST__BODY_DRAIN_NODE;
	drain.member = request->member->name;
	drain.cancel = request->number == CANCEL;
	drain.within_ms = drain.cancel ? 0 : request->number;
}

void nodes_answer(struct sim *sim, const struct client_request *request, int code)
{
	sim->nodes_busy = false;
	if (code != 0)
		return; /* it is not known yet, or any more */
	if (request->kind == REQUEST_ELIGIBLE)
		request->member->ineligible = request->number == 0;
	else
		request->member->emptied = request->number != CANCEL;
}

void nodes_explain(struct sim *sim, const struct machine *machine)
{
	for (uint32_t i = 0; i < sim->server_count; i++) {
		const struct server *server = sim->servers[i];
		const struct node_use *use = use_of(machine, server);
		if (server_stays(server) && use != NULL && use->drain == DRAIN_UNDER_WAY)
			sim_fail(sim, "%s is to be drained, and is not", server->name);
		if (server_stays(server) && server->ineligible)
			sim_fail(sim, "%s is not eligible, and nobody has said that it is again", server->name);
	}
}
