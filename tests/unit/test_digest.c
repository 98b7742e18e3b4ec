#include "wire/digest.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

/* FIPS 180-2, appendix B. */
static void digest_is_that_of_the_standard(void **state)
{
	char hex[DIGEST_SIZE];
	struct digest *digest = digest_create();
	(void)state;
	digest_add(digest, SLICE("abc"));
	digest_end(digest, hex);
	digest_destroy(digest);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void pieces_are_one(void **state)
{
	static const char text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	char hex[DIGEST_SIZE];
	(void)state;
	for (size_t piece = 1; piece < sizeof text; piece += 7) {
		struct digest *digest = digest_create();
		for (size_t at = 0; at < sizeof text - 1; at += piece) {
			size_t rest = sizeof text - 1 - at;
			digest_add(digest, (struct slice){text + at, rest < piece ? rest : piece});
		}
		digest_end(digest, hex);
		digest_destroy(digest);
		assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	}
}

static void only_lower_case_hex_of_its_length_is_one(void **state)
{
	(void)state;
	assert_true(digest_is_hex(SLICE("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")));
	assert_false(digest_is_hex(SLICE("BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")));
	assert_false(digest_is_hex(SLICE("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a")));
	assert_false(digest_is_hex(SLICE("../816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")));
	assert_false(digest_is_hex(SLICE("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digest_is_that_of_the_standard),
		cmocka_unit_test(pieces_are_one),
		cmocka_unit_test(only_lower_case_hex_of_its_length_is_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
