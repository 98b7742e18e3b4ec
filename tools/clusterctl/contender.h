/* Whoever contends for something of which there is one: a lock, the lead of an election. Each contender has a key that is bound
 * to a lease of its own, below a directory of keys; the one whose key was created first has it, each other one waits for the one
 * before it. The version of the key is the fencing token: it rises from one holder to the next. */
#ifndef CLUSTERCTL_CONTENDER_H
#define CLUSTERCTL_CONTENDER_H

#include "keys.h"

struct contender {
	struct client *client;
	char *directory;   /* ends with '/' */
	msec ttl;
	uint64_t lease;    /* 0: it does not contend */
	char *key;
	uint64_t token;    /* version of the key */
	msec kept_ms;      /* when the last keep-alive that was answered was sent; client_now */
	bool lost;         /* the lease has ended, or the key is gone */
};

/* "lock/NAME/" */
void contender_init(struct contender *contender, struct client *client, const char *kind, const char *name, msec ttl);
void contender_finish(struct contender *contender); /* without leaving */

/* Queues up. */
int contender_join(struct contender *contender, struct slice value, struct error *error);
/* Waits until it is the first, until `deadline` (ERR_TIMEOUT) or client_interrupt (ERR_TIMEOUT), keeping its lease alive. ERR_EXPIRED: it
 * is lost. */
int contender_await(struct contender *contender, msec deadline, struct error *error);
/* Holds on, keeping the lease alive, until `deadline` or client_interrupt (0), or until it is lost: ERR_EXPIRED. */
int contender_hold(struct contender *contender, msec deadline, struct error *error);
/* From now on others may have it. Tries for about a second; the lease ends by itself in any case. */
void contender_leave(struct contender *contender);

/* When the lease ends at the earliest, if no keep-alive is answered any more. It counts as lost a third of its time before. */
msec contender_deadline(const struct contender *contender);

/* Who has it: the key that was created first (mem_free), its value, which is appended, and the version from which on others may have it.
 * `ret_token` 0: nobody. */
int contender_first(struct client *client, const char *directory, uint64_t *ret_token, char **ret_key,
                    struct buffer *ret_value, uint64_t *ret_from, struct error *error);

#endif
