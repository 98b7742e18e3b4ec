/* What the files of the host share:
 *   host.c         its life, turns of the loop, signals
 *   host_open.c    what is opened when it comes up, and closed again
 *   host_wishes.c  what the node wishes
 *   host_world.c   what disk, other nodes, children and readers tell the node */
#ifndef CLUSTERD_DAEMON_HOST_INTERNAL_H
#define CLUSTERD_DAEMON_HOST_INTERNAL_H

#include "daemon/allocations.h"
#include "daemon/data_dir.h"
#include "daemon/desk.h"
#include "daemon/executor.h"
#include "daemon/guests.h"
#include "daemon/host.h"
#include "daemon/network.h"
#include "daemon/programs.h"
#include "daemon/reader.h"
#include "daemon/snapshots.h"
#include "daemon/upkeep.h"
#include "daemon/zones.h"
#include "discovery/discovery.h"
#include "net/loop.h"

struct host {
	struct config *config;
	struct loop *loop;
	struct data_dir data; /* as it was found */
	struct disk *disk;
	struct catalog *catalog;
	struct executor *executor;
	struct allocations *allocations;
	struct programs *programs;
	struct desk *desk;
	struct guests *guests;
	struct reader *reader;
	struct snapshots *snapshots;
	struct network *network;
	struct discovery *discovery;
	struct zones *zones;
	struct node *node;
	struct loop_timer *node_timer;
	msec node_due_at; /* what it is set to */
	struct loop_pause *apply_pause;
	struct loop_timer *idle_timer;
	struct loop_timer *sweep_timer;
	bool sweep_set;
	struct loop_timer *drain_timer;
	struct loop_signal *signals[3];
	char *catalog_path;
	char *socket_path;
	char cluster_id[NODE_CLUSTER_ID_SIZE]; /* as it is being saved */
	int lock;
	bool ready_said;
	bool stopping;
	bool idle_set;
	long long longest_stall_us;
	struct upkeep upkeep;
	struct error failure; /* what ended the node; code 0: nothing did */
};

/* host_open.c */
int host_open(struct host *host, struct error *error);
void host_close(struct host *host);

/* host_wishes.c */
extern const struct node_host host_wishes;
void host_fail(void *context, const struct error *error);
/* An answer to whoever asked, past the node: from inside a wish of it, too. */
void host_answer(void *context, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                 struct slice payload);

/* host_world.c; the context of all is the host */
extern const struct disk_handler host_disk_handler;
extern const struct snapshots_handler host_snapshots_handler;
extern const struct network_handler host_network_handler;
extern const struct executor_handler host_executor_handler;
extern const struct allocations_handler host_allocations_handler;
extern const struct programs_handler host_programs_handler;
void host_found(void *context, const struct places *places);
void host_reader_answered(void *context, const struct reader_answer *answer);

#endif
