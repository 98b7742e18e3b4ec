#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"

static void text_is_a_terminated_copy(void **state)
{
	(void)state;
	char original[] = "abc";
	struct text *text = text_create(slice_of(original));
	original[0] = 'x';
	assert_string_equal(text->data, "abc");
	assert_true(slice_is(text_slice(text), "abc"));
	text_release(text);
}

static void it_lives_as_long_as_it_is_held(void **state)
{
	(void)state;
	struct text *text = text_create(SLICE("value"));
	assert_int_equal(text->references, 1);
	assert_ptr_equal(text_hold(text), text);
	assert_int_equal(text->references, 2);
	text_release(text);
	assert_int_equal(text->references, 1);
	assert_string_equal(text->data, "value");
	text_release(text);
}

static void nothing_may_be_held_and_released(void **state)
{
	(void)state;
	assert_null(text_hold(NULL));
	text_release(NULL);
}

static void empty_text_is_empty(void **state)
{
	(void)state;
	struct text *text = text_create((struct slice){NULL, 0});
	assert_int_equal(text_slice(text).size, 0);
	assert_string_equal(text->data, "");
	text_release(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_a_terminated_copy),
		cmocka_unit_test(it_lives_as_long_as_it_is_held),
		cmocka_unit_test(nothing_may_be_held_and_released),
		cmocka_unit_test(empty_text_is_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
