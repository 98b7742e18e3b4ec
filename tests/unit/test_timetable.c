#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buffer.h"
#include "base/random.h"
#include "workflow/timetable.h"

#include <stdio.h>
#include <time.h>

#define HOUR 3600
#define DAY 86400

/* Zones as tables: from a time on, an offset. */
struct change {
	int64_t utc;
	int32_t offset;
};

static int32_t table_offset(void *context, int64_t utc)
{
	const struct change *change = context;
	while (utc >= change[1].utc)
		change++;
	return change->offset;
}

/* 2026-03-29 01:00 and 2026-10-25 01:00 UTC */
static struct change vienna[] = {{INT64_MIN, 1 * HOUR}, {1774746000, 2 * HOUR}, {1792890000, 1 * HOUR}, {INT64_MAX, 0}};
/* Half an hour: 2026-04-04 15:00 back, 2026-10-03 15:30 forward */
static struct change lord_howe[] = {
	{INT64_MIN, 11 * HOUR}, {1775314800, 10 * HOUR + 1800}, {1791041400, 11 * HOUR}, {INT64_MAX, 0}};
/* The 30th of December 2011 was left out: 2011-12-30 10:00 UTC */
static struct change apia[] = {{INT64_MIN, -10 * HOUR}, {1325239200, 14 * HOUR}, {INT64_MAX, 0}};
/* At midnight, back to 23:00 of the day before: 2026-02-22 02:00 UTC; and from 00:00 to 01:00: 2026-10-18 03:00 UTC */
static struct change midnight[] = {
	{INT64_MIN, -2 * HOUR}, {1771725600, -3 * HOUR}, {1792292400, -2 * HOUR}, {INT64_MAX, 0}};
static struct change utc_table[] = {{INT64_MIN, 0}, {INT64_MAX, 0}};

static struct timetable parsed(const char *text)
{
	struct timetable schedule;
	struct timetable_fault fault;
	if (!timetable_parse(slice_of(text), &schedule, &fault))
		fail_msg("%s: %s", text, fault.text);
	return schedule;
}

static const char *show(int64_t seconds)
{
	static char texts[8][32];
	static unsigned next;
	char *text = texts[next++ % 8];
	time_t time = (time_t)seconds;
	struct tm tm;
	strftime(text, sizeof texts[0], "%Y-%m-%d %H:%M:%S", gmtime_r(&time, &tm));
	return text;
}

static int64_t read_time(const char *text)
{
	struct tm tm = {.tm_isdst = 0};
	assert_int_equal(sscanf(text, "%d-%d-%d %d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
	                        &tm.tm_min, &tm.tm_sec) >= 5,
	                 1);
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return timegm(&tm);
}

/* After a time, all in UTC. */
static void assert_next(const char *text, struct change *zone, const char *after, const char *expected)
{
	struct timetable schedule = parsed(text);
	struct timetable_zone offsets = {table_offset, zone};
	msec next = timetable_next(&schedule, &offsets, read_time(after) * 1000);
	if (expected == NULL) {
		assert_true(next == MSEC_NEVER);
		return;
	}
	if (next == MSEC_NEVER || next / 1000 != read_time(expected))
		fail_msg("\"%s\" after %s: %s, expected %s", text, after,
		         next == MSEC_NEVER ? "never" : show(next / 1000), expected);
}

static void next_time_is_strictly_after(void **state)
{
	(void)state;
	assert_next("30 3 * * *", utc_table, "2026-01-01 03:29:59", "2026-01-01 03:30");
	assert_next("30 3 * * *", utc_table, "2026-01-01 03:30:00", "2026-01-02 03:30");
	assert_next("30 3 * * *", utc_table, "2026-01-01 03:30:01", "2026-01-02 03:30");
	assert_next("* * * * *", utc_table, "2026-12-31 23:59:30", "2027-01-01 00:00");
	struct timetable schedule = parsed("* * * * *");
	assert_true(timetable_next(&schedule, &timetable_utc, 59999) == 60000);
	assert_true(timetable_next(&schedule, &timetable_utc, 60000) == 120000);
	assert_true(timetable_next(&schedule, &timetable_utc, -1) == 0);
	assert_true(timetable_next(&schedule, &timetable_utc, -60001) == -60000);
	schedule = parsed("0 0 * * *");
	assert_true(timetable_next(&schedule, &timetable_utc, -1) == 0);
	assert_true(timetable_next(&schedule, &timetable_utc, 0) == 86400000);
}

