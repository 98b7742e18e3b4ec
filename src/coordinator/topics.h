/* Topics in the state machine: who publishes what, who has subscribed to it, and what sessions own of that. All of it is in memory; each
 * change is a row at once. Ids are the log index of the command that made the thing. */
#ifndef CLUSTERD_COORDINATOR_TOPICS_H
#define CLUSTERD_COORDINATOR_TOPICS_H

#include "base/text.h"
#include "coordinator/command.h"

#include <sys/queue.h>
#include <uthash.h>

struct machine;
struct owner;
struct topic;

struct publication {
	uint64_t id;
	struct topic *topic;
	struct owner *owner;
	uint32_t part;
	struct text *address;
	uint64_t job;        /* 0: none */
	uint64_t allocation; /* 0: none */
	TAILQ_ENTRY(publication) in_topic;
	TAILQ_ENTRY(publication) in_owner;
	UT_hash_handle hh;
};
TAILQ_HEAD(publication_list, publication);

struct subscription {
	uint64_t id;
	struct topic *topic;
	struct owner *owner;
	bool all;
	uint32_t part; /* not all */
	TAILQ_ENTRY(subscription) in_topic;
	TAILQ_ENTRY(subscription) in_owner;
	UT_hash_handle hh;
};
TAILQ_HEAD(subscription_list, subscription);

struct topic {
	uint64_t id;
	uint64_t version; /* log index of its last change */
	struct text *name;
	enum topic_kind kind;
	struct text *schema;
	uint32_t partitions;          /* 0: it is not divided */
	struct publication **parts;   /* by part; NULL when it is not divided */
	uint32_t publication_count;
	struct publication_list publications; /* by id */
	struct subscription_list subscriptions; /* by id */
	uint32_t turned; /* of this node alone, no part of the state: which of a keeper's workers comes next */
	bool ended; /* nobody publishes it any more: its row is gone, it only has subscriptions that are to go */
	size_t place; /* among those that have ended */
	UT_hash_handle hh; /* by name */
};

/* A session that owns something. */
struct owner {
	uint64_t session;
	uint32_t count;
	struct publication_list publications; /* by id */
	struct subscription_list subscriptions; /* by id */
	bool ended;
	size_t place; /* among those that have ended */
	UT_hash_handle hh;
};

/* "stream", "keeper", …; NULL: there is no such kind. */
const char *topic_kind_name(enum topic_kind kind);

/* "t.3" is part 3 of "t", anything else is all of a topic of that name. */
void topic_split(struct slice text, struct slice *ret_topic, bool *ret_all, uint32_t *ret_part);
/* Whether a topic may be called so. */
bool topic_is_name(struct slice name);

/* NULL: nobody publishes it. */
const struct topic *machine_topic(const struct machine *machine, struct slice name);
/* The number of the answer that has a worker of the keeper, from 0; nothing that is replicated depends on it. */
uint32_t machine_topic_turn(struct machine *machine, const struct topic *topic);
/* NULL: there is none. */
const struct subscription *machine_subscription(const struct machine *machine, uint64_t id);
/* Whether something of the topic, or this part, is published. */
bool topic_has(const struct topic *topic, bool all, uint32_t part);

#endif
