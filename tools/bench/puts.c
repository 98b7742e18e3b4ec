#include "puts.h"

#include "base/arena.h"
#include "base/memory.h"
#include "base/random.h"
#include "line.h"
#include "net/loop.h"
#include "process.h"
#include "wire/message.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RETRY_MS 20
#define LATENCIES_MAX 8000000
#define PATIENCE_MS 30000 /* without an answer */

enum phase { PHASE_OPENING, PHASE_WARMING, PHASE_MEASURING, PHASE_ENDED };

struct load;

struct putter {
	struct load *load;
	struct line *line;       /* NULL: to be made */
	struct line *ended_line; /* to be released outside of its calls */
	size_t address;
	bool open;
	bool asked;
	uint64_t session;
	uint64_t sequence;
	double since_us;
	char key[PUTS_KEY_SIZE + 1];
};

struct load {
	const struct puts_plan *plan;
	struct puts_report *report;
	struct error *error;
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_timer *retry_timer;
	bool retrying;
	enum phase phase;
	struct random random;
	struct putter *putters;
	uint32_t sessions; /* that are open */
	char *value;
	double begin_us;
	double last_us; /* when a put was answered last */
	double own_cpu_begin_us;
	float *latencies;
	size_t latency_count;
	size_t latency_capacity;
	struct arena arena;
};

static void fail(struct load *load, int code, const char *text)
{
	if (load->error->code == 0)
		error_set(load->error, code, "%s", text);
	loop_stop(load->loop);
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

static void ask_session(struct putter *putter)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__OpenSession body = CLUSTERD__WIRE__OPEN_SESSION__INIT;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION;
	request.open_session = &body;
	line_send(putter->line, FRAME_REQUEST, 1, &request.base, SLICE(""));
}

static void ask_put(struct putter *putter)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Put body = CLUSTERD__WIRE__PUT__INIT;
	body.key = putter->key;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_PUT;
	request.put = &body;
	request.session = putter->session;
	request.sequence = putter->sequence;
	request.answered_below = putter->sequence;
	struct slice value = {putter->load->value, putter->load->plan->value_size};
	line_send(putter->line, FRAME_REQUEST, 1, &request.base, value);
}

static void ask(struct putter *putter)
{
	putter->asked = true;
	if (putter->session == 0)
		ask_session(putter);
	else
		ask_put(putter);
}

static void next_put(struct putter *putter)
{
	struct load *load = putter->load;
	uint64_t number = random_below(&load->random, load->plan->keys);
	/* Spread over all keys, and the same key for the same number. */
	struct random spread = {number};
	uint64_t first = random_next(&spread);
	snprintf(putter->key, sizeof putter->key, "%016" PRIx64 "%016" PRIx64, first, random_next(&spread));
	putter->sequence++;
	putter->since_us = clock_us();
	ask(putter);
}

/* --- phases -------------------------------------------------------------------------------------------------------- */

static void begin_measuring(struct load *load)
{
	load->phase = PHASE_MEASURING;
	load->plan->mark(load->plan->context, false);
	load->own_cpu_begin_us = process_cpu_us(getpid());
	load->begin_us = load->last_us = clock_us();
	loop_timer_set(load->timer, loop_now(load->loop) + load->plan->duration);
}

static void end_measuring(struct load *load)
{
	double now = clock_us();
	load->phase = PHASE_ENDED;
	load->report->seconds = (now - load->begin_us) / 1e6;
	if (now - load->last_us > load->report->gap_us)
		load->report->gap_us = now - load->last_us;
	load->report->own_cpu_us = process_cpu_us(getpid()) - load->own_cpu_begin_us;
	load->plan->mark(load->plan->context, true);
	loop_stop(load->loop);
}

static void time_is_up(void *context)
{
	struct load *load = context;
	if (load->phase == PHASE_OPENING)
		fail(load, ERR_TIMEOUT, "not all connections have got a session in time");
	else if (load->phase == PHASE_WARMING)
		begin_measuring(load);
	else
		end_measuring(load);
}

static void session_is_open(struct putter *putter)
{
	struct load *load = putter->load;
	load->sessions++;
	if (load->sessions == load->plan->connections) {
		load->phase = PHASE_WARMING;
		loop_timer_set(load->timer, loop_now(load->loop) + load->plan->warm_up);
	}
	next_put(putter);
}

static void put_is_done(struct putter *putter)
{
	struct load *load = putter->load;
	double now = clock_us();
	if (load->phase == PHASE_MEASURING) {
		load->report->finished++;
		if (now - load->last_us > load->report->gap_us)
			load->report->gap_us = now - load->last_us;
		if (load->latency_count < LATENCIES_MAX) {
			mem_grow(load->latencies, load->latency_capacity, load->latency_count + 1);
			load->latencies[load->latency_count++] = (float)(now - putter->since_us);
		}
	}
	load->last_us = now;
	next_put(putter);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static void retry_soon(struct load *load)
{
	if (load->retrying)
		return;
	load->retrying = true;
	loop_timer_set(load->retry_timer, loop_now(load->loop) + RETRY_MS);
}

static void take_response(struct putter *putter, const Clusterd__Wire__Response *response)
{
	struct load *load = putter->load;
	int code = response->error != NULL ? response->error->code : 0;
	putter->asked = false;
	if (code == ERR_BUSY || code == ERR_NOT_LEADER || code == ERR_CLOSED || code == ERR_TIMEOUT) {
		load->report->busy += load->phase == PHASE_MEASURING;
		retry_soon(load);
	} else if (code != 0) {
		fail(load, code, response->error->text);
	} else if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_OPENED) {
		putter->session = response->opened->session;
		session_is_open(putter);
	} else {
		put_is_done(putter);
	}
}

