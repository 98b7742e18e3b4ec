#include "daemon/node_internal.h"

#include "base/memory.h"

/* Linearizable reads (Raft dissertation §6.4): Raft says which entry must have been applied before a read may be answered. */

#define ANSWER_MS 500 /* without the leader's word for so long, question or answer were lost */

static void finish(struct node *node, struct pending_read *read, int result)
{
	uint64_t id = read->id;
	HASH_DELETE(hh, node->reads, read);
	mem_free(read);
	node_read_ready(node, id, result);
}

static struct pending_read *find(const struct node *node, uint64_t id)
{
	struct pending_read *read;
	HASH_FIND(hh, node->reads, &id, sizeof id, read);
	return read;
}

void node_read(struct node *node, uint64_t id, bool lease)
{
	struct pending_read *read = mem_zero(sizeof *read);
	read->id = id;
	read->asked_at = node->host->now(node->context);
	HASH_ADD(hh, node->reads, id, sizeof read->id, read);
	int result = replica_step(node, &(struct raft_event){.kind = RAFT_READ, .id = id, .lease = lease});
	if (result != 0 && (read = find(node, id)) != NULL)
		finish(node, read, result);
}

void reads_take(struct node *node, const struct raft_read *answer)
{
	struct pending_read *read = find(node, answer->id);
	if (read == NULL)
		return; /* it was given up */
	read->index = answer->index;
	if (answer->result != 0 || (!node->installing && machine_applied_index(node->machine) >= answer->index))
		finish(node, read, answer->result);
}

void reads_applied(struct node *node)
{
	struct pending_read *read;
	struct pending_read *next;
	uint64_t applied = machine_applied_index(node->machine);
	HASH_ITER(hh, node->reads, read, next) {
		if (read->index != 0 && read->index <= applied)
			finish(node, read, 0);
	}
}

void reads_expire(struct node *node, msec now)
{
	struct pending_read *read;
	struct pending_read *next;
	HASH_ITER(hh, node->reads, read, next) {
		if (read->asked_at + ANSWER_MS > now)
			return;
		if (read->index == 0)
			finish(node, read, ERR_NOT_LEADER);
		else
			read->asked_at = now; /* it waits for nothing but this node itself */
	}
}

/* The oldest stands first; one that only waits to be applied may stand before it, and costs a turn now and then. */
msec reads_deadline(const struct node *node)
{
	return node->reads != NULL ? node->reads->asked_at + ANSWER_MS : MSEC_NEVER;
}

void reads_destroy(struct node *node)
{
	struct pending_read *read;
	struct pending_read *next;
	HASH_ITER(hh, node->reads, read, next) {
		HASH_DELETE(hh, node->reads, read);
		mem_free(read);
	}
}
