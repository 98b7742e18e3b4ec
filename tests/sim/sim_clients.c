#include "sim/sim_client.h"
#include "sim/sim_jobs.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>

/* What clients want, and how they ask for it. */

#define KEEP_ALIVE_MS 2000

static uint32_t next_stream = 1;

/* --- streams ------------------------------------------------------------------------------------------------------- */

struct pending *pending_add(struct sim *sim, struct sim_client *client, enum pending_kind kind)
{
	struct pending *pending = mem_zero(sizeof *pending);
	pending->since = sim->now;
	pending->stream = next_stream++;
	pending->kind = kind;
	TAILQ_INSERT_TAIL(&client->pending, pending, link);
	return pending;
}

void pending_drop(struct sim_client *client, struct pending *pending)
{
	struct client_request *request = pending->kind == PENDING_REQUEST ? request_find(client, pending->sequence) : NULL;
	if (request != NULL)
		request->answer_pending--;
	TAILQ_REMOVE(&client->pending, pending, link);
	mem_free(pending);
}

static bool pending_has(const struct sim_client *client, enum pending_kind kind, const struct flow_run *run)
{
	const struct pending *pending;
	TAILQ_FOREACH(pending, &client->pending, link) {
		if (pending->kind == kind && pending->run == run)
			return true;
	}
	return false;
}

static void ask(struct sim_client *client, uint32_t stream, const Clusterd__Wire__Request *message, struct slice payload)
{
	client->server->touched = true;
	node_request(client->server->node, client->connection, stream, message, payload);
}

/* The process that it is connected to listens. */
static bool answers(const struct sim_client *client)
{
	return client->server != NULL && server_answers(client->server);
}

/* --- requests ------------------------------------------------------------------------------------------------------ */

struct client_request *request_find(struct sim_client *client, uint64_t sequence)
{
	struct client_request *request;
	TAILQ_FOREACH(request, &client->requests, link) {
		if (request->sequence == sequence)
			return request;
	}
	return NULL;
}

void request_forget(struct sim_client *client, struct client_request *request)
{
	TAILQ_REMOVE(&client->requests, request, link);
	text_release(request->answer);
	mem_free(request);
}

struct client_request *request_add(struct sim_client *client, enum request_kind kind, struct flow_run *run)
{
	struct client_request *request = mem_zero(sizeof *request);
	request->kind = kind;
	request->sequence = client->next_sequence++;
	request->run = run;
	if (run != NULL)
		run->busy = true;
	TAILQ_INSERT_TAIL(&client->requests, request, link);
	return request;
}

static uint32_t open_requests(const struct sim_client *client)
{
	const struct client_request *request;
	uint32_t count = 0;
	TAILQ_FOREACH(request, &client->requests, link)
		count += !request->answered;
	return count;
}

void client_session_lost(struct sim *sim, struct sim_client *client)
{
	struct client_request *request;
	struct client_request *next;
	struct pending *pending;
	(void)sim;
	TAILQ_FOREACH(pending, &client->pending, link)
		pending->kind = PENDING_READY; /* means nothing any more */
	client->session = 0;
	client->deserted = false;
	client->next_sequence = 1;
	client->answered_below = 1;
	for (request = TAILQ_FIRST(&client->requests); request != NULL; request = next) {
		next = TAILQ_NEXT(request, link);
		if (request->answered) {
			request_forget(client, request);
			continue;
		}
		request->sequence = client->next_sequence++;
		request->answer_pending = 0;
		request->sent = false;
	}
}

static void send_signal(struct sim *sim, const struct client_request *request, Clusterd__Wire__Signal *body)
{
	body->instance = request->run->id;
	body->name = (char *)(uintptr_t)flow_signal_name(request->run->flow);
	body->key = (char *)(uintptr_t)"\"k\"";
	flow_signal_value(request->run->flow, request->run->x, request->number, &sim->scratch);
}

static void send_start(struct sim *sim, const struct client_request *request, Clusterd__Wire__Start *body)
{
	body->process = (char *)(uintptr_t)flow_name(request->run->flow);
	body->key = request->run->key;
	body->wait = request->wait;
	buffer_format(&sim->scratch, "{\"x\":%" PRIu64 "}", request->run->x);
}

static void send_register(struct sim *sim, const struct client_request *request, Clusterd__Wire__SourceFile *file)
{
	file->path = (char *)(uintptr_t)"sim.flow";
	if (request->number == 0)
		buffer_append_string(&sim->scratch, flows_source());
	else
		flows_versioned_source(request->number, &sim->scratch);
	file->text.data = (uint8_t *)sim->scratch.data;
	file->text.len = sim->scratch.size;
}

