#include "net/loop.h"

#include "base/error.h"
#include "base/memory.h"
#include "net/turn.h"

#include <event2/event.h>

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct turn_end {
	void (*call)(void *context);
	void *context;
};

TAILQ_HEAD(task_queue, loop_task);

struct loop {
	struct event_base *base;
	struct task_queue tasks[LOOP_PHASES];
	struct turn_end *turn_ends;
	size_t turn_end_count;
	size_t turn_end_capacity;
	struct buffer scratch;
	size_t object_count; /* timers, watches and signals that point to this loop */
	long long turn_started_us;
	long long longest_us;
	msec now;
	msec wall;
	bool in_turn;
	bool running;
	bool stopping;
};

struct loop_timer {
	struct loop *loop;
	struct event *event;
	loop_call *call;
	void *context;
	msec deadline;
};

struct loop_watch {
	struct loop *loop;
	struct event *read;
	struct event *write;
	loop_ready *ready;
	void *context;
	bool for_reading;
	bool for_writing;
};

struct loop_pause {
	struct loop *loop;
	struct loop_task work;
	struct loop_task done;
};

struct loop_signal {
	struct loop *loop;
	struct event *event;
	loop_call *call;
	void *context;
};

static long long clock_us(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time);
	return (long long)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* Neither descriptors nor memory of the kernel are left for the loop itself: nothing can go on without it. */
static void must(bool done, const char *what)
{
	if (!done) {
		fprintf(stderr, "event loop: cannot %s: %s\n", what, strerror(errno));
		abort();
	}
}

int loop_create(struct loop **ret_loop)
{
	struct event_config *config = event_config_new();
	must(config != NULL, "be configured");
	/* Deadlines are to the millisecond, and are computed here from the same clock. */
	event_config_set_flag(config,
	                      EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NO_CACHE_TIME | EVENT_BASE_FLAG_NOLOCK);
	struct event_base *base = event_base_new_with_config(config);
	event_config_free(config);
	if (base == NULL)
		return ERR_IO;
	/* A peer that has gone is an error of the write, on pipes too, where no flag can prevent the signal. */
	signal(SIGPIPE, SIG_IGN);
	struct loop *loop = mem_zero(sizeof *loop);
	loop->base = base;
	for (int i = 0; i < LOOP_PHASES; i++)
		TAILQ_INIT(&loop->tasks[i]);
	*ret_loop = loop;
	return 0;
}

