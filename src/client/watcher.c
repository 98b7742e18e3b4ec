#include "client/watcher.h"

#include <assert.h>

void watcher_init(struct watcher *watcher, struct clusterd_client *client, void (*free)(struct watcher *watcher))
{
	watcher->client = client;
	watcher->free = free;
	client->users++;
}

void watcher_destroy(struct watcher *watcher)
{
	if (watcher == NULL)
		return;
	assert(!watcher->destroyed);
	clusterd_request_cancel(watcher->request);
	watcher->request = NULL;
	watcher->client->users--;
	if (watcher->tells)
		watcher->destroyed = true;
	else
		watcher->free(watcher);
}

enum watcher_answer watcher_take(struct watcher *watcher, const struct clusterd_reply *reply, const struct error *error,
                                 Clusterd__Wire__Response__BodyCase expected, struct clusterd_error *ret_why)
{
	struct error unexpected;
	watcher->request = NULL;
	if (error != NULL && request_may_pass(error->code))
		return WATCHER_ASKS_AGAIN;
	if (error == NULL && reply->response->body_case == expected)
		return WATCHER_HAS_IT;
	if (error == NULL)
		request_unexpected(&unexpected);
	client_say(ret_why, error != NULL ? error : &unexpected);
	return WATCHER_ENDS;
}

void watcher_tells(struct watcher *watcher)
{
	watcher->tells = true;
}

bool watcher_told(struct watcher *watcher)
{
	watcher->tells = false;
	if (!watcher->destroyed)
		return true;
	watcher->free(watcher);
	return false;
}
