#include "client/backlog.h"

#include "base/memory.h"

#include <assert.h>
#include <endian.h>

struct backlog_chunk {
	TAILQ_ENTRY(backlog_chunk) entry;
	uint32_t cursors; /* that are here */
	uint32_t holds;   /* for the rest of a frame */
	bool listed;
	uint64_t from; /* the first epoch of which nothing was said before it */
	uint64_t base; /* bytes said before it */
	size_t capacity;
	size_t sealed;
	size_t end;
	char data[];
};

/* --- chunks -------------------------------------------------------------------------------------------------------- */

static struct backlog_chunk *chunk_create(size_t capacity)
{
	struct backlog_chunk *chunk = mem_alloc(sizeof *chunk + capacity);
	*chunk = (struct backlog_chunk){.capacity = capacity, .listed = true};
	return chunk;
}

static void chunk_release(struct backlog_chunk *chunk)
{
	if (chunk != NULL && --chunk->holds == 0 && !chunk->listed)
		mem_free(chunk);
}

static struct backlog_chunk *last_chunk(const struct backlog *backlog)
{
	return TAILQ_LAST(&backlog->run, backlog_run);
}

static void unlist(struct backlog *backlog, struct backlog_chunk *chunk)
{
	TAILQ_REMOVE(&backlog->run, chunk, entry);
	backlog->memory -= chunk->capacity;
	chunk->listed = false;
	if (chunk->holds != 0)
		return; /* the last one frees it */
	if (backlog->spare == NULL && chunk->capacity == BACKLOG_CHUNK_SIZE)
		backlog->spare = chunk;
	else
		mem_free(chunk);
}

static void trim(struct backlog *backlog)
{
	struct backlog_chunk *first = TAILQ_FIRST(&backlog->run);
	const struct backlog_chunk *last = last_chunk(backlog);
	while (first != last && first->cursors == 0) {
		struct backlog_chunk *next = TAILQ_NEXT(first, entry);
		if (last->base + last->end - next->base < backlog->kept)
			return;
		unlist(backlog, first);
		first = next;
	}
}

static struct backlog_chunk *add_chunk(struct backlog *backlog, size_t needed)
{
	size_t capacity = needed > BACKLOG_CHUNK_SIZE ? needed : BACKLOG_CHUNK_SIZE;
	const struct backlog_chunk *last = last_chunk(backlog);
	struct backlog_chunk *chunk = backlog->spare;
	assert(!backlog->open);
	if (capacity == BACKLOG_CHUNK_SIZE && chunk != NULL) {
		backlog->spare = NULL;
		*chunk = (struct backlog_chunk){.capacity = capacity, .listed = true};
	} else {
		chunk = chunk_create(capacity);
	}
	chunk->from = backlog_next_epoch(backlog);
	chunk->base = last != NULL ? last->base + last->end : 0;
	backlog->memory += capacity;
	TAILQ_INSERT_TAIL(&backlog->run, chunk, entry);
	trim(backlog);
	return chunk;
}

/* Nothing was said in it so far. */
static struct backlog_chunk *fresh_chunk(struct backlog *backlog)
{
	struct backlog_chunk *last = last_chunk(backlog);
	backlog_seal(backlog);
	return last->end == 0 ? last : add_chunk(backlog, 0);
}

/* --- what is said -------------------------------------------------------------------------------------------------- */

void backlog_init(struct backlog *backlog, size_t kept)
{
	*backlog = (struct backlog){.kept = kept};
	TAILQ_INIT(&backlog->run);
	add_chunk(backlog, 0);
}

void backlog_finish(struct backlog *backlog)
{
	struct backlog_chunk *chunk;
	while ((chunk = TAILQ_FIRST(&backlog->run)) != NULL) {
		assert(chunk->cursors == 0 && chunk->holds == 0);
		TAILQ_REMOVE(&backlog->run, chunk, entry);
		mem_free(chunk);
	}
	mem_free(backlog->spare);
	backlog->spare = NULL;
}

uint64_t backlog_next_epoch(const struct backlog *backlog)
{
	return backlog->frontier > backlog->top ? backlog->frontier : backlog->top;
}

static size_t part_size(enum stream_frame_type type, size_t size)
{
	return size + (type == STREAM_DATA ? STREAM_MESSAGE_HEAD : STREAM_ITEM_HEAD);
}

