/* Keeps the catalog's WAL short, and lets the node begin nothing new while there is no room. */
#ifndef CLUSTERD_DAEMON_UPKEEP_H
#define CLUSTERD_DAEMON_UPKEEP_H

#include "daemon/disk.h"
#include "daemon/node.h"

struct upkeep {
	struct disk *disk;
	struct catalog *catalog;
	struct node *node;
	uint64_t wal_at_checkpoint; /* size of the catalog's WAL when the last checkpoint began; 0: it has begun anew since */
	bool holding;               /* no transaction begins until the checkpoint is over */
	bool wal_warned;
	char refusal[160];          /* why nothing new is begun; empty: it is */
};

/* At the end of each turn, before the node's. */
void upkeep_turn(struct upkeep *upkeep);
void upkeep_checkpointed(struct upkeep *upkeep);
/* Now and then while something is written, and while it refuses. */
void upkeep_room(struct upkeep *upkeep);
bool upkeep_refuses(const struct upkeep *upkeep);

#endif
