#include "membership/members.h"

#include "base/memory.h"
#include "membership/gossip.h"

#include <assert.h>

void members_init(struct members *members)
{
	*members = (struct members){.free = NO_SLOT};
}

void members_finish(struct members *members)
{
	for (size_t i = 0; i < members->record_count; i++)
		if (members->records[i].id != 0)
			profile_release(members->records[i].profile);
	mem_free(members->records);
	mem_free(members->sorted);
	mem_free(members->live);
	mem_free(members->departed);
	mem_free(members->certificates);
}

void members_reserve(struct members *members, size_t count)
{
	if (count <= members->record_capacity)
		return;
	members->records = mem_resize(members->records, count * sizeof *members->records);
	members->sorted = mem_resize(members->sorted, count * sizeof *members->sorted);
	members->live = mem_resize(members->live, count * sizeof *members->live);
	members->record_capacity = members->sorted_capacity = members->live_capacity = count;
}

size_t members_place(const struct members *members, uint64_t id)
{
	size_t low = 0;
	size_t high = members->count;
	/* Ids that come in ascending order find their place at once. */
	if (high > 0 && members->records[members->sorted[high - 1]].id < id)
		return high;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (members->records[members->sorted[middle]].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint16_t members_find(const struct members *members, uint64_t id)
{
	size_t place = members_place(members, id);
	if (place == members->count || members->records[members->sorted[place]].id != id)
		return NO_SLOT;
	return members->sorted[place];
}

static uint16_t take_slot(struct members *members)
{
	uint16_t slot = members->free;
	if (slot != NO_SLOT) {
		members->free = members->records[slot].place;
		return slot;
	}
	mem_grow(members->records, members->record_capacity, members->record_count + 1);
	return (uint16_t)members->record_count++;
}

static void add_live(struct members *members, uint16_t slot)
{
	mem_grow(members->live, members->live_capacity, members->live_count + 1);
	members->records[slot].place = (uint16_t)members->live_count;
	members->live[members->live_count++] = slot;
}

static void move_live(struct members *members, size_t from, size_t to)
{
	members->live[to] = members->live[from];
	members->records[members->live[to]].place = (uint16_t)to;
}

/* Those before `probed` stay there. */
static void remove_live(struct members *members, uint16_t slot)
{
	size_t place = members->records[slot].place;
	if (place < members->probed) {
		move_live(members, --members->probed, place);
		place = members->probed;
	}
	if (place < --members->live_count)
		move_live(members, members->live_count, place);
}

static void add_departed(struct members *members, uint16_t slot, msec since)
{
	mem_grow(members->departed, members->departed_capacity, members->departed_count + 1);
	members->records[slot].place = (uint16_t)members->departed_count;
	members->departed[members->departed_count++] = (struct departed){slot, since};
}

static void remove_departed(struct members *members, uint16_t slot)
{
	size_t place = members->records[slot].place;
	members->departed[place] = members->departed[--members->departed_count];
	members->records[members->departed[place].slot].place = (uint16_t)place;
}

uint16_t members_add(struct members *members, uint64_t id, struct profile *take_profile, uint32_t incarnation,
                     bool self)
{
	size_t place = members_place(members, id);
	assert(id != 0 && members->count < GOSSIP_MEMBERS_MAX);
	assert(place == members->count || members->records[members->sorted[place]].id != id);
	uint16_t slot = take_slot(members);
	members->records[slot] = (struct record){
		.id = id,
		.profile = take_profile,
		.incarnation = incarnation,
		.place = NO_PLACE,
		.rumour = NO_PLACE,
		.suspicion = NO_PLACE,
		.state = GOSSIP_ALIVE,
	};
	mem_grow(members->sorted, members->sorted_capacity, members->count + 1);
	memmove(&members->sorted[place + 1], &members->sorted[place],
	        (members->count - place) * sizeof *members->sorted);
	members->sorted[place] = slot;
	members->count++;
	if (!self)
		add_live(members, slot);
	return slot;
}

static bool is_departed(const struct record *record)
{
	return record->state == GOSSIP_FAILED || record->state == GOSSIP_LEFT;
}

void members_set_state(struct members *members, uint16_t slot, enum gossip_state state, msec since)
{
	struct record *record = members_at(members, slot);
	bool was_departed = is_departed(record);
	record->state = (uint8_t)state;
	if (record->place == NO_PLACE)
		return;
	if (was_departed && is_departed(record)) {
		members->departed[record->place].since = since;
	} else if (was_departed) {
		remove_departed(members, slot);
		add_live(members, slot);
	} else if (is_departed(record)) {
		remove_live(members, slot);
		add_departed(members, slot, since);
	}
}

msec members_since(const struct members *members, uint16_t slot)
{
	const struct record *record = members_at(members, slot);
	return is_departed(record) && record->place != NO_PLACE ? members->departed[record->place].since : 0;
}

static void certify(struct members *members, const struct record *record, msec until)
{
	if (members->certificates == NULL)
		members->certificates = mem_array(CERTIFICATES_MAX, sizeof *members->certificates);
	members->certificates[members->certificate_next] = (struct certificate){
		.id = record->id,
		.generation = record->profile->generation,
		.incarnation = record->incarnation,
		.left = record->state == GOSSIP_LEFT,
		.until = until,
	};
	members->certificate_next = (members->certificate_next + 1) % CERTIFICATES_MAX;
	if (members->certificate_count < CERTIFICATES_MAX)
		members->certificate_count++;
}

void members_remove(struct members *members, uint16_t slot, msec until)
{
	struct record *record = members_at(members, slot);
	size_t place = members_place(members, record->id);
	assert(record->id != 0 && record->place != NO_PLACE);
	assert(record->rumour == NO_PLACE && record->suspicion == NO_PLACE);
	if (is_departed(record))
		remove_departed(members, slot);
	else
		remove_live(members, slot);
	if (until != 0)
		certify(members, record, until);
	members->count--;
	memmove(&members->sorted[place], &members->sorted[place + 1],
	        (members->count - place) * sizeof *members->sorted);
	profile_release(record->profile);
	*record = (struct record){.place = members->free};
	members->free = slot;
}

uint16_t members_next_probe(struct members *members, struct random *random)
{
	if (members->live_count == 0)
		return NO_SLOT;
	if (members->probed >= members->live_count)
		members->probed = 0;
	size_t drawn = members->probed + (size_t)random_below(random, members->live_count - members->probed);
	uint16_t slot = members->live[drawn];
	move_live(members, members->probed, drawn);
	members->live[members->probed] = slot;
	members->records[slot].place = (uint16_t)members->probed;
	members->probed++;
	return slot;
}

uint16_t members_random(const struct members *members, struct random *random)
{
	return members->live_count == 0 ? NO_SLOT : members->live[random_below(random, members->live_count)];
}

struct certificate *members_certificate(const struct members *members, uint64_t id, msec now)
{
	struct certificate *newest = NULL;
	for (size_t i = 0; i < members->certificate_count; i++) {
		struct certificate *held = &members->certificates[i];
		if (held->id == id && held->until > now &&
		    (newest == NULL || held->generation > newest->generation ||
		     (held->generation == newest->generation && held->incarnation >= newest->incarnation)))
			newest = held;
	}
	return newest;
}
