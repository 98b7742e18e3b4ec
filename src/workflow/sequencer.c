#include "workflow/sequencer.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#define uthash_malloc(size) mem_alloc(size)
#define uthash_free(memory, size) mem_free(memory)
#include <uthash.h>

/* What a result is the same by. Compared as bytes: without padding. */
struct result_key {
	uint64_t instance;
	uint64_t attempt;
	uint64_t ref;
};

struct result {
	struct result_key key;
	struct returned returned;
	STAILQ_ENTRY(result) link;
	UT_hash_handle hh;
};

/* An instance with results that wait, or a command under way. */
struct sequence {
	uint64_t instance;
	STAILQ_HEAD(, result) results; /* in the order they came */
	uint32_t count;
	bool under_way;
	bool ready; /* in the list */
	TAILQ_ENTRY(sequence) link;
	UT_hash_handle hh;
};

struct sequencer {
	struct sequence *sequences;
	struct result *results;
	TAILQ_HEAD(, sequence) ready; /* first come, first served */
	struct returned *lent;
	uint32_t lent_count;
	uint32_t waiting;
};

struct sequencer *sequencer_create(void)
{
	struct sequencer *sequencer = mem_zero(sizeof *sequencer);
	TAILQ_INIT(&sequencer->ready);
	return sequencer;
}

static void returned_finish(struct returned *returned)
{
	text_release(returned->value);
	text_release(returned->metadata);
}

static void take_back(struct sequencer *sequencer)
{
	for (uint32_t i = 0; i < sequencer->lent_count; i++)
		returned_finish(&sequencer->lent[i]);
	mem_free(sequencer->lent);
	sequencer->lent = NULL;
	sequencer->lent_count = 0;
}

static struct sequence *find(const struct sequencer *sequencer, uint64_t instance)
{
	struct sequence *sequence;
	HASH_FIND(hh, sequencer->sequences, &instance, sizeof instance, sequence);
	return sequence;
}

static struct sequence *find_or_create(struct sequencer *sequencer, uint64_t instance)
{
	struct sequence *sequence = find(sequencer, instance);
	if (sequence != NULL)
		return sequence;
	sequence = mem_zero(sizeof *sequence);
	sequence->instance = instance;
	STAILQ_INIT(&sequence->results);
	HASH_ADD(hh, sequencer->sequences, instance, sizeof sequence->instance, sequence);
	return sequence;
}

/* Puts it in the list of those that can be proposed, or takes it away when nothing is left to know of it. */
static void settle(struct sequencer *sequencer, struct sequence *sequence)
{
	bool ready = sequence->count != 0 && !sequence->under_way;
	if (ready && !sequence->ready)
		TAILQ_INSERT_TAIL(&sequencer->ready, sequence, link);
	else if (!ready && sequence->ready)
		TAILQ_REMOVE(&sequencer->ready, sequence, link);
	sequence->ready = ready;
	if (sequence->count == 0 && !sequence->under_way) {
		HASH_DEL(sequencer->sequences, sequence);
		mem_free(sequence);
	}
}

/* Takes the first result out; its value and metadata are the caller's. */
static struct returned take_first(struct sequencer *sequencer, struct sequence *sequence)
{
	struct result *result = STAILQ_FIRST(&sequence->results);
	struct returned returned = result->returned;
	STAILQ_REMOVE_HEAD(&sequence->results, link);
	HASH_DEL(sequencer->results, result);
	mem_free(result);
	sequence->count--;
	sequencer->waiting--;
	return returned;
}

static void drop_results(struct sequencer *sequencer, struct sequence *sequence)
{
	while (sequence->count != 0) {
		struct returned returned = take_first(sequencer, sequence);
		returned_finish(&returned);
	}
}

void sequencer_add(struct sequencer *sequencer, uint64_t instance, const struct returned *take_returned)
{
	struct result_key key = {instance, take_returned->attempt, take_returned->ref};
	struct returned returned = *take_returned;
	struct result *result;
	take_back(sequencer);
	HASH_FIND(hh, sequencer->results, &key, sizeof key, result);
	if (result != NULL) {
		returned_finish(&returned);
		return;
	}
	struct sequence *sequence = find_or_create(sequencer, instance);
	result = mem_zero(sizeof *result);
	result->key = key;
	result->returned = returned;
	HASH_ADD(hh, sequencer->results, key, sizeof result->key, result);
	STAILQ_INSERT_TAIL(&sequence->results, result, link);
	sequence->count++;
	sequencer->waiting++;
	settle(sequencer, sequence);
}

static int by_reference(const void *left, const void *right)
{
	const struct returned *first = left;
	const struct returned *second = right;
	if (first->ref != second->ref)
		return first->ref < second->ref ? -1 : 1;
	return first->attempt < second->attempt ? -1 : first->attempt > second->attempt;
}

bool sequencer_next(struct sequencer *sequencer, uint64_t *ret_instance, struct returned **ret_returned,
                    uint32_t *ret_count)
{
	struct sequence *sequence = TAILQ_FIRST(&sequencer->ready);
	take_back(sequencer);
	if (sequence == NULL)
		return false;
	uint32_t count = sequence->count;
	sequencer->lent = mem_array(count, sizeof *sequencer->lent);
	for (uint32_t i = 0; i < count; i++)
		sequencer->lent[i] = take_first(sequencer, sequence);
	sequencer->lent_count = count;
	qsort(sequencer->lent, count, sizeof *sequencer->lent, by_reference);
	sequence->under_way = true;
	settle(sequencer, sequence);
	*ret_instance = sequence->instance;
	*ret_returned = sequencer->lent;
	*ret_count = count;
	return true;
}

void sequencer_applied(struct sequencer *sequencer, uint64_t instance)
{
	struct sequence *sequence = find(sequencer, instance);
	take_back(sequencer);
	if (sequence == NULL)
		return;
	sequence->under_way = false;
	settle(sequencer, sequence);
}

void sequencer_forget(struct sequencer *sequencer, uint64_t instance)
{
	struct sequence *sequence = find(sequencer, instance);
	take_back(sequencer);
	if (sequence == NULL)
		return;
	drop_results(sequencer, sequence);
	sequence->under_way = false;
	settle(sequencer, sequence);
}

void sequencer_clear(struct sequencer *sequencer)
{
	struct sequence *sequence;
	struct sequence *next;
	take_back(sequencer);
	HASH_ITER(hh, sequencer->sequences, sequence, next) {
		drop_results(sequencer, sequence);
		sequence->under_way = false;
		settle(sequencer, sequence);
	}
	assert(sequencer->waiting == 0 && TAILQ_EMPTY(&sequencer->ready));
}

void sequencer_destroy(struct sequencer *sequencer)
{
	if (sequencer == NULL)
		return;
	sequencer_clear(sequencer);
	mem_free(sequencer);
}

uint32_t sequencer_waiting(const struct sequencer *sequencer)
{
	return sequencer->waiting;
}
