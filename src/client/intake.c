#include "client/subscriber.h"

#include "base/memory.h"

#include <string.h>
#include <sys/epoll.h>

#define READ_SIZE (256u << 10)
#define TURN_SIZE (2u << 20)
#define PAUSE_MIN_MS 50
#define PAUSE_MAX_MS 1000

static void intake_ready(void *context, uint32_t events);
static void connect_soon(struct intake *intake);

/* --- connections --------------------------------------------------------------------------------------------------- */

static void hang_up(struct intake *intake)
{
	visit_cancel(intake->visit);
	intake->visit = NULL;
	channel_destroy(intake->channel);
	intake->channel = NULL;
	buffer_finish(&intake->input);
	epochs_start(&intake->epochs, intake->epochs.from); /* the rest of what is held comes no more */
	timers_set(&intake->subscriber->client->base.timers, &intake->timer, MSEC_NEVER);
}

/* Nobody else than who was meant can say so: another try is of no use. */
static bool is_final(int code)
{
	return code == ERR_DENIED || code == ERR_TYPE || code == ERR_VERSION;
}

static void lost(struct intake *intake, const struct error *error)
{
	struct clusterd_subscriber *subscriber = intake->subscriber;
	struct clusterd_error public;
	hang_up(intake);
	if (intake->ended)
		return;
	if (is_final(error->code)) {
		subscriber_fail(subscriber, error);
		return;
	}
	client_say(&public, error);
	connect_soon(intake);
	subscriber_look_around(subscriber);
	subscriber_tell(subscriber, (struct clusterd_subscriber_news){
					    .event = CLUSTERD_SUBSCRIBER_LOST, .part = intake->part, .error = &public});
}

/* --- what was said ------------------------------------------------------------------------------------------------- */

static void missed(struct intake *intake, uint64_t from, uint64_t to)
{
	subscriber_tell(intake->subscriber,
	                (struct clusterd_subscriber_news){
				.event = CLUSTERD_SUBSCRIBER_MISSED, .part = intake->part, .from = from, .to = to});
}

static void show(struct intake *intake, enum stream_frame_type type, uint64_t time, struct slice body)
{
	struct clusterd_subscriber *subscriber = intake->subscriber;
	struct clusterd_message message = {.time = time, .part = intake->part, .state = type == STREAM_STATE};
	struct slice part;
	while (!subscriber->destroyed && stream_parts_next(type, &body, &part, &message.count)) {
		message.data = part.data;
		message.size = part.size;
		subscriber->options.came(subscriber->options.context, &message);
	}
}

static void end(struct intake *intake)
{
	intake->ended = true;
	hang_up(intake);
}

static void take_start(struct intake *intake, uint64_t from)
{
	const struct clusterd_subscriber_options *options = &intake->subscriber->options;
	uint64_t due = intake->started ? intake->epochs.from : options->from;
	bool gap = options->wanted != CLUSTERD_STATE && (intake->started || options->from != CLUSTERD_FROM_NOW) &&
	           due < from;
	intake->started = true;
	intake->pause = 0;
	epochs_start(&intake->epochs, from);
	if (gap && !(options->collection && options->wanted != CLUSTERD_CHANGES))
		missed(intake, due, from);
	if (intake->subscriber->destroyed)
		return;
	subscriber_look_at_frontier(intake->subscriber, false);
	if (intake->subscriber->destroyed || (options->wanted != CLUSTERD_STATE && from != STREAM_TIME_END))
		return;
	epochs_start(&intake->epochs, STREAM_TIME_END);
	end(intake);
	subscriber_look_at_frontier(intake->subscriber, false);
}

static void take_frontier(struct intake *intake, uint64_t frontier)
{
	struct clusterd_subscriber *subscriber = intake->subscriber;
	struct epoch *epoch;
	while (!subscriber->destroyed && (epoch = epochs_take(&intake->epochs, frontier)) != NULL) {
		if (epoch->lost)
			missed(intake, epoch->time, epoch->time + 1);
		else
			show(intake, epoch->type, epoch->time, buffer_slice(&epoch->body));
		epoch_destroy(epoch);
	}
	if (subscriber->destroyed)
		return;
	if (frontier == STREAM_TIME_END)
		end(intake);
	subscriber_look_at_frontier(subscriber, false);
}

