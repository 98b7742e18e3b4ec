#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "discovery/lines.h"

static struct places places;
static struct error error;

static void a_line_is_an_address(void **state)
{
	(void)state;
	assert_int_equal(lines_read(SLICE("# nodes\n10.0.0.1:9189\n\n  10.0.0.2:1 # the second\r\n\t[fd00::1]:2\t\n10.0.0.1:9189\n"
	                                  "10.0.0.3:3"), &places, &error), 0);
	assert_int_equal(places.count, 4);
	assert_string_equal(places.places[0].address, "10.0.0.1:9189");
	assert_string_equal(places.places[1].address, "10.0.0.2:1");
	assert_string_equal(places.places[2].address, "[fd00::1]:2");
	assert_string_equal(places.places[3].address, "10.0.0.3:3");
	assert_int_equal(lines_read(SLICE("# none\n"), &places, &error), 0);
	assert_int_equal(places.count, 0);
	assert_int_equal(lines_read(SLICE(""), &places, &error), 0);
}

static void a_line_that_is_none_is_named(void **state)
{
	(void)state;
	const struct slice bad[] = {
		SLICE("10.0.0.1:1\nhost:1\n"), SLICE("10.0.0.1:1\n10.0.0.1"), SLICE("10.0.0.1:1\n10.0.0.1:65536\n"),
		SLICE("10.0.0.1:1\n10.0.0.1:1 10.0.0.2:1\n"), SLICE("10.0.0.1:1\n10.0.0.1:1\0x\n"), SLICE("10.0.0.1:1\n\0\n"),
		SLICE("10.0.0.1:1\n0000000000000000000000000000000000000000000000000000000000000000000000000000000010.0.0.1:1\n"),
	};
	places.count = 4711;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(lines_read(bad[i], &places, &error), ERR_INVALID);
		assert_non_null(strstr(error.text, "line 2 is"));
	}
	assert_int_equal(places.count, 4711);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_an_address),
		cmocka_unit_test(a_line_that_is_none_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