/* The bodies live here while the node looks at them. */
struct request_bodies {
	Clusterd__Wire__Start start;
	Clusterd__Wire__Signal signal;
	Clusterd__Wire__Cancel cancel;
	Clusterd__Wire__Retry retry;
	Clusterd__Wire__Register registering;
	Clusterd__Wire__SourceFile file;
	Clusterd__Wire__SourceFile *files[1];
	Clusterd__Wire__SetSetting setting;
	char value[24];
};

static void fill(struct sim *sim, const struct client_request *request, struct request_bodies *bodies,
                 Clusterd__Wire__Request *message)
{
	switch (request->kind) {
	case REQUEST_START:
		clusterd__wire__start__init(message->start = &bodies->start);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_START;
		send_start(sim, request, message->start);
		break;
	case REQUEST_SIGNAL:
		clusterd__wire__signal__init(message->signal = &bodies->signal);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_SIGNAL;
		send_signal(sim, request, message->signal);
		break;
	case REQUEST_CANCEL:
		clusterd__wire__cancel__init(message->cancel = &bodies->cancel);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_CANCEL;
		message->cancel->instance = request->run->id;
		break;
	case REQUEST_RETRY:
		clusterd__wire__retry__init(message->retry = &bodies->retry);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_RETRY;
		message->retry->instance = request->run->id;
		break;
	case REQUEST_REGISTER:
		clusterd__wire__register__init(message->register_ = &bodies->registering);
		clusterd__wire__source_file__init(bodies->files[0] = &bodies->file);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_REGISTER;
		message->register_->files = bodies->files;
		message->register_->n_files = 1;
		send_register(sim, request, &bodies->file);
		break;
	case REQUEST_SETTING:
		clusterd__wire__set_setting__init(message->set_setting = &bodies->setting);
		message->body_case = CLUSTERD__WIRE__REQUEST__BODY_SET_SETTING;
		snprintf(bodies->value, sizeof bodies->value, "%" PRIu32, request->number);
		message->set_setting->name = (char *)(uintptr_t)request->setting;
		message->set_setting->value = request->text != NULL ? (char *)(uintptr_t)request->text : bodies->value;
		break;
	default:
		jobs_fill(sim, request, message);
		break;
	}
}

static void send_request(struct sim *sim, struct sim_client *client, struct client_request *request)
{
	static const char *const words[] = {"start", "signal", "cancel", "retry", "register", "setting", "register job", "run job",
	                                    "dispatch job", "stop job", "scale job", "eligibility", "drain"};
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	struct request_bodies bodies;
	buffer_clear(&sim->scratch);
	fill(sim, request, &bodies, &message);
	if (sim->options.plant == PLANT_SEQUENCE_RENEWED && request->kind == REQUEST_START && request->ever_sent &&
	    request->answer_pending == 0)
		request->sequence = client->next_sequence++;
	request->ever_sent = true;
	message.session = client->session;
	message.sequence = request->sequence;
	message.answered_below = client->answered_below;
	struct pending *pending = pending_add(sim, client, PENDING_REQUEST);
	pending->sequence = request->sequence;
	pending->waits = request->wait;
	request->answer_pending++;
	request->sent = true;
	sim_trace(sim, "client %" PRIu64 ": %s, sequence %" PRIu64 " of session %" PRIu64 " (workflow %" PRIu64 ", x %" PRIu64 ")",
	          client->number, words[request->kind], request->sequence, client->session,
	          request->run != NULL ? request->run->id : request->job != NULL ? request->job->id : 0,
	          request->run != NULL ? request->run->x : 0);
	ask(client, pending->stream, &message, buffer_slice(&sim->scratch));
}

static void send_open(struct sim *sim, struct sim_client *client)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__OpenSession body = CLUSTERD__WIRE__OPEN_SESSION__INIT;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION;
	message.open_session = &body;
	client->opening = true;
	ask(client, pending_add(sim, client, PENDING_OPEN)->stream, &message, SLICE(""));
}

static void send_status(struct sim *sim, struct sim_client *client)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Status body = CLUSTERD__WIRE__STATUS__INIT;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_STATUS;
	message.status = &body;
	message.session = client->session;
	body.wait_ready = true;
	client->spoke = sim->now;
	ask(client, pending_add(sim, client, PENDING_READY)->stream, &message, SLICE(""));
}

static void send_wait(struct sim *sim, struct sim_client *client, struct flow_run *run)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Wait body = CLUSTERD__WIRE__WAIT__INIT;
	struct pending *pending = pending_add(sim, client, PENDING_WAIT);
	pending->run = run;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_WAIT;
	message.wait = &body;
	message.session = client->session;
	body.instance = run->id;
	ask(client, pending->stream, &message, SLICE(""));
}

