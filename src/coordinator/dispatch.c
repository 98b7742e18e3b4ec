#include "coordinator/dispatch.h"

#include "base/memory.h"

#include <assert.h>
#include <sys/queue.h>
#include <uthash.h>

struct work {
	struct {
		uint64_t instance;
		uint64_t ref;
	} key;
	uint64_t attempt;
	struct waiting *queue;
	struct place *place; /* NULL: it waits */
	msec finish_deadline;
	msec deadline;       /* the earliest one; MSEC_NEVER */
	enum expiry expiry;
	bool reported;
	size_t heap_index;   /* SIZE_MAX: not in the heap */
	TAILQ_ENTRY(work) link; /* in the queue, or in the place */
	UT_hash_handle hh;
};

TAILQ_HEAD(work_list, work);

/* Nothing waits; in the list of those that may have something to hand out; in that of those that found no place. */
enum queue_state { QUEUE_EMPTY, QUEUE_RUNNABLE, QUEUE_BLOCKED };

/* The calls of one definition that wait, and the places that serve it. */
struct waiting {
	const struct definition *process; /* the key */
	struct work_list works;
	struct place **places;
	size_t place_count;
	size_t place_capacity;
	enum queue_state state;
	TAILQ_ENTRY(waiting) link;
	UT_hash_handle hh;
};

struct place {
	enum place_kind kind;
	void *context;
	const struct definition *only;
	struct place_site *site; /* NULL: none */
	uint32_t credit;
	uint32_t running;
	struct offer *offers;
	size_t offer_count;
	struct work_list works;
	TAILQ_ENTRY(place) link;
};

struct dispatch {
	struct work *works;
	struct waiting *queues;
	TAILQ_HEAD(queue_list, waiting) runnable, blocked;
	TAILQ_HEAD(, place) places;
	struct work **heap;
	size_t heap_size;
	size_t heap_capacity;
	uint32_t waiting_count;
	uint32_t running_count;
};

struct dispatch *dispatch_create(void)
{
	struct dispatch *dispatch = mem_zero(sizeof *dispatch);
	TAILQ_INIT(&dispatch->runnable);
	TAILQ_INIT(&dispatch->blocked);
	TAILQ_INIT(&dispatch->places);
	return dispatch;
}

/* --- the heap of deadlines ----------------------------------------------------------------------------------------- */

static void heap_put(struct dispatch *dispatch, size_t index, struct work *work)
{
	dispatch->heap[index] = work;
	work->heap_index = index;
}

static void heap_up(struct dispatch *dispatch, size_t index)
{
	struct work *work = dispatch->heap[index];
	while (index > 0 && dispatch->heap[(index - 1) / 2]->deadline > work->deadline) {
		heap_put(dispatch, index, dispatch->heap[(index - 1) / 2]);
		index = (index - 1) / 2;
	}
	heap_put(dispatch, index, work);
}

static void heap_down(struct dispatch *dispatch, size_t index)
{
	struct work *work = dispatch->heap[index];
	for (;;) {
		size_t child = 2 * index + 1;
		if (child >= dispatch->heap_size)
			break;
		if (child + 1 < dispatch->heap_size &&
		    dispatch->heap[child + 1]->deadline < dispatch->heap[child]->deadline)
			child++;
		if (dispatch->heap[child]->deadline >= work->deadline)
			break;
		heap_put(dispatch, index, dispatch->heap[child]);
		index = child;
	}
	heap_put(dispatch, index, work);
}

static void heap_remove(struct dispatch *dispatch, struct work *work)
{
	size_t index = work->heap_index;
	if (index == SIZE_MAX)
		return;
	work->heap_index = SIZE_MAX;
	struct work *last = dispatch->heap[--dispatch->heap_size];
	if (last == work)
		return;
	heap_put(dispatch, index, last);
	heap_up(dispatch, index);
	heap_down(dispatch, last->heap_index);
}

