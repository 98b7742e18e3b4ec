/* Where other nodes may be found, from sources that are looked at again and again:
 *
 *   HOST:PORT, a number          that address
 *   HOST:PORT, a name            all addresses of the name
 *   dns:NAME:PORT                the same
 *   file:PATH                    a file with an address a line
 *   k8s:SERVICE[.NAMESPACE][:PORT]   what is ready behind a service of Kubernetes
 *
 * What is found is what a node may join by, and nothing else: nobody is removed by no longer being found. A look that fails is counted and
 * told to people, and what the source found before stays. Nothing here blocks the loop. */
#ifndef CLUSTERD_DISCOVERY_DISCOVERY_H
#define CLUSTERD_DISCOVERY_DISCOVERY_H

#include "base/buffer.h"
#include "base/error.h"
#include "discovery/places.h"
#include "net/loop.h"

struct discovery;

#define DISCOVERY_SOURCES_MAX 64
#define DISCOVERY_FAILED_MS 1000       /* from the first failure of a row to the next look; then twice as long, … */
#define DISCOVERY_FAILED_MAX_MS 10000  /* … up to this */
#define DISCOVERY_LOG_MS 60000         /* a source that goes on failing is logged so often */

struct discovery_options {
	const char *const *sources; /* as above; borrowed for the call */
	size_t source_count;
	const char *mount; /* directory with token, ca.crt and namespace of the service account; NULL: the usual one */
	uint64_t seed;     /* so that many nodes that start at once do not look at once */
};

/* What is found now, of all sources together. Called when it has changed; for the fixed addresses within discovery_start. */
typedef void discovery_found(void *context, const struct places *places);

/* Whether it is one of the above. ERR_INVALID, ERR_LIMIT. */
int discovery_check(const char *source, struct error *error);
/* Whether all that it can find are addresses of this machine, as far as can be told without asking anybody. */
bool discovery_is_local(const char *source);
/* ERR_INVALID, ERR_LIMIT: of a source. */
int discovery_create(struct loop *loop, const struct discovery_options *options, discovery_found *found, void *context,
                     struct discovery **ret_discovery, struct error *error);
void discovery_destroy(struct discovery *discovery); /* waits for nothing; NULL is fine */
void discovery_start(struct discovery *discovery);
/* Appends ,"discovery_errors":N,"discovery":[{"source":…,"found":[…],"looks":N,"errors":N,"problem":…},…]. */
void discovery_status(const struct discovery *discovery, struct buffer *out);

#endif
