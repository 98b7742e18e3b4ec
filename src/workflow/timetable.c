#include "workflow/timetable.h"

#include <stdarg.h>
#include <stdio.h>

struct field {
	const char *name;
	uint32_t low;
	uint32_t high;
	const char *const *names; /* of low, low + 1, …; NULL at their end; NULL: has none */
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELD_COUNT };

static const struct field fields[FIELD_COUNT] = {
	[MINUTE] = {"minute", 0, 59, NULL},
	[HOUR] = {"hour", 0, 23, NULL},
	[DAY] = {"day of the month", 1, 31, NULL},
	[MONTH] = {"month", 1, 12, month_names},
	[WEEKDAY] = {"day of the week", 0, 7, weekday_names},
};

struct reading {
	struct slice text;
	size_t at;
	const struct field *field;
	struct timetable_fault *fault;
};

static bool fault(const struct reading *reading, size_t from, size_t to, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static bool fault(const struct reading *reading, size_t from, size_t to, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(reading->fault->text, sizeof reading->fault->text, format, args);
	va_end(args);
	reading->fault->offset = from;
	reading->fault->size = to - from;
	return false;
}

/* Behind the last byte of the text: a NUL. */
static char peek(const struct reading *reading)
{
	return reading->at < reading->text.size ? reading->text.data[reading->at] : '\0';
}

static bool is_space(char character)
{
	return character == ' ' || character == '\t';
}

static char small(char character)
{
	return character >= 'A' && character <= 'Z' ? (char)(character + ('a' - 'A')) : character;
}

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

static bool is_word(char character)
{
	return is_digit(character) || (small(character) >= 'a' && small(character) <= 'z');
}

static size_t word_end(const struct reading *reading)
{
	size_t end = reading->at;
	while (end < reading->text.size && is_word(reading->text.data[end]))
		end++;
	return end;
}

static size_t field_end(const struct reading *reading)
{
	size_t end = reading->at;
	while (end < reading->text.size && !is_space(reading->text.data[end]))
		end++;
	return end;
}

static bool find_name(const struct reading *reading, struct slice word, uint32_t *ret_value)
{
	const char *const *names = reading->field->names;
	for (uint32_t i = 0; names != NULL && names[i] != NULL; i++) {
		if (word.size == 3 && small(word.data[0]) == names[i][0] && small(word.data[1]) == names[i][1] &&
		    small(word.data[2]) == names[i][2]) {
			*ret_value = reading->field->low + i;
			return true;
		}
	}
	return false;
}

/* A number, or a name. */
static bool read_value(struct reading *reading, uint32_t *ret_value)
{
	const struct field *field = reading->field;
	size_t end = word_end(reading);
	struct slice word = {reading->text.data + reading->at, end - reading->at};
	uint32_t value = 0;
	if (word.size == 0)
		return fault(reading, reading->at, reading->at + (reading->at < reading->text.size),
		             "the %s is expected here: a number%s or *", field->name,
		             field->names != NULL ? ", a name" : "");
	if (!find_name(reading, word, &value)) {
		for (size_t i = 0; i < word.size; i++) {
			if (!is_digit(word.data[i]))
				return fault(reading, reading->at, end, "`%.*s` is not a %s",
				             word.size < 40 ? (int)word.size : 40, word.data, field->name);
			value = value > 1000 ? value : value * 10 + (uint32_t)(word.data[i] - '0');
		}
	}
	if (value < field->low || value > field->high)
		return fault(reading, reading->at, end, "the %s is from %u to %u", field->name, field->low,
		             field->high);
	reading->at = end;
	*ret_value = value;
	return true;
}

static bool read_step(struct reading *reading, uint32_t *ret_step)
{
	size_t begin = reading->at + 1;
	uint32_t step = 0;
	for (reading->at++; is_digit(peek(reading)); reading->at++)
		step = step > 1000 ? step : step * 10 + (uint32_t)(peek(reading) - '0');
	if (reading->at == begin || step == 0 || step > reading->field->high)
		return fault(reading, begin, reading->at > begin ? reading->at : begin + (begin < reading->text.size),
		             "a step of the %s is from 1 to %u", reading->field->name, reading->field->high);
	*ret_step = step;
	return true;
}

/* `*`, a value or a range, with a step. */
static bool read_range(struct reading *reading, uint64_t *set)
{
	const struct field *field = reading->field;
	size_t begin = reading->at;
	uint32_t low = field->low;
	uint32_t high = field == &fields[WEEKDAY] ? 6 : field->high;
	uint32_t step = 1;
	bool range = true;
	if (peek(reading) == '*') {
		reading->at++;
	} else {
		if (!read_value(reading, &low))
			return false;
		high = low;
		range = peek(reading) == '-';
		reading->at += range;
		if (range && !read_value(reading, &high))
			return false;
		if (field == &fields[WEEKDAY] && range && high == 0 && low > 0)
			high = 7;
	}
	if (high < low)
		return fault(reading, begin, reading->at, "a range goes from the lower to the higher");
	if (peek(reading) == '/' && !range)
		return fault(reading, begin, field_end(reading), "a step needs a range: %u-%u/…", low, field->high);
	if (peek(reading) == '/' && !read_step(reading, &step))
		return false;
	for (uint32_t value = low; value <= high; value += step)
		*set |= UINT64_C(1) << (field == &fields[WEEKDAY] ? value % 7 : value);
	return true;
}

static bool read_field(struct reading *reading, uint64_t *ret_set)
{
	*ret_set = 0;
	for (;;) {
		if (!read_range(reading, ret_set))
			return false;
		if (peek(reading) != ',')
			break;
		reading->at++;
	}
	if (reading->at < reading->text.size && !is_space(peek(reading)))
		return fault(reading, reading->at, field_end(reading),
		             "this is not expected in the %s: it is *, numbers, "
		             "ranges and lists of them, with steps",
		             reading->field->name);
	return true;
}

static void skip_space(struct reading *reading)
{
	while (is_space(peek(reading)))
		reading->at++;
}

/* Whether there is such a day in one of the months. */
static bool has_day(uint64_t days, uint64_t months)
{
	static const uint32_t longest[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	for (uint32_t month = 1; month <= 12; month++)
		if ((months >> month & 1) != 0 && (days & ((UINT64_C(2) << longest[month]) - 1)) != 0)
			return true;
	return false;
}

static bool read_fields(struct reading *reading, struct timetable *ret_timetable)
{
	uint64_t sets[FIELD_COUNT];
	bool star[FIELD_COUNT];
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		skip_space(reading);
		if (reading->at == reading->text.size)
			return fault(
				reading, 0, reading->text.size,
				"a schedule has five fields: minute, hour, day of the month, month, day of the week; "
				"here are %zu",
				i);
		reading->field = &fields[i];
		star[i] = peek(reading) == '*';
		if (!read_field(reading, &sets[i]))
			return false;
	}
	skip_space(reading);
	if (reading->at < reading->text.size)
		return fault(
			reading, reading->at, reading->text.size,
			"a schedule has five fields, from the minute to the day of the week; there is none for seconds "
			"or years");
	bool either = !star[DAY] && !star[WEEKDAY];
	if (!either && !has_day(sets[DAY], sets[MONTH]))
		return fault(reading, 0, reading->text.size, "this day never comes: no such month is so long");
	*ret_timetable = (struct timetable){
		.minutes = sets[MINUTE],
		.hours = (uint32_t)sets[HOUR],
		.days = (uint32_t)sets[DAY],
		.months = (uint32_t)sets[MONTH],
		.weekdays = (uint32_t)sets[WEEKDAY],
		.either_day = either,
	};
	return true;
}

static const struct {
	const char *name;
	const char *text;
} words[] = {
	{"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
	{"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"},
};

bool timetable_parse(struct slice text, struct timetable *ret_timetable, struct timetable_fault *ret_fault)
{
	struct reading reading = {.text = text, .fault = ret_fault};
	if (text.size == 0 || text.data[0] != '@')
		return read_fields(&reading, ret_timetable);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (slice_is(text, words[i].name)) {
			reading.text = slice_of(words[i].text);
			return read_fields(&reading, ret_timetable);
		}
	}
	return fault(&reading, 0, text.size, "there are @hourly, @daily, @weekly, @monthly and @yearly");
}