static void work_set_deadline(struct dispatch *dispatch, struct work *work, msec deadline, enum expiry expiry)
{
	heap_remove(dispatch, work);
	work->deadline = deadline;
	work->expiry = expiry;
	if (deadline == MSEC_NEVER)
		return;
	mem_grow(dispatch->heap, dispatch->heap_capacity, dispatch->heap_size + 1);
	heap_put(dispatch, dispatch->heap_size++, work);
	heap_up(dispatch, work->heap_index);
}

/* --- who serves what ----------------------------------------------------------------------------------------------- */

/* The node has all tags that the process asks for. */
static bool site_suits(const struct place_site *site, const struct definition *process)
{
	for (uint32_t i = 0; i < process->settings.on_count; i++) {
		size_t tag = 0;
		while (site != NULL && tag < site->tag_count && !slice_equal(site->tags[tag], process->settings.on[i]))
			tag++;
		if (site == NULL || tag == site->tag_count)
			return false;
	}
	return true;
}

static bool place_serves(const struct place *place, const struct definition *process)
{
	switch (place->kind) {
	case PLACE_EXEC:
		return process->settings.exec_count > 0 && site_suits(place->site, process);
	case PLACE_POOL:
		return place->only == process && site_suits(place->site, process);
	case PLACE_WORKER:
		for (size_t i = 0; i < place->offer_count; i++) {
			const struct offer *offer = &place->offers[i];
			if (slice_equal(offer->process, process->name) &&
			    (offer->signature.size == 0 || slice_equal(offer->signature, process->signature)))
				return true;
		}
		return false;
	}
	return false;
}

static void queue_link(struct waiting *queue, struct place *place)
{
	mem_grow(queue->places, queue->place_capacity, queue->place_count + 1);
	queue->places[queue->place_count++] = place;
}

static void queue_unlink(struct waiting *queue, const struct place *place)
{
	for (size_t i = 0; i < queue->place_count; i++) {
		if (queue->places[i] == place) {
			queue->places[i] = queue->places[--queue->place_count];
			return;
		}
	}
}

static void queue_enter(struct dispatch *dispatch, struct waiting *queue, enum queue_state state)
{
	if (queue->state == QUEUE_RUNNABLE)
		TAILQ_REMOVE(&dispatch->runnable, queue, link);
	else if (queue->state == QUEUE_BLOCKED)
		TAILQ_REMOVE(&dispatch->blocked, queue, link);
	queue->state = state;
	if (state == QUEUE_RUNNABLE)
		TAILQ_INSERT_TAIL(&dispatch->runnable, queue, link);
	else if (state == QUEUE_BLOCKED)
		TAILQ_INSERT_TAIL(&dispatch->blocked, queue, link);
}

/* The place can take a call: whoever waits for one like it has another try. */
static void place_wake(struct dispatch *dispatch, const struct place *place)
{
	struct waiting *next;
	for (struct waiting *queue = TAILQ_FIRST(&dispatch->blocked); queue != NULL; queue = next) {
		next = TAILQ_NEXT(queue, link);
		if (place_serves(place, queue->process))
			queue_enter(dispatch, queue, QUEUE_RUNNABLE);
	}
}

static struct waiting *queue_of(struct dispatch *dispatch, const struct definition *process)
{
	struct waiting *queue;
	HASH_FIND_PTR(dispatch->queues, &process, queue);
	if (queue != NULL)
		return queue;
	queue = mem_zero(sizeof *queue);
	queue->process = process;
	TAILQ_INIT(&queue->works);
	HASH_ADD_PTR(dispatch->queues, process, queue);
	struct place *place;
	TAILQ_FOREACH(place, &dispatch->places, link) {
		if (place_serves(place, process))
			queue_link(queue, place);
	}
	return queue;
}

/* --- places -------------------------------------------------------------------------------------------------------- */

static void place_link(struct dispatch *dispatch, struct place *place)
{
	for (struct waiting *queue = dispatch->queues; queue != NULL; queue = queue->hh.next) {
		queue_unlink(queue, place);
		if (place_serves(place, queue->process))
			queue_link(queue, place);
	}
	place_wake(dispatch, place);
}

