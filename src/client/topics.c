#include "client/session.h"
#include "client/watcher.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

/* Topics: what is asked of them, and watches. A watch asks for a topic that is other than the one it knows, again and again. */

struct message {
	Clusterd__Wire__Request request;
	union {
		Clusterd__Wire__Publish publish;
		Clusterd__Wire__Unpublish unpublish;
		Clusterd__Wire__Subscribe subscribe;
		Clusterd__Wire__Unsubscribe unsubscribe;
		Clusterd__Wire__LookupTopic lookup;
		Clusterd__Wire__WatchTopic watch;
	};
};

static char *text(const char *string)
{
	return (char *)(uintptr_t)(string != NULL ? string : "");
}

/* For requests in sessions, as request_begin_public is for others. */
static struct clusterd_request *begin(struct clusterd_session *session, struct message *message, int timeout_ms,
                                      clusterd_done *done, void *context)
{
	struct clusterd_request *request = request_begin_in(&session->in, &message->request, timeout_ms, NULL, context);
	request->done = done;
	return request;
}

/* `ret_reply`: may be NULL. */
static int ask(struct clusterd_session *session, struct message *message, int timeout_ms,
               Clusterd__Wire__Response__BodyCase expected, struct clusterd_reply **ret_reply,
               struct clusterd_error *error)
{
	struct clusterd_reply *reply = NULL;
	struct error failure = {0};
	int code = request_ask_in(&session->in, &message->request, timeout_ms, expected, &reply, &failure);
	if (code != 0)
		return client_say(error, &failure);
	if (ret_reply != NULL)
		*ret_reply = reply;
	else
		clusterd_reply_destroy(reply);
	return 0;
}

/* --- publishing ---------------------------------------------------------------------------------------------------- */

static void publish_message(struct message *message, const struct clusterd_publish_options *options)
{
	struct clusterd_publish_options known = CLUSTERD_PUBLISH_OPTIONS;
	memcpy(&known, options, options->size < sizeof known ? options->size : sizeof known);
	clusterd__wire__request__init(&message->request);
	clusterd__wire__publish__init(&message->publish);
	message->publish.topic = text(known.topic);
	message->publish.kind = (Clusterd__Wire__TopicKind)known.kind;
	message->publish.schema = text(known.schema);
	message->publish.partitions = known.partitions;
	message->publish.part = known.part;
	message->publish.address = text(known.address);
	message->publish.allocation = known.allocation;
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_PUBLISH;
	message->request.publish = &message->publish;
}

int clusterd_topic_publish(struct clusterd_session *session, const struct clusterd_publish_options *options,
                           uint64_t *ret_publication, int timeout_ms, struct clusterd_error *error)
{
	struct message message;
	struct clusterd_reply *reply = NULL;
	publish_message(&message, options);
	int code = ask(session, &message, timeout_ms, CLUSTERD__WIRE__RESPONSE__BODY_PUBLISHED, &reply, error);
	if (code != 0)
		return code;
	if (ret_publication != NULL)
		*ret_publication = clusterd_reply_id(reply);
	clusterd_reply_destroy(reply);
	return 0;
}

struct clusterd_request *clusterd_topic_publish_begin(struct clusterd_session *session,
                                                      const struct clusterd_publish_options *options, int timeout_ms,
                                                      clusterd_done *done, void *context)
{
	struct message message;
	publish_message(&message, options);
	return begin(session, &message, timeout_ms, done, context);
}

static void unpublish_message(struct message *message, uint64_t publication)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__unpublish__init(&message->unpublish);
	message->unpublish.publication = publication;
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_UNPUBLISH;
	message->request.unpublish = &message->unpublish;
}

int clusterd_topic_unpublish(struct clusterd_session *session, uint64_t publication, int timeout_ms,
                             struct clusterd_error *error)
{
	struct message message;
	unpublish_message(&message, publication);
	return ask(session, &message, timeout_ms, CLUSTERD__WIRE__RESPONSE__BODY__NOT_SET, NULL, error);
}

struct clusterd_request *clusterd_topic_unpublish_begin(struct clusterd_session *session, uint64_t publication,
                                                        int timeout_ms, clusterd_done *done, void *context)
{
	struct message message;
	unpublish_message(&message, publication);
	return begin(session, &message, timeout_ms, done, context);
}

/* --- subscribing --------------------------------------------------------------------------------------------------- */