static void send_watch(struct sim *sim, struct sim_client *client, struct flow_run *run)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Watch body = CLUSTERD__WIRE__WATCH__INIT;
	struct pending *pending = pending_add(sim, client, PENDING_WATCH);
	pending->run = run;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_WATCH;
	message.watch = &body;
	body.instance = run->id;
	ask(client, pending->stream, &message, SLICE(""));
}

/* --- what a client wants next -------------------------------------------------------------------------------------- */

static void want_start(struct sim *sim, struct sim_client *client)
{
	struct flow_run *run = mem_zero(sizeof *run);
	do {
		run->flow = (enum flow)sim_below(sim, FLOW_COUNT);
	} while (sim->sessions_short && flow_signal_count(run->flow) > 0);
	run->client = client->number;
	run->x = 1000 + sim->next_x++;
	if (client->may_desert || sim->sessions_short || sim_chance(sim, 50))
		snprintf(run->key, sizeof run->key, "key-%" PRIu64, run->x);
	run->cancel_wanted = !sim->sessions_short && sim_chance(sim, 12);
	run->next = sim->runs;
	sim->runs = run;
	client->runs_wanted--;
	bool alone = flow_signal_count(run->flow) == 0 && !run->cancel_wanted; /* nobody has to do anything about it */
	request_add(client, REQUEST_START, run)->wait = alone && sim_chance(sim, 20);
}

/* The same key once more, from whomever: it answers with the instance that is there. */
static void want_start_again(struct sim *sim, struct sim_client *client)
{
	for (struct flow_run *run = sim->runs; run != NULL; run = run->next) {
		if (run->key[0] != '\0' && run->id != 0 && !run->busy && sim_chance(sim, 20)) {
			request_add(client, REQUEST_START, run);
			return;
		}
	}
}

static void want_setting(struct sim *sim, struct sim_client *client)
{
	static const struct {
		const char *name;
		uint32_t low, high;
	} choices[] = {{"each_window", 1, 8}, {"each_window", 1, 4}, {"instances_cached", 100, 200}, {"reductions_max", 3000, 100000},
	               {"session_ttl", 8000, 60000}, {"value_max", 5000, 1000000}, {"voters", 3, 6}, {"voters", 3, 6}};
	size_t which = sim_below(sim, sizeof choices / sizeof choices[0]);
	struct client_request *request = request_add(client, REQUEST_SETTING, NULL);
	request->setting = choices[which].name;
	request->number = choices[which].low + (uint32_t)sim_below(sim, choices[which].high - choices[which].low);
	/* Nobody needs so long to find a server that answers. */
	if (strcmp(request->setting, "session_ttl") == 0 && sim->founder_count > 1 && !sim->sessions_short)
		request->number += 60000;
	client->settings_wanted--;
}

/* Something about a workflow that was started; false: nothing. */
static bool want_about(struct sim *sim, struct sim_client *client, struct flow_run *run)
{
	if (run->id == 0 || run->busy || run->ended)
		return false;
	if (run->failed) {
		request_add(client, REQUEST_RETRY, run);
		return true;
	}
	if (run->cancel_wanted && !run->cancel_sent && (sim->calm || sim_chance(sim, 30))) {
		run->cancel_sent = true;
		request_add(client, REQUEST_CANCEL, run);
		return true;
	}
	if (run->signals < flow_signal_count(run->flow) && sim_chance(sim, 40)) {
		request_add(client, REQUEST_SIGNAL, run)->number = run->signals;
		return true;
	}
	return false;
}

static void want(struct sim *sim, struct sim_client *client)
{
	if (client->prepared < 2) {
		if (open_requests(client) == 0)
			request_add(client, REQUEST_REGISTER, NULL)->number = client->prepared;
		return;
	}
	if (sim_chance(sim, 40) && jobs_want(sim, client))
		return;
	for (struct flow_run *run = sim->runs; run != NULL; run = run->next) {
		if (run->client == client->number && want_about(sim, client, run))
			return;
	}
	if (client->runs_wanted > 0 && sim_chance(sim, sim->calm ? 50 : sim->rate)) {
		want_start(sim, client);
	} else if (client->registrations_wanted > 0 && !client->may_desert && sim_chance(sim, 4)) {
		client->registrations_wanted--;
		request_add(client, REQUEST_REGISTER, NULL)->number = 1 + (uint32_t)sim_below(sim, 6);
	} else if (client->settings_wanted > 0 && !client->may_desert && sim_chance(sim, 6)) {
		want_setting(sim, client);
	} else if (!sim->expired && sim_chance(sim, 3)) {
		want_start_again(sim, client);
	}
}