void loop_destroy(struct loop *loop)
{
	if (loop == NULL)
		return;
	assert(!loop->running);
	assert(loop->object_count == 0);
	event_base_free(loop->base);
	buffer_finish(&loop->scratch);
	mem_free(loop->turn_ends);
	mem_free(loop);
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* Called before anything that is ready is told so. */
static void turn_begin(struct loop *loop)
{
	if (loop->in_turn)
		return;
	loop->in_turn = true;
	loop->turn_started_us = clock_us(CLOCK_MONOTONIC);
	loop->now = loop->turn_started_us / 1000;
	loop->wall = clock_us(CLOCK_REALTIME) / 1000;
}

msec loop_now(const struct loop *loop)
{
	return loop->in_turn ? loop->now : clock_us(CLOCK_MONOTONIC) / 1000;
}

msec loop_wall(const struct loop *loop)
{
	return loop->in_turn ? loop->wall : clock_us(CLOCK_REALTIME) / 1000;
}

long long loop_longest_stall_us(struct loop *loop)
{
	long long longest = loop->longest_us;
	loop->longest_us = 0;
	return longest;
}

/* --- turns -------------------------------------------------------------------------------------------------------- */

void loop_at_turn_end(struct loop *loop, void (*call)(void *context), void *context)
{
	mem_grow(loop->turn_ends, loop->turn_end_capacity, loop->turn_end_count + 1);
	loop->turn_ends[loop->turn_end_count++] = (struct turn_end){call, context};
}

void loop_forget_turn_end(struct loop *loop, void (*call)(void *context), void *context)
{
	size_t kept = 0;
	for (size_t i = 0; i < loop->turn_end_count; i++) {
		struct turn_end *end = &loop->turn_ends[i];
		if (end->call != call || end->context != context)
			loop->turn_ends[kept++] = *end;
	}
	loop->turn_end_count = kept;
}

void loop_task_queue(struct loop *loop, enum loop_phase phase, struct loop_task *task)
{
	if (task->queued)
		return;
	task->queued = true;
	TAILQ_INSERT_TAIL(&loop->tasks[phase], task, link);
}

void loop_task_cancel(struct loop *loop, enum loop_phase phase, struct loop_task *task)
{
	if (!task->queued)
		return;
	task->queued = false;
	TAILQ_REMOVE(&loop->tasks[phase], task, link);
}

static void run_task(struct loop *loop, enum loop_phase phase, struct loop_task *task)
{
	loop_task_cancel(loop, phase, task);
	task->call(task->context); /* may free the task */
}

/* Those queued up to now; what they queue themselves has to wait, or descriptors would starve. */
static void run_ready_tasks(struct loop *loop)
{
	size_t count = 0;
	struct loop_task *task;
	TAILQ_FOREACH(task, &loop->tasks[LOOP_READY], link)
		count++;
	while (count-- > 0 && (task = TAILQ_FIRST(&loop->tasks[LOOP_READY])) != NULL) {
		turn_begin(loop);
		run_task(loop, LOOP_READY, task);
	}
}

static void note_stall(struct loop *loop, long long began_us)
{
	long long took_us = clock_us(CLOCK_MONOTONIC) - began_us;
	if (took_us > loop->longest_us)
		loop->longest_us = took_us;
}

static void turn_finish(struct loop *loop)
{
	struct loop_task *task;
	for (size_t i = 0; i < loop->turn_end_count; i++)
		loop->turn_ends[i].call(loop->turn_ends[i].context);
	while ((task = TAILQ_FIRST(&loop->tasks[LOOP_FLUSH])) != NULL)
		run_task(loop, LOOP_FLUSH, task);
	note_stall(loop, loop->turn_started_us);
	loop->in_turn = false;
}

static void run_pauses(struct loop *loop)
{
	struct loop_task *task = TAILQ_FIRST(&loop->tasks[LOOP_PAUSE]);
	if (task == NULL)
		return;
	long long began_us = clock_us(CLOCK_MONOTONIC);
	for (; task != NULL; task = TAILQ_FIRST(&loop->tasks[LOOP_PAUSE])) {
		struct loop_pause *pause = task->context;
		loop_task_queue(loop, LOOP_READY, &pause->done);
		loop_task_cancel(loop, LOOP_PAUSE, task);
		task->call(pause->done.context);
	}
	note_stall(loop, began_us);
}

void loop_run(struct loop *loop)
{
	assert(!loop->running);
	loop->running = true;
	while (!loop->stopping) {
		bool waiting = false; /* for something that was queued outside a turn */
		for (int i = 0; i < LOOP_PHASES; i++)
			waiting = waiting || !TAILQ_EMPTY(&loop->tasks[i]);
		int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY | (waiting ? EVLOOP_NONBLOCK : 0);
		must(event_base_loop(loop->base, flags) >= 0, "wait");
		if (waiting)
			turn_begin(loop);
		run_ready_tasks(loop);
		if (loop->in_turn)
			turn_finish(loop);
		run_pauses(loop);
	}
	loop->stopping = false;
	loop->running = false;
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

struct buffer *loop_scratch(struct loop *loop)
{
	return &loop->scratch;
}

struct event_base *loop_base(struct loop *loop)
{
	return loop->base;
}

/* --- timers ------------------------------------------------------------------------------------------------------- */

static void timer_arm(struct loop_timer *timer)
{
	const msec farthest = 3600 * 1000;
	long long now_us = clock_us(CLOCK_MONOTONIC);
	/* A far deadline is reached in steps, so that no sum can overflow. */
	msec deadline = msec_earlier(timer->deadline, now_us / 1000 + farthest);
	long long wait_us = deadline > now_us / 1000 ? deadline * 1000 - now_us : 0;
	struct timeval wait = {.tv_sec = wait_us / 1000000, .tv_usec = wait_us % 1000000};
	must(event_add(timer->event, &wait) == 0, "arm a timer");
}

static void timer_fired(evutil_socket_t descriptor, short what, void *context)
{
	(void)descriptor;
	(void)what;
	struct loop_timer *timer = context;
	turn_begin(timer->loop);
	if (timer->loop->now < timer->deadline) {
		timer_arm(timer);
		return;
	}
	timer->deadline = MSEC_NEVER;
	timer->call(timer->context);
}

struct loop_timer *loop_timer_create(struct loop *loop, loop_call *call, void *context)
{
	struct loop_timer *timer = mem_zero(sizeof *timer);
	*timer = (struct loop_timer){.loop = loop, .call = call, .context = context, .deadline = MSEC_NEVER};
	timer->event = event_new(loop->base, -1, 0, timer_fired, timer);
	must(timer->event != NULL, "make a timer");
	loop->object_count++;
	return timer;
}

void loop_timer_destroy(struct loop_timer *timer)
{
	if (timer == NULL)
		return;
	timer->loop->object_count--;
	event_free(timer->event);
	mem_free(timer);
}

void loop_timer_set(struct loop_timer *timer, msec deadline)
{
	if (timer->deadline == deadline)
		return;
	timer->deadline = deadline;
	if (deadline == MSEC_NEVER)
		event_del(timer->event);
	else
		timer_arm(timer);
}

/* --- descriptors -------------------------------------------------------------------------------------------------- */

static void watch_fired(evutil_socket_t descriptor, short what, void *context)
{
	(void)descriptor;
	struct loop_watch *watch = context;
	turn_begin(watch->loop);
	watch->ready(watch->context, (what & EV_READ) != 0, (what & EV_WRITE) != 0);
}

struct loop_watch *loop_watch_create(struct loop *loop, int descriptor, loop_ready *ready, void *context)
{
	assert(descriptor >= 0);
	struct loop_watch *watch = mem_zero(sizeof *watch);
	*watch = (struct loop_watch){.loop = loop, .ready = ready, .context = context};
	/* Two events: switching one of them on or off is one change at the kernel, not a removal and an addition. */
	watch->read = event_new(loop->base, descriptor, EV_READ | EV_PERSIST, watch_fired, watch);
	watch->write = event_new(loop->base, descriptor, EV_WRITE | EV_PERSIST, watch_fired, watch);
	must(watch->read != NULL && watch->write != NULL, "watch a descriptor");
	loop->object_count++;
	return watch;
}

static void event_switch(struct event *event, bool *state, bool on)
{
	if (*state == on)
		return;
	*state = on;
	must((on ? event_add(event, NULL) : event_del(event)) == 0, "watch a descriptor");
}

void loop_watch_set(struct loop_watch *watch, bool for_reading, bool for_writing)
{
	event_switch(watch->read, &watch->for_reading, for_reading);
	event_switch(watch->write, &watch->for_writing, for_writing);
}

void loop_watch_destroy(struct loop_watch *watch)
{
	if (watch == NULL)
		return;
	watch->loop->object_count--;
	event_free(watch->read);
	event_free(watch->write);
	mem_free(watch);
}

/* --- pauses ------------------------------------------------------------------------------------------------------- */

struct loop_pause *loop_pause_create(struct loop *loop, loop_call *work, loop_call *done, void *context)
{
	struct loop_pause *pause = mem_zero(sizeof *pause);
	*pause = (struct loop_pause){
		.loop = loop,
		.work = {.call = work, .context = pause},
		.done = {.call = done, .context = context},
	};
	loop->object_count++;
	return pause;
}

void loop_pause_ask(struct loop_pause *pause)
{
	loop_task_queue(pause->loop, LOOP_PAUSE, &pause->work);
}

void loop_pause_destroy(struct loop_pause *pause)
{
	if (pause == NULL)
		return;
	pause->loop->object_count--;
	loop_task_cancel(pause->loop, LOOP_PAUSE, &pause->work);
	loop_task_cancel(pause->loop, LOOP_READY, &pause->done);
	mem_free(pause);
}

/* --- signals ------------------------------------------------------------------------------------------------------ */

static void signal_fired(evutil_socket_t number, short what, void *context)
{
	(void)number;
	(void)what;
	struct loop_signal *signal = context;
	turn_begin(signal->loop);
	signal->call(signal->context);
}

struct loop_signal *loop_signal_create(struct loop *loop, int number, loop_call *call, void *context)
{
	struct loop_signal *signal = mem_zero(sizeof *signal);
	*signal = (struct loop_signal){.loop = loop, .call = call, .context = context};
	signal->event = evsignal_new(loop->base, number, signal_fired, signal);
	must(signal->event != NULL && event_add(signal->event, NULL) == 0, "watch for a signal");
	loop->object_count++;
	return signal;
}

void loop_signal_destroy(struct loop_signal *signal)
{
	if (signal == NULL)
		return;
	signal->loop->object_count--;
	event_free(signal->event);
	mem_free(signal);
}
