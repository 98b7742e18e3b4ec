/* Names of hosts to addresses, looked up on a thread of its own: a slow name server never holds up the loop. What was found is kept for
 * a while. */
#ifndef CLUSTERD_DAEMON_RESOLVER_H
#define CLUSTERD_DAEMON_RESOLVER_H

#include "base/error.h"
#include "net/address.h"
#include "net/loop.h"

struct resolver;

#define RESOLVER_NAMES_MAX 1024
#define RESOLVER_KEEP_MS 30000 /* then it is looked up again; until that is done, the old addresses serve */
#define RESOLVER_FAILED_MS 1000

struct resolver *resolver_create(struct loop *loop);
/* Waits for no look-up. NULL is fine. */
void resolver_destroy(struct resolver *resolver);
/* Calls when a look-up has ended, well or not; several may be told. */
void resolver_watch(struct resolver *resolver, void (*ended)(void *context), void *context);
void resolver_forget(struct resolver *resolver, void (*ended)(void *context), void *context);
/* HOST:PORT to up to ADDRESS_CHOICES addresses. 1: there they are; 0: being looked up, ask again when told; ERR_INVALID, ERR_NOT_FOUND,
 * ERR_LIMIT (too many names), ERR_IO (no thread); `error` must be there. */
int resolver_find(struct resolver *resolver, const char *address, struct address ret_addresses[ADDRESS_CHOICES],
                  size_t *ret_count, struct error *error);

#endif
