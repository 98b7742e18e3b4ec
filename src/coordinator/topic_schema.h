/* What the data of a topic is like, as a text. Types of the language are brought to one form, so that two schemas are the same when their
 * texts are. */
#ifndef CLUSTERD_COORDINATOR_TOPIC_SCHEMA_H
#define CLUSTERD_COORDINATOR_TOPIC_SCHEMA_H

#include "base/buffer.h"
#include "base/slice.h"

/* Appends the schema as it is kept. "stream(TYPE, TIME)", "service(IN, OUT)", "WORD(TYPE, …)" or TYPE: types as the language writes them,
 * members and labels in the order of their names, without defaults, which do not make another type; a name that is not built in stands
 * for itself. Any other text as it is, without blanks around it. What it gives, it gives again unchanged. */
void topic_schema(struct slice text, struct buffer *out);

#endif
