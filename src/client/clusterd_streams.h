/* libclusterd: data between programs. What one program publishes goes straight to those that have subscribed, over a connection between
 * the two; nodes only say where. What clusterd.h says of threads, errors, time, memory and callbacks holds here, too.
 *
 * Messages have a time, a number that the publisher gives: all of one time are an epoch. The frontier says what is complete: nothing more
 * comes with a time before it. A subscriber is shown all of an epoch or none of it.
 *
 * Streams outlive nodes: while none can be reached, what is connected goes on, and connects again where it was.
 *
 * Who connects and who listens show one another that they have the same token of the cluster's clients (`token` of the client), without
 * saying it; clients without one only know each other, and only on one machine. What is sent is not encrypted. */
#ifndef CLUSTERD_STREAMS_H
#define CLUSTERD_STREAMS_H

#include <clusterd.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLUSTERD_TIME_END UINT64_MAX /* a frontier: nothing more comes at all */
#define CLUSTERD_FROM_NOW UINT64_MAX
#define CLUSTERD_MESSAGE_MAX (16u << 20) /* bytes of a message, an item, a request or an answer of a service */

/* What becomes of a subscriber that cannot keep up, when more than `queue_size` waits for it. */
enum clusterd_slow {
	CLUSTERD_SLOW_BLOCK = 0,     /* the publisher waits for it: nothing can be sent (CLUSTERD_ERR_BUSY) */
	CLUSTERD_SLOW_DROP = 1,      /* it misses epochs, whole ones, and is told which; of a collection it gets the state again */
	CLUSTERD_SLOW_DISCONNECT = 2 /* it is disconnected; it may come back */
};

struct clusterd_publisher_news {
	size_t subscribers;
	bool ready;                         /* what could not be sent can be sent now */
	bool listed;                        /* that it is published is known to the cluster now */
	const struct clusterd_error *error; /* NULL, or why it is not known; it goes on trying, and the subscribers that it has stay.
	                                       CLUSTERD_ERR_EXISTS: another one publishes it */
};
/* Something of this has changed, or how many subscribers there are. */
typedef void clusterd_publisher_told(void *context, const struct clusterd_publisher_news *news);

struct clusterd_publisher_options {
	size_t size;
	const char *topic;     /* its name, of up to 200 bytes */
	const char *schema;    /* what its messages are, as text. NULL: "" */
	uint32_t partition;    /* which of … */
	uint32_t partitions;   /* … so many parts; 0: it is not divided */
	bool unlisted;         /* the cluster is not told: subscribers have to know the address */
	uint64_t allocation;   /* of a job, in which this process runs; 0: none */
	const char *listen;    /* HOST:PORT, port 0: a free one. NULL: "127.0.0.1:0" */
	const char *advertise; /* HOST or HOST:PORT, as subscribers reach it. NULL: as it listens */
	int slow;              /* enum clusterd_slow */
	size_t queue_size;     /* bytes that may wait for a subscriber; what waits is in memory once for all. 0: 4 MiB */
	size_t kept_size;      /* bytes that are kept though all have them, for who comes back or asks for earlier epochs. 0: none */
	uint32_t subscribers_max; /* 0: 1000 */
	uint64_t life;         /* 0: epochs begin anew with this publisher. Else a number that names the run of epochs: who continues it
	                          says the same one, and subscribers go on behind the last epoch that they have seen */
	clusterd_publisher_told *told; /* may be NULL */
	void *context;
};
#define CLUSTERD_PUBLISHER_OPTIONS \
	{sizeof(struct clusterd_publisher_options), NULL, NULL, 0, 0, false, 0, NULL, NULL, 0, 0, 0, 0, 0, NULL, NULL}

struct clusterd_publisher;

/* Listens, and publishes. CLUSTERD_ERR_INVALID, CLUSTERD_ERR_LIMIT; CLUSTERD_ERR_IO: it cannot listen there; CLUSTERD_ERR_DENIED: it
 * would listen to other machines, and the client has no token. */
int clusterd_publisher_create(struct clusterd_client *client, const struct clusterd_publisher_options *options,
                              struct clusterd_publisher **ret_publisher, struct clusterd_error *error);
