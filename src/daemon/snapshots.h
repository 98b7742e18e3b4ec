/* Copies of the catalog between nodes (PROTOCOL, 13): one that is made and given away, one that is taken and becomes the catalog.
 * Files of DIR/snapshot, on a thread of their own; nothing there outlives the process. All functions are called, and answer, on the
 * loop's thread. */
#ifndef CLUSTERD_DAEMON_SNAPSHOTS_H
#define CLUSTERD_DAEMON_SNAPSHOTS_H

#include "base/buffer.h"
#include "base/error.h"
#include "daemon/disk.h"
#include "election/raft.h"
#include "net/loop.h"

struct snapshots;

struct snapshots_handler {
	/* Of snapshots_make, unless it was released meanwhile. NULL: it could not be made, and why was logged. */
	void (*made)(void *context, const struct raft_snapshot *snapshot);
	void (*written)(void *context);
	/* What was taken cannot be written or is not what was sent: the node cannot go on. */
	void (*failed)(void *context, const struct error *error);
};

struct snapshots_options {
	const char *directory; /* the data directory */
	const char *catalog_path;
	struct disk *disk;     /* borrowed; it carries out the installation */
};

/* Makes DIR/snapshot, and removes what an earlier process left there. */
int snapshots_create(struct loop *loop, const struct snapshots_options *options, const struct snapshots_handler *handler,
                     void *context, struct snapshots **ret_snapshots, struct error *error);
void snapshots_destroy(struct snapshots *snapshots); /* waits for its thread, and nobody is told; NULL is fine */

const char *snapshots_directory(const struct snapshots *snapshots); /* copies for clients may lie there, too */

/* One at a time: the next after a release. */
void snapshots_make(struct snapshots *snapshots);
void snapshots_release(struct snapshots *snapshots);
/* Of the one that was made: appends up to `size` bytes from `offset` on; 0, or ERR_IO. */
int snapshots_read(struct snapshots *snapshots, uint64_t offset, size_t size, struct buffer *out);

/* The next bytes of `snapshot`, which is being taken; from 0: begins anew. The bytes are copied. */
void snapshots_write(struct snapshots *snapshots, const struct raft_snapshot *snapshot, uint64_t offset,
                     struct slice bytes);
/* What was written is whole: when it is what it should be (size, hash, form, index, term, and the cluster, unless that is not known
 * yet: ""), disk_install follows, and its handler ends it with snapshots_installed. */
void snapshots_install(struct snapshots *snapshots, const struct raft_snapshot *snapshot, const char *cluster_id);
void snapshots_installed(struct snapshots *snapshots);

#endif