struct place *dispatch_place_add(struct dispatch *dispatch, enum place_kind kind, uint32_t credit, void *context,
                                 const struct definition *only, struct place_site *site)
{
	struct place *place = mem_zero(sizeof *place);
	assert((kind == PLACE_POOL) == (only != NULL));
	place->site = site;
	place->kind = kind;
	place->credit = credit;
	place->context = context;
	place->only = only;
	TAILQ_INIT(&place->works);
	TAILQ_INSERT_TAIL(&dispatch->places, place, link);
	place_link(dispatch, place);
	return place;
}

static void offers_release(struct place *place)
{
	for (size_t i = 0; i < place->offer_count; i++) {
		mem_free((char *)(uintptr_t)place->offers[i].process.data);
		mem_free((char *)(uintptr_t)place->offers[i].signature.data);
	}
	mem_free(place->offers);
	place->offers = NULL;
	place->offer_count = 0;
}

static struct slice slice_copy(struct slice slice)
{
	return (struct slice){mem_copy(slice.data, slice.size), slice.size};
}

void dispatch_place_offer(struct dispatch *dispatch, struct place *place, const struct offer *offers, size_t count,
                          uint32_t credit)
{
	assert(place->kind == PLACE_WORKER);
	offers_release(place);
	place->offers = mem_array(count, sizeof *offers);
	for (size_t i = 0; i < count; i++)
		place->offers[i] = (struct offer){slice_copy(offers[i].process), slice_copy(offers[i].signature)};
	place->offer_count = count;
	place->credit = credit;
	place_link(dispatch, place);
}

void dispatch_place_credit(struct dispatch *dispatch, struct place *place, uint32_t credit)
{
	bool more = credit > place->credit;
	place->credit = credit;
	if (more)
		place_wake(dispatch, place);
}

static void work_enter(struct dispatch *dispatch, struct work *work, struct place *place)
{
	TAILQ_INSERT_TAIL(&place->works, work, link);
	work->place = place;
	place->running++;
	if (place->site != NULL)
		place->site->running++;
	dispatch->running_count++;
}

/* Out of its queue, or out of its place. */
static void work_leave(struct dispatch *dispatch, struct work *work)
{
	struct place *place = work->place;
	if (place != NULL) {
		TAILQ_REMOVE(&place->works, work, link);
		work->place = NULL;
		place->running--;
		if (place->site != NULL)
			place->site->running--;
		dispatch->running_count--;
		place_wake(dispatch, place);
		return;
	}
	TAILQ_REMOVE(&work->queue->works, work, link);
	dispatch->waiting_count--;
	if (TAILQ_EMPTY(&work->queue->works))
		queue_enter(dispatch, work->queue, QUEUE_EMPTY);
}

static void work_release(struct dispatch *dispatch, struct work *work)
{
	heap_remove(dispatch, work);
	HASH_DELETE(hh, dispatch->works, work);
	work_leave(dispatch, work);
	mem_free(work);
}

static struct call_id work_id(const struct work *work)
{
	return (struct call_id){work->key.instance, (uint32_t)work->key.ref, work->attempt};
}

bool dispatch_place_remove(struct dispatch *dispatch, struct place *take_place, struct call_id *ret_call)
{
	struct work *work;
	take_place->credit = 0;
	while ((work = TAILQ_FIRST(&take_place->works)) != NULL) {
		bool reported = work->reported;
		*ret_call = work_id(work);
		work_release(dispatch, work);
		if (!reported)
			return true;
	}
	for (struct waiting *queue = dispatch->queues; queue != NULL; queue = queue->hh.next)
		queue_unlink(queue, take_place);
	TAILQ_REMOVE(&dispatch->places, take_place, link);
	offers_release(take_place);
	mem_free(take_place);
	return false;
}

void *dispatch_place_context(const struct place *place)
{
	return place->context;
}

uint32_t dispatch_place_running(const struct place *place)
{
	return place->running;
}

/* --- calls --------------------------------------------------------------------------------------------------------- */

static struct work *work_find(const struct dispatch *dispatch, uint64_t instance, uint32_t ref)
{
	struct {
		uint64_t instance;
		uint64_t ref;
	} key = {instance, ref};
	struct work *work;
	HASH_FIND(hh, dispatch->works, &key, sizeof key, work);
	return work;
}

