#include "daemon/node_internal.h"

#include "base/memory.h"
#include "wire/frame.h"

#include <inttypes.h>

/* What the other members were promised: a node that begins a new life with less than it had said to be durable has an old copy of its
 * directory, and would vote, and count towards what is committed, as if it had never said so. Raft has no cure for that. So each message
 * says with what its sender began; members compare that with what they have heard of its former lives since they began themselves, and
 * from one that lacks some of it they take nothing any more. */

struct standing {
	uint64_t member;
	uint64_t generation;
	uint64_t born_term, born_index; /* with what it began this life */
	uint64_t term;  /* of its durable vote, or durable entries */
	uint64_t index; /* up to here its log was durable and as the leader's of that term */
	bool set_back;  /* in this life it has less */
	UT_hash_handle hh;
};

static struct standing *standing_of(struct node *node, uint64_t member)
{
	struct standing *standing;
	HASH_FIND(hh, node->standings, &member, sizeof member, standing);
	if (standing != NULL)
		return standing;
	standing = mem_zero(sizeof *standing);
	standing->member = member;
	HASH_ADD(hh, node->standings, member, sizeof standing->member, standing);
	return standing;
}

void standing_sign(const struct node *node, Clusterd__Wire__RaftMessage *packed)
{
	packed->generation = node->generation;
	packed->born_term = node->born_term;
	packed->born_index = node->born_index;
}

/* In a term an entry that is durable and the leader's is never cut, and what cuts it later has a higher term, durable before. */
static bool lacks(const Clusterd__Wire__RaftMessage *packed, const struct standing *standing)
{
	return packed->born_term < standing->term ||
	       (packed->born_term == standing->term && packed->born_index < standing->index);
}

bool standing_allows(struct node *node, uint64_t member, const Clusterd__Wire__RaftMessage *packed)
{
	struct standing *standing = standing_of(node, member);
	/* Lives of two directories, a copy and what it was made of, may have one number. */
	bool is_other = packed->generation == standing->generation &&
	                (packed->born_term != standing->born_term || packed->born_index != standing->born_index);
	if (packed->generation > standing->generation || is_other) {
		standing->generation = packed->generation;
		standing->born_term = packed->born_term;
		standing->born_index = packed->born_index;
		standing->set_back = lacks(packed, standing);
		node->counts.set_back += standing->set_back;
	}
	if (standing->set_back && packed->generation == standing->generation)
		node->host->peer_send(node->context, member, FRAME_SET_BACK, 0, NULL, NULL, 0);
	return packed->generation == standing->generation && !standing->set_back;
}

static void raise(struct standing *standing, uint64_t term, uint64_t index)
{
	if (term > standing->term)
		standing->index = 0;
	if (term < standing->term)
		return;
	standing->term = term;
	standing->index = index > standing->index ? index : standing->index;
}

void standing_heard(struct node *node, const struct raft_message *message)
{
	struct standing *standing = standing_of(node, message->from);
	if (message->kind == RAFT_VOTE_RESPONSE && message->vote_response.granted && !message->vote_response.pre)
		raise(standing, message->vote_response.for_term, 0);
	else if (message->kind == RAFT_APPEND_RESPONSE && !message->append_response.rejected)
		raise(standing, message->term, message->append_response.match);
}

void standing_told(struct node *node, uint64_t member)
{
	struct error error = {0};
	error_set(&error, ERR_CONFLICT,
	          "member %" PRIx64 " has heard of more from this node than is in its data directory: that is an old copy; remove "
	          "it, and start the node again to join as a new one", member);
	node_fail(node, &error);
}

void standings_destroy(struct node *node)
{
	struct standing *standing;
	struct standing *next;
	HASH_ITER (hh, node->standings, standing, next) {
		HASH_DELETE(hh, node->standings, standing);
		mem_free(standing);
	}
}
