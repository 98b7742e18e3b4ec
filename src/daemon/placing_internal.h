/* What the files of the leader's side of tasks share:
 *   placing.c   what the scheduler knows, what it decides, what nodes report
 *   tenants.c   what each node is told
 *   periodic.c  periodic jobs that are due
 *   drains.c    nodes that are emptied
 *   groups.c    groups of which not all have registered */
#ifndef CLUSTERD_DAEMON_PLACING_INTERNAL_H
#define CLUSTERD_DAEMON_PLACING_INTERNAL_H

#include "coordinator/scheduler.h"
#include "daemon/node_internal.h"
#include "daemon/placing.h"

struct ids {
	uint64_t *list;
	size_t count;
	size_t capacity;
};

/* A node, as far as it runs tasks. */
struct tenant {
	uint64_t member;
	bool up;
	bool whole; /* it is to be told all */
	struct ids orders;
	struct ids stops;
	struct ids taken;
	UT_hash_handle hh;
};

/* What was reported and is proposed, until it is applied: it is not proposed again. */
struct pending {
	uint64_t id;
	bool ended;
	UT_hash_handle hh;
};

/* A job, as the scheduler has it. */
struct known_job {
	uint64_t id;
	const struct definition *definition;
	uint32_t count;
	bool updating; /* tasks of an older version may run */
	UT_hash_handle hh;
};

struct placing {
	uint64_t seed;
	bool leading;
	struct scheduler *scheduler;
	struct tenant *tenants;
	struct pending *pending;
	struct known_job *jobs;
	bool updating; /* one of them may be */
	uint32_t placed; /* proposed, and not applied so far */
	struct command_allocation *changes;
	size_t change_count;
	size_t change_capacity;
	struct ids stopping; /* to be proposed */
	struct proposed_run *runs; /* of periodic jobs */
	msec periodic_at;    /* when one may be due */
	struct ids groups;   /* jobs of which not all may have registered */
	msec groups_at;      /* when one of them may be late */
	msec drains_at;      /* when to look at nodes that are drained */
	bool lost_due;       /* nodes that are not alive may have allocations */
	struct arena texts;  /* of the changes */
};

void ids_add(struct ids *ids, uint64_t id);
void ids_finish(struct ids *ids);

struct tenant *tenant_of(struct placing *placing, uint64_t member); /* made when it is not known */
void tenant_clear(struct tenant *tenant);
/* Sends what is to be said. */
void tenant_serve(struct node *node, struct tenant *tenant);
/* periodic.c */
void periodic_clear(struct placing *placing);
void periodic_effect(struct node *node, const struct effect *effect);
void periodic_turn(struct node *node);

/* drains.c */
void drains_turn(struct node *node);

/* placing.c */
bool placing_note_stop(struct placing *placing, uint64_t id); /* false: it is proposed already that it ends */
void placing_propose_stop(struct node *node, const struct ids *ids, struct slice reason);

/* groups.c */
void groups_note(struct placing *placing, const struct job *job); /* it has changed */
void groups_turn(struct node *node);

/* A group is begun when all of it is placed: each is told where the others are. */
bool group_is_placed(const struct job *job);
void stop_if_unwanted(struct placing *placing, const struct allocation *allocation);

#endif
