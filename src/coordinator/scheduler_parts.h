/* What the files of the scheduler share. Nodes, jobs and allocations have slots: small numbers that are used again. Slots depend on
 * nothing but the order of calls, so that nothing depends on addresses. */
#ifndef CLUSTERD_COORDINATOR_SCHEDULER_PARTS_H
#define CLUSTERD_COORDINATOR_SCHEDULER_PARTS_H

#include "coordinator/heap.h"
#include "coordinator/scheduler.h"
#include "coordinator/table.h"

#include <sys/queue.h>
#include <uthash.h>

#define NO_SLOT UINT32_MAX
#define BLOCK 64u /* nodes that share one word of bits, and one bound of what they have left */

#define SAMPLE 64u /* feasible nodes that are looked at for one task: among so many the best is found for certain */
#define SAMPLE_VICTIMS 32u /* nodes whose victims are counted exactly, among those that are best by priority */
#define GAINS_KEPT 256u
#define PREEMPTION_DISTANCE 10u
#define MEMORY_MOST (INT64_C(1) << 53) /* more is taken for this: sums of it stay in 64 bits */

/* --- nodes ---------------------------------------------------------------------------------------------------------- */

/* What is left for new tasks. Less than nothing: nothing may be placed there, whatever it asks for. */
struct room {
	int64_t cpu;
	int64_t memory;
};

/* At least what each node of a block has left. */
struct bound {
	int64_t cpu;
	int64_t memory;
	bool loose; /* it may be more than that */
};

struct port_use {
	uint16_t port;
	uint32_t allocation;
};

/* The allocations of one priority on a node that could be put out. */
struct level {
	uint32_t priority;
	uint32_t count;
	int64_t cpu;
	int64_t memory;
	uint32_t first; /* the list of them */
};

struct node {
	uint64_t id;
	bool known; /* else it stands only for what is still allocated on it */
	bool up;
	bool eligible;
	struct slice name, host, datacenter; /* copies */
	struct slice *tags;
	size_t tag_count;
	int64_t cpu, memory;                 /* all that it has */
	int64_t cpu_used, memory_used;       /* by allocations and placements */
	int64_t cpu_leaving, memory_leaving; /* of it, by victims that were asked to end */
	uint32_t allocation_count;           /* and placements */
	struct port_use *ports;              /* by number; one may be there twice, when decisions crossed */
	size_t port_count;
	size_t port_capacity;
	uint16_t port_low, port_high; /* low > high: none */
	uint16_t port_next;           /* where the next free one is looked for: a number rests before it comes again */
	uint32_t ports_free;          /* of the range */
	struct level *levels;         /* by priority, rising */
	size_t level_count;
	size_t level_capacity;
};

/* --- what nodes have to be like ------------------------------------------------------------------------------------- */

/* Jobs with the same tags, data centre and nodes share it. */
struct class
{
	struct slice key; /* all that it says, in a row; kept */
	uint64_t number;
	uint32_t references;
	struct slice datacenter; /* copies */
	struct job_tag *on;
	uint32_t on_count;
	struct slice *nodes;
	uint32_t node_count;
	uint64_t *bits; /* by slot of the node: it suits, if it is up and has room */
	UT_hash_handle hh;
};

struct request {
	int64_t cpu;
	int64_t memory;
	uint16_t ports[JOB_PORTS_MAX]; /* as in the settings; 0: a free one */
	uint32_t port_count;
	uint32_t free_ports; /* how many are 0 */
};

/* What fits for one task fits for all of one shape. When nothing fits, all its jobs wait together. Jobs that are placed whole,
 * pinned or on all nodes have one of their own. */
struct shape {
	struct shape_key {
		uint64_t class;
		struct request request; /* no padding that is not cleared */
	} key;
	uint32_t references;
	bool own;
	struct class *class;
	struct heap jobs;     /* that have tasks to place, the first in turn on top */
	size_t queue_index;   /* in the scheduler's heap */
	size_t blocked_index; /* in its list of blocked ones; HEAP_OUT */
	uint64_t missing;     /* blocked, and placed whole: room for at least so many tasks has to come free */
	UT_hash_handle hh;
};

/* --- jobs ----------------------------------------------------------------------------------------------------------- */

struct range {
	uint32_t from, to;
};

struct delay {
	msec at;
	uint32_t task;
};

/* Of a system job: the node that has this number of task. */
struct home {
	uint64_t node;
	bool assigned;
	msec not_before;
};