static void put_part(struct backlog_chunk *chunk, enum stream_frame_type type, struct slice part, int64_t count)
{
	uint32_t size = htole32((uint32_t)part.size);
	uint64_t many = htole64((uint64_t)count);
	char *at = chunk->data + chunk->end;
	memcpy(at, &size, sizeof size);
	at += sizeof size;
	if (type != STREAM_DATA) {
		memcpy(at, &many, sizeof many);
		at += sizeof many;
	}
	if (part.size != 0)
		memcpy(at, part.data, part.size);
	chunk->end += part_size(type, part.size);
}

static void seal_frame(struct backlog_chunk *chunk, size_t begin, enum stream_frame_type type, uint64_t time)
{
	size_t body = begin + STREAM_HEADER_SIZE;
	stream_frame_head(chunk->data + begin, type, time, (struct slice){chunk->data + body, chunk->end - body});
	chunk->sealed = chunk->end;
}

void backlog_seal(struct backlog *backlog)
{
	if (!backlog->open)
		return;
	seal_frame(last_chunk(backlog), backlog->begin, backlog->type, backlog->time);
	backlog->open = false;
}

size_t backlog_unsealed(const struct backlog *backlog)
{
	return backlog->open ? last_chunk(backlog)->end - backlog->begin : 0;
}

void backlog_add(struct backlog *backlog, enum stream_frame_type type, uint64_t time, struct slice part, int64_t count)
{
	size_t needed = part_size(type, part.size);
	struct backlog_chunk *chunk = last_chunk(backlog);
	assert(time >= backlog->frontier && time != STREAM_TIME_END && part.size <= STREAM_MESSAGE_MAX);
	if (backlog->open && (backlog->type != type || backlog->time != time || chunk->capacity - chunk->end < needed))
		backlog_seal(backlog);
	if (!backlog->open) {
		if (chunk->capacity - chunk->end < STREAM_HEADER_SIZE + needed)
			chunk = add_chunk(backlog, STREAM_HEADER_SIZE + needed);
		backlog->open = true;
		backlog->type = type;
		backlog->time = time;
		backlog->begin = chunk->end;
		chunk->end += STREAM_HEADER_SIZE;
	}
	put_part(chunk, type, part, count);
	if (backlog->top <= time)
		backlog->top = time + 1;
}

void backlog_advance(struct backlog *backlog, uint64_t frontier)
{
	assert(frontier >= backlog->frontier);
	backlog_seal(backlog);
	struct backlog_chunk *chunk = last_chunk(backlog);
	if (chunk->capacity - chunk->end < STREAM_HEADER_SIZE)
		chunk = add_chunk(backlog, STREAM_HEADER_SIZE);
	stream_frame_head(chunk->data + chunk->end, STREAM_FRONTIER, frontier, SLICE(""));
	chunk->end += STREAM_HEADER_SIZE;
	chunk->sealed = chunk->end;
	backlog->frontier = frontier;
}

/* --- cursors ------------------------------------------------------------------------------------------------------- */

static void go_to(struct backlog_cursor *cursor, struct backlog_chunk *chunk)
{
	if (cursor->chunk != NULL)
		cursor->chunk->cursors--;
	cursor->chunk = chunk;
	cursor->at = 0;
	chunk->cursors++;
}

static void say_start(struct backlog_cursor *cursor, uint64_t from)
{
	stream_frame_head(cursor->note, STREAM_START, from, SLICE(""));
	cursor->note_at = 0;
	cursor->note_end = STREAM_HEADER_SIZE;
}

/* The last chunk that one can begin with and get all from `from` on; else the first one. */
static struct backlog_chunk *chunk_for(struct backlog *backlog, uint64_t from)
{
	struct backlog_chunk *chunk = last_chunk(backlog);
	if (backlog_next_epoch(backlog) <= from)
		return fresh_chunk(backlog);
	while (chunk != TAILQ_FIRST(&backlog->run) && chunk->from > from)
		chunk = TAILQ_PREV(chunk, backlog_run, entry);
	return chunk;
}

uint64_t backlog_join(struct backlog *backlog, struct backlog_cursor *cursor, uint64_t from)
{
	backlog_seal(backlog);
	struct backlog_chunk *chunk = from == STREAM_FROM_NOW ? fresh_chunk(backlog) : chunk_for(backlog, from);
	uint64_t begin = from == STREAM_FROM_NOW || from < chunk->from ? chunk->from : from;
	*cursor = (struct backlog_cursor){0};
	go_to(cursor, chunk);
	say_start(cursor, begin);
	trim(backlog);
	return begin;
}

