#include "daemon/placing_internal.h"

#include "base/memory.h"
#include "wire/frame.h"

/* What each node is told: what it is to run, what it is to end, and whose end it may forget. */

#define ORDERS_AT_ONCE 200 /* in one frame */

void ids_add(struct ids *ids, uint64_t id)
{
	mem_grow(ids->list, ids->capacity, ids->count + 1);
	ids->list[ids->count++] = id;
}

void ids_finish(struct ids *ids)
{
	mem_free(ids->list);
	*ids = (struct ids){0};
}

struct tenant *tenant_of(struct placing *placing, uint64_t member)
{
	struct tenant *tenant;
	HASH_FIND(hh, placing->tenants, &member, sizeof member, tenant);
	if (tenant != NULL)
		return tenant;
	tenant = mem_zero(sizeof *tenant);
	tenant->member = member;
	HASH_ADD(hh, placing->tenants, member, sizeof tenant->member, tenant);
	return tenant;
}

void tenant_clear(struct tenant *tenant)
{
	tenant->orders.count = tenant->stops.count = tenant->taken.count = 0;
}

bool group_is_placed(const struct job *job)
{
	return !job->definition->job->group || job->live == job->count;
}

void stop_if_unwanted(struct placing *placing, const struct allocation *allocation)
{
	if (allocation_is_unwanted(allocation))
		ids_add(&tenant_of(placing, allocation->node)->stops, allocation->id);
}

static void send(struct node *node, uint64_t member, Clusterd__Wire__Tasks *message)
{
	message->term = raft_term(node->raft);
	if (member == node->id)
		tasks_take(node, member, message);
	else
		node->host->peer_send(node->context, member, FRAME_TASKS, 0, &message->base, NULL, 0);
	arena_reset(&node->arena);
}

static void send_orders(struct node *node, struct tenant *tenant)
{
	for (size_t i = 0; i < tenant->orders.count;) {
		Clusterd__Wire__Tasks message = CLUSTERD__WIRE__TASKS__INIT;
		message.orders = arena_alloc(&node->arena, ORDERS_AT_ONCE * sizeof *message.orders);
		for (; i < tenant->orders.count && message.n_orders < ORDERS_AT_ONCE; i++) {
			const struct allocation *allocation = machine_allocation(node->machine, tenant->orders.list[i]);
			if (allocation != NULL && allocation->node == tenant->member)
				message.orders[message.n_orders++] = task_order_pack(allocation, node->machine,
				                                                     &node->arena);
		}
		if (message.n_orders > 0)
			send(node, tenant->member, &message);
	}
	tenant->orders.count = 0;
}

/* All that is written down for it. */
static void send_whole(struct node *node, struct tenant *tenant)
{
	const struct node_use *use = machine_node(node->machine, tenant->member);
	const struct allocation *allocation;
	struct ids known = {0};
	tenant_clear(tenant);
	tenant->whole = false;
	if (use != NULL) {
		TAILQ_FOREACH (allocation, &use->allocations, of_node) {
			ids_add(&known, allocation->id);
			if (group_is_placed(allocation->job))
				ids_add(&tenant->orders, allocation->id);
			stop_if_unwanted(node->placing, allocation);
		}
	}
	Clusterd__Wire__Tasks message = CLUSTERD__WIRE__TASKS__INIT;
	message.whole = true;
	message.known = known.list;
	message.n_known = known.count;
	send(node, tenant->member, &message);
	ids_finish(&known);
}

void tenant_serve(struct node *node, struct tenant *tenant)
{
	if (!tenant->up) {
		tenant_clear(tenant);
		return;
	}
	if (tenant->whole)
		send_whole(node, tenant);
	send_orders(node, tenant);
	if (tenant->stops.count == 0 && tenant->taken.count == 0)
		return;
	Clusterd__Wire__Tasks message = CLUSTERD__WIRE__TASKS__INIT;
	message.stop = tenant->stops.list;
	message.n_stop = tenant->stops.count;
	message.taken = tenant->taken.list;
	message.n_taken = tenant->taken.count;
	send(node, tenant->member, &message);
	tenant->stops.count = tenant->taken.count = 0;
}