static bool all_done(const struct sim *sim, const struct sim_client *client)
{
	if (client->runs_wanted > 0 || client->session == 0 || open_requests(client) > 0 || jobs_wait(sim, client))
		return false;
	for (const struct flow_run *run = sim->runs; run != NULL; run = run->next) {
		if (run->client == client->number && !run->ended)
			return false;
	}
	return true;
}

bool clients_done(const struct sim *sim)
{
	for (size_t i = 0; i < sim->client_count; i++) {
		if (!all_done(sim, &sim->clients[i]))
			return false;
	}
	return true;
}

/* --- coming, asking, leaving --------------------------------------------------------------------------------------- */

static void forget_connection(struct sim_client *client)
{
	struct client_request *request;
	while (!TAILQ_EMPTY(&client->pending))
		pending_drop(client, TAILQ_FIRST(&client->pending));
	TAILQ_FOREACH(request, &client->requests, link)
		request->sent = false;
	client->connection = 0;
	client->server = NULL;
	client->opening = false;
	client->reset = false;
}

static void disconnect(struct sim *sim, struct sim_client *client)
{
	uint64_t connection = client->connection;
	struct server *server = client->server;
	sim_trace(sim, "client %" PRIu64 " closes its connection", client->number);
	forget_connection(client);
	server->touched = true;
	node_connection_closed(server->node, connection);
}

static void leave_silently(struct sim *sim, struct sim_client *client)
{
	struct server *server = client->server;
	uint64_t connection = client->connection;
	sim_trace(sim, "client %" PRIu64 " gives up on %s", client->number, server->name);
	forget_connection(client);
	if (server_is_up(server))
		server_closes_later(server, connection);
}

/* Leaves for longer than its session lives, when all that it waits for can be asked again in another one. */
static bool desert(struct sim *sim, struct sim_client *client)
{
	const struct client_request *request;
	TAILQ_FOREACH(request, &client->requests, link) {
		if (!request->answered && request->kind != REQUEST_START)
			return false;
	}
	sim_trace(sim, "client %" PRIu64 " leaves", client->number);
	client->may_desert = false;
	client->deserted = true;
	client->deserted_below = client->next_sequence;
	client->away_until = sim->now + 70000;
	disconnect(sim, client);
	return true;
}

static void send_all(struct sim *sim, struct sim_client *client)
{
	struct client_request *request;
	struct client_request *next;
	bool again = sim_faulty(sim, SIM_CLIENTS);
	for (request = TAILQ_FIRST(&client->requests); request != NULL && answers(client) && !client->reset; request = next) {
		next = TAILQ_NEXT(request, link);
		if (!request->answered && !request->sent)
			send_request(sim, client, request);
		else if (again && request->sequence >= client->answered_below && sim_chance(sim, 5)) /* the answer must be the same */
			send_request(sim, client, request);
		if (request->answered && request->sequence < client->answered_below &&
		    request->answer_pending == 0)
			request_forget(client, request);
	}
}

static void ask_about(struct sim *sim, struct sim_client *client)
{
	for (struct flow_run *run = sim->runs; run != NULL && answers(client); run = run->next) {
		if (run->client != client->number || run->id == 0)
			continue;
		if (!run->ended && !run->failed && !run->busy && !pending_has(client, PENDING_WAIT, run) &&
		    (sim->calm || sim_chance(sim, 20)))
			send_wait(sim, client, run);
		else if (!run->ended && sim_chance(sim, 2) && !pending_has(client, PENDING_WATCH, run))
			send_watch(sim, client, run);
	}
}

static void take_back(struct sim *sim, struct sim_client *client)
{
	struct pending *pending;
	TAILQ_FOREACH(pending, &client->pending, link) {
		if ((pending->kind == PENDING_WAIT || pending->kind == PENDING_WATCH) && sim_chance(sim, 5)) {
			client->server->touched = true;
			node_request_cancelled(client->server->node, client->connection, pending->stream);
			pending_drop(client, pending);
			return;
		}
	}
}

static void raise_answered_below(struct sim *sim, struct sim_client *client)
{
	struct client_request *request;
	uint64_t below = client->next_sequence;
	TAILQ_FOREACH(request, &client->requests, link) {
		if ((!request->answered || request->answer_pending > 0) && request->sequence < below)
			below = request->sequence;
	}
	if (below > client->answered_below && sim_chance(sim, 30))
		client->answered_below = below;
}