static void fields_are_lists_ranges_and_steps(void **state)
{
	(void)state;
	assert_next("*/15 * * * *", utc_table, "2026-01-01 00:15", "2026-01-01 00:30");
	assert_next("*/25 * * * *", utc_table, "2026-01-01 00:50", "2026-01-01 01:00");
	assert_next("5,35-37,50-59/4 9-17/2 * * *", utc_table, "2026-01-01 09:37", "2026-01-01 09:50");
	assert_next("5,35-37,50-59/4 9-17/2 * * *", utc_table, "2026-01-01 09:58", "2026-01-01 11:05");
	assert_next("5,35-37,50-59/4 9-17/2 * * *", utc_table, "2026-01-01 17:58", "2026-01-02 09:05");
	assert_next("0 0 1 JAN,Jul *", utc_table, "2026-01-01 00:00", "2026-07-01 00:00");
	assert_next("  0\t12 * feb-apr/2 *  ", utc_table, "2026-02-28 12:00", "2026-04-01 12:00");
	assert_next("0 9 * * mon-fri", utc_table, "2026-11-27 10:00", "2026-11-30 09:00");
	assert_next("0 9 * * 7", utc_table, "2026-11-28 10:00", "2026-11-29 09:00");
	assert_next("0 9 * * 0", utc_table, "2026-11-28 10:00", "2026-11-29 09:00");
	assert_next("0 9 * * sat-sun", utc_table, "2026-11-28 10:00", "2026-11-29 09:00");
	assert_next("0 9 * * 5-7", utc_table, "2026-11-29 10:00", "2026-12-04 09:00");
	assert_next("0 0 29 2 *", utc_table, "2026-01-01 00:00", "2028-02-29 00:00");
	assert_next("0 0 29 2 *", utc_table, "2096-03-01 00:00", "2104-02-29 00:00");
	assert_next("0 0 31 * *", utc_table, "2026-01-31 00:00", "2026-03-31 00:00");
}

static void words_stand_for_five_fields(void **state)
{
	(void)state;
	assert_next("@hourly", utc_table, "2026-11-28 10:30", "2026-11-28 11:00");
	assert_next("@daily", utc_table, "2026-11-28 10:30", "2026-11-29 00:00");
	assert_next("@midnight", utc_table, "2026-11-28 10:30", "2026-11-29 00:00");
	assert_next("@weekly", utc_table, "2026-11-28 10:30", "2026-11-29 00:00");
	assert_next("@monthly", utc_table, "2026-11-28 10:30", "2026-12-01 00:00");
	assert_next("@yearly", utc_table, "2026-11-28 10:30", "2027-01-01 00:00");
	assert_next("@annually", utc_table, "2026-11-28 10:30", "2027-01-01 00:00");
}

static void either_field_of_days_is_enough_when_neither_begins_with_a_star(void **state)
{
	(void)state;
	/* Friday the 13th or any 13th or Friday. */
	assert_next("0 0 13 * fri", utc_table, "2026-11-07 00:00", "2026-11-13 00:00");
	assert_next("0 0 13 * fri", utc_table, "2026-11-13 00:00", "2026-11-20 00:00");
	assert_next("0 0 13 * fri", utc_table, "2026-12-11 00:00", "2026-12-13 00:00");
	/* With a star, both: an even day that is a Monday. */
	assert_next("0 0 */2 * mon", utc_table, "2026-11-24 00:00", "2026-12-07 00:00");
	assert_next("0 0 13 * */5", utc_table, "2026-11-01 00:00", "2026-11-13 00:00");
	assert_next("0 0 13 * */5", utc_table, "2026-11-13 00:00", "2026-12-13 00:00");
	assert_next("0 0 30 2 mon", utc_table, "2026-11-28 00:00", "2027-02-01 00:00");
}

