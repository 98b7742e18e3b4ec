#include "workflow/timetable.h"

#include "workflow/calendar.h"

#define DAY_MINUTES 1440
#define DAY_SECONDS 86400
#define SEARCH_DAYS 36525 /* a century */

static int32_t no_offset(void *context, int64_t utc)
{
	(void)context;
	(void)utc;
	return 0;
}

const struct timetable_zone timetable_utc = {no_offset, NULL};

static bool fits_day(const struct timetable *timetable, int64_t day)
{
	struct date date = calendar_date(day);
	bool in_days = (timetable->days >> date.day & 1) != 0;
	bool in_weekdays = (timetable->weekdays >> date.weekday & 1) != 0;
	return (timetable->months >> date.month & 1) != 0 &&
	       (timetable->either_day ? in_days || in_weekdays : in_days && in_weekdays);
}

static bool fits_minute(const struct timetable *timetable, int64_t of_day)
{
	return (timetable->hours >> (of_day / 60) & 1) != 0 && (timetable->minutes >> (of_day % 60) & 1) != 0;
}

bool timetable_fits(const struct timetable *timetable, int64_t wall)
{
	int64_t minute = calendar_floor(wall, 60);
	int64_t day = calendar_floor(minute, DAY_MINUTES);
	return fits_day(timetable, day) && fits_minute(timetable, minute - day * DAY_MINUTES);
}

/* The first that fits, of minutes since 1970 on the wall, from `minute` on; INT64_MAX: none within a century. */
static int64_t find_minute(const struct timetable *timetable, int64_t minute)
{
	int64_t first = calendar_floor(minute, DAY_MINUTES);
	int64_t of_day = minute - first * DAY_MINUTES;
	for (int64_t day = first; day < first + SEARCH_DAYS; day++, of_day = 0) {
		if (!fits_day(timetable, day))
			continue;
		for (; of_day < DAY_MINUTES; of_day++) {
			if (fits_minute(timetable, of_day))
				return day * DAY_MINUTES + of_day;
		}
	}
	return INT64_MAX;
}

static int64_t wall_at(const struct timetable_zone *zone, int64_t utc)
{
	return utc + zone->offset(zone->context, utc);
}

/* When the clock on the wall shows `wall` for the first time, or would have: then the end of the gap. */
static int64_t utc_of(const struct timetable_zone *zone, int64_t wall)
{
	int64_t early = wall - zone->offset(zone->context, wall - DAY_SECONDS);
	int64_t late = wall - zone->offset(zone->context, wall + DAY_SECONDS);
	int64_t lower = early < late ? early : late;
	int64_t upper = early < late ? late : early;
	if (wall_at(zone, lower) == wall)
		return lower;
	if (wall_at(zone, upper) == wall)
		return upper;
	/* In a gap: from `lower`, before it, to `upper`, after it, the clock jumps over `wall` once. */
	while (lower + 1 < upper) {
		int64_t middle = lower + (upper - lower) / 2;
		if (wall_at(zone, middle) < wall)
			lower = middle;
		else
			upper = middle;
	}
	return upper;
}

/* Of a day at most, whose ends have different offsets: when the second one begins. */
static int64_t change_between(const struct timetable_zone *zone, int64_t lower, int64_t upper)
{
	int32_t offset = zone->offset(zone->context, lower);
	while (lower + 1 < upper) {
		int64_t middle = lower + (upper - lower) / 2;
		if (zone->offset(zone->context, middle) == offset)
			lower = middle;
		else
			upper = middle;
	}
	return upper;
}

/* From `from` on, whatever the wall shows counts. */
static int64_t next_shown(const struct timetable *timetable, const struct timetable_zone *zone, int64_t from)
{
	for (;;) {
		int32_t offset = zone->offset(zone->context, from);
		int64_t minute = find_minute(timetable, -calendar_floor(-(from + offset), 60));
		if (minute == INT64_MAX)
			return INT64_MAX;
		int64_t found = minute * 60 - offset;
		int64_t end = found < from + DAY_SECONDS ? found : from + DAY_SECONDS;
		if (zone->offset(zone->context, end) != offset)
			from = change_between(zone, from, end);
		else if (end == found)
			return found;
		else /* The wall shows nothing that fits until a day before, however its offset changes. */
			from = found - DAY_SECONDS;
	}
}

/* What the wall shows for the first time after `after`, or passes over. */
static int64_t next_reached(const struct timetable *timetable, const struct timetable_zone *zone, int64_t after)
{
	int64_t minute = calendar_floor(wall_at(zone, after), 60);
	for (;;) {
		minute = find_minute(timetable, minute + 1);
		if (minute == INT64_MAX)
			return INT64_MAX;
		int64_t utc = utc_of(zone, minute * 60);
		if (utc > after)
			return utc;
	}
}

msec timetable_next(const struct timetable *timetable, const struct timetable_zone *zone, msec after)
{
	int64_t second = calendar_floor(after, 1000);
	int64_t found = timetable->hours == 0xffffff ? next_shown(timetable, zone, second + 1)
	                                             : next_reached(timetable, zone, second);
	return found == INT64_MAX ? MSEC_NEVER : found * 1000;
}
