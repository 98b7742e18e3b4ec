#include "lang/literal.h"

#include "lang/parser.h"
#include "lang/utf8.h"

static size_t count_digits(struct slice text, size_t from)
{
	size_t at = from;
	while (at < text.size && literal_is_digit(text.data[at]))
		at++;
	return at - from;
}

/* Four hexadecimal digits; −1 when they are not there. */
static int32_t hex_at(struct slice text, size_t at)
{
	int32_t value = 0;
	if (at + 4 > text.size)
		return -1;
	for (size_t i = at; i < at + 4; i++) {
		char character = text.data[i];
		int32_t digit = literal_is_digit(character) ? character - '0' : (character | 0x20) - 'a' + 10;
		if (digit < 0 || digit > 15 || !literal_is_word(character))
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/* Reads the escape at `at` (its backslash). Returns its size in bytes, with the character it stands for; 0 when it is
 * none, with the reason in `fault`. */
static size_t read_escape(struct slice string, size_t at, uint32_t *ret_character, struct literal_fault *fault)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	char letter = at + 1 < string.size ? string.data[at + 1] : '\0';
	const char *found = letter != '\0' ? strchr(letters, letter) : NULL;
	*fault = (struct literal_fault){NULL, NULL, at, 6};
	if (found != NULL) {
		*ret_character = (uint32_t)meanings[found - letters];
		return 2;
	}
	if (letter != 'u') {
		uint32_t character;
		size_t size = utf8_decode((struct slice){string.data + at + 1, string.size - at - 1}, &character);
		fault->size = 1 + (size != 0 ? size : 1);
		fault->message = "no such escape in a string";
		fault->hint = "escapes are \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u with four hexadecimal digits";
		return 0;
	}
	int32_t first = hex_at(string, at + 2);
	if (first < 0) {
		fault->size = 2;
		fault->message = "four hexadecimal digits must follow \\u";
		return 0;
	}
	if (first == 0) {
		fault->message = "a string cannot hold the character \\u0000";
		return 0;
	}
	*ret_character = (uint32_t)first;
	if (first < 0xD800 || first > 0xDFFF)
		return 6;
	int32_t second = at + 7 < string.size && string.data[at + 6] == '\\' && string.data[at + 7] == 'u'
	                         ? hex_at(string, at + 8)
	                         : -1;
	if (first > 0xDBFF || second < 0xDC00 || second > 0xDFFF) {
		fault->message = "half of a surrogate pair stands alone";
		fault->hint = "write the character itself, or both halves: \\ud83d\\ude00";
		return 0;
	}
	*ret_character = 0x10000u + (((uint32_t)first - 0xD800u) << 10) + ((uint32_t)second - 0xDC00u);
	return 12;
}

bool literal_string_fault(struct slice string, size_t from, struct literal_fault *ret_fault)
{
	uint32_t character;
	size_t size;
	for (size_t at = from; at < string.size && string.data[at] != '"'; at += size) {
		struct slice rest = {string.data + at, string.size - at};
		if (string.data[at] == '\\') {
			size = read_escape(string, at, &character, ret_fault);
			if (size == 0)
				return true;
			continue;
		}
		size = utf8_decode(rest, &character);
		*ret_fault = (struct literal_fault){NULL, NULL, at, size != 0 ? size : 1};
		if (size == 0) {
			ret_fault->message = "this is not valid UTF-8";
			return true;
		}
		if (utf8_is_control(character)) {
			ret_fault->message = "a control character in a string";
			if (character == '\t')
				ret_fault->hint = "write it as \\t";
			else if (character != 0)
				ret_fault->hint = "write it as \\u and four hexadecimal digits";
			return true;
		}
	}
	return false;
}

struct slice parser_unquote(struct slice string, struct arena *arena)
{
	struct slice inner = {string.data + 1, string.size >= 2 ? string.size - 2 : 0};
	if (inner.size == 0 || memchr(inner.data, '\\', inner.size) == NULL)
		return inner;

	char *plain = arena_alloc(arena, inner.size);
	size_t plain_size = 0;
	for (size_t at = 0; at < inner.size;) {
		struct literal_fault fault;
		uint32_t character;
		size_t size = inner.data[at] == '\\' ? read_escape(inner, at, &character, &fault) : 0;
		if (size == 0) {
			plain[plain_size++] = inner.data[at++];
			continue;
		}
		plain_size += utf8_encode(character, plain + plain_size); /* never longer than its escape */
		at += size;
	}
	return (struct slice){plain, plain_size};
}

bool literal_is_int(struct slice text)
{
	size_t digits = count_digits(text, 0);
	return digits != 0 && digits == text.size && (digits == 1 || text.data[0] != '0');
}

bool literal_is_number(struct slice text)
{
	size_t at = text.size > 0 && text.data[0] == '-' ? 1 : 0;
	size_t digits = count_digits(text, at);
	if (digits == 0 || (digits > 1 && text.data[at] == '0'))
		return false;
	at += digits;
	if (at < text.size && text.data[at] == '.') {
		digits = count_digits(text, at + 1);
		if (digits == 0)
			return false;
		at += 1 + digits;
	}
	if (at < text.size && (text.data[at] == 'e' || text.data[at] == 'E')) {
		at++;
		if (at < text.size && (text.data[at] == '+' || text.data[at] == '-'))
			at++;
		digits = count_digits(text, at);
		if (digits == 0)
			return false;
		at += digits;
	}
	return at == text.size;
}

static const struct unit {
	const char *name;
	int64_t ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}, {"d", 24 * 60 * 60 * 1000}};

