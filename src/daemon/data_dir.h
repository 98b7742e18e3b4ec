/* What a node finds in its data directory when it starts, checked to be of one node; and what it puts there at its first start. */
#ifndef CLUSTERD_DAEMON_DATA_DIR_H
#define CLUSTERD_DAEMON_DATA_DIR_H

#include "daemon/config.h"
#include "daemon/disk.h"
#include "daemon/log_facts.h"
#include "daemon/node.h"

struct data_dir {
	struct disk *disk;
	struct catalog *catalog;
	struct vote_state vote;       /* as it is on the disk: this start is counted */
	struct wal_recovery recovery;
	struct log_facts facts;       /* of the entries after the catalog's applied index */
};

/* The directory is locked and is this process's. What was opened is in `data` also when it fails: disk, catalog and facts are the
 * caller's to close. */
int data_dir_open(const struct config *config, struct data_dir *data, struct error *error);

/* Between what the vote file says and what the node knows. */
void data_dir_identity(const struct vote_state *vote, struct node_identity *ret_identity);
void data_dir_set_identity(struct vote_state *vote, const struct node_identity *identity);

#endif
