/* Bugs that one makes in a membership protocol, planted by reaching into the core, or into what it hears. */
#include "sim/gossip_world.h"

#include "membership/gossip_internal.h"

const char *const planted_names[PLANTED_COUNT] = {
	[PLANTED_NONE] = "none",
	[PLANTED_OLD_GENERATION_HEARD] = "old-generation-heard",
	[PLANTED_NO_REFUTATION] = "no-refutation",
	[PLANTED_INCARNATION_FORGOTTEN] = "incarnation-forgotten",
	[PLANTED_NO_CERTIFICATES] = "no-certificates",
	[PLANTED_TOMBSTONES_FORGOTTEN] = "tombstones-forgotten",
	[PLANTED_GAP_NOT_NOTICED] = "gap-not-noticed",
	[PLANTED_CHANGE_LOST] = "change-lost",
	[PLANTED_NO_EXCHANGES] = "no-exchanges",
	[PLANTED_NO_RECONNECTING] = "no-reconnecting",
	[PLANTED_DEAD_NOT_FORGOTTEN] = "dead-not-forgotten",
	[PLANTED_SUSPICION_WITHOUT_END] = "suspicion-without-end",
	[PLANTED_NOT_FAIR] = "not-fair",
};

void planted_before_step(struct world *world, struct node *node, struct gossip_event *event)
{
	struct gossip *gossip = node->gossip;
	(void)event;
	if (world->planted == PLANTED_INCARNATION_FORGOTTEN && roll(world, 200) == 0)
		record_of(gossip, gossip->members.sorted[roll(world, gossip->members.count)])->incarnation = 0;
	if (world->planted == PLANTED_NO_EXCHANGES)
		gossip->next_exchange = MSEC_NEVER;
	if (world->planted == PLANTED_NO_RECONNECTING)
		gossip->next_reconnect = MSEC_NEVER;
	if (world->planted == PLANTED_DEAD_NOT_FORGOTTEN)
		gossip->next_forget = MSEC_NEVER;
	if (world->planted == PLANTED_SUSPICION_WITHOUT_END)
		gossip->suspicion_next = MSEC_NEVER;
	if (world->planted == PLANTED_NO_CERTIFICATES)
		gossip->members.certificate_count = 0;
	/* The same ones are probed again and again. */
	if (world->planted == PLANTED_NOT_FAIR && gossip->members.live_count > 2)
		gossip->members.probed = gossip->members.live_count - 1;
}

void planted_after_step(struct world *world, struct node *node, struct gossip_effects *effects)
{
	(void)node;
	if (world->planted == PLANTED_CHANGE_LOST && effects->change_count > 1 && roll(world, 20) == 0)
		effects->change_count--;
}

/* Nothing of what is said about the receiver reaches it. */
static void strip_own_row(const struct node *node, struct gossip_message *message)
{
	struct gossip_row *rows = (struct gossip_row *)(uintptr_t)message->rows;
	size_t kept = 0;
	for (size_t i = 0; i < message->row_count; i++)
		if (rows[i].id != node->id)
			rows[kept++] = rows[i];
	message->row_count = kept;
}

static void strip_tombstones(struct gossip_profile *profile)
{
	struct gossip_pair *pairs = (struct gossip_pair *)(uintptr_t)profile->pairs;
	size_t kept = 0;
	for (size_t i = 0; i < profile->pair_count; i++)
		if (!pairs[i].deleted)
			pairs[kept++] = pairs[i];
	profile->pair_count = kept;
}

void planted_delivery(struct world *world, struct node *node, struct gossip_message *message)
{
	struct gossip_update *updates = (struct gossip_update *)(uintptr_t)message->updates;
	size_t kept = 0;
	if (world->planted == PLANTED_NO_REFUTATION)
		strip_own_row(node, message);
	for (size_t i = 0; i < message->update_count; i++) {
		struct gossip_update *update = &updates[i];
		struct gossip_profile *profile = (struct gossip_profile *)(uintptr_t)update->profile;
		uint16_t slot = members_find(&node->gossip->members, update->id);
		const struct profile *known = slot != NO_SLOT ? record_of(node->gossip, slot)->profile : NULL;
		if (world->planted == PLANTED_OLD_GENERATION_HEARD && known != NULL &&
		    update->generation < known->generation)
			update->generation = known->generation;
		if (world->planted == PLANTED_TOMBSTONES_FORGOTTEN && profile != NULL)
			strip_tombstones(profile);
		if (world->planted == PLANTED_GAP_NOT_NOTICED && known != NULL && profile != NULL &&
		    profile->base > known->version)
			profile->base = known->version;
		if (world->planted == PLANTED_NO_CERTIFICATES)
			update->since_ms = 0;
		if (world->planted == PLANTED_NO_REFUTATION && update->id == node->id)
			continue;
		updates[kept++] = *update;
	}
	message->update_count = kept;
}
