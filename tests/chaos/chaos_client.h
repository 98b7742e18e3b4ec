/* One client of a cluster that is in trouble: one operation at a time, asked again, at the next node, until it is answered or has taken too
 * long; what came of it is a line of a history (sim/linear.h). */
#ifndef CLUSTERD_CHAOS_CLIENT_H
#define CLUSTERD_CHAOS_CLIENT_H

#include "base/buffer.h"
#include "base/random.h"
#include "base/time.h"
#include "net/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct population {
	struct loop *loop;
	const char *const *addresses;
	size_t address_count;
	FILE *history;       /* of keys */
	FILE *started;       /* workflows: KEY INSTANCE NUMBER, an instance of "-" when no answer came */
	const char *run;     /* begins the names of keys and workflows */
	const char *workflow;
	uint32_t keys;
	uint64_t *seen;      /* the last version that anybody was told of each of the keys */
	uint64_t seen_epoch;
	msec epoch;          /* so long the same keys are used: what is not known of them is forgotten with them */
	msec pause;          /* between two operations, 0 to twice as long */
	msec start_pause;    /* between two workflows */
	struct random random;
	bool ending;         /* nothing new is begun */
	uint32_t busy;       /* clients with an operation under way */
	uint64_t next_client; /* one with an unknown outcome goes on under another number */
	uint64_t value;      /* of the last put */
	uint64_t workflows;
	/* What there was. */
	uint64_t answered, unknown, expired, refused, lost;
	double last_us;      /* when a change was acknowledged last */
	double gap_us;       /* the longest time without one */
	char problem[640];   /* an answer that should never come; empty: none */
};

struct client;

struct client *client_create(struct population *population, size_t address, bool starts_workflows);
void client_destroy(struct client *client);
/* The population ends: who has nothing under way stops at once, the others when they have an answer. */
void client_end(struct client *client);

#endif
