#include "input.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <string.h>
#include <unistd.h>

#define READ_SIZE 256

struct input {
	struct loop *loop;
	struct loop_watch *watch;
	struct buffer read;
	void (*line)(void *context, char *line);
	void *context;
};

static void is_ready(void *context, bool readable, bool writable)
{
	struct input *input = context;
	char *end;
	(void)readable;
	(void)writable;
	ssize_t size = read(STDIN_FILENO, buffer_reserve(&input->read, READ_SIZE), READ_SIZE);
	if (size <= 0) {
		loop_stop(input->loop);
		return;
	}
	input->read.size += (size_t)size;
	while ((end = memchr(input->read.data, '\n', input->read.size)) != NULL) {
		*end = '\0';
		input->line(input->context, input->read.data);
		buffer_consume(&input->read, (size_t)(end - input->read.data) + 1);
	}
}

struct input *input_create(struct loop *loop, void (*line)(void *context, char *line), void *context)
{
	struct input *input = mem_zero(sizeof *input);
	input->loop = loop;
	input->line = line;
	input->context = context;
	input->watch = loop_watch_create(loop, STDIN_FILENO, is_ready, input);
	loop_watch_set(input->watch, true, false);
	return input;
}

void input_destroy(struct input *input)
{
	if (input == NULL)
		return;
	loop_watch_destroy(input->watch);
	buffer_finish(&input->read);
	mem_free(input);
}
