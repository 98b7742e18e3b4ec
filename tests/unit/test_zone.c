#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buffer.h"
#include "base/random.h"
#include "workflow/calendar.h"
#include "workflow/zone.h"
#include "workflow/zone_rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void append_big(struct buffer *out, uint64_t value, int size)
{
	for (int i = size - 1; i >= 0; i--)
		buffer_append_char(out, (char)(value >> (8 * i) & 0xff));
}

static void append_header(struct buffer *out, uint32_t changes, uint32_t types)
{
	buffer_append_string(out, "TZif2");
	for (int i = 0; i < 15; i++)
		buffer_append_char(out, '\0');
	const uint32_t counts[] = {0, 0, 0, changes, types, 0};
	for (int i = 0; i < 6; i++)
		append_big(out, counts[i], 4);
}

static void append_type(struct buffer *out, int32_t offset)
{
	append_big(out, (uint32_t)offset, 4);
	append_big(out, 0, 2);
}

/* Vienna between the wars and now, in short: 3933 s until −2422055121, one hour ahead until 0, then the rule. */
static void make_file(struct buffer *out, const char *rule)
{
	append_header(out, 0, 0);
	append_header(out, 2, 2);
	append_big(out, (uint64_t)INT64_C(-2422055121), 8);
	append_big(out, 0, 8);
	buffer_append_char(out, 1);
	buffer_append_char(out, 1);
	append_type(out, 3921);
	append_type(out, 3600);
	buffer_format(out, "\n%s\n", rule);
}

static void file_is_read(void **state)
{
	(void)state;
	struct buffer file = BUFFER_EMPTY;
	struct zone *zone;
	make_file(&file, "CET-1CEST,M3.5.0,M10.5.0/3");
	assert_int_equal(zone_parse(buffer_slice(&file), &zone, NULL), 0);
	assert_int_equal(zone_offset(zone, INT64_C(-2422055122)), 3921);
	assert_int_equal(zone_offset(zone, INT64_C(-2422055121)), 3600);
	assert_int_equal(zone_offset(zone, -1), 3600);
	assert_int_equal(zone_offset(zone, 1774745999), 3600);
	assert_int_equal(zone_offset(zone, 1774746000), 7200);
	assert_int_equal(zone_offset(zone, 1792889999), 7200);
	assert_int_equal(zone_offset(zone, 1792890000), 3600);
	zone_destroy(zone);
	buffer_clear(&file);
	make_file(&file, "");
	assert_int_equal(zone_parse(buffer_slice(&file), &zone, NULL), 0);
	assert_int_equal(zone_offset(zone, 1774746000), 3600);
	zone_destroy(zone);
	buffer_finish(&file);
}

static void schedule_goes_by_its_zone(void **state)
{
	(void)state;
	struct buffer file = BUFFER_EMPTY;
	struct zone *zone;
	struct timetable schedule;
	struct timetable_fault fault;
	make_file(&file, "CET-1CEST,M3.5.0,M10.5.0/3");
	assert_int_equal(zone_parse(buffer_slice(&file), &zone, NULL), 0);
	struct timetable_zone offsets = zone_offsets(zone);
	assert_true(timetable_parse(SLICE("30 2 * * *"), &schedule, &fault));
	/* 2026-03-28 12:00 UTC; the gap of the 29th ends at 01:00 UTC. */
	assert_true(timetable_next(&schedule, &offsets, INT64_C(1774699200000)) == INT64_C(1774746000000));
	zone_destroy(zone);
	buffer_finish(&file);
}

