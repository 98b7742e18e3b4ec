/* JSON values checked against types: one walk over type and text side by side. What is to be changed is written as it
 * is found, together with all that stands before it; a text without changes is appended at the end in one piece. */
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "workflow/type_internal.h"

#include <assert.h>
#include <uthash.h>

#define DURATION_MAX ((1LL << 53) - 1) /* what every JSON reader takes for an exact integer */
#define LINEAR_MEMBERS 16              /* looked through one by one; more get an index */
#define NO_MEMBER UINT32_MAX

/* Where a value stands: the way up to the value as a whole, whose `up` is NULL. */
struct place {
	const struct place *up;
	struct slice key; /* as it stands between its quotes; data NULL: an element */
	size_t index;
};

/* The members of one type in the order of their names. */
struct member_index {
	const struct type *type;
	const struct type_member **sorted;
	UT_hash_handle hh;
};

struct acceptance {
	const char *at;
	const char *end;
	const char *copied; /* the text up to here is in `out`, changes made */
	enum type_strictness strictness;
	struct buffer *out;
	size_t filled; /* bytes of defaults in the value so far */
	struct member_index *indexes;
	struct error *error;
};

static int accept_value(struct acceptance *acceptance, const struct type *type, const struct place *place);

/* ---- errors ---- */

static void append_pointer(struct buffer *out, const struct place *place)
{
	if (place->up == NULL)
		return;
	append_pointer(out, place->up);
	buffer_append_char(out, '/');
	if (place->key.data == NULL) {
		buffer_format(out, "%zu", place->index);
		return;
	}
	struct buffer key = BUFFER_EMPTY;
	json_unquote(&key, (struct slice){place->key.data - 1, place->key.size + 2});
	for (size_t i = 0; i < key.size; i++) {
		if (key.data[i] == '~')
			buffer_append_string(out, "~0");
		else if (key.data[i] == '/')
			buffer_append_string(out, "~1");
		else
			buffer_append_char(out, key.data[i]);
	}
	buffer_finish(&key);
}

/* Long texts lose their middle: beginning and end of a pointer say most. */
static void append_shortened(struct buffer *out, struct slice text, size_t head_size, size_t tail_size)
{
	if (text.size <= head_size + tail_size) {
		buffer_append_slice(out, text);
		return;
	}
	size_t tail = text.size - tail_size;
	while (tail < text.size && ((unsigned char)text.data[tail] & 0xC0) == 0x80)
		tail++;
	buffer_append_slice(out, utf8_cut(text, head_size));
	buffer_append_string(out, "…");
	buffer_append(out, text.data + tail, text.size - tail);
}

/* "at /lines/3: ", with control characters escaped; nothing for the value as a whole. */
static void append_place(struct buffer *out, const struct place *place)
{
	if (place->up == NULL)
		return;
	struct buffer pointer = BUFFER_EMPTY;
	struct buffer quoted = BUFFER_EMPTY;
	append_pointer(&pointer, place);
	json_quote(&quoted, buffer_slice(&pointer));
	buffer_append_string(out, "at ");
	append_shortened(out, (struct slice){quoted.data + 1, quoted.size - 2}, 60, 100);
	buffer_append_string(out, ": ");
	buffer_finish(&pointer);
	buffer_finish(&quoted);
}

/* The words go to a buffer that begins with the place; take_words is released. */
static int fail(const struct acceptance *acceptance, struct buffer *take_words)
{
	error_set(acceptance->error, ERR_TYPE, "%s", buffer_string(take_words));
	buffer_finish(take_words);
	return ERR_TYPE;
}

static struct slice rest_of(const struct acceptance *acceptance)
{
	return (struct slice){acceptance->at, (size_t)(acceptance->end - acceptance->at)};
}

static enum json_kind kind_here(const struct acceptance *acceptance)
{
	return json_kind(rest_of(acceptance));
}

static struct slice value_here(const struct acceptance *acceptance)
{
	const char *end = json_skip_value(acceptance->at, acceptance->end);
	return (struct slice){acceptance->at, (size_t)(end - acceptance->at)};
}

