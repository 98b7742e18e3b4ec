/* An HTTPS server that answers as the API of Kubernetes does, for tests. It serves what stands in a directory, and reads it anew for each
 * question:
 *   slices, endpoints   the bodies of the answers; absent: 404
 *   status              a number: what is answered instead of all that
 *   silent              when it is there, nothing is ever answered
 *   token               what must be shown (401 otherwise); absent: anything
 * and writes a line for each question to `questions`. */
#ifndef CLUSTERD_CLUSTER_FAKE_API_H
#define CLUSTERD_CLUSTER_FAKE_API_H

#include <stdint.h>

struct fake_api;

/* Makes authorities, and a certificate of theirs for `host` (an IP address or a name); writes them to `authorities_file`. Listens on a free
 * port of 127.0.0.1. Whatever fails ends the process. */
struct fake_api *fake_api_create(const char *directory, const char *host, const char *authorities_file);
uint16_t fake_api_port(const struct fake_api *api);
void fake_api_serve(struct fake_api *api); /* until the process is killed */
void fake_api_destroy(struct fake_api *api);

#endif
