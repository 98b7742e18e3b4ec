/* Exchanges of gossip: pieces go to an address, each is answered on the same connection, with an empty piece when there is nothing to be
 * said, so that who asks knows that it was heard. */
#include "daemon/peers_internal.h"

#include "base/memory.h"

#define REPLIES_QUEUED_MAX STREAM_HIGH_MARK /* the other side takes its answers before it may send more */

static struct link *find(const struct peers *peers, const char *address)
{
	struct link *link;
	TAILQ_FOREACH(link, &peers->links, entry) {
		if (link->exchanges && link->outgoing && !link->over && strcmp(link->address, address) == 0)
			return link;
	}
	return NULL;
}

static void wait_for_answer(struct link *link)
{
	link->unanswered++;
	if (link->phase == LINK_OPEN)
		loop_timer_set(link->timer, loop_now(link->peers->loop) + link->peers->answer_ms);
}

void peers_exchange(struct peers *peers, const char *address, struct slice bytes)
{
	struct link *link = find(peers, address);
	if (link == NULL) {
		bool too_many = peers->exchanges_out >= PEERS_EXCHANGES_OUT_MAX;
		link = link_create(peers, address, NULL, loop_now(peers->loop));
		peers->exchanges_out++;
		link->hopeless = too_many;
	}
	if (!link_send(link, FRAME_EXCHANGE, 0, NULL, &bytes, bytes.size != 0 ? 1 : 0))
		peers->counts.frames_dropped++;
	wait_for_answer(link);
}

void exchanges_link_open(struct link *link)
{
	struct peers *peers = link->peers;
	if (!link->outgoing) {
		peers->exchanges_in++;
		peers->counts.incoming++;
	}
	loop_timer_set(link->timer, loop_now(peers->loop) + (link->outgoing ? peers->answer_ms : 3 * peers->idle_ms));
}

static void answer(struct link *link, struct slice bytes)
{
	struct peers *peers = link->peers;
	struct buffer reply = BUFFER_EMPTY;
	peers->handler->exchange(peers->context, link->address, bytes, &reply);
	struct slice piece = buffer_slice(&reply);
	bool says_something = piece.size != 0 || !link->outgoing;
	if (says_something && !link_send(link, FRAME_EXCHANGE, 0, NULL, &piece, piece.size != 0 ? 1 : 0))
		peers->counts.frames_dropped++;
	if (says_something && link->outgoing)
		wait_for_answer(link);
	buffer_finish(&reply);
}

void exchanges_link_frame(struct link *link, const struct frame *frame)
{
	struct peers *peers = link->peers;
	msec now = loop_now(peers->loop);
	if (link->outgoing) {
		link->unanswered -= link->unanswered > 0;
		loop_timer_set(link->timer, now + (link->unanswered > 0 ? peers->answer_ms : peers->idle_ms));
		if (frame->payload.size != 0)
			answer(link, frame->payload);
		return;
	}
	loop_timer_set(link->timer, now + 3 * peers->idle_ms);
	answer(link, frame->payload);
	if (stream_queued(link->stream) > REPLIES_QUEUED_MAX)
		stream_set_reading(link->stream, false);
}

void exchanges_link_over(struct link *link)
{
	struct peers *peers = link->peers;
	if (!link->outgoing) {
		peers->exchanges_in--;
		peers->counts.incoming--;
		return;
	}
	peers->exchanges_out--;
	if (link->unanswered > 0)
		peers->handler->exchange_failed(peers->context, link->address);
}

void exchanges_link_due(struct link *link)
{
	struct error error = {0};
	if (link->outgoing && link->unanswered > 0)
		error_set(&error, ERR_TIMEOUT, "no answer within %lld ms", (long long)link->peers->answer_ms);
	else
		error_set(&error, ERR_CLOSED, "this connection is not used any more");
	link_end(link, &error);
}
