#include "load.h"

#include "base/arena.h"
#include "base/memory.h"
#include "line.h"
#include "net/loop.h"
#include "process.h"
#include "wire/message.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#define STREAM_SESSION 1
#define STREAM_STATUS 2
#define STREAM_FIRST 3 /* of the slots */
#define LOOK_MS 20     /* between looks at the length of the log */
#define EXTEND_MS 50
#define LATENCIES_MAX 4000000

enum phase { PHASE_OPENING, PHASE_WARMING, PHASE_MEASURING, PHASE_ENDING };

struct slot {
	uint64_t sequence;
	double since_us;
	bool refused; /* busy: to be asked again */
	TAILQ_ENTRY(slot) line;
};

struct load {
	const struct load_plan *plan;
	struct load_report *report;
	struct error *error;
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_timer *retry_timer;
	struct loop_timer *look_timer;
	struct line *line;
	enum phase phase;
	uint64_t session;
	uint64_t sequence;
	uint64_t answered;
	struct slot *slots;
	TAILQ_HEAD(slot_list, slot) open; /* by sequence: the head is the lowest without an answer */
	bool status_asked;
	bool want_before;
	double begin_us;
	double own_cpu_begin_us;
	float *latencies;
	size_t latency_count;
	size_t latency_capacity;
};

static void stop(struct load *load)
{
	loop_stop(load->loop);
}

static void fail(struct load *load, int code, const char *text)
{
	if (load->error->code == 0)
		error_set(load->error, code, "%s", text);
	stop(load);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void ask_session(struct load *load)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__OpenSession body = CLUSTERD__WIRE__OPEN_SESSION__INIT;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION;
	request.open_session = &body;
	line_send(load->line, FRAME_REQUEST, STREAM_SESSION, &request.base, SLICE(""));
}

static void ask_status(struct load *load)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Status body = CLUSTERD__WIRE__STATUS__INIT;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_STATUS;
	request.status = &body;
	load->status_asked = true;
	line_send(load->line, FRAME_REQUEST, STREAM_STATUS, &request.base, SLICE(""));
}

static void ask_start(struct load *load, const struct slot *slot)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Start body = CLUSTERD__WIRE__START__INIT;
	body.process = (char *)(uintptr_t)load->plan->workflow;
	body.wait = !load->plan->detached;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_START;
	request.start = &body;
	request.session = load->session;
	request.sequence = slot->sequence;
	request.answered_below = TAILQ_FIRST(&load->open)->sequence;
	uint32_t stream = STREAM_FIRST + (uint32_t)(slot - load->slots);
	line_send(load->line, FRAME_REQUEST, stream, &request.base, load->plan->args);
}

static void start_next(struct load *load, struct slot *slot)
{
	if (load->phase == PHASE_ENDING || (load->plan->count != 0 && load->sequence == load->plan->count))
		return;
	slot->sequence = ++load->sequence;
	slot->since_us = clock_us();
	TAILQ_INSERT_TAIL(&load->open, slot, line);
	ask_start(load, slot);
}

static void ask_again(void *context)
{
	struct load *load = context;
	struct slot *slot;
	TAILQ_FOREACH(slot, &load->open, line) {
		if (!slot->refused)
			continue;
		slot->refused = false;
		ask_start(load, slot);
	}
}

/* --- phases ------------------------------------------------------------------------------------------------------- */

static void mark(struct load *load, bool is_end)
{
	if (load->plan->mark != NULL)
		load->plan->mark(load->plan->context, is_end);
}

static void begin_measuring(struct load *load)
{
	load->phase = PHASE_MEASURING;
	load->want_before = true;
	ask_status(load);
	mark(load, false);
	load->own_cpu_begin_us = process_cpu_us(getpid());
	load->begin_us = clock_us();
	if (load->plan->duration != 0)
		loop_timer_set(load->timer, loop_now(load->loop) + load->plan->duration);
}

static void end_measuring(struct load *load)
{
	load->phase = PHASE_ENDING;
	load->report->seconds = (clock_us() - load->begin_us) / 1e6;
	load->report->own_cpu_us = process_cpu_us(getpid()) - load->own_cpu_begin_us;
	mark(load, true);
	ask_status(load);
}

static void time_is_up(void *context)
{
	struct load *load = context;
	if (load->phase == PHASE_WARMING) {
		begin_measuring(load);
	} else if (load->phase == PHASE_MEASURING) {
		bool patient = clock_us() - load->begin_us < (double)load->plan->patience * 1e3;
		if (load->report->finished < load->plan->in_flight && patient)
			loop_timer_set(load->timer, loop_now(load->loop) + EXTEND_MS);
		else
			end_measuring(load);
	}
}

static void look(void *context)
{
	struct load *load = context;
	if (load->phase == PHASE_MEASURING && !load->status_asked)
		ask_status(load);
}

