#include "sim/sim.h"

#include "base/memory.h"
#include "sim/linear.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Clients of keys and locks. Each asks one thing after the other, asks again until it is answered, and sometimes gives up without knowing
 * what came of it. What they saw must have an order in which one copy of the data gives the same answers (sim/linear.h), and nobody gets a
 * lock while another one may believe to hold it. Keys have other names every 30 s, so that what is not known of some does not concern
 * the later ones.
 *
 * Whenever a leader is cut off or stands still, two of them go about finding it out: one stays with it and reads, the other one writes what
 * it reads, elsewhere. Who leads no more, and answers from what it has, is caught by that. */

#define KEY_CLIENTS 5
#define READER 2             /* who stays with a leader that may be none any more: as an index */
#define WRITER 4             /* and who shuns it */
#define TEMPTED_READ_MS 120  /* a read of it that is not answered by then is given up, for a newer one */
#define TEMPTED_PAUSE_MS 250
#define TEMPTED_FOR_MS 1500  /* beyond what happens to it */
#define KEYS 3
#define LOCKS 2
#define AGE_MS 30000
#define GIVE_UP_MS 20000
#define AGAIN_MS 150         /* a request that was refused is made again after so long */

enum slot { SLOT_OPERATION, SLOT_KEEP, SLOT_OPEN, SLOT_COUNT };

enum what { NOTHING, GET, LIST, PUT, CAS, TRANSACT, DELETE, GRANT, LOCK, UNLOCK, REVOKE, KEEP, OPEN };
static const char *const words[] = {"",       "get",   "list", "put",    "cas",    "transact", "delete",
                                    "grant lease", "lock", "unlock", "revoke lease", "keep lease", "open session"};

struct key_request {
	enum what what;      /* NOTHING: the slot is free */
	uint32_t stream;     /* 0: to be sent */
	uint64_t sequence;   /* 0: it changes nothing */
	msec invoked;        /* first */
	msec sent;
	msec again_at;
	msec given_up_at;    /* MSEC_NEVER: it is not */
	Clusterd__Wire__Consistency consistency;
	char key[24];
	char value[24];
	uint64_t expected;
	size_t records[KEYS]; /* in the history */
	uint32_t record_count;
};

struct key_client {
	uint64_t number;
	struct server *server;
	uint64_t connection; /* 0: none */
	uint64_t session;
	uint64_t next_sequence;
	msec patience;
	uint64_t seen[KEYS]; /* versions that it knows */
	uint64_t written;    /* values so far, for new ones */
	struct key_request requests[SLOT_COUNT];
	/* The lease, and the lock that hangs on it. */
	uint64_t lease;
	msec ttl;
	msec kept;           /* when it was last asked for, or kept alive */
	char lock[24];       /* that is held or may be; "": none */
	uint64_t token;      /* 0: it may be held, and is not known to be */
	msec release_at;
};

struct sim_keys {
	struct linear_history *history;
	struct key_client clients[KEY_CLIENTS];
	uint32_t count;
	uint32_t next_stream;
	msec pause;          /* between two operations, at most */
	struct server *tempted; /* that led when it was cut off */
	msec tempted_until;
	/* Of each lock the one that believes to hold it. */
	struct {
		char lock[24];
		const struct key_client *client;
		uint64_t token;
		msec until;
	} holders[LOCKS];
};

static bool tempts(const struct sim *sim, const struct key_client *client, size_t as)
{
	const struct sim_keys *keyed = sim->keyed;
	return sim->now < keyed->tempted_until && client == &keyed->clients[as] && as < keyed->count;
}

static bool reaches(const struct key_client *client)
{
	return client->server != NULL && server_is_up(client->server);
}

static msec now_of(const struct sim *sim)
{
	return sim->now;
}

/* --- what is written down ------------------------------------------------------------------------------------------ */

static void record(struct sim *sim, struct key_client *client, struct key_request *request, enum linear_kind kind,
                   const char *key)
{
	struct linear_operation operation = {
		.client = client->number,
		.invoked = request->invoked,
		.returned = LINEAR_NEVER,
		.kind = kind,
		.key = key,
		.value = kind == LINEAR_PUT || kind == LINEAR_CAS ? request->value : NULL,
		.expected = request->expected,
	};
	request->records[request->record_count++] = linear_add(sim->keyed->history, &operation);
}

