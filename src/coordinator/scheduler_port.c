#include "coordinator/scheduler_parts.h"

#include "base/memory.h"

#include <assert.h>

void ports_finish(struct node *node)
{
	mem_free(node->ports);
	node->ports = NULL;
	node->port_count = node->port_capacity = 0;
}

/* The first use of this number or a higher one. */
static size_t lower_bound(const struct node *node, uint32_t port)
{
	size_t low = 0, high = node->port_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (node->ports[middle].port < port)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool port_is_used(const struct node *node, uint16_t port)
{
	size_t at = lower_bound(node, port);
	return at < node->port_count && node->ports[at].port == port;
}

bool port_in_range(const struct node *node, uint16_t port)
{
	return port >= node->port_low && port <= node->port_high;
}

void ports_set_range(struct node *node, uint16_t low, uint16_t high)
{
	bool none = low == 0 || low > high;
	node->port_low = none ? 1 : low;
	node->port_high = none ? 0 : high;
	node->port_next = node->port_low;
	node->ports_free = none ? 0 : (uint32_t)high - low + 1;
	for (size_t i = 0; i < node->port_count; i++) {
		bool again = i > 0 && node->ports[i - 1].port == node->ports[i].port;
		if (!again && port_in_range(node, node->ports[i].port))
			node->ports_free--;
	}
}

bool ports_fit(const struct node *node, const struct request *request)
{
	uint32_t needed = request->free_ports;
	for (uint32_t i = 0; i < request->port_count && request->free_ports < request->port_count; i++) {
		uint16_t port = request->ports[i];
		if (port == 0)
			continue;
		if (port_is_used(node, port))
			return false;
		needed += request->free_ports > 0 && port_in_range(node, port);
	}
	return request->free_ports == 0 || needed <= node->ports_free;
}

static bool is_asked_for(const struct request *request, uint16_t port)
{
	for (uint32_t i = 0; i < request->port_count; i++) {
		if (request->ports[i] == port)
			return true;
	}
	return false;
}

/* The next free number of the range; goes round once. */
static uint16_t next_free(struct node *node, const struct request *request)
{
	uint32_t size = (uint32_t)node->port_high - node->port_low + 1;
	uint32_t port = node->port_next;
	size_t at = lower_bound(node, port);
	for (uint32_t i = 0; i < size; i++, port++) {
		if (port > node->port_high) {
			port = node->port_low;
			at = lower_bound(node, port);
		}
		bool used = at < node->port_count && node->ports[at].port == port;
		while (at < node->port_count && node->ports[at].port == port)
			at++;
		if (!used && !is_asked_for(request, (uint16_t)port)) {
			node->port_next = port == node->port_high ? node->port_low : (uint16_t)(port + 1);
			return (uint16_t)port;
		}
	}
	assert(false); /* there is a free one: the node was found to fit */
	return 0;
}

void ports_choose(struct node *node, const struct request *request, uint16_t *ret_ports)
{
	for (uint32_t i = 0; i < request->port_count; i++)
		ret_ports[i] = request->ports[i] != 0 ? request->ports[i] : next_free(node, request);
}

void ports_use(struct node *node, const struct allocation *allocation, uint32_t slot)
{
	for (uint32_t i = 0; i < allocation->port_count; i++) {
		uint16_t port = allocation->ports[i];
		size_t at = lower_bound(node, port);
		bool used = at < node->port_count && node->ports[at].port == port;
		if (!used && port_in_range(node, port)) {
			assert(node->ports_free > 0);
			node->ports_free--;
		}
		mem_grow(node->ports, node->port_capacity, node->port_count + 1);
		memmove(&node->ports[at + 1], &node->ports[at], (node->port_count - at) * sizeof *node->ports);
		node->ports[at] = (struct port_use){port, slot};
		node->port_count++;
	}
}

void ports_release(struct node *node, const struct allocation *allocation, uint32_t slot)
{
	for (uint32_t i = 0; i < allocation->port_count; i++) {
		uint16_t port = allocation->ports[i];
		size_t at = lower_bound(node, port);
		while (at < node->port_count && node->ports[at].port == port && node->ports[at].allocation != slot)
			at++;
		assert(at < node->port_count && node->ports[at].port == port);
		node->port_count--;
		memmove(&node->ports[at], &node->ports[at + 1], (node->port_count - at) * sizeof *node->ports);
		if (!port_is_used(node, port) && port_in_range(node, port))
			node->ports_free++;
	}
	if (node->port_count == 0)
		ports_finish(node);
}

uint32_t port_holder(const struct node *node, uint16_t port, size_t *cursor)
{
	size_t at = lower_bound(node, port) + (*cursor)++;
	return at < node->port_count && node->ports[at].port == port ? node->ports[at].allocation : NO_SLOT;
}
