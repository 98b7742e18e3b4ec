#include "client/listing.h"

#include "base/memory.h"

#define RETRY_MS 500

struct listing {
	struct clusterd_client *client;
	struct clusterd_publish_options options; /* texts are its own */
	struct clusterd_session *session;
	struct clusterd_request *request;
	struct timer timer; /* to try again */
	listing_told *told;
	void *context;
};

static void publish(struct listing *listing);

static void try_later(struct listing *listing, const struct clusterd_error *error)
{
	struct link_base *base = &listing->client->base;
	struct error why = {0};
	error_set(&why, error->code, "%s", error->text);
	timers_set(&base->timers, &listing->timer, base->now + RETRY_MS);
	listing->told(listing->context, &why);
}

static void published(void *context, struct clusterd_reply *reply, const struct clusterd_error *error)
{
	struct listing *listing = context;
	(void)reply;
	listing->request = NULL;
	if (error == NULL)
		listing->told(listing->context, NULL);
	else if (error->code != CLUSTERD_ERR_EXPIRED) /* of that the session tells */
		try_later(listing, error);
}

/* Another session is opened some time later, in which it is published again. */
static void session_changed(void *context, uint64_t id, const struct clusterd_error *error)
{
	struct listing *listing = context;
	if (id != 0)
		return;
	clusterd_request_cancel(listing->request);
	listing->request = NULL;
	clusterd_session_destroy(listing->session);
	listing->session = NULL;
	try_later(listing, error);
}

static void publish(struct listing *listing)
{
	if (listing->session == NULL)
		listing->session = clusterd_session_create(listing->client, 0, session_changed, listing);
	listing->request = clusterd_topic_publish_begin(listing->session, &listing->options, CLUSTERD_NO_TIMEOUT,
	                                                published, listing);
}

static void time_has_come(void *context)
{
	publish(context);
}

struct listing *listing_create(struct clusterd_client *client, const struct clusterd_publish_options *options,
                               listing_told *told, void *context)
{
	struct listing *listing = mem_zero(sizeof *listing);
	listing->client = client;
	listing->options = *options;
	listing->options.topic = mem_string(options->topic);
	listing->options.schema = mem_string(options->schema);
	listing->options.address = mem_string(options->address);
	listing->timer = (struct timer){.call = time_has_come, .context = listing};
	listing->told = told;
	listing->context = context;
	publish(listing);
	return listing;
}

void listing_destroy(struct listing *listing)
{
	if (listing == NULL)
		return;
	timers_set(&listing->client->base.timers, &listing->timer, MSEC_NEVER);
	clusterd_request_cancel(listing->request);
	clusterd_session_destroy(listing->session);
	mem_free((char *)(uintptr_t)listing->options.topic);
	mem_free((char *)(uintptr_t)listing->options.schema);
	mem_free((char *)(uintptr_t)listing->options.address);
	mem_free(listing);
}
