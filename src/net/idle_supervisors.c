/* Supervisors that have ended their task, and wait on the connection that they were given for another order: a few, for a moment.
 * Closing the connection ends one. */
#include "net/rights.h"
#include "net/supervisor_internal.h"

#include "base/memory.h"

#include <string.h>
#include <unistd.h>

#define IDLE_MAX 8
#define IDLE_MS 1000

struct idle {
	int connection;
	msec since;
};

struct idle_supervisors {
	struct loop *loop;
	struct loop_timer *timer;
	struct idle list[IDLE_MAX]; /* the newest last */
	int count;
};

/* The oldest ones. */
static void dismiss(struct idle_supervisors *idle, int count)
{
	for (int i = 0; i < count; i++)
		close(idle->list[i].connection);
	idle->count -= count;
	memmove(idle->list, idle->list + count, (size_t)idle->count * sizeof *idle->list);
}

static void on_time(void *context)
{
	struct idle_supervisors *idle = context;
	int count = 0;
	while (count < idle->count && loop_now(idle->loop) - idle->list[count].since >= IDLE_MS)
		count++;
	dismiss(idle, count);
	if (idle->count > 0)
		loop_timer_set(idle->timer, idle->list[0].since + IDLE_MS);
}

struct idle_supervisors *idle_supervisors_create(struct loop *loop)
{
	struct idle_supervisors *idle = mem_zero(sizeof *idle);
	idle->loop = loop;
	idle->timer = loop_timer_create(loop, on_time, idle);
	return idle;
}

void idle_supervisors_destroy(struct idle_supervisors *idle)
{
	dismiss(idle, idle->count);
	loop_timer_destroy(idle->timer);
	mem_free(idle);
}

void idle_supervisors_add(struct idle_supervisors *idle, int take_connection)
{
	msec now = loop_now(idle->loop);
	if (idle->count == IDLE_MAX)
		dismiss(idle, 1);
	if (idle->count == 0)
		loop_timer_set(idle->timer, now + IDLE_MS);
	idle->list[idle->count++] = (struct idle){take_connection, now};
}

int idle_supervisors_take(struct idle_supervisors *idle, int order)
{
	while (idle->count > 0) {
		int connection = idle->list[--idle->count].connection;
		if (rights_send(connection, SUPERVISOR_NEXT, &order, 1) == 0)
			return connection;
		close(connection);
	}
	return -1;
}
