#include "base/json.h"

#include "base/json_keys.h"
#include "base/utf8.h"

#include <stdint.h>

/* One pass without recursion: what is open is a stack of JSON_DEPTH entries. */
struct checker {
	const char *start;
	const char *at;
	const char *end;
	struct error *error;
	size_t depth;
	struct {
		bool object;
		size_t first_key;
	} open[JSON_DEPTH];
	struct json_keys keys;
};

static size_t offset_of(const struct checker *checker, const char *at)
{
	return (size_t)(at - checker->start);
}

/* "byte 7: a value is due, not ']'". */
static int fail_due(const struct checker *checker, const char *due)
{
	size_t offset = offset_of(checker, checker->at);
	if (checker->at == checker->end)
		return error_set(checker->error, ERR_INVALID, "byte %zu: %s is due, not the end of the text", offset, due);
	unsigned char byte = (unsigned char)*checker->at;
	if (byte > 0x20 && byte < 0x7F)
		return error_set(checker->error, ERR_INVALID, "byte %zu: %s is due, not '%c'", offset, due, byte);
	return error_set(checker->error, ERR_INVALID, "byte %zu: %s is due, not byte 0x%02x", offset, due, byte);
}

static bool is_space(char character)
{
	return character == ' ' || character == '\n' || character == '\r' || character == '\t';
}

static void skip_space(struct checker *checker)
{
	while (checker->at < checker->end && is_space(*checker->at))
		checker->at++;
}

static bool is_at(const struct checker *checker, char character)
{
	return checker->at < checker->end && *checker->at == character;
}

#define EACH_BYTE 0x0101010101010101u

/* Moves over characters that need no look: printable ASCII other than quote and backslash, eight at a time. Each of the
 * four terms has the top bit set in the lowest byte that is of the kind sought; borrows reach only bytes above it. */
