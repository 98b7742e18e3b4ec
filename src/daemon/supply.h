/* Definitions and files for a node that keeps no log. For the node's own files. */
#ifndef CLUSTERD_DAEMON_SUPPLY_H
#define CLUSTERD_DAEMON_SUPPLY_H

#include "daemon/node.h"
#include "wire/content.h"

#include <uthash.h>

struct supplied { /* all its files are here */
	const struct definition *process;
	UT_hash_handle hh;
};

struct supply {
	bool wants_units; /* there may be more */
	bool asking;
	bool failed;      /* the last file: it is asked for again some time later */
	uint64_t unit;    /* that is asked for … */
	char hash[CONTENT_HASH_SIZE]; /* … or, not empty, the file */
	struct buffer got;
	msec asked_at;
	struct supplied *supplied;
};

/* Something is registered that is not known here. */
void supply_want(struct node *node);
/* Whether the files of the process are here; if not, one that is missing. On a node with a log they always are. */
bool supply_is_complete(struct node *node, const struct definition *process, struct slice *ret_missing);
void supply_turn(struct node *node, msec now);
msec supply_deadline(const struct node *node);
void supply_finish(struct node *node);
void supply_asked(struct node *node, uint64_t member, const Clusterd__Wire__Fetch *fetch);
void supply_got(struct node *node, const Clusterd__Wire__Fetched *fetched, struct slice piece);

#endif
