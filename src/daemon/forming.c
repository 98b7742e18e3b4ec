#include "daemon/cluster.h"

#include "base/random.h"
#include "wire/frame.h"

#include <stdio.h>

/* Servers that were told to expect one another begin a cluster together, once (INVARIANTS, 34): when `expect` of them are there, the one
 * with the lowest id proposes a cluster of the lowest `expect` ids, and each of these pledges itself to it, durably and for good. All
 * pledges together make the cluster. No server pledges itself to two clusters, so two cannot both be complete. */

#define TURN_MS 100
#define SETTLED_MS 500 /* nobody came or went for so long before something is proposed */

static bool waits(const struct node *node)
{
	return node->expect > 0 && node->identity.cluster_id[0] == '\0' && !node->failed;
}

static bool is_founder(const struct node_identity *identity, uint64_t id)
{
	for (uint32_t i = 0; i < identity->founder_count; i++) {
		if (identity->founders[i] == id)
			return true;
	}
	return false;
}

static void send(struct node *node, uint64_t member, Clusterd__Wire__Form__Step step, const char *cluster_id)
{
	Clusterd__Wire__Form message = CLUSTERD__WIRE__FORM__INIT;
	message.step = step;
	message.cluster_id = (char *)(uintptr_t)cluster_id;
	message.n_founders = node->identity.founder_count;
	message.founders = node->identity.founders;
	node->host->peer_send(node->context, member, FRAME_FORM, 0, &message.base, NULL, 0);
}

/* --- proposing ----------------------------------------------------------------------------------------------------- */

struct present {
	uint64_t lowest[RAFT_VOTERS_MAX]; /* ids of those that wait for as many as this one does, ascending */
	uint32_t count;                   /* of all of them */
	bool pledged;                     /* one of them has made its promise already */
};

static struct present look(const struct node *node)
{
	struct present present = {.count = 0};
	struct gossip_member member;
	struct slice value;
	char expected[12];
	snprintf(expected, sizeof expected, "%u", node->expect);
	for (uint64_t id = 0; gossip_next(node->gossip, id, &member); id = member.id) {
		if (!gossip_is_live(&member) || !cluster_is_server(&member) || !gossip_value(&member, KEY_EXPECT, &value) ||
		    !slice_is(value, expected))
			continue;
		if (present.count < node->expect && present.count < RAFT_VOTERS_MAX)
			present.lowest[present.count] = member.id;
		present.count++;
		present.pledged = present.pledged || (gossip_value(&member, KEY_PLEDGE, &value) && value.size != 0);
	}
	return present;
}

static void propose(struct node *node, const struct present *present)
{
	struct node_identity *identity = &node->identity;
	struct random random = {node->forming_seed};
	snprintf(identity->pledged_id, sizeof identity->pledged_id, "%016llx%016llx",
	         (unsigned long long)random_next(&random), (unsigned long long)random_next(&random));
	identity->founder_count = node->expect;
	for (uint32_t i = 0; i < node->expect; i++)
		identity->founders[i] = present->lowest[i];
	cluster_save_identity(node);
}

/* The first of the founders that is there collects the pledges; any of them could. */
static bool collects(const struct node *node)
{
	struct gossip_member member;
	for (uint32_t i = 0; i < node->identity.founder_count; i++) {
		if (node->identity.founders[i] == node->id)
			return true;
		if (gossip_find(node->gossip, node->identity.founders[i], &member) && gossip_is_live(&member))
			return false;
	}
	return false;
}

static void collect(struct node *node)
{
	const struct node_identity *identity = &node->identity;
	bool all = true;
	for (uint32_t i = 0; i < identity->founder_count; i++) {
		bool own = identity->founders[i] == node->id;
		bool given = own || (node->pledges & UINT32_C(1) << i) != 0;
		if (!given)
			send(node, identity->founders[i], CLUSTERD__WIRE__FORM__STEP__STEP_PROPOSE, identity->pledged_id);
		all = all && given;
	}
	if (!all)
		return;
	for (uint32_t i = 0; i < identity->founder_count; i++) {
		if (identity->founders[i] != node->id)
			send(node, identity->founders[i], CLUSTERD__WIRE__FORM__STEP__STEP_FORMED, identity->pledged_id);
	}
	forming_formed(node);
}

void forming_formed(struct node *node)
{
	struct node_identity *identity = &node->identity;
	if (identity->cluster_id[0] != '\0' || node->saving_identity)
		return;
	memcpy(identity->cluster_id, identity->pledged_id, sizeof identity->cluster_id);
	cluster_save_identity(node);
}

