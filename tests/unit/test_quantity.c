#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "workflow/quantity.h"

#include <stdbool.h>

static void bytes_are_read_with_their_unit(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t bytes;
	} rows[] = {
		{"0", 0},
		{"1", 1},
		{"4096", 4096},
		{"17B", 17},
		{"256MiB", UINT64_C(256) << 20},
		{"1.5GiB", UINT64_C(3) << 29},
		{"0.5KiB", 512},
		{"0.3GiB", 322122547},
		{"1024TiB", UINT64_C(1) << 50},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t bytes = 77;
		assert_true(quantity_bytes(slice_of(rows[i].text), UINT64_C(1) << 50, &bytes));
		assert_int_equal(bytes, rows[i].bytes);
	}
}

static void what_is_no_amount_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"MiB",
		"B",
		".5GiB",
		"5.GiB",
		"1.0000001GiB",
		"-1",
		"+1",
		" 1",
		"1 MiB",
		"1MB",
		"1kiB",
		"1e3",
		"0x10",
		"1.5",
		"1.5B",
		"1,5",
		"1025TiB",
		"99999999999999999999999",
		"1125899906842625",
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		uint64_t bytes = 77;
		assert_false(quantity_bytes(slice_of(texts[i]), UINT64_C(1) << 50, &bytes));
		assert_int_equal(bytes, 77);
	}
}

static void decimals_are_exact_or_cut(void **state)
{
	(void)state;
	uint64_t value = 0;
	assert_true(quantity_decimal(SLICE("0.5"), 1000, 1000000, true, &value));
	assert_int_equal(value, 500);
	assert_true(quantity_decimal(SLICE("1000.000"), 1000, 1000000, true, &value));
	assert_int_equal(value, 1000000);
	assert_false(quantity_decimal(SLICE("1000.001"), 1000, 1000000, true, &value));
	assert_false(quantity_decimal(SLICE("0.0005"), 1000, 1000000, true, &value));
	assert_true(quantity_decimal(SLICE("0.0005"), 1000, 1000000, false, &value));
	assert_int_equal(value, 0);
	assert_false(quantity_decimal(SLICE("0.9"), 1000, 800, true, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_read_with_their_unit),
		cmocka_unit_test(what_is_no_amount_is_refused),
		cmocka_unit_test(decimals_are_exact_or_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
