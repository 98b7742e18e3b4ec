/* Updates that are still to be told, each so many times: the least told first, of those the newest (SWIM, 4.1). One for each member: what
 * is told is what is known of it by then. For the files of this directory only. */
#ifndef CLUSTERD_MEMBERSHIP_RUMOURS_H
#define CLUSTERD_MEMBERSHIP_RUMOURS_H

#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RUMOUR_TOLD_MAX 64 /* the limit of transmissions is below it */

struct rumour {
	uint16_t slot; /* of the member */
	uint16_t next; /* in the list of those told as often; NO_PLACE: the last */
	uint16_t previous;
	uint8_t told;
	bool profile;  /* with key-values after version `base` */
	uint64_t base;
	uint64_t from; /* of a suspicion or failure: who says so */
};

struct rumours {
	struct rumour *list;
	size_t count, capacity; /* slots of `list` that were ever used */
	uint16_t free;
	size_t active;
	uint16_t first[RUMOUR_TOLD_MAX]; /* by how often told */
};

void rumours_init(struct rumours *rumours);
void rumours_finish(struct rumours *rumours);
/* A new one; gives its place. */
uint16_t rumours_add(struct rumours *rumours, uint16_t slot);
void rumours_remove(struct rumours *rumours, uint16_t place);
/* It was told once more; at `limit` it goes. true: it is gone. */
bool rumours_told(struct rumours *rumours, uint16_t place, uint32_t limit);
/* It has news: it is told anew, from the start. */
void rumours_renew(struct rumours *rumours, uint16_t place);

#endif
