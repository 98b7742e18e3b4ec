/* What watches of keys, topics and tables have in common: each asks what has changed, is answered once, tells it, and asks again from where
 * it was; until it is destroyed, which may be from inside of what it tells. */
#ifndef CLUSTERD_CLIENT_WATCHER_H
#define CLUSTERD_CLIENT_WATCHER_H

#include "client/client.h"

#define WATCHER_FOLLOW_MS 10000 /* one request waits so long for changes */

/* The first member of a watch, from mem_zero. */
struct watcher {
	struct clusterd_client *client;
	struct clusterd_request *request; /* what it has asked; NULL: it tells, or has ended */
	void (*free)(struct watcher *watcher);
	bool tells;     /* a call is under way */
	bool destroyed; /* from inside it */
};

enum watcher_answer { WATCHER_HAS_IT, WATCHER_ASKS_AGAIN, WATCHER_ENDS };

void watcher_init(struct watcher *watcher, struct clusterd_client *client, void (*free)(struct watcher *watcher));
/* Frees it now, or once its call is over. NULL is fine. */
void watcher_destroy(struct watcher *watcher);

/* Its request has been answered. WATCHER_HAS_IT: with `expected`; WATCHER_ASKS_AGAIN: with what may pass; WATCHER_ENDS: `ret_why` is to be
 * told. */
enum watcher_answer watcher_take(struct watcher *watcher, const struct clusterd_reply *reply, const struct error *error,
                                 Clusterd__Wire__Response__BodyCase expected, struct clusterd_error *ret_why);

/* Around each call of the program. watcher_told is false when the watch was destroyed in it: then it is gone. */
void watcher_tells(struct watcher *watcher);
bool watcher_told(struct watcher *watcher);

#endif