struct job {
	uint64_t id;
	uint32_t slot;
	const struct job_settings *settings; /* NULL: removed, or only its allocations are known */
	struct shape *shape;
	uint32_t priority;
	struct range *ranges; /* tasks that wait and are due, rising, none touching the next */
	size_t range_count;
	size_t range_capacity;
	uint32_t ready;       /* how many they are */
	struct delay *delays; /* a heap: tasks in backoff */
	size_t delay_count;
	size_t delay_capacity;
	size_t delay_index;  /* in the scheduler's heap, by the first of them */
	size_t heap_index;   /* in the shape's heap */
	int64_t cpu, memory; /* in use */
	uint32_t live;       /* allocations and placements */
	uint32_t whole;      /* group: how many tasks it has */
	uint32_t refused;    /* group: tasks that came back alone */
	uint64_t share;      /* dominant, of 2^32 */
	uint32_t cursor;     /* the slot where looking goes on */
	uint32_t level;      /* SPREAD: no node that fits has fewer of the job … */
	uint64_t gains_seen; /* … but for those that gained room since */
	struct home *homes;  /* SYSTEM: by task */
	size_t home_count;
	size_t home_capacity;
	size_t homes_free;    /* not assigned */
	struct table numbers; /* SYSTEM: the task of a node, by id */
	uint32_t *pins;       /* PINNED: slots, by entry of `nodes` */
	uint64_t pins_of;     /* the state of the nodes that they were found in */
	LIST_ENTRY(job) system;
};

/* --- allocations ---------------------------------------------------------------------------------------------------- */

/* Placements that wait for victims to end. */
struct eviction {
	uint32_t *placements;
	uint32_t placement_count;
	uint32_t victims_left;
	uint32_t *victims; /* slots; they may have been released since */
	uint32_t victim_count;
	TAILQ_ENTRY(eviction) link;
};

struct allocation {
	uint64_t id;  /* 0: a placement that is not confirmed */
	uint32_t job; /* NO_SLOT: this slot is free */
	uint32_t task;
	uint32_t node;
	uint32_t cpu;
	int64_t memory;
	uint16_t *ports;
	uint16_t port_next_before; /* of its node, so that it can be as if it had not been */
	uint8_t port_count;
	uint8_t priority;
	bool system;
	bool leaving;              /* a victim */
	uint32_t previous, next;   /* in its level; `next` also of free slots */
	struct eviction *eviction; /* whom it makes room for; a placement: whose end it waits for */
	size_t outbox_index;
};

struct scheduler {
	struct random random;
	msec now; /* of the last scheduler_next */

	struct node **nodes; /* by slot; NULL: free */
	struct room *rooms;
	struct bound *bounds;
	uint32_t slot_count;
	uint32_t slot_capacity; /* a multiple of BLOCK */
	uint32_t *free_slots;
	size_t free_count;
	size_t free_capacity;
	struct table node_slots; /* by id */
	uint32_t known_nodes;
	uint64_t node_version; /* rises with what nodes are, not with what they have left */
	int64_t cpu, memory;   /* of all known nodes */
	bool totals_changed;
	uint32_t gained[GAINS_KEPT];
	uint64_t gains;

	struct class *classes; /* by key */
	uint64_t class_number;
	struct shape *shapes;

	struct job **jobs; /* by slot */
	uint32_t job_count;
	size_t job_capacity;
	uint32_t *free_jobs;
	size_t free_job_count;
	size_t free_job_capacity;
	struct table job_slots; /* by id */
	LIST_HEAD(, job) systems;
	struct heap queue;  /* of shapes */
	struct heap delays; /* of jobs */
	struct shape **blocked;
	size_t blocked_count;
	size_t blocked_capacity;
	uint64_t waiting;

	struct allocation *allocations;
	uint32_t allocation_count;
	size_t allocation_capacity;
	uint32_t free_allocation;
	struct table allocation_slots;             /* by id */
	struct table singles;                      /* by job and task: the slot of its placement; SINGLE_DELAYED */
	struct table tallies;                      /* by job and node: allocations and placements */
	uint32_t priorities[JOB_PRIORITY_MAX + 1]; /* allocations that could be put out */

	uint32_t *outbox; /* placements to be told; NO_SLOT: taken back */
	size_t outbox_head;
	size_t outbox_count;
	size_t outbox_capacity;
	TAILQ_HEAD(, eviction) evictions;
	uint64_t *victims; /* of what was told last */
	size_t victim_capacity;
	uint64_t placements; /* so far */
};
#define SINGLE_DELAYED (NO_SLOT - 1)

static inline uint64_t pair_key(uint32_t left, uint32_t right)
{
	return (uint64_t)left << 32 | right;
}

