#include "sim/sim_topics.h"

#include "base/memory.h"
#include "coordinator/internal.h"
#include "daemon/node_internal.h"
#include "sim/sim_audit.h"

#include <inttypes.h>
#include <stdio.h>

/* Clients of topics. Each has a session that is a lease, keeps it alive, and publishes, subscribes and looks up in it. Connections break,
 * the client goes to another node and does as before: nothing may be lost by that. Now and then one dies: nobody keeps its session alive
 * any more, and what it owned must go. Some act in the name of another one whose session they know, and not its secret. */

#define TOPIC_CLIENTS 4
#define NAMES 5
#define AGE_MS 60000
#define OWNED_MAX 6
#define AGAIN_MS 200
#define KINDS 4

enum slot { SLOT_OPERATION, SLOT_KEEP, SLOT_OPEN, SLOT_COUNT };

enum what { NOTHING, PUBLISH, UNPUBLISH, SUBSCRIBE, UNSUBSCRIBE, STEAL, CLAIM, LOOKUP, KEEP, OPEN };
static const char *const words[] = {"",      "publish", "unpublish", "subscribe",    "unsubscribe",
                                    "steal", "claim",   "lookup",    "keep session", "open session"};

struct owned {
	uint64_t id;
	bool subscription;
	char name[32];
};

struct topic_request {
	enum what what;    /* NOTHING: the slot is free */
	uint32_t stream;   /* 0: to be sent */
	uint64_t sequence; /* 0: it changes nothing */
	msec sent;
	msec again_at;
	uint64_t floor;    /* LOOKUP: the newest entry that was acknowledged when it was sent */
	uint64_t id;       /* what it is about */
	uint64_t session;  /* CLAIM: in which */
	uint32_t part;
	enum topic_kind kind;
	char name[32];
};

struct topic_client {
	uint64_t number;
	uint64_t life;
	struct server *server;
	uint64_t connection; /* 0: none */
	uint64_t session;    /* 0: none */
	char secret[32];
	msec ttl;
	msec kept;           /* when it was last asked to be kept alive, and was */
	uint64_t next_sequence;
	msec patience;
	msec away_until;
	struct owned owned[OWNED_MAX];
	uint32_t owned_count;
	struct topic_request requests[SLOT_COUNT];
};

struct sim_topics {
	struct topic_client clients[TOPIC_CLIENTS];
	uint32_t count;
	uint64_t acknowledged; /* the newest entry that any of them knows of */
	uint64_t *left;        /* sessions whose clients are dead */
	size_t left_count;
	size_t left_capacity;
	msec pause;
};

/* Until then its session lives, whatever clocks do. */
static msec lease_end(const struct topic_client *client)
{
	return client->kept + client->ttl - client->ttl / 20;
}

static enum topic_kind kind_of(const char *name)
{
	return (enum topic_kind)(1 + (name[1] - '0') % KINDS);
}

