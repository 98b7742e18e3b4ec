/* What a stopped node has, as one file: the way out when the others are lost for good (PROTOCOL, 14). */
#ifndef CLUSTERD_DAEMON_SALVAGE_H
#define CLUSTERD_DAEMON_SALVAGE_H

#include "base/error.h"

#include <stdint.h>

struct salvaged {
	uint64_t index; /* the last entry that is in it, and its term */
	uint64_t term;
};

/* Copies the catalog of the data directory to `file`, and applies to the copy all that the log has beyond it, whether the cluster had
 * agreed on it or not. The directory stays as it is (but the log's tail is made safe, as at every start). ERR_BUSY: a node
 * runs there; ERR_NOT_FOUND: there is no such directory, or the log begins too late for the catalog; ERR_EXISTS: `file` is there. */
int salvage(const char *data_dir, const char *file, struct salvaged *ret_salvaged, struct error *error);

#endif
