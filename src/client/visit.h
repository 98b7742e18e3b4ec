/* The way to a door: connects to an address and greets. Where it fails, it says so, and is over. */
#ifndef CLUSTERD_CLIENT_VISIT_H
#define CLUSTERD_CLIENT_VISIT_H

#include "client/channel.h"
#include "client/greeting.h"

#define VISIT_MS 5000 /* to connect and greet */

struct visit;

/* Called once, from a turn; the visit is gone then. `error` NULL: the channel and what has come already are the caller's. */
typedef void visit_done(void *context, const struct greeting *greeting, struct channel *take_channel, struct buffer *take_rest,
                        const struct error *error);

/* `config` must outlive it. Never calls from inside. */
struct visit *visit_begin(struct link_base *base, const char *address, const struct greeting_config *config, visit_done *done,
                          void *context);
void visit_cancel(struct visit *visit); /* nobody is told; NULL is fine */

#endif
