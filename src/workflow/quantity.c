#include "workflow/quantity.h"

#define PLACES_MAX 6

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

bool quantity_decimal(struct slice text, uint64_t unit, uint64_t most, bool exact, uint64_t *ret_value)
{
	uint64_t whole = 0;
	uint64_t rest = 0;
	uint64_t scale = 1;
	size_t at = 0;
	for (; at < text.size && is_digit(text.data[at]); at++) {
		whole = whole * 10 + (uint64_t)(text.data[at] - '0');
		if (whole > most / unit)
			return false;
	}
	if (at == 0)
		return false;
	if (at < text.size && text.data[at] == '.') {
		size_t first = ++at;
		for (; at < text.size && is_digit(text.data[at]) && at - first < PLACES_MAX; at++, scale *= 10)
			rest = rest * 10 + (uint64_t)(text.data[at] - '0');
		if (at == first)
			return false;
	}
	uint64_t part = rest * unit / scale;
	if (at < text.size || (exact && rest * unit % scale != 0) || part > most || whole * unit > most - part)
		return false;
	*ret_value = whole * unit + part;
	return true;
}

bool quantity_bytes(struct slice text, uint64_t most, uint64_t *ret_bytes)
{
	static const struct {
		const char *name;
		uint64_t size;
	} units[] = {
		{"KiB", UINT64_C(1) << 10},
		{"MiB", UINT64_C(1) << 20},
		{"GiB", UINT64_C(1) << 30},
		{"TiB", UINT64_C(1) << 40},
		{"B", 1},
		{"", 1},
	};
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		size_t size = strlen(units[i].name);
		if (text.size <= size || memcmp(text.data + text.size - size, units[i].name, size) != 0)
			continue;
		struct slice number = {text.data, text.size - size};
		return quantity_decimal(number, units[i].size, most, units[i].size == 1, ret_bytes);
	}
	return false;
}
