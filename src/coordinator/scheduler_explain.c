/* Why nothing of a job is placed, in words. */
#include "coordinator/scheduler_parts.h"

#include "base/memory.h"

#include <stdlib.h>

enum reason {
	REASON_ROOM, /* there is nothing against it */
	REASON_DOWN,
	REASON_INELIGIBLE,
	REASON_DATACENTER,
	REASON_NOT_LISTED,
	REASON_LACKS_TAG,
	REASON_HAS_TAG,
	REASON_HAS_ONE,
	REASON_CPU,
	REASON_MEMORY,
	REASON_PORT,
	REASON_FREE_PORTS,
	REASON_COUNT,
};

/* Nodes that are left out by the same thing. */
struct group {
	enum reason reason;
	struct slice tag;
	uint16_t port;
	uint32_t nodes;
	int64_t most; /* cpu, memory or ports that one of them has free */
};

struct groups {
	struct group *items;
	size_t count;
	size_t capacity;
	uint32_t nodes;
};

static uint16_t port_taken(const struct node *node, const struct request *request)
{
	for (uint32_t i = 0; i < request->port_count; i++) {
		size_t cursor = 0;
		if (request->ports[i] != 0 && port_holder(node, request->ports[i], &cursor) != NO_SLOT)
			return request->ports[i];
	}
	return 0;
}

/* The first thing that keeps the job from the node. */
static struct group reason_of(const struct scheduler *scheduler, const struct job *job, uint32_t slot)
{
	static const enum reason mismatches[] = {REASON_ROOM, REASON_DATACENTER, REASON_NOT_LISTED, REASON_LACKS_TAG,
	                                         REASON_HAS_TAG};
	const struct node *node = scheduler->nodes[slot];
	const struct request *request = job_request(job);
	struct group group = {.reason = REASON_ROOM, .nodes = 1};
	enum mismatch mismatch = class_match(job->shape->class, node, &group.tag);
	bool distinct = job_is_system(job) || job->settings->placement == JOB_RANDOM;
	group.reason = mismatches[mismatch];
	if (mismatch != MATCHES)
		return group;
	if (!node->up)
		group.reason = REASON_DOWN;
	else if (!node->eligible)
		group.reason = REASON_INELIGIBLE;
	else if (distinct && tally(scheduler, job, slot) > 0)
		group.reason = REASON_HAS_ONE;
	else if (node->cpu - node->cpu_used < request->cpu)
		group.reason = REASON_CPU;
	else if (node->memory - node->memory_used < request->memory)
		group.reason = REASON_MEMORY;
	else if ((group.port = port_taken(node, request)) != 0)
		group.reason = REASON_PORT;
	else if (!ports_fit(node, request))
		group.reason = REASON_FREE_PORTS;
	if (group.reason == REASON_CPU)
		group.most = node->cpu - node->cpu_used;
	if (group.reason == REASON_MEMORY)
		group.most = node->memory - node->memory_used;
	if (group.reason == REASON_FREE_PORTS)
		group.most = node->ports_free;
	return group;
}

static void groups_add(struct groups *groups, struct group group)
{
	groups->nodes++;
	for (size_t i = 0; i < groups->count; i++) {
		struct group *same = &groups->items[i];
		if (same->reason != group.reason || same->port != group.port || !slice_equal(same->tag, group.tag))
			continue;
		same->nodes++;
		same->most = group.most > same->most ? group.most : same->most;
		return;
	}
	mem_grow(groups->items, groups->capacity, groups->count + 1);
	groups->items[groups->count++] = group;
}

static int compare(const void *left, const void *right)
{
	const struct group *one = left, *other = right;
	if (one->nodes != other->nodes)
		return one->nodes > other->nodes ? -1 : 1;
	if (one->reason != other->reason)
		return one->reason < other->reason ? -1 : 1;
	int order = slice_compare(one->tag, other->tag);
	return order != 0 ? order : (int)one->port - (int)other->port;
}