static void returned(struct sim *sim, const struct key_request *request, enum linear_result result, const char *value,
                     uint64_t version)
{
	linear_return(sim->keyed->history, request->records[0], now_of(sim), result, value, version);
}

/* Reads that are not answered have no effect; what becomes of the others is not known. */
static void forget_reads(struct sim *sim, const struct key_request *request)
{
	for (uint32_t i = 0; i < request->record_count && (request->what == GET || request->what == LIST); i++)
		linear_forget(sim->keyed->history, request->records[i]);
}

/* --- locks --------------------------------------------------------------------------------------------------------- */

/* Until then nobody else gets what hangs on the lease: clocks gain or lose at most a hundredth. */
static msec lease_end(const struct key_client *client)
{
	return client->kept + client->ttl - client->ttl / 20;
}

static size_t number_of_lock(const char *lock)
{
	return (size_t)(lock[1] - '0');
}

static void note_held(struct sim *sim, const struct key_client *client, const char *lock, uint64_t token, msec until)
{
	size_t number = number_of_lock(lock);
	const struct key_client *other = sim->keyed->holders[number].client;
	if (other != NULL && other != client && strcmp(sim->keyed->holders[number].lock, lock) == 0 &&
	    sim->keyed->holders[number].until > sim->now && until > sim->now)
		sim_fail(sim, "keys %" PRIu64 " gets lock %s with token %" PRIu64 ", which keys %" PRIu64 " holds with token %" PRIu64
		         " until %lld ms", client->number, lock, token, other->number, sim->keyed->holders[number].token,
		         (long long)sim->keyed->holders[number].until);
	snprintf(sim->keyed->holders[number].lock, sizeof sim->keyed->holders[number].lock, "%s", lock);
	sim->keyed->holders[number].client = client;
	sim->keyed->holders[number].token = token;
	sim->keyed->holders[number].until = until;
}

static void note_not_held(struct sim *sim, const struct key_client *client)
{
	for (size_t i = 0; i < LOCKS; i++) {
		if (sim->keyed->holders[i].client == client)
			sim->keyed->holders[i].client = NULL;
	}
}

/* The lock, if there is one, may go to others once its lease has ended, which nobody keeps alive any more. */
static void let_go(struct sim *sim, struct key_client *client)
{
	if (client->lock[0] != '\0') {
		struct linear_operation operation = {
			.client = client->number,
			.invoked = lease_end(client),
			.returned = LINEAR_NEVER,
			.kind = LINEAR_EXPIRE,
			.key = client->lock,
			.expected = client->token,
		};
		linear_add(sim->keyed->history, &operation);
		sim_trace(sim, "keys %" PRIu64 " lets go of %s (token %" PRIu64 ")", client->number, client->lock, client->token);
	}
	note_not_held(sim, client);
	client->lease = 0;
	client->lock[0] = '\0';
	client->token = 0;
	client->requests[SLOT_KEEP] = (struct key_request){.what = NOTHING};
}

/* --- sending ------------------------------------------------------------------------------------------------------- */

struct bodies {
	Clusterd__Wire__OpenSession open;
	Clusterd__Wire__Put put;
	Clusterd__Wire__Get get;
	Clusterd__Wire__DeleteKey delete_key;
	Clusterd__Wire__ListKeys list;
	Clusterd__Wire__Transact transact;
	Clusterd__Wire__Comparison comparison, *comparisons[1];
	Clusterd__Wire__Write write, *writes[1];
	Clusterd__Wire__GrantLease grant;
	Clusterd__Wire__KeepLease keep;
	Clusterd__Wire__RevokeLease revoke;
};