static void time_in_a_gap_comes_once_right_after_it(void **state)
{
	(void)state;
	/* Vienna, 2026-03-29: 02:00 is 03:00. */
	assert_next("30 2 * * *", vienna, "2026-03-28 01:30", "2026-03-29 01:00");
	assert_next("30 2 * * *", vienna, "2026-03-29 01:00", "2026-03-30 00:30");
	assert_next("*/10 2 * * *", vienna, "2026-03-28 01:50", "2026-03-29 01:00");
	assert_next("*/10 2 * * *", vienna, "2026-03-29 01:00", "2026-03-30 00:00");
	assert_next("0 3 * * *", vienna, "2026-03-28 12:00", "2026-03-29 01:00");
	assert_next("59 1 * * *", vienna, "2026-03-28 12:00", "2026-03-29 00:59");
	/* What a day that was left out would have had: once, as the next one begins. */
	assert_next("0 12 * * *", apia, "2011-12-29 22:00", "2011-12-30 10:00");
	assert_next("0 12 * * *", apia, "2011-12-30 10:00", "2011-12-30 22:00");
	/* Midnight is left out: at one o'clock. */
	assert_next("0 0 * * *", midnight, "2026-10-17 03:00", "2026-10-18 03:00");
	assert_next("0 0 * * *", midnight, "2026-10-18 03:00", "2026-10-19 02:00");
	assert_next("15 2 * * *", lord_howe, "2026-10-02 15:45", "2026-10-03 15:30");
}

static void time_that_comes_twice_counts_once(void **state)
{
	(void)state;
	/* Vienna, 2026-10-25: 03:00 is 02:00 again. */
	assert_next("30 2 * * *", vienna, "2026-10-24 00:30", "2026-10-25 00:30");
	assert_next("30 2 * * *", vienna, "2026-10-25 00:30", "2026-10-26 01:30");
	assert_next("30 2 * * *", vienna, "2026-10-25 01:10", "2026-10-26 01:30");
	assert_next("0 2,3 * * *", vienna, "2026-10-25 00:00", "2026-10-25 02:00");
	assert_next("30 23 * * *", midnight, "2026-02-21 12:00", "2026-02-22 01:30");
	assert_next("30 23 * * *", midnight, "2026-02-22 01:30", "2026-02-23 02:30");
}

static void schedule_of_every_hour_goes_with_the_hours_that_there_are(void **state)
{
	(void)state;
	assert_next("30 * * * *", vienna, "2026-03-29 00:30", "2026-03-29 01:30");
	assert_next("30 * * * *", vienna, "2026-10-25 00:30", "2026-10-25 01:30");
	assert_next("30 * * * *", vienna, "2026-10-25 01:30", "2026-10-25 02:30");
	assert_next("*/20 0-23 * * *", vienna, "2026-10-25 00:40", "2026-10-25 01:00");
	assert_next("* * * * *", lord_howe, "2026-04-04 14:59", "2026-04-04 15:00");
	assert_next("30 * 21 2 *", midnight, "2026-02-22 01:30", "2026-02-22 02:30");
	assert_next("30 * 21 2 *", midnight, "2026-02-22 02:30", "2027-02-21 02:30");
}

