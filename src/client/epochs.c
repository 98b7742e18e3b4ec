#include "client/epochs.h"

#include "base/memory.h"

void epochs_init(struct epochs *epochs, size_t held_max)
{
	*epochs = (struct epochs){.held_max = held_max};
	TAILQ_INIT(&epochs->list);
}

void epoch_destroy(struct epoch *epoch)
{
	if (epoch == NULL)
		return;
	buffer_finish(&epoch->body);
	mem_free(epoch);
}

void epochs_finish(struct epochs *epochs)
{
	epochs_start(epochs, 0);
}

void epochs_start(struct epochs *epochs, uint64_t from)
{
	struct epoch *epoch;
	while ((epoch = TAILQ_FIRST(&epochs->list)) != NULL) {
		TAILQ_REMOVE(&epochs->list, epoch, entry);
		epoch_destroy(epoch);
	}
	epochs->held = 0;
	epochs->count = 0;
	epochs->from = from;
}

/* Most are the last one's. NULL: it would be one too many. */
static struct epoch *epoch_of(struct epochs *epochs, const struct stream_frame *frame)
{
	struct epoch *epoch = TAILQ_LAST(&epochs->list, epoch_list);
	while (epoch != NULL && epoch->time > frame->time)
		epoch = TAILQ_PREV(epoch, epoch_list, entry);
	if (epoch != NULL && epoch->time == frame->time)
		return epoch;
	if (epochs->count == EPOCHS_OPEN_MAX)
		return NULL;
	struct epoch *added = mem_zero(sizeof *added);
	added->time = frame->time;
	added->type = frame->type;
	if (epoch != NULL)
		TAILQ_INSERT_AFTER(&epochs->list, epoch, added, entry);
	else
		TAILQ_INSERT_HEAD(&epochs->list, added, entry);
	epochs->count++;
	return added;
}

int epochs_add(struct epochs *epochs, const struct stream_frame *frame, struct error *error)
{
	if (frame->time < epochs->from)
		return 0;
	struct epoch *epoch = epoch_of(epochs, frame);
	if (epoch == NULL)
		return error_set(error, ERR_LIMIT, "more than %d epochs are open at once", EPOCHS_OPEN_MAX);
	if (!epoch->lost && epochs->held + frame->body.size > epochs->held_max) {
		epochs->held -= epoch->body.size;
		buffer_finish(&epoch->body);
		epoch->lost = true;
	}
	if (epoch->lost)
		return 0;
	buffer_append_slice(&epoch->body, frame->body);
	epochs->held += frame->body.size;
	return 0;
}

bool epochs_are_clear(const struct epochs *epochs, uint64_t frontier)
{
	const struct epoch *first = TAILQ_FIRST(&epochs->list);
	return first == NULL || first->time >= frontier;
}

struct epoch *epochs_take(struct epochs *epochs, uint64_t frontier)
{
	struct epoch *first = TAILQ_FIRST(&epochs->list);
	if (first == NULL || first->time >= frontier) {
		if (epochs->from < frontier)
			epochs->from = frontier;
		return NULL;
	}
	TAILQ_REMOVE(&epochs->list, first, entry);
	epochs->held -= first->body.size;
	epochs->count--;
	epochs->from = first->time + 1;
	return first;
}
