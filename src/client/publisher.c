#include "client/publisher.h"

#include "base/memory.h"

#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>

/* Everything that is said is in the backlog once, and each feed has a cursor in it. How far a feed may fall behind is looked at before
 * something is added: so what waits is bounded whatever a subscriber does. */

#define BATCH_SIZE (64u << 10) /* so much goes out without waiting for more */
#define PARTS_MAX 32           /* of one write */
#define TURN_SIZE (4u << 20)   /* to one feed without looking at others */

struct feed {
	struct clusterd_publisher *publisher;
	TAILQ_ENTRY(feed) entry;
	struct channel *channel;
	struct backlog_cursor cursor;
	bool waits;      /* its socket takes no more now */
	bool no_changes; /* it ends when it has the state */
};

/* --- telling ------------------------------------------------------------------------------------------------------- */

static void publisher_free(struct clusterd_publisher *publisher)
{
	mem_free(publisher);
}

/* false: it was destroyed. */
static bool tell_of(struct clusterd_publisher *publisher, bool ready, bool listed, const struct error *error)
{
	struct clusterd_error public = {0};
	struct clusterd_publisher_news news = {publisher->feed_count, ready, listed, error != NULL ? &public : NULL};
	if (publisher->options.told == NULL || publisher->tells)
		return true;
	client_say(&public, error);
	publisher->tells = true;
	publisher->options.told(publisher->options.context, &news);
	publisher->tells = false;
	if (!publisher->destroyed)
		return true;
	publisher_free(publisher);
	return false;
}

static bool tell(struct clusterd_publisher *publisher, bool ready)
{
	return tell_of(publisher, ready, false, NULL);
}

static void listed(void *context, const struct error *error)
{
	tell_of(context, false, error == NULL, error);
}

/* --- feeds --------------------------------------------------------------------------------------------------------- */

static void send_soon(struct clusterd_publisher *publisher)
{
	struct link_base *base = &publisher->client->base;
	publisher->drained = false;
	if (publisher->timer.place == 0)
		timers_set(&base->timers, &publisher->timer, base->now);
}

static void feed_end(struct feed *feed)
{
	struct clusterd_publisher *publisher = feed->publisher;
	send_soon(publisher); /* and tell how many there are */
	backlog_leave(&publisher->backlog, &feed->cursor);
	channel_destroy(feed->channel);
	TAILQ_REMOVE(&publisher->feeds, feed, entry);
	publisher->feed_count--;
	publisher->room = 0;
	mem_free(feed);
}

