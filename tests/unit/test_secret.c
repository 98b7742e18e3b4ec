#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "wire/secret.h"

#include <stdio.h>

static struct secret *secret_of(struct slice text)
{
	struct secret *secret = NULL;
	assert_int_equal(secret_create(text, &secret, NULL), 0);
	return secret;
}

static void assert_proof(const unsigned char proof[SECRET_PROOF_SIZE], const char *hex)
{
	char text[2 * SECRET_PROOF_SIZE + 1];
	for (size_t i = 0; i < SECRET_PROOF_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", proof[i]);
	assert_string_equal(text, hex);
}

/* printf 'label\0hello' | openssl dgst -sha256 -hmac 'sixteen bytes...' */
static void proof_is_hmac_sha256(void **state)
{
	(void)state;
	struct secret *secret = secret_of(SLICE("sixteen bytes..."));
	unsigned char proof[SECRET_PROOF_SIZE];
	secret_prove(secret, "label", SLICE("hello"), proof);
	assert_proof(proof, "24e46e5a805d3e80fb1c910149868436a135412269bfc3b3c3ff48b24df620e3");
	secret_destroy(secret);
}

/* printf 'client token' | openssl dgst -sha256 -hmac 'sixteen bytes...' */
static void token_is_what_openssl_makes_of_the_secret(void **state)
{
	(void)state;
	struct secret *secret = secret_of(SLICE("sixteen bytes..."));
	char token[SECRET_TOKEN_SIZE];
	secret_token(secret, token);
	assert_string_equal(token, "daf7bb4a4b9a76db894d952decbcc951cac949adca54ad8456be9a8bf6a5c7a0");
	secret_destroy(secret);
}

static void blanks_around_the_text_do_not_count(void **state)
{
	(void)state;
	struct secret *plain = secret_of(SLICE("sixteen bytes..."));
	struct secret *padded = secret_of(SLICE(" \t\r\nsixteen bytes...\r\n\n "));
	unsigned char proof[SECRET_PROOF_SIZE];
	secret_prove(plain, "label", SLICE("hello"), proof);
	assert_true(secret_is_proof(padded, "label", SLICE("hello"), proof, sizeof proof));
	secret_destroy(plain);
	secret_destroy(padded);
}

static void secret_of_a_wrong_size_is_refused(void **state)
{
	(void)state;
	struct secret *secret = NULL;
	struct error error = {0};
	char *large = mem_alloc(SECRET_SIZE_MAX + 1);
	memset(large, 'x', SECRET_SIZE_MAX + 1);
	assert_int_equal(secret_create(SLICE("fifteen bytes.."), &secret, &error), ERR_LIMIT);
	assert_string_equal(error.text, "a cluster secret of 15 bytes; it must have 16 to 4096");
	assert_int_equal(secret_create(SLICE("  \n   \n       \n     "), &secret, &error), ERR_LIMIT);
	assert_int_equal(secret_create((struct slice){large, SECRET_SIZE_MAX + 1}, &secret, &error), ERR_LIMIT);
	assert_null(secret);
	secret_destroy(secret_of((struct slice){large, SECRET_SIZE_MAX}));
	mem_free(large);
}

static void proof_of_anything_else_is_none(void **state)
{
	(void)state;
	struct secret *secret = secret_of(SLICE("sixteen bytes..."));
	struct secret *other = secret_of(SLICE("sixteen bytes..!"));
	unsigned char proof[SECRET_PROOF_SIZE];
	secret_prove(secret, "label", SLICE("hello"), proof);
	assert_true(secret_is_proof(secret, "label", SLICE("hello"), proof, 16));
	assert_false(secret_is_proof(secret, "label", SLICE("hellO"), proof, 16));
	assert_false(secret_is_proof(secret, "labe", SLICE("lhello"), proof, 16));
	assert_false(secret_is_proof(secret, "lab", SLICE("hello"), proof, 16));
	assert_false(secret_is_proof(other, "label", SLICE("hello"), proof, 16));
	for (size_t i = 0; i < sizeof proof; i++) {
		proof[i] ^= 1;
		assert_false(secret_is_proof(secret, "label", SLICE("hello"), proof, sizeof proof));
		proof[i] ^= 1;
	}
	secret_destroy(secret);
	secret_destroy(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proof_is_hmac_sha256),
		cmocka_unit_test(token_is_what_openssl_makes_of_the_secret),
		cmocka_unit_test(blanks_around_the_text_do_not_count),
		cmocka_unit_test(secret_of_a_wrong_size_is_refused),
		cmocka_unit_test(proof_of_anything_else_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
