/* Who waits for what: requests whose answer comes later, found by what they wait for and by their connection. */
#ifndef CLUSTERD_DAEMON_WAITERS_H
#define CLUSTERD_DAEMON_WAITERS_H

#include "base/text.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

#define WAITERS_PREFIX_MAX 1024 /* bytes */

struct waiters;

enum wait_kind {
	WAIT_ANSWER,   /* of (session, sequence) */
	WAIT_FINISHED, /* of (instance, 0) */
	WAIT_GROWN,    /* of (instance, 0): stays after it was told */
	WAIT_READY,    /* of the node */
	WAIT_FORWARDED, /* of (parked request, 0): the leader's answer */
	WAIT_READ,     /* of (parked request, 0): it may be answered from what is applied */
	WAIT_KEY,      /* of (hash of the key, its size) */
	WAIT_PREFIX,   /* of (hash of the prefix, its size): any key that begins with it */
	WAIT_CONFIGURATION, /* of the index of an entry that changes the group: until it is applied */
	WAIT_JOB,      /* of (job, 1: until it runs, 0: until it has ended) */
	WAIT_TOPIC,    /* of (hash of the topic, its size): until its version is another */
	WAIT_LOOKUP,   /* of (hash of the topic, its size): until what is looked up is there */
	WAIT_CATALOG,  /* of (0, 0): until rows of the catalog have changed */
	WAIT_LEADER,   /* until this node leads no more */
};

struct waiter {
	enum wait_kind kind;
	uint64_t first, second;
	uint64_t connection;
	uint32_t stream;
	uint64_t more; /* ANSWER, FINISHED: the form of the answer. GROWN: the last seq told. KEY, PREFIX: the version to go on
	                  from. TOPIC: the version that is known */
	struct text *text; /* KEY, PREFIX, TOPIC, LOOKUP: held by whoever has the waiter. Others: NULL */
	msec until;        /* KEY, PREFIX, TOPIC, LOOKUP, CATALOG: it is to be answered by then, whatever has come; MSEC_NEVER: it waits */
};

struct waiters *waiters_create(void);
void waiters_destroy(struct waiters *waiters);
/* What it holds changes hands, and comes back when it is taken out. */
void waiters_add(struct waiters *waiters, const struct waiter *take_waiter);
/* Takes one out that waits for this; false: none. */
bool waiters_take(struct waiters *waiters, enum wait_kind kind, uint64_t first, uint64_t second, struct waiter *ret_waiter);
/* Calls for each one that waits for this. */
void waiters_each(struct waiters *waiters, enum wait_kind kind, uint64_t first, uint64_t second,
                  void (*call)(void *context, struct waiter *waiter), void *context);
/* Takes one out that waits for anything of this kind; false: none. */
bool waiters_take_any(struct waiters *waiters, enum wait_kind kind, struct waiter *ret_waiter);
/* Takes out the one that is to be answered there; false: none. */
bool waiters_take_stream(struct waiters *waiters, uint64_t connection, uint32_t stream, struct waiter *ret_waiter);
/* Takes out one of a connection; false: none. */
bool waiters_take_connection(struct waiters *waiters, uint64_t connection, struct waiter *ret_waiter);
uint32_t waiters_count(const struct waiters *waiters);
uint32_t waiters_count_connection(const struct waiters *waiters, uint64_t connection);
uint32_t waiters_count_watches(const struct waiters *waiters); /* KEY and PREFIX */
/* Takes out those of KEY, PREFIX, TOPIC, LOOKUP and CATALOG whose time is out, up to `count`; returns how many. */
size_t waiters_take_late(struct waiters *waiters, msec now, struct waiter *ret_waiters, size_t count);
msec waiters_deadline(const struct waiters *waiters); /* when there may be some; MSEC_NEVER */
/* Somebody waits for a prefix of this size. */
bool waiters_any_prefix(const struct waiters *waiters, uint64_t size);

#endif
