/* One question to an HTTPS server (TLS 1.2 or later), whose certificate must be of the given authorities and for the given host. */
#ifndef CLUSTERD_NET_HTTPS_H
#define CLUSTERD_NET_HTTPS_H

#include "base/error.h"
#include "base/slice.h"
#include "net/address.h"
#include "net/loop.h"

struct https;

#define HTTPS_HEADERS_MAX (64 * 1024) /* bytes of the answer's headers */

struct https_request {
	const char *host;              /* what the certificate must be for: a name, or an address as a number without brackets */
	const struct address *address; /* where it is, with the port */
	const char *path;              /* "/api/…" */
	struct slice authorities;      /* certificates to trust, PEM, and no others */
	const char *token;             /* shown as "Authorization: Bearer …"; NULL: none */
	size_t answer_max;             /* bytes of a body */
	msec timeout;                  /* for all of it: connecting, TLS, the answer */
};

/* What came of it, once, never from inside a call of this door. `error` is NULL when there is an answer, whatever its status; ERR_TIMEOUT,
 * ERR_LIMIT (the answer is too large), ERR_DENIED (the certificate is not as it must be), ERR_CLOSED otherwise. `body` is valid during
 * the call only. The request may be destroyed from inside. */
typedef void https_answered(void *context, int status, struct slice body, const struct error *error);

/* Asks with GET. All of the request is copied. ERR_INVALID: no certificate in `authorities`, or a token that no header can hold. */
int https_get(struct loop *loop, const struct https_request *request, https_answered *answered, void *context,
              struct https **ret_https, struct error *error);
/* Gives up what is under way; to be called in any case. NULL is fine. */
void https_destroy(struct https *https);

#endif