static void fill_change(const struct key_client *client, struct key_request *request, struct bodies *bodies,
                        Clusterd__Wire__Request *message)
{
	switch (request->what) {
	case PUT:
	case CAS:
	case LOCK:
		clusterd__wire__put__init(message->put = &bodies->put);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_PUT;
		bodies->put.key = request->key;
		bodies->put.conditional = request->what != PUT;
		bodies->put.version = request->expected;
		bodies->put.lease = request->what == LOCK ? client->lease : 0;
		break;
	case TRANSACT:
		clusterd__wire__transact__init(message->transact = &bodies->transact);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_TRANSACT;
		clusterd__wire__comparison__init(bodies->comparisons[0] = &bodies->comparison);
		clusterd__wire__write__init(bodies->writes[0] = &bodies->write);
		bodies->comparison.key = bodies->write.key = request->key;
		bodies->comparison.version = request->expected;
		bodies->write.value = (ProtobufCBinaryData){strlen(request->value), (uint8_t *)request->value};
		bodies->transact.comparisons = bodies->comparisons;
		bodies->transact.writes = bodies->writes;
		bodies->transact.n_comparisons = bodies->transact.n_writes = 1;
		break;
	case DELETE:
	case UNLOCK:
		clusterd__wire__delete_key__init(message->delete_key = &bodies->delete_key);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_DELETE_KEY;
		bodies->delete_key.key = request->key;
		bodies->delete_key.conditional = request->expected != 0;
		bodies->delete_key.version = request->expected;
		break;
	case GRANT:
		clusterd__wire__grant_lease__init(message->grant_lease = &bodies->grant);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_GRANT_LEASE;
		bodies->grant.ttl_ms = (uint64_t)client->ttl;
		break;
	default:
		clusterd__wire__revoke_lease__init(message->revoke_lease = &bodies->revoke);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_REVOKE_LEASE;
		bodies->revoke.lease = client->lease;
		break;
	}
}

static void fill(const struct key_client *client, struct key_request *request, struct bodies *bodies,
                 Clusterd__Wire__Request *message)
{
	switch (request->what) {
	case OPEN:
		clusterd__wire__open_session__init(message->open_session = &bodies->open);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION;
		break;
	case GET:
		clusterd__wire__get__init(message->get = &bodies->get);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_GET;
		bodies->get.key = request->key;
		break;
	case LIST:
		clusterd__wire__list_keys__init(message->list_keys = &bodies->list);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_LIST_KEYS;
		bodies->list.prefix = request->key;
		break;
	case KEEP:
		clusterd__wire__keep_lease__init(message->keep_lease = &bodies->keep);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_KEEP_LEASE;
		bodies->keep.lease = client->lease;
		break;
	default:
		fill_change(client, request, bodies, message);
		break;
	}
}

static void hand_over(const struct key_client *client, struct key_request *request)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	struct bodies bodies;
	struct slice payload = SLICE("");
	fill(client, request, &bodies, &message);
	if (request->what == PUT || request->what == CAS || request->what == LOCK)
		payload = slice_of(request->value);
	message.session = request->what == OPEN ? 0 : client->session;
	message.sequence = request->sequence;
	message.answered_below = request->sequence;
	message.consistency = request->consistency;
	client->server->touched = true;
	node_request(client->server->node, client->connection, request->stream, &message, payload);
}

/* What was sent to a process while it did nothing is the first thing that it finds. */
static void find(void *subject, uint64_t which, uint64_t stream)
{
	struct server *server = subject;
	struct key_client *client = &server->sim->keyed->clients[which];
	for (int slot = 0; slot < SLOT_COUNT && client->server == server; slot++) {
		if (client->requests[slot].what != NOTHING && client->requests[slot].stream == stream)
			hand_over(client, &client->requests[slot]);
	}
}

static void send(struct sim *sim, struct key_client *client, struct key_request *request)
{
	request->stream = ++sim->keyed->next_stream;
	request->sent = sim->now;
	sim_trace(sim, "keys %" PRIu64 ": %s %s %s (%" PRIu64 "), sequence %" PRIu64 " of session %" PRIu64, client->number,
	          words[request->what], request->key, request->value, request->expected, request->sequence, client->session);
	if (server_answers(client->server))
		hand_over(client, request);
	else
		server_after(client->server, 0, find, (uint64_t)(client - sim->keyed->clients), request->stream);
}

/* --- what a client wants next -------------------------------------------------------------------------------------- */

