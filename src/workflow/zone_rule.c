#include "workflow/zone_rule.h"

#include "workflow/calendar.h"

#define DAY_SECONDS 86400
#define HOURS_MAX 167 /* RFC 8536, 3.3.1 */

struct reading {
	struct slice text;
	size_t at;
};

static char peek(const struct reading *reading)
{
	return reading->at < reading->text.size ? reading->text.data[reading->at] : '\0';
}

static bool accept(struct reading *reading, char character)
{
	if (peek(reading) != character)
		return false;
	reading->at++;
	return true;
}

static bool read_number(struct reading *reading, uint32_t low, uint32_t high, uint32_t *ret_number)
{
	size_t begin = reading->at;
	uint32_t number = 0;
	for (; peek(reading) >= '0' && peek(reading) <= '9' && reading->at - begin < 4; reading->at++)
		number = number * 10 + (uint32_t)(peek(reading) - '0');
	*ret_number = number;
	return reading->at > begin && number >= low && number <= high;
}

/* [+-]h[:m[:s]] */
static bool read_time(struct reading *reading, uint32_t hours_max, int32_t *ret_seconds)
{
	uint32_t hours;
	uint32_t minutes = 0;
	uint32_t seconds = 0;
	bool minus = accept(reading, '-');
	if (!minus)
		accept(reading, '+');
	if (!read_number(reading, 0, hours_max, &hours))
		return false;
	if (accept(reading, ':') && !read_number(reading, 0, 59, &minutes))
		return false;
	if (accept(reading, ':') && !read_number(reading, 0, 59, &seconds))
		return false;
	int32_t all = (int32_t)(hours * 3600 + minutes * 60 + seconds);
	*ret_seconds = minus ? -all : all;
	return true;
}

static bool is_letter(char character)
{
	return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
}

/* CEST, <+03> */
static bool skip_name(struct reading *reading)
{
	size_t begin = reading->at;
	if (accept(reading, '<')) {
		while (peek(reading) != '\0' && peek(reading) != '>')
			reading->at++;
		return accept(reading, '>');
	}
	while (is_letter(peek(reading)))
		reading->at++;
	return reading->at - begin >= 3;
}

static bool read_date(struct reading *reading, struct rule_date *date)
{
	bool fine;
	if (!accept(reading, ','))
		return false;
	if (accept(reading, 'M')) {
		date->kind = RULE_MONTH;
		fine = read_number(reading, 1, 12, &date->month) && accept(reading, '.') &&
		       read_number(reading, 1, 5, &date->week) && accept(reading, '.') &&
		       read_number(reading, 0, 6, &date->day);
	} else if (accept(reading, 'J')) {
		date->kind = RULE_JULIAN;
		fine = read_number(reading, 1, 365, &date->day);
	} else {
		date->kind = RULE_DAY;
		fine = read_number(reading, 0, 365, &date->day);
	}
	date->time = 2 * 3600;
	return fine && (!accept(reading, '/') || read_time(reading, HOURS_MAX, &date->time));
}

bool zone_rule_parse(struct slice text, struct zone_rule *ret_rule)
{
	struct reading reading = {text, 0};
	struct zone_rule rule = {.has_summer = false};
	int32_t west;
	if (!skip_name(&reading) || !read_time(&reading, 23, &west))
		return false;
	rule.standard = -west;
	if (reading.at < text.size) {
		rule.has_summer = true;
		rule.summer = rule.standard + 3600;
		if (!skip_name(&reading))
			return false;
		if (peek(&reading) != ',') {
			if (!read_time(&reading, 23, &west))
				return false;
			rule.summer = -west;
		}
		if (!read_date(&reading, &rule.begin) || !read_date(&reading, &rule.end) || reading.at < text.size)
			return false;
	}
	*ret_rule = rule;
	return true;
}

/* Seconds since 1970 on the wall. */
static int64_t date_in(const struct rule_date *date, int64_t year)
{
	int64_t first = calendar_day(year, 1, 1);
	bool leap = calendar_day(year + 1, 1, 1) - first == 366;
	int64_t day = first + (int64_t)date->day;
	if (date->kind == RULE_JULIAN) {
		day += leap && date->day >= 60 ? 0 : -1;
	} else if (date->kind == RULE_MONTH) {
		int64_t begin = calendar_day(year, date->month, 1);
		int64_t end = date->month == 12 ? calendar_day(year + 1, 1, 1) : calendar_day(year, date->month + 1, 1);
		day = begin + (7 + (int64_t)date->day - (int64_t)calendar_date(begin).weekday) % 7 +
		      7 * ((int64_t)date->week - 1);
		if (day >= end)
			day -= 7;
	}
	return day * DAY_SECONDS + date->time;
}

int32_t zone_rule_offset(const struct zone_rule *rule, int64_t utc)
{
	if (!rule->has_summer)
		return rule->standard;
	int64_t year = calendar_date(calendar_floor(utc + rule->standard, DAY_SECONDS)).year;
	int64_t begin = date_in(&rule->begin, year) - rule->standard;
	int64_t end = date_in(&rule->end, year) - rule->summer;
	bool summer = begin < end ? utc >= begin && utc < end : utc >= begin || utc < end;
	return summer ? rule->summer : rule->standard;
}
