#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "input.h"
#include "line.h"
#include "net/loop.h"
#include "process.h"
#include "wire/message.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* clusterd-failover: one client that puts, one put after the other, and knows all nodes; how long until the next one is accepted after
 * something has happened to a node. failover.sh makes it happen. */

#define NODES_MAX 9
#define ASK_NEXT_MS 50 /* without an answer: the next node is asked, too; same session, same sequence */
#define TICK_MS 5
#define TOO_LONG_US 60e6

static const char usage[] =
	"usage: clusterd-failover --address A,B,…\n"
	"\n"
	"Puts keys, one after the other, and reads from standard input what happens:\n"
	"  kill PID, stop PID   sends the signal; prints after how many milliseconds a put was accepted that began behind it\n"
	"  begin, done          the same for what the caller does in between: from \"begin\" to a put that began behind \"done\"\n"
	"Ends with its input. Over TCP, CLUSTERD_TOKEN has the cluster's token.\n";

struct node {
	struct writer *writer;
	const char *address;
	struct line *line;
	struct line *ended_line; /* to be released outside of its calls */
	bool open;
};

struct writer {
	struct loop *loop;
	struct loop_timer *timer;
	struct input *input;
	struct node nodes[NODES_MAX];
	size_t node_count;
	size_t at;          /* the node that was asked last */
	bool ask_soon;      /* whom it asked is gone, or refuses */
	double asked_us;
	double begun_us;    /* this put */
	uint64_t session;
	uint64_t sequence;
	double struck_us;   /* 0: nothing to be measured */
	double counts_us;   /* puts that begin later count; 0: not known yet */
	struct arena arena;
	int code;
};

/* --- asking -------------------------------------------------------------------------------------------------------- */

static void send(struct writer *writer, struct node *node)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__OpenSession open_session = CLUSTERD__WIRE__OPEN_SESSION__INIT;
	Clusterd__Wire__Put put = CLUSTERD__WIRE__PUT__INIT;
	char key[32];
	if (writer->session == 0) {
		request.body_case = CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION;
		request.open_session = &open_session;
	} else {
		snprintf(key, sizeof key, "failover.%d", (int)(writer->sequence % 100));
		put.key = key;
		request.body_case = CLUSTERD__WIRE__REQUEST__BODY_PUT;
		request.put = &put;
		request.session = writer->session;
		request.sequence = request.answered_below = writer->sequence;
	}
	line_send(node->line, FRAME_REQUEST, (uint32_t)writer->sequence + 1, &request.base, SLICE("value"));
	writer->asked_us = clock_us();
	writer->ask_soon = false;
}

static void ask_next(struct writer *writer)
{
	for (size_t i = 1; i <= writer->node_count; i++) {
		size_t at = (writer->at + i) % writer->node_count;
		if (!writer->nodes[at].open)
			continue;
		writer->at = at;
		send(writer, &writer->nodes[at]);
		return;
	}
}

static void next_put(struct writer *writer)
{
	writer->sequence++;
	writer->begun_us = clock_us();
	if (writer->nodes[writer->at].open)
		send(writer, &writer->nodes[writer->at]);
	else
		ask_next(writer);
}

static void fail(struct writer *writer, const char *text)
{
	fprintf(stderr, "clusterd-failover: %s\n", text);
	writer->code = 1;
	loop_stop(writer->loop);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static void put_is_accepted(struct writer *writer)
{
	if (writer->struck_us != 0 && writer->counts_us != 0 && writer->begun_us > writer->counts_us) {
		printf("%.1f\n", (clock_us() - writer->struck_us) / 1e3);
		fflush(stdout);
		writer->struck_us = 0;
	}
	next_put(writer);
}

static void take_response(struct node *node, const Clusterd__Wire__Response *response)
{
	struct writer *writer = node->writer;
	int code = response->error != NULL ? response->error->code : 0;
	if (code == ERR_BUSY || code == ERR_NOT_LEADER || code == ERR_CLOSED || code == ERR_TIMEOUT) {
		writer->ask_soon |= writer->at == (size_t)(node - writer->nodes);
	} else if (code == ERR_EXPIRED) {
		writer->session = 0;
		writer->ask_soon = true;
	} else if (code != 0) {
		fail(writer, response->error->text);
	} else if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_OPENED) {
		writer->session = response->opened->session;
		writer->sequence = 0;
		next_put(writer);
	} else {
		writer->at = (size_t)(node - writer->nodes);
		put_is_accepted(writer);
	}
}