void backlog_leave(struct backlog *backlog, struct backlog_cursor *cursor)
{
	chunk_release(cursor->rest);
	backlog_state_release(cursor->state);
	if (cursor->chunk != NULL)
		cursor->chunk->cursors--;
	*cursor = (struct backlog_cursor){0};
	trim(backlog);
}

size_t backlog_lag(const struct backlog *backlog, const struct backlog_cursor *cursor)
{
	const struct backlog_chunk *last = last_chunk(backlog);
	return (size_t)(last->base + last->sealed - cursor->chunk->base) - cursor->at;
}

static size_t frame_end(const struct backlog_chunk *chunk, size_t at)
{
	size_t end = 0;
	while (end < at) {
		uint32_t size;
		memcpy(&size, chunk->data + end + 4, sizeof size);
		end += STREAM_HEADER_SIZE + le32toh(size);
	}
	return end;
}

static void set_rest(struct backlog_cursor *cursor, struct backlog_chunk *chunk, size_t at, size_t end)
{
	if (at == end)
		return;
	chunk->holds++;
	cursor->rest = chunk;
	cursor->rest_at = at;
	cursor->rest_end = end;
}

/* All that it has not begun with is forgotten; of what it has begun with, the rest stays. */
static void give_up(struct backlog_cursor *cursor)
{
	if (cursor->rest != NULL) {
		/* Nothing behind it was begun with. */
	} else if (cursor->state != NULL) {
		if (cursor->state_at > 0)
			set_rest(cursor, cursor->state_chunk, cursor->state_at, cursor->state_chunk->sealed);
	} else if (cursor->note_at > 0 && cursor->note_at < cursor->note_end) {
		struct backlog_chunk *copy = chunk_create(cursor->note_end);
		copy->listed = false;
		memcpy(copy->data, cursor->note, cursor->note_end);
		set_rest(cursor, copy, cursor->note_at, cursor->note_end);
	} else if (cursor->note_at == cursor->note_end) {
		set_rest(cursor, cursor->chunk, cursor->at, frame_end(cursor->chunk, cursor->at));
	}
	backlog_state_release(cursor->state);
	cursor->state = NULL;
	cursor->state_chunk = NULL;
	cursor->state_at = 0;
}

uint64_t backlog_skip(struct backlog *backlog, struct backlog_cursor *cursor, size_t keep)
{
	backlog_seal(backlog);
	const struct backlog_chunk *last = last_chunk(backlog);
	struct backlog_chunk *chunk = TAILQ_NEXT(cursor->chunk, entry);
	while (chunk != NULL && last->base + last->sealed - chunk->base > keep)
		chunk = TAILQ_NEXT(chunk, entry);
	if (chunk == NULL)
		chunk = fresh_chunk(backlog);
	give_up(cursor);
	go_to(cursor, chunk);
	say_start(cursor, chunk->from);
	trim(backlog);
	return chunk->from;
}

void backlog_restart(struct backlog *backlog, struct backlog_cursor *cursor, struct backlog_state *state)
{
	struct backlog_chunk *chunk = fresh_chunk(backlog);
	give_up(cursor);
	go_to(cursor, chunk);
	say_start(cursor, chunk->from);
	state->holds++;
	cursor->state = state;
	cursor->state_chunk = TAILQ_FIRST(&state->run);
	trim(backlog);
}

static size_t add_part(struct iovec *parts, size_t count, const char *data, size_t size)
{
	if (size == 0)
		return count;
	parts[count] = (struct iovec){(char *)(uintptr_t)data, size};
	return count + 1;
}

size_t backlog_parts(const struct backlog_cursor *cursor, struct iovec *parts, size_t room)
{
	size_t count = 0;
	size_t at = cursor->state_at;
	if (cursor->rest != NULL && room > 0)
		count = add_part(parts, count, cursor->rest->data + cursor->rest_at,
		                 cursor->rest_end - cursor->rest_at);
	for (const struct backlog_chunk *chunk = cursor->state_chunk; chunk != NULL && count < room;
	     chunk = TAILQ_NEXT(chunk, entry)) {
		count = add_part(parts, count, chunk->data + at, chunk->sealed - at);
		at = 0;
	}
	if (count < room)
		count = add_part(parts, count, cursor->note + cursor->note_at, cursor->note_end - cursor->note_at);
	at = cursor->at;
	for (const struct backlog_chunk *chunk = cursor->chunk; chunk != NULL && count < room;
	     chunk = TAILQ_NEXT(chunk, entry)) {
		count = add_part(parts, count, chunk->data + at, chunk->sealed - at);
		at = 0;
	}
	return count;
}