/* Who was to get something and has not got it never gets it: see clusterd_publisher_flush. */
void clusterd_publisher_destroy(struct clusterd_publisher *publisher);
/* Where it is reached. */
const char *clusterd_publisher_address(const struct clusterd_publisher *publisher);
/* One more message of an epoch that is not complete. It goes out with the next dispatch, or when many have come together.
 * CLUSTERD_ERR_BUSY: not now, see clusterd_publisher_wait; CLUSTERD_ERR_LIMIT: it is too large; CLUSTERD_ERR_INVALID: the epoch is
 * complete. */
int clusterd_publisher_send(struct clusterd_publisher *publisher, uint64_t time, const void *data, size_t size,
                            struct clusterd_error *error);
/* All epochs before `frontier` are complete. CLUSTERD_TIME_END: it was all. CLUSTERD_ERR_INVALID: the frontier is beyond that. */
int clusterd_publisher_advance(struct clusterd_publisher *publisher, uint64_t frontier, struct clusterd_error *error);
/* Blocks until something can be sent. CLUSTERD_ERR_TIMEOUT. */
int clusterd_publisher_wait(struct clusterd_publisher *publisher, int timeout_ms, struct clusterd_error *error);
/* Blocks until the system has taken all for each subscriber that is there. CLUSTERD_ERR_TIMEOUT. */
int clusterd_publisher_flush(struct clusterd_publisher *publisher, int timeout_ms, struct clusterd_error *error);

struct clusterd_publisher_figures {
	size_t size;
	size_t subscribers;
	size_t memory;      /* bytes of what waits or is kept */
	size_t waits;       /* bytes, for the subscriber for which most waits */
	uint64_t dropped;   /* times that one had to miss something */
	uint64_t disconnected; /* because they were slow */
};
#define CLUSTERD_PUBLISHER_FIGURES {sizeof(struct clusterd_publisher_figures), 0, 0, 0, 0, 0}
void clusterd_publisher_figures(const struct clusterd_publisher *publisher, struct clusterd_publisher_figures *figures);

/* A message; or an item of a collection, `count` more of it (or less). */
struct clusterd_message {
	uint64_t time;
	const void *data;
	size_t size;
	int64_t count;  /* of a stream: 1 */
	uint32_t part;  /* of the topic */
	bool state;     /* of a collection: there are so many; else it is a change */
};

typedef void clusterd_message_came(void *context, const struct clusterd_message *message);

enum clusterd_subscriber_event {
	CLUSTERD_SUBSCRIBER_CONNECTED = 1,
	CLUSTERD_SUBSCRIBER_LOST,      /* `error` says why; it goes on trying */
	CLUSTERD_SUBSCRIBER_FRONTIER,  /* all that is before `from` is complete, in all parts; CLUSTERD_TIME_END: it was all */
	CLUSTERD_SUBSCRIBER_MISSED,    /* the epochs `from` ≤ time < `to` of this part were not shown, and will not be */
	CLUSTERD_SUBSCRIBER_RESTARTED, /* of this part another publisher has begun anew: its times are others */
	CLUSTERD_SUBSCRIBER_RESET,     /* of a collection: forget all of it; the state comes again, whole with the next frontier */
	CLUSTERD_SUBSCRIBER_FAILED     /* for good, as `error` says: destroy it, there or later */
};
struct clusterd_subscriber_news {
	int event; /* enum clusterd_subscriber_event */
	uint32_t part;
	uint64_t from;
	uint64_t to;
	const struct clusterd_error *error;
};
typedef void clusterd_subscriber_told(void *context, const struct clusterd_subscriber_news *news);

/* What is wanted of a collection. */
enum clusterd_wanted {
	CLUSTERD_STATE_AND_CHANGES = 0,
	CLUSTERD_STATE = 1,  /* and then the end */
	CLUSTERD_CHANGES = 2
};

