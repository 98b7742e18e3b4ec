/* What nodes say to one another about calls, for tests that play another node. */
#ifndef CLUSTERD_UNIT_CALL_MESSAGES_H
#define CLUSTERD_UNIT_CALL_MESSAGES_H

#include "base/memory.h"
#include "node_fixture.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <stdio.h>

/* The next frame of the type that was sent to the member, unpacked into `arena`; fails when there is none. */
static inline const ProtobufCMessage *expect_frame(struct node_fixture *fixture, uint64_t member, int type,
                                                   struct arena *arena, char *ret_payload, size_t size)
{
	struct peer_frame frame;
	ProtobufCMessage *message;
	if (!node_fixture_sent(fixture, type, &frame))
		fail_msg("no %s frame was sent", frame_type_name((unsigned)type));
	assert_int_equal(frame.member, member);
	assert_int_equal(message_unpack(message_of_frame((enum frame_type)type), buffer_slice(&frame.message), arena, &message, NULL),
	                 0);
	if (ret_payload != NULL)
		snprintf(ret_payload, size, "%.*s", SLICE_ARGS(buffer_slice(&frame.payload)));
	node_fixture_frame_finish(&frame);
	return message;
}

static inline void expect_no_frame(struct node_fixture *fixture, int type)
{
	struct peer_frame frame;
	if (node_fixture_sent(fixture, type, &frame))
		fail_msg("a %s frame was sent", frame_type_name((unsigned)type));
}

static inline void hear_survey(struct node_fixture *fixture, uint64_t member, uint64_t term, uint64_t number)
{
	Clusterd__Wire__Survey survey = CLUSTERD__WIRE__SURVEY__INIT;
	survey.term = term;
	survey.number = number;
	node_fixture_hear(fixture, member, FRAME_SURVEY, 0, &survey.base, SLICE(""));
	node_fixture_settle(fixture);
}

static inline void hear_order(struct node_fixture *fixture, uint64_t member, uint64_t term, struct call_id call,
                              const char *process, uint32_t version, uint64_t place)
{
	Clusterd__Wire__Assignment order = CLUSTERD__WIRE__ASSIGNMENT__INIT;
	order.instance = call.instance;
	order.ref = call.ref;
	order.attempt = call.attempt;
	order.process = (char *)(uintptr_t)process;
	order.version = version;
	order.term = term;
	order.place = place;
	node_fixture_hear(fixture, member, FRAME_ASSIGNMENT, 0, &order.base, SLICE("{\"x\":1}"));
	node_fixture_settle(fixture);
}

static inline void hear_abandon(struct node_fixture *fixture, uint64_t member, struct call_id call)
{
	Clusterd__Wire__Abandon abandon = CLUSTERD__WIRE__ABANDON__INIT;
	abandon.instance = call.instance;
	abandon.ref = call.ref;
	abandon.attempt = call.attempt;
	node_fixture_hear(fixture, member, FRAME_ABANDON, 0, &abandon.base, SLICE(""));
	node_fixture_settle(fixture);
}

static inline void hear_taken(struct node_fixture *fixture, uint64_t member, struct call_id call)
{
	Clusterd__Wire__Taken taken = CLUSTERD__WIRE__TAKEN__INIT;
	taken.instance = call.instance;
	taken.ref = call.ref;
	taken.attempt = call.attempt;
	node_fixture_hear(fixture, member, FRAME_RESULT_TAKEN, 0, &taken.base, SLICE(""));
	node_fixture_settle(fixture);
}

/* `failed` with `refused`: it was not begun. */
static inline void hear_result(struct node_fixture *fixture, uint64_t member, struct call_id call, bool failed, bool refused,
                               const char *value)
{
	Clusterd__Wire__Result result = CLUSTERD__WIRE__RESULT__INIT;
	result.instance = call.instance;
	result.ref = call.ref;
	result.attempt = call.attempt;
	result.failed = failed;
	result.refused = refused;
	node_fixture_hear(fixture, member, FRAME_RESULT, 0, &result.base, slice_of(value));
	node_fixture_settle(fixture);
}

#endif