static void subscribe_message(struct message *message, const char *topic, int kind, const char *schema)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__subscribe__init(&message->subscribe);
	message->subscribe.topic = text(topic);
	message->subscribe.kind = (Clusterd__Wire__TopicKind)kind;
	message->subscribe.schema = text(schema);
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_SUBSCRIBE;
	message->request.subscribe = &message->subscribe;
}

struct clusterd_request *clusterd_topic_subscribe_begin(struct clusterd_session *session, const char *topic, int kind,
                                                        const char *schema, int timeout_ms, clusterd_done *done,
                                                        void *context)
{
	struct message message;
	subscribe_message(&message, topic, kind, schema);
	return begin(session, &message, timeout_ms, done, context);
}

static int left(msec deadline)
{
	msec time = deadline == MSEC_NEVER ? -1 : deadline - client_now();
	return deadline == MSEC_NEVER ? CLUSTERD_NO_TIMEOUT : time > 0 ? (int)time : 0;
}

/* A topic that was waited for may be gone when it is subscribed to: then it is waited for again. */
int clusterd_topic_subscribe(struct clusterd_session *session, const char *topic, int kind, const char *schema, bool wait,
                             struct clusterd_reply **ret_reply, int timeout_ms, struct clusterd_error *error)
{
	struct message message;
	msec deadline = timeout_ms < 0 ? MSEC_NEVER : client_now() + timeout_ms;
	struct clusterd_error failure = {0};
	int code;
	do {
		code = 0;
		if (wait) {
			struct clusterd_reply *found;
			code = clusterd_topic_lookup(session->client, topic, true, &found, left(deadline), &failure);
			if (code == 0)
				clusterd_reply_destroy(found);
		}
		if (code == 0) {
			subscribe_message(&message, topic, kind, schema);
			code = ask(session, &message, left(deadline), CLUSTERD__WIRE__RESPONSE__BODY_SUBSCRIBED,
			           ret_reply, &failure);
		}
	} while (wait && code == ERR_NOT_FOUND);
	if (code != 0 && error != NULL)
		*error = failure;
	return code;
}

static void unsubscribe_message(struct message *message, uint64_t subscription)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__unsubscribe__init(&message->unsubscribe);
	message->unsubscribe.subscription = subscription;
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_UNSUBSCRIBE;
	message->request.unsubscribe = &message->unsubscribe;
}

int clusterd_topic_unsubscribe(struct clusterd_session *session, uint64_t subscription, int timeout_ms,
                               struct clusterd_error *error)
{
	struct message message;
	unsubscribe_message(&message, subscription);
	return ask(session, &message, timeout_ms, CLUSTERD__WIRE__RESPONSE__BODY__NOT_SET, NULL, error);
}

struct clusterd_request *clusterd_topic_unsubscribe_begin(struct clusterd_session *session, uint64_t subscription,
                                                          int timeout_ms, clusterd_done *done, void *context)
{
	struct message message;
	unsubscribe_message(&message, subscription);
	return begin(session, &message, timeout_ms, done, context);
}

/* --- looking up ---------------------------------------------------------------------------------------------------- */

static void lookup_message(struct message *message, const char *topic, bool wait)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__lookup_topic__init(&message->lookup);
	message->lookup.topic = text(topic);
	message->lookup.wait = wait;
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_LOOKUP_TOPIC;
	message->request.lookup_topic = &message->lookup;
}

int clusterd_topic_lookup(struct clusterd_client *client, const char *topic, bool wait, struct clusterd_reply **ret_reply,
                          int timeout_ms, struct clusterd_error *error)
{
	struct message message;
	lookup_message(&message, topic, wait);
	return request_ask_for(client, &message.request, SLICE(""), timeout_ms, CLUSTERD__WIRE__RESPONSE__BODY_TOPIC,
	                       ret_reply, error);
}

struct clusterd_request *clusterd_topic_lookup_begin(struct clusterd_client *client, const char *topic, bool wait,
                                                     int timeout_ms, clusterd_done *done, void *context)
{
	struct message message;
	lookup_message(&message, topic, wait);
	return request_begin_public(client, &message.request, SLICE(""), timeout_ms, done, context);
}

/* --- replies ------------------------------------------------------------------------------------------------------- */

static const Clusterd__Wire__TopicState *state_of(const struct clusterd_reply *reply)
{
	switch (reply->response->body_case) {
	case CLUSTERD__WIRE__RESPONSE__BODY_TOPIC:
		return reply->response->topic;
	case CLUSTERD__WIRE__RESPONSE__BODY_SUBSCRIBED:
		return reply->response->subscribed->topic;
	default:
		return NULL;
	}
}