static void damaged_file_is_refused(void **state)
{
	(void)state;
	struct buffer file = BUFFER_EMPTY;
	struct zone *zone = NULL;
	struct error error;
	make_file(&file, "CET-1CEST,M3.5.0,M10.5.0/3");
	for (size_t size = 0; size < file.size; size++)
		assert_int_equal(zone_parse((struct slice){file.data, size}, &zone, &error), ERR_INVALID);
	buffer_clear(&file);
	make_file(&file, "CET-1CEST,M3.5.0");
	assert_int_equal(zone_parse(buffer_slice(&file), &zone, &error), ERR_INVALID);
	/* Any bytes changed: an answer, whichever. */
	struct random random = {5};
	for (int round = 0; round < 20000; round++) {
		buffer_clear(&file);
		make_file(&file, "CET-1CEST,M3.5.0,M10.5.0/3");
		for (uint64_t i = random_below(&random, 4); i < 4; i++)
			file.data[random_below(&random, file.size)] = (char)random_below(&random, 256);
		if (zone_parse(buffer_slice(&file), &zone, &error) != 0)
			continue;
		for (int i = 0; i < 10; i++)
			assert_true(labs(zone_offset(zone, (int64_t)(random_next(&random) >> 20) -
			                                           (INT64_C(1) << 43))) < 86400);
		zone_destroy(zone);
	}
	buffer_finish(&file);
}

static void rules_are_those_of_the_c_library(void **state)
{
	(void)state;
	static const char *const rules[] = {
		"UTC0",
		"CET-1CEST,M3.5.0,M10.5.0/3",
		"EST5EDT,M3.2.0,M11.1.0",
		"AEST-10AEDT,M10.1.0,M4.1.0/3",
		"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
		"IST-5:30",
		"<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
		"XXX3YYY,J60/0,J300/12:30:15",
		"XXX-2YYY-4,59,300",
		"IST-2IDT,M3.4.4/26,M10.5.0",
	};
	struct random random = {6};
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		struct zone_rule rule;
		assert_true(zone_rule_parse(slice_of(rules[i]), &rule));
		setenv("TZ", rules[i], 1);
		tzset();
		for (int round = 0; round < 3000; round++) {
			time_t utc = (time_t)random_below(&random, INT64_C(4102444800));
			struct tm tm;
			localtime_r(&utc, &tm);
			if (zone_rule_offset(&rule, utc) != tm.tm_gmtoff)
				fail_msg("%s at %lld: %d, expected %ld", rules[i], (long long)utc,
				         zone_rule_offset(&rule, utc), tm.tm_gmtoff);
		}
	}
	unsetenv("TZ");
}

static void wrong_rules_are_refused(void **state)
{
	(void)state;
	static const char *const rules[] = {
		"",
		"CE-1",
		"CET",
		"CET-25",
		"CET-1CEST",
		"CET-1CEST,M3.5.0",
		"CET-1CEST,M13.5.0,M10.5.0",
		"<+03",
		"CET-1CEST,M3.6.0,M10.5.0",
		"CET-1CEST,M3.5.0,M10.5.0x",
		"CET-1CEST,M3.5.0/168,M10.5.0",
		"CET-1:60",
	};
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		struct zone_rule rule;
		assert_false(zone_rule_parse(slice_of(rules[i]), &rule));
	}
}

static void days_and_dates_are_each_other(void **state)
{
	(void)state;
	assert_int_equal(calendar_day(1970, 1, 1), 0);
	assert_int_equal(calendar_day(2000, 3, 1), 11017);
	for (int64_t day = -800000; day < 800000; day++) {
		struct date date = calendar_date(day);
		assert_true(calendar_day(date.year, date.month, date.day) == day);
		time_t time = (time_t)(day * 86400);
		struct tm tm;
		if (day % 97 != 0)
			continue;
		gmtime_r(&time, &tm);
		assert_true(tm.tm_year + 1900 == date.year && tm.tm_mon + 1 == (int)date.month &&
		            tm.tm_mday == (int)date.day && tm.tm_wday == (int)date.weekday);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_is_read),
		cmocka_unit_test(schedule_goes_by_its_zone),
		cmocka_unit_test(damaged_file_is_refused),
		cmocka_unit_test(rules_are_those_of_the_c_library),
		cmocka_unit_test(wrong_rules_are_refused),
		cmocka_unit_test(days_and_dates_are_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