static void go(struct load *load)
{
	load->phase = PHASE_WARMING;
	if (load->plan->warm_up != 0)
		loop_timer_set(load->timer, loop_now(load->loop) + load->plan->warm_up);
	else
		begin_measuring(load);
	for (uint32_t i = 0; i < load->plan->in_flight; i++)
		start_next(load, &load->slots[i]);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void take_status(struct load *load, struct slice json)
{
	struct status status;
	load->status_asked = false;
	if (status_parse(json, &status, load->error) != 0) {
		stop(load);
	} else if (load->want_before) {
		load->want_before = false;
		load->report->before = status;
		if (load->phase == PHASE_ENDING)
			ask_status(load);
	} else if (load->phase == PHASE_ENDING) {
		load->report->after = status;
		stop(load);
	} else if (load->plan->until_index != 0 && status.last_index >= load->plan->until_index) {
		end_measuring(load);
	}
	if (load->plan->until_index != 0)
		loop_timer_set(load->look_timer, loop_now(load->loop) + LOOK_MS);
}

static void take_finished(struct load *load, struct slot *slot, const Clusterd__Wire__Response *response)
{
	if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_FINISHED &&
	    !slice_is(slice_of(response->finished->state), "completed")) {
		fail(load, ERR_CONFLICT, response->finished->error);
		return;
	}
	if (load->phase == PHASE_MEASURING) {
		load->report->finished++;
		if (load->latency_count < LATENCIES_MAX) {
			mem_grow(load->latencies, load->latency_capacity, load->latency_count + 1);
			load->latencies[load->latency_count++] = (float)(clock_us() - slot->since_us);
		}
	}
	TAILQ_REMOVE(&load->open, slot, line);
	load->answered++;
	if (load->plan->count != 0 && load->answered == load->plan->count)
		end_measuring(load);
	else
		start_next(load, slot);
}

static void take_response(struct load *load, uint32_t stream, const Clusterd__Wire__Response *response,
                          struct slice payload)
{
	bool is_slot = stream >= STREAM_FIRST && stream - STREAM_FIRST < load->plan->in_flight;
	if (is_slot && response->error != NULL && response->error->code == ERR_BUSY) {
		load->report->busy++;
		load->slots[stream - STREAM_FIRST].refused = true;
		loop_timer_set(load->retry_timer, loop_now(load->loop) + response->error->retry_after_ms + 1);
	} else if (response->error != NULL && response->error->code != 0) {
		fail(load, response->error->code, response->error->text);
	} else if (is_slot) {
		take_finished(load, &load->slots[stream - STREAM_FIRST], response);
	} else if (stream == STREAM_STATUS) {
		take_status(load, payload);
	} else if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_OPENED) {
		load->session = response->opened->session;
		go(load);
	}
}

static void take_frame(void *context, const struct frame *frame)
{
	struct load *load = context;
	struct arena arena = {0};
	ProtobufCMessage *message;
	struct error error;
	if (frame->type != FRAME_RESPONSE)
		return;
	if (message_unpack(&clusterd__wire__response__descriptor, frame->message, &arena, &message, &error) != 0)
		fail(load, error.code, error.text);
	else
		take_response(load, frame->stream, (const Clusterd__Wire__Response *)message, frame->payload);
	arena_finish(&arena);
}

static void line_is_open(void *context)
{
	ask_session(context);
}

static void line_has_ended(void *context, const struct error *reason)
{
	fail(context, reason->code, reason->text);
}

static const struct line_handler handler = {line_is_open, take_frame, line_has_ended};

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static int compare_latencies(const void *left, const void *right)
{
	float a = *(const float *)left;
	float b = *(const float *)right;
	return (a > b) - (a < b);
}

/* The smallest that is not below `share` of all. */
static double percentile(const struct load *load, double share)
{
	size_t at = (size_t)(share * (double)load->latency_count);
	if (load->latency_count == 0)
		return 0;
	return (double)load->latencies[at < load->latency_count ? at : load->latency_count - 1];
}

int load_run(const struct load_plan *plan, struct load_report *ret_report, struct error *error)
{
	struct load load = {.plan = plan, .report = ret_report, .error = error};
	assert(plan->in_flight > 0 && (plan->duration != 0 || plan->count != 0 || plan->until_index != 0));
	*ret_report = (struct load_report){0};
	error->code = 0;
	if (loop_create(&load.loop) != 0)
		return error_set(error, ERR_IO, "the event loop cannot be made");
	TAILQ_INIT(&load.open);
	load.slots = mem_array(plan->in_flight, sizeof *load.slots);
	load.timer = loop_timer_create(load.loop, time_is_up, &load);
	load.retry_timer = loop_timer_create(load.loop, ask_again, &load);
	load.look_timer = loop_timer_create(load.loop, look, &load);
	if (line_create(load.loop, node_address(plan->node), CLUSTERD__WIRE__ROLE__ROLE_CLIENT, &handler, &load,
	                &load.line, error) == 0)
		loop_run(load.loop);
	if (error->code == ERR_CLOSED)
		node_has_ended(plan->node, error);
	if (load.latency_count != 0)
		qsort(load.latencies, load.latency_count, sizeof *load.latencies, compare_latencies);
	ret_report->p50_us = percentile(&load, 0.50);
	ret_report->p99_us = percentile(&load, 0.99);
	line_destroy(load.line);
	loop_timer_destroy(load.timer);
	loop_timer_destroy(load.retry_timer);
	loop_timer_destroy(load.look_timer);
	loop_destroy(load.loop);
	mem_free(load.latencies);
	mem_free(load.slots);
	return error->code;
}
