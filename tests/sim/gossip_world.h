/* A world for the membership core alone: many cores on a virtual clock, and a network that loses, delays, doubles, parts. Every message
 * goes through the codec. Its parts:
 *   gossip_world.c    the clock, what happens when, the network, nodes
 *   gossip_faults.c   what goes wrong, by a seed; what must come of it
 *   gossip_check.c    what must hold, looked at after every step
 *   gossip_bugs.c     bugs planted, to see that the checks bite
 *   gossip_table.c    how fast and at what cost, for clusters of all sizes
 *   gossip_sim.c      the program */
#ifndef CLUSTERD_SIM_GOSSIP_WORLD_H
#define CLUSTERD_SIM_GOSSIP_WORLD_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/random.h"
#include "membership/gossip.h"

typedef int64_t usec; /* virtual microseconds */

#define WALL_START 1800000000000 /* of wall clocks, milliseconds since 1970 */

enum planted {
	PLANTED_NONE,
	PLANTED_OLD_GENERATION_HEARD,
	PLANTED_NO_REFUTATION,
	PLANTED_INCARNATION_FORGOTTEN,
	PLANTED_NO_CERTIFICATES,
	PLANTED_TOMBSTONES_FORGOTTEN,
	PLANTED_GAP_NOT_NOTICED,
	PLANTED_CHANGE_LOST,
	PLANTED_NO_EXCHANGES,
	PLANTED_NO_RECONNECTING,
	PLANTED_DEAD_NOT_FORGOTTEN,
	PLANTED_SUSPICION_WITHOUT_END,
	PLANTED_NOT_FAIR,
	PLANTED_COUNT,
};

extern const char *const planted_names[PLANTED_COUNT];

/* What an observer was told of a member, by changes alone (small worlds only). */
struct mirror {
	bool known;
	uint64_t generation;
	uint32_t incarnation;
	enum gossip_state state;
	uint64_t version;
	uint64_t newest_generation; /* ever seen since the last start over */
	bool left;                  /* of the newest generation */
};

struct node {
	uint32_t index;
	uint64_t id;
	uint64_t generation;
	uint32_t port; /* another one at another address */
	struct gossip *gossip; /* NULL: down */
	struct clock clock;
	usec tick_at;      /* the one that counts; 0: none */
	usec paused_until;
	bool left;
	bool gone;         /* for good, once it is down */
	uint32_t part;     /* of the network; only within it messages arrive */
	usec disturbed_at; /* when it was last down, paused or cut off */
	uint32_t waiting;  /* messages that arrived while it is paused */
	uint32_t life;
	msec skew;         /* of its wall clock */
	struct mirror *mirrors; /* of all nodes; NULL: large world */
	uint64_t sequence_seen;
	/* What is true of its key-values. */
	char values[8][24]; /* "": none */
	/* What it cost. */
	uint64_t bytes_out, datagrams_out, exchange_bytes;
	usec second;       /* of which these are counted: */
	uint32_t in_second;
};

struct happening;

/* Who sees what of one member: for measuring. */
struct watch {
	uint64_t id;
	uint64_t generation;
	enum gossip_state state; /* FAILED: or left */
	uint8_t *seen;           /* by node */
	uint32_t count;
	usec since, first, last;
};

struct world {
	uint64_t seed;
	struct random random;
	enum planted planted;
	bool traced;
	usec now;
	uint64_t order;
	struct happening *heap;
	size_t heap_count, heap_capacity;
	struct node *nodes;
	uint32_t node_count;
	struct gossip_shared *shared;
	struct gossip_config settings; /* of all nodes */
	struct arena arena;
	struct buffer buffer;
	struct watch watch;

	uint32_t loss, doubling; /* per thousand */
	usec delay_min, delay_max;
	bool checked; /* mirrors are kept, all is checked */
	bool calm;    /* no faults any more: false failures count as failures of the simulation */

	char failure[512]; /* empty: all holds */
	struct world_counts {
		uint64_t steps, datagrams, lost, doubled, bytes, exchange_messages, exchange_bytes;
		uint64_t joins, restarts, crashes, leaves, pauses, partitions, sets, deletes;
		uint64_t false_failures; /* changes to failed of a member that is up */
		uint64_t declared;       /* false ones declared by whoever suspected first */
		uint64_t largest_datagram, largest_message;
	} counts;
};

/* gossip_world.c */
struct world *world_create(uint64_t seed, uint32_t node_count, bool checked);
void world_destroy(struct world *world);
void world_run(struct world *world, usec until); /* stops early at a failure */
void node_start(struct world *world, struct node *node, uint32_t seed_node); /* joins by that node; itself: none */
void node_crash(struct world *world, struct node *node);
void node_pause(struct world *world, struct node *node, usec duration);
void node_event(struct world *world, struct node *node, struct gossip_event *event);
void node_address(const struct node *node, char ret_address[GOSSIP_ADDRESS_MAX + 1]);
bool node_up(const struct world *world, const struct node *node); /* runs, is not paused, has not left */
/* All nodes up and knowing one another, without the messages that this takes. */
void world_fill(struct world *world);
void world_watch(struct world *world, const struct node *node, enum gossip_state state);
uint64_t roll(struct world *world, uint64_t bound);
void fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct node *node_of(struct world *world, uint64_t id);

/* gossip_check.c */
void check_changes(struct world *world, struct node *node, const struct gossip_effects *effects);
bool check_converged(struct world *world, char *ret_why, size_t size);

/* gossip_faults.c */
bool faults_run(struct world *world, usec duration);

/* gossip_bugs.c */
void planted_before_step(struct world *world, struct node *node, struct gossip_event *event);
void planted_after_step(struct world *world, struct node *node, struct gossip_effects *effects);
void planted_delivery(struct world *world, struct node *node, struct gossip_message *message);

/* gossip_table.c */
int table(const uint32_t *sizes, size_t size_count, uint64_t seed);
int run_plain(uint32_t nodes, uint32_t loss, uint64_t seed, uint32_t seconds);
int check_large(uint64_t seed);  /* 500 nodes */
int check_paused(uint64_t seed); /* one hangs, the others go on */

#endif
