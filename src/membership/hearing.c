#include "membership/gossip_internal.h"

#include <stdio.h>

const char *answer_address(const struct gossip *gossip, const struct hearing *hearing)
{
	return hearing->sender != NO_SLOT ? record_of(gossip, hearing->sender)->profile->address : hearing->source;
}

static bool is_request(enum gossip_message_kind kind)
{
	return kind == GOSSIP_PING || kind == GOSSIP_ASK_ALL || kind == GOSSIP_COMPARE;
}

/* Only who asks is told, so that two nodes never refuse one another's refusals. */
void refuse(struct gossip *gossip, const struct gossip_message *message, const char *source, bool stream,
            enum gossip_refusal reason, const struct record *holder)
{
	if (!is_request(message->kind))
		return;
	struct gossip_message *refusal = outbox_message(gossip, GOSSIP_REFUSAL);
	refusal->sequence = message->sequence;
	refusal->refusal = reason;
	if (holder != NULL) {
		outbox_hold(gossip, holder->profile);
		refusal->holder = holder->id;
		refusal->holder_generation = holder->profile->generation;
		refusal->holder_address = slice_of(holder->profile->address);
	}
	if (stream)
		outbox_reply(gossip, refusal);
	else
		outbox_send(gossip, source, refusal);
}

/* Whether it is of this cluster. Members that have not heard of their cluster's id yet are known all the same. */
static bool cluster_admits(struct gossip *gossip, const struct hearing *hearing)
{
	const struct gossip_message *message = hearing->message;
	bool mine = gossip->cluster_id[0] != '\0';
	bool theirs = message->cluster_id[0] != '\0';
	if (strcmp(gossip->cluster_id, message->cluster_id) == 0)
		return true;
	if (theirs)
		sight(gossip, message->cluster_id, hearing->source);
	if ((!mine || !theirs) && hearing->sender != NO_SLOT)
		return true;
	gossip->counts.refused_cluster++;
	if (mine)
		refuse(gossip, message, hearing->source, hearing->stream, GOSSIP_REFUSED_CLUSTER, NULL);
	return false;
}

/* Somebody with this node's id: itself, through a seed's address, or another that has to be told. */
static void hear_self(struct gossip *gossip, const struct hearing *hearing)
{
	const struct gossip_message *message = hearing->message;
	const struct record *self = record_of(gossip, gossip->self);
	if (message->kind == GOSSIP_REFUSAL) {
		own_refused(gossip, message);
		return;
	}
	if (slice_is(message->address, self->profile->address))
		return;
	gossip->counts.refused_conflict++;
	refuse(gossip, message, hearing->source, hearing->stream, GOSSIP_REFUSED_ID, self);
}

/* Whether the sender is who is known by its id. */
static bool sender_admits(struct gossip *gossip, struct hearing *hearing)
{
	const struct gossip_message *message = hearing->message;
	uint16_t slot = members_find(&gossip->members, message->from);
	if (slot == NO_SLOT)
		return true;
	const struct record *record = record_of(gossip, slot);
	if (message->generation > record->profile->generation)
		return true;
	if (message->generation < record->profile->generation) {
		gossip->counts.refused_stale++;
		refuse(gossip, message, hearing->source, hearing->stream, GOSSIP_REFUSED_GENERATION, record);
		return false;
	}
	if (slice_is(message->address, record->profile->address)) {
		hearing->sender = slot;
		return true;
	}
	gossip->counts.refused_conflict++;
	refuse(gossip, message, hearing->source, hearing->stream, GOSSIP_REFUSED_ID, record);
	return false;
}

static void find_sender(struct gossip *gossip, struct hearing *hearing)
{
	uint16_t slot = members_find(&gossip->members, hearing->message->from);
	hearing->sender = slot != NO_SLOT &&
	                                  record_of(gossip, slot)->profile->generation == hearing->message->generation
	                          ? slot
	                          : NO_SLOT;
}

