/* Walking, unquoting and quoting: all but json_quote take text that json_check accepted. */
#include "base/json.h"

#include "base/utf8.h"

#include <assert.h>

const char *json_skip_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
		at++;
	return at;
}

/* From a quote to behind the closing one. */
static const char *skip_string(const char *at, const char *end)
{
	const char *from = at + 1;
	for (;;) {
		const char *quote = memchr(from, '"', (size_t)(end - from));
		assert(quote != NULL);
		const char *back = quote;
		while (back > from && back[-1] == '\\')
			back--;
		if ((quote - back) % 2 == 0)
			return quote + 1;
		from = quote + 1;
	}
}

static const char *skip_container(const char *at, const char *end)
{
	size_t depth = 0;
	for (;;) {
		assert(at < end);
		switch (*at) {
		case '"':
			at = skip_string(at, end);
			continue;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (--depth == 0)
				return at + 1;
			break;
		default:
			break;
		}
		at++;
	}
}

const char *json_skip_value(const char *at, const char *end)
{
	assert(at < end);
	switch (*at) {
	case '"':
		return skip_string(at, end);
	case '{':
	case '[':
		return skip_container(at, end);
	default:
		while (at < end && strchr(" \n\r\t,]}:", *at) == NULL)
			at++;
		return at;
	}
}

struct slice json_trim(struct slice text)
{
	const char *start = json_skip_space(text.data, text.data + text.size);
	size_t size = text.size - (size_t)(start - text.data);
	while (size > 0 && json_skip_space(start + size - 1, start + size) == start + size)
		size--;
	return (struct slice){start, size};
}

enum json_kind json_kind(struct slice value)
{
	value = json_trim(value);
	assert(value.size > 0);
	switch (value.data[0]) {
	case 'n':
		return JSON_NULL;
	case 'f':
		return JSON_FALSE;
	case 't':
		return JSON_TRUE;
	case '"':
		return JSON_STRING;
	case '[':
		return JSON_ARRAY;
	case '{':
		return JSON_OBJECT;
	default:
		return JSON_NUMBER;
	}
}

void json_iterate(struct json_iterator *iterator, struct slice container)
{
	container = json_trim(container);
	assert(container.size >= 2 && (container.data[0] == '{' || container.data[0] == '['));
	iterator->at = container.data + 1;
	iterator->end = container.data + container.size - 1;
	iterator->object = container.data[0] == '{';
	iterator->first = true;
}

bool json_next(struct json_iterator *iterator, struct slice *ret_key, struct slice *ret_value)
{
	const char *end = iterator->end;
	const char *at = json_skip_space(iterator->at, end);
	if (at < end && !iterator->first)
		at = json_skip_space(at + 1, end); /* the comma */
	iterator->first = false;
	iterator->at = at;
	if (at == end)
		return false;
	if (iterator->object) {
		const char *key = at;
		at = skip_string(at, end);
		if (ret_key != NULL)
			*ret_key = (struct slice){key + 1, (size_t)(at - key) - 2};
		at = json_skip_space(at, end) + 1; /* the colon */
		at = json_skip_space(at, end);
	}
	iterator->at = json_skip_value(at, end);
	if (ret_value != NULL)
		*ret_value = (struct slice){at, (size_t)(iterator->at - at)};
	return true;
}

size_t json_count(struct slice container)
{
	struct json_iterator iterator;
	size_t count = 0;
	json_iterate(&iterator, container);
	while (json_next(&iterator, NULL, NULL))
		count++;
	return count;
}

