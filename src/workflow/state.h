/* The state of a PiInstance, for the files of the instance only:
 *   instance.c        the door: create, post, reduce, result
 *   reduction.c       what each kind of term does when it communicates
 *   each.c            TERM_EACH: elements and their window
 *   instance_calls.c  calls: waiting, opened, returned; their arguments as JSON
 *   ground.c          who waits for a value to be ground, and when it is
 *   state.c           places, channels, communication
 *   value.c           values: JSON, or an object with parts; rendering
 *   instance_print.c  the state for a person
 *
 * Every channel is a cell in a place: a frame (the channels of one call of a program) or an object (a pair, record, list or
 * choice that was sent; its cells are its parts). A channel is written once. COPY makes channels aliases of one another,
 * so that a value is shared; how many may still read it is counted, and the last one takes it away. Where that count is too
 * high a value stays until its place goes: that costs memory, never meaning.
 *
 * An alias is a forward, always from a newer place to an older one (or within one): so forwards form no cycle, a loop
 * in tail position hands on the channels of its first turn, and the frames between can go. A forward is taken away when
 * all who use it have written or read.
 *
 * Places are counted: by tasks and queued blocks (frames), by values (objects), by forwards from other places. What falls
 * to zero is swept after each piece of work, so that pointers stay good within one, and nothing is released recursively. */
#ifndef CLUSTERD_WORKFLOW_STATE_H
#define CLUSTERD_WORKFLOW_STATE_H

#include "base/json.h"
#include "workflow/instance.h"

#include <sys/queue.h>

enum block_kind { BLOCK_TEXT, BLOCK_OBJECT, BLOCK_FRAME };

/* Head of everything that is counted. */
struct block {
	uint32_t references;
	uint8_t kind;
	uint8_t depth; /* BLOCK_TEXT: of nesting, once `measured` */
	bool measured;
};

/* A JSON text that values are slices of. */
struct leaf {
	struct block block;
	struct text *text;
};

/* One reference to its block. */
struct value {
	struct block *block; /* BLOCK_TEXT or BLOCK_OBJECT */
	uint32_t offset;     /* BLOCK_TEXT: which part of the text */
	uint32_t size;
};

struct place;
struct cell;

struct channel {
	struct place *place;
	struct cell *cell;
};

enum watch_kind {
	WATCH_TERM,     /* a term that communicates when something is sent */
	WATCH_ARGUMENT, /* a task that waits for a ground value */
	WATCH_OBJECT,   /* an object that waits for a part of it to be ground */
	WATCH_ELEMENT,  /* an element of an `each`, for its output to be ground */
	WATCH_RESULT,   /* the instance, for its result */
};

struct watch {
	struct watch *next;
	uint8_t kind;
	bool allocated; /* by itself; else part of the one who waits */
	union {
		struct task *task;
		struct object *object;
		struct element *element;
	};
};

struct watch_list {
	struct watch *first;
	struct watch *last;
};

enum cell_state {
	CELL_OPEN,    /* nothing was sent so far */
	CELL_SENT,
	CELL_FORWARD, /* an alias */
	CELL_SPENT,   /* the last reader took the value */
};

struct cell {
	union {
		struct watch_list watches; /* OPEN */
		struct value value;        /* SENT */
		struct channel forward;    /* FORWARD */
	};
	uint32_t readers; /* to come. FORWARD: users of this very cell to come, readers or a writer */
	uint8_t state;
	bool taken; /* part of an object: the object itself reads it no more */
};

/* A block with cells. */
struct place {
	struct block block;
	uint64_t serial; /* 1, 2, …: the newer the larger */
	TAILQ_ENTRY(place) link;
	uint32_t cell_count;
};

TAILQ_HEAD(place_list, place);

enum groundness { GROUND_UNKNOWN, GROUND_PENDING, GROUND_YES };

