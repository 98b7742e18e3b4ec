/* Standard input, line by line, on a loop. */
#ifndef BENCH_INPUT_H
#define BENCH_INPUT_H

#include "net/loop.h"

struct input;

/* `line` gets each one without its end, and may change it. The loop is stopped when there are no more. */
struct input *input_create(struct loop *loop, void (*line)(void *context, char *line), void *context);
void input_destroy(struct input *input); /* NULL is fine; not from inside `line` */

#endif
