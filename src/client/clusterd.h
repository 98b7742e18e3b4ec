/* libclusterd: a program's way to a cluster of clusterd nodes.
 *
 *   struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
 *   struct clusterd_client *client;
 *   struct clusterd_error error;
 *   char *result;
 *   options.addresses = "10.0.0.1:9189,10.0.0.2:9189,10.0.0.3:9189";
 *   options.token = token;
 *   if (clusterd_client_create(&options, &client, &error) != 0 ||
 *       clusterd_workflow_run(client, "Report", "{\"day\": \"monday\"}", &result, 60000, &error) != 0)
 *           errx(1, "%s", error.text);
 *   puts(result);
 *   clusterd_free(result);
 *   clusterd_client_destroy(client);
 *
 * Two ways to use it. Functions with a timeout block until the answer is there. Functions that end in _begin ask and return at once;
 * the answer comes by a callback from clusterd_client_dispatch(), on a loop of the caller's own:
 *
 *   struct pollfd wait = {clusterd_client_descriptor(client), POLLIN, 0};
 *   for (;;) {
 *           poll(&wait, 1, clusterd_client_timeout_ms(client));
 *           clusterd_client_dispatch(client);
 *   }
 *
 * What holds for all of it:
 * - Threads: the library starts none. One client, and all that was made with it, is used by one thread at a time; several clients may be
 *   used by several threads at once. No global state, no signal handlers, no output, no exit. When memory is exhausted the process is
 *   aborted.
 * - Errors: functions return 0 or a negative enum clusterd_code, and explain it in `error` (may be NULL). Outputs (`ret_…`) are untouched
 *   then, and those of numbers and texts may be NULL where they are not wanted.
 * - Time: milliseconds. A timeout of CLUSTERD_NO_TIMEOUT is none. Until its time is out a request is sent again whenever a node is lost,
 *   does not answer, or cannot serve, to the next address of the list. What changes something is carried out once, however often it was
 *   sent. After CLUSTERD_ERR_TIMEOUT it may have been carried out or not, or may still be; so it is after CLUSTERD_ERR_EXPIRED.
 * - Memory: what is passed in is copied. What is handed out belongs to the library, unless it is said to be for clusterd_free or a
 *   …_destroy. Destroying NULL is fine.
 * - Callbacks are called by clusterd_client_dispatch, clusterd_client_poll and the blocking functions of the same client, never by a
 *   …_begin. Inside them everything may be called but what blocks (CLUSTERD_ERR_CONFLICT) and clusterd_client_destroy.
 * - Structs with a member `size` may grow: initialize them with the macro of their name.
 *
 * Names of hosts are looked up when it connects, by getaddrinfo(), which can block; numeric addresses and sockets never block. */
#ifndef CLUSTERD_H
#define CLUSTERD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLUSTERD_NO_TIMEOUT (-1)

/* --- errors -------------------------------------------------------------------------------------------------------- */

enum clusterd_code {
	CLUSTERD_OK = 0,
	CLUSTERD_ERR_IO = -1,          /* the system refused something */
	CLUSTERD_ERR_NO_SPACE = -2,    /* a node's disk is full */
	CLUSTERD_ERR_CORRUPT = -3,     /* bytes are not what was sent or written */
	CLUSTERD_ERR_BUSY = -4,        /* no node could keep up until the time was out */
	CLUSTERD_ERR_LIMIT = -5,       /* larger or more than a limit, which the text names */
	CLUSTERD_ERR_INVALID = -6,     /* not of the form that it must have */
	CLUSTERD_ERR_TYPE = -7,        /* a value that is not of its declared type */
	CLUSTERD_ERR_NOT_FOUND = -8,
	CLUSTERD_ERR_EXISTS = -9,
	CLUSTERD_ERR_CONFLICT = -10,   /* the thing is in a state that does not allow this; a condition does not hold */
	CLUSTERD_ERR_NOT_LEADER = -11, /* the cluster had no leader until the time was out */
	CLUSTERD_ERR_EXPIRED = -12,    /* of a lease, a lock: it is lost. Of a request: its session is, it may have been carried out */
	CLUSTERD_ERR_VERSION = -13,    /* the two sides have no version of the protocol in common */
	CLUSTERD_ERR_TIMEOUT = -14,
	CLUSTERD_ERR_CLOSED = -15,     /* no node can be reached */
	CLUSTERD_ERR_DENIED = -16,     /* the token is missing or wrong */
	CLUSTERD_ERR_UNSUPPORTED = -17,
	CLUSTERD_ERR_COMPACTED = -18   /* a watch from a version that is not kept any more: read the state again */
};

#define CLUSTERD_ERROR_TEXT 480

struct clusterd_error {
	int code;                       /* 0 or enum clusterd_code */
	char text[CLUSTERD_ERROR_TEXT]; /* for people: what happened, where, what to do */
};

/* "not found", "busy", …; never NULL. */
const char *clusterd_code_name(int code);
/* The version of the library: "0.1.0". */
const char *clusterd_version(void);
/* Releases what is said to be for it. NULL is fine. */
void clusterd_free(void *memory);

