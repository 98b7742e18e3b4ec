#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "input.h"
#include "line.h"
#include "net/loop.h"
#include "process.h"
#include "wire/message.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* clusterd-members: asks many nodes all the while whom they see, and tells how long until all see the same change. membership.sh makes
 * the changes. */

#define OBSERVERS_MAX 64
#define NAME_MAX_SIZE 64
#define LOOK_MS 5
#define TOO_LONG_US 60e6

static const char usage[] =
	"usage: clusterd-members < LINES\n"
	"\n"
	"  node NAME ADDRESS   from now on this node is asked, too (at most 64)\n"
	"  kill PID NAME       kills it; prints after how many milliseconds the first and the last of the others have it as failed\n"
	"  join NAME           the same, from now on, until the others have it as alive\n";

struct observer {
	struct watcher *watcher;
	char name[NAME_MAX_SIZE];
	char *address;
	struct line *line;
	struct line *ended_line; /* to be released outside of its calls */
	bool open;
	bool asked;
	bool sees;
};

struct watcher {
	struct loop *loop;
	struct loop_timer *timer;
	struct input *input;
	struct observer observers[OBSERVERS_MAX];
	size_t count;
	char subject[NAME_MAX_SIZE]; /* of the change; empty: none */
	const char *state;           /* that it is to have */
	double since_us;
	double first_us;
	struct arena arena;
	int code;
};

static void fail(struct watcher *watcher, const char *text)
{
	fprintf(stderr, "clusterd-members: %s\n", text);
	watcher->code = 1;
	loop_stop(watcher->loop);
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

/* Whether the list, a JSON array of objects, has the subject in the state. */
static bool shows(const struct watcher *watcher, struct slice list)
{
	char name[NAME_MAX_SIZE + 16];
	char state[64];
	snprintf(name, sizeof name, "\"name\":\"%s\"", watcher->subject);
	snprintf(state, sizeof state, "\"state\":\"%s\"", watcher->state);
	const char *found = memmem(list.data, list.size, name, strlen(name));
	if (found == NULL)
		return false;
	size_t rest = list.size - (size_t)(found - list.data);
	const char *told = memmem(found, rest, "\"state\":", 8);
	return told != NULL && (size_t)(list.data + list.size - told) >= strlen(state) && memcmp(told, state, strlen(state)) == 0;
}

static void look_whether_all(struct watcher *watcher)
{
	double now = clock_us() - watcher->since_us;
	for (size_t i = 0; i < watcher->count; i++) {
		if (!watcher->observers[i].sees && strcmp(watcher->observers[i].name, watcher->subject) != 0)
			return;
	}
	printf("%.0f %.0f\n", watcher->first_us / 1e3, now / 1e3);
	fflush(stdout);
	watcher->subject[0] = '\0';
}

static void take_frame(void *context, const struct frame *frame)
{
	struct observer *observer = context;
	struct watcher *watcher = observer->watcher;
	if (frame->type != FRAME_RESPONSE)
		return;
	observer->asked = false;
	if (watcher->subject[0] == '\0' || observer->sees || !shows(watcher, frame->payload))
		return;
	observer->sees = true;
	if (watcher->first_us == 0)
		watcher->first_us = clock_us() - watcher->since_us;
	look_whether_all(watcher);
}

static void line_is_open(void *context)
{
	((struct observer *)context)->open = true;
}

static void line_has_ended(void *context, const struct error *reason)
{
	struct observer *observer = context;
	(void)reason;
	observer->ended_line = observer->line;
	observer->line = NULL;
	observer->open = observer->asked = false;
}

static const struct line_handler handler = {line_is_open, take_frame, line_has_ended};

static void ask(struct observer *observer)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Members members = CLUSTERD__WIRE__MEMBERS__INIT;
	struct error error;
	if (observer->line == NULL) {
		line_destroy(observer->ended_line);
		observer->ended_line = NULL;
		if (line_create(observer->watcher->loop, observer->address, CLUSTERD__WIRE__ROLE__ROLE_CLIENT, &handler, observer,
		                &observer->line, &error) != 0)
			observer->line = NULL;
		return;
	}
	if (!observer->open || observer->asked)
		return;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_MEMBERS;
	request.members = &members;
	observer->asked = true;
	line_send(observer->line, FRAME_REQUEST, 1, &request.base, SLICE(""));
}

static void tick(void *context)
{
	struct watcher *watcher = context;
	loop_timer_set(watcher->timer, loop_now(watcher->loop) + LOOK_MS);
	for (size_t i = 0; i < watcher->count; i++)
		ask(&watcher->observers[i]);
	if (watcher->subject[0] != '\0' && clock_us() - watcher->since_us > TOO_LONG_US)
		fail(watcher, "not all have seen it within a minute");
}

/* --- what happens -------------------------------------------------------------------------------------------------- */

static void await(struct watcher *watcher, const char *name, const char *state)
{
	snprintf(watcher->subject, sizeof watcher->subject, "%s", name);
	watcher->state = state;
	watcher->since_us = clock_us();
	watcher->first_us = 0;
	for (size_t i = 0; i < watcher->count; i++)
		watcher->observers[i].sees = false;
}

static void observe(struct watcher *watcher, const char *name, const char *address)
{
	size_t at = 0;
	while (at < watcher->count && strcmp(watcher->observers[at].name, name) != 0)
		at++;
	struct observer *observer = &watcher->observers[at];
	if (at == OBSERVERS_MAX) {
		fail(watcher, "too many nodes");
		return;
	}
	watcher->count += at == watcher->count;
	observer->watcher = watcher;
	snprintf(observer->name, sizeof observer->name, "%s", name);
	mem_free(observer->address);
	observer->address = mem_string(address);
}

static void take_line(void *context, char *line)
{
	struct watcher *watcher = context;
	char *rest = line;
	const char *verb = strsep(&rest, " ");
	const char *first = strsep(&rest, " ");
	const char *second = strsep(&rest, " ");
	if (strcmp(verb, "node") == 0 && second != NULL) {
		observe(watcher, first, second);
	} else if (strcmp(verb, "join") == 0 && first != NULL) {
		await(watcher, first, "alive");
	} else if (strcmp(verb, "kill") == 0 && second != NULL) {
		if (kill((pid_t)atoi(first), SIGKILL) != 0)
			fail(watcher, strerror(errno));
		await(watcher, second, "failed");
	} else {
		fail(watcher, "a line that is none of node, join, kill");
	}
}

int main(int count, char **words)
{
	static struct watcher watcher;
	(void)words;
	if (count > 1)
		return fputs(usage, stdout), 0;
	if (loop_create(&watcher.loop) != 0)
		return 1;
	watcher.timer = loop_timer_create(watcher.loop, tick, &watcher);
	watcher.input = input_create(watcher.loop, take_line, &watcher);
	tick(&watcher);
	loop_run(watcher.loop);
	for (size_t i = 0; i < watcher.count; i++) {
		line_destroy(watcher.observers[i].line);
		line_destroy(watcher.observers[i].ended_line);
		mem_free(watcher.observers[i].address);
	}
	input_destroy(watcher.input);
	loop_timer_destroy(watcher.timer);
	loop_destroy(watcher.loop);
	return watcher.code;
}