static struct key_request *begin(struct sim *sim, struct key_client *client, enum slot slot, enum what what)
{
	struct key_request *request = &client->requests[slot];
	bool changes = what != GET && what != LIST && what != KEEP && what != OPEN;
	*request = (struct key_request){.what = what, .invoked = sim->now, .given_up_at = MSEC_NEVER};
	if (changes)
		request->sequence = client->next_sequence++;
	if (slot == SLOT_OPERATION && sim_faulty(sim, SIM_CLIENTS) && sim_chance(sim, 10))
		request->given_up_at = sim->now + 1 + (msec)sim_below(sim, GIVE_UP_MS);
	return request;
}

static void name_key(const struct sim *sim, char *name, char kind, uint64_t number)
{
	snprintf(name, 24, "%c%" PRIu64 "-%lld", kind, number, (long long)(sim->now / AGE_MS));
}

static void want_key(struct sim *sim, struct key_client *client)
{
	static const enum what choices[] = {GET, GET, GET, GET, GET, GET, LIST, PUT, PUT, CAS, CAS, TRANSACT, DELETE};
	bool reads = tempts(sim, client, READER);
	bool writes = tempts(sim, client, WRITER);
	uint64_t which = reads || writes ? 0 : sim_below(sim, KEYS);
	enum what what = reads ? GET : writes ? PUT : choices[sim_below(sim, sizeof choices / sizeof choices[0])];
	struct key_request *request = begin(sim, client, SLOT_OPERATION, what);
	name_key(sim, request->key, 'k', which);
	snprintf(request->value, sizeof request->value, "%" PRIu64 ".%" PRIu64, client->number, client->written);
	switch (request->what) {
	case GET:
		request->consistency = sim_chance(sim, 50) ? CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LEADER
		                                           : CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LINEARIZABLE;
		record(sim, client, request, LINEAR_GET, request->key);
		break;
	case LIST:
		for (uint64_t i = 0; i < KEYS; i++) {
			name_key(sim, request->key, 'k', i);
			record(sim, client, request, LINEAR_GET, request->key);
		}
		snprintf(request->key, sizeof request->key, "k");
		break;
	case PUT:
		client->written++;
		record(sim, client, request, LINEAR_PUT, request->key);
		break;
	case CAS:
	case TRANSACT:
		client->written++;
		request->expected = sim_chance(sim, 10) ? 0 : client->seen[which];
		record(sim, client, request, LINEAR_CAS, request->key);
		break;
	default:
		request->expected = sim_chance(sim, 50) ? 0 : client->seen[which];
		record(sim, client, request, LINEAR_DELETE, request->key);
		break;
	}
}

static void want_lock(struct sim *sim, struct key_client *client)
{
	if (client->lease == 0) {
		client->ttl = 1000 + (msec)sim_below(sim, 4000);
		begin(sim, client, SLOT_OPERATION, GRANT);
	} else if (client->lock[0] == '\0') {
		struct key_request *request = begin(sim, client, SLOT_OPERATION, LOCK);
		name_key(sim, request->key, 'l', sim_below(sim, LOCKS));
		snprintf(request->value, sizeof request->value, "%" PRIu64, client->number);
		record(sim, client, request, LINEAR_LOCK, request->key);
	} else {
		bool revokes = sim_chance(sim, 30);
		struct key_request *request = begin(sim, client, SLOT_OPERATION, revokes ? REVOKE : UNLOCK);
		snprintf(request->key, sizeof request->key, "%s", client->lock);
		request->expected = client->token;
		note_not_held(sim, client);
		record(sim, client, request, LINEAR_UNLOCK, request->key);
	}
}

/* Half of the clients work with keys alone. */
static void want(struct sim *sim, struct key_client *client)
{
	bool locks = client->number % 2 == 0;
	if (client->lock[0] != '\0' ? sim->now >= client->release_at : locks && sim_chance(sim, 50))
		want_lock(sim, client);
	else
		want_key(sim, client);
}

