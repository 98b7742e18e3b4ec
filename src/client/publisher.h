/* The data side of what is published: a door, what was said, and who is to get it. Streams and collections are published so. */
#ifndef CLUSTERD_CLIENT_PUBLISHER_H
#define CLUSTERD_CLIENT_PUBLISHER_H

#include "client/backlog.h"
#include "client/client.h"
#include "client/clusterd_streams.h"
#include "client/door.h"
#include "client/listing.h"

#define PUBLISHER_QUEUE_DEFAULT (4u << 20)
#define PUBLISHER_SUBSCRIBERS_DEFAULT 1000

struct feed; /* to one subscriber */

/* Of a collection: all of it as of now, one hold for the caller. NULL: too many are under way, one has to come back later. */
typedef struct backlog_state *publisher_state(void *context);

struct clusterd_publisher {
	struct clusterd_client *client;
	struct clusterd_publisher_options options; /* of its texts only `told` and what is no pointer */
	struct door *door;
	struct listing *listing; /* NULL: the cluster is not told */
	struct backlog backlog;
	enum stream_frame_type type; /* STREAM_DATA or STREAM_CHANGES */
	TAILQ_HEAD(feed_list, feed) feeds;
	size_t feed_count;
	size_t told_count;
	uint64_t frontier;  /* that was said; the backlog's follows when there is room */
	size_t room;        /* so many bytes may be added before it is looked at how the feeds are */
	struct timer timer; /* to send what was added */
	bool blocked;       /* something was refused */
	bool can_send;      /* again */
	bool drained;       /* each feed has all */
	bool tells;         /* a call is under way; see clusterd_publisher_destroy */
	bool destroyed;
	uint64_t dropped;
	uint64_t disconnected;
	publisher_state *state; /* NULL: it is a stream */
	void *state_context;
};

/* `state` NULL: a stream. `kind`: enum clusterd_topic_kind, as it is listed. */
int publisher_create(struct clusterd_client *client, const struct clusterd_publisher_options *options, int kind,
                     publisher_state *state, void *state_context, struct clusterd_publisher **ret_publisher, struct error *error);
/* ERR_BUSY, ERR_LIMIT, ERR_INVALID. */
int publisher_add(struct clusterd_publisher *publisher, uint64_t time, struct slice part, int64_t count, struct error *error);
int publisher_advance(struct clusterd_publisher *publisher, uint64_t frontier, struct error *error);
/* Whether so many bytes may be added. */
bool publisher_has_room(struct clusterd_publisher *publisher, size_t size);
/* The same; ERR_BUSY: it is told when there is room. */
int publisher_make_room(struct clusterd_publisher *publisher, size_t size, struct error *error);
/* Adds, without another look at the room. */
void publisher_put(struct clusterd_publisher *publisher, uint64_t time, struct slice part, int64_t count);

#endif
