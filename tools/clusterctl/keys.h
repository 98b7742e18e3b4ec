/* Keys and leases, for whoever builds something on them: requests of one client, with the answers as C values. */
#ifndef CLUSTERCTL_KEYS_H
#define CLUSTERCTL_KEYS_H

#include "client.h"

#include <stdbool.h>

/* One key, or one change of a key; borrowed for the call. */
struct key_seen {
	const char *key;
	struct slice value;
	uint64_t version;
	uint64_t created;
	uint64_t lease; /* 0: none */
	bool deleted;   /* changes only */
};
typedef void key_each(void *context, const struct key_seen *seen);

/* Only when the key is not there: ERR_CONFLICT else. */
int keys_create(struct client *client, const char *key, struct slice value, uint64_t lease, uint64_t *ret_version,
                struct error *error);
int keys_delete(struct client *client, const char *key, struct error *error); /* ERR_NOT_FOUND */
/* ERR_NOT_FOUND. The value is appended. */
int keys_get(struct client *client, const char *key, uint64_t *ret_version, struct buffer *ret_value, struct error *error);

/* A walk over keys in pages, and then over what has happened to them since. Start with keys_walk_init. */
struct keys_walk {
	const char *prefix;   /* or the one key */
	bool exact;
	bool without_values;
	uint32_t limit;       /* of keys; 0: none */
	bool listed;          /* there are no more pages */
	char *after;          /* the last key of the last page */
	uint64_t from;        /* changes from this version on are yet to come */
	uint64_t told;        /* how many keys and changes have been told */
	struct keys_page {    /* up to which key, and as of which version, it was listed: changes may be known already */
		char *last;       /* NULL: to the end */
		uint64_t version;
	} *pages;
	size_t page_count;
	size_t page_capacity;
};
/* `from`: without listing, changes from this version on; 0: those to come. */
void keys_walk_init(struct keys_walk *walk, const char *prefix, bool exact);
void keys_walk_finish(struct keys_walk *walk);
/* The next page; call until `walk->listed`. */
int keys_list(struct client *client, struct keys_walk *walk, key_each *each, void *context, struct error *error);
/* The next changes, each once, in order, waiting for them for the client's timeout; 0 also when there were none. After keys_list: those
 * that the list does not show. ERR_COMPACTED: they are not kept any more. */
int keys_watch(struct client *client, struct keys_walk *walk, key_each *each, void *context, struct error *error);

/* Waits until there are some, however long that takes; nodes that do not answer are left for others, for half a minute. */
int keys_follow(struct client *client, struct keys_walk *walk, key_each *each, void *context, struct error *error);

int lease_grant(struct client *client, msec ttl, const char *owner, uint64_t *ret_lease, struct error *error);
/* Its full time again, from when this was asked. ERR_NOT_FOUND: it has ended. */
int lease_keep(struct client *client, uint64_t lease, msec *ret_ttl, struct error *error);
int lease_revoke(struct client *client, uint64_t lease, struct error *error);

#endif
