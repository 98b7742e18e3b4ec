#include "coordinator/internal.h"

#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>

/* Nodes, and what allocations have taken of them: cpu, memory, ports. What is taken is never more than there is when it is taken; a
 * node may come back with less. */

#define PORT_BYTES (65536 / 8)

struct node_use *node_use_find(const struct machine *machine, uint64_t id)
{
	struct node_use *use;
	HASH_FIND(hh, machine->nodes, &id, sizeof id, use);
	return use;
}

static char *host_of(struct slice address)
{
	size_t size = address.size;
	while (size > 0 && address.data[size - 1] != ':')
		size--;
	return mem_format("%.*s", (int)(size > 0 ? size - 1 : 0), address.size != 0 ? address.data : "");
}

void node_use_set(struct machine *machine, const struct catalog_node *row)
{
	struct node_use *use = node_use_find(machine, row->id);
	if (use == NULL) {
		use = mem_zero(sizeof *use);
		use->id = row->id;
		use->eligible = true;
		TAILQ_INIT(&use->allocations);
		HASH_ADD(hh, machine->nodes, id, sizeof use->id, use);
	}
	mem_free(use->name);
	mem_free(use->host);
	use->host = host_of(row->address);
	use->name = mem_format("%.*s", SLICE_ARGS(row->name));
	use->alive = slice_is(row->state, "alive");
	use->cpu = row->cpu;
	use->memory = row->memory;
	use->port_low = (uint16_t)row->port_low;
	use->port_high = (uint16_t)row->port_high;
	if (machine->open)
		effect_add(machine, EFFECT_NODE_CHANGED, 0)->node = use->id;
}

void nodes_release(struct machine *machine)
{
	struct node_use *use;
	struct node_use *next;
	HASH_ITER (hh, machine->nodes, use, next) {
		HASH_DELETE(hh, machine->nodes, use);
		mem_free(use->name);
		mem_free(use->host);
		mem_free(use->ports);
		mem_free(use);
	}
}

static bool port_taken(const struct node_use *use, uint16_t port)
{
	return use->ports != NULL && (use->ports[port / 8] >> port % 8 & 1) != 0;
}

static void port_mark(struct node_use *use, uint16_t port, bool taken)
{
	if (use->ports == NULL)
		use->ports = mem_zero(PORT_BYTES);
	assert(port_taken(use, port) != taken);
	use->ports[port / 8] ^= (unsigned char)(1u << port % 8);
}

static bool port_fits(const struct node_use *use, const struct job_port *wanted, uint16_t port)
{
	if (port == 0 || port_taken(use, port))
		return false;
	if (wanted->number != 0)
		return port == wanted->number;
	return use->port_low != 0 && port >= use->port_low && port <= use->port_high;
}

bool node_use_has_room(const struct node_use *use, const struct job_settings *settings, const uint16_t *ports)
{
	if (settings->cpu > 0 && (use->cpu < use->cpu_taken || use->cpu - use->cpu_taken < settings->cpu))
		return false;
	if (settings->memory > 0 &&
	    (use->memory < use->memory_taken || use->memory - use->memory_taken < settings->memory))
		return false;
	for (uint32_t i = 0; i < settings->port_count; i++) {
		if (!port_fits(use, &settings->ports[i], ports[i]))
			return false;
		for (uint32_t j = 0; j < i; j++) {
			if (ports[j] == ports[i])
				return false;
		}
	}
	return true;
}

void node_use_take(struct node_use *use, struct allocation *allocation)
{
	const struct job_settings *settings = allocation->definition->job;
	allocation->use = use;
	use->cpu_taken += settings->cpu;
	use->memory_taken += settings->memory;
	for (uint32_t i = 0; i < settings->port_count; i++)
		port_mark(use, allocation->ports[i], true);
	TAILQ_INSERT_TAIL(&use->allocations, allocation, of_node);
}

void node_use_give(struct allocation *allocation)
{
	const struct job_settings *settings = allocation->definition->job;
	struct node_use *use = allocation->use;
	assert(use->cpu_taken >= settings->cpu && use->memory_taken >= settings->memory);
	use->cpu_taken -= settings->cpu;
	use->memory_taken -= settings->memory;
	for (uint32_t i = 0; i < settings->port_count; i++)
		port_mark(use, allocation->ports[i], false);
	TAILQ_REMOVE(&use->allocations, allocation, of_node);
	allocation->use = NULL;
}

int apply_eligible(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	struct node_use *use = node_use_find(machine, command->eligible.node);
	if (use == NULL) {
		*ret_answer = answer_error(ERR_NOT_FOUND, "there is no node %" PRIu64, command->eligible.node);
		return 0;
	}
	use->eligible = command->eligible.eligible;
	effect_add(machine, EFFECT_NODE_CHANGED, 0)->node = use->id;
	return catalog_node_eligible(machine->catalog, use->id, use->eligible);
}

const char *const drain_state_names[] = {
	[DRAIN_NONE] = "", [DRAIN_UNDER_WAY] = "draining", [DRAIN_DONE] = "drained"};

int apply_drain(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	struct node_use *use = node_use_find(machine, command->drain.node);
	enum drain_state state = command->drain.state;
	if (use == NULL) {
		*ret_answer = answer_error(ERR_NOT_FOUND, "there is no node %" PRIu64, command->drain.node);
		return 0;
	}
	if (state == DRAIN_DONE && (use->drain != DRAIN_UNDER_WAY || !TAILQ_EMPTY(&use->allocations)))
		return 0; /* it is not, or not any more */
	use->drain = state;
	if (state != DRAIN_DONE)
		use->drain_until = state == DRAIN_UNDER_WAY ? machine->now + command->drain.within : 0;
	effect_add(machine, EFFECT_NODE_CHANGED, 0)->node = use->id;
	struct slice name = state != DRAIN_NONE ? slice_of(drain_state_names[state]) : (struct slice){0};
	return catalog_node_drain(machine->catalog, use->id, name, use->drain_until);
}

const struct node_use *machine_node(const struct machine *machine, uint64_t id)
{
	return node_use_find(machine, id);
}

const struct node_use *machine_nodes(const struct machine *machine)
{
	return machine->nodes;
}