void forming_turn(struct node *node, msec now)
{
	if (!waits(node) || now < node->forming_at || node->saving_identity)
		return;
	node->forming_at = now + TURN_MS;
	if (node->identity.pledged_id[0] != '\0') {
		if (collects(node))
			collect(node);
		return;
	}
	struct present present = look(node);
	if (present.count != node->forming_seen) {
		node->forming_seen = present.count;
		node->forming_since = now;
	}
	if (present.count >= 2 * node->expect) {
		error_set(&node->problem, ERR_CONFLICT,
		          "%u servers that expect %u are there, and no cluster: they could begin two. Start all but %u of them with "
		          "--join instead of --expect",
		          present.count, node->expect, node->expect);
		return;
	}
	if (present.count >= node->expect && !present.pledged && present.lowest[0] == node->id &&
	    now - node->forming_since >= SETTLED_MS)
		propose(node, &present);
}

msec forming_deadline(const struct node *node)
{
	return waits(node) && !node->saving_identity ? node->forming_at : MSEC_NEVER;
}

/* --- answering ----------------------------------------------------------------------------------------------------- */

static bool proposal_can_be(const struct node *node, uint64_t member, const Clusterd__Wire__Form *message)
{
	bool has_self = false;
	bool has_sender = false;
	if (message->n_founders != node->expect || strlen(message->cluster_id) + 1 != NODE_CLUSTER_ID_SIZE)
		return false;
	for (size_t i = 0; i < message->n_founders; i++) {
		if (i > 0 && message->founders[i] <= message->founders[i - 1])
			return false;
		has_self = has_self || message->founders[i] == node->id;
		has_sender = has_sender || message->founders[i] == member;
	}
	return has_self && has_sender;
}

static void take_proposal(struct node *node, uint64_t member, const Clusterd__Wire__Form *message)
{
	struct node_identity *identity = &node->identity;
	if (node->saving_identity)
		return; /* it is asked again */
	const char *bound = identity->cluster_id[0] != '\0' ? identity->cluster_id : identity->pledged_id;
	if (bound[0] != '\0') {
		bool same = strcmp(bound, message->cluster_id) == 0;
		send(node, member,
		     same ? CLUSTERD__WIRE__FORM__STEP__STEP_PLEDGED : CLUSTERD__WIRE__FORM__STEP__STEP_REFUSED, bound);
		return;
	}
	if (!waits(node) || !proposal_can_be(node, member, message)) {
		node->counts.messages_refused++;
		send(node, member, CLUSTERD__WIRE__FORM__STEP__STEP_REFUSED, "");
		return;
	}
	memcpy(identity->pledged_id, message->cluster_id, sizeof identity->pledged_id);
	identity->founder_count = (uint32_t)message->n_founders;
	for (size_t i = 0; i < message->n_founders; i++)
		identity->founders[i] = message->founders[i];
	cluster_save_identity(node); /* the pledge is given when it is asked for again, and durable */
}

static void take_pledge(struct node *node, uint64_t member, const Clusterd__Wire__Form *message)
{
	for (uint32_t i = 0; i < node->identity.founder_count; i++) {
		if (node->identity.founders[i] == member && strcmp(node->identity.pledged_id, message->cluster_id) == 0)
			node->pledges |= UINT32_C(1) << i;
	}
	node->forming_at = 0;
}

static void take_refusal(struct node *node, uint64_t member, const Clusterd__Wire__Form *message)
{
	if (message->cluster_id[0] == '\0')
		return;
	error_set(&node->problem, ERR_CONFLICT,
	          "node %llu has pledged itself to begin cluster %s, this one cluster %s: remove the data directory of the one that is to "
	          "give in, and start it again",
	          (unsigned long long)member, message->cluster_id, node->identity.pledged_id);
}

void forming_message(struct node *node, uint64_t member, const Clusterd__Wire__Form *message)
{
	switch (message->step) {
	case CLUSTERD__WIRE__FORM__STEP__STEP_PROPOSE:
		take_proposal(node, member, message);
		break;
	case CLUSTERD__WIRE__FORM__STEP__STEP_PLEDGED:
		if (waits(node))
			take_pledge(node, member, message);
		break;
	case CLUSTERD__WIRE__FORM__STEP__STEP_REFUSED:
		if (waits(node) && is_founder(&node->identity, member))
			take_refusal(node, member, message);
		break;
	case CLUSTERD__WIRE__FORM__STEP__STEP_FORMED:
		if (waits(node) && is_founder(&node->identity, member) &&
		    strcmp(node->identity.pledged_id, message->cluster_id) == 0)
			forming_formed(node);
		break;
	default:
		node->counts.messages_refused++;
		break;
	}
}