static struct work *work_create(struct dispatch *dispatch, struct call_id call, const struct definition *process)
{
	struct work *work = mem_zero(sizeof *work);
	work->key.instance = call.instance;
	work->key.ref = call.ref;
	work->attempt = call.attempt;
	work->queue = queue_of(dispatch, process);
	work->heap_index = SIZE_MAX;
	work->deadline = MSEC_NEVER;
	HASH_ADD(hh, dispatch->works, key, sizeof work->key, work);
	return work;
}

void dispatch_ready(struct dispatch *dispatch, msec now, struct call_id call, const struct definition *process)
{
	if (work_find(dispatch, call.instance, call.ref) != NULL)
		return;
	struct work *work = work_create(dispatch, call, process);
	TAILQ_INSERT_TAIL(&work->queue->works, work, link);
	dispatch->waiting_count++;
	if (process->settings.start_timeout != 0)
		work_set_deadline(dispatch, work, now + process->settings.start_timeout, EXPIRY_START);
	if (work->queue->state == QUEUE_EMPTY)
		queue_enter(dispatch, work->queue, QUEUE_RUNNABLE);
}

static bool place_is_better(const struct place *place, const struct place *than)
{
	uint64_t load = (uint64_t)place->running * than->credit;
	uint64_t other = (uint64_t)than->running * place->credit;
	if (load != other)
		return load < other;
	if (place->site != NULL && than->site != NULL && place->site != than->site) {
		if (place->site->running != than->site->running)
			return place->site->running < than->site->running;
		if (place->site->last != than->site->last)
			return than->site->last;
	}
	return place->credit - place->running > than->credit - than->running;
}

static struct place *queue_best_place(const struct waiting *queue)
{
	struct place *best = NULL;
	for (size_t i = 0; i < queue->place_count; i++) {
		struct place *place = queue->places[i];
		if (place->running < place->credit && (best == NULL || place_is_better(place, best)))
			best = place;
	}
	return best;
}

static msec next_deadline(const struct work *work, msec now, enum expiry *ret_expiry)
{
	msec heartbeat = work->queue->process->settings.heartbeat;
	*ret_expiry = EXPIRY_FINISH;
	if (heartbeat == 0 || now + heartbeat >= work->finish_deadline)
		return work->finish_deadline;
	*ret_expiry = EXPIRY_HEARTBEAT;
	return now + heartbeat;
}

/* From now on it runs, and has to end in time. */
static void watch_over(struct dispatch *dispatch, struct work *work, msec now, msec elapsed)
{
	msec timeout = work->queue->process->settings.timeout;
	enum expiry expiry;
	work->finish_deadline = timeout != 0 ? now + timeout - elapsed : MSEC_NEVER;
	msec deadline = next_deadline(work, now, &expiry);
	work_set_deadline(dispatch, work, deadline, expiry);
}

bool dispatch_next(struct dispatch *dispatch, msec now, struct assignment *ret_assignment)
{
	struct waiting *queue;
	while ((queue = TAILQ_FIRST(&dispatch->runnable)) != NULL) {
		struct work *work = TAILQ_FIRST(&queue->works);
		struct place *place = queue_best_place(queue);
		if (place == NULL) {
			queue_enter(dispatch, queue, QUEUE_BLOCKED);
			continue;
		}
		TAILQ_REMOVE(&queue->works, work, link);
		dispatch->waiting_count--;
		work_enter(dispatch, work, place);
		watch_over(dispatch, work, now, 0);
		/* To the end of the line: definitions take turns. */
		queue_enter(dispatch, queue, TAILQ_EMPTY(&queue->works) ? QUEUE_EMPTY : QUEUE_RUNNABLE);
		*ret_assignment = (struct assignment){work_id(work), queue->process, place};
		return true;
	}
	return false;
}

void dispatch_adopt(struct dispatch *dispatch, msec now, struct call_id call, const struct definition *process,
                    struct place *place, msec elapsed)
{
	struct work *work = work_find(dispatch, call.instance, call.ref);
	if (work != NULL)
		work_release(dispatch, work);
	work = work_create(dispatch, call, process);
	work_enter(dispatch, work, place);
	watch_over(dispatch, work, now, elapsed);
}