/* --- words ---------------------------------------------------------------------------------------------------------- */

static void write_cpu(struct buffer *out, int64_t cpu)
{
	int64_t rest = cpu % 1000;
	if (cpu <= 0)
		buffer_append_string(out, "none");
	else if (rest == 0)
		buffer_format(out, "%lld", (long long)(cpu / 1000));
	else
		buffer_format(out,
		              rest % 100 == 0  ? "%lld.%01lld"
		              : rest % 10 == 0 ? "%lld.%02lld"
		                               : "%lld.%03lld",
		              (long long)(cpu / 1000),
		              (long long)(rest % 100 == 0  ? rest / 100
		                          : rest % 10 == 0 ? rest / 10
		                                           : rest));
}

static void write_memory(struct buffer *out, int64_t bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;
	if (bytes <= 0) {
		buffer_append_string(out, "none");
		return;
	}
	while (unit < 4 && bytes >= 1024 && (bytes % 1024 == 0 || bytes >= 100 * 1024)) {
		bytes /= 1024;
		unit++;
	}
	buffer_format(out, "%lld %s", (long long)bytes, units[unit]);
}

static void write_reason(struct buffer *out, const struct group *group, const struct job *job)
{
	const struct request *request = job_request(job);
	switch (group->reason) {
	case REASON_CPU:
		buffer_append_string(out, "cpu: ");
		write_cpu(out, request->cpu);
		buffer_append_string(out, " asked, at most ");
		write_cpu(out, group->most);
		buffer_append_string(out, " free");
		break;
	case REASON_MEMORY:
		buffer_append_string(out, "memory: ");
		write_memory(out, request->memory);
		buffer_append_string(out, " asked, at most ");
		write_memory(out, group->most);
		buffer_append_string(out, " free");
		break;
	case REASON_LACKS_TAG:
		buffer_format(out, "tags: without \"%.*s\"", SLICE_ARGS(group->tag));
		break;
	case REASON_HAS_TAG:
		buffer_format(out, "tags: has \"%.*s\", which the job does not want", SLICE_ARGS(group->tag));
		break;
	case REASON_DATACENTER:
		buffer_format(out, "data centre: not in \"%.*s\"", SLICE_ARGS(job->settings->datacenter));
		break;
	case REASON_PORT:
		buffer_format(out, "ports: %u is taken", group->port);
		break;
	case REASON_FREE_PORTS:
		buffer_format(out, "ports: %u free asked, at most %lld free", request->free_ports,
		              (long long)group->most);
		break;
	case REASON_DOWN:
		buffer_append_string(out, "down");
		break;
	case REASON_INELIGIBLE:
		buffer_append_string(out, "not eligible, or being drained");
		break;
	case REASON_NOT_LISTED:
		buffer_append_string(out, "not among the nodes that the job names");
		break;
	case REASON_HAS_ONE:
		buffer_append_string(out, "has one of the job already");
		break;
	case REASON_ROOM:
	case REASON_COUNT:
		buffer_append_string(out, "has room");
		break;
	}
	buffer_append_char(out, '\n');
}

/* What can be done about the reason that most nodes have. */
static void write_help(struct buffer *out, const struct group *group)
{
	static const char *const help[REASON_COUNT] = {
		[REASON_DOWN] = "nodes that come up again",
		[REASON_INELIGIBLE] = "making a node eligible again",
		[REASON_DATACENTER] = "a node in that data centre, or a job that may run in another",
		[REASON_NOT_LISTED] = "more names in the job's nodes",
		[REASON_LACKS_TAG] = "a node with that tag, or a job that does not ask for it",
		[REASON_HAS_TAG] = "a node without that tag",
		[REASON_HAS_ONE] = "more nodes, or fewer tasks",
		[REASON_CPU] = "more nodes, or asking for less cpu",
		[REASON_MEMORY] = "more nodes, or asking for less memory",
		[REASON_PORT] = "another port, or a free one",
		[REASON_FREE_PORTS] = "a larger range of ports on the nodes",
	};
	if (help[group->reason] != NULL)
		buffer_format(out, "What would help: %s.\n", help[group->reason]);
}