struct object {
	struct place place;
	uint32_t missing;              /* PENDING: parts that are not ground */
	const struct program *program;
	const struct term *term;       /* that sent it: PAIR_OUT, RECORD_OUT, LIST_OUT, SELECT or EACH */
	struct watch_list watches;     /* for it to be ground */
	struct object *next;           /* in ->unexpanded */
	uint8_t ground;
	struct cell parts[];
};

struct frame {
	struct place place;
	const struct program *program;
	struct element *element; /* of the `each` it runs in; NULL: none */
	struct cell cells[];
};

enum task_state { TASK_WAITING, TASK_READY, TASK_OPEN };

/* A released term that is not through: it waits for input or for arguments, is an open call, or an `each` that runs. */
struct task {
	TAILQ_ENTRY(task) link; /* in the order of release */
	struct watch watch;
	struct frame *frame;
	const struct term *term;
	struct each *each;
	uint64_t serial;
	uint32_t missing; /* arguments that are not ground */
	uint32_t ref;     /* OPEN */
	uint8_t state;
};

TAILQ_HEAD(task_list, task);

/* An element of an `each` that runs. It is through when its output is ground and nothing released in it waits. */
struct element {
	LIST_ENTRY(element) link;
	struct each *each;
	struct watch watch;
	uint32_t index;
	uint32_t pending; /* tasks, queued blocks, and one for the output until it is ground */
};

struct each {
	struct task *task;
	struct value list;
	struct json_iterator iterator; /* over a JSON list */
	struct object *out;            /* held */
	LIST_HEAD(, element) elements; /* that run */
	uint32_t count;
	uint32_t next;                 /* to be started */
	uint32_t running;
	uint32_t window;
	bool queued;
};

/* What is to be done: a task that can go on, or a block of terms to be released. */
struct work {
	struct task *task;
	struct frame *frame;
	uint32_t block;
};

/* A ring. */
struct work_queue {
	struct work *entries;
	size_t first;
	size_t count;
	size_t capacity; /* 0 or a power of two */
};

struct open_call {
	uint32_t ref;
	struct task *task; /* NULL: returned */
};

struct instance {
	const struct definition *workflow;
	struct instance_limits limits;
	enum instance_state state;
	bool result_ground;
	bool overflow;            /* set where it is noticed; ends the step */
	struct frame *root;
	struct place_list places; /* in the order of their serials */
	struct place_list dying;
	struct task_list tasks;
	struct work_queue queue;
	struct task **ready;
	size_t ready_count;
	size_t ready_capacity;
	struct open_call *open; /* by reference, ascending */
	size_t open_count;      /* entries */
	size_t open_capacity;
	uint32_t open_live;     /* entries that have not returned */
	uint32_t call_count;
	uint32_t last_ref;
	uint32_t waiting_count; /* calls whose arguments are not ground, or that are about to be opened */
	struct instance_call *calls; /* of the last step */
	struct watch_list fired;
	struct object *unexpanded;
	struct watch result_watch;
	struct text *result;
	uint64_t last_place;
	uint64_t last_release;
	uint64_t reductions; /* of the step */
	size_t size;
};

/* state.c */
void *state_alloc(struct instance *instance, size_t size); /* cleared */
void state_free(struct instance *instance, void *memory, size_t size);
struct cell *place_cells(struct place *place);

struct frame *state_frame(struct instance *instance, const struct program *program, struct element *element);
struct channel frame_channel(struct frame *frame, uint32_t index);
struct object *state_object(struct instance *instance, const struct program *program, const struct term *term,
                            uint32_t part_count); /* one reference, the caller's */
struct channel object_part(struct object *object, uint32_t index);
void state_hold(struct place *place);
void state_release(struct instance *instance, struct place *place);
void state_sweep(struct instance *instance);