static void wrong_schedules_say_where(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *fault;
		size_t offset;
		size_t size;
	} rows[] = {
		{"", "a schedule has five fields", 0, 0},
		{"* * * *", "here are 4", 0, 7},
		{"* * * * * *", "there is none for seconds or years", 10, 1},
		{"60 * * * *", "the minute is from 0 to 59", 0, 2},
		{"0 24 * * *", "the hour is from 0 to 23", 2, 2},
		{"0 0 0 * *", "the day of the month is from 1 to 31", 4, 1},
		{"0 0 1 13 *", "the month is from 1 to 12", 6, 2},
		{"0 0 * * 8", "the day of the week is from 0 to 7", 8, 1},
		{"0 0 * * monday", "`monday` is not a day of the week", 8, 6},
		{"0 0 * foo *", "`foo` is not a month", 6, 3},
		{"mon 0 * * *", "`mon` is not a minute", 0, 3},
		{"5-1 * * * *", "a range goes from the lower to the higher", 0, 3},
		{"*/0 * * * *", "a step of the minute is from 1 to 59", 2, 1},
		{"*/ * * * *", "a step of the minute is from 1 to 59", 2, 1},
		{"5/15 * * * *", "a step needs a range: 5-59/", 0, 4},
		{"1,,2 * * * *", "the minute is expected here: a number or *", 2, 1},
		{"1, * * * *", "the minute is expected here", 2, 1},
		{"? * * * *", "the minute is expected here", 0, 1},
		{"0 0 L * *", "`L` is not a day of the month", 4, 1},
		{"0 0 15W * *", "`15W` is not a day of the month", 4, 3},
		{"0 0 * * 5#3", "this is not expected in the day of the week", 9, 2},
		{"99999999999999999999 * * * *", "the minute is from 0 to 59", 0, 20},
		{"*/99999999999999999999 * * * *", "a step of the minute", 2, 20},
		{"0 0 30 2 *", "this day never comes", 0, 10},
		{"0 0 31 4,6,9,11 *", "this day never comes", 0, 17},
		{"@reboot", "there are @hourly, @daily, @weekly, @monthly and @yearly", 0, 7},
		{"@", "there are @hourly", 0, 1},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct timetable schedule;
		struct timetable_fault fault = {.offset = 99};
		assert_false(timetable_parse(slice_of(rows[i].text), &schedule, &fault));
		if (strstr(fault.text, rows[i].fault) == NULL)
			fail_msg("%s: %s", rows[i].text, fault.text);
		if (fault.offset != rows[i].offset || fault.size != rows[i].size)
			fail_msg("%s: at %zu, %zu", rows[i].text, fault.offset, fault.size);
	}
}

/* A slow search that looks at what the wall shows each minute. What it has not shown before counts, and what it passes over; for
 * a schedule of every hour, what it shows. */
static int64_t search(const struct timetable *schedule, struct change *zone, int64_t after, int64_t until)
{
	int64_t begin = after - after % 60 - 2 * DAY;
	int64_t reached = begin + table_offset(zone, begin);
	for (int64_t utc = begin; utc <= until; utc += 60) {
		int64_t wall = utc + table_offset(zone, utc);
		bool fits = false;
		if (schedule->hours == 0xffffff)
			fits = timetable_fits(schedule, wall);
		for (; schedule->hours != 0xffffff && reached < wall; fits = fits || timetable_fits(schedule, reached))
			reached += 60;
		if (fits && utc > after)
			return utc;
	}
	return INT64_MAX;
}

static uint64_t some_bits(struct random *random, uint32_t low, uint32_t count)
{
	uint64_t set = 0;
	uint32_t wanted = (uint32_t)random_below(random, 4);
	for (uint32_t i = 0; i <= wanted; i++)
		set |= UINT64_C(1) << (low + random_below(random, count));
	return set;
}