static void take_frame(void *context, const struct frame *frame)
{
	struct putter *putter = context;
	struct load *load = putter->load;
	ProtobufCMessage *message;
	struct error error;
	if (frame->type != FRAME_RESPONSE)
		return;
	if (message_unpack(&clusterd__wire__response__descriptor, frame->message, &load->arena, &message, &error) != 0)
		fail(load, error.code, error.text);
	else
		take_response(putter, (const Clusterd__Wire__Response *)message);
	arena_reset(&load->arena);
}

static void line_is_open(void *context)
{
	struct putter *putter = context;
	putter->open = true;
	ask(putter);
}

static void line_has_ended(void *context, const struct error *reason)
{
	struct putter *putter = context;
	(void)reason;
	putter->load->report->lost += putter->load->phase == PHASE_MEASURING;
	putter->ended_line = putter->line;
	putter->line = NULL;
	putter->open = false;
	putter->asked = false;
	putter->address++;
	retry_soon(putter->load);
}

static const struct line_handler handler = {line_is_open, take_frame, line_has_ended};

static void connect_putter(struct putter *putter)
{
	struct load *load = putter->load;
	struct error error;
	const char *address = load->plan->addresses[putter->address % load->plan->address_count];
	line_destroy(putter->ended_line);
	putter->ended_line = NULL;
	if (line_create(load->loop, address, CLUSTERD__WIRE__ROLE__ROLE_CLIENT, &handler, putter, &putter->line, &error) == 0)
		return;
	putter->line = NULL;
	putter->address++;
	retry_soon(load);
}

static void retry(void *context)
{
	struct load *load = context;
	load->retrying = false;
	if (clock_us() - load->last_us > PATIENCE_MS * 1e3) {
		fail(load, ERR_TIMEOUT, "no put has been answered for half a minute");
		return;
	}
	for (uint32_t i = 0; i < load->plan->connections; i++) {
		struct putter *putter = &load->putters[i];
		if (putter->line == NULL)
			connect_putter(putter);
		else if (putter->open && !putter->asked)
			ask(putter);
	}
}

/* --- all of it ----------------------------------------------------------------------------------------------------- */

static int compare_latencies(const void *left, const void *right)
{
	float a = *(const float *)left;
	float b = *(const float *)right;
	return (a > b) - (a < b);
}

static double percentile(const struct load *load, double share)
{
	size_t at = (size_t)(share * (double)load->latency_count);
	if (load->latency_count == 0)
		return 0;
	return (double)load->latencies[at < load->latency_count ? at : load->latency_count - 1];
}

static void tell(struct load *load)
{
	if (load->latency_count != 0)
		qsort(load->latencies, load->latency_count, sizeof *load->latencies, compare_latencies);
	load->report->p50_us = percentile(load, 0.50);
	load->report->p99_us = percentile(load, 0.99);
	load->report->max_us = percentile(load, 1);
}

static void begin(struct load *load)
{
	const struct puts_plan *plan = load->plan;
	load->random = (struct random){(uint64_t)getpid() << 32 | (uint64_t)clock_us()};
	load->value = mem_zero(plan->value_size);
	memset(load->value, 'v', plan->value_size);
	load->putters = mem_array(plan->connections, sizeof *load->putters);
	load->timer = loop_timer_create(load->loop, time_is_up, load);
	load->retry_timer = loop_timer_create(load->loop, retry, load);
	load->last_us = clock_us();
	loop_timer_set(load->timer, loop_now(load->loop) + PATIENCE_MS);
	for (uint32_t i = 0; i < plan->connections; i++) {
		load->putters[i] = (struct putter){.load = load, .address = i};
		connect_putter(&load->putters[i]);
	}
}

static void end(struct load *load)
{
	for (uint32_t i = 0; i < load->plan->connections; i++) {
		line_destroy(load->putters[i].line);
		line_destroy(load->putters[i].ended_line);
	}
	loop_timer_destroy(load->timer);
	loop_timer_destroy(load->retry_timer);
	loop_destroy(load->loop);
	arena_finish(&load->arena);
	mem_free(load->latencies);
	mem_free(load->putters);
	mem_free(load->value);
}

int puts_run(const struct puts_plan *plan, struct puts_report *ret_report, struct error *error)
{
	struct load load = {.plan = plan, .report = ret_report, .error = error};
	assert(plan->connections > 0 && plan->address_count > 0 && plan->keys > 0 && plan->duration > 0);
	*ret_report = (struct puts_report){0};
	error->code = 0;
	if (loop_create(&load.loop) != 0)
		return error_set(error, ERR_IO, "the event loop cannot be made");
	begin(&load);
	loop_run(load.loop);
	tell(&load);
	end(&load);
	return error->code;
}