static inline bool bit_get(const uint64_t *bits, uint32_t index)
{
	return (bits[index / BLOCK] >> (index % BLOCK) & 1) != 0;
}

static inline bool job_is_system(const struct job *job)
{
	return job->settings != NULL && job->settings->type == JOB_SYSTEM;
}

/* All tasks that wait are placed at once, or none of them. */
static inline bool job_is_whole(const struct job *job)
{
	return !job_is_system(job) && (job->settings->group || job->settings->placement == JOB_RANDOM);
}

static inline const struct request *job_request(const struct job *job)
{
	return &job->shape->key.request;
}

/* --- scheduler_port.c ----------------------------------------------------------------------------------------------- */

void ports_finish(struct node *node);
void ports_set_range(struct node *node, uint16_t low, uint16_t high);
bool ports_fit(const struct node *node, const struct request *request);
/* They must fit. Sets port_next, and takes none yet. */
void ports_choose(struct node *node, const struct request *request, uint16_t *ret_ports);
void ports_use(struct node *node, const struct allocation *allocation, uint32_t slot);
void ports_release(struct node *node, const struct allocation *allocation, uint32_t slot);
/* Who has it, beginning with *cursor (0 at first); NO_SLOT: nobody else. */
uint32_t port_holder(const struct node *node, uint16_t port, size_t *cursor);
bool port_in_range(const struct node *node, uint16_t port);

/* --- scheduler_node.c ----------------------------------------------------------------------------------------------- */

void nodes_finish(struct scheduler *scheduler);
/* Makes one up that is not known when there is none. */
uint32_t node_slot_of(struct scheduler *scheduler, uint64_t id);
bool node_is_usable(const struct node *node);
/* What is used of it has changed. */
void node_update_room(struct scheduler *scheduler, uint32_t slot);
/* It may have room that it had not. */
void node_gained(struct scheduler *scheduler, uint32_t slot);
/* Nothing is on it any more. */
void node_let_go(struct scheduler *scheduler, uint32_t slot);
bool node_fits(const struct scheduler *scheduler, const struct request *request, uint32_t slot);
/* How many tasks with this request fit on it; at most UINT32_MAX. */
uint32_t node_capacity(const struct scheduler *scheduler, const struct request *request, uint32_t slot);

/* --- scheduler_shape.c ---------------------------------------------------------------------------------------------- */

/* Why a node is not of a class. */
enum mismatch { MATCHES, OTHER_DATACENTER, NOT_LISTED, LACKS_TAG, HAS_TAG };
bool node_is_named(const struct node *node, struct slice name);
enum mismatch class_match(const struct class *class, const struct node *node, struct slice *ret_tag);
void classes_node_changed(struct scheduler *scheduler, uint32_t slot);
void classes_grow(struct scheduler *scheduler, uint32_t from, uint32_t to);
struct shape *shape_hold(struct scheduler *scheduler, const struct job_settings *settings);
void shape_release(struct scheduler *scheduler, struct shape *shape);

/* --- scheduler_queue.c ---------------------------------------------------------------------------------------------- */

void queue_init(struct scheduler *scheduler);
void queue_finish(struct scheduler *scheduler);
void shape_init_heap(struct shape *shape);
/* Whether it has tasks that may be placed now. A group comes as a whole; only what was refused of it may follow alone. */
bool job_wants(const struct job *job);
/* Whether the job is in its shape's heap, and where, comes in line with what waits and what it has. */
void queue_update(struct scheduler *scheduler, struct job *job);
void queue_leave(struct scheduler *scheduler, struct job *job);
/* Something about the job has changed that may let it be placed. */
void queue_wake(struct scheduler *scheduler, struct job *job);
void scheduler_queue_block(struct scheduler *scheduler, struct shape *shape, uint64_t missing);
/* The node has gained room. */
void queue_node_gained(struct scheduler *scheduler, uint32_t slot);
/* Something on it could be put out that could not before. */
void queue_node_preemptible(struct scheduler *scheduler, uint32_t slot);
void job_update_share(const struct scheduler *scheduler, struct job *job);
/* Shares are of what all nodes have, and that has changed. */
void queue_reorder(struct scheduler *scheduler);

/* --- scheduler.c ---------------------------------------------------------------------------------------------------- */

