#include "client/client.h"
#include "client/clusterd_streams.h"
#include "client/dialogue.h"
#include "client/door.h"
#include "client/listing.h"

#include "base/memory.h"

#include <string.h>

/* Who calls may have so many requests under way, and so many bytes of answers waiting; what it says beyond that is not read. */

#define CALLERS_DEFAULT 1000
#define UNDER_WAY_MAX 1000
#define UNDER_WAY_SIZE (4u << 20)
#define ANSWERS_SIZE (4u << 20)

struct caller {
	struct clusterd_service *service;
	TAILQ_ENTRY(caller) entry;
	struct dialogue dialogue;
	TAILQ_HEAD(service_request_list, clusterd_service_request) requests;
	size_t count;
	size_t size;
};

struct clusterd_service_request {
	struct clusterd_service *service;
	struct caller *caller; /* NULL: it is gone */
	TAILQ_ENTRY(clusterd_service_request) entry;
	uint64_t number;
	struct buffer data; /* terminated */
	void *own;
};

struct clusterd_service {
	struct clusterd_client *client;
	struct door *door;
	struct listing *listing;
	TAILQ_HEAD(caller_list, caller) callers;
	struct service_request_list orphans; /* whose callers are gone */
	size_t caller_count;
	size_t callers_max;
	clusterd_service_called *called;
	clusterd_service_told *told;
	void *context;
	uint32_t uses;
	bool destroyed;
};

/* --- requests ------------------------------------------------------------------------------------------------------ */

static void request_free(struct clusterd_service_request *request)
{
	buffer_finish(&request->data);
	mem_free(request);
}

static bool is_full(const struct caller *caller)
{
	return caller->count >= UNDER_WAY_MAX || caller->size >= UNDER_WAY_SIZE ||
	       caller->dialogue.out.size >= ANSWERS_SIZE;
}

static void answer(struct clusterd_service_request *request, enum stream_frame_type type, struct slice data)
{
	struct caller *caller = request->caller;
	client_look_at_clock(request->service->client);
	if (caller == NULL) {
		TAILQ_REMOVE(&request->service->orphans, request, entry);
	} else {
		TAILQ_REMOVE(&caller->requests, request, entry);
		caller->count--;
		caller->size -= request->data.size;
		dialogue_say(&caller->dialogue, type, request->number, data);
	}
	request_free(request);
}

void clusterd_service_answer(struct clusterd_service_request *request, const void *data, size_t size)
{
	if (size > STREAM_MESSAGE_MAX)
		answer(request, STREAM_FAILURE, SLICE("the answer is larger than 16 MiB"));
	else
		answer(request, STREAM_RESPONSE, (struct slice){data, size});
}

void clusterd_service_refuse(struct clusterd_service_request *request, const char *reason)
{
	struct slice text = slice_of(reason);
	if (text.size > CLUSTERD_ERROR_TEXT - 1)
		text.size = CLUSTERD_ERROR_TEXT - 1;
	answer(request, STREAM_FAILURE, text);
}

const char *clusterd_service_request_data(const struct clusterd_service_request *request, size_t *ret_size)
{
	if (ret_size != NULL)
		*ret_size = request->data.size;
	return request->data.data;
}

bool clusterd_service_request_is_wanted(const struct clusterd_service_request *request)
{
	return request->caller != NULL;
}

void clusterd_service_request_set_own(struct clusterd_service_request *request, void *own)
{
	request->own = own;
}

void *clusterd_service_request_own(const struct clusterd_service_request *request)
{
	return request->own;
}

/* --- callers ------------------------------------------------------------------------------------------------------- */

static void service_free(struct clusterd_service *service)
{
	mem_free(service);
}

static void service_release(struct clusterd_service *service)
{
	if (--service->uses == 0 && service->destroyed)
		service_free(service);
}

/* Its requests are whoever's answers them, and for nobody. */
static void caller_end(struct caller *caller)
{
	struct clusterd_service *service = caller->service;
	struct clusterd_service_request *request;
	while ((request = TAILQ_FIRST(&caller->requests)) != NULL) {
		TAILQ_REMOVE(&caller->requests, request, entry);
		request->caller = NULL;
		TAILQ_INSERT_TAIL(&service->orphans, request, entry);
	}
	dialogue_end(&caller->dialogue);
	TAILQ_REMOVE(&service->callers, caller, entry);
	service->caller_count--;
	mem_free(caller);
}

static void take_request(struct caller *caller, const struct stream_frame *frame)
{
	struct clusterd_service *service = caller->service;
	struct clusterd_service_request *request = mem_zero(sizeof *request);
	request->service = service;
	request->caller = caller;
	request->number = frame->time;
	buffer_append_slice(&request->data, frame->body);
	buffer_string(&request->data);
	TAILQ_INSERT_TAIL(&caller->requests, request, entry);
	caller->count++;
	caller->size += frame->body.size;
	service->called(service->context, request);
}

