#include "daemon/node_internal.h"

#include "wire/frame.h"

/* Calls between nodes: call_reports.h as frames. */

#define RESULT_VALUE_MAX (FRAME_SIZE_MAX - (64u << 10)) /* what is larger is no result that could be taken */

static void send(struct node *node, uint64_t member, int frame_type, const ProtobufCMessage *message, struct slice payload)
{
	node->host->peer_send(node->context, member, frame_type, 0, message, &payload, payload.size != 0 ? 1 : 0);
}

/* --- of the leader -------------------------------------------------------------------------------------------------- */

void frames_send_survey(struct node *node, uint64_t member, uint64_t term, uint64_t number)
{
	Clusterd__Wire__Survey message = CLUSTERD__WIRE__SURVEY__INIT;
	message.term = term;
	message.number = number;
	send(node, member, FRAME_SURVEY, &message.base, SLICE(""));
}

void frames_send_order(struct node *node, uint64_t member, const struct call_order *order)
{
	Clusterd__Wire__Assignment message = CLUSTERD__WIRE__ASSIGNMENT__INIT;
	message.instance = order->call.instance;
	message.ref = order->call.ref;
	message.attempt = order->call.attempt;
	message.term = order->term;
	message.place = order->place;
	message.version = order->version;
	message.timeout_ms = order->timeout_ms;
	message.heartbeat_ms = order->heartbeat_ms;
	buffer_clear(&node->scratch);
	buffer_append_slice(&node->scratch, order->process);
	message.process = (char *)(uintptr_t)buffer_string(&node->scratch);
	send(node, member, FRAME_ASSIGNMENT, &message.base, text_slice(order->args));
}

void frames_send_abandon(struct node *node, uint64_t member, struct call_id call)
{
	Clusterd__Wire__Abandon message = CLUSTERD__WIRE__ABANDON__INIT;
	message.instance = call.instance;
	message.ref = call.ref;
	message.attempt = call.attempt;
	send(node, member, FRAME_ABANDON, &message.base, SLICE(""));
}

void frames_send_taken(struct node *node, uint64_t member, struct call_id call)
{
	Clusterd__Wire__Taken message = CLUSTERD__WIRE__TAKEN__INIT;
	message.instance = call.instance;
	message.ref = call.ref;
	message.attempt = call.attempt;
	send(node, member, FRAME_RESULT_TAKEN, &message.base, SLICE(""));
}

/* --- of runners ----------------------------------------------------------------------------------------------------- */

/* What is too large for a frame is said to be so: no setting allows it either. */
void frames_send_result(struct node *node, uint64_t member, const struct call_result *result)
{
	Clusterd__Wire__Result message = CLUSTERD__WIRE__RESULT__INIT;
	struct slice value = result->value != NULL ? text_slice(result->value) : SLICE("");
	message.instance = result->call.instance;
	message.ref = result->call.ref;
	message.attempt = result->call.attempt;
	message.failed = result->failed;
	message.final = result->final;
	message.refused = result->refused;
	if (result->metadata != NULL) {
		message.metadata.data = (uint8_t *)result->metadata->data;
		message.metadata.len = result->metadata->size;
	}
	if (value.size > RESULT_VALUE_MAX || message.metadata.len > FRAME_MESSAGE_MAX / 2) {
		message.failed = true;
		message.metadata.len = 0;
		value = SLICE("its output is larger than a frame (16 MiB)");
	}
	send(node, member, FRAME_RESULT, &message.base, value);
}

void frames_send_heartbeat(struct node *node, uint64_t member, struct call_id call)
{
	Clusterd__Wire__Heartbeat message = CLUSTERD__WIRE__HEARTBEAT__INIT;
	message.instance = call.instance;
	message.ref = call.ref;
	message.attempt = call.attempt;
	send(node, member, FRAME_HEARTBEAT, &message.base, SLICE(""));
}

static Clusterd__Wire__Place *pack_place(struct arena *arena, const struct place_report *report)
{
	Clusterd__Wire__Place *place = arena_alloc(arena, sizeof *place);
	clusterd__wire__place__init(place);
	place->id = report->place;
	place->credit = report->credit;
	place->gone = report->gone;
	return place;
}

static Clusterd__Wire__PlaceOffer *pack_offer(struct arena *arena, uint64_t place, const struct offer *offer)
{
	Clusterd__Wire__PlaceOffer *packed = arena_alloc(arena, sizeof *packed);
	clusterd__wire__place_offer__init(packed);
	packed->place = place;
	packed->name = arena_string(arena, offer->process);
	packed->signature = arena_string(arena, offer->signature);
	return packed;
}

static void pack_places(struct arena *arena, const struct node_report *report, Clusterd__Wire__Places *message)
{
	size_t offer_count = 0;
	for (size_t i = 0; i < report->place_count; i++)
		offer_count += report->places[i].offer_count;
	message->places = arena_alloc(arena, report->place_count * sizeof(Clusterd__Wire__Place *));
	message->offers = arena_alloc(arena, offer_count * sizeof(Clusterd__Wire__PlaceOffer *));
	for (size_t i = 0; i < report->place_count; i++) {
		const struct place_report *place = &report->places[i];
		message->places[message->n_places++] = pack_place(arena, place);
		for (size_t k = 0; k < place->offer_count; k++)
			message->offers[message->n_offers++] = pack_offer(arena, place->place, &place->offers[k]);
	}
}

static Clusterd__Wire__Run *pack_run(struct arena *arena, const struct run_report *report)
{
	Clusterd__Wire__Run *run = arena_alloc(arena, sizeof *run);
	clusterd__wire__run__init(run);
	run->instance = report->call.instance;
	run->ref = report->call.ref;
	run->attempt = report->call.attempt;
	run->place = report->place;
	return run;
}