/* --- clients ------------------------------------------------------------------------------------------------------- */

struct clusterd_client;

/* How fresh what is read must be. */
enum clusterd_consistency {
	CLUSTERD_LINEARIZABLE = 0, /* all that was acknowledged to anyone before it was asked */
	CLUSTERD_LEADER = 1,       /* the same as long as clocks run evenly; saves a round between nodes */
	CLUSTERD_LOCAL = 2         /* what the node that is asked has, at once */
};

struct clusterd_client_options {
	size_t size;
	const char *addresses; /* "HOST:PORT,HOST:PORT,…" or paths of nodes' sockets ("/var/lib/clusterd/clusterd.sock"); up to 32 */
	const char *token;     /* what the file `token` of a node's data directory has; over TCP it is asked for. NULL: none */
	const char *name;      /* of the program, for people. NULL: "libclusterd" */
	int consistency;       /* enum clusterd_consistency, for all that this client reads */
	int silence_ms;        /* a node that is to answer and is silent for so long is asked for a sign of life; after twice that it is
	                          left for another one. 0: 5000 */
};
#define CLUSTERD_CLIENT_OPTIONS {sizeof(struct clusterd_client_options), NULL, NULL, NULL, 0, 0}

/* Connects with the first request. CLUSTERD_ERR_INVALID: the addresses are not of the form; CLUSTERD_ERR_IO. */
int clusterd_client_create(const struct clusterd_client_options *options, struct clusterd_client **ret_client,
                           struct clusterd_error *error);
/* Closes the connections at once. Requests that are under way are given up without a call; watches, leases, contenders and workers of it
 * must have been destroyed before. */
void clusterd_client_destroy(struct clusterd_client *client);
/* Blocks until a node has said welcome, to see whether one is there: each address is tried once. CLUSTERD_ERR_CLOSED: none can be reached;
 * CLUSTERD_ERR_DENIED; CLUSTERD_ERR_TIMEOUT. No need to: requests connect, and go on trying until their time is out. */
int clusterd_client_connect(struct clusterd_client *client, int timeout_ms, struct clusterd_error *error);
/* The address that is used, or was last. Valid until the next call that may connect. */
const char *clusterd_client_address(const struct clusterd_client *client);

/* On a loop of one's own: when the descriptor is readable, or timeout_ms has gone by, call dispatch. Ask for the timeout after each call of
 * the library: requests that were begun go out with the next dispatch (it is 0 then). */
int clusterd_client_descriptor(const struct clusterd_client *client); /* the same for the client's life; never close or read it */
int clusterd_client_timeout_ms(const struct clusterd_client *client); /* −1: none; as poll() takes it */
/* Does what is due, calls what has come; never blocks. */
void clusterd_client_dispatch(struct clusterd_client *client);
/* Waits for something to be due for up to timeout_ms, and dispatches. Returns also when a signal has come. CLUSTERD_ERR_CONFLICT: from
 * inside a callback. */
int clusterd_client_poll(struct clusterd_client *client, int timeout_ms);

/* --- requests and replies ------------------------------------------------------------------------------------------ */

struct clusterd_request;
struct clusterd_reply;

/* The end of a request, called once. Either `reply` or `error` is NULL; both are valid during the call (but clusterd_reply_hold). */
typedef void clusterd_done(void *context, struct clusterd_reply *reply, const struct clusterd_error *error);

/* Every …_begin returns a request, which is valid until its clusterd_done is called. Never NULL: what is wrong with it, the callback
 * says. `done` may be NULL: then nobody is told. */

/* Nobody is told any more. Whether a change was carried out is not known then. NULL is fine. */
void clusterd_request_cancel(struct clusterd_request *request);

/* Keeps a reply beyond the call; returns it. */
struct clusterd_reply *clusterd_reply_hold(struct clusterd_reply *reply);
void clusterd_reply_destroy(struct clusterd_reply *reply); /* for each hold, and for each that a function has handed out */

/* What a reply has; of what it does not have, nothing: NULL, 0, false. */
/* The value of a key, the result of a workflow (JSON), the rows of a query (JSON, an array of arrays), what was registered, a
 * status, members (JSON). Behind it
 * stands a NUL that does not count. Never NULL. */
const char *clusterd_reply_value(const struct clusterd_reply *reply, size_t *ret_size);
uint64_t clusterd_reply_version(const struct clusterd_reply *reply);   /* of what was written; of keys: as of which they are */
bool clusterd_reply_held(const struct clusterd_reply *reply);          /* of a transaction: all comparisons did */
bool clusterd_reply_truncated(const struct clusterd_reply *reply);     /* of keys, rows: there are more */
uint64_t clusterd_reply_instance(const struct clusterd_reply *reply);  /* of a workflow */
bool clusterd_reply_existed(const struct clusterd_reply *reply);       /* of a start: the key was known */
const char *clusterd_reply_state(const struct clusterd_reply *reply);  /* of a workflow that has ended: "completed", "failed", … */
const char *clusterd_reply_failure(const struct clusterd_reply *reply); /* why it failed */
uint64_t clusterd_reply_lease(const struct clusterd_reply *reply);
uint64_t clusterd_reply_ttl_ms(const struct clusterd_reply *reply);    /* of the lease, from when this was asked */
size_t clusterd_reply_column_count(const struct clusterd_reply *reply);
const char *clusterd_reply_column(const struct clusterd_reply *reply, size_t index); /* its name */