/* "a string where Number is due", `hint` behind it. */
static int fail_kind(const struct acceptance *acceptance, const struct type *type, const struct place *place,
                     const char *hint)
{
	static const char *const kinds[] = {
		[JSON_NULL] = "null",       [JSON_FALSE] = "false",     [JSON_TRUE] = "true",      [JSON_NUMBER] = "a number",
		[JSON_STRING] = "a string", [JSON_ARRAY] = "an array", [JSON_OBJECT] = "an object",
	};
	struct buffer words = BUFFER_EMPTY;
	append_place(&words, place);
	buffer_append_string(&words, kinds[kind_here(acceptance)]);
	buffer_append_string(&words, " where ");
	type_print_cut(type, 120, &words);
	buffer_append_string(&words, " is due");
	buffer_append_string(&words, hint);
	return fail(acceptance, &words);
}

/* "unknown member "x" of {…}": `what`, the name as it stands between its quotes, the type, `end`. */
static int fail_name(const struct acceptance *acceptance, const struct type *type, const struct place *place,
                     const char *what, struct slice raw, const char *end)
{
	struct buffer words = BUFFER_EMPTY;
	append_place(&words, place);
	buffer_append_string(&words, what);
	buffer_append_string(&words, " \"");
	append_shortened(&words, raw, 40, 20);
	buffer_append_string(&words, "\" of ");
	type_print_cut(type, 120, &words);
	buffer_append_string(&words, end);
	return fail(acceptance, &words);
}

static int fail_label(const struct acceptance *acceptance, const struct type *type, const struct place *place,
                      struct slice raw)
{
	struct buffer words = BUFFER_EMPTY;
	append_place(&words, place);
	buffer_append_string(&words, "unknown label \"");
	append_shortened(&words, raw, 40, 20);
	buffer_append_string(&words, "\"; known: ");
	size_t start = words.size;
	for (uint32_t i = 0; i < type->member_count; i++) {
		if (words.size - start > 160) {
			buffer_format(&words, ", … (%u in all)", type->member_count);
			break;
		}
		buffer_append_string(&words, i > 0 ? ", " : "");
		buffer_append_slice(&words, type->members[i].name);
	}
	return fail(acceptance, &words);
}

/* ---- members by name ---- */

static const struct type_member **sorted_members(struct acceptance *acceptance, const struct type *type)
{
	struct member_index *index;
	HASH_FIND_PTR(acceptance->indexes, &type, index);
	if (index == NULL) {
		index = mem_zero(sizeof *index);
		index->type = type;
		index->sorted = type_sorted_members(type);
		HASH_ADD_PTR(acceptance->indexes, type, index);
	}
	return index->sorted;
}

static void release_indexes(struct acceptance *acceptance)
{
	struct member_index *index, *next;
	HASH_ITER(hh, acceptance->indexes, index, next) {
		HASH_DEL(acceptance->indexes, index);
		mem_free(index->sorted);
		mem_free(index);
	}
}

static uint32_t search_sorted(const struct type *type, const struct type_member **sorted, struct slice name)
{
	uint32_t low = 0;
	uint32_t high = type->member_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = slice_compare(name, sorted[middle]->name);
		if (order == 0)
			return (uint32_t)(sorted[middle] - type->members);
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NO_MEMBER;
}

/* `likely` is looked at first: members mostly come in the order of their declaration. */
static uint32_t find_member(struct acceptance *acceptance, const struct type *type, struct slice raw, uint32_t likely)
{
	if (likely < type->member_count && json_key_equal(raw, type->members[likely].name))
		return likely;
	if (type->member_count <= LINEAR_MEMBERS) {
		for (uint32_t i = 0; i < type->member_count; i++) {
			if (json_key_equal(raw, type->members[i].name))
				return i;
		}
		return NO_MEMBER;
	}
	const struct type_member **sorted = sorted_members(acceptance, type);
	if (raw.size == 0 || memchr(raw.data, '\\', raw.size) == NULL)
		return search_sorted(type, sorted, raw);
	struct buffer plain = BUFFER_EMPTY;
	json_unquote(&plain, (struct slice){raw.data - 1, raw.size + 2});
	uint32_t found = search_sorted(type, sorted, buffer_slice(&plain));
	buffer_finish(&plain);
	return found;
}

/* ---- the walk ---- */

/* Moves to the next element of a container, to its key in an object; behind the closing bracket when there is none. The
 * opening bracket has been passed already. */