void frames_send_report(struct node *node, uint64_t member, const struct node_report *report)
{
	struct arena arena = {0};
	Clusterd__Wire__Places message = CLUSTERD__WIRE__PLACES__INIT;
	message.term = report->term;
	message.survey = report->survey;
	message.answer = report->answer;
	message.more = report->more;
	message.lost = report->lost;
	message.node = arena_string(&arena, report->name);
	message.tags = arena_string(&arena, report->tags);
	message.exec_slots = report->exec_slots;
	message.pool_calls = report->pool_calls;
	pack_places(&arena, report, &message);
	message.n_runs = report->run_count;
	message.runs = arena_alloc(&arena, report->run_count * sizeof(Clusterd__Wire__Run *));
	for (size_t i = 0; i < report->run_count; i++)
		message.runs[i] = pack_run(&arena, &report->runs[i]);
	send(node, member, FRAME_PLACES, &message.base, SLICE(""));
	arena_finish(&arena);
}

/* --- coming in ------------------------------------------------------------------------------------------------------ */

static void take_report(struct node *node, uint64_t member, const Clusterd__Wire__Places *message)
{
	struct arena arena = {0};
	struct place_report *places = arena_alloc(&arena, message->n_places * sizeof *places);
	struct run_report *runs = arena_alloc(&arena, message->n_runs * sizeof *runs);
	struct offer *offers = arena_alloc(&arena, message->n_offers * sizeof *offers);
	for (size_t i = 0, next = 0; i < message->n_places; i++) {
		const Clusterd__Wire__Place *place = message->places[i];
		size_t first = next;
		for (; next < message->n_offers && message->offers[next]->place == place->id; next++)
			offers[next] = (struct offer){slice_of(message->offers[next]->name),
			                              slice_of(message->offers[next]->signature)};
		places[i] = (struct place_report){place->id, place->gone != 0, place->credit, offers + first, next - first};
	}
	for (size_t i = 0; i < message->n_runs; i++) {
		const Clusterd__Wire__Run *run = message->runs[i];
		runs[i] = (struct run_report){{run->instance, run->ref, run->attempt}, run->place};
	}
	sites_report(node, member, &(struct node_report){
		.term = message->term,
		.survey = message->survey,
		.answer = message->answer != 0,
		.more = message->more != 0,
		.lost = message->lost != 0,
		.name = slice_of(message->node),
		.tags = slice_of(message->tags),
		.exec_slots = message->exec_slots,
		.pool_calls = message->pool_calls,
		.places = places,
		.place_count = message->n_places,
		.runs = runs,
		.run_count = message->n_runs,
	});
	arena_finish(&arena);
}

static void take_result(struct node *node, uint64_t member, const Clusterd__Wire__Result *message, struct slice payload)
{
	struct text *value = text_create(payload);
	struct slice bytes = {(const char *)message->metadata.data, message->metadata.len};
	struct text *metadata = bytes.size != 0 ? text_create(bytes) : NULL;
	node_calls_result(node, member, &(struct call_result){
		.call = {message->instance, message->ref, message->attempt},
		.failed = message->failed != 0,
		.final = message->final != 0,
		.refused = message->refused != 0,
		.value = value,
		.metadata = metadata,
	});
	text_release(value);
	text_release(metadata);
}

static void take_order(struct node *node, uint64_t member, const Clusterd__Wire__Assignment *message, struct slice payload)
{
	struct text *args;
	if (member != node->runner.leader)
		return;
	args = text_create(payload);
	runner_order(node, &(struct call_order){
		.call = {message->instance, message->ref, message->attempt},
		.term = message->term,
		.place = message->place,
		.process = slice_of(message->process),
		.version = message->version,
		.timeout_ms = message->timeout_ms,
		.heartbeat_ms = message->heartbeat_ms,
		.args = args,
	});
	text_release(args);
}

void frames_take(struct node *node, uint64_t member, int frame_type, const ProtobufCMessage *message,
                 struct slice payload)
{
	switch (frame_type) {
	case FRAME_SURVEY: {
		const Clusterd__Wire__Survey *survey = (const Clusterd__Wire__Survey *)message;
		runner_survey(node, member, survey->term, survey->number);
		break;
	}
	case FRAME_PLACES:
		take_report(node, member, (const Clusterd__Wire__Places *)message);
		break;
	case FRAME_ASSIGNMENT:
		take_order(node, member, (const Clusterd__Wire__Assignment *)message, payload);
		break;
	case FRAME_RESULT:
		take_result(node, member, (const Clusterd__Wire__Result *)message, payload);
		break;
	case FRAME_ABANDON: {
		const Clusterd__Wire__Abandon *abandon = (const Clusterd__Wire__Abandon *)message;
		runner_abandon(node, (struct call_id){abandon->instance, abandon->ref, abandon->attempt});
		break;
	}
	case FRAME_RESULT_TAKEN: {
		const Clusterd__Wire__Taken *taken = (const Clusterd__Wire__Taken *)message;
		runner_close(node, (struct call_id){taken->instance, taken->ref, taken->attempt});
		break;
	}
	case FRAME_HEARTBEAT: {
		const Clusterd__Wire__Heartbeat *heartbeat = (const Clusterd__Wire__Heartbeat *)message;
		node_calls_heartbeat(node, (struct call_id){heartbeat->instance, heartbeat->ref, heartbeat->attempt});
		break;
	}
	default:
		break;
	}
}