static const struct unit *find_unit(struct slice name)
{
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (slice_is(name, units[i].name))
			return &units[i];
	}
	return NULL;
}

size_t literal_duration_size(struct slice text)
{
	size_t digits = count_digits(text, 0);
	size_t at = digits;
	while (at < text.size && literal_is_word(text.data[at]))
		at++;
	if (!literal_is_int((struct slice){text.data, digits}) ||
	    find_unit((struct slice){text.data + digits, at - digits}) == NULL)
		return 0;
	return at;
}

int parser_duration(struct slice text, int64_t *ret_ms)
{
	if (text.size == 0 || literal_duration_size(text) != text.size)
		return ERR_INVALID;
	size_t digits = count_digits(text, 0);
	const struct unit *unit = find_unit((struct slice){text.data + digits, text.size - digits});
	int64_t count = 0;
	for (size_t i = 0; i < digits; i++) {
		count = count * 10 + (text.data[i] - '0');
		if (count > DURATION_MAX_MS / unit->ms)
			return ERR_LIMIT;
	}
	*ret_ms = count * unit->ms;
	return 0;
}

static bool ends_in_one_of(struct slice text, const char *const *words)
{
	size_t at = text.size;
	while (at > 0 && literal_is_letter(text.data[at - 1]))
		at--;
	for (; *words != NULL; words++) {
		if (at > 0 && slice_is((struct slice){text.data + at, text.size - at}, *words))
			return true;
	}
	return false;
}

/* "1.5h", "-5s", "007s", "30sec": something with a unit of time behind it. */
static const char *const time_units[] = {"ms", "s", "sec", "secs", "second", "seconds", "m", "min", "mins", "minute",
                                         "minutes", "h", "hr", "hour", "hours", "d", "day", "days", NULL};
static const char *const byte_units[] = {"B", "k", "kB", "KB", "KiB", "K", "MB", "MiB", "Mi", "M", "GB", "GiB", "Gi", "G", "TB", "TiB",
                                         "Ti", "T", NULL};

void literal_number_fault(struct slice text, struct literal_fault *ret_fault)
{
	size_t sign = text.data[0] == '-' ? 1 : 0;
	size_t digits = count_digits(text, sign);
	size_t after = sign + digits;
	*ret_fault = (struct literal_fault){NULL, NULL, 0, text.size};
	if (ends_in_one_of(text, byte_units)) {
		ret_fault->message = "this is not a number";
		ret_fault->hint = "an amount of bytes is written as text: \"512MiB\"";
	} else if (ends_in_one_of(text, time_units)) {
		ret_fault->message = "this is not a duration";
		ret_fault->hint = "a duration is a whole number and one of ms, s, m, h, d: 90s";
	} else if (digits > 1 && text.data[sign] == '0') {
		ret_fault->message = "a number has no leading zero";
	} else if (after < text.size && text.data[after] == '.' && count_digits(text, after + 1) == 0) {
		ret_fault->message = "digits are missing behind the decimal point";
	} else if (memchr(text.data, '_', text.size) != NULL) {
		ret_fault->message = "a number is written without _";
	} else {
		ret_fault->message = "this is not a number";
		ret_fault->hint = "a name does not begin with a digit, and nothing may touch a number from behind";
	}
}