static const char *tasks(uint32_t count)
{
	return count == 1 ? "task" : "tasks";
}

/* What has to be true of all its tasks together. False: that is what it waits for. */
static bool write_whole(struct buffer *out, const struct job *job, uint32_t room)
{
	const struct job_settings *settings = job->settings;
	if (settings->group && !job_wants(job)) {
		buffer_format(out, "The group is begun when all of its %u tasks wait; %u do.\n", job->whole,
		              job->ready);
		return false;
	}
	if (settings->placement == JOB_RANDOM && room > 0)
		buffer_format(out, "%u %s go to as many different nodes; %u could take one.\n", job->ready,
		              tasks(job->ready), room);
	else if (settings->group && room > 0)
		buffer_format(out, "All %u tasks of the group have to fit at once; only some of them do.\n",
		              job->ready);
	return true;
}

static void write_pins(struct buffer *out, const struct scheduler *scheduler, const struct job *job)
{
	for (uint32_t i = 0; i < job->settings->node_count; i++) {
		struct slice name = job->settings->nodes[i];
		uint32_t slot = 0;
		while (slot < scheduler->slot_count &&
		       (scheduler->nodes[slot] == NULL || !scheduler->nodes[slot]->known ||
		        !node_is_named(scheduler->nodes[slot], name)))
			slot++;
		if (slot == scheduler->slot_count && task_is_ready(job, i))
			buffer_format(out, "Task %u is to run on \"%.*s\", which is not a node of this cluster.\n", i,
			              SLICE_ARGS(name));
	}
}

void scheduler_explain(const struct scheduler *scheduler, uint64_t id, struct buffer *out)
{
	const struct job *job = scheduler_job_find(scheduler, id);
	struct groups groups = {0};
	uint32_t waiting = scheduler_waiting(scheduler, id), room = 0;
	if (waiting == 0)
		return;
	if (!job_is_system(job) && job->ready == 0) {
		buffer_format(out, "%u %s %s until the time of the next attempt.\n", waiting, tasks(waiting),
		              waiting == 1 ? "waits" : "wait");
		return;
	}
	if (scheduler->known_nodes == 0) {
		buffer_append_string(out, "There is no node yet that could run it.\n");
		return;
	}
	for (uint32_t slot = 0; slot < scheduler->slot_count; slot++) {
		if (scheduler->nodes[slot] != NULL && scheduler->nodes[slot]->known)
			groups_add(&groups, reason_of(scheduler, job, slot));
	}
	if (groups.count > 1)
		qsort(groups.items, groups.count, sizeof *groups.items, compare);
	for (size_t i = 0; i < groups.count; i++) {
		if (groups.items[i].reason == REASON_ROOM)
			room = groups.items[i].nodes;
	}
	const struct group *first = NULL;
	if (!job_is_system(job) && !write_whole(out, job, room))
		groups.count = 0;
	if (groups.count > 0 && job->settings->placement == JOB_PINNED)
		write_pins(out, scheduler, job);
	for (size_t i = 0; i < groups.count; i++) {
		if (groups.items[i].reason == REASON_ROOM)
			continue;
		buffer_format(out, "%u of %u nodes: ", groups.items[i].nodes, groups.nodes);
		write_reason(out, &groups.items[i], job);
		if (first == NULL)
			first = &groups.items[i];
	}
	if (room > 0 && groups.count > 0 && job->settings->placement != JOB_RANDOM && !job->settings->group)
		buffer_format(out, "%u of %u nodes: room for it; its turn comes next\n", room, groups.nodes);
	else if (first != NULL)
		write_help(out, first);
	mem_free(groups.items);
}
