/* Where nodes may be: a set of addresses. */
#ifndef CLUSTERD_DISCOVERY_PLACES_H
#define CLUSTERD_DISCOVERY_PLACES_H

#include "base/slice.h"
#include "net/address.h"

#include <stdbool.h>

#define PLACES_MAX 64    /* of one source, and of all together; as many as gossip takes */
#define PLACE_ID_MAX 63  /* bytes */

struct place {
	char address[ADDRESS_TEXT_SIZE]; /* IP:PORT, as address_format writes it */
	char id[PLACE_ID_MAX + 1];       /* a pod's uid; another one at the same address is another place. "": not known */
	bool secure;                     /* HTTPS is spoken there, as far as is known; for people */
};

struct places {
	struct place places[PLACES_MAX];
	size_t count;
	size_t left_out; /* beyond PLACES_MAX */
};

/* Unless it is there already. ids that are too long are cut. */
void places_add(struct places *places, const struct address *address, struct slice id, bool secure);
void places_add_all(struct places *places, const struct places *more);
bool places_have(const struct places *places, const struct place *place);
/* The same ones, in whatever order: name servers shuffle theirs. */
bool places_equal(const struct places *left, const struct places *right);

#endif