static bool next_element(struct acceptance *acceptance, bool first)
{
	acceptance->at = json_skip_space(acceptance->at, acceptance->end);
	char character = *acceptance->at;
	if (character == ']' || character == '}') {
		acceptance->at++;
		return false;
	}
	if (!first)
		acceptance->at = json_skip_space(acceptance->at + 1, acceptance->end);
	return true;
}

/* From a key to its value. */
static struct slice read_key(struct acceptance *acceptance)
{
	struct slice key = value_here(acceptance);
	const char *colon = json_skip_space(key.data + key.size, acceptance->end);
	acceptance->at = json_skip_space(colon + 1, acceptance->end);
	return (struct slice){key.data + 1, key.size - 2};
}

/* `out` goes on as the text does up to `from`; what stands from there to `to` is left out. */
static void leave_out(struct acceptance *acceptance, const char *from, const char *to)
{
	buffer_append(acceptance->out, acceptance->copied, (size_t)(from - acceptance->copied));
	acceptance->copied = to;
}

static int accept_leaf(struct acceptance *acceptance, const struct type *type, const struct place *place)
{
	enum json_kind kind = kind_here(acceptance);
	bool matches = type->kind == TYPE_UNIT     ? kind == JSON_NULL
	               : type->kind == TYPE_TEXT   ? kind == JSON_STRING
	               : type->kind == TYPE_NUMBER ? kind == JSON_NUMBER
	               : type->kind == TYPE_BOOL   ? kind == JSON_TRUE || kind == JSON_FALSE
	                                           : true;
	if (!matches)
		return fail_kind(acceptance, type, place, "");
	acceptance->at = json_skip_value(acceptance->at, acceptance->end);
	return 0;
}

static int accept_duration(struct acceptance *acceptance, const struct type *type, const struct place *place)
{
	struct slice value = value_here(acceptance);
	long long number;
	if (kind_here(acceptance) != JSON_NUMBER)
		return fail_kind(acceptance, type, place, " (whole milliseconds)");
	if (json_integer(value, 0, DURATION_MAX, &number) < 0) {
		struct buffer words = BUFFER_EMPTY;
		append_place(&words, place);
		append_shortened(&words, value, 30, 10);
		buffer_format(&words, " where Duration is due (whole milliseconds, 0 to %lld)", DURATION_MAX);
		return fail(acceptance, &words);
	}
	acceptance->at += value.size;
	return 0;
}

static int accept_pair(struct acceptance *acceptance, const struct type *type, const struct place *place)
{
	if (kind_here(acceptance) != JSON_ARRAY)
		return fail_kind(acceptance, type, place, " (an array of two)");
	const char *start = acceptance->at++;
	size_t count = 0;
	for (; next_element(acceptance, count == 0) && count < 2; count++) {
		struct place element = {place, {NULL, 0}, count};
		int result = accept_value(acceptance, type->parts[count], &element);
		if (result < 0)
			return result;
	}
	if (count == 2 && acceptance->at[-1] == ']')
		return 0;
	acceptance->at = start;
	struct buffer words = BUFFER_EMPTY;
	append_place(&words, place);
	buffer_format(&words, "an array of %zu where ", json_count(value_here(acceptance)));
	type_print_cut(type, 120, &words);
	buffer_append_string(&words, " is due (an array of two)");
	return fail(acceptance, &words);
}

static int accept_list(struct acceptance *acceptance, const struct type *type, const struct place *place)
{
	if (kind_here(acceptance) != JSON_ARRAY)
		return fail_kind(acceptance, type, place, "");
	acceptance->at++;
	for (size_t i = 0; next_element(acceptance, i == 0); i++) {
		struct place element = {place, {NULL, 0}, i};
		int result = accept_value(acceptance, type->parts[0], &element);
		if (result < 0)
			return result;
	}
	return 0;
}

#define ONE_MEMBER " (an object of one member, the label)"

/* Passes the brace and the first key of an object. */
static int enter_labelled(struct acceptance *acceptance, const struct type *type, const struct place *place,
                          struct slice *ret_raw)
{
	const char *start = acceptance->at++;
	if (!next_element(acceptance, true)) {
		acceptance->at = start;
		return fail_kind(acceptance, type, place, ONE_MEMBER);
	}
	*ret_raw = read_key(acceptance);
	return 0;
}

