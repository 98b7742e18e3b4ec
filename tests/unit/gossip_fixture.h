/* A few membership cores on a network without faults, for tests that want one thing to happen. Messages go through the codec. */
#ifndef CLUSTERD_UNIT_GOSSIP_FIXTURE_H
#define CLUSTERD_UNIT_GOSSIP_FIXTURE_H

#include "membership/gossip.h"

#define FIXTURE_NODES 16
#define FIXTURE_CLUSTER "0123456789abcdef0123456789abcdef"

struct fixture_node {
	struct gossip *gossip; /* NULL: none */
	char address[GOSSIP_ADDRESS_MAX + 1];
	char bound[GOSSIP_ADDRESS_MAX + 1]; /* where its messages seem to come from */
	bool paused;
	struct clock clock;
	uint32_t kinds[6];     /* changes, by kind */
	uint64_t last_changed; /* id of the member of the last one */
	uint64_t sequence;
	struct gossip_sighting sighting;
	uint32_t sightings;
	struct gossip_conflict conflict;
	uint32_t conflicts;
	uint32_t lefts;
	int result;
	uint32_t datagrams;    /* sent */
	size_t largest;
};

struct fixture {
	msec now;
	msec wall_offset;
	struct fixture_node nodes[FIXTURE_NODES + 1]; /* by id, 1 … */
	struct gossip_config settings;
	bool cut[FIXTURE_NODES + 1][FIXTURE_NODES + 1]; /* from, to: nothing arrives */
	struct letter *first, **last;
};

void fixture_init(struct fixture *fixture);
void fixture_finish(struct fixture *fixture);
/* A node at 10.0.0.<id>:9189 named "n<id>", of the fixture's cluster; not joined. */
struct gossip *fixture_add(struct fixture *fixture, uint64_t id, uint64_t generation);
/* The same with anything else; NULL: the default. */
struct gossip *fixture_add_as(struct fixture *fixture, uint64_t id, uint64_t real_id, uint64_t generation, const char *name,
                              const char *address, const char *cluster_id);
void fixture_kill(struct fixture *fixture, uint64_t id);
void fixture_join(struct fixture *fixture, uint64_t id, uint64_t seed);
void fixture_event(struct fixture *fixture, uint64_t id, struct gossip_event event);
void fixture_run(struct fixture *fixture, msec duration);
/* `count` nodes that all know one another. */
void fixture_cluster(struct fixture *fixture, uint64_t count);
/* What one thinks of another; GOSSIP_STATE_END: nothing. */
enum gossip_state fixture_state(struct fixture *fixture, uint64_t observer, uint64_t member);
struct gossip_member fixture_member(struct fixture *fixture, uint64_t observer, uint64_t member);

#endif
