#include "client/watcher.h"

#include <assert.h>

void watcher_init(struct watcher *watcher, const struct watcher_kind *kind, struct clusterd_client *client)
{
	watcher->kind = kind;
	watcher->client = client;
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
		watcher->kind->free(watcher);
}

bool watcher_has(struct watcher *watcher, const struct clusterd_reply *reply, const struct error *error,
                 Clusterd__Wire__Response__BodyCase expected)
{
	struct error unexpected;
	struct clusterd_error why;
	watcher->request = NULL;
	if (error == NULL && reply->response->body_case == expected)
		return true;
	if (error != NULL && request_may_pass(error->code)) {
		watcher->kind->ask(watcher);
		return false;
	}
	if (error == NULL)
		request_unexpected(&unexpected);
	client_say(&why, error != NULL ? error : &unexpected);
	watcher->kind->end(watcher, &why);
	return false;
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
	watcher->kind->free(watcher);
	return false;
}
