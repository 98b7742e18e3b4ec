/* Where a topic is published: subscribes to it, and follows where its parts are, as long as this is there and dispatched. */
#ifndef CLUSTERD_CLIENT_FINDER_H
#define CLUSTERD_CLIENT_FINDER_H

#include "client/client.h"

struct finder;

struct finder_handler {
	/* It is there, divided so; called once, before any place. `part`: of "t.3" the 3, else 0. false: nothing more is to be told. */
	bool (*found)(void *context, const struct clusterd_topic *topic, uint32_t part);
	/* A part is published there. false: nothing more is to be told. */
	bool (*placed)(void *context, uint32_t part, const char *address);
	/* For good. The last call. */
	void (*failed)(void *context, const struct error *error);
};

struct finder_options {
	const char *topic;  /* "t" or "t.3" */
	int kind;           /* enum clusterd_topic_kind */
	const char *schema; /* NULL: any */
	bool wait;          /* for it to be there */
};

/* Never calls from inside. The finder may be destroyed from inside of calls, which return false then. */
struct finder *finder_create(struct clusterd_client *client, const struct finder_options *options,
                             const struct finder_handler *handler, void *context);
void finder_destroy(struct finder *finder); /* NULL is fine */
/* Of a keeper: another worker is wanted, soon. */
void finder_turn(struct finder *finder);

#endif