/* From the value behind the key to behind the object, which began at `start`. */
static int accept_payload(struct acceptance *acceptance, const struct type *type, const struct type *payload,
                          const struct place *place, struct slice raw, const char *start)
{
	struct place inner = {place, raw, 0};
	int result = accept_value(acceptance, payload, &inner);
	if (result < 0 || !next_element(acceptance, false))
		return result;
	acceptance->at = start;
	return fail_kind(acceptance, type, place, ONE_MEMBER);
}

static int accept_sum(struct acceptance *acceptance, const struct type *type, const struct place *place)
{
	const char *start = acceptance->at;
	struct slice raw;
	if (kind_here(acceptance) != JSON_OBJECT)
		return fail_kind(acceptance, type, place, " ({\"left\": …} or {\"right\": …})");
	int result = enter_labelled(acceptance, type, place, &raw);
	if (result < 0)
		return result;
	bool right = json_key_equal(raw, SLICE("right"));
	if (!right && !json_key_equal(raw, SLICE("left")))
		return fail_name(acceptance, type, place, "unknown label", raw, "; known: left, right");
	return accept_payload(acceptance, type, type->parts[right], place, raw, start);
}

static int accept_choice(struct acceptance *acceptance, const struct type *type, const struct place *place)
{
	const char *start = acceptance->at;
	struct slice raw;
	enum json_kind kind = kind_here(acceptance);
	if (kind == JSON_STRING) {
		raw = value_here(acceptance);
		acceptance->at += raw.size;
		raw = (struct slice){raw.data + 1, raw.size - 2};
	} else if (kind == JSON_OBJECT) {
		int result = enter_labelled(acceptance, type, place, &raw);
		if (result < 0)
			return result;
	} else {
		return fail_kind(acceptance, type, place, " (\"label\" or {\"label\": …})");
	}
	uint32_t index = find_member(acceptance, type, raw, 0);
	if (index == NO_MEMBER)
		return fail_label(acceptance, type, place, raw);
	const struct type *payload = type->members[index].type;
	if (kind == JSON_STRING)
		return payload == NULL ? 0 : fail_name(acceptance, type, place, "label", raw, " lacks its payload");
	if (payload == NULL)
		return fail_name(acceptance, type, place, "label", raw, " has no payload: the label alone is due");
	return accept_payload(acceptance, type, payload, place, raw, start);
}

/* ---- records ---- */

/* One object that is being read. */
struct reading {
	const struct type *type;
	uint64_t inline_seen[2];
	uint64_t *seen; /* a bit for each member */
	uint32_t seen_count;
	const char *kept_end; /* behind the last member that was kept, or the opening brace */
	bool dropped;         /* something stands behind kept_end that is not kept */
};

static int fill_default(struct acceptance *acceptance, const struct type_member *member);

/* Appends the members that are missing, in the order of declaration; the text goes on at the closing brace. */
static int fill_missing(struct acceptance *acceptance, struct reading *reading, const struct place *place)
{
	const struct type *type = reading->type;
	bool empty = reading->seen_count == 0;
	leave_out(acceptance, reading->kept_end, acceptance->at - 1);
	for (uint32_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		if ((reading->seen[i / 64] >> (i % 64) & 1) != 0)
			continue;
		if (!member->has_default) {
			struct buffer quoted = BUFFER_EMPTY;
			json_quote(&quoted, member->name);
			struct slice name = {quoted.data + 1, quoted.size - 2};
			int result = fail_name(acceptance, type, place, "member", name, " is missing");
			buffer_finish(&quoted);
			return result;
		}
		if (!empty)
			buffer_append_char(acceptance->out, ',');
		empty = false;
		int result = fill_default(acceptance, member);
		if (result < 0)
			return result;
	}
	return 0;
}

static int accept_member(struct acceptance *acceptance, struct reading *reading, const struct place *place)
{
	const char *start = acceptance->at;
	struct slice raw = read_key(acceptance);
	uint32_t index = find_member(acceptance, reading->type, raw, reading->seen_count);
	if (index == NO_MEMBER) {
		if (acceptance->strictness == TYPE_ARGUMENT)
			return fail_name(acceptance, reading->type, place, "unknown member", raw, "");
		acceptance->at = json_skip_value(acceptance->at, acceptance->end);
		reading->dropped = true;
		return 0;
	}
	if (reading->dropped) {
		leave_out(acceptance, reading->kept_end, start);
		if (reading->seen_count > 0)
			buffer_append_char(acceptance->out, ',');
		reading->dropped = false;
	}
	struct place inner = {place, raw, 0};
	int result = accept_value(acceptance, reading->type->members[index].type, &inner);
	reading->seen[index / 64] |= (uint64_t)1 << (index % 64);
	reading->seen_count++;
	reading->kept_end = acceptance->at;
	return result;
}