bool clusterd_reply_topic(const struct clusterd_reply *reply, struct clusterd_topic *ret_topic)
{
	const Clusterd__Wire__TopicState *state = state_of(reply);
	if (state == NULL)
		return false;
	*ret_topic = (struct clusterd_topic){
		.name = state->name,
		.id = state->id,
		.version = state->version,
		.kind = (int)state->kind,
		.schema = state->schema,
		.partitions = state->partitions,
		.publication_count = state->n_publications,
	};
	return true;
}

void clusterd_reply_publication(const struct clusterd_reply *reply, size_t index,
                                struct clusterd_publication *ret_publication)
{
	const Clusterd__Wire__TopicState *state = state_of(reply);
	assert(state != NULL && index < state->n_publications);
	const Clusterd__Wire__Publication *publication = state->publications[index];
	*ret_publication = (struct clusterd_publication){
		.id = publication->id,
		.part = publication->part,
		.address = publication->address,
		.session = publication->session,
		.job = publication->job,
		.allocation = publication->allocation,
	};
}

uint64_t clusterd_reply_id(const struct clusterd_reply *reply)
{
	switch (reply->response->body_case) {
	case CLUSTERD__WIRE__RESPONSE__BODY_PUBLISHED:
		return reply->response->published->publication;
	case CLUSTERD__WIRE__RESPONSE__BODY_SUBSCRIBED:
		return reply->response->subscribed->subscription;
	default:
		return 0;
	}
}

/* --- watches ------------------------------------------------------------------------------------------------------- */

struct clusterd_topic_watch {
	struct watcher watcher;
	char *topic;
	uint64_t version;
	bool begun;     /* something was told */
	clusterd_topic_told *told;
	void *context;
};

static void follow(struct watcher *watcher);

static void watch_free(struct watcher *watcher)
{
	struct clusterd_topic_watch *watch = (struct clusterd_topic_watch *)watcher;
	mem_free(watch->topic);
	mem_free(watch);
}

/* false: it was destroyed. */
static bool tell(struct clusterd_topic_watch *watch, struct clusterd_reply *reply, const struct clusterd_error *error)
{
	watcher_tells(&watch->watcher);
	watch->told(watch->context, reply, error);
	return watcher_told(&watch->watcher);
}

static void end(struct watcher *watcher, const struct clusterd_error *why)
{
	tell((struct clusterd_topic_watch *)watcher, NULL, why);
}

static void take_state(void *context, struct clusterd_reply *reply, const struct error *error)
{
	struct clusterd_topic_watch *watch = context;
	if (!watcher_has(&watch->watcher, reply, error, CLUSTERD__WIRE__RESPONSE__BODY_TOPIC))
		return;
	if (!watch->begun || reply->response->topic->version != watch->version) {
		watch->begun = true;
		watch->version = reply->response->topic->version;
		if (!tell(watch, reply, NULL))
			return;
	}
	follow(&watch->watcher);
}

/* At first with a version that no topic has, so that the answer comes at once. */
static void follow(struct watcher *watcher)
{
	struct clusterd_topic_watch *watch = (struct clusterd_topic_watch *)watcher;
	struct message message;
	clusterd__wire__request__init(&message.request);
	clusterd__wire__watch_topic__init(&message.watch);
	message.watch.topic = watch->topic;
	message.watch.version = watch->begun ? watch->version : UINT64_MAX;
	message.request.body_case = CLUSTERD__WIRE__REQUEST__BODY_WATCH_TOPIC;
	message.request.watch_topic = &message.watch;
	watcher->request = request_begin_strictly(watcher->client, &message.request, WATCHER_FOLLOW_MS, take_state, watch);
}

struct clusterd_topic_watch *clusterd_topic_watch_create(struct clusterd_client *client, const char *topic,
                                                         clusterd_topic_told *told, void *context)
{
	static const struct watcher_kind kind = {follow, end, watch_free};
	struct clusterd_topic_watch *watch = mem_zero(sizeof *watch);
	assert(topic != NULL && told != NULL);
	watcher_init(&watch->watcher, &kind, client);
	watch->topic = mem_string(topic);
	watch->told = told;
	watch->context = context;
	follow(&watch->watcher);
	return watch;
}

void clusterd_topic_watch_destroy(struct clusterd_topic_watch *watch)
{
	watcher_destroy((struct watcher *)watch);
}
