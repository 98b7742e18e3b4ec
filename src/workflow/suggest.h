/* "did you mean": the nearest of some names by edit distance (optimal string alignment: a swap of neighbours is one
 * edit). */
#ifndef CLUSTERD_WORKFLOW_SUGGEST_H
#define CLUSTERD_WORKFLOW_SUGGEST_H

#include "base/slice.h"

#include <stdint.h>

#define SUGGEST_NAME_SIZE_MAX 64u /* longer names are never near */

struct suggestion {
	struct slice wanted;
	struct slice nearest; /* empty: none is near */
	uint32_t distance;
};

void suggestion_init(struct suggestion *suggestion, struct slice wanted);
/* The first of several equally near ones stays. */
void suggestion_try(struct suggestion *suggestion, struct slice candidate);

#endif
