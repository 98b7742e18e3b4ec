#include "daemon/cluster.h"
#include "daemon/forward.h"
#include "daemon/placing.h"

#include "wire/frame.h"

/* What other nodes say, and to whom it goes. Who they are has been proved; what they say is believed only as far as it can be. */

void node_peer_up(struct node *node, uint64_t member)
{
	if (node->failed)
		return;
	forward_peer_up(node, member);
	runner_peer_up(node, member);
	sites_peer_up(node, member);
	placing_peer_up(node, member);
}

void node_peer_down(struct node *node, uint64_t member)
{
	if (node->failed)
		return;
	forward_peer_down(node, member);
	sites_peer_down(node, member);
	placing_peer_down(node, member);
	cluster_doubt(node, member);
}

void node_peer_message(struct node *node, uint64_t member, int frame_type, uint32_t stream,
                       const ProtobufCMessage *message, struct slice payload)
{
	if (node->failed)
		return;
	switch (frame_type) {
	case FRAME_RAFT:
		replica_message(node, member, (const Clusterd__Wire__RaftMessage *)message, payload);
		break;
	case FRAME_FORWARD:
	case FRAME_FORWARDED:
	case FRAME_FORWARD_CANCEL:
		forward_message(node, member, frame_type, stream, message, payload);
		break;
	case FRAME_PRESENCE:
		presence_heard(node, (const Clusterd__Wire__Presence *)message);
		break;
	case FRAME_SURVEY:
	case FRAME_PLACES:
	case FRAME_ASSIGNMENT:
	case FRAME_ABANDON:
	case FRAME_RESULT:
	case FRAME_RESULT_TAKEN:
	case FRAME_HEARTBEAT:
		frames_take(node, member, frame_type, message, payload);
		break;
	case FRAME_FETCH:
		supply_asked(node, member, (const Clusterd__Wire__Fetch *)message);
		break;
	case FRAME_FETCHED:
		supply_got(node, (const Clusterd__Wire__Fetched *)message, payload);
		break;
	case FRAME_TASKS:
		tasks_take(node, member, (const Clusterd__Wire__Tasks *)message);
		break;
	case FRAME_TASK_REPORTS:
		placing_reports(node, member, (const Clusterd__Wire__TaskReports *)message, payload);
		break;
	case FRAME_SET_BACK:
		standing_told(node, member);
		break;
	case FRAME_FORM:
		forming_message(node, member, (const Clusterd__Wire__Form *)message);
		break;
	default:
		node->counts.messages_refused++;
		break;
	}
}
