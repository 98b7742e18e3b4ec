/* How fresh the answer to a reading request is (wire.proto, Consistency): reads are put aside until this node has applied all that
 * was acknowledged before they were asked, then answered from its own catalog (INVARIANTS, 29). */
#ifndef CLUSTERD_DAEMON_CONSISTENCY_H
#define CLUSTERD_DAEMON_CONSISTENCY_H

#include "daemon/request.h"

struct consistency;

struct consistency *consistency_create(uint64_t seed);
void consistency_destroy(struct consistency *consistency); /* NULL is fine */

/* Answers it, now or when it may be. */
void consistency_read(const struct request *request);
/* Nobody wants the answer any more. */
void consistency_forget(struct node *node, uint64_t id);

void consistency_turn(struct node *node);
msec consistency_deadline(const struct node *node);

#endif
