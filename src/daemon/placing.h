/* Tasks of jobs, as the leader sees to them: what the scheduler decides is proposed, what is placed is ordered from its node, what nodes
 * report is proposed, and what is not wanted any more is stopped. Soft state of one term; a new leader makes it anew from the catalog.
 * And the node's own part (tasks.c): orders to the host, reports to the leader. For the node's own files.
 *
 *   a connection to a node is new   → all that is written down for it is ordered once more (whole); what it has beside that, it ends
 *   an order                        → the node begins it, or tells what has become of it
 *   it has begun, says the catalog, → it is lost: the node cannot have forgotten it, but its directory is another
 *   and the node does not know it
 *   an end is applied               → its node may forget it */
#ifndef CLUSTERD_DAEMON_PLACING_H
#define CLUSTERD_DAEMON_PLACING_H

#include "coordinator/jobs.h"
#include "coordinator/machine.h"
#include "daemon/node.h"

struct placing;

/* In TaskReport. */
enum task_state { TASK_STARTING, TASK_RUNNING, TASK_STOPPING, TASK_ENDED, TASK_LOST };

struct placing *placing_create(uint64_t seed);
void placing_destroy(struct placing *placing);
void placing_lead(struct node *node);
void placing_unlead(struct node *node);
void placing_peer_up(struct node *node, uint64_t member);
void placing_peer_down(struct node *node, uint64_t member);
/* The node has told of its tags. */
void placing_site_known(struct node *node, uint64_t member);
void placing_effect(struct node *node, const struct effect *effect);
void placing_reports(struct node *node, uint64_t member, const Clusterd__Wire__TaskReports *reports,
                     struct slice payload);
/* Whether a job like this could be placed at all, as far as the leader knows its nodes: 0; ERR_CONFLICT, ERR_NOT_FOUND. */
int placing_check(const struct node *node, const struct job_settings *settings, struct error *error);
void placing_turn(struct node *node);
msec placing_deadline(const struct node *node);

/* task_order.c: what a node is told to run; in the arena. */
Clusterd__Wire__TaskOrder *task_order_pack(const struct allocation *allocation, const struct machine *machine,
                                           struct arena *arena);
struct allocation_order;
/* ERR_INVALID: it cannot be one. */
int task_order_unpack(const Clusterd__Wire__TaskOrder *packed, struct arena *arena, struct allocation_order *ret_order);

/* tasks.c: the node's own part. */
void tasks_take(struct node *node, uint64_t member, const Clusterd__Wire__Tasks *message);
/* What the host has reported in this turn goes to the leader. */
void tasks_turn(struct node *node);
void tasks_finish(struct node *node);

#endif
