/* The small state that Raft must not forget: term, vote, and who this is. One file, replaced atomically, with a checksum. */
#ifndef CLUSTERD_STORE_VOTE_H
#define CLUSTERD_STORE_VOTE_H

#include "base/error.h"
#include "store/fs.h"

struct vote_state {
	uint64_t term;
	uint64_t voted_for;    /* node id; 0: nobody */
	uint64_t node_id;      /* this node; given once */
	char cluster_id[40];   /* 32 hex digits; empty before there is one */
};

/* 0; ERR_NOT_FOUND when there is none yet; ERR_CORRUPT. */
int vote_load(struct fs *fs, struct vote_state *ret_state, struct error *error);
/* Durable when it returns 0. */
int vote_save(struct fs *fs, const struct vote_state *state, struct error *error);

#endif