static int take_state(struct intake *intake, const struct stream_frame *frame, struct error *error)
{
	int code = stream_parts_check(STREAM_STATE, frame->body, error);
	if (code != 0)
		return code;
	if (frame->time == 0)
		subscriber_tell(intake->subscriber, (struct clusterd_subscriber_news){
							    .event = CLUSTERD_SUBSCRIBER_RESET, .part = intake->part});
	show(intake, STREAM_STATE, 0, frame->body);
	return 0;
}

static int take_data(struct intake *intake, const struct stream_frame *frame, struct error *error)
{
	int code = stream_parts_check(frame->type, frame->body, error);
	return code != 0 ? code : epochs_add(&intake->epochs, frame, error);
}

static int take_frame(struct intake *intake, const struct stream_frame *frame, struct error *error)
{
	bool collection = intake->subscriber->options.collection;
	if (frame->type == STREAM_REFUSAL) {
		refusal_read(frame, error);
		return error->code != 0 ? error->code : ERR_CLOSED;
	}
	if (frame->type == STREAM_START) {
		take_start(intake, frame->time);
		return 0;
	}
	if (frame->type == STREAM_STATE && collection)
		return take_state(intake, frame, error);
	if (!intake->started ||
	    (frame->type != STREAM_FRONTIER && frame->type != (collection ? STREAM_CHANGES : STREAM_DATA)))
		return error_set(error, ERR_INVALID, "a frame of type %d, which is not due", (int)frame->type);
	if (frame->type != STREAM_FRONTIER)
		return take_data(intake, frame, error);
	take_frontier(intake, frame->time);
	return 0;
}

/* What is whole of the input. A call may end the connection, or all of it. */
static void take_input(struct intake *intake)
{
	struct clusterd_subscriber *subscriber = intake->subscriber;
	struct error error = {0};
	size_t taken = 0;
	int got = 1;
	while (got == 1 && !subscriber->destroyed && !subscriber->paused && intake->channel != NULL) {
		struct slice rest = {intake->input.data + taken, intake->input.size - taken};
		struct stream_frame frame;
		size_t size;
		got = stream_frame_parse(rest, STREAM_FRAME_MAX, &frame, &size, &error);
		if (got != 1)
			break;
		taken += size;
		int code = take_frame(intake, &frame, &error);
		got = code != 0 ? code : 1;
	}
	if (subscriber->destroyed || intake->channel == NULL)
		return;
	if (got < 0)
		lost(intake, &error);
	else
		buffer_consume(&intake->input, taken);
}

static void intake_ready(void *context, uint32_t events)
{
	struct intake *intake = context;
	struct clusterd_subscriber *subscriber = intake->subscriber;
	struct error error;
	ssize_t got = READ_SIZE;
	(void)events;
	subscriber_hold(subscriber);
	for (size_t turn = 0; turn < TURN_SIZE && got == READ_SIZE; turn += READ_SIZE) {
		if (subscriber->destroyed || subscriber->paused || intake->channel == NULL)
			break;
		got = channel_read(intake->channel, &intake->input, READ_SIZE, &error);
		if (got < 0)
			lost(intake, &error);
		else if (got > 0)
			take_input(intake);
	}
	subscriber_release(subscriber);
}

/* --- connecting ---------------------------------------------------------------------------------------------------- */

static void restarted(struct intake *intake)
{
	struct clusterd_subscriber *subscriber = intake->subscriber;
	intake->started = false;
	epochs_start(&intake->epochs, 0);
	subscriber_look_at_frontier(subscriber, true);
	subscriber_tell(subscriber, (struct clusterd_subscriber_news){.event = CLUSTERD_SUBSCRIBER_RESTARTED,
	                                                              .part = intake->part});
}