bool json_member(struct slice object, struct slice name, struct slice *ret_value)
{
	struct json_iterator iterator;
	struct slice key, value;
	json_iterate(&iterator, object);
	assert(iterator.object);
	while (json_next(&iterator, &key, &value)) {
		if (json_key_equal(key, name)) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static uint32_t hex_quad(const char *at)
{
	uint32_t value = 0;
	for (int i = 0; i < 4; i++) {
		char c = at[i];
		int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
		value = value * 16 + (uint32_t)digit;
	}
	return value;
}

/* Reads the escape at `at`, a backslash: writes its character and returns the place behind it. */
static const char *read_escape(const char *at, char ret_bytes[4], size_t *ret_size)
{
	static const char letters[] = "bfnrt";
	static const char meanings[] = "\b\f\n\r\t";
	at++;
	if (*at != 'u') {
		const char *letter = strchr(letters, *at);
		ret_bytes[0] = letter != NULL ? meanings[letter - letters] : *at;
		*ret_size = 1;
		return at + 1;
	}
	uint32_t scalar = hex_quad(at + 1);
	at += 5;
	if (scalar >= 0xD800 && scalar <= 0xDBFF) {
		scalar = 0x10000 + ((scalar - 0xD800) << 10) + (hex_quad(at + 2) - 0xDC00);
		at += 6;
	}
	*ret_size = utf8_write(scalar, ret_bytes);
	return at;
}

bool json_key_equal(struct slice raw, struct slice plain)
{
	const char *at = raw.data;
	const char *end = raw.data + raw.size;
	const char *backslash;
	while (at < end && (backslash = memchr(at, '\\', (size_t)(end - at))) != NULL) {
		size_t same = (size_t)(backslash - at);
		if (plain.size < same || memcmp(at, plain.data, same) != 0)
			return false;
		plain = (struct slice){plain.data + same, plain.size - same};
		char bytes[4];
		size_t size;
		at = read_escape(backslash, bytes, &size);
		if (plain.size < size || memcmp(bytes, plain.data, size) != 0)
			return false;
		plain = (struct slice){plain.data + size, plain.size - size};
	}
	return slice_equal((struct slice){at, (size_t)(end - at)}, plain);
}

void json_unquote(struct buffer *buffer, struct slice string)
{
	assert(string.size >= 2 && string.data[0] == '"');
	const char *at = string.data + 1;
	const char *end = string.data + string.size - 1;
	const char *backslash;
	while (at < end && (backslash = memchr(at, '\\', (size_t)(end - at))) != NULL) {
		char bytes[4];
		size_t size;
		buffer_append(buffer, at, (size_t)(backslash - at));
		at = read_escape(backslash, bytes, &size);
		buffer_append(buffer, bytes, size);
	}
	buffer_append(buffer, at, (size_t)(end - at));
}

/* The escape of a character that may not stand in a string as it is. */
static void append_escape(struct buffer *buffer, unsigned char character)
{
	static const char characters[] = "\"\\\b\f\n\r\t";
	static const char letters[] = "\"\\bfnrt";
	const char *known = strchr(characters, character);
	if (character == 0)
		buffer_append_string(buffer, "\xEF\xBF\xBD");
	else if (known != NULL)
		buffer_append(buffer, (const char[]){'\\', letters[known - characters]}, 2);
	else
		buffer_format(buffer, "\\u%04x", character);
}

void json_quote(struct buffer *buffer, struct slice plain)
{
	const char *at = plain.size != 0 ? plain.data : "";
	const char *end = at + plain.size;
	buffer_append_char(buffer, '"');
	while (at < end) {
		const char *start = at;
		size_t length = 1;
		while (at < end && (unsigned char)*at >= 0x20 && *at != '"' && *at != '\\') {
			length = utf8_length(at, end);
			if (length == 0)
				break;
			at += length;
		}
		buffer_append(buffer, start, (size_t)(at - start));
		if (at == end)
			break;
		if (length == 0)
			buffer_append_string(buffer, "\xEF\xBF\xBD");
		else
			append_escape(buffer, (unsigned char)*at);
		at++;
	}
	buffer_append_char(buffer, '"');
}

int json_integer(struct slice value, long long low, long long high, long long *ret_number)
{
	value = json_trim(value);
	bool negative = value.size > 0 && value.data[0] == '-';
	size_t at = negative ? 1 : 0;
	long long number = 0;
	if (at == value.size)
		return ERR_INVALID;
	for (; at < value.size; at++) {
		int digit = value.data[at] - '0';
		if (digit < 0 || digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, negative ? -digit : digit, &number))
			return ERR_INVALID;
	}
	if (number < low || number > high)
		return ERR_INVALID;
	*ret_number = number;
	return 0;
}
