#include "chaos_client.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "bench/line.h"
#include "bench/process.h"
#include "chaos_operation.h"
#include "wire/message.h"

#include <assert.h>

#define ATTEMPT_MS 700    /* without an answer: the next node */
#define AGAIN_MS 15       /* between an answer that says to come back and coming back */
#define OPERATION_MS 8000 /* then the outcome is not known */
#define HASTY_MS 400      /* the same for one of HASTY */
#define HASTY 4
#define WANDER 40         /* one operation of so many begins at another node */

enum client_state {
	CLIENT_IDLE,  /* until the timer says to begin */
	CLIENT_ASKS,  /* the answer, or the end of patience, is awaited */
	CLIENT_WAITS, /* the timer says when to ask again */
	CLIENT_ENDED,
};

struct client {
	struct population *population;
	struct loop_timer *timer;
	struct line *line;
	struct line *ended_link; /* to be released outside of its calls */
	bool open;
	bool leaves;             /* this connection, when it next asks */
	size_t address;
	bool starts_workflows;
	enum client_state state;
	uint64_t number;
	uint64_t session; /* 0: to be opened */
	uint64_t sequence;
	uint32_t stream;  /* of the attempt; an answer to an earlier one says nothing that matters */
	uint32_t sent;    /* how often the operation was asked */
	msec give_up;
	struct operation operation;
	struct arena arena;
};

static msec now(const struct client *client)
{
	return loop_now(client->population->loop);
}

/* --- beginning and ending ------------------------------------------------------------------------------------------- */

static void drop_link(struct client *client)
{
	line_destroy(client->line);
	line_destroy(client->ended_link);
	client->line = client->ended_link = NULL;
	client->open = client->leaves = false;
}

static void rest(struct client *client)
{
	struct population *population = client->population;
	msec pause = client->starts_workflows ? population->start_pause : population->pause;
	population->busy -= client->state == CLIENT_ASKS || client->state == CLIENT_WAITS;
	client->state = population->ending ? CLIENT_ENDED : CLIENT_IDLE;
	client->sent = 0;
	if (client->state == CLIENT_IDLE)
		loop_timer_set(client->timer, now(client) + (msec)random_below(&population->random, (uint64_t)(2 * pause) + 1));
	else if (population->busy == 0)
		loop_stop(population->loop);
}

static void count_change(struct population *population, double now_us)
{
	if (population->last_us != 0 && now_us - population->last_us > population->gap_us)
		population->gap_us = now_us - population->last_us;
	population->last_us = now_us;
}

static void finish(struct client *client, const Clusterd__Wire__Response *response, struct slice payload)
{
	struct population *population = client->population;
	double now_us = clock_us();
	population->answered++;
	operation_record(&client->operation, population, client->number, now_us, response, payload);
	if (operation_changes(&client->operation))
		count_change(population, now_us);
	rest(client);
}

/* Its answer may still come to be: whatever comes next is another client's, with another session. */
static void leave_unknown(struct client *client)
{
	struct population *population = client->population;
	if (client->sent > 0) {
		population->unknown += operation_changes(&client->operation);
		operation_record(&client->operation, population, client->number, 0, NULL, SLICE(""));
	}
	client->number = population->next_client++;
	client->session = 0;
	rest(client);
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

static void wait_and_ask(struct client *client, msec pause)
{
	client->state = CLIENT_WAITS;
	loop_timer_set(client->timer, now(client) + pause);
}

static void next_node(struct client *client)
{
	drop_link(client);
	client->address++;
	wait_and_ask(client, AGAIN_MS);
}

static void send_session(struct client *client)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__OpenSession body = CLUSTERD__WIRE__OPEN_SESSION__INIT;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION;
	request.open_session = &body;
	request.timeout_ms = ATTEMPT_MS;
	line_send(client->line, FRAME_REQUEST, client->stream, &request.base, SLICE(""));
}

static void send_operation(struct client *client)
{
	struct operation_request asked;
	operation_ask(&client->operation, client->population, &asked);
	asked.request.timeout_ms = ATTEMPT_MS;
	if (operation_changes(&client->operation)) {
		/* The same number with every attempt. */
		client->sequence += client->sent == 0;
		asked.request.session = client->session;
		asked.request.sequence = client->sequence;
		asked.request.answered_below = client->sequence;
	}
	client->sent++;
	line_send(client->line, FRAME_REQUEST, client->stream, &asked.request.base, asked.payload);
}

static void send(struct client *client)
{
	client->stream++;
	if (client->session == 0 && operation_changes(&client->operation))
		send_session(client);
	else
		send_operation(client);
}

static void link_is_open(void *context)
{
	struct client *client = context;
	client->open = true;
	if (client->state == CLIENT_ASKS)
		send(client);
}

