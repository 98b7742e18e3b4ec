#include "membership/rumours.h"

#include "base/memory.h"
#include "membership/members.h"

#include <assert.h>

void rumours_init(struct rumours *rumours)
{
	*rumours = (struct rumours){.free = NO_PLACE};
	for (size_t i = 0; i < RUMOUR_TOLD_MAX; i++)
		rumours->first[i] = NO_PLACE;
}

void rumours_finish(struct rumours *rumours)
{
	mem_free(rumours->list);
}

static void link_first(struct rumours *rumours, uint16_t place)
{
	struct rumour *rumour = &rumours->list[place];
	uint16_t *first = &rumours->first[rumour->told];
	rumour->previous = NO_PLACE;
	rumour->next = *first;
	if (*first != NO_PLACE)
		rumours->list[*first].previous = place;
	*first = place;
}

static void take_out(struct rumours *rumours, uint16_t place)
{
	const struct rumour *rumour = &rumours->list[place];
	if (rumour->previous != NO_PLACE)
		rumours->list[rumour->previous].next = rumour->next;
	else
		rumours->first[rumour->told] = rumour->next;
	if (rumour->next != NO_PLACE)
		rumours->list[rumour->next].previous = rumour->previous;
}

uint16_t rumours_add(struct rumours *rumours, uint16_t slot)
{
	uint16_t place = rumours->free;
	if (place != NO_PLACE) {
		rumours->free = rumours->list[place].next;
	} else {
		mem_grow(rumours->list, rumours->capacity, rumours->count + 1);
		place = (uint16_t)rumours->count++;
	}
	rumours->list[place] = (struct rumour){.slot = slot};
	link_first(rumours, place);
	rumours->active++;
	return place;
}

void rumours_remove(struct rumours *rumours, uint16_t place)
{
	assert(rumours->list[place].slot != NO_SLOT);
	take_out(rumours, place);
	rumours->list[place] = (struct rumour){.slot = NO_SLOT, .next = rumours->free};
	rumours->free = place;
	rumours->active--;
}

bool rumours_told(struct rumours *rumours, uint16_t place, uint32_t limit)
{
	struct rumour *rumour = &rumours->list[place];
	assert(limit < RUMOUR_TOLD_MAX);
	if (rumour->told + 1u >= limit) {
		rumours_remove(rumours, place);
		return true;
	}
	take_out(rumours, place);
	rumour->told++;
	link_first(rumours, place);
	return false;
}

void rumours_renew(struct rumours *rumours, uint16_t place)
{
	take_out(rumours, place);
	rumours->list[place].told = 0;
	link_first(rumours, place);
}
