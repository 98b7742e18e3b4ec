/* Who begins when: tasks that could begin all wait in one line, and few of them are being started at any time. A start costs a processor
 * some milliseconds; a thousand of them at once would leave the node itself, which answers to others, one share in a thousand. */
#include "daemon/allocations_internal.h"

#include "base/memory.h"

#define SLOW_MS 1000 /* a start that takes longer (a file system that does not answer) does not hold up the others */

struct task_starts {
	struct loop *loop;
	uint32_t limit;
	uint32_t count; /* in `going` */
	struct task_start_queue line;
	struct task_start_queue going; /* the oldest first */
	struct loop_timer *soon;
	struct loop_timer *slow;
	void (*begin)(void *context, struct task_start *start);
	void *context;
};

static void take_out(struct task_starts *starts, struct task_start *start)
{
	if (start->place == TASK_START_WAITS)
		TAILQ_REMOVE(&starts->line, start, link);
	if (start->place == TASK_START_GOES) {
		TAILQ_REMOVE(&starts->going, start, link);
		starts->count--;
	}
	start->place = TASK_START_NONE;
}

static void look_soon(struct task_starts *starts)
{
	if (!TAILQ_EMPTY(&starts->line) && starts->count < starts->limit)
		loop_timer_set(starts->soon, loop_now(starts->loop));
}

static void on_soon(void *context)
{
	struct task_starts *starts = context;
	struct task_start *start;
	while (starts->count < starts->limit && (start = TAILQ_FIRST(&starts->line)) != NULL) {
		take_out(starts, start);
		start->place = TASK_START_GOES;
		start->since = loop_now(starts->loop);
		TAILQ_INSERT_TAIL(&starts->going, start, link);
		starts->count++;
		starts->begin(starts->context, start);
	}
	if (!TAILQ_EMPTY(&starts->line))
		loop_timer_set(starts->slow, TAILQ_FIRST(&starts->going)->since + SLOW_MS);
}

static void on_slow(void *context)
{
	struct task_starts *starts = context;
	struct task_start *oldest;
	while ((oldest = TAILQ_FIRST(&starts->going)) != NULL &&
	       loop_now(starts->loop) - oldest->since >= SLOW_MS)
		take_out(starts, oldest);
	on_soon(starts);
}

struct task_starts *task_starts_create(struct loop *loop, uint32_t limit,
                                       void (*begin)(void *context, struct task_start *start), void *context)
{
	struct task_starts *starts = mem_zero(sizeof *starts);
	starts->loop = loop;
	starts->limit = limit;
	starts->begin = begin;
	starts->context = context;
	starts->soon = loop_timer_create(loop, on_soon, starts);
	starts->slow = loop_timer_create(loop, on_slow, starts);
	TAILQ_INIT(&starts->line);
	TAILQ_INIT(&starts->going);
	return starts;
}

void task_starts_destroy(struct task_starts *starts)
{
	if (starts == NULL)
		return;
	loop_timer_destroy(starts->soon);
	loop_timer_destroy(starts->slow);
	mem_free(starts);
}

void task_starts_add(struct task_starts *starts, struct task_start *start)
{
	if (start->place != TASK_START_NONE)
		return;
	start->place = TASK_START_WAITS;
	TAILQ_INSERT_TAIL(&starts->line, start, link);
	look_soon(starts);
}

void task_starts_done(struct task_starts *starts, struct task_start *start)
{
	take_out(starts, start);
	look_soon(starts);
}