static void link_has_ended(void *context, const struct error *reason)
{
	struct client *client = context;
	(void)reason;
	client->population->lost++;
	client->ended_link = client->line;
	client->line = NULL;
	client->open = false;
	client->address++;
	if (client->state == CLIENT_ASKS)
		wait_and_ask(client, AGAIN_MS);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static void take_opened(struct client *client, const Clusterd__Wire__Response *response)
{
	if (response->body_case != CLUSTERD__WIRE__RESPONSE__BODY_OPENED) {
		client->address++;
		client->leaves = true;
		wait_and_ask(client, AGAIN_MS);
		return;
	}
	client->session = response->opened->session;
	client->sequence = 0;
	send(client);
}

static void take_wrong(struct client *client, const Clusterd__Wire__Response *response)
{
	struct population *population = client->population;
	snprintf(population->problem, sizeof population->problem, "%s: answered with %d, %.160s", client->operation.key,
	         response->error != NULL ? response->error->code : 0,
	         response->error != NULL ? response->error->text : "something else than was asked for");
	leave_unknown(client);
}

static void take_response(struct client *client, const Clusterd__Wire__Response *response, struct slice payload)
{
	if (client->sent == 0) {
		take_opened(client, response);
		return;
	}
	switch (operation_judge(&client->operation, response)) {
	case ANSWER_FINAL:
		finish(client, response, payload);
		break;
	case ANSWER_AGAIN:
		client->population->refused++;
		client->address++;
		client->leaves = true;
		wait_and_ask(client, AGAIN_MS);
		break;
	case ANSWER_EXPIRED:
		client->population->expired++;
		/* A workflow's key makes asking under another session harmless. */
		if (client->operation.kind == OPERATION_START) {
			client->session = 0;
			client->sent = 0;
			wait_and_ask(client, AGAIN_MS);
		} else {
			leave_unknown(client);
		}
		break;
	default:
		take_wrong(client, response);
		break;
	}
}

static void take_frame(void *context, const struct frame *frame)
{
	struct client *client = context;
	ProtobufCMessage *message;
	struct error error;
	if (frame->type != FRAME_RESPONSE || frame->stream != client->stream || client->state != CLIENT_ASKS)
		return;
	if (message_unpack(&clusterd__wire__response__descriptor, frame->message, &client->arena, &message, &error) != 0)
		snprintf(client->population->problem, sizeof client->population->problem, "%.250s", error.text);
	else
		take_response(client, (const Clusterd__Wire__Response *)message, frame->payload);
	arena_reset(&client->arena);
}

static const struct line_handler handler = {link_is_open, take_frame, link_has_ended};

/* --- time ---------------------------------------------------------------------------------------------------------- */

static void ask(struct client *client)
{
	const struct population *population = client->population;
	struct error error;
	client->state = CLIENT_ASKS;
	loop_timer_set(client->timer, now(client) + ATTEMPT_MS);
	if (client->leaves)
		drop_link(client);
	if (client->line != NULL) {
		if (client->open)
			send(client);
		return;
	}
	line_destroy(client->ended_link);
	client->ended_link = NULL;
	if (line_create(population->loop, population->addresses[client->address % population->address_count],
	                CLUSTERD__WIRE__ROLE__ROLE_CLIENT, &handler, client, &client->line, &error) == 0)
		return;
	client->line = NULL;
	client->address++;
	wait_and_ask(client, AGAIN_MS);
}

static void begin(struct client *client)
{
	struct population *population = client->population;
	static const enum operation_kind kinds[] = {
		OPERATION_GET, OPERATION_GET, OPERATION_GET, OPERATION_GET, OPERATION_PUT,
		OPERATION_PUT, OPERATION_PUT, OPERATION_CAS, OPERATION_CAS, OPERATION_DELETE,
	};
	size_t count = sizeof kinds / sizeof kinds[0];
	operation_draw(&client->operation, population,
	               client->starts_workflows ? OPERATION_START : kinds[random_below(&population->random, count)]);
	if (random_below(&population->random, WANDER) == 0) {
		drop_link(client);
		client->address = (size_t)random_below(&population->random, population->address_count);
	}
	population->busy++;
	client->sent = 0;
	client->operation.invoked_us = clock_us();
	client->give_up = now(client) + (random_below(&population->random, HASTY) == 0 ? HASTY_MS : OPERATION_MS);
	ask(client);
}

static void time_is_up(void *context)
{
	struct client *client = context;
	if (client->state == CLIENT_IDLE)
		begin(client);
	else if (client->state == CLIENT_ENDED)
		return;
	else if (now(client) >= client->give_up) {
		drop_link(client);
		client->address++;
		leave_unknown(client);
	} else if (client->state == CLIENT_WAITS)
		ask(client);
	else
		next_node(client);
}

/* --- its life ------------------------------------------------------------------------------------------------------ */

struct client *client_create(struct population *population, size_t address, bool starts_workflows)
{
	struct client *client = mem_zero(sizeof *client);
	client->population = population;
	client->address = address;
	client->starts_workflows = starts_workflows;
	client->number = population->next_client++;
	client->timer = loop_timer_create(population->loop, time_is_up, client);
	rest(client);
	return client;
}

void client_destroy(struct client *client)
{
	if (client == NULL)
		return;
	drop_link(client);
	loop_timer_destroy(client->timer);
	arena_finish(&client->arena);
	mem_free(client);
}

void client_end(struct client *client)
{
	assert(client->population->ending);
	if (client->state == CLIENT_IDLE)
		client->state = CLIENT_ENDED;
}