static uint32_t parts_of(const char *name)
{
	return kind_of(name) == TOPIC_COLLECTION ? 3 : 0;
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

static union {
	Clusterd__Wire__OpenSession open;
	Clusterd__Wire__KeepSession keep;
	Clusterd__Wire__Publish publish;
	Clusterd__Wire__Unpublish unpublish;
	Clusterd__Wire__Subscribe subscribe;
	Clusterd__Wire__Unsubscribe unsubscribe;
	Clusterd__Wire__LookupTopic lookup;
} body;

static void fill_change(struct topic_request *request, Clusterd__Wire__Request *message)
{
	switch (request->what) {
	case PUBLISH:
		clusterd__wire__publish__init(message->publish = &body.publish);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_PUBLISH;
		body.publish.topic = request->name;
		body.publish.kind = (Clusterd__Wire__TopicKind)kind_of(request->name);
		body.publish.schema = (char *)(uintptr_t)"Text";
		body.publish.partitions = parts_of(request->name);
		body.publish.part = request->part;
		body.publish.address = (char *)(uintptr_t)"10.1.0.1:4100";
		break;
	case SUBSCRIBE:
		clusterd__wire__subscribe__init(message->subscribe = &body.subscribe);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_SUBSCRIBE;
		body.subscribe.topic = request->name;
		break;
	case UNSUBSCRIBE:
		clusterd__wire__unsubscribe__init(message->unsubscribe = &body.unsubscribe);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_UNSUBSCRIBE;
		body.unsubscribe.subscription = request->id;
		break;
	default:
		clusterd__wire__unpublish__init(message->unpublish = &body.unpublish);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_UNPUBLISH;
		body.unpublish.publication = request->id;
		break;
	}
}

static void fill(const struct topic_client *client, struct topic_request *request, Clusterd__Wire__Request *message)
{
	switch (request->what) {
	case OPEN:
		clusterd__wire__open_session__init(message->open_session = &body.open);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION;
		body.open.ttl_ms = (uint64_t)client->ttl;
		break;
	case KEEP:
		clusterd__wire__keep_session__init(message->keep_session = &body.keep);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_KEEP_SESSION;
		break;
	case LOOKUP:
		clusterd__wire__lookup_topic__init(message->lookup_topic = &body.lookup);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_LOOKUP_TOPIC;
		body.lookup.topic = request->name;
		break;
	default:
		fill_change(request, message);
		break;
	}
}

static void send(struct sim *sim, struct topic_client *client, struct topic_request *request)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	fill(client, request, &message);
	if (request->what != OPEN)
		message.session = request->what == CLAIM ? request->session : client->session;
	message.sequence = request->sequence;
	message.answered_below = request->sequence;
	message.session_secret = (ProtobufCBinaryData){strlen(client->secret), (uint8_t *)client->secret};
	request->stream = 1 + (uint32_t)(sim->next_connection++ & UINT32_MAX);
	request->sent = sim->now;
	request->floor = sim->topics->acknowledged;
	sim_trace(sim, "topics %" PRIu64 ": %s %s (%" PRIu64 "), sequence %" PRIu64 " of session %" PRIu64, client->number,
	          words[request->what], request->name, request->id, request->sequence, message.session);
	client->server->touched = true;
	node_request(client->server->node, client->connection, request->stream, &message, SLICE(""));
}

static struct topic_request *begin(struct topic_client *client, enum slot slot, enum what what)
{
	struct topic_request *request = &client->requests[slot];
	*request = (struct topic_request){.what = what};
	if (what == PUBLISH || what == UNPUBLISH || what == SUBSCRIBE || what == UNSUBSCRIBE || what == STEAL)
		request->sequence = client->next_sequence++;
	else if (what == CLAIM)
		request->sequence = 1000000 + client->next_sequence; /* of another one's */
	return request;
}

/* --- what is wanted ------------------------------------------------------------------------------------------------ */

static const struct owned *some_owned(struct sim *sim, const struct topic_client *client)
{
	return client->owned_count > 0 ? &client->owned[sim_below(sim, client->owned_count)] : NULL;
}

static void want_of_another(struct sim *sim, struct topic_client *client)
{
	const struct topic_client *other = &sim->topics->clients[sim_below(sim, sim->topics->count)];
	const struct owned *owned = some_owned(sim, other);
	if (other == client || owned == NULL || owned->subscription)
		return;
	struct topic_request *request = begin(client, SLOT_OPERATION, sim_chance(sim, 50) ? STEAL : CLAIM);
	request->id = owned->id;
	request->session = other->session;
	memcpy(request->name, owned->name, sizeof request->name);
}

static void want_less(struct sim *sim, struct topic_client *client)
{
	const struct owned *owned = some_owned(sim, client);
	if (owned == NULL)
		return;
	struct topic_request *request = begin(client, SLOT_OPERATION, owned->subscription ? UNSUBSCRIBE : UNPUBLISH);
	request->id = owned->id;
	memcpy(request->name, owned->name, sizeof request->name);
}

