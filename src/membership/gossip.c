#include "membership/gossip.h"

#include "base/error.h"
#include "base/memory.h"

struct gossip {
	struct gossip_counts counts;
	char cluster_id[GOSSIP_CLUSTER_ID_SIZE];
};

int gossip_create(const struct gossip_config *config, struct gossip **ret_gossip)
{
	if (config->id == 0 || config->id > GOSSIP_ID_MAX)
		return ERR_INVALID;
	*ret_gossip = mem_zero(sizeof **ret_gossip);
	return 0;
}

void gossip_destroy(struct gossip *gossip)
{
	mem_free(gossip);
}

void gossip_step(struct gossip *gossip, msec now, const struct gossip_event *event, struct gossip_effects *ret_effects)
{
	(void)now;
	gossip->counts.datagrams_in += event->kind == GOSSIP_DATAGRAM;
	*ret_effects = (struct gossip_effects){0};
}

msec gossip_deadline(const struct gossip *gossip)
{
	(void)gossip;
	return MSEC_NEVER;
}

bool gossip_find(const struct gossip *gossip, uint64_t id, struct gossip_member *ret_member)
{
	(void)gossip;
	(void)id;
	(void)ret_member;
	return false;
}

bool gossip_find_name(const struct gossip *gossip, const char *name, struct gossip_member *ret_member)
{
	(void)gossip;
	(void)name;
	(void)ret_member;
	return false;
}

bool gossip_next(const struct gossip *gossip, uint64_t id, struct gossip_member *ret_member)
{
	return gossip_find(gossip, id, ret_member);
}

bool gossip_is_live(const struct gossip_member *member)
{
	return member->state == GOSSIP_ALIVE || member->state == GOSSIP_SUSPECT;
}

uint64_t gossip_sequence(const struct gossip *gossip)
{
	(void)gossip;
	return 0;
}

const char *gossip_cluster_id(const struct gossip *gossip)
{
	return gossip->cluster_id;
}

const struct gossip_counts *gossip_counts(const struct gossip *gossip)
{
	return &gossip->counts;
}
