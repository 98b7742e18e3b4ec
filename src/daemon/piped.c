#include "daemon/piped.h"

#include "base/log.h"
#include "base/memory.h"
#include "net/stream.h"

/* All that could hold the pipes has been killed when the end is told; but a descriptor can be handed to a stranger. */
#define PIPES_PATIENCE_MS 1000

struct piped {
	struct loop *loop;
	struct child *child;
	struct stream *input; /* NULL: closed */
	struct stream *output;
	struct stream *complaints;
	struct loop_timer *patience;
	struct buffer complaints_end;
	uint32_t complaints_max;
	const struct piped_handler *handler;
	void *context;
	struct child_exit how;
	bool exited;
	bool told;
};

static void close_stream(struct stream **stream)
{
	stream_destroy(*stream);
	*stream = NULL;
}

static void tell_when_over(struct piped *piped)
{
	if (!piped->exited || piped->output != NULL || piped->complaints != NULL || piped->told)
		return;
	piped->told = true;
	piped->handler->ended(piped->context, &piped->how); /* may destroy it */
}

/* ---- From the streams ---- */

static void on_printed(void *context, struct stream *stream, struct buffer *input)
{
	struct piped *piped = context;
	(void)stream;
	piped->handler->printed(piped->context, input);
}

static void on_complained(void *context, struct stream *stream, struct buffer *input)
{
	struct piped *piped = context;
	struct buffer *end = &piped->complaints_end;
	(void)stream;
	if (piped->handler->complained != NULL)
		piped->handler->complained(piped->context, buffer_slice(input));
	buffer_append_slice(end, buffer_slice(input));
	if (end->size > piped->complaints_max)
		buffer_consume(end, end->size - piped->complaints_max);
	buffer_consume(input, input->size);
}

static void tell_broken(struct piped *piped)
{
	if (!piped->exited && piped->handler->broken != NULL)
		piped->handler->broken(piped->context);
}

static void on_input_closed(void *context, struct stream *stream, const char *reason)
{
	struct piped *piped = context;
	(void)stream, (void)reason;
	close_stream(&piped->input);
	tell_broken(piped);
}

static void on_output_closed(void *context, struct stream *stream, const char *reason)
{
	struct piped *piped = context;
	(void)stream, (void)reason;
	close_stream(&piped->output);
	tell_broken(piped);
	tell_when_over(piped);
}

static void on_complaints_closed(void *context, struct stream *stream, const char *reason)
{
	struct piped *piped = context;
	(void)stream, (void)reason;
	close_stream(&piped->complaints);
	tell_when_over(piped);
}

static void on_drained(void *context, struct stream *stream)
{
	struct piped *piped = context;
	(void)stream;
	if (piped->handler->drained != NULL)
		piped->handler->drained(piped->context);
}

static void on_nothing(void *context, struct stream *stream, struct buffer *input)
{
	(void)context, (void)stream;
	buffer_consume(input, input->size);
}

static const struct stream_handler input_handler = {on_nothing, on_input_closed, on_drained};
static const struct stream_handler output_handler = {on_printed, on_output_closed, NULL};
static const struct stream_handler complaints_handler = {on_complained, on_complaints_closed, NULL};

/* ---- From the child ---- */

static void on_patience_over(void *context)
{
	struct piped *piped = context;
	close_stream(&piped->output);
	close_stream(&piped->complaints);
	tell_when_over(piped);
}

static void on_exited(void *context, const struct child_exit *how)
{
	struct piped *piped = context;
	piped->exited = true;
	piped->how = *how;
	if (how->text[0] != '\0' && !how->not_started)
		log_write(LOG_WARNING, "executor", "child %d: %s", child_pid(piped->child), how->text);
	close_stream(&piped->input);
	if (piped->output != NULL || piped->complaints != NULL) {
		piped->patience = loop_timer_create(piped->loop, on_patience_over, piped);
		loop_timer_set(piped->patience, loop_now(piped->loop) + PIPES_PATIENCE_MS);
	}
	tell_when_over(piped);
}

/* ---- The door ---- */

int piped_start(struct loop *loop, struct children *children, const struct child_options *options, uint32_t complaints_max,
                const struct piped_handler *handler, void *context, struct piped **ret_piped, struct error *error)
{
	int descriptors[3];
	struct piped *piped = mem_zero(sizeof *piped);
	int result = child_start(children, options, on_exited, piped, descriptors, &piped->child, error);
	if (result != 0) {
		mem_free(piped);
		return result;
	}
	piped->loop = loop;
	piped->handler = handler;
	piped->context = context;
	piped->complaints_max = complaints_max;
	piped->input = stream_create(loop, descriptors[0], &input_handler, piped);
	piped->output = stream_create(loop, descriptors[1], &output_handler, piped);
	piped->complaints = stream_create(loop, descriptors[2], &complaints_handler, piped);
	*ret_piped = piped;
	return 0;
}

void piped_destroy(struct piped *piped)
{
	if (piped == NULL)
		return;
	child_destroy(piped->child);
	loop_timer_destroy(piped->patience);
	stream_destroy(piped->input);
	stream_destroy(piped->output);
	stream_destroy(piped->complaints);
	buffer_finish(&piped->complaints_end);
	mem_free(piped);
}

void piped_write(struct piped *piped, const struct slice *slices, size_t count)
{
	if (piped->input != NULL)
		stream_write_slices(piped->input, slices, count);
}

void piped_finish(struct piped *piped)
{
	if (piped->input != NULL)
		stream_finish(piped->input);
}

size_t piped_queued(const struct piped *piped)
{
	return piped->input != NULL ? stream_queued(piped->input) : 0;
}

void piped_terminate(struct piped *piped)
{
	child_terminate(piped->child);
}

void piped_kill(struct piped *piped)
{
	child_kill(piped->child);
}

struct slice piped_complaints(const struct piped *piped)
{
	return buffer_slice(&piped->complaints_end);
}
