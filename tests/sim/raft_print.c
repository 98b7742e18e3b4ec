#include "sim/raft_print.h"

#include <inttypes.h>

static void vote_request(struct buffer *out, const struct raft_vote_request *request)
{
	buffer_format(out, "%s for term %" PRIu64 "%s, log ends at %" PRIu64 "/%" PRIu64,
	              request->pre ? "pre-vote?" : "vote?", request->for_term, request->transfer ? " by transfer" : "",
	              request->last_index, request->last_term);
}

static void append_response(struct buffer *out, const struct raft_append_response *response)
{
	if (response->rejected)
		buffer_format(out, "rejects prev %" PRIu64 ", try %" PRIu64 "/%" PRIu64 " round %" PRIu64,
		              response->rejected_prev, response->hint_index, response->hint_term, response->round);
	else
		buffer_format(out, "accepted %" PRIu64 " durable %" PRIu64 " round %" PRIu64, response->accepted,
		              response->match, response->round);
}

void raft_print_message(struct buffer *out, const struct raft_message *message)
{
	buffer_format(out, "%" PRIu64 " > %" PRIu64 " term %" PRIu64 " ", message->from, message->to, message->term);
	switch (message->kind) {
	case RAFT_VOTE_REQUEST:
		vote_request(out, &message->vote_request);
		break;
	case RAFT_VOTE_RESPONSE:
		buffer_format(out, "%s %s for term %" PRIu64, message->vote_response.pre ? "pre-vote" : "vote",
		              message->vote_response.granted ? "granted" : "refused", message->vote_response.for_term);
		break;
	case RAFT_APPEND_REQUEST:
		buffer_format(out, "append prev %" PRIu64 "/%" PRIu64 " +%u commit %" PRIu64 " round %" PRIu64,
		              message->append_request.prev_index, message->append_request.prev_term,
		              message->append_request.count, message->append_request.commit,
		              message->append_request.round);
		break;
	case RAFT_APPEND_RESPONSE:
		append_response(out, &message->append_response);
		break;
	case RAFT_HEARTBEAT:
		buffer_format(out, "heartbeat commit %" PRIu64 " round %" PRIu64, message->heartbeat.commit,
		              message->heartbeat.round);
		break;
	case RAFT_SNAPSHOT_CHUNK:
		buffer_format(out, "snapshot %" PRIu64 "/%" PRIu64 " offset %" PRIu64 " +%u of %" PRIu64,
		              message->chunk.snapshot->index, message->chunk.snapshot->term, message->chunk.offset,
		              message->chunk.length, message->chunk.snapshot->size);
		break;
	case RAFT_SNAPSHOT_RESPONSE:
		buffer_format(out, "snapshot has %" PRIu64 " bytes", message->snapshot_response.offset);
		break;
	case RAFT_TIMEOUT_NOW:
		buffer_append_string(out, "lead now");
		break;
	case RAFT_READ_REQUEST:
		buffer_format(out, "read %" PRIu64 "?", message->read_request.id);
		break;
	case RAFT_READ_RESPONSE:
		if (message->read_response.refused)
			buffer_format(out, "read %" PRIu64 " refused", message->read_response.id);
		else
			buffer_format(out, "read %" PRIu64 " at %" PRIu64, message->read_response.id,
			              message->read_response.index);
		break;
	}
}

void raft_print_configuration(struct buffer *out, const struct raft_configuration *configuration)
{
	for (uint32_t i = 0; i < configuration->count; i++)
		if (configuration->members[i].voter)
			buffer_format(out, " %" PRIu64, configuration->members[i].id);
	for (uint32_t i = 0; i < configuration->count; i++)
		if (!configuration->members[i].voter)
			buffer_format(out, " +%" PRIu64, configuration->members[i].id);
}