/* The channel that it is an alias of in the end, or itself. */
struct channel state_resolve(struct instance *instance, struct channel channel);
void state_send(struct instance *instance, struct channel channel, struct value take_value);
/* What comes on `from` goes out on `to`; counts as reading `from` once. */
void state_link(struct instance *instance, struct channel from, struct channel to);
/* Makes room for one more reader; gives what the channel is an alias of. */
struct channel state_read_once_more(struct instance *instance, struct channel channel);
/* A link by such a reader. */
void state_share(struct instance *instance, struct channel from, struct channel to);
struct value state_take(struct instance *instance, struct channel channel);
void state_discard(struct instance *instance, struct channel channel);
/* Part `index` of an object continues on `to`. Moved when nobody else has the object. */
void state_give_part(struct instance *instance, struct object *object, uint32_t index, struct channel to);

struct task *task_create(struct instance *instance, struct frame *frame, const struct term *term);
void task_destroy(struct instance *instance, struct task *task);
/* Something of the frame is still to be done; counts for the element it runs in. */
void frame_begin(struct frame *frame);
void frame_end(struct instance *instance, struct frame *frame);

void queue_task(struct instance *instance, struct task *task);
void queue_block(struct instance *instance, struct frame *frame, uint32_t block);
bool queue_take(struct instance *instance, struct work *ret_work);

void watch_append(struct watch_list *list, struct watch *watch);
void watch_concat(struct watch_list *list, struct watch_list *take_other);

/* value.c */
struct value value_text(struct instance *instance, struct text *text); /* holds the text */
struct value value_object(struct object *take_object);
struct value value_part(struct value whole, struct slice part); /* a slice of it */
struct value value_hold(struct value value);
void value_release(struct instance *instance, struct value value);
/* NULL: it is JSON. */
struct object *value_as_object(struct value value);
struct slice value_slice(struct value value);
/* Appends a ground value as JSON, `depth` containers deep already. ERR_LIMIT: `out` would be larger than the limit on a
 * value, or deeper than JSON_DEPTH. The work is bounded by that limit even where sharing makes a value very large. */
int value_render(struct instance *instance, struct channel channel, uint32_t depth, struct buffer *out);
/* Label `index` of an object's parts: a record's key, a choice's label. */
struct slice object_name(const struct object *object, uint32_t index);

/* ground.c */
bool value_ground(struct value value);
/* True: the value is there and is known to be ground, the watch is not kept. False: it fires when it is. */
bool ground_watch(struct instance *instance, struct channel channel, struct watch *watch);
/* Something was sent where `watches` wait for it to be ground. */
void ground_sent(struct instance *instance, struct value value, struct watch *watch);
void ground_settle(struct instance *instance);
struct watch *watch_create(struct instance *instance, enum watch_kind kind);

/* reduction.c */
void reduce_block(struct instance *instance, struct frame *frame, uint32_t block);
void reduce_task(struct instance *instance, struct task *task);
void reduce_count(struct instance *instance);                /* one more */
void reduce_weigh(struct instance *instance, size_t scanned); /* what a scan of so many bytes counts for */

/* each.c */
void each_begin(struct instance *instance, struct frame *frame, const struct term *term);
void each_go_on(struct instance *instance, struct task *task);
void element_ground(struct instance *instance, struct element *element);
void element_end(struct instance *instance, struct element *element);
void each_destroy(struct instance *instance, struct each *each); /* at the end of the instance */

/* instance_calls.c */
uint32_t calls_arg_count(const struct term *term);
uint32_t calls_arg(const struct program *program, const struct term *term, uint32_t index);
void calls_release(struct instance *instance, struct frame *frame, const struct term *term);
void calls_ready(struct instance *instance, struct task *task);
/* Opens what is ready. ERR_LIMIT: arguments that are too large. */
int calls_open(struct instance *instance);
void calls_forget(struct instance *instance); /* the calls that the last step opened */
struct task *calls_find(const struct instance *instance, uint32_t ref);
void calls_return(struct instance *instance, struct task *task, struct text *result);

#endif
