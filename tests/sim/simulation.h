/* A whole cluster in one process, on a virtual clock: the real nodes, state machines, dispatchers, logs and catalogs, on disks that
 * fail, with a network that loses, delays and cuts, simulated calls, workers and clients. Everything follows from the seed; the
 * same seed gives the same run.
 *
 * While it runs, and at its end, it checks what must always hold; at the first thing that does not it says what, and ends
 * the process with exit code 1. */
#ifndef CLUSTERD_SIM_SIMULATION_H
#define CLUSTERD_SIM_SIMULATION_H

#include <stdbool.h>
#include <stdint.h>

enum sim_fault {
	SIM_POWER = 1 << 0,      /* the power goes, at any moment */
	SIM_KILL = 1 << 1,       /* a process dies, the system does not */
	SIM_STOP = 1 << 2,       /* it is stopped as it should be */
	SIM_IO = 1 << 3,         /* EIO from reads, writes and syncs */
	SIM_SPACE = 1 << 4,      /* ENOSPC */
	SIM_CLOCK = 1 << 5,      /* wall clocks jump, clocks run at other rates */
	SIM_CALLS = 1 << 6,      /* calls fail, hang, answer twice, late, or what they must not */
	SIM_WORKERS = 1 << 7,    /* connected workers vanish, come back, answer for others */
	SIM_CLIENTS = 1 << 8,    /* clients ask again, vanish, leave for too long */
	SIM_PARTITION = 1 << 9,  /* some servers do not hear some others */
	SIM_NET = 1 << 10,       /* connections break, what is sent is late, lost, doubled, out of order */
	SIM_PAUSE = 1 << 11,     /* a process does nothing for a while, and then goes on */
	SIM_SLOW = 1 << 12,      /* a disk is slow for a while */
	SIM_MEMBERS = 1 << 13,   /* machines join, leave and are replaced, leaders hand over */
	SIM_FLIP = 1 << 14,      /* bits on disks flip */
	SIM_ALL = (1 << 15) - 1
};

/* Mistakes that a host or a node could make, to see that the simulator finds them. */
enum sim_plant {
	PLANT_NONE,
	PLANT_SYNCED_EARLY,    /* entries are said to be synced before they are */
	PLANT_SYNC_IGNORED,    /* a sync that failed is said to have succeeded */
	PLANT_VOTE_LOST,       /* a vote is said to be saved, and is not */
	PLANT_RESULT_ASTRAY,   /* a result is given a second time, to another instance */
	PLANT_CATALOG_UNSYNCED, /* the catalog's file is never synced */
	PLANT_LOG_REWRITTEN,   /* an entry is stored that does not say what it was to say */
	PLANT_ENTRY_REPEATED,  /* an entry that is read from the log is given twice */
	PLANT_SEQUENCE_RENEWED, /* a request that is sent again gets a new sequence number */
	/* Of several servers (sim_bugs.c). */
	PLANT_FIRST_OF_SEVERAL,
	PLANT_VOTES_TWICE = PLANT_FIRST_OF_SEVERAL, /* a vote that was given is forgotten */
	PLANT_OLD_TERM_COMMITTED, /* entries of earlier terms are committed by counting */
	PLANT_PREV_NOT_CHECKED,   /* entries are taken whatever goes before them */
	PLANT_QUORUM_SMALL,       /* one vote less than a majority suffices */
	PLANT_TWO_CHANGES,        /* a change of the group begins before the last one is committed */
	PLANT_NO_FIRST_ENTRY,     /* a term does not begin with an entry of its own */
	PLANT_READ_UNCONFIRMED,   /* a leader does not ask whether it still leads before a read */
	PLANT_LEASE_OUTLIVED,     /* it believes in its lease for too long */
	PLANT_APPLIED_UNSYNCED,   /* what is committed is applied before it is on the own disk */
	PLANT_STAMPS_NOT_HEARD,   /* the clock does not follow the stamps of others */
	PLANT_COPY_WITHOUT_SESSIONS, /* a copy of the catalog has no sessions */
	PLANT_SEQUENCE_FORGOTTEN, /* the next leader does not know what was answered */
	PLANT_ATTEMPT_AGAIN,      /* a call is handed out again with the attempt that may be running */
	PLANT_LEASE_CUT_SHORT,    /* a new leader does not grant leases their time */
	PLANT_LEASE_NOT_KEPT,     /* a lease that is said to be kept alive is not */
	PLANT_CONDITION_IGNORED,  /* a lock is given whoever has it */
	PLANT_TOKEN_AGAIN,        /* the version of a change is told as that of an earlier one */
	/* Of the tasks of jobs. */
	PLANT_REPORT_ONCE,        /* an end is reported once, and never again */
	PLANT_STOP_UNTOLD,        /* who is to be stopped is told only with a new connection or leader */
	PLANT_TASKS_KEPT,         /* a node does not end what the group does not know any more */
	PLANT_TASK_AGAIN,         /* an order for what runs already begins it again */
	PLANT_CODE_LOST,          /* every end is reported as one with the exit code 0 */
	/* Of groups, nodes that are drained, periodic jobs, and room. */
	PLANT_GROUP_UNKNOWN,      /* a new leader does not know a job of which a group is live */
	PLANT_BARRIER_EARLY,      /* one that has registered counts for all of its group */
	PLANT_GROUP_ALONE,        /* what is stopped of a group is begun again without the others */
	PLANT_LATE_GROUP_KEPT,    /* nobody looks whether a group has registered in time */
	PLANT_DRAIN_FORGOTTEN,    /* a leader does not go on with the drains of the one before */
	PLANT_DUE_TWICE,          /* a time of a periodic job is run whenever it is proposed */
	PLANT_OVERLAP_IGNORED,    /* a run is begun beside another one, whatever the job says */
	PLANT_EQUALS_PUT_OUT,     /* who is no lower makes room, too */
	PLANT_ROOM_TWICE,         /* what a node has is given by a new leader as if nothing were taken */
	/* Of sessions and topics. */
	PLANT_SESSION_CUT_SHORT,  /* a new leader does not grant sessions their time */
	PLANT_OWNED_KEPT,         /* what a session owned outlives it */
	PLANT_SECRET_NOT_ASKED,   /* who knows a session acts in it */
	PLANT_LOOKUP_OLD,         /* a topic is told as it was some time ago */
	PLANT_WATCH_GAP,          /* who watches a table misses what changes first */
	PLANT_COUNT
};

#define SIM_NODES_MAX 7

struct sim_options {
	uint64_t seed;
	uint32_t nodes;        /* servers; 0: 1, 3 or 5, as the seed says */
	uint64_t ticks;        /* events while things fail; 0: as long as `duration_ms` says */
	int64_t duration_ms;   /* virtual time while things fail; 0: a default */
	uint64_t operations;   /* on keys, to be answered while things fail, however long it takes; 0: a default, unless a time is given */
	unsigned int faults;   /* of enum sim_fault */
	enum sim_plant plant;
	bool trace;            /* tell on stderr what happens */
	uint32_t tail;         /* when it fails, tell the last things that happened, so many */
};

extern const char *const sim_fault_names[]; /* in the order of their bits; ends with NULL */
extern const char *const sim_plant_names[PLANT_COUNT];

void simulation_run(const struct sim_options *options);

#endif