static int accept_record(struct acceptance *acceptance, const struct type *type, const struct place *place)
{
	struct reading reading = {.type = type};
	int result = 0;
	if (kind_here(acceptance) != JSON_OBJECT)
		return fail_kind(acceptance, type, place, "");
	reading.seen = reading.inline_seen;
	if (type->member_count > 128)
		reading.seen = mem_array(type->member_count / 64 + 1, sizeof *reading.seen);
	reading.kept_end = ++acceptance->at;
	for (bool first = true; result == 0 && next_element(acceptance, first); first = false)
		result = accept_member(acceptance, &reading, place);
	if (result == 0 && (reading.dropped || reading.seen_count < type->member_count))
		result = fill_missing(acceptance, &reading, place);
	if (reading.seen != reading.inline_seen)
		mem_free(reading.seen);
	return result;
}

static int accept_value(struct acceptance *acceptance, const struct type *type, const struct place *place)
{
	switch (type->kind) {
	case TYPE_DURATION:
		return accept_duration(acceptance, type, place);
	case TYPE_PAIR:
		return accept_pair(acceptance, type, place);
	case TYPE_SUM:
		return accept_sum(acceptance, type, place);
	case TYPE_LIST:
		return accept_list(acceptance, type, place);
	case TYPE_RECORD:
		return accept_record(acceptance, type, place);
	case TYPE_CHOICE:
		return accept_choice(acceptance, type, place);
	default:
		return accept_leaf(acceptance, type, place);
	}
}

/* A text that json_check accepted. `filled` is what defaults added before. */
static int accept_checked(const struct type *type, struct slice json, enum type_strictness strictness, size_t filled,
                          struct buffer *out, size_t *ret_filled, struct error *error)
{
	struct slice text = json_trim(json);
	struct acceptance acceptance = {
		.at = text.data,
		.end = text.data + text.size,
		.copied = text.data,
		.strictness = strictness,
		.out = out,
		.filled = filled,
		.error = error,
	};
	const struct place whole = {NULL, {NULL, 0}, 0};
	int result = accept_value(&acceptance, type, &whole);
	assert(result < 0 || acceptance.at == acceptance.end);
	if (result == 0) {
		leave_out(&acceptance, acceptance.end, acceptance.end);
		*ret_filled = acceptance.filled;
	}
	release_indexes(&acceptance);
	return result;
}

/* A default may leave out what has a default in its turn: a few declarations can mean a value of any size, hence the
 * limit. */
static int fill_default(struct acceptance *acceptance, const struct type_member *member)
{
	struct buffer *out = acceptance->out;
	size_t start = out->size;
	size_t filled;
	json_quote(out, member->name);
	buffer_append_char(out, ':');
	int result = accept_checked(member->type, member->default_json, TYPE_ARGUMENT, acceptance->filled, out, &filled,
	                            acceptance->error);
	if (result < 0)
		return result;
	acceptance->filled += out->size - start;
	if (acceptance->filled > TYPE_FILL_SIZE)
		return error_set(acceptance->error, ERR_LIMIT, "defaults add more to the value than the limit of %u bytes",
		                 TYPE_FILL_SIZE);
	return 0;
}

int type_accept(const struct type *type, struct slice json, enum type_strictness strictness, struct buffer *out,
                struct error *error)
{
	size_t start = out->size;
	size_t filled;
	int result = json_check(json, error);
	if (result == 0)
		result = accept_checked(type, json, strictness, 0, out, &filled, error);
	/* Defaults may have made it too deep. */
	if (result == 0 && filled > 0) {
		struct error why;
		result = json_check((struct slice){out->data + start, out->size - start}, &why);
		if (result < 0)
			error_set(error, result, "with its defaults filled in: %s", why.text);
	}
	if (result < 0)
		out->size = start;
	return result;
}