/* false: it has ended. */
static bool feed_write(struct feed *feed)
{
	struct clusterd_publisher *publisher = feed->publisher;
	struct backlog *backlog = &publisher->backlog;
	struct iovec parts[PARTS_MAX];
	for (size_t sent = 0; sent < TURN_SIZE;) {
		size_t count = backlog_parts(&feed->cursor, parts, PARTS_MAX);
		if (count == 0)
			break;
		ssize_t written = channel_write(feed->channel, parts, count, NULL);
		if (written < 0) {
			feed_end(feed);
			return false;
		}
		feed->waits = written == 0;
		if (feed->waits)
			break;
		backlog_got(backlog, &feed->cursor, (size_t)written);
		sent += (size_t)written;
		if (feed->no_changes && feed->cursor.state == NULL && feed->cursor.note_at == feed->cursor.note_end) {
			feed_end(feed);
			return false;
		}
	}
	channel_watch(feed->channel, backlog_has_more(backlog, &feed->cursor) ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return true;
}

/* The frontier that was said and is not in the backlog yet: it waits for room, since nothing else bounds how often it moves. */
static void catch_up(struct clusterd_publisher *publisher)
{
	if (publisher->frontier == publisher->backlog.frontier)
		return;
	backlog_advance(&publisher->backlog, publisher->frontier);
	publisher->room -= publisher->room < STREAM_HEADER_SIZE ? publisher->room : STREAM_HEADER_SIZE;
	send_soon(publisher);
}

/* How the feeds are, after something has changed: who waits for that, is told. */
static void look(struct clusterd_publisher *publisher)
{
	const struct feed *feed;
	if (publisher->feed_count != publisher->told_count) {
		publisher->told_count = publisher->feed_count;
		if (!tell(publisher, false))
			return;
	}
	if (publisher->frontier != publisher->backlog.frontier && publisher_has_room(publisher, 1))
		catch_up(publisher);
	publisher->drained = publisher->frontier == publisher->backlog.frontier &&
	                     backlog_unsealed(&publisher->backlog) == 0;
	TAILQ_FOREACH (feed, &publisher->feeds, entry)
		publisher->drained = publisher->drained && !backlog_has_more(&publisher->backlog, &feed->cursor);
	if (!publisher->blocked || !publisher_has_room(publisher, 1))
		return;
	publisher->blocked = false;
	publisher->can_send = true;
	tell(publisher, true);
}

static void feed_ready(void *context, uint32_t events)
{
	struct feed *feed = context;
	struct clusterd_publisher *publisher = feed->publisher;
	feed->waits = false;
	/* A subscriber says nothing: what comes from it is its end. */
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		feed_end(feed);
	else
		feed_write(feed);
	look(publisher);
}

static int check_guest(const struct clusterd_publisher *publisher, const struct buffer *rest, struct error *error)
{
	if (publisher->feed_count >= publisher->options.subscribers_max)
		return error_set(error, ERR_BUSY, "there are %u subscribers, and no more may come",
		                 publisher->options.subscribers_max);
	if (rest->size != 0)
		return error_set(error, ERR_INVALID, "a subscriber says nothing behind its greeting");
	return 0;
}

static int take_guest(void *context, const struct greeting *greeting, struct channel *take_channel,
                      struct buffer *take_rest, struct error *error)
{
	struct clusterd_publisher *publisher = context;
	bool wants_state = publisher->state != NULL && !greeting->no_state;
	struct backlog_state *state = NULL;
	int code = check_guest(publisher, take_rest, error);
	if (code != 0)
		return code;
	if (wants_state && (state = publisher->state(publisher->state_context)) == NULL)
		return error_set(error, ERR_BUSY, "the state is on its way to too many others");
	buffer_finish(take_rest);
	struct feed *feed = mem_zero(sizeof *feed);
	feed->publisher = publisher;
	feed->channel = take_channel;
	channel_pass(take_channel, feed_ready, feed);
	TAILQ_INSERT_TAIL(&publisher->feeds, feed, entry);
	publisher->feed_count++;
	backlog_join(&publisher->backlog, &feed->cursor, publisher->state != NULL ? STREAM_FROM_NOW : greeting->from);
	if (state != NULL) {
		backlog_restart(&publisher->backlog, &feed->cursor, state);
		backlog_state_release(state);
		feed->no_changes = greeting->no_changes;
	}
	publisher->room = 0;
	send_soon(publisher);
	feed_write(feed);
	return 0;
}

/* --- sending ------------------------------------------------------------------------------------------------------- */

/* To all that take it. */
static void push(struct clusterd_publisher *publisher)
{
	struct feed *feed;
	struct feed *next;
	backlog_seal(&publisher->backlog);
	for (feed = TAILQ_FIRST(&publisher->feeds); feed != NULL; feed = next) {
		next = TAILQ_NEXT(feed, entry);
		if (!feed->waits)
			feed_write(feed);
	}
}

static void send_what_is_there(void *context)
{
	struct clusterd_publisher *publisher = context;
	push(publisher);
	look(publisher);
}

/* A feed for which more waits than may: makes room, if that is what is to be done. false: the publisher has to wait for it. */
static bool deal_with(struct feed *feed)
{
	struct clusterd_publisher *publisher = feed->publisher;
	if (publisher->options.slow == CLUSTERD_SLOW_BLOCK)
		return false;
	bool drops = publisher->options.slow == CLUSTERD_SLOW_DROP;
	struct backlog_state *state = drops && publisher->state != NULL ? publisher->state(publisher->state_context)
	                                                                : NULL;
	if (!drops || (publisher->state != NULL && state == NULL)) {
		publisher->disconnected++;
		feed_end(feed);
		return true;
	}
	publisher->dropped++;
	if (state != NULL)
		backlog_restart(&publisher->backlog, &feed->cursor, state);
	else
		backlog_skip(&publisher->backlog, &feed->cursor, publisher->options.queue_size / 2);
	backlog_state_release(state);
	return true;
}

bool publisher_has_room(struct clusterd_publisher *publisher, size_t size)
{
	/* Who was blocked goes on when there is room for more than a little. */
	size_t limit = publisher->blocked ? publisher->options.queue_size / 4 * 3 : publisher->options.queue_size;
	size_t most = 0;
	struct feed *feed;
	struct feed *next;
	if (size <= publisher->room)
		return true;
	push(publisher);
	for (feed = TAILQ_FIRST(&publisher->feeds); feed != NULL; feed = next) {
		size_t lag = backlog_lag(&publisher->backlog, &feed->cursor);
		next = TAILQ_NEXT(feed, entry);
		if (lag >= limit) {
			if (!deal_with(feed))
				return false;
		} else if (lag > most) {
			most = lag;
		}
	}
	publisher->room = limit - most > BATCH_SIZE ? limit - most : BATCH_SIZE;
	return true;
}

int publisher_make_room(struct clusterd_publisher *publisher, size_t size, struct error *error)
{
	if (size <= publisher->room || publisher_has_room(publisher, size))
		return 0;
	publisher->blocked = true;
	publisher->can_send = false;
	return error_set(error, ERR_BUSY, "a subscriber is so slow that more than %zu bytes wait for it",
	                 publisher->options.queue_size);
}

void publisher_put(struct clusterd_publisher *publisher, uint64_t time, struct slice part, int64_t count)
{
	size_t size = part.size + STREAM_ITEM_HEAD + STREAM_HEADER_SIZE;
	catch_up(publisher);
	backlog_add(&publisher->backlog, publisher->type, time, part, count);
	publisher->room -= size < publisher->room ? size : publisher->room;
	if (backlog_unsealed(&publisher->backlog) >= BATCH_SIZE)
		push(publisher);
	send_soon(publisher);
}

int publisher_add(struct clusterd_publisher *publisher, uint64_t time, struct slice part, int64_t count,
                  struct error *error)
{
	if (part.size > STREAM_MESSAGE_MAX)
		return error_set(error, ERR_LIMIT, "a message has up to %u bytes, not %zu", STREAM_MESSAGE_MAX,
		                 part.size);
	if (time < publisher->frontier || time == STREAM_TIME_END)
		return error_set(error, ERR_INVALID, "the epoch %" PRIu64 " is complete: the frontier is %" PRIu64,
		                 time, publisher->frontier);
	int code = publisher_make_room(publisher, part.size + STREAM_ITEM_HEAD + STREAM_HEADER_SIZE, error);
	if (code == 0)
		publisher_put(publisher, time, part, count);
	return code;
}

int publisher_advance(struct clusterd_publisher *publisher, uint64_t frontier, struct error *error)
{
	if (frontier < publisher->frontier)
		return error_set(error, ERR_INVALID, "the frontier is at %" PRIu64 " already", publisher->frontier);
	publisher->frontier = frontier;
	if (publisher_has_room(publisher, STREAM_HEADER_SIZE))
		catch_up(publisher);
	else
		publisher->drained = false;
	return 0;
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static int check(const struct clusterd_publisher_options *options, struct error *error)
{
	if (options->topic == NULL)
		return error_set(error, ERR_INVALID, "what is published has a name");
	if (options->slow < CLUSTERD_SLOW_BLOCK || options->slow > CLUSTERD_SLOW_DISCONNECT)
		return error_set(error, ERR_INVALID, "there is no way %d to deal with slow subscribers", options->slow);
	return 0;
}

static int open_door(struct clusterd_publisher *publisher, const struct clusterd_publisher_options *options,
                     struct error *error)
{
	char *topic = options->partitions == 0 ? mem_string(options->topic)
	                                       : mem_format("%s.%u", options->topic, options->partition);
	struct door_options door = {
		.topic = topic,
		.kind = publisher->state != NULL ? CLUSTERD__STREAM__KIND__KIND_COLLECTION
	                                         : CLUSTERD__STREAM__KIND__KIND_STREAM,
		.schema = options->schema != NULL ? options->schema : "",
		.listen = options->listen,
		.advertise = options->advertise,
		.token = publisher->client->base.token,
		.life = options->life,
		.guest = take_guest,
		.context = publisher,
	};
	int code = door_open(&publisher->client->base, &door, &publisher->door, error);
	mem_free(topic);
	return code;
}

static void list(struct clusterd_publisher *publisher, const struct clusterd_publisher_options *options, int kind)
{
	struct clusterd_publish_options listing = CLUSTERD_PUBLISH_OPTIONS;
	listing.topic = options->topic;
	listing.kind = kind;
	listing.schema = options->schema;
	listing.partitions = options->partitions;
	listing.part = options->partition;
	listing.address = door_address(publisher->door);
	listing.allocation = options->allocation;
	publisher->listing = listing_create(publisher->client, &listing, listed, publisher);
}

int publisher_create(struct clusterd_client *client, const struct clusterd_publisher_options *options, int kind,
                     publisher_state *state, void *state_context, struct clusterd_publisher **ret_publisher,
                     struct error *error)
{
	struct clusterd_publisher_options known = CLUSTERD_PUBLISHER_OPTIONS;
	memcpy(&known, options, options->size < sizeof known ? options->size : sizeof known);
	int code = check(&known, error);
	if (code != 0)
		return code;
	struct clusterd_publisher *publisher = mem_zero(sizeof *publisher);
	publisher->client = client;
	publisher->options = known;
	publisher->options.queue_size = known.queue_size != 0 ? known.queue_size : PUBLISHER_QUEUE_DEFAULT;
	publisher->options.subscribers_max = known.subscribers_max != 0 ? known.subscribers_max
	                                                                : PUBLISHER_SUBSCRIBERS_DEFAULT;
	publisher->state = state;
	publisher->state_context = state_context;
	publisher->type = state != NULL ? STREAM_CHANGES : STREAM_DATA;
	publisher->timer = (struct timer){.call = send_what_is_there, .context = publisher};
	publisher->drained = true;
	TAILQ_INIT(&publisher->feeds);
	client_look_at_clock(client);
	code = open_door(publisher, &known, error);
	if (code != 0) {
		mem_free(publisher);
		return code;
	}
	backlog_init(&publisher->backlog, known.kept_size);
	client->users++;
	if (!known.unlisted)
		list(publisher, &known, kind);
	*ret_publisher = publisher;
	return 0;
}

int clusterd_publisher_create(struct clusterd_client *client, const struct clusterd_publisher_options *options,
                              struct clusterd_publisher **ret_publisher, struct clusterd_error *error)
{
	struct error failure = {0};
	int code = publisher_create(client, options, CLUSTERD_TOPIC_STREAM, NULL, NULL, ret_publisher, &failure);
	return code == 0 ? 0 : client_say(error, &failure);
}

void clusterd_publisher_destroy(struct clusterd_publisher *publisher)
{
	if (publisher == NULL)
		return;
	listing_destroy(publisher->listing);
	push(publisher);
	while (!TAILQ_EMPTY(&publisher->feeds))
		feed_end(TAILQ_FIRST(&publisher->feeds));
	timers_set(&publisher->client->base.timers, &publisher->timer, MSEC_NEVER);
	door_close(publisher->door);
	backlog_finish(&publisher->backlog);
	publisher->client->users--;
	if (publisher->tells)
		publisher->destroyed = true;
	else
		publisher_free(publisher);
}

/* --- for its owner ------------------------------------------------------------------------------------------------- */

const char *clusterd_publisher_address(const struct clusterd_publisher *publisher)
{
	return door_address(publisher->door);
}

int clusterd_publisher_send(struct clusterd_publisher *publisher, uint64_t time, const void *data, size_t size,
                            struct clusterd_error *error)
{
	struct error failure;
	int code = publisher_add(publisher, time, (struct slice){data, size}, 1, &failure);
	return code == 0 ? 0 : client_say(error, &failure);
}

int clusterd_publisher_advance(struct clusterd_publisher *publisher, uint64_t frontier, struct clusterd_error *error)
{
	struct error failure;
	int code = publisher_advance(publisher, frontier, &failure);
	return code == 0 ? 0 : client_say(error, &failure);
}

int clusterd_publisher_wait(struct clusterd_publisher *publisher, int timeout_ms, struct clusterd_error *error)
{
	struct clusterd_client *client = publisher->client;
	struct error failure;
	client_look_at_clock(client);
	publisher->can_send = publisher_has_room(publisher, 1);
	publisher->blocked = !publisher->can_send;
	int code = client_turn_until(client, &publisher->can_send, client_deadline(client, timeout_ms), &failure);
	if (code == ERR_TIMEOUT)
		error_set(&failure, code, "a subscriber was too slow all the time");
	return code == 0 ? 0 : client_say(error, &failure);
}

int clusterd_publisher_flush(struct clusterd_publisher *publisher, int timeout_ms, struct clusterd_error *error)
{
	struct clusterd_client *client = publisher->client;
	struct error failure;
	client_look_at_clock(client);
	send_soon(publisher);
	int code = client_turn_until(client, &publisher->drained, client_deadline(client, timeout_ms), &failure);
	if (code == ERR_TIMEOUT)
		error_set(&failure, code, "not all subscribers took all that is there");
	return code == 0 ? 0 : client_say(error, &failure);
}

void clusterd_publisher_figures(const struct clusterd_publisher *publisher, struct clusterd_publisher_figures *figures)
{
	const struct feed *feed;
	struct clusterd_publisher_figures found = {
		.size = figures->size,
		.subscribers = publisher->feed_count,
		.memory = publisher->backlog.memory,
		.dropped = publisher->dropped,
		.disconnected = publisher->disconnected,
	};
	TAILQ_FOREACH (feed, &publisher->feeds, entry) {
		size_t lag = backlog_lag(&publisher->backlog, &feed->cursor);
		found.waits = lag > found.waits ? lag : found.waits;
	}
	memcpy(figures, &found, figures->size < sizeof found ? figures->size : sizeof found);
}
