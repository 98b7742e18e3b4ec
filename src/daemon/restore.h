/* A data directory from a copy of the catalog (PROTOCOL, 14). Offline. */
#ifndef CLUSTERD_DAEMON_RESTORE_H
#define CLUSTERD_DAEMON_RESTORE_H

#include "base/error.h"

#include <stdint.h>

/* What the new node is. */
struct restored {
	char cluster_id[40];
	uint64_t node_id;
	uint64_t index; /* entry that its log begins behind */
};

/* Makes `directory` (absent or empty) the data directory of a new node, the only member of a new cluster, with all that the copy in
 * `file` says: no index, id, term or version that the old cluster gave out, before or after the copy, comes again. Durable when it
 * returns 0; on failure nothing that it made is left. ERR_CONFLICT: the directory holds something. ERR_CORRUPT, ERR_VERSION: of the
 * file. */
int restore(const char *file, const char *directory, struct restored *ret_restored, struct error *error);

#endif
