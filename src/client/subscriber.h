/* The parts of a subscriber: one intake for each part of its topic, which has a connection to whoever publishes that part. */
#ifndef CLUSTERD_CLIENT_SUBSCRIBER_H
#define CLUSTERD_CLIENT_SUBSCRIBER_H

#include "client/client.h"
#include "client/clusterd_streams.h"
#include "client/epochs.h"
#include "client/finder.h"
#include "client/visit.h"

#define SUBSCRIBER_HELD_DEFAULT (64u << 20)

struct intake {
	struct clusterd_subscriber *subscriber;
	uint32_t part;
	char *topic;   /* with the part */
	char *address; /* NULL: nobody is known to publish it */
	struct greeting_config config;
	struct visit *visit;
	struct channel *channel;
	struct buffer input;
	struct epochs epochs;
	bool started;  /* where its epochs begin is known */
	bool ended;    /* nothing more comes */
	msec pause;
	struct timer timer; /* to connect again, or to go on with what was read */
};

struct clusterd_subscriber {
	struct clusterd_client *client;
	struct clusterd_subscriber_options options; /* texts are its own */
	struct secret *secret;
	struct finder *finder; /* NULL: the address is known */
	struct intake *intakes;
	size_t intake_count;
	uint64_t frontier;
	bool paused;
	bool failed;
	uint32_t uses;  /* from outside of which it was called; see subscriber_release */
	bool destroyed; /* from inside of a call */
};

/* --- subscriber.c, for its intakes --------------------------------------------------------------------------------- */

/* Of each call from the loop: hold it before, release it at the end; nothing of it may be touched after that. */
void subscriber_hold(struct clusterd_subscriber *subscriber);
void subscriber_release(struct clusterd_subscriber *subscriber);
/* Both are for nothing when it was destroyed or has failed. */
void subscriber_tell(struct clusterd_subscriber *subscriber, struct clusterd_subscriber_news news);
void subscriber_fail(struct clusterd_subscriber *subscriber, const struct error *error);
/* The frontier of an intake has moved. `back`: it begins anew. */
void subscriber_look_at_frontier(struct clusterd_subscriber *subscriber, bool back);
/* A connection was lost: who is there may be another one. */
void subscriber_look_around(struct clusterd_subscriber *subscriber);

/* --- intake.c ------------------------------------------------------------------------------------------------------ */

void intake_init(struct intake *intake, struct clusterd_subscriber *subscriber, const char *topic, uint32_t part);
void intake_finish(struct intake *intake);
/* Who publishes it is there. What is connected stays so. */
void intake_place(struct intake *intake, const char *address);
void intake_pause(struct intake *intake, bool pause);

#endif