/* A key (a get has one of them, a list some), or a change of one. */
struct clusterd_key {
	const char *key;
	const char *value;  /* NULL: without; any bytes */
	size_t value_size;
	uint64_t version;   /* of its last change: a number that rises with each change in the cluster, and never comes twice */
	uint64_t created;   /* version of the change that made it */
	uint64_t lease;     /* 0: none */
	bool deleted;       /* a change: it is not there any more, and `created` was of the one that is gone */
	bool state;         /* a watch tells it because it is there, not because it has changed */
};
size_t clusterd_reply_key_count(const struct clusterd_reply *reply);
/* `index` below the count. What it points to lives as long as the reply. */
void clusterd_reply_key(const struct clusterd_reply *reply, size_t index, struct clusterd_key *ret_key);

/* --- keys ---------------------------------------------------------------------------------------------------------- */

/* Keys are UTF-8 of 1 to 1024 bytes, values any bytes (1 MiB, unless the setting value_max says otherwise). */

/* For `if_version`; any other number: only when this is the key's version. CLUSTERD_ERR_CONFLICT when it does not hold. */
#define CLUSTERD_ALWAYS UINT64_MAX
#define CLUSTERD_IF_ABSENT 0

/* `lease`: the key is deleted when it ends; 0: none. */
int clusterd_key_put(struct clusterd_client *client, const char *key, const void *value, size_t size, uint64_t lease,
                     uint64_t if_version, uint64_t *ret_version, int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_key_put_begin(struct clusterd_client *client, const char *key, const void *value, size_t size,
                                                uint64_t lease, uint64_t if_version, int timeout_ms, clusterd_done *done,
                                                void *context);
/* CLUSTERD_ERR_NOT_FOUND. `ret_value` is for clusterd_free; a NUL that does not count stands behind it. */
int clusterd_key_get(struct clusterd_client *client, const char *key, char **ret_value, size_t *ret_size, uint64_t *ret_version,
                     int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_key_get_begin(struct clusterd_client *client, const char *key, int timeout_ms,
                                                clusterd_done *done, void *context);
/* CLUSTERD_ERR_NOT_FOUND. CLUSTERD_IF_ABSENT makes no sense here. */
int clusterd_key_delete(struct clusterd_client *client, const char *key, uint64_t if_version, uint64_t *ret_version, int timeout_ms,
                        struct clusterd_error *error);
struct clusterd_request *clusterd_key_delete_begin(struct clusterd_client *client, const char *key, uint64_t if_version,
                                                   int timeout_ms, clusterd_done *done, void *context);
/* Keys that begin with `prefix`, by their bytes, behind `after` (NULL: from the first one on), at most `limit` (0: as many as fit into a
 * page): when the reply is truncated, ask again behind its last key. */
int clusterd_key_list(struct clusterd_client *client, const char *prefix, const char *after, uint32_t limit, bool keys_only,
                      struct clusterd_reply **ret_reply, int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_key_list_begin(struct clusterd_client *client, const char *prefix, const char *after,
                                                 uint32_t limit, bool keys_only, int timeout_ms, clusterd_done *done,
                                                 void *context);

/* Several writes at one version, each key once, if all comparisons hold; else, at one version, the others. */
struct clusterd_transaction;
struct clusterd_transaction *clusterd_transaction_create(void);
void clusterd_transaction_destroy(struct clusterd_transaction *transaction);
/* Only if the key has this version; CLUSTERD_IF_ABSENT: only if it is not there. */
void clusterd_transaction_compare(struct clusterd_transaction *transaction, const char *key, uint64_t version);
void clusterd_transaction_put(struct clusterd_transaction *transaction, const char *key, const void *value, size_t size,
                              uint64_t lease);
void clusterd_transaction_delete(struct clusterd_transaction *transaction, const char *key);
void clusterd_transaction_else_put(struct clusterd_transaction *transaction, const char *key, const void *value, size_t size,
                                   uint64_t lease);
void clusterd_transaction_else_delete(struct clusterd_transaction *transaction, const char *key);
/* The transaction stays the caller's, and may be committed again. Comparisons that do not hold are no error: `ret_held`. */
int clusterd_transaction_commit(struct clusterd_client *client, const struct clusterd_transaction *transaction, bool *ret_held,
                                uint64_t *ret_version, int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_transaction_commit_begin(struct clusterd_client *client,
                                                           const struct clusterd_transaction *transaction, int timeout_ms,
                                                           clusterd_done *done, void *context);

/* --- watches ------------------------------------------------------------------------------------------------------- */

/* Tells each change of a key, or of all keys that begin with a prefix, in order, each once, also over the loss of nodes. */
struct clusterd_watch;

/* A change (or, first, a key that is there: see `state`); `error` NULL. Or the end of the watch: `key` NULL, CLUSTERD_ERR_COMPACTED, or
 * another reason why it cannot go on; destroy it then, there or later. */
typedef void clusterd_changed(void *context, const struct clusterd_key *key, const struct clusterd_error *error);

struct clusterd_watch_options {
	size_t size;
	const char *key;        /* or the prefix */
	bool prefix;
	bool state;             /* first tell what is there now */
	uint64_t from;          /* without `state`: changes from this version on; 0: what comes from now on */
	clusterd_changed *changed;
	void *context;
};
#define CLUSTERD_WATCH_OPTIONS {sizeof(struct clusterd_watch_options), NULL, false, false, 0, NULL, NULL}

/* Begins at once, calls `changed` from dispatch. */
struct clusterd_watch *clusterd_watch_create(struct clusterd_client *client, const struct clusterd_watch_options *options);
void clusterd_watch_destroy(struct clusterd_watch *watch);
/* For `from` of another watch that is to go on behind all that this one has told; 0: it does not know yet where it begins. */
uint64_t clusterd_watch_version(const struct clusterd_watch *watch);

/* --- leases -------------------------------------------------------------------------------------------------------- */

/* A lease that is kept alive for as long as this object is there and dispatched: every third of its time. */
struct clusterd_lease;

/* `lease` is not 0: it was granted. Or it is lost: `error` says why, and from here on the object only is to be destroyed. Lost means that
 * it has ended, or that no keep-alive was answered for two thirds of its time: a third is left to stop what depends on it. */
typedef void clusterd_lease_told(void *context, uint64_t lease, const struct clusterd_error *error);

/* `ttl_ms`: it ends so long after the last sign of life. `owner`: for people, may be NULL. */
struct clusterd_lease *clusterd_lease_create(struct clusterd_client *client, uint64_t ttl_ms, const char *owner,
                                             clusterd_lease_told *told, void *context);
uint64_t clusterd_lease_id(const struct clusterd_lease *lease); /* 0: not granted yet, or lost */
/* Milliseconds that it will surely live, should the cluster hear no more of it; 0: it may have ended. */
uint64_t clusterd_lease_left_ms(const struct clusterd_lease *lease);
/* Its keys are deleted; nobody waits for it. To know that it has ended: clusterd_lease_revoke before. */
void clusterd_lease_destroy(struct clusterd_lease *lease);

/* By hand: nothing keeps it alive but clusterd_lease_keep. */
int clusterd_lease_grant(struct clusterd_client *client, uint64_t ttl_ms, const char *owner, uint64_t *ret_lease, int timeout_ms,
                         struct clusterd_error *error);
struct clusterd_request *clusterd_lease_grant_begin(struct clusterd_client *client, uint64_t ttl_ms, const char *owner,
                                                    int timeout_ms, clusterd_done *done, void *context);
/* Its full time again, from when this was asked. CLUSTERD_ERR_NOT_FOUND: it has ended. */
int clusterd_lease_keep(struct clusterd_client *client, uint64_t lease, int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_lease_keep_begin(struct clusterd_client *client, uint64_t lease, int timeout_ms,
                                                   clusterd_done *done, void *context);
int clusterd_lease_revoke(struct clusterd_client *client, uint64_t lease, int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_lease_revoke_begin(struct clusterd_client *client, uint64_t lease, int timeout_ms,
                                                     clusterd_done *done, void *context);

/* --- locks and elections ------------------------------------------------------------------------------------------- */

/* Whoever contends for something of which there is one, first come first served: a lock, the lead of an election. The same queues as
 * `clusterctl lock` and `clusterctl election`. A contender has a key of its own, bound to a lease that is kept alive while it is
 * dispatched.
 *
 * No lock keeps a process from acting that stood still for longer than its lease lasts. So each holder has a fencing token, which rises
 * from one holder to the next: what the lock protects should refuse a token that is lower than the highest it has seen. */
struct clusterd_contender;

enum clusterd_standing {
	CLUSTERD_WAITS = 0, /* others are before it, or it does not know yet */
	CLUSTERD_HOLDS = 1,
	CLUSTERD_LOST = 2   /* for good: destroy it, and contend again */
};

/* It holds, or has lost: then `error` says why. Never called again after that. */
typedef void clusterd_standing_changed(void *context, enum clusterd_standing standing, uint64_t token,
                                       const struct clusterd_error *error);

struct clusterd_contender_options {
	size_t size;
	const char *name;     /* of the lock or the election; without '/' at its end */
	const void *value;    /* others see it: who leads, and how to reach it. NULL: empty */
	size_t value_size;
	uint64_t ttl_ms;      /* others have it so long after this process is gone; 0: 10000 */
	clusterd_standing_changed *changed; /* may be NULL */
	void *context;
};
#define CLUSTERD_CONTENDER_OPTIONS {sizeof(struct clusterd_contender_options), NULL, NULL, 0, 0, NULL, NULL}

/* Queues up at once. */
struct clusterd_contender *clusterd_lock_create(struct clusterd_client *client, const struct clusterd_contender_options *options);
struct clusterd_contender *clusterd_campaign_create(struct clusterd_client *client,
                                                    const struct clusterd_contender_options *options);
enum clusterd_standing clusterd_contender_standing(const struct clusterd_contender *contender);
uint64_t clusterd_contender_token(const struct clusterd_contender *contender); /* 0: it does not hold */
/* Its key in the queue, whose version is the token: a transaction that compares it writes only while it holds. NULL: not known yet. */
const char *clusterd_contender_key(const struct clusterd_contender *contender);
/* Milliseconds until others may hold, should the cluster hear no more of it; 0: they may by now. When it has lost: until its lease ends at
 * the latest, which is the time to stop in. */
uint64_t clusterd_contender_left_ms(const struct clusterd_contender *contender);
/* Blocks until it holds. CLUSTERD_ERR_TIMEOUT: it goes on waiting; CLUSTERD_ERR_EXPIRED: it has lost. */
int clusterd_contender_wait(struct clusterd_contender *contender, uint64_t *ret_token, int timeout_ms, struct clusterd_error *error);
/* Blocks, keeping it alive, until the time is out (0) or it has lost (CLUSTERD_ERR_EXPIRED). Returns 0 also when a signal has come. */
int clusterd_contender_hold(struct clusterd_contender *contender, int timeout_ms, struct clusterd_error *error);
/* Gives it up: waits up to timeout_ms until the cluster has taken note. In any case others have it when the lease ends. */
int clusterd_contender_leave(struct clusterd_contender *contender, int timeout_ms, struct clusterd_error *error);
void clusterd_contender_destroy(struct clusterd_contender *contender); /* gives it up without waiting */

/* Who leads now: the token, and the value (for clusterd_free). CLUSTERD_ERR_NOT_FOUND: nobody. To hear of each new leader, watch the prefix
 * "election/NAME/". */
int clusterd_election_leader(struct clusterd_client *client, const char *name, uint64_t *ret_token, char **ret_value, size_t *ret_size,
                             int timeout_ms, struct clusterd_error *error);
/* Who leads has to give it up, and may contend again. CLUSTERD_ERR_NOT_FOUND: nobody leads. */
int clusterd_election_resign(struct clusterd_client *client, const char *name, int timeout_ms, struct clusterd_error *error);

/* --- sessions ------------------------------------------------------------------------------------------------------ */

/* Who owns publications and subscriptions: a lease that is kept alive for as long as this object is there and dispatched, every third of
 * its time. What it owns stays over the loss of connections and nodes, and goes when it has ended. Nobody else can act in it: it has a
 * secret, which the library draws. */
struct clusterd_session;

/* `session` is not 0: it was opened. Or it has ended, as the cluster says (or it cannot be opened): `error` says why, all that it owned is
 * gone, and from here on the object only is to be destroyed. That no node can be reached does not end it: it may live on, and what it
 * owns with it, until the cluster says otherwise. */
typedef void clusterd_session_told(void *context, uint64_t session, const struct clusterd_error *error);

/* `ttl_ms`: it ends so long after the last sign of life; 1000 to a day, 0: 10000. `told` may be NULL. Requests that are made in it wait
 * until it is opened. */
struct clusterd_session *clusterd_session_create(struct clusterd_client *client, uint64_t ttl_ms, clusterd_session_told *told,
                                                 void *context);
uint64_t clusterd_session_id(const struct clusterd_session *session); /* 0: not opened yet, or ended */
/* Closes it, and waits until what it owned is gone. Then it only is to be destroyed. */
int clusterd_session_close(struct clusterd_session *session, int timeout_ms, struct clusterd_error *error);
/* Requests in it are given up without a call. It is closed, and nobody waits for that. */
void clusterd_session_destroy(struct clusterd_session *session);

/* --- topics -------------------------------------------------------------------------------------------------------- */

/* Who publishes what where. Data is not here: it goes straight from publisher to subscriber. A topic is there as long as something of it is
 * published; its name is unique. "t" is all of a topic, "t.3" its part 3, if it is divided. */

enum clusterd_topic_kind {
	CLUSTERD_TOPIC_ANY = 0,
	CLUSTERD_TOPIC_STREAM = 1,     /* items with times */
	CLUSTERD_TOPIC_COLLECTION = 2, /* the whole state, then changes */
	CLUSTERD_TOPIC_SERVICE = 3,    /* requests and answers */
	CLUSTERD_TOPIC_KEEPER = 4      /* any number of workers that hold state, of which one is used */
};

struct clusterd_publish_options {
	size_t size;
	const char *topic;   /* up to 200 bytes, without blanks; not "$…", and not "….DIGITS" */
	int kind;            /* enum clusterd_topic_kind */
	const char *schema;  /* "stream(TYPE, TIME)", "service(IN, OUT)", TYPE, or other text. NULL: "" */
	uint32_t partitions; /* 0: it is not divided */
	uint32_t part;
	const char *address; /* HOST:PORT, as subscribers reach it */
	uint64_t allocation; /* of a job, in which this process runs; 0: none */
};
#define CLUSTERD_PUBLISH_OPTIONS {sizeof(struct clusterd_publish_options), NULL, 0, NULL, 0, 0, NULL, 0}

/* CLUSTERD_ERR_EXISTS: it is published; CLUSTERD_ERR_TYPE: the topic has another schema; CLUSTERD_ERR_CONFLICT: another kind or number of
 * partitions; CLUSTERD_ERR_INVALID; CLUSTERD_ERR_LIMIT; CLUSTERD_ERR_EXPIRED: the session has ended. */
int clusterd_topic_publish(struct clusterd_session *session, const struct clusterd_publish_options *options,
                           uint64_t *ret_publication, int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_topic_publish_begin(struct clusterd_session *session,
                                                      const struct clusterd_publish_options *options, int timeout_ms,
                                                      clusterd_done *done, void *context);
/* CLUSTERD_ERR_NOT_FOUND: it is gone; CLUSTERD_ERR_DENIED: it is of another session. */
int clusterd_topic_unpublish(struct clusterd_session *session, uint64_t publication, int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_topic_unpublish_begin(struct clusterd_session *session, uint64_t publication, int timeout_ms,
                                                        clusterd_done *done, void *context);

/* Subscribes to what is published now: CLUSTERD_ERR_NOT_FOUND. `kind`: CLUSTERD_TOPIC_ANY, or else CLUSTERD_ERR_CONFLICT. `schema`: NULL,
 * or else CLUSTERD_ERR_TYPE when the topic has another one. The reply has the subscription and the topic; `ret_reply` may be NULL. To
 * wait for a topic, look it up with `wait` before: the blocking function does so itself when `wait` is set (CLUSTERD_ERR_TIMEOUT).
 * A subscription ends with its session, or its topic: who goes on with a topic that is published anew subscribes again. */
int clusterd_topic_subscribe(struct clusterd_session *session, const char *topic, int kind, const char *schema, bool wait,
                             struct clusterd_reply **ret_reply, int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_topic_subscribe_begin(struct clusterd_session *session, const char *topic, int kind,
                                                        const char *schema, int timeout_ms, clusterd_done *done, void *context);
int clusterd_topic_unsubscribe(struct clusterd_session *session, uint64_t subscription, int timeout_ms,
                               struct clusterd_error *error);
struct clusterd_request *clusterd_topic_unsubscribe_begin(struct clusterd_session *session, uint64_t subscription, int timeout_ms,
                                                          clusterd_done *done, void *context);

/* CLUSTERD_ERR_NOT_FOUND; `wait`: until it is there, or CLUSTERD_ERR_TIMEOUT. Subscribes to nothing. "$catalog" has the address of the node
 * that was asked. Of a keeper, another worker comes first with each answer. */
int clusterd_topic_lookup(struct clusterd_client *client, const char *topic, bool wait, struct clusterd_reply **ret_reply,
                          int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_topic_lookup_begin(struct clusterd_client *client, const char *topic, bool wait, int timeout_ms,
                                                     clusterd_done *done, void *context);

struct clusterd_topic {
	const char *name;         /* without a part */
	uint64_t id;              /* 0: there is no such topic now */
	uint64_t version;         /* changes whenever it does; 0: there is no such topic */
	int kind;
	const char *schema;
	uint32_t partitions;      /* 0: it is not divided */
	size_t publication_count; /* parts that nobody publishes now are missing */
};
struct clusterd_publication {
	uint64_t id;
	uint32_t part;
	const char *address;
	uint64_t session;
	uint64_t job;             /* 0: none */
	uint64_t allocation;
};
/* Of a lookup, a subscription, a watch. false: the reply has no topic. What they point to lives as long as the reply. */
bool clusterd_reply_topic(const struct clusterd_reply *reply, struct clusterd_topic *ret_topic);
/* `index` below the topic's publication_count. */
void clusterd_reply_publication(const struct clusterd_reply *reply, size_t index, struct clusterd_publication *ret_publication);
uint64_t clusterd_reply_id(const struct clusterd_reply *reply); /* of what was published, or of the subscription */

/* Tells a topic's state, and again each time it has changed, also over the loss of nodes; of changes that come together the last state
 * only. It does not matter whether the topic is there. */
struct clusterd_topic_watch;
/* `reply` has the topic (id 0: it is not there); `error` NULL. Or the end of the watch: `reply` NULL; destroy it then, there or later. */
typedef void clusterd_topic_told(void *context, struct clusterd_reply *reply, const struct clusterd_error *error);
/* `topic` without a part. Begins at once, calls `told` from dispatch. */
struct clusterd_topic_watch *clusterd_topic_watch_create(struct clusterd_client *client, const char *topic,
                                                         clusterd_topic_told *told, void *context);
void clusterd_topic_watch_destroy(struct clusterd_topic_watch *watch);

/* --- workflows ----------------------------------------------------------------------------------------------------- */

/* Arguments, results and values of signals are JSON. */

struct clusterd_source {
	const char *path;  /* for messages */
	const char *text;
	size_t size;
};
/* Registers processes and workflows; the same ones again are no change. `ret_json`: what there is now of them, an array of objects with
 * name, version, kind and more (for clusterd_free). CLUSTERD_ERR_INVALID, CLUSTERD_ERR_TYPE: the text has
 * the first errors with their lines. */
int clusterd_register(struct clusterd_client *client, const struct clusterd_source *sources, size_t count, char **ret_json,
                      int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_register_begin(struct clusterd_client *client, const struct clusterd_source *sources, size_t count,
                                                 int timeout_ms, clusterd_done *done, void *context);

/* A task of a job says that it is there (`allocation` 0: CLUSTERD_ALLOCATION), and waits until all of its group have said so: a barrier.
 * CLUSTERD_ERR_NOT_FOUND: there is no such task; CLUSTERD_ERR_CONFLICT: its job has ended meanwhile. */
int clusterd_task_ready(struct clusterd_client *client, uint64_t allocation, int timeout_ms, struct clusterd_error *error);

/* `arguments`: an object keyed by parameter. `key`: the same key starts it once, and gives the same instance again; NULL: none. */
int clusterd_workflow_start(struct clusterd_client *client, const char *workflow, const char *arguments, const char *key,
                            uint64_t *ret_instance, int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_workflow_start_begin(struct clusterd_client *client, const char *workflow, const char *arguments,
                                                       const char *key, int timeout_ms, clusterd_done *done, void *context);
/* Starts it and waits for its end. `ret_result` is for clusterd_free. CLUSTERD_ERR_CONFLICT: it failed or was cancelled, as the text says.
 * When the time is out, it goes on. */
int clusterd_workflow_run(struct clusterd_client *client, const char *workflow, const char *arguments, char **ret_result,
                          int timeout_ms, struct clusterd_error *error);
int clusterd_workflow_wait(struct clusterd_client *client, uint64_t instance, char **ret_result, int timeout_ms,
                           struct clusterd_error *error);
/* A workflow that failed is a reply here: see clusterd_reply_state. */
struct clusterd_request *clusterd_workflow_wait_begin(struct clusterd_client *client, uint64_t instance, int timeout_ms,
                                                      clusterd_done *done, void *context);
int clusterd_workflow_cancel(struct clusterd_client *client, uint64_t instance, int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_workflow_cancel_begin(struct clusterd_client *client, uint64_t instance, int timeout_ms,
                                                        clusterd_done *done, void *context);
/* `key`: JSON, NULL: null. `value`: JSON, NULL: null. A signal that comes before it is waited for is kept. */
int clusterd_workflow_signal(struct clusterd_client *client, uint64_t instance, const char *name, const char *key, const char *value,
                             int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_workflow_signal_begin(struct clusterd_client *client, uint64_t instance, const char *name,
                                                        const char *key, const char *value, int timeout_ms, clusterd_done *done,
                                                        void *context);

/* --- the catalog, the cluster -------------------------------------------------------------------------------------- */

/* One reading SQL statement, with values for its ?1, ?2, … as text. The reply has the names of the columns, and the rows as JSON. */
int clusterd_query(struct clusterd_client *client, const char *sql, const char *const *parameters, size_t parameter_count,
                   struct clusterd_reply **ret_reply, int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_query_begin(struct clusterd_client *client, const char *sql, const char *const *parameters,
                                              size_t parameter_count, int timeout_ms, clusterd_done *done, void *context);
/* Tables as they are: "executor", "job", "allocation", "topic", "publication", "subscription", "member"; a row is a JSON object, whose
 * `id` is what names it. The whole table as a JSON array (for clusterd_free). CLUSTERD_ERR_NOT_FOUND: there is no such table. */
int clusterd_catalog_list(struct clusterd_client *client, const char *table, char **ret_json, int timeout_ms,
                          struct clusterd_error *error);

struct clusterd_catalog_change {
	uint64_t index;    /* in the log: of the change; of the state: as of which it is */
	const char *table;
	uint64_t id;
	const char *row;   /* JSON, `row_size` bytes. NULL: it is gone */
	size_t row_size;
	bool state;        /* told because it is there, not because it has changed */
};
/* Tells tables as they are, and each change from then on, also over the loss of nodes; of changes of one row that come together the last
 * one only. */
struct clusterd_catalog_watch;
/* `change`; `error` NULL. Or the end of the watch: `change` NULL; destroy it then, there or later. CLUSTERD_ERR_COMPACTED: what has changed
 * since the index is not known any more: begin anew, with the state. */
typedef void clusterd_catalog_told(void *context, const struct clusterd_catalog_change *change, const struct clusterd_error *error);
struct clusterd_catalog_watch_options {
	size_t size;
	const char *const *tables; /* up to 16 */
	size_t table_count;        /* 0: all there are */
	uint64_t from;             /* changes from this index on; 0: the state first */
	clusterd_catalog_told *told;
	void *context;
};
#define CLUSTERD_CATALOG_WATCH_OPTIONS {sizeof(struct clusterd_catalog_watch_options), NULL, 0, 0, NULL, NULL}
/* Begins at once, calls `told` from dispatch. */
struct clusterd_catalog_watch *clusterd_catalog_watch_create(struct clusterd_client *client,
                                                             const struct clusterd_catalog_watch_options *options);
void clusterd_catalog_watch_destroy(struct clusterd_catalog_watch *watch);
/* From which another one would go on: all that was told is before it. 0: the state is not told as a whole so far. */
uint64_t clusterd_catalog_watch_index(const struct clusterd_catalog_watch *watch);

/* The members as the asked node sees them: a JSON array (for clusterd_free). */
int clusterd_members(struct clusterd_client *client, char **ret_json, int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_members_begin(struct clusterd_client *client, int timeout_ms, clusterd_done *done, void *context);
/* What the asked node says about itself, who leads among it: a JSON object (for clusterd_free). */
int clusterd_status(struct clusterd_client *client, char **ret_json, int timeout_ms, struct clusterd_error *error);
struct clusterd_request *clusterd_status_begin(struct clusterd_client *client, int timeout_ms, clusterd_done *done, void *context);

/* --- workers ------------------------------------------------------------------------------------------------------- */

/* Serves processes: calls come by a callback, and are answered then or later, in any order. It has a connection of its own. When its
 * node is lost, calls go on; another node is told of them, and results are kept until a node says that they are committed. */
struct clusterd_worker;
struct clusterd_call;

struct clusterd_offer {
	const char *process;
	const char *signature; /* as in "(n: Number) -> Text", so that no other version is served; NULL: whatever is registered */
};

/* A call to be done. It is valid until it is answered, or abandoned. */
typedef void clusterd_called(void *context, struct clusterd_call *call);
/* Its result is no longer wanted; it is gone when this returns, without an answer. */
typedef void clusterd_abandoned(void *context, struct clusterd_call *call);
/* The connection: `error` NULL, it serves; else it was lost or cannot be made, and is tried again. */
typedef void clusterd_worker_told(void *context, const struct clusterd_error *error);

struct clusterd_worker_options {
	size_t size;
	const struct clusterd_offer *offers;
	size_t offer_count;
	uint32_t credit;               /* calls at once; 1 to 5000 */
	clusterd_called *called;
	clusterd_abandoned *abandoned; /* may be NULL */
	clusterd_worker_told *told;    /* may be NULL */
	void *context;
};
#define CLUSTERD_WORKER_OPTIONS {sizeof(struct clusterd_worker_options), NULL, 0, 0, NULL, NULL, NULL, NULL}

/* Offers at once; `called` comes from dispatch. CLUSTERD_ERR_INVALID, CLUSTERD_ERR_LIMIT. */
int clusterd_worker_create(struct clusterd_client *client, const struct clusterd_worker_options *options,
                           struct clusterd_worker **ret_worker, struct clusterd_error *error);
/* Calls at once from now on; 0: no more calls, those that it has go on. */
void clusterd_worker_set_credit(struct clusterd_worker *worker, uint32_t credit);
size_t clusterd_worker_calls(const struct clusterd_worker *worker);   /* not answered so far */
size_t clusterd_worker_results(const struct clusterd_worker *worker); /* answered, but not taken so far */
/* No more calls; blocks until all that it has are answered (by callbacks) and taken. CLUSTERD_ERR_TIMEOUT. */
int clusterd_worker_drain(struct clusterd_worker *worker, int timeout_ms, struct clusterd_error *error);
/* What was not answered has failed, which the node is told if it can be right away; others may try again. */
void clusterd_worker_destroy(struct clusterd_worker *worker);

const char *clusterd_call_process(const struct clusterd_call *call);
/* An object keyed by parameter, JSON; a NUL that does not count stands behind it. */
const char *clusterd_call_arguments(const struct clusterd_call *call, size_t *ret_size);
uint64_t clusterd_call_instance(const struct clusterd_call *call); /* of the workflow */
uint32_t clusterd_call_reference(const struct clusterd_call *call); /* which call of it: the same for each attempt */
uint64_t clusterd_call_attempt(const struct clusterd_call *call);
uint64_t clusterd_call_timeout_ms(const struct clusterd_call *call);   /* of the attempt */
uint64_t clusterd_call_heartbeat_ms(const struct clusterd_call *call); /* it counts as dead without one for so long; 0: none is due */
/* The caller's own. */
void clusterd_call_set_data(struct clusterd_call *call, void *data);
void *clusterd_call_data(const struct clusterd_call *call);
/* It is alive. */
void clusterd_call_heartbeat(struct clusterd_call *call);
/* What else is to be told with the answer, and stands in the history: a JSON object. */
void clusterd_call_set_metadata(struct clusterd_call *call, const char *json, size_t size);
/* The answer; `call` is gone after it. `output`: JSON of the process's type; `size` bytes. */
void clusterd_call_complete(struct clusterd_call *call, const char *output, size_t size);
/* It failed. `final`: another attempt is of no use. */
void clusterd_call_fail(struct clusterd_call *call, const char *reason, bool final);

#ifdef __cplusplus
}
#endif

#endif
