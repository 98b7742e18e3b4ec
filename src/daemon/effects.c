#include "daemon/placing.h"
#include "daemon/request.h"

#include "base/memory.h"

/* What follows a transaction, in the order in which the state machine wished for it (INVARIANTS, 11). */

static void deliver_answer(struct node *node, const struct effect *effect)
{
	struct waiter waiter;
	while (waiters_take(node->waiters, WAIT_ANSWER, effect->session, effect->sequence, &waiter))
		respond_answer(node, &waiter, &effect->answer);
}

static struct slice optional(const struct text *text)
{
	return text != NULL ? text_slice(text) : SLICE("");
}

static void deliver_finished(struct node *node, const struct effect *effect)
{
	struct waiter waiter;
	while (waiters_take(node->waiters, WAIT_FINISHED, effect->instance, 0, &waiter)) {
		if (waiter.more == AWAITED_SETTLED)
			node_settle(node);
		if (node->failed)
			return;
		respond_finished(node, &waiter, effect->instance, effect->state, optional(effect->result),
		                 optional(effect->error));
	}
	while (waiters_take(node->waiters, WAIT_GROWN, effect->instance, 0, &waiter))
		respond_grown(node, &waiter, effect->instance, machine_history_seq(node->machine), true);
}

struct growth {
	struct node *node;
	const struct effect *effect;
};

static void tell_growth(void *context, struct waiter *waiter)
{
	const struct growth *growth = context;
	if (growth->effect->seq <= waiter->more)
		return;
	waiter->more = growth->effect->seq;
	respond_grown(growth->node, waiter, growth->effect->instance, growth->effect->seq, false);
}

static void deliver_growth(struct node *node, const struct effect *effect)
{
	struct growth growth = {node, effect};
	if (waiters_count(node->waiters) == 0)
		return;
	waiters_each(node->waiters, WAIT_GROWN, effect->instance, 0, tell_growth, &growth);
	waiters_each(node->waiters, WAIT_GROWN, 0, 0, tell_growth, &growth);
}

static void session_gone(struct node *node, uint64_t id)
{
	struct session_seen *seen;
	HASH_FIND(hh, node->sessions, &id, sizeof id, seen);
	if (seen == NULL)
		return;
	HASH_DELETE(hh, node->sessions, seen);
	mem_free(seen);
}

static void carry_out(struct node *node, const struct effect *effect)
{
	struct call_id call = {effect->instance, effect->ref, effect->attempt};
	switch (effect->kind) {
	case EFFECT_ANSWER:
		deliver_answer(node, effect);
		break;
	case EFFECT_CALL_READY:
		if (node->ready && node->leader)
			node_calls_ready(node, effect->instance, effect->ref);
		break;
	case EFFECT_CALL_WITHDRAWN:
		dispatch_withdraw(node->dispatch, effect->instance, effect->ref);
		break;
	case EFFECT_CALL_CLOSED:
		node_calls_closed(node, call);
		break;
	case EFFECT_CALL_ABANDONED:
		node_calls_abandoned(node, call);
		break;
	case EFFECT_FINISHED:
		deliver_finished(node, effect);
		break;
	case EFFECT_GROWN:
		deliver_growth(node, effect);
		break;
	case EFFECT_RESULTS_APPLIED:
		sequencer_applied(node->sequencer, effect->instance);
		break;
	case EFFECT_SESSION_CLOSED:
		node_settle(node); /* who is done may look into the file next */
		session_gone(node, effect->session);
		break;
	case EFFECT_TIMERS_CHANGED:
		node->timers_changed = true;
		if (effect->instance == 0)
			node->timers_proposed = false; /* the timers command is through */
		break;
	case EFFECT_REGISTERED:
		runner_definitions(node);
		break;
	case EFFECT_KEY_CHANGED:
		watches_changed(node, effect);
		break;
	case EFFECT_TOPIC_CHANGED:
		topics_changed(node, effect);
		break;
	case EFFECT_OWNED_LEFT:
		topics_sweep(node);
		break;
	case EFFECT_LEASE_GRANTED:
	case EFFECT_LEASE_ENDING:
	case EFFECT_LEASE_ENDED:
		leases_changed(node, effect);
		break;
	case EFFECT_JOB_CHANGED:
		jobs_changed(node, effect);
		placing_effect(node, effect);
		break;
	case EFFECT_ALLOCATION_PLACED:
	case EFFECT_ALLOCATION_CHANGED:
	case EFFECT_ALLOCATION_ENDED:
	case EFFECT_PLACEMENT_REFUSED:
	case EFFECT_NODE_CHANGED:
		placing_effect(node, effect);
		break;
	}
}

void node_effects(struct node *node)
{
	size_t count;
	const struct effect *effects = machine_effects(node->machine, &count);
	for (size_t i = 0; i < count && !node->failed; i++)
		carry_out(node, &effects[i]);
	machine_effects_done(node->machine);
	if (!node->failed)
		watches_answer(node);
}
