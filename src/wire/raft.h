/* Raft's messages between nodes: election/raft.h ↔ RaftMessage and a payload (bodies of entries, or a piece of a snapshot). */
#ifndef CLUSTERD_WIRE_RAFT_H
#define CLUSTERD_WIRE_RAFT_H

#include "base/arena.h"
#include "base/error.h"
#include "election/raft.h"
#include "proto/wire.pb-c.h"

#define RAFT_MESSAGE_ENTRIES_MAX 4096

/* An entry that goes out. */
struct raft_outgoing {
	uint64_t term;
	struct slice body;
};

/* The message that says so; it lives in the arena. `entries`: those of an append request, `count` as its count says; their bodies,
 * one after another, are the payload. */
Clusterd__Wire__RaftMessage *raft_pack(const struct raft_message *message, const struct raft_outgoing *entries,
                                       struct arena *arena);

/* The other way. Entries' bodies point into the payload, all else lives in the arena. What cannot be (a size that is not the payload's,
 * an unknown kind, an entry that cannot be decoded) is ERR_INVALID, ERR_LIMIT, ERR_CORRUPT, ERR_VERSION with a text. */
int raft_unpack(const Clusterd__Wire__RaftMessage *packed, uint64_t from, uint64_t to, struct slice payload,
                struct arena *arena, struct raft_message *ret_message, const struct slice **ret_bodies,
                struct error *error);

#endif