static void visited(void *context, const struct greeting *greeting, struct channel *take_channel,
                    struct buffer *take_rest, const struct error *error)
{
	struct intake *intake = context;
	struct clusterd_subscriber *subscriber = intake->subscriber;
	intake->visit = NULL;
	subscriber_hold(subscriber);
	if (error != NULL) {
		lost(intake, error);
		subscriber_release(subscriber);
		return;
	}
	intake->channel = take_channel;
	intake->input = *take_rest;
	channel_pass(take_channel, intake_ready, intake);
	if (!subscriber->paused)
		channel_watch(take_channel, EPOLLIN);
	if (intake->config.life != 0 && intake->config.life != greeting->life)
		restarted(intake);
	intake->config.life = greeting->life;
	subscriber_tell(subscriber, (struct clusterd_subscriber_news){.event = CLUSTERD_SUBSCRIBER_CONNECTED,
	                                                              .part = intake->part});
	take_input(intake);
	subscriber_release(subscriber);
}

static void time_has_come(void *context)
{
	struct intake *intake = context;
	struct clusterd_subscriber *subscriber = intake->subscriber;
	if (intake->channel != NULL) {
		subscriber_hold(subscriber);
		take_input(intake);
		subscriber_release(subscriber);
		return;
	}
	intake->config.from = intake->started ? intake->epochs.from : subscriber->options.from;
	intake->visit = visit_begin(&subscriber->client->base, intake->address, &intake->config, visited, intake);
}

static void connect_soon(struct intake *intake)
{
	struct link_base *base = &intake->subscriber->client->base;
	if (intake->address == NULL || intake->ended || intake->visit != NULL || intake->channel != NULL)
		return;
	timers_set(&base->timers, &intake->timer, base->now + intake->pause);
	intake->pause = intake->pause == 0 ? PAUSE_MIN_MS : msec_earlier(2 * intake->pause, PAUSE_MAX_MS);
}

void intake_place(struct intake *intake, const char *address)
{
	if (intake->address == NULL || strcmp(intake->address, address) != 0) {
		mem_free(intake->address);
		intake->address = mem_string(address);
		intake->pause = 0;
		/* Who is on the way to the former address goes to this one. */
		visit_cancel(intake->visit);
		intake->visit = NULL;
	}
	connect_soon(intake);
}

void intake_pause(struct intake *intake, bool pause)
{
	struct link_base *base = &intake->subscriber->client->base;
	if (intake->channel == NULL)
		return;
	channel_watch(intake->channel, pause ? 0 : EPOLLIN);
	timers_set(&base->timers, &intake->timer, pause ? MSEC_NEVER : base->now);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

void intake_init(struct intake *intake, struct clusterd_subscriber *subscriber, const char *topic, uint32_t part)
{
	const struct clusterd_subscriber_options *options = &subscriber->options;
	*intake = (struct intake){.subscriber = subscriber, .part = part, .topic = mem_string(topic)};
	intake->timer = (struct timer){.call = time_has_come, .context = intake};
	epochs_init(&intake->epochs, options->held_max);
	intake->config = (struct greeting_config){
		.topic = intake->topic,
		.kind = options->collection ? CLUSTERD__STREAM__KIND__KIND_COLLECTION
	                                    : CLUSTERD__STREAM__KIND__KIND_STREAM,
		/* Where the cluster was asked, it has compared them. */
		.schema = subscriber->finder == NULL && options->schema != NULL ? options->schema : "",
		.secret = subscriber->secret,
		.name = subscriber->client->base.name,
		.no_state = options->wanted == CLUSTERD_CHANGES,
		.no_changes = options->wanted == CLUSTERD_STATE,
	};
}

void intake_finish(struct intake *intake)
{
	hang_up(intake);
	epochs_finish(&intake->epochs);
	mem_free(intake->topic);
	mem_free(intake->address);
}