static void take_frame(void *context, const struct frame *frame)
{
	struct node *node = context;
	struct writer *writer = node->writer;
	ProtobufCMessage *message;
	struct error error;
	/* Not the late answer to one that another node has answered. */
	if (frame->type != FRAME_RESPONSE || frame->stream != (uint32_t)writer->sequence + 1)
		return;
	if (message_unpack(&clusterd__wire__response__descriptor, frame->message, &writer->arena, &message, &error) != 0)
		fail(writer, error.text);
	else
		take_response(node, (const Clusterd__Wire__Response *)message);
	arena_reset(&writer->arena);
}

static void line_is_open(void *context)
{
	((struct node *)context)->open = true;
}

static void line_has_ended(void *context, const struct error *reason)
{
	struct node *node = context;
	struct writer *writer = node->writer;
	(void)reason;
	node->ended_line = node->line;
	node->line = NULL;
	node->open = false;
	if (writer->at == (size_t)(node - writer->nodes))
		ask_next(writer);
}

static const struct line_handler handler = {line_is_open, take_frame, line_has_ended};

static void connect_node(struct node *node)
{
	struct error error;
	line_destroy(node->ended_line);
	node->ended_line = NULL;
	if (line_create(node->writer->loop, node->address, CLUSTERD__WIRE__ROLE__ROLE_CLIENT, &handler, node, &node->line,
	                &error) != 0)
		node->line = NULL;
}

static void tick(void *context)
{
	struct writer *writer = context;
	double now = clock_us();
	loop_timer_set(writer->timer, loop_now(writer->loop) + TICK_MS);
	for (size_t i = 0; i < writer->node_count; i++) {
		if (writer->nodes[i].line == NULL)
			connect_node(&writer->nodes[i]);
	}
	if (writer->ask_soon || now - writer->asked_us > ASK_NEXT_MS * 1e3)
		ask_next(writer);
	if (writer->struck_us != 0 && now - writer->struck_us > TOO_LONG_US)
		fail(writer, "no put was accepted for a minute");
}

/* --- what happens -------------------------------------------------------------------------------------------------- */

static void take_line(void *context, char *line)
{
	struct writer *writer = context;
	bool kills = strncmp(line, "kill ", 5) == 0;
	double now = clock_us();
	if (kills || strncmp(line, "stop ", 5) == 0) {
		if (kill((pid_t)atoi(line + 5), kills ? SIGKILL : SIGSTOP) != 0)
			fail(writer, strerror(errno));
		writer->struck_us = writer->counts_us = now;
	} else if (strcmp(line, "begin") == 0) {
		writer->struck_us = now;
		writer->counts_us = 0;
	} else if (strcmp(line, "done") == 0) {
		writer->counts_us = now;
	} else {
		fail(writer, "a line that is none of kill, stop, begin, done");
	}
}

static int run(struct writer *writer)
{
	if (loop_create(&writer->loop) != 0)
		return 1;
	writer->timer = loop_timer_create(writer->loop, tick, writer);
	writer->input = input_create(writer->loop, take_line, writer);
	tick(writer);
	loop_run(writer->loop);
	for (size_t i = 0; i < writer->node_count; i++) {
		line_destroy(writer->nodes[i].line);
		line_destroy(writer->nodes[i].ended_line);
	}
	input_destroy(writer->input);
	loop_timer_destroy(writer->timer);
	loop_destroy(writer->loop);
	arena_finish(&writer->arena);
	return writer->code;
}

int main(int count, char **words)
{
	static struct writer writer;
	char *rest = count == 3 && strcmp(words[1], "--address") == 0 ? words[2] : NULL;
	char *address;
	while ((address = strsep(&rest, ",")) != NULL) {
		if (*address == '\0' || writer.node_count == NODES_MAX)
			return fputs(usage, stderr), 2;
		writer.nodes[writer.node_count++] = (struct node){.writer = &writer, .address = address};
	}
	if (writer.node_count == 0)
		return fputs(usage, count == 2 ? stdout : stderr), count == 2 ? 0 : 2;
	return run(&writer);
}