static size_t take(size_t *at, size_t end, size_t size)
{
	size_t taken = size < end - *at ? size : end - *at;
	*at += taken;
	return taken;
}

static size_t take_state(struct backlog_cursor *cursor, size_t size)
{
	size_t taken = 0;
	while (cursor->state_chunk != NULL) {
		taken += take(&cursor->state_at, cursor->state_chunk->sealed, size - taken);
		if (cursor->state_at < cursor->state_chunk->sealed)
			return taken;
		cursor->state_chunk = TAILQ_NEXT(cursor->state_chunk, entry);
		cursor->state_at = 0;
	}
	backlog_state_release(cursor->state);
	cursor->state = NULL;
	return taken;
}

void backlog_got(struct backlog *backlog, struct backlog_cursor *cursor, size_t size)
{
	if (cursor->rest != NULL) {
		size -= take(&cursor->rest_at, cursor->rest_end, size);
		if (cursor->rest_at < cursor->rest_end)
			return;
		chunk_release(cursor->rest);
		cursor->rest = NULL;
	}
	size -= take_state(cursor, size);
	size -= take(&cursor->note_at, cursor->note_end, size);
	for (;;) {
		struct backlog_chunk *next = TAILQ_NEXT(cursor->chunk, entry);
		size -= take(&cursor->at, cursor->chunk->sealed, size);
		if (cursor->at < cursor->chunk->sealed || next == NULL)
			break;
		go_to(cursor, next);
	}
	assert(size == 0);
	trim(backlog);
}

bool backlog_has_more(const struct backlog *backlog, const struct backlog_cursor *cursor)
{
	return cursor->rest != NULL || cursor->state != NULL || cursor->note_at < cursor->note_end ||
	       backlog_lag(backlog, cursor) != 0;
}

/* --- states -------------------------------------------------------------------------------------------------------- */

struct backlog_state *backlog_state_create(uint32_t *many)
{
	struct backlog_state *state = mem_zero(sizeof *state);
	TAILQ_INIT(&state->run);
	state->holds = 1;
	state->many = many;
	++*many;
	return state;
}

static struct backlog_chunk *state_chunk(struct backlog_state *state, size_t needed)
{
	size_t capacity = STREAM_HEADER_SIZE + needed;
	struct backlog_chunk *chunk = chunk_create(capacity > BACKLOG_CHUNK_SIZE ? capacity : BACKLOG_CHUNK_SIZE);
	TAILQ_INSERT_TAIL(&state->run, chunk, entry);
	chunk->end = STREAM_HEADER_SIZE;
	return chunk;
}

/* Each chunk is one frame; the first one says that a state begins. */
static void seal_state(struct backlog_state *state)
{
	struct backlog_chunk *chunk = TAILQ_LAST(&state->run, backlog_run);
	if (chunk != NULL && chunk->sealed == 0)
		seal_frame(chunk, 0, STREAM_STATE, chunk == TAILQ_FIRST(&state->run) ? 0 : 1);
}

void backlog_state_add(struct backlog_state *state, struct slice item, int64_t count)
{
	size_t needed = part_size(STREAM_STATE, item.size);
	struct backlog_chunk *chunk = TAILQ_LAST(&state->run, backlog_run);
	if (chunk == NULL || chunk->capacity - chunk->end < needed) {
		seal_state(state);
		chunk = state_chunk(state, needed);
	}
	put_part(chunk, STREAM_STATE, item, count);
}

void backlog_state_seal(struct backlog_state *state)
{
	if (TAILQ_EMPTY(&state->run))
		state_chunk(state, 0);
	seal_state(state);
}

void backlog_state_release(struct backlog_state *state)
{
	struct backlog_chunk *chunk;
	if (state == NULL || --state->holds != 0)
		return;
	--*state->many;
	while ((chunk = TAILQ_FIRST(&state->run)) != NULL) {
		TAILQ_REMOVE(&state->run, chunk, entry);
		chunk->listed = false;
		if (chunk->holds == 0)
			mem_free(chunk);
	}
	mem_free(state);
}
