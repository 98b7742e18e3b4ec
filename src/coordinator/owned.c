#include "coordinator/internal.h"

#include "base/memory.h"

/* What sessions own, and how it goes. When a session ends, or a topic to which there are subscriptions, nothing of that is looked at: it
 * goes a bounded number at a time, with this command and those that follow (INVARIANTS, 91). What is to go is what the rows say, whose
 * session or topic has no row, and it goes by the ids of these: so it goes in the same order wherever it is, whenever the state was last
 * made from the catalog. */

#define OWNED_REMOVED 256 /* in one command */

struct owner *owner_find(const struct machine *machine, uint64_t session)
{
	struct owner *owner;
	HASH_FIND(hh, machine->owners, &session, sizeof session, owner);
	return owner;
}

struct owner *owner_get(struct machine *machine, uint64_t session)
{
	struct owner *owner = owner_find(machine, session);
	if (owner != NULL)
		return owner;
	owner = mem_zero(sizeof *owner);
	owner->session = session;
	owner->place = HEAP_OUT;
	TAILQ_INIT(&owner->publications);
	TAILQ_INIT(&owner->subscriptions);
	HASH_ADD(hh, machine->owners, session, sizeof owner->session, owner);
	return owner;
}

void owner_let_go(struct machine *machine, struct owner *owner)
{
	if (owner->count != 0)
		return;
	if (owner->place != HEAP_OUT)
		heap_remove(&machine->ended_owners, owner->place);
	HASH_DELETE(hh, machine->owners, owner);
	mem_free(owner);
}

void owner_end(struct machine *machine, uint64_t session)
{
	struct owner *owner = owner_find(machine, session);
	if (owner == NULL || owner->ended)
		return;
	owner->ended = true;
	heap_insert(&machine->ended_owners, owner);
}

void topic_end(struct machine *machine, struct topic *topic)
{
	topic->ended = true;
	if (TAILQ_EMPTY(&topic->subscriptions))
		topic_destroy(topic);
	else
		heap_insert(&machine->ended_topics, topic);
}

static int remove_first(struct machine *machine, const struct owner *owner)
{
	if (!TAILQ_EMPTY(&owner->publications))
		return publication_remove(machine, TAILQ_FIRST(&owner->publications));
	return subscription_remove(machine, TAILQ_FIRST(&owner->subscriptions));
}

int owned_sweep(struct machine *machine)
{
	int code = 0;
	for (int i = 0; i < OWNED_REMOVED && code == 0 && machine_owned_left(machine); i++) {
		const struct owner *owner = heap_top(&machine->ended_owners);
		const struct topic *topic = heap_top(&machine->ended_topics);
		if (owner != NULL)
			code = remove_first(machine, owner);
		else
			code = subscription_remove(machine, TAILQ_FIRST(&topic->subscriptions));
	}
	if (code == 0 && machine_owned_left(machine))
		effect_add(machine, EFFECT_OWNED_LEFT, 0);
	return code;
}

bool machine_owned_left(const struct machine *machine)
{
	return heap_top(&machine->ended_owners) != NULL || heap_top(&machine->ended_topics) != NULL;
}