/* What it asked has not been answered for too long: perhaps another server answers. */
static bool impatient(const struct sim *sim, const struct sim_client *client)
{
	const struct pending *pending;
	TAILQ_FOREACH(pending, &client->pending, link) {
		bool waits = pending->kind == PENDING_WAIT || pending->kind == PENDING_WATCH || pending->waits;
		if (!waits && sim->now - pending->since > client->patience)
			return true;
	}
	return false;
}

static void connect_to_some(struct sim *sim, struct sim_client *client)
{
	struct server *server = machines_some(sim);
	if (!server_answers(server))
		return;
	client->server = server;
	client->connection = sim->next_connection++;
	sim_trace(sim, "client %" PRIu64 " connects to %s", client->number, server->name);
	send_status(sim, client);
}

static void act(void *subject, uint64_t which, uint64_t unused)
{
	struct sim *sim = subject;
	struct sim_client *client = &sim->clients[which];
	bool faulty = sim_faulty(sim, SIM_CLIENTS);
	(void)unused;
	sim_after(sim, 5 + (msec)sim_below(sim, 120), act, which, 0);
	if (sim->now < client->away_until)
		return;
	if (client->server == NULL) {
		connect_to_some(sim, client);
		return;
	}
	if (!answers(client)) { /* it would ask, and wait for nothing */
		msec asked = client->spoke > client->heard ? client->spoke : client->heard;
		if (impatient(sim, client) || (sim->founder_count > 1 && sim->now - asked > KEEP_ALIVE_MS + client->patience))
			leave_silently(sim, client);
		return;
	}
	if (client->reset || impatient(sim, client) || (faulty && sim_chance(sim, 2))) {
		sim->counts[COUNT_CLIENTS]++;
		disconnect(sim, client);
		return;
	}
	if (client->session == 0) {
		if (!client->opening)
			send_open(sim, client);
	} else if (faulty && client->may_desert && client->runs_wanted < RUNS_PER_CLIENT / 2 && desert(sim, client)) {
		return;
	} else {
		raise_answered_below(sim, client);
		if (open_requests(client) < OPEN_REQUESTS)
			want(sim, client);
		send_all(sim, client);
		ask_about(sim, client);
		if (sim->now - client->spoke > KEEP_ALIVE_MS && answers(client))
			send_status(sim, client);
		if (faulty && answers(client))
			take_back(sim, client);
	}
}

void clients_settle(struct sim *sim, const char *setting, const char *value)
{
	struct client_request *request = request_add(&sim->clients[0], REQUEST_SETTING, NULL);
	request->setting = setting;
	request->text = value;
}

void clients_init(struct sim *sim)
{
	sim->sessions_short = sim->founder_count > 1 && sim_chance(sim, 25);
	sim->rate = (uint32_t[]){5, 10, 20, 60}[sim_below(sim, 4)];
	sim->client_count = sim->founder_count > 1 ? 5 : 3;
	sim->clients = mem_array(sim->client_count, sizeof *sim->clients);
	for (uint64_t i = 0; i < sim->client_count; i++) {
		struct sim_client *client = &sim->clients[i];
		client->number = i;
		client->next_sequence = client->answered_below = 1;
		client->runs_wanted = RUNS_PER_CLIENT;
		client->jobs_wanted = JOBS_PER_CLIENT;
		client->registrations_wanted = REGISTRATIONS;
		client->settings_wanted = 4;
		client->may_desert = i == 0 && sim_chance(sim, 30);
		client->patience = sim->founder_count > 1 ? 500 + (msec)sim_below(sim, 4000) : MSEC_NEVER;
		TAILQ_INIT(&client->requests);
		TAILQ_INIT(&client->pending);
		sim_after(sim, (msec)sim_below(sim, 200), act, i, 0);
	}
}

void clients_down(struct server *server)
{
	struct sim *sim = server->sim;
	for (size_t i = 0; i < sim->client_count; i++) {
		if (sim->clients[i].server == server)
			forget_connection(&sim->clients[i]);
	}
}

void clients_finish(struct sim *sim)
{
	struct known_key *key;
	struct known_key *next;
	for (size_t i = 0; i < sim->client_count; i++) {
		struct sim_client *client = &sim->clients[i];
		forget_connection(client);
		while (!TAILQ_EMPTY(&client->requests))
			request_forget(client, TAILQ_FIRST(&client->requests));
	}
	while (sim->runs != NULL) {
		struct flow_run *run = sim->runs;
		sim->runs = run->next;
		mem_free(run);
	}
	HASH_ITER(hh, sim->keys, key, next) {
		HASH_DELETE(hh, sim->keys, key);
		mem_free(key);
	}
	jobs_finish(sim);
	mem_free(sim->clients);
}
