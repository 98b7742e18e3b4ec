/* The leader's view of the nodes: what each can run, as its runner says, and the calls whose whereabouts are not known. Soft state, of
 * one term. For the node's own files.
 *
 * A node is asked (survey) when this one begins to lead and whenever a connection to it is new, and gets nothing before it has answered.
 * A call that is written down as running, or was handed out, at a node that cannot be heard is an orphan: it is handed out anew when
 * that node answers without naming it, is declared dead, or says nothing for SITE_WAIT_MS. One that only a worker can have is waited
 * for WORKER_BACK_MS longer: workers live on without their node, and come back through another. */
#ifndef CLUSTERD_DAEMON_SITES_H
#define CLUSTERD_DAEMON_SITES_H

#include "daemon/call_reports.h"
#include "daemon/node.h"
#include "coordinator/command.h"

#include <sys/queue.h>
#include <uthash.h>

#define SITE_WAIT_MS 10000
#define SITE_SETTLE_MS 1000 /* a new leader hands out nothing before all nodes it hears have answered, or so long */
#define SITE_ASK_MS 1000    /* from one survey without an answer to the next */
#define SITE_REFUSED_MS 200 /* a call that was refused is offered again after it */

struct call;
struct site;

struct spot { /* what places in dispatch have as their context */
	struct site *site;
	uint64_t place;
};

struct orphan_list;

struct orphan {
	struct {
		uint64_t instance;
		uint64_t ref;
	} key;
	uint64_t attempt;
	msec until;               /* of those that were refused */
	struct orphan_list *list;
	TAILQ_ENTRY(orphan) link;
	UT_hash_handle hh;
};

struct orphan_list {
	TAILQ_HEAD(, orphan) head;
};

struct site_worker {
	struct spot spot;         /* its place is the key */
	struct place *place;
	uint32_t credit;
	UT_hash_handle hh;
};

struct site_pool {
	const struct definition *process;
	struct place *place;
	struct site_pool *next;
};

struct site {
	uint64_t member;          /* 0: not known */
	char *name;               /* NULL: not known */
	bool own;
	bool up;                  /* there is a connection */
	bool dead;                /* declared so */
	bool answering;           /* the first part of the answer has come */
	bool reported;            /* the answer is whole: it may get calls */
	uint64_t survey;
	msec asked_at;
	msec wait_until;          /* for orphans */
	msec worker_wait_until;   /* for those that a worker has */
	struct slice *tags;
	char *tag_words;
	struct place_site on;
	struct spot spot;         /* of its executor */
	struct place *exec;
	uint32_t exec_slots;
	uint32_t pool_calls;
	struct site_pool *pools;
	struct site_worker *workers;
	struct orphan_list orphans;
	struct orphan_list worker_orphans;
	/* Assignments made and not yet proposed. */
	struct command_assignment *assigned;
	size_t assigned_count;
	size_t assigned_capacity;
	TAILQ_ENTRY(site) link;
};

struct known_pool {
	const struct definition *process;
	UT_hash_handle hh;
};

struct sites {
	TAILQ_HEAD(, site) all;
	struct site *own;
	struct orphan *orphans;
	struct orphan_list refused; /* in the order of their times */
	struct known_pool *pools;
	uint64_t last_survey;
	bool leading;
	bool settled;
	msec settle_until;
};

void sites_init(struct node *node);
void sites_finish(struct node *node);
/* This node leads: all are asked. It does not any more: all that is known of calls is forgotten. */
void sites_lead(struct node *node);
void sites_unlead(struct node *node);
void sites_peer_up(struct node *node, uint64_t member);
void sites_peer_down(struct node *node, uint64_t member);
void sites_report(struct node *node, uint64_t member, const struct node_report *report);
struct site *site_of(const struct node *node, uint64_t member); /* NULL: not known */
/* Orphans whose time has come are offered; nodes that do not answer are asked again. */
void sites_turn(struct node *node);
msec sites_deadline(const struct node *node);
/* Pools of the process are there from now on. */
void sites_need_pool(struct node *node, const struct definition *process);
/* The catalog says that it runs there. */
void sites_recorded(struct node *node, const struct call *call);
/* It was refused: it is offered again some time later. */
void sites_refused(struct node *node, struct call_id call);
void sites_forget(struct node *node, struct call_id call); /* no orphan any more */

#endif
