/* Picks nodes for a task out of the live ones, by consistency level. N: nodes with the local one, L: those of its data centre, D: of
 * another. The local node is never picked.
 *
 *   None             0
 *   One, Two, Three  so many, other data centres first, spread over them
 *   Quorum           ⌊N/2⌋
 *   LocalQuorum      ⌊L/2⌋ of the local data centre
 *   EachQuorum       ⌊L/2⌋ of the local one, ⌊D/2⌋ + 1 of each other
 *   All              N − 1
 *
 * Which ones is drawn evenly: every call spreads the load anew. */
#ifndef CLUSTERD_MEMBERSHIP_SELECTOR_H
#define CLUSTERD_MEMBERSHIP_SELECTOR_H

#include "base/error.h"
#include "base/random.h"
#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>

enum selector_level {
	SELECTOR_NONE,
	SELECTOR_ONE,
	SELECTOR_TWO,
	SELECTOR_THREE,
	SELECTOR_QUORUM,
	SELECTOR_LOCAL_QUORUM,
	SELECTOR_EACH_QUORUM,
	SELECTOR_ALL,
	SELECTOR_LEVEL_END,
};

/* A live node. */
struct selector_node {
	uint64_t id;
	struct slice datacenter; /* borrowed; may be empty, which is a data centre like others */
};

struct selector_shortage {
	size_t live;     /* nodes that could have been picked */
	size_t required;
};

/* Picks out of `nodes` (in any order, ids unlike one another, the local one with them or not; at most `count` ids are
 * written to `ret_ids`). ERR_BUSY: too few live nodes, with both numbers in `ret_shortage` (may be NULL) and in the text; ERR_INVALID: no
 * such level. */
int selector_pick(enum selector_level level, uint64_t local_id, struct slice local_datacenter,
                  const struct selector_node *nodes, size_t count, struct random *random, uint64_t *ret_ids,
                  size_t *ret_count, struct selector_shortage *ret_shortage, struct error *error);
const char *selector_level_name(enum selector_level level); /* "none", "one", …, "local_quorum", … */
int selector_level_parse(struct slice name, enum selector_level *ret_level); /* ERR_NOT_FOUND */

#endif
