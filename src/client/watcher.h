/* What watches of keys, topics and tables have in common: each asks what has changed, is answered once, tells it, and asks again from where
 * it was; until it is destroyed, which may be from inside of what it tells. */
#ifndef CLUSTERD_CLIENT_WATCHER_H
#define CLUSTERD_CLIENT_WATCHER_H

#include "client/client.h"

#define WATCHER_FOLLOW_MS 10000 /* one request waits so long for changes */

struct watcher;

struct watcher_kind {
	void (*ask)(struct watcher *watcher); /* from where it is: sets `request` */
	void (*end)(struct watcher *watcher, const struct clusterd_error *why); /* tells it; the watch may be gone then */
	void (*free)(struct watcher *watcher);
};

/* The first member of a watch, from mem_zero. */
struct watcher {
	const struct watcher_kind *kind;
	struct clusterd_client *client;
	struct clusterd_request *request; /* what it has asked; NULL: it tells, or has ended */
	bool tells;     /* a call is under way */
	bool destroyed; /* from inside it */
};

void watcher_init(struct watcher *watcher, const struct watcher_kind *kind, struct clusterd_client *client);
/* Frees it now, or once its call is over. NULL is fine. */
void watcher_destroy(struct watcher *watcher);

/* Its request has been answered. True: with `expected`. Else it has asked again, since what went wrong may pass, or has ended. */
bool watcher_has(struct watcher *watcher, const struct clusterd_reply *reply, const struct error *error,
                 Clusterd__Wire__Response__BodyCase expected);

/* Around each call of the program. watcher_told is false when the watch was destroyed in it: then it is gone. */
void watcher_tells(struct watcher *watcher);
bool watcher_told(struct watcher *watcher);

#endif
