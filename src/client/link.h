/* The connection to one node of several: made again, with the next one, whenever it is lost. */
#ifndef CLUSTERD_CLIENT_LINK_H
#define CLUSTERD_CLIENT_LINK_H

#include "client/timers.h"

#include "base/error.h"
#include "base/slice.h"
#include "proto/wire.pb-c.h"
#include "wire/frame.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct link;

/* What epoll wakes: the first member of whatever has a descriptor in the client's loop. */
struct pollee {
	void (*ready)(struct pollee *pollee, uint32_t events);
	TAILQ_ENTRY(pollee) grave;
};

#define LINK_ADDRESSES_MAX 32

/* What links of one client have in common; must outlive them. */
struct link_base {
	int epoll;
	struct timers timers;
	msec now; /* monotonic; as of the begin of the turn */
	char *addresses[LINK_ADDRESSES_MAX];
	size_t address_count;
	char *name;
	char *token;
	msec silence; /* of a node that is to answer */
	TAILQ_HEAD(link_list, link) links;
	TAILQ_HEAD(pollee_graves, pollee) graves; /* destroyed in this turn */
};

struct link_handler {
	void (*open)(void *context); /* from here on frames may be sent */
	/* The link may be destroyed or moved from inside. */
	void (*frame)(void *context, const struct frame *frame);
	/* The connection was lost, or could not be made, which is tried again. `all`: each address has failed since the last call with it,
	 * or since it was open. */
	void (*lost)(void *context, const struct error *error, bool all);
};

/* HOST:PORT,… or paths; a path that is there is no list. ERR_INVALID, ERR_LIMIT. */
int link_base_init(struct link_base *base, const char *addresses, const char *name, const char *token, msec silence,
                   struct error *error);
void link_base_finish(struct link_base *base); /* its links are destroyed */
/* Destroyed links are freed; what waits to be sent is sent. At the end of a turn. */
void link_base_end_turn(struct link_base *base);
/* Frees it at the end of the turn: epoll may have told of it already. `take_pollee` is the begin of its memory. */
void link_base_bury(struct link_base *base, struct pollee *take_pollee);
bool link_base_is_idle(const struct link_base *base); /* nothing waits to be sent at once */

struct link *link_create(struct link_base *base, Clusterd__Wire__Role role, const struct link_handler *handler,
                         void *context);
void link_destroy(struct link *link); /* NULL is fine */
/* Connects if it is not; else, when the connection is lost, it stays so until this is called. */
void link_want(struct link *link);
/* Answers are awaited: silence is looked into. */
void link_expect(struct link *link, bool expects);
bool link_is_open(const struct link *link);
const char *link_address(const struct link *link);
/* The last reason why there is no connection; code 0: there is none. */
const struct error *link_failure(const struct link *link);
/* This node is of no use: `lost` is not called; connects to the next one. */
void link_move(struct link *link, const struct error *reason);
/* Only when it is open; else nothing. ERR_LIMIT. */
int link_send(struct link *link, enum frame_type type, uint32_t stream, const ProtobufCMessage *message,
              struct slice payload);
void link_send_frame(struct link *link, struct slice frame);

#endif