bool dispatch_knows(const struct dispatch *dispatch, uint64_t instance, uint32_t ref, uint64_t *ret_attempt)
{
	const struct work *work = work_find(dispatch, instance, ref);
	if (work != NULL)
		*ret_attempt = work->attempt;
	return work != NULL;
}

struct place *dispatch_close(struct dispatch *dispatch, struct call_id call)
{
	struct work *work = work_find(dispatch, call.instance, call.ref);
	if (work == NULL || work->attempt != call.attempt)
		return NULL;
	struct place *place = work->place;
	work_release(dispatch, work);
	return place;
}

void dispatch_withdraw(struct dispatch *dispatch, uint64_t instance, uint32_t ref)
{
	struct work *work = work_find(dispatch, instance, ref);
	if (work != NULL && work->place == NULL)
		work_release(dispatch, work);
}

struct place *dispatch_where(const struct dispatch *dispatch, struct call_id call)
{
	const struct work *work = work_find(dispatch, call.instance, call.ref);
	return work != NULL && work->attempt == call.attempt ? work->place : NULL;
}

void dispatch_heartbeat(struct dispatch *dispatch, msec now, struct call_id call)
{
	struct work *work = work_find(dispatch, call.instance, call.ref);
	enum expiry expiry;
	if (work == NULL || work->attempt != call.attempt || work->place == NULL || work->deadline == MSEC_NEVER)
		return;
	msec deadline = next_deadline(work, now, &expiry);
	work_set_deadline(dispatch, work, deadline, expiry);
}

void dispatch_reported(struct dispatch *dispatch, struct call_id call)
{
	struct work *work = work_find(dispatch, call.instance, call.ref);
	if (work == NULL || work->attempt != call.attempt)
		return;
	work->reported = true;
	work_set_deadline(dispatch, work, MSEC_NEVER, EXPIRY_FINISH);
}

msec dispatch_deadline(const struct dispatch *dispatch)
{
	return dispatch->heap_size > 0 ? dispatch->heap[0]->deadline : MSEC_NEVER;
}

bool dispatch_expired(struct dispatch *dispatch, msec now, struct call_id *ret_call, enum expiry *ret_expiry,
                      const struct definition **ret_process)
{
	if (dispatch_deadline(dispatch) > now)
		return false;
	struct work *work = dispatch->heap[0];
	*ret_call = work_id(work);
	*ret_expiry = work->expiry;
	*ret_process = work->queue->process;
	work_set_deadline(dispatch, work, MSEC_NEVER, EXPIRY_FINISH);
	return true;
}

void dispatch_clear(struct dispatch *dispatch)
{
	struct work *work;
	struct work *next_work;
	struct waiting *queue;
	struct waiting *next_queue;
	HASH_ITER(hh, dispatch->works, work, next_work)
		work_release(dispatch, work);
	HASH_ITER(hh, dispatch->queues, queue, next_queue) {
		queue_enter(dispatch, queue, QUEUE_EMPTY);
		HASH_DELETE(hh, dispatch->queues, queue);
		mem_free(queue->places);
		mem_free(queue);
	}
}

uint32_t dispatch_waiting(const struct dispatch *dispatch)
{
	return dispatch->waiting_count;
}

uint32_t dispatch_running(const struct dispatch *dispatch)
{
	return dispatch->running_count;
}

struct slice dispatch_unserved(const struct dispatch *dispatch)
{
	for (const struct waiting *queue = dispatch->queues; queue != NULL; queue = queue->hh.next) {
		if (!TAILQ_EMPTY(&queue->works) && queue->place_count == 0)
			return queue->process->name;
	}
	return SLICE("");
}

void dispatch_destroy(struct dispatch *dispatch)
{
	struct call_id call;
	if (dispatch == NULL)
		return;
	dispatch_clear(dispatch);
	while (!TAILQ_EMPTY(&dispatch->places))
		dispatch_place_remove(dispatch, TAILQ_FIRST(&dispatch->places), &call);
	mem_free(dispatch->heap);
	mem_free(dispatch);
}