struct clusterd_subscriber_options {
	size_t size;
	const char *topic;     /* all of it; "t.3": this part */
	const char *schema;    /* it must have; NULL: any */
	const char *address;   /* where the publisher is, when the cluster is not to be asked; NULL: ask it */
	bool collection;
	int wanted;            /* enum clusterd_wanted */
	bool keeper;           /* `topic` is a keeper: one of its workers is used, another one each time */
	bool wait;             /* for the topic to be there; else CLUSTERD_ERR_NOT_FOUND when it is not */
	uint64_t from;         /* the first epoch; CLUSTERD_FROM_NOW: the first one that begins from now on */
	size_t held_max;       /* bytes of epochs that are not complete; of more, epochs are missed. 0: 64 MiB */
	clusterd_message_came *came;
	clusterd_subscriber_told *told; /* may be NULL */
	void *context;
};
#define CLUSTERD_SUBSCRIBER_OPTIONS \
	{sizeof(struct clusterd_subscriber_options), NULL, NULL, NULL, false, 0, false, false, CLUSTERD_FROM_NOW, 0, NULL, NULL, NULL}

struct clusterd_subscriber;

/* Subscribes at once; `came` and `told` come from dispatch. CLUSTERD_ERR_INVALID, CLUSTERD_ERR_LIMIT. */
int clusterd_subscriber_create(struct clusterd_client *client, const struct clusterd_subscriber_options *options,
                               struct clusterd_subscriber **ret_subscriber, struct clusterd_error *error);
void clusterd_subscriber_destroy(struct clusterd_subscriber *subscriber);
/* Nothing is read until it goes on; the publisher deals with it as with one that is slow. */
void clusterd_subscriber_pause(struct clusterd_subscriber *subscriber, bool pause);
uint64_t clusterd_subscriber_frontier(const struct clusterd_subscriber *subscriber);

/* --- collections, keepers ------------------------------------------------------------------------------------------ */

/* A collection is a multiset of items, any bytes: how many there are of each. Who subscribes gets all of it as of an epoch, and then what
 * changes, summed up for each epoch. A keeper is a name under which any number of workers publish a collection, each its own: who
 * subscribes to it uses one of them, and the next one another. */
struct clusterd_collection;

/* `options`: as of a stream, without partitions for a keeper; who is slow and is to miss something (CLUSTERD_SLOW_DROP) gets all of it
 * again. `size_max`: bytes of all items; 0: 256 MiB. */
int clusterd_collection_create(struct clusterd_client *client, const struct clusterd_publisher_options *options, bool keeper,
                               size_t size_max, struct clusterd_collection **ret_collection, struct clusterd_error *error);
void clusterd_collection_destroy(struct clusterd_collection *collection);
/* `count` more of an item (less than 0: fewer) with the next commit. CLUSTERD_ERR_CONFLICT: so many are not there; CLUSTERD_ERR_LIMIT. */
int clusterd_collection_change(struct clusterd_collection *collection, const void *data, size_t size, int64_t count,
                               struct clusterd_error *error);
/* What was changed is one epoch, `ret_time`. CLUSTERD_ERR_BUSY: not now, see clusterd_publisher_wait. */
int clusterd_collection_commit(struct clusterd_collection *collection, uint64_t *ret_time, struct clusterd_error *error);
/* What was changed and not committed counts. */
int64_t clusterd_collection_count(const struct clusterd_collection *collection, const void *data, size_t size);
/* For its address, to wait, to flush, for figures; goes with the collection. */
struct clusterd_publisher *clusterd_collection_publisher(const struct clusterd_collection *collection);

/* --- services ------------------------------------------------------------------------------------------------------ */

/* Requests and their answers, any bytes, between programs: many under way at once, answered in any order. */
struct clusterd_service;
struct clusterd_service_request;

/* A request. It is answered or refused, there or later; it is valid until then, and no longer than the service. */
typedef void clusterd_service_called(void *context, struct clusterd_service_request *request);
/* `error` NULL: the service is known to the cluster. Else why not; it goes on trying, and callers that it has stay. */
typedef void clusterd_service_told(void *context, const struct clusterd_error *error);

