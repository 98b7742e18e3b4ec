/* The small state that Raft must not forget: term, vote, and who this is. One file, replaced atomically, with a checksum. */
#ifndef CLUSTERD_STORE_VOTE_H
#define CLUSTERD_STORE_VOTE_H

#include "base/error.h"
#include "store/fs.h"

#define VOTE_CLUSTER_ID_SIZE 40
#define VOTE_FOUNDERS_MAX 9

struct vote_state {
	uint64_t term;
	uint64_t voted_for;    /* node id; 0: nobody */
	uint64_t node_id;      /* this node; given once */
	uint64_t starts;       /* how often it has started; a file of version 1 gives its term, which rose with each start */
	char cluster_id[VOTE_CLUSTER_ID_SIZE]; /* 32 hex digits; empty before there is one */
	char pledged_id[VOTE_CLUSTER_ID_SIZE]; /* of the one that it has promised to be of; empty: none */
	uint32_t founder_count;                /* who begins it; 0: it has begun elsewhere. In version 1 each began its own */
	uint64_t founders[VOTE_FOUNDERS_MAX];
};

/* 0; ERR_NOT_FOUND when there is none yet; ERR_CORRUPT. */
int vote_load(struct fs *fs, struct vote_state *ret_state, struct error *error);
/* Durable when it returns 0. */
int vote_save(struct fs *fs, const struct vote_state *state, struct error *error);

#endif
