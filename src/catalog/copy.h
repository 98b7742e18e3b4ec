/* Copies of a catalog, each in one file that is not in WAL mode and opens from read-only media too: given away, taken over, looked
 * at, begun from. Functions open connections of their own, and are called from any one thread. */
#ifndef CLUSTERD_CATALOG_COPY_H
#define CLUSTERD_CATALOG_COPY_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/time.h"

#include <stdint.h>

/* A consistent copy of the catalog at `path` (backup in one step, in one read transaction: writers neither wait nor make it begin
 * again), mode 0600: written beside `destination` (".partial"), synced, renamed. */
int catalog_copy(const char *path, const char *destination, struct error *error);

#define CATALOG_CLUSTER_ID_SIZE 40

/* What a copy says of itself. */
struct catalog_facts {
	uint64_t schema_version;
	uint64_t page_size;
	uint64_t applied_index; /* entries of the log up to this one are in it */
	uint64_t applied_term;
	char cluster_id[CATALOG_CLUSTER_ID_SIZE];
	struct buffer configuration; /* meta.raft_configuration: who is in the group; empty: not written down */
};

#define CATALOG_FACTS_EMPTY ((struct catalog_facts){.configuration = BUFFER_EMPTY})

/* ERR_CORRUPT: no catalog; ERR_VERSION: of a newer program. */
int catalog_facts_read(const char *path, struct catalog_facts *facts, struct error *error);
void catalog_facts_finish(struct catalog_facts *facts);

/* Size and XXH3-64 of a file's bytes; a hash of 0 is given as 1. */
int catalog_file_hash(const char *path, uint64_t *ret_size, uint64_t *ret_hash, struct error *error);
/* Whether all of it can be read and is well formed (PRAGMA quick_check); ERR_CORRUPT. */
int catalog_check(const char *path, struct error *error);

/* The catalog at `path` becomes the copy, whose schema and page size must fit, while others have it open and read: one
 * transaction, durable when this returns 0; and all of it moved from the WAL into the file, unless a reader holds it back for
 * longer than `patience`. Nobody may write meanwhile. The node's own handle goes on with catalog_accept. */
int catalog_install(const char *copy, const char *path, msec patience, struct error *error);

/* Ids, indices of the log and terms that a new cluster leaves out, since the old one may have given them out after the copy was
 * made (PROTOCOL, 14). */
#define CATALOG_SKIPPED_IDS (UINT64_C(1) << 32)
#define CATALOG_SKIPPED_TERMS (UINT64_C(1) << 20)

/* Makes the copy at `path` the beginning of a new cluster, whose only member is `node`: in one transaction, durable when it returns
 * 0. `ret_term`: the one that the new node has to begin with. */
int catalog_begin_cluster(const char *path, const char *cluster_id, uint64_t node, uint64_t *ret_term,
                          struct error *error);

#endif
