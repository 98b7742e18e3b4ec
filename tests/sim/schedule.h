/* What is going to happen, on a virtual clock. Things due at the same time come in an order that a seed gives. */
#ifndef CLUSTERD_SIM_SCHEDULE_H
#define CLUSTERD_SIM_SCHEDULE_H

#include "base/random.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct schedule;
struct server;

/* `subject`: the server of the event, or the simulation. */
typedef void schedule_action(void *subject, uint64_t first, uint64_t second);

struct schedule_event {
	msec at;
	uint64_t order;
	struct server *server; /* whose process does it; NULL: the world */
	uint32_t life;         /* of the server: void when that is over; 0: any */
	schedule_action *action;
	uint64_t first, second;
};

struct schedule *schedule_create(void);
void schedule_destroy(struct schedule *schedule);
void schedule_add(struct schedule *schedule, const struct schedule_event *event);
msec schedule_next(const struct schedule *schedule); /* MSEC_NEVER: nothing */
/* Takes the first one out if it is due. */
bool schedule_take(struct schedule *schedule, msec now, struct schedule_event *ret_event);

#endif
