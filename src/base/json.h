/* JSON text (RFC 8259) is carried byte for byte through the whole system: a library that parses it into a tree and
 * prints it again changes numbers, and values must not change. So this module only checks, walks and quotes text.
 * Refused everywhere: invalid UTF-8, duplicate keys, \u0000, lone surrogates, nesting deeper than JSON_DEPTH. */
#ifndef CLUSTERD_BASE_JSON_H
#define CLUSTERD_BASE_JSON_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

#define JSON_DEPTH 128

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* Checks that `text` is exactly one JSON value, white space around it allowed. 0, ERR_INVALID or ERR_LIMIT (depth);
 * the error's text names the byte offset and what is wrong. Linear in the size (duplicate keys included). */
int json_check(struct slice text, struct error *error);

/* The functions below take text that json_check accepted. */
struct slice json_trim(struct slice text); /* without the white space around it */
enum json_kind json_kind(struct slice value);

/* Walks an array or object: start with {0}-ed iterator and json_iterate; each json_next gives one element, for
 * objects its key as it stands between the quotes (escapes not undone), false at the end. */
struct json_iterator {
	const char *at;
	const char *end;
	bool object;
	bool first;
};
void json_iterate(struct json_iterator *iterator, struct slice container);
bool json_next(struct json_iterator *iterator, struct slice *ret_key, struct slice *ret_value);
size_t json_count(struct slice container);
/* The steps of a walk that descends by itself and so reads each byte once, where json_next reads a nested value once
 * for each level above it. Both take a place in text that json_check accepted. */
const char *json_skip_space(const char *at, const char *end);
const char *json_skip_value(const char *at, const char *end); /* from its first byte to behind its last */
/* A member by its name (plain characters, as the language's KEY after unquoting); false when absent. */
bool json_member(struct slice object, struct slice name, struct slice *ret_value);

/* Compares a key or string, as it stands between its quotes, with plain UTF-8 text, undoing escapes. */
bool json_key_equal(struct slice raw, struct slice plain);
/* Appends the characters of a string value (with its quotes) without quotes and escapes. */
void json_unquote(struct buffer *buffer, struct slice string);
/* Appends plain UTF-8 as a JSON string with quotes. Bytes that are not UTF-8 become U+FFFD, NUL becomes U+FFFD. */
void json_quote(struct buffer *buffer, struct slice plain);
/* An integer in [low, high] written without fraction or exponent; ERR_INVALID otherwise. */
int json_integer(struct slice value, long long low, long long high, long long *ret_number);

#endif