static void want(struct sim *sim, struct topic_client *client)
{
	uint64_t dice = sim_below(sim, 100);
	if (dice < 15) {
		want_less(sim, client);
		return;
	}
	if (dice < 22) {
		want_of_another(sim, client);
		return;
	}
	bool more = client->owned_count < OWNED_MAX;
	enum what what = more && dice < 50 ? PUBLISH : more && dice < 60 ? SUBSCRIBE : LOOKUP;
	struct topic_request *request = begin(client, SLOT_OPERATION, what);
	snprintf(request->name, sizeof request->name, "t%" PRIu64 "-%lld", sim_below(sim, NAMES), (long long)(sim->now / AGE_MS));
	topic_truth_of(request->name);
	request->part = parts_of(request->name) > 0 ? (uint32_t)sim_below(sim, parts_of(request->name)) : 0;
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static void note_acknowledged(struct sim *sim, uint64_t index)
{
	sim->topics->acknowledged = index > sim->topics->acknowledged ? index : sim->topics->acknowledged;
}

static void own(struct topic_client *client, const struct topic_request *request, uint64_t id)
{
	struct owned *owned = &client->owned[client->owned_count++];
	owned->id = id;
	owned->subscription = request->what == SUBSCRIBE;
	memcpy(owned->name, request->name, sizeof owned->name);
}

static void disown(struct topic_client *client, uint64_t id)
{
	for (uint32_t i = 0; i < client->owned_count; i++) {
		if (client->owned[i].id == id)
			client->owned[i--] = client->owned[--client->owned_count];
	}
}

static void check_owners(struct sim *sim, const Clusterd__Wire__TopicState *state, const struct topic_client *client)
{
	for (size_t i = 0; i < state->n_publications; i++) {
		if (state->publications[i]->session == 0 || state->publications[i]->id == 0)
			sim_fail(sim, "topics %" PRIu64 " is told of a publication of nobody", client->number);
	}
}

static void take_lookup(struct sim *sim, const struct topic_client *client, const struct topic_request *request, int code,
                        const Clusterd__Wire__Response *response)
{
	const struct topic_truth *truth = topic_truth_of(request->name);
	if (code == ERR_NOT_FOUND) {
		topic_check_absent(sim, truth, request->floor);
		return;
	}
	check_owners(sim, response->topic, client);
	topic_check_state(sim, truth, response->topic, request->floor);
	note_acknowledged(sim, response->topic->index);
}

static void take_change(struct sim *sim, struct topic_client *client, const struct topic_request *request, int code,
                        const Clusterd__Wire__Response *response)
{
	switch (request->what) {
	case PUBLISH:
	case SUBSCRIBE:
		if (code != 0)
			break;
		own(client, request, request->what == PUBLISH ? response->published->publication : response->subscribed->subscription);
		note_acknowledged(sim, client->owned[client->owned_count - 1].id);
		break;
	case UNPUBLISH:
		if (code != 0)
			sim_fail(sim, "publication %" PRIu64 " of topics %" PRIu64 " is gone, and its session %" PRIu64 " lives: %s",
			         request->id, client->number, client->session, response->error->text);
		disown(client, request->id);
		break;
	case UNSUBSCRIBE:
		disown(client, request->id);
		break;
	default:
		if (code == 0)
			sim_fail(sim, "topics %" PRIu64 " has ended publication %" PRIu64 ", which is of another client", client->number,
			         request->id);
		break;
	}
}

static bool is_expected(const struct topic_request *request, int code)
{
	switch (request->what) {
	case PUBLISH:
		return code == 0 || code == ERR_EXISTS || code == ERR_CONFLICT;
	case SUBSCRIBE:
	case LOOKUP:
	case UNPUBLISH:
	case UNSUBSCRIBE:
		return code == 0 || code == ERR_NOT_FOUND;
	case STEAL:
	case CLAIM:
		return code == 0 || code == ERR_NOT_FOUND || code == ERR_DENIED || code == ERR_EXPIRED;
	default:
		return code == 0;
	}
}

/* It owns nothing any more. */
static void forget_session(struct topic_client *client)
{
	client->session = 0;
	client->next_sequence = 1;
	client->owned_count = 0;
	for (int slot = 0; slot < SLOT_COUNT; slot++)
		client->requests[slot].what = NOTHING;
}

static void session_lost(struct sim *sim, struct topic_client *client)
{
	sim_trace(sim, "topics %" PRIu64 ": its session %" PRIu64 " has expired", client->number, client->session);
	if (sim->now < lease_end(client))
		sim_fail(sim, "session %" PRIu64 " of topics %" PRIu64 " has ended, and should live until %lld ms", client->session,
		         client->number, (long long)lease_end(client));
	forget_session(client);
}

static void take(struct sim *sim, struct topic_client *client, enum slot slot, const Clusterd__Wire__Response *response)
{
	struct topic_request *request = &client->requests[slot];
	int code = response->error != NULL ? response->error->code : 0;
	request->stream = 0;
	if (code == ERR_EXPIRED && request->what != CLAIM) {
		session_lost(sim, client);
		return;
	}
	if (!is_expected(request, code)) {
		bool disk = (code == ERR_IO || code == ERR_NO_SPACE) && (client->server->may_break || client->server->cut_in_catalog);
		if (code != ERR_BUSY && code != ERR_CLOSED && code != ERR_NOT_LEADER && code != ERR_TIMEOUT && !disk)
			sim_fail(sim, "%s %s is refused: %s", words[request->what], request->name, response->error->text);
		request->again_at = sim->now + (msec)sim_below(sim, AGAIN_MS);
		return;
	}
	sim_trace(sim, "topics %" PRIu64 ": %s %s is answered (%d)", client->number, words[request->what], request->name, code);
	if (request->what == OPEN)
		client->session = response->opened->session;
	else if (request->what == LOOKUP)
		take_lookup(sim, client, request, code, response);
	else if (request->what != KEEP)
		take_change(sim, client, request, code, response);
	if (request->what == OPEN || request->what == KEEP)
		client->kept = request->sent;
	request->what = NOTHING;
}

bool topics_response(struct server *server, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response)
{
	struct sim *sim = server->sim;
	if (watchers_response(server, connection, stream, response))
		return true;
	for (uint32_t i = 0; i < sim->topics->count; i++) {
		struct topic_client *client = &sim->topics->clients[i];
		if (client->connection != connection)
			continue;
		for (int slot = 0; slot < SLOT_COUNT; slot++) {
			if (client->requests[slot].what != NOTHING && client->requests[slot].stream == stream)
				take(sim, client, (enum slot)slot, response);
		}
		return true;
	}
	return false;
}

/* --- coming, asking, leaving --------------------------------------------------------------------------------------- */

static void forget_connection(struct topic_client *client)
{
	client->connection = 0;
	client->server = NULL;
	for (int slot = 0; slot < SLOT_COUNT; slot++)
		client->requests[slot].stream = 0;
}

static void leave(struct sim *sim, struct topic_client *client)
{
	struct server *server = client->server;
	uint64_t connection = client->connection;
	sim_trace(sim, "topics %" PRIu64 " leaves %s", client->number, server->name);
	forget_connection(client);
	if (server_answers(server)) {
		server->touched = true;
		node_connection_closed(server->node, connection);
	} else if (server_is_up(server)) {
		server_closes_later(server, connection);
	}
}

/* Another one comes in its place. */
static void die(struct sim *sim, struct topic_client *client)
{
	struct sim_topics *topics = sim->topics;
	sim_trace(sim, "topics %" PRIu64 " dies, and with it session %" PRIu64, client->number, client->session);
	if (client->session != 0) {
		mem_grow(topics->left, topics->left_capacity, topics->left_count + 1);
		topics->left[topics->left_count++] = client->session;
	}
	if (client->server != NULL)
		leave(sim, client);
	forget_session(client);
	client->life++;
	client->away_until = sim->now + (msec)sim_below(sim, 5000);
}

static bool impatient(const struct sim *sim, const struct topic_client *client)
{
	for (int slot = 0; slot < SLOT_COUNT; slot++) {
		const struct topic_request *request = &client->requests[slot];
		if (request->what != NOTHING && request->stream != 0 && sim->now - request->sent > client->patience)
			return true;
	}
	return false;
}

static void begin_session(struct sim *sim, struct topic_client *client)
{
	client->ttl = 3000 + (msec)sim_below(sim, 12000);
	snprintf(client->secret, sizeof client->secret, "secret-%" PRIu64 "-%" PRIu64 "-of-a-client", client->number, client->life);
	begin(client, SLOT_OPEN, OPEN);
}

static void act_once(struct sim *sim, struct topic_client *client)
{
	bool faulty = sim_faulty(sim, SIM_CLIENTS);
	if (sim->now < client->away_until)
		return;
	if (faulty && sim_below(sim, 400) == 0) {
		die(sim, client);
		return;
	}
	if (client->server == NULL) {
		struct server *server = machines_some(sim);
		if (!server_is_up(server))
			return;
		client->server = server;
		client->connection = sim->next_connection++;
	}
	if (impatient(sim, client) || (faulty && sim_chance(sim, 3))) {
		leave(sim, client);
		if (client->session != 0 && sim_chance(sim, 30)) /* for a part of its time, or for longer than that */
			client->away_until = sim->now + (msec)sim_below(sim, (uint64_t)client->ttl * (sim_chance(sim, 10) ? 3 : 1) / 2);
		return;
	}
	if (!server_is_up(client->server))
		return;
	if (client->session == 0 && client->requests[SLOT_OPEN].what == NOTHING)
		begin_session(sim, client);
	if (client->session != 0 && client->requests[SLOT_OPERATION].what == NOTHING && !sim->calm && sim_chance(sim, 60))
		want(sim, client);
	if (client->session != 0 && client->requests[SLOT_KEEP].what == NOTHING && sim->now - client->kept > client->ttl / 5)
		begin(client, SLOT_KEEP, KEEP);
	for (int slot = SLOT_COUNT - 1; slot >= 0; slot--) {
		struct topic_request *request = &client->requests[slot];
		bool due = request->what != NOTHING && request->stream == 0 && sim->now >= request->again_at;
		if (due && client->server != NULL && server_is_up(client->server) && (slot == SLOT_OPEN || client->session != 0))
			send(sim, client, request);
	}
}

static void act(void *subject, uint64_t which, uint64_t unused)
{
	struct sim *sim = subject;
	struct topic_client *client = &sim->topics->clients[which];
	bool busy = client->requests[SLOT_OPERATION].what != NOTHING || client->requests[SLOT_OPEN].what != NOTHING;
	(void)unused;
	sim_after(sim, 5 + (msec)sim_below(sim, busy ? 150 : (uint64_t)sim->topics->pause), act, which, 0);
	act_once(sim, client);
}

void topics_down(struct server *server)
{
	struct sim *sim = server->sim;
	watchers_down(server);
	for (uint32_t i = 0; i < sim->topics->count; i++) {
		if (sim->topics->clients[i].server == server)
			forget_connection(&sim->topics->clients[i]);
	}
}

/* --- when all is done ---------------------------------------------------------------------------------------------- */

/* 0: none. */
static uint64_t left_over(const struct sim *sim)
{
	const struct answer *answer;
	for (uint32_t i = 0; i < sim->server_count; i++) {
		const struct server *server = sim->servers[i];
		for (size_t k = 0; server_is_up(server) && k < sim->topics->left_count; k++) {
			if (machine_session_answer(server->node->machine, sim->topics->left[k], UINT64_MAX, &answer) >= 0)
				return sim->topics->left[k];
		}
	}
	return 0;
}

bool topics_done(const struct sim *sim)
{
	for (uint32_t i = 0; i < sim->topics->count; i++) {
		if (sim->topics->clients[i].requests[SLOT_OPERATION].what != NOTHING || sim->topics->clients[i].session == 0)
			return false;
	}
	return left_over(sim) == 0 && watchers_know(topics_known_up_to());
}

void topics_explain(struct sim *sim)
{
	if (left_over(sim) != 0)
		sim_fail(sim, "session %" PRIu64 " lives, and its client has been dead for a long time", left_over(sim));
	if (!watchers_know(topics_known_up_to()))
		sim_fail(sim, "who watches topics has not been told of entry %" PRIu64, topics_known_up_to());
}

/* What living sessions own is there. */
void topics_audit(struct server *server)
{
	struct sim *sim = server->sim;
	sqlite3 *database = audit_open(server);
	topics_audit_always(sim, database);
	watchers_audit(sim, database);
	sqlite3_stmt *statement = audit_prepare(sim, database, "SELECT session FROM publication WHERE id = ?1");
	for (uint32_t i = 0; i < sim->topics->count; i++) {
		const struct topic_client *client = &sim->topics->clients[i];
		for (uint32_t k = 0; k < client->owned_count; k++) {
			if (client->owned[k].subscription)
				continue;
			sqlite3_bind_int64(statement, 1, (sqlite3_int64)client->owned[k].id);
			if (!audit_row(sim, database, statement) || (uint64_t)sqlite3_column_int64(statement, 0) != client->session)
				sim_fail(sim, "publication %" PRIu64 " of session %" PRIu64 ", which lives, is not there",
				         client->owned[k].id, client->session);
			sqlite3_reset(statement);
		}
	}
	sqlite3_finalize(statement);
	sqlite3_close(database);
}

void topics_init(struct sim *sim)
{
	struct sim_topics *topics = sim->topics = mem_zero(sizeof *sim->topics);
	topics->count = sim->founder_count > 1 ? TOPIC_CLIENTS : 2;
	topics->pause = (msec[]){1000, 2000, 3000}[sim_below(sim, 3)];
	watchers_init(sim);
	for (uint32_t i = 0; i < topics->count; i++) {
		topics->clients[i].number = i + 1;
		topics->clients[i].next_sequence = 1;
		topics->clients[i].patience = 300 + (msec)sim_below(sim, 3000);
		sim_after(sim, (msec)sim_below(sim, 200), act, i, 0);
	}
}

void topics_finish(struct sim *sim)
{
	watchers_finish();
	mem_free(sim->topics->left);
	mem_free(sim->topics);
}