static void keep_lease(struct sim *sim, struct key_client *client)
{
	if (client->lease == 0 || client->requests[SLOT_KEEP].what != NOTHING)
		return;
	if (sim->now >= lease_end(client)) {
		if (client->requests[SLOT_OPERATION].what < GRANT)
			let_go(sim, client);
	} else if (sim->now - client->kept > client->ttl / 3 && client->requests[SLOT_OPERATION].what != REVOKE) {
		begin(sim, client, SLOT_KEEP, KEEP);
	}
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static void operation_over(struct sim *sim, struct key_request *request)
{
	request->what = NOTHING;
	sim->operations++;
}

/* What came of it will never be known. */
static void give_up(struct sim *sim, struct key_client *client)
{
	struct key_request *request = &client->requests[SLOT_OPERATION];
	sim_trace(sim, "keys %" PRIu64 " gives up: %s %s", client->number, words[request->what], request->key);
	forget_reads(sim, request);
	if (request->what == LOCK)
		snprintf(client->lock, sizeof client->lock, "%s", request->key);
	/* A lease that may be revoked at any time from now on proves nothing more; one that is not known is not needed. */
	if (request->what == LOCK || request->what == UNLOCK || request->what == REVOKE)
		let_go(sim, client);
	request->what = NOTHING;
}

static void read_key(struct key_client *client, const struct key_request *request, uint64_t version)
{
	client->seen[request->key[1] - '0'] = version;
}

static const Clusterd__Wire__Key *find_key(const Clusterd__Wire__Keys *keys, const char *name, struct slice payload,
                                           char *ret_value, size_t size)
{
	size_t offset = 0;
	for (size_t i = 0; i < keys->n_keys; i++) {
		const Clusterd__Wire__Key *key = keys->keys[i];
		if (strcmp(key->key, name) == 0) {
			snprintf(ret_value, size, "%.*s", (int)key->size, payload.data + offset);
			return key;
		}
		offset += key->size;
	}
	return NULL;
}

static void take_read(struct sim *sim, struct key_client *client, struct key_request *request, int code,
                      const Clusterd__Wire__Response *response, struct slice payload)
{
	char value[24];
	if (request->what == GET) {
		if (code == ERR_NOT_FOUND) {
			returned(sim, request, LINEAR_NONE, NULL, 0);
			read_key(client, request, 0);
		} else {
			const Clusterd__Wire__Key *key = find_key(response->keys, request->key, payload, value, sizeof value);
			if (key == NULL)
				sim_fail(sim, "key %s was asked for, and another came", request->key);
			returned(sim, request, LINEAR_OK, value, key->version);
			read_key(client, request, key->version);
		}
		return;
	}
	if (response->keys->truncated)
		sim_fail(sim, "a page of %zu keys is not all of them", response->keys->n_keys);
	for (uint32_t i = 0; i < KEYS; i++) {
		char name[24];
		snprintf(name, sizeof name, "k%u-%lld", i, (long long)(request->invoked / AGE_MS));
		const Clusterd__Wire__Key *key = find_key(response->keys, name, payload, value, sizeof value);
		linear_return(sim->keyed->history, request->records[i], now_of(sim), key != NULL ? LINEAR_OK : LINEAR_NONE,
		              key != NULL ? value : NULL, key != NULL ? key->version : 0);
	}
}

static void take_lock(struct sim *sim, struct key_client *client, struct key_request *request, int code, uint64_t version)
{
	if (code == ERR_CONFLICT) {
		returned(sim, request, LINEAR_CONFLICT, NULL, 0);
	} else if (code == ERR_NOT_FOUND) { /* the lease has ended */
		linear_forget(sim->keyed->history, request->records[0]);
		if (sim->now < lease_end(client))
			sim_fail(sim, "lease %" PRIu64 " of keys %" PRIu64 " has ended, and should live until %lld ms", client->lease,
			         client->number, (long long)lease_end(client));
		let_go(sim, client);
	} else {
		returned(sim, request, LINEAR_OK, NULL, version);
		snprintf(client->lock, sizeof client->lock, "%s", request->key);
		client->token = version;
		client->release_at = sim->now + (msec)sim_below(sim, 4000);
		note_held(sim, client, client->lock, version, lease_end(client));
	}
}

static void take_unlock(struct sim *sim, struct key_client *client, struct key_request *request, int code)
{
	bool there = code == 0;
	if (request->what == REVOKE) /* the lease ended; whether it still had the key is not said */
		returned(sim, request, LINEAR_DONE, NULL, 0);
	else
		returned(sim, request, there ? LINEAR_OK : LINEAR_NONE, NULL, 0);
	if (!there && sim->now < lease_end(client))
		sim_fail(sim, "keys %" PRIu64 " has lost lock %s, which is its until %lld ms", client->number, client->lock,
		         (long long)lease_end(client));
	/* It may be gone since its lease has ended: that came before. */
	if (sim->now >= lease_end(client)) {
		let_go(sim, client);
		return;
	}
	client->lock[0] = '\0';
	client->token = 0;
	if (request->what == REVOKE)
		let_go(sim, client);
}

static void take_change(struct sim *sim, struct key_client *client, struct key_request *request, int code,
                        const Clusterd__Wire__Response *response)
{
	uint64_t version = code == 0 && response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_WRITTEN ? response->written->version : 0;
	switch (request->what) {
	case PUT:
	case CAS:
		returned(sim, request, code == 0 ? LINEAR_OK : LINEAR_CONFLICT, NULL, version);
		read_key(client, request, version);
		break;
	case TRANSACT:
		version = response->written->held ? version : 0;
		returned(sim, request, version != 0 ? LINEAR_OK : LINEAR_CONFLICT, NULL, version);
		read_key(client, request, version);
		break;
	case DELETE:
		returned(sim, request, code == 0 ? LINEAR_OK : request->expected != 0 ? LINEAR_CONFLICT : LINEAR_NONE, NULL, 0);
		break;
	case GRANT:
		client->lease = response->lease->id;
		client->kept = request->invoked;
		break;
	case LOCK:
		take_lock(sim, client, request, code, version);
		break;
	default:
		take_unlock(sim, client, request, code);
		break;
	}
}

static void take_kept(struct sim *sim, struct key_client *client, const struct key_request *request, int code)
{
	bool revokes = client->requests[SLOT_OPERATION].what == REVOKE;
	if (code == ERR_NOT_FOUND) {
		if (!revokes && sim->now < lease_end(client))
			sim_fail(sim, "lease %" PRIu64 " of keys %" PRIu64 " has ended, and should live until %lld ms", client->lease,
			         client->number, (long long)lease_end(client));
		return;
	}
	client->kept = request->sent;
	if (client->token != 0 && !revokes && client->requests[SLOT_OPERATION].what != UNLOCK)
		note_held(sim, client, client->lock, client->token, lease_end(client));
}

static bool is_expected(const struct key_request *request, int code)
{
	switch (code) {
	case 0:
		return true;
	case ERR_CONFLICT:
		return request->what == CAS || request->what == LOCK || request->what == UNLOCK || request->what == DELETE;
	case ERR_NOT_FOUND:
		return request->what == GET || request->what == LOCK || request->what == UNLOCK || request->what == REVOKE ||
		       request->what == DELETE || request->what == KEEP;
	default:
		return false;
	}
}

/* The session is gone: what was sent may have been carried out before. */
static void session_lost(struct sim *sim, struct key_client *client)
{
	sim_trace(sim, "keys %" PRIu64 ": its session %" PRIu64 " has expired", client->number, client->session);
	client->session = 0;
	client->next_sequence = 1;
	if (client->requests[SLOT_OPERATION].what != NOTHING)
		give_up(sim, client);
}

static void take(struct sim *sim, struct key_client *client, enum slot slot, const Clusterd__Wire__Response *response,
                 struct slice payload)
{
	struct key_request *request = &client->requests[slot];
	int code = response->error != NULL ? response->error->code : 0;
	request->stream = 0;
	if (code == ERR_EXPIRED) {
		session_lost(sim, client);
		return;
	}
	if (!is_expected(request, code)) {
		bool disk = (code == ERR_IO || code == ERR_NO_SPACE) && (client->server->may_break || client->server->cut_in_catalog);
		if (code != ERR_BUSY && code != ERR_CLOSED && code != ERR_NOT_LEADER && code != ERR_TIMEOUT && !disk)
			sim_fail(sim, "%s %s is refused: %s", words[request->what], request->key, response->error->text);
		request->again_at = sim->now + (msec)sim_below(sim, AGAIN_MS);
		return;
	}
	sim_trace(sim, "keys %" PRIu64 ": %s %s is answered (%d)", client->number, words[request->what], request->key, code);
	if (request->what == OPEN) {
		client->session = response->opened->session;
		request->what = NOTHING;
	} else if (request->what == KEEP) {
		take_kept(sim, client, request, code);
		request->what = NOTHING;
	} else {
		if (request->what == GET || request->what == LIST)
			take_read(sim, client, request, code, response, payload);
		else
			take_change(sim, client, request, code, response);
		operation_over(sim, request);
	}
}

static struct key_client *client_of(struct sim *sim, uint64_t connection)
{
	for (uint32_t i = 0; i < sim->keyed->count; i++) {
		if (sim->keyed->clients[i].connection == connection)
			return &sim->keyed->clients[i];
	}
	return NULL;
}

bool keys_response(struct server *server, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                   struct slice payload)
{
	struct sim *sim = server->sim;
	struct key_client *client = client_of(sim, connection);
	if (client == NULL)
		return false;
	for (int slot = 0; slot < SLOT_COUNT; slot++) {
		if (client->requests[slot].what != NOTHING && client->requests[slot].stream == stream)
			take(sim, client, (enum slot)slot, response, payload);
	}
	return true;
}

/* --- coming, asking, leaving --------------------------------------------------------------------------------------- */

static void forget_connection(struct key_client *client)
{
	client->connection = 0;
	client->server = NULL;
	for (int slot = 0; slot < SLOT_COUNT; slot++)
		client->requests[slot].stream = 0;
}

static void leave(struct sim *sim, struct key_client *client)
{
	struct server *server = client->server;
	uint64_t connection = client->connection;
	sim_trace(sim, "keys %" PRIu64 " leaves %s", client->number, server->name);
	forget_connection(client);
	if (server_answers(server)) {
		server->touched = true;
		node_connection_closed(server->node, connection);
	} else if (server_is_up(server)) {
		server_closes_later(server, connection);
	}
}

/* Who is to be where another one is goes there, as soon as it waits for nothing that may have been done. */
static bool is_elsewhere(const struct sim *sim, const struct key_client *client)
{
	const struct key_request *request = &client->requests[SLOT_OPERATION];
	if (tempts(sim, client, READER))
		return client->server != sim->keyed->tempted && request->what == NOTHING;
	return tempts(sim, client, WRITER) && client->server == sim->keyed->tempted;
}

/* A read that waits at a server that stands still is too old to find out anything. */
static void read_again(struct sim *sim, struct key_client *client)
{
	struct key_request *request = &client->requests[SLOT_OPERATION];
	if ((request->what != GET && request->what != LIST) || sim->now - request->invoked <= TEMPTED_READ_MS)
		return;
	forget_reads(sim, request);
	request->what = NOTHING;
}

static struct server *server_for(struct sim *sim, const struct key_client *client)
{
	struct server *tempted = sim->keyed->tempted;
	struct server *server = machines_some(sim);
	if (tempts(sim, client, READER) && server_stays(tempted))
		return tempted;
	for (int i = 0; i < 8 && tempts(sim, client, WRITER) && server == tempted; i++)
		server = machines_some(sim);
	return server;
}

static bool impatient(const struct sim *sim, const struct key_client *client)
{
	if (tempts(sim, client, READER) && client->server == sim->keyed->tempted)
		return false;
	for (int slot = 0; slot < SLOT_COUNT; slot++) {
		const struct key_request *request = &client->requests[slot];
		if (request->what != NOTHING && request->stream != 0 && sim->now - request->sent > client->patience)
			return true;
	}
	return false;
}

static void send_waiting(struct sim *sim, struct key_client *client)
{
	for (int slot = SLOT_COUNT - 1; slot >= 0; slot--) {
		struct key_request *request = &client->requests[slot];
		bool due = request->what != NOTHING && request->stream == 0 && sim->now >= request->again_at;
		if (due && reaches(client) && (slot == SLOT_OPEN || client->session != 0))
			send(sim, client, request);
	}
}

static void act_once(void *subject, uint64_t which, uint64_t unused)
{
	struct sim *sim = subject;
	struct key_client *client = &sim->keyed->clients[which];
	struct key_request *request = &client->requests[SLOT_OPERATION];
	bool reads = tempts(sim, client, READER);
	(void)unused;
	if (request->what != NOTHING && sim->now >= request->given_up_at)
		give_up(sim, client);
	if (reads)
		read_again(sim, client);
	if (client->server != NULL && is_elsewhere(sim, client)) {
		leave(sim, client);
		return;
	}
	if (client->server == NULL) {
		struct server *server = server_for(sim, client);
		if (!server_is_up(server)) /* one that does nothing is connected to, all the same */
			return;
		client->server = server;
		client->connection = sim->next_connection++;
	}
	if (impatient(sim, client) || (sim_faulty(sim, SIM_CLIENTS) && sim_chance(sim, 2))) {
		leave(sim, client);
		return;
	}
	if (!reaches(client))
		return;
	if (client->session == 0 && client->requests[SLOT_OPEN].what == NOTHING)
		begin(sim, client, SLOT_OPEN, OPEN);
	if (client->session != 0 && request->what == NOTHING && !sim->calm)
		want(sim, client);
	keep_lease(sim, client);
	send_waiting(sim, client);
}

static void act(void *subject, uint64_t which, uint64_t unused)
{
	struct sim *sim = subject;
	const struct key_client *client = &sim->keyed->clients[which];
	bool busy = client->requests[SLOT_OPERATION].what != NOTHING || tempts(sim, client, READER);
	msec pause = busy ? 100 : tempts(sim, client, WRITER) ? TEMPTED_PAUSE_MS : sim->keyed->pause;
	sim_after(sim, 5 + (msec)sim_below(sim, (uint64_t)pause), act, which, 0);
	act_once(subject, which, unused);
}

void keys_tempt(struct server *leader, msec time)
{
	struct sim *sim = leader->sim;
	sim->keyed->tempted = leader;
	sim->keyed->tempted_until = sim->now + time + TEMPTED_FOR_MS;
	for (uint64_t i = 0; i < sim->keyed->count; i++) {
		if (i == READER || i == WRITER)
			sim_after(sim, 5 + (msec)sim_below(sim, 50), act_once, i, 0);
	}
}

void keys_down(struct server *server)
{
	struct sim *sim = server->sim;
	for (uint32_t i = 0; i < sim->keyed->count; i++) {
		if (sim->keyed->clients[i].server == server)
			forget_connection(&sim->keyed->clients[i]);
	}
}

bool keys_done(const struct sim *sim)
{
	for (uint32_t i = 0; i < sim->keyed->count; i++) {
		if (sim->keyed->clients[i].requests[SLOT_OPERATION].what != NOTHING)
			return false;
	}
	return true;
}

/* --- the whole ----------------------------------------------------------------------------------------------------- */

void keys_init(struct sim *sim)
{
	struct sim_keys *keyed = sim->keyed = mem_zero(sizeof *sim->keyed);
	keyed->history = linear_create();
	keyed->count = sim->founder_count > 1 ? KEY_CLIENTS : 2;
	keyed->pause = (msec[]){1000, 2000, 3000}[sim_below(sim, 3)];
	for (uint32_t i = 0; i < keyed->count; i++) {
		struct key_client *client = &keyed->clients[i];
		client->number = i + 1;
		client->next_sequence = 1;
		client->patience = 300 + (msec)sim_below(sim, 3000);
		sim_after(sim, (msec)sim_below(sim, 200), act, i, 0);
	}
}

void keys_check(struct sim *sim)
{
	struct buffer explanation = BUFFER_EMPTY;
	for (uint32_t i = 0; i < sim->keyed->count; i++)
		let_go(sim, &sim->keyed->clients[i]);
	enum linear_verdict verdict = linear_check(sim->keyed->history, 0, &explanation);
	if (verdict == LINEAR_BROKEN)
		sim_fail(sim, "what clients saw of keys is not linearizable:\n%.*s", SLICE_ARGS(buffer_slice(&explanation)));
	if (verdict == LINEAR_UNDECIDED)
		sim_fail(sim, "whether keys are linearizable cannot be decided: too little is known of them");
	buffer_finish(&explanation);
}

void keys_finish(struct sim *sim)
{
	linear_destroy(sim->keyed->history);
	mem_free(sim->keyed);
}