/* In a call all may be destroyed, but a caller ends nowhere else than here. */
static void caller_ready(void *context, uint32_t events)
{
	struct caller *caller = context;
	struct clusterd_service *service = caller->service;
	struct stream_frame frame;
	struct error error;
	int got = dialogue_turn(&caller->dialogue, events, &error);
	service->uses++;
	while (got == 0 && !is_full(caller)) {
		got = dialogue_next(&caller->dialogue, &frame, &error);
		if (got != 1)
			break;
		got = frame.type == STREAM_REQUEST ? 0 : ERR_INVALID;
		if (got == 0)
			take_request(caller, &frame);
		if (service->destroyed)
			break;
	}
	if (!service->destroyed && got < 0)
		caller_end(caller);
	else if (!service->destroyed)
		dialogue_listen(&caller->dialogue, !is_full(caller));
	service_release(service);
}

static int take_guest(void *context, const struct greeting *greeting, struct channel *take_channel,
                      struct buffer *take_rest, struct error *error)
{
	struct clusterd_service *service = context;
	(void)greeting;
	if (service->caller_count >= service->callers_max)
		return error_set(error, ERR_BUSY, "there are %zu callers, and no more may come", service->callers_max);
	struct caller *caller = mem_zero(sizeof *caller);
	caller->service = service;
	TAILQ_INIT(&caller->requests);
	TAILQ_INSERT_TAIL(&service->callers, caller, entry);
	service->caller_count++;
	dialogue_begin(&caller->dialogue, take_channel, take_rest, caller_ready, caller);
	return 0;
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static void listed(void *context, const struct error *error)
{
	struct clusterd_service *service = context;
	struct clusterd_error public = {0};
	client_say(&public, error);
	if (service->told != NULL)
		service->told(service->context, error != NULL ? &public : NULL);
}

static int open_door(struct clusterd_service *service, const struct clusterd_service_options *options,
                     struct error *error)
{
	struct door_options door = {
		.topic = options->topic,
		.kind = CLUSTERD__STREAM__KIND__KIND_SERVICE,
		.schema = options->schema != NULL ? options->schema : "",
		.listen = options->listen,
		.advertise = options->advertise,
		.token = service->client->base.token,
		.guest = take_guest,
		.context = service,
	};
	if (options->topic == NULL || options->called == NULL)
		return error_set(error, ERR_INVALID, "a service has a name, and a function for its requests");
	return door_open(&service->client->base, &door, &service->door, error);
}

int clusterd_service_announce(struct clusterd_client *client, const struct clusterd_service_options *options,
                              struct clusterd_service **ret_service, struct clusterd_error *error)
{
	struct clusterd_service_options known = CLUSTERD_SERVICE_OPTIONS;
	struct clusterd_publish_options listing = CLUSTERD_PUBLISH_OPTIONS;
	struct error failure = {0};
	memcpy(&known, options, options->size < sizeof known ? options->size : sizeof known);
	struct clusterd_service *service = mem_zero(sizeof *service);
	service->client = client;
	TAILQ_INIT(&service->callers);
	TAILQ_INIT(&service->orphans);
	service->callers_max = known.callers_max != 0 ? known.callers_max : CALLERS_DEFAULT;
	service->called = known.called;
	service->told = known.told;
	service->context = known.context;
	client_look_at_clock(client);
	if (open_door(service, &known, &failure) != 0) {
		mem_free(service);
		return client_say(error, &failure);
	}
	client->users++;
	listing.topic = known.topic;
	listing.kind = CLUSTERD_TOPIC_SERVICE;
	listing.schema = known.schema;
	listing.address = door_address(service->door);
	listing.allocation = known.allocation;
	if (!known.unlisted)
		service->listing = listing_create(client, &listing, listed, service);
	*ret_service = service;
	return 0;
}

const char *clusterd_service_address(const struct clusterd_service *service)
{
	return door_address(service->door);
}

size_t clusterd_service_callers(const struct clusterd_service *service)
{
	return service->caller_count;
}

void clusterd_service_destroy(struct clusterd_service *service)
{
	struct clusterd_service_request *request;
	struct caller *caller;
	if (service == NULL)
		return;
	listing_destroy(service->listing);
	door_close(service->door);
	TAILQ_FOREACH (caller, &service->callers, entry)
		dialogue_turn(&caller->dialogue, 0, NULL); /* answers that it takes */
	while ((caller = TAILQ_FIRST(&service->callers)) != NULL)
		caller_end(caller);
	while ((request = TAILQ_FIRST(&service->orphans)) != NULL) {
		TAILQ_REMOVE(&service->orphans, request, entry);
		request_free(request);
	}
	service->client->users--;
	service->destroyed = true;
	service->uses++;
	service_release(service);
}