/* Who was forgotten and is there after all hears as what, so that it can say that it is alive (or start anew, when it had left). */
static void tell_forgotten(struct gossip *gossip, const struct hearing *hearing)
{
	const struct gossip_message *heard = hearing->message;
	const struct certificate *held = members_certificate(&gossip->members, heard->from, gossip->now);
	if (held == NULL || held->generation != heard->generation || heard->kind != GOSSIP_PING)
		return;
	struct gossip_message *message = outbox_message(gossip, GOSSIP_SPREAD);
	put_certificate(gossip, message, held);
	outbox_send(gossip, hearing->source, message);
}

static void hear_refusal(struct gossip *gossip, const struct hearing *hearing)
{
	const struct gossip_message *message = hearing->message;
	struct flight *flight = exchange_find(gossip, message->sequence);
	if (flight == NULL)
		return;
	if (message->refusal != GOSSIP_REFUSED_CLUSTER)
		own_refused(gossip, message);
	exchange_end(gossip, flight);
}

static void hear_kind(struct gossip *gossip, const struct hearing *hearing)
{
	switch (hearing->message->kind) {
	case GOSSIP_PING:
		hear_ping(gossip, hearing);
		break;
	case GOSSIP_PING_REQUEST:
		hear_ping_request(gossip, hearing);
		break;
	case GOSSIP_ACK:
		hear_ack(gossip, hearing);
		break;
	case GOSSIP_NACK:
		hear_nack(gossip, hearing);
		break;
	case GOSSIP_REFUSAL:
		hear_refusal(gossip, hearing);
		break;
	default:
		if (gossip_is_exchange(hearing->message->kind))
			hear_exchange(gossip, hearing);
		break;
	}
}

static void hear_admitted(struct gossip *gossip, struct hearing *hearing)
{
	const struct gossip_message *message = hearing->message;
	if (gossip->clock != NULL && message->stamp != 0 &&
	    clock_observe(gossip->clock, message->stamp, gossip->wall) != 0)
		gossip->counts.refused_stamps++;
	gossip->quiet = message->kind == GOSSIP_ALL;
	for (size_t i = 0; i < message->update_count; i++)
		merge(gossip, hearing, &message->updates[i]);
	gossip->quiet = false;
	find_sender(gossip, hearing);
	if (hearing->sender == NO_SLOT) {
		tell_forgotten(gossip, hearing);
		if (!hearing->stream)
			want(gossip, message->from);
	}
	hear_kind(gossip, hearing);
	if (!hearing->stream) {
		answer_wants(gossip, hearing);
		if (gossip->want_count > 0)
			spread_with(gossip, answer_address(gossip, hearing), outbox_message(gossip, GOSSIP_SPREAD),
			            hearing->sender);
	}
}

void hear(struct gossip *gossip, const struct gossip_event *event)
{
	const struct gossip_message *message = event->message;
	struct hearing hearing = {
		.message = message,
		.source = event->source,
		.stream = event->kind == GOSSIP_EXCHANGE,
		.sender = NO_SLOT,
	};
	gossip->counts.datagrams_in += !hearing.stream;
	if (gossip->gone)
		return;
	if (message->protocol != GOSSIP_PROTOCOL) {
		gossip->counts.refused_protocol++;
		refuse(gossip, message, hearing.source, hearing.stream, GOSSIP_REFUSED_PROTOCOL, NULL);
		return;
	}
	if (!gossip_message_valid(message) ||
	    (message->kind != GOSSIP_REFUSAL && gossip_is_exchange(message->kind) != hearing.stream)) {
		gossip->counts.refused_malformed++;
		return;
	}
	find_sender(gossip, &hearing);
	if (message->from == gossip->id)
		hear_self(gossip, &hearing);
	else if (cluster_admits(gossip, &hearing) && sender_admits(gossip, &hearing))
		hear_admitted(gossip, &hearing);
	else if (message->kind == GOSSIP_REFUSAL)
		hear_refusal(gossip, &hearing);
}
