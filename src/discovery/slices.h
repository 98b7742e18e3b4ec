/* What Kubernetes says of what is behind a service: lists of EndpointSlices (discovery.k8s.io/v1), and Endpoints (v1). Pure. */
#ifndef CLUSTERD_DISCOVERY_SLICES_H
#define CLUSTERD_DISCOVERY_SLICES_H

#include "base/buffer.h"
#include "base/error.h"
#include "discovery/places.h"

#define SLICES_PORT 9189 /* of endpoints that name none */

/* `port`: the number to take, or the name of the port; "": of the TCP ports the one called clusterd, else one with HTTPS (it says so, or is
 * 443), else one with HTTP, else the first. Endpoints that are not ready are left out, and so are those that are names (FQDN).
 * ERR_INVALID: not such a list, or an address that is none; ERR_NOT_FOUND: no port of that name; ERR_LIMIT (nesting). */
int slices_read(struct slice json, const char *port, struct places *ret_places, struct error *error);
int endpoints_read(struct slice json, const char *port, struct places *ret_places, struct error *error);
/* Appends the message of a Status, which is what Kubernetes answers when it refuses; nothing when there is none. */
void slices_message(struct slice json, struct buffer *out);

#endif