struct job *scheduler_job_find(const struct scheduler *scheduler, uint64_t id);
struct job *job_open(struct scheduler *scheduler, uint64_t id);
/* From now on its tasks are placed as these settings say. */
void job_take_settings(struct scheduler *scheduler, struct job *job, const struct job_settings *settings);
/* Nothing of it waits any more. */
void job_close(struct scheduler *scheduler, struct job *job);
void placement_tell(const struct scheduler *scheduler, uint32_t slot, struct scheduler_placement *ret_placement);
/* Nothing is known of it any more, when it is removed and has no allocation. */
void job_let_go(struct scheduler *scheduler, struct job *job);

/* --- scheduler_wait.c ----------------------------------------------------------------------------------------------- */

void tasks_add(struct scheduler *scheduler, struct job *job, uint32_t from, uint32_t to);
bool tasks_remove(struct scheduler *scheduler, struct job *job, uint32_t task);
bool task_is_ready(const struct job *job, uint32_t task);
static inline uint32_t tasks_first(const struct job *job)
{
	return job->ranges[0].from;
}
void tasks_clear(struct scheduler *scheduler, struct job *job);
void task_delay(struct scheduler *scheduler, struct job *job, uint32_t task, msec at);
void tasks_due(struct scheduler *scheduler, msec now);
void delays_init(struct scheduler *scheduler);

/* --- scheduler_allocation.c ----------------------------------------------------------------------------------------- */

/* The task is placed there: counts, and no longer waits. Ports are chosen. Returns the slot of the placement. */
uint32_t placement_make(struct scheduler *scheduler, struct job *job, uint32_t task, uint32_t node);
/* It is as if it had not been; the task does not wait. The node is not said to have gained. */
void placement_unmake(struct scheduler *scheduler, uint32_t slot);
/* Its task waits again, and its node has gained. With it come all that wait for the same victims. */
void placement_take_back(struct scheduler *scheduler, uint32_t slot);
/* It can no longer be put out, because it is or because it goes. */
void level_leave(struct scheduler *scheduler, uint32_t slot);
void level_enter(struct scheduler *scheduler, uint32_t slot);
void eviction_destroy(struct scheduler *scheduler, struct eviction *eviction);
void outbox_add(struct scheduler *scheduler, uint32_t slot);
uint32_t outbox_take(struct scheduler *scheduler); /* NO_SLOT: empty */
void allocations_finish(struct scheduler *scheduler);
/* Placements that wait for victims there have lost their place: their tasks wait again. */
void evictions_cancel(struct scheduler *scheduler, uint32_t node);
static inline uint32_t tally(const struct scheduler *scheduler, const struct job *job, uint32_t node)
{
	return table_get(&scheduler->tallies, pair_key(job->slot, node), 0);
}

/* --- scheduler_system.c --------------------------------------------------------------------------------------------- */

/* The number of the node that has it, or that it gets now. */
uint32_t system_number(struct job *job, uint64_t node);
/* The task is that of the node, from what is written down. */
void system_assign(struct job *job, uint32_t task, uint64_t node);
void system_wait(struct scheduler *scheduler, struct job *job, uint32_t task, msec not_before);
void systems_forget(struct scheduler *scheduler, uint32_t node);
void system_forget(struct job *job, uint64_t node);
void system_finish(struct job *job);
/* It lacks the job, and may have it as far as waiting goes. */
bool system_lacks(const struct scheduler *scheduler, const struct job *job, uint32_t node);
uint32_t system_waiting(const struct scheduler *scheduler, const struct job *job);

/* --- scheduler_preempt.c -------------------------------------------------------------------------------------------- */

bool preemption_could_help(const struct scheduler *scheduler, const struct job *job, uint32_t slot);
/* Lower ones are told to go, for the sake of one task of the job. The placement that waits for them; NO_SLOT: that does not help. */
uint32_t preempt(struct scheduler *scheduler, struct job *job);
/* Nobody was told. The placement has to be unmade. */
void eviction_undo(struct scheduler *scheduler, uint32_t placement);

/* --- scheduler_place.c ---------------------------------------------------------------------------------------------- */

/* Decides on the job's next tasks. What is decided lies in the outbox, or is *ret_notice: a placement whose victims are to be told,
 * else NO_SLOT. False: nothing fits, and room for *ret_missing tasks has to come free at least. */
bool place_job(struct scheduler *scheduler, struct job *job, uint32_t *ret_notice, uint64_t *ret_missing);
/* The next bit that is set from `from` on; `end` when there is none before it. */
uint32_t bits_next(const uint64_t *bits, uint32_t from, uint32_t end);
/* The slots of the nodes that a pinned job names, for each entry of `nodes`; NO_SLOT: none. */
const uint32_t *job_pins(const struct scheduler *scheduler, struct job *job);

#endif