static const char *skip_plain(const char *at, const char *end)
{
	while (end - at >= 8) {
		uint64_t word;
		memcpy(&word, at, sizeof word);
		uint64_t quote = word ^ EACH_BYTE * '"';
		uint64_t backslash = word ^ EACH_BYTE * '\\';
		uint64_t control = word - EACH_BYTE * 0x20;
		uint64_t found = (word | control | (quote - EACH_BYTE) | (backslash - EACH_BYTE)) & EACH_BYTE * 0x80;
		if (found != 0 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
			return at + __builtin_ctzll(found) / 8;
		if (found != 0)
			break;
		at += 8;
	}
	while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\')
		at++;
	return at;
}

/* Four hex digits; −1 when they are not there. */
static int32_t hex_quad(const char *at, const char *end)
{
	int32_t value = 0;
	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = at[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
		            : c >= 'a' && c <= 'f' ? c - 'a' + 10
		            : c >= 'A' && c <= 'F' ? c - 'A' + 10
		                                   : -1;
		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/* At a backslash. */
static int check_escape(struct checker *checker)
{
	const char *at = checker->at + 1;
	size_t offset = offset_of(checker, checker->at);
	if (at < checker->end && *at != '\0' && strchr("\"\\/bfnrt", *at) != NULL) {
		checker->at = at + 1;
		return 0;
	}
	if (at == checker->end || *at != 'u') {
		checker->at = at;
		return fail_due(checker, "one of \" \\ / b f n r t u after \\");
	}
	int32_t unit = hex_quad(at + 1, checker->end);
	if (unit < 0)
		return error_set(checker->error, ERR_INVALID, "byte %zu: four hex digits are due after \\u", offset);
	if (unit == 0)
		return error_set(checker->error, ERR_INVALID, "byte %zu: \\u0000 is refused", offset);
	checker->at = at + 5;
	if (unit < 0xD800 || unit > 0xDFFF)
		return 0;
	at = checker->at;
	int32_t low = checker->end - at >= 6 && at[0] == '\\' && at[1] == 'u' ? hex_quad(at + 2, checker->end) : -1;
	if (unit > 0xDBFF || low < 0xDC00 || low > 0xDFFF)
		return error_set(checker->error, ERR_INVALID, "byte %zu: a lone surrogate \\u%04x is refused", offset,
		                 (unsigned)unit);
	checker->at = at + 6;
	return 0;
}

/* At a quote. */
static int check_string(struct checker *checker)
{
	const char *start = checker->at++;
	for (;;) {
		checker->at = skip_plain(checker->at, checker->end);
		if (checker->at == checker->end)
			return error_set(checker->error, ERR_INVALID, "byte %zu: the string begun at byte %zu has no end",
			                 offset_of(checker, checker->at), offset_of(checker, start));
		unsigned char byte = (unsigned char)*checker->at;
		if (byte == '"') {
			checker->at++;
			return 0;
		}
		if (byte == '\\') {
			int result = check_escape(checker);
			if (result < 0)
				return result;
			continue;
		}
		if (byte < 0x20)
			return error_set(checker->error, ERR_INVALID,
			                 "byte %zu: control character 0x%02x in a string; an escape is due",
			                 offset_of(checker, checker->at), byte);
		do {
			size_t length = utf8_length(checker->at, checker->end);
			if (length == 0)
				return error_set(checker->error, ERR_INVALID, "byte %zu: 0x%02x begins no UTF-8 character",
				                 offset_of(checker, checker->at), (unsigned char)*checker->at);
			checker->at += length;
		} while (checker->at < checker->end && ((unsigned char)*checker->at & 0x80) != 0);
	}
}

static bool skip_digits(struct checker *checker)
{
	const char *start = checker->at;
	while (checker->at < checker->end && *checker->at >= '0' && *checker->at <= '9')
		checker->at++;
	return checker->at > start;
}

static int check_number(struct checker *checker)
{
	if (is_at(checker, '-'))
		checker->at++;
	if (is_at(checker, '0'))
		checker->at++;
	else if (!skip_digits(checker))
		return fail_due(checker, "a digit");
	if (is_at(checker, '.')) {
		checker->at++;
		if (!skip_digits(checker))
			return fail_due(checker, "a digit");
	}
	if (is_at(checker, 'e') || is_at(checker, 'E')) {
		checker->at++;
		if (is_at(checker, '+') || is_at(checker, '-'))
			checker->at++;
		if (!skip_digits(checker))
			return fail_due(checker, "a digit");
	}
	return 0;
}

static int check_word(struct checker *checker, struct slice word)
{
	if ((size_t)(checker->end - checker->at) < word.size || memcmp(checker->at, word.data, word.size) != 0)
		return fail_due(checker, "a value");
	checker->at += word.size;
	return 0;
}

static int check_leaf(struct checker *checker)
{
	if (checker->at == checker->end)
		return fail_due(checker, "a value");
	switch (*checker->at) {
	case '"':
		return check_string(checker);
	case 't':
		return check_word(checker, SLICE("true"));
	case 'f':
		return check_word(checker, SLICE("false"));
	case 'n':
		return check_word(checker, SLICE("null"));
	default:
		if (*checker->at != '-' && (*checker->at < '0' || *checker->at > '9'))
			return fail_due(checker, "a value");
		return check_number(checker);
	}
}

/* A key and its colon. */
static int check_key(struct checker *checker)
{
	skip_space(checker);
	if (!is_at(checker, '"'))
		return fail_due(checker, "a key in double quotes");
	const char *start = checker->at;
	int result = check_string(checker);
	if (result < 0)
		return result;
	struct slice raw = {start + 1, (size_t)(checker->at - start) - 2};
	json_keys_add(&checker->keys, raw, (uint32_t)offset_of(checker, start));
	skip_space(checker);
	if (!is_at(checker, ':'))
		return fail_due(checker, "a colon");
	checker->at++;
	return 0;
}

enum { VALUE_DONE, VALUE_DUE };

/* At a bracket or brace. */
static int enter(struct checker *checker)
{
	bool object = *checker->at == '{';
	if (checker->depth == JSON_DEPTH)
		return error_set(checker->error, ERR_LIMIT, "byte %zu: nested deeper than the limit of %d",
		                 offset_of(checker, checker->at), JSON_DEPTH);
	checker->at++;
	skip_space(checker);
	if (is_at(checker, object ? '}' : ']')) {
		checker->at++;
		return VALUE_DONE;
	}
	checker->open[checker->depth].object = object;
	checker->open[checker->depth].first_key = checker->keys.count;
	checker->depth++;
	int result = object ? check_key(checker) : 0;
	return result < 0 ? result : VALUE_DUE;
}

static int leave(struct checker *checker)
{
	checker->at++;
	checker->depth--;
	uint32_t offset;
	if (!checker->open[checker->depth].object ||
	    !json_keys_close(&checker->keys, checker->open[checker->depth].first_key, &offset))
		return 0;
	const char *key = checker->start + offset;
	struct slice whole = {key, (size_t)(json_skip_value(key, checker->end) - key)};
	struct slice shown = utf8_cut(whole, 80);
	return error_set(checker->error, ERR_INVALID, "byte %u: the key %.*s%s stands twice in one object", offset,
	                 SLICE_ARGS(shown), shown.size < whole.size ? "…" : "");
}

static int begin_value(struct checker *checker)
{
	skip_space(checker);
	if (is_at(checker, '{') || is_at(checker, '['))
		return enter(checker);
	int result = check_leaf(checker);
	return result < 0 ? result : VALUE_DONE;
}

/* After a value: closes what ends here, up to a comma or the end of the text. */
static int end_value(struct checker *checker)
{
	while (checker->depth > 0) {
		bool object = checker->open[checker->depth - 1].object;
		skip_space(checker);
		if (is_at(checker, ',')) {
			checker->at++;
			int result = object ? check_key(checker) : 0;
			return result < 0 ? result : VALUE_DUE;
		}
		if (!is_at(checker, object ? '}' : ']'))
			return fail_due(checker, object ? "a comma or }" : "a comma or ]");
		int result = leave(checker);
		if (result < 0)
			return result;
	}
	skip_space(checker);
	return checker->at == checker->end ? VALUE_DONE : fail_due(checker, "the end of the text");
}

int json_check(struct slice text, struct error *error)
{
	if (text.size >= UINT32_MAX)
		return error_set(error, ERR_LIMIT, "a text of %zu bytes is larger than the limit of %u", text.size,
		                 UINT32_MAX - 1);
	if (text.size == 0)
		text = SLICE("");
	struct checker checker;
	checker.start = checker.at = text.data;
	checker.end = text.data + text.size;
	checker.error = error;
	checker.depth = 0;
	json_keys_init(&checker.keys);
	int result;
	do {
		result = begin_value(&checker);
		if (result == VALUE_DONE)
			result = end_value(&checker);
	} while (result == VALUE_DUE);
	json_keys_finish(&checker.keys);
	return result;
}
