/* JSON text: json_check on anything; on what it accepts every function that walks, quotes or checks against a type. */
#include "base/json.h"
#include "workflow/type.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct type text = {.kind = TYPE_TEXT};
static const struct type number = {.kind = TYPE_NUMBER};
static const struct type boolean = {.kind = TYPE_BOOL};
static const struct type unit = {.kind = TYPE_UNIT};
static const struct type duration = {.kind = TYPE_DURATION};
static const struct type any = {.kind = TYPE_JSON};

#define NAME(literal) {(literal), sizeof(literal) - 1}
#define DEFAULT(literal) .has_default = true, .default_json = NAME(literal)

static struct type_member inner_members[] = {
	{.name = NAME("a"), .type = &number, DEFAULT("1")},
	{.name = NAME("b"), .type = &any},
	{.name = NAME("c"), .type = &duration, DEFAULT("1000")},
};
static const struct type inner = {.kind = TYPE_RECORD, .members = inner_members, .member_count = 3};
static struct type_member labels[] = {
	{.name = NAME("a")},
	{.name = NAME("b"), .type = &inner},
	{.name = NAME("left"), .type = &unit},
};
static const struct type choice = {.kind = TYPE_CHOICE, .members = labels, .member_count = 3};
static const struct type list = {.kind = TYPE_LIST, .parts = {&inner, NULL}};
static const struct type choices = {.kind = TYPE_LIST, .parts = {&choice, NULL}};
static const struct type pair = {.kind = TYPE_PAIR, .parts = {&text, &choices}};
static const struct type sum = {.kind = TYPE_SUM, .parts = {&pair, &boolean}};
static struct type_member outer_members[] = {
	{.name = NAME("a"), .type = &list, DEFAULT("[{\"b\":null}, {\"b\":0}]")},
	{.name = NAME("b"), .type = &choice, DEFAULT("{\"b\":{\"b\":[]}}")},
	{.name = NAME("\n/"), .type = &sum, DEFAULT("{\"right\":true}")},
};
static const struct type outer = {.kind = TYPE_RECORD, .members = outer_members, .member_count = 3};
static const struct type *const types[] = {
	&text, &number, &boolean, &unit, &duration, &any, &inner, &choice, &list, &choices, &pair, &sum, &outer,
};

static bool is_same(const struct buffer *left, const struct buffer *right)
{
	return slice_equal(buffer_slice(left), buffer_slice(right));
}

static void try_string(struct slice string)
{
	struct buffer plain = BUFFER_EMPTY;
	struct buffer quoted = BUFFER_EMPTY;
	struct buffer again = BUFFER_EMPTY;
	json_unquote(&plain, string);
	assert(json_key_equal((struct slice){string.data + 1, string.size - 2}, buffer_slice(&plain)));
	json_quote(&quoted, buffer_slice(&plain));
	assert(json_check(buffer_slice(&quoted), NULL) == 0);
	json_unquote(&again, buffer_slice(&quoted));
	assert(is_same(&plain, &again));
	buffer_finish(&plain);
	buffer_finish(&quoted);
	buffer_finish(&again);
}

static void walk(struct slice value)
{
	enum json_kind kind = json_kind(value);
	struct json_iterator iterator;
	struct slice key, element;
	size_t count = 0;
	long long integer = 0;
	assert(json_skip_value(value.data, value.data + value.size) == value.data + value.size);
	if (kind == JSON_STRING)
		try_string(value);
	if (json_integer(value, -1000, 1000, &integer) == 0)
		assert(kind == JSON_NUMBER && integer >= -1000 && integer <= 1000);
	if (kind != JSON_ARRAY && kind != JSON_OBJECT)
		return;
	json_iterate(&iterator, value);
	while (json_next(&iterator, &key, &element)) {
		assert(json_check(element, NULL) == 0);
		count++;
		if (kind == JSON_OBJECT) {
			struct buffer name = BUFFER_EMPTY;
			struct slice found;
			try_string((struct slice){key.data - 1, key.size + 2});
			json_unquote(&name, (struct slice){key.data - 1, key.size + 2});
			assert(json_member(value, buffer_slice(&name), &found) && found.data == element.data);
			buffer_finish(&name);
		}
		walk(element);
	}
	assert(count == json_count(value));
}

static void accept(const struct type *type, struct slice json, enum type_strictness strictness)
{
	struct buffer out = BUFFER_EMPTY;
	struct buffer again = BUFFER_EMPTY;
	struct error error = {0};
	int result = type_accept(type, json, strictness, &out, &error);
	if (result == 0) {
		result = type_accept(type, buffer_slice(&out), TYPE_ARGUMENT, &again, &error);
		assert(result == 0);
		assert(is_same(&out, &again));
	} else {
		assert(out.size == 0 && error.code == result && error.text[0] != '\0');
	}
	buffer_finish(&out);
	buffer_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice json = {(const char *)data, size};
	struct error error = {0};
	struct buffer quoted = BUFFER_EMPTY;
	int result = json_check(json, &error);
	assert(result == 0 || (error.code == result && error.text[0] != '\0'));
	json_quote(&quoted, json);
	assert(json_check(buffer_slice(&quoted), NULL) == 0);
	buffer_finish(&quoted);
	if (result == 0)
		walk(json_trim(json));
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		accept(types[i], json, TYPE_ARGUMENT);
		accept(types[i], json, TYPE_OUTPUT);
	}
	return 0;
}