struct clusterd_service_options {
	size_t size;
	const char *topic;     /* its name, of up to 200 bytes */
	const char *schema;    /* NULL: "" */
	bool unlisted;         /* the cluster is not told */
	uint64_t allocation;   /* of a job, in which this process runs; 0: none */
	const char *listen;    /* HOST:PORT; NULL: "127.0.0.1:0" */
	const char *advertise; /* HOST or HOST:PORT; NULL: as it listens */
	uint32_t callers_max;  /* connections; 0: 1000. Each may have 1000 requests, or 4 MiB of them, under way */
	clusterd_service_called *called;
	clusterd_service_told *told; /* may be NULL */
	void *context;
};
#define CLUSTERD_SERVICE_OPTIONS {sizeof(struct clusterd_service_options), NULL, NULL, false, 0, NULL, NULL, 0, NULL, NULL, NULL}

/* As clusterd_publisher_create. */
int clusterd_service_announce(struct clusterd_client *client, const struct clusterd_service_options *options,
                              struct clusterd_service **ret_service, struct clusterd_error *error);
/* What was not answered is answered by the end of the connection. */
void clusterd_service_destroy(struct clusterd_service *service);
const char *clusterd_service_address(const struct clusterd_service *service);
size_t clusterd_service_callers(const struct clusterd_service *service); /* connected now */

/* A NUL that does not count stands behind it. */
const char *clusterd_service_request_data(const struct clusterd_service_request *request, size_t *ret_size);
bool clusterd_service_request_is_wanted(const struct clusterd_service_request *request); /* who asked is there */
/* The caller's own. */
void clusterd_service_request_set_own(struct clusterd_service_request *request, void *own);
void *clusterd_service_request_own(const struct clusterd_service_request *request);
/* `request` is gone after either. */
void clusterd_service_answer(struct clusterd_service_request *request, const void *data, size_t size);
void clusterd_service_refuse(struct clusterd_service_request *request, const char *reason);

/* The other side. */
struct clusterd_binding;
struct clusterd_service_call;

struct clusterd_binding_options {
	size_t size;
	const char *topic;
	const char *schema;  /* that it must have; NULL: any */
	const char *address; /* when the cluster is not to be asked */
	bool wait;           /* for the service to be there; else a call fails with CLUSTERD_ERR_NOT_FOUND */
	uint32_t calls_max;  /* under way at once; 0: 1000 */
};
#define CLUSTERD_BINDING_OPTIONS {sizeof(struct clusterd_binding_options), NULL, NULL, NULL, false, 0}

/* Connects with the first call, and again with one that comes when the connection was lost. CLUSTERD_ERR_INVALID. */
int clusterd_service_bind(struct clusterd_client *client, const struct clusterd_binding_options *options,
                          struct clusterd_binding **ret_binding, struct clusterd_error *error);
/* Calls that are under way are given up without a call of their functions. */
void clusterd_binding_destroy(struct clusterd_binding *binding);

/* The end of a call, called once: `error` is NULL, or there is no data. CLUSTERD_ERR_CLOSED: the service was lost, and may have done what
 * was asked, or cannot be reached; CLUSTERD_ERR_CONFLICT: it refused, with this text; CLUSTERD_ERR_TIMEOUT; CLUSTERD_ERR_BUSY: too much is
 * under way; CLUSTERD_ERR_NOT_FOUND; CLUSTERD_ERR_TYPE; CLUSTERD_ERR_DENIED; CLUSTERD_ERR_LIMIT. */
typedef void clusterd_service_answered(void *context, const void *data, size_t size, const struct clusterd_error *error);
/* Never NULL, never calls from inside. */
struct clusterd_service_call *clusterd_service_call_begin(struct clusterd_binding *binding, const void *data, size_t size,
                                                          int timeout_ms, clusterd_service_answered *answered, void *context);
void clusterd_service_call_cancel(struct clusterd_service_call *call); /* nobody is told */
/* `ret_data` is for clusterd_free; a NUL that does not count stands behind it. */
int clusterd_service_call(struct clusterd_binding *binding, const void *data, size_t size, char **ret_data, size_t *ret_size,
                          int timeout_ms, struct clusterd_error *error);

#ifdef __cplusplus
}
#endif

#endif
