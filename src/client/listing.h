/* That something is published is known to the cluster: as long as this is there and dispatched, in a session of its own. */
#ifndef CLUSTERD_CLIENT_LISTING_H
#define CLUSTERD_CLIENT_LISTING_H

#include "client/client.h"

struct listing;

/* `error` NULL: it is known. Else why not; it is tried again. The listing may be destroyed from inside. */
typedef void listing_told(void *context, const struct error *error);

/* `options` is copied. */
struct listing *listing_create(struct clusterd_client *client, const struct clusterd_publish_options *options, listing_told *told,
                               void *context);
void listing_destroy(struct listing *listing); /* NULL is fine */

#endif