static void next_time_is_what_a_slow_search_finds(void **state)
{
	(void)state;
	struct change *const zones[] = {vienna, lord_howe, apia, midnight, utc_table};
	struct random random = {17};

	for (int round = 0; round < 4000; round++) {
		struct change *zone = zones[random_below(&random, 5)];
		uint64_t all_hours = random_below(&random, 3);
		struct timetable schedule = {
			.minutes = some_bits(&random, 0, 60),
			.hours = all_hours == 0 ? 0xffffff : (uint32_t)some_bits(&random, 0, all_hours == 1 ? 4 : 24),
			.days = random_below(&random, 3) == 0 ? (uint32_t)some_bits(&random, 20, 12) : 0xfffffffe,
			.months = 0x1ffe,
			.weekdays = random_below(&random, 3) == 0 ? (uint32_t)some_bits(&random, 0, 7) : 0x7f,
			.either_day = random_below(&random, 2) == 0,
		};
		/* Around a change of the zone. */
		const struct change *change = zone == utc_table || random_below(&random, 8) == 0 ? NULL : &zone[1];
		if (change != NULL && change[1].utc != INT64_MAX && random_below(&random, 2) == 0)
			change++;
		int64_t after = (change != NULL ? change->utc : 1793000000) - 2 * DAY +
		                (int64_t)random_below(&random, 4 * DAY);
		int64_t until = after + 20 * DAY;
		struct timetable_zone offsets = {table_offset, zone};
		msec next = timetable_next(&schedule, &offsets, after * 1000 + (int64_t)random_below(&random, 1000));
		int64_t expected = search(&schedule, zone, after, until);
		int64_t found = next == MSEC_NEVER || next / 1000 > until ? INT64_MAX : next / 1000;
		if (found != expected)
			fail_msg("round %d after %s: %s, expected %s", round, show(after),
			         found == INT64_MAX ? "none" : show(found),
			         expected == INT64_MAX ? "none" : show(expected));
	}
}

static void texts_of_any_parts_are_read(void **state)
{
	(void)state;
	static const char *const parts[] = {"*",   "*/5", "1-5", "3",  "0", "mon", "jan", "1,2", "31", "7",  "30",
	                                    "2",   "feb", "/",   "-",  ",", "5-1", "x",   "@",   "",   " ",  "1-3/2",
	                                    "*/0", "59",  "23",  "12", "6", "sun", "\t",  "#",   "?",  "99", "fri-sun"};
	struct random random = {18};
	int good = 0;
	for (int round = 0; round < 200000; round++) {
		struct buffer text = BUFFER_EMPTY;
		struct timetable schedule;
		struct timetable_fault fault;
		for (int field = 0; field < 5; field++) {
			buffer_append_string(&text, parts[random_below(&random, 10 + random_below(&random, 24))]);
			buffer_append_string(&text, random_below(&random, 40) == 0 ? "" : " ");
		}
		if (timetable_parse(buffer_slice(&text), &schedule, &fault)) {
			good++;
			assert_true(schedule.minutes != 0 && schedule.minutes >> 60 == 0 && schedule.hours != 0 &&
			            schedule.hours >> 24 == 0 && schedule.months != 0 &&
			            (schedule.months & ~0x1ffeu) == 0 && schedule.weekdays != 0 &&
			            schedule.weekdays >> 7 == 0 && schedule.days != 0);
			assert_true(timetable_next(&schedule, &timetable_utc, 0) != MSEC_NEVER);
		} else {
			assert_true(fault.offset + fault.size <= text.size && strlen(fault.text) > 0);
		}
		buffer_finish(&text);
	}
	assert_true(good > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(next_time_is_strictly_after),
		cmocka_unit_test(fields_are_lists_ranges_and_steps),
		cmocka_unit_test(words_stand_for_five_fields),
		cmocka_unit_test(either_field_of_days_is_enough_when_neither_begins_with_a_star),
		cmocka_unit_test(time_in_a_gap_comes_once_right_after_it),
		cmocka_unit_test(time_that_comes_twice_counts_once),
		cmocka_unit_test(schedule_of_every_hour_goes_with_the_hours_that_there_are),
		cmocka_unit_test(wrong_schedules_say_where),
		cmocka_unit_test(next_time_is_what_a_slow_search_finds),
		cmocka_unit_test(texts_of_any_parts_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
