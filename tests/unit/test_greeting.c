#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/greeting.h"

#include <stdio.h>

static struct greeting_config host;
static struct greeting_config guest;
static struct secret *secret;
static struct secret *other;
static struct error error;
static const char *refused; /* what the guest was told */

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(secret_create(SLICE("0123456789abcdef"), &secret, NULL), 0);
	assert_int_equal(secret_create(SLICE("0123456789abcdeg"), &other, NULL), 0);
	host = (struct greeting_config){.listens = true, .topic = "t", .kind = CLUSTERD__STREAM__KIND__KIND_STREAM,
	                                .schema = "Text", .life = 42, .name = ""};
	guest = (struct greeting_config){.topic = "t", .kind = CLUSTERD__STREAM__KIND__KIND_STREAM, .schema = "", .name = "me", .from = 9};
	refused = "";
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	secret_destroy(secret);
	secret_destroy(other);
	return 0;
}

/* From one to the other, `piece` bytes at a time; what is left over stays in `bytes`. */
static int give(struct greeting *to, struct buffer *bytes, size_t piece, struct buffer *out)
{
	struct buffer input = BUFFER_EMPTY;
	int code = 0;
	while (code == 0 && bytes->size != 0) {
		size_t some = piece < bytes->size ? piece : bytes->size;
		size_t taken;
		buffer_append(&input, bytes->data, some);
		buffer_consume(bytes, some);
		code = greeting_take(to, buffer_slice(&input), &taken, out, &error);
		buffer_consume(&input, taken);
	}
	buffer_finish(&input);
	return code;
}

/* 0: both are open. Else the code that the one who notices has. */
static int meet(size_t piece, struct greeting *ret_host, struct greeting *ret_guest)
{
	static char text[ERROR_TEXT_SIZE];
	unsigned char first[GREETING_NONCE_SIZE] = "drawn by who listens";
	unsigned char second[GREETING_NONCE_SIZE] = "drawn by who connects";
	struct buffer to_host = BUFFER_EMPTY;
	struct buffer to_guest = BUFFER_EMPTY;
	greeting_begin(ret_host, &host, first, &to_guest);
	greeting_begin(ret_guest, &guest, second, &to_host);
	int code = 0;
	for (int i = 0; code == 0 && i < 2; i++) {
		int there = give(ret_host, &to_host, piece, &to_guest);
		int here = give(ret_guest, &to_guest, piece, &to_host);
		if (there != 0 && !ret_guest->open) {
			assert_int_equal(here, there); /* it hears of it */
			snprintf(text, sizeof text, "%s", error.text);
			refused = text;
		}
		code = there != 0 ? there : here;
	}
	buffer_finish(&to_host);
	buffer_finish(&to_guest);
	return code;
}

static void two_with_the_same_token_or_none_come_together(void **state)
{
	struct greeting a;
	struct greeting b;
	(void)state;
	for (size_t piece = 1; piece < 200; piece += 13) {
		host.secret = guest.secret = piece % 2 == 0 ? secret : NULL;
		assert_int_equal(meet(piece, &a, &b), 0);
		assert_true(a.open && b.open && a.from == 9 && b.life == 42);
		assert_string_equal(b.schema, "Text");
	}
}

static void another_token_or_none_is_refused_by_either_side(void **state)
{
	struct greeting a;
	struct greeting b;
	(void)state;
	host.secret = secret;
	guest.secret = other;
	assert_int_equal(meet(100, &a, &b), ERR_DENIED);
	assert_true(!a.open && !b.open);
	guest.secret = NULL;
	assert_int_equal(meet(100, &a, &b), ERR_DENIED);
	host.secret = NULL;
	guest.secret = secret;
	assert_int_equal(meet(100, &a, &b), ERR_DENIED);
	assert_true(!a.open && !b.open);
}

/* Somebody without the token, who says what is not so. */
static void a_proof_that_is_made_up_is_refused(void **state)
{
	struct greeting a;
	unsigned char nonce[GREETING_NONCE_SIZE] = "n";
	unsigned char made_up[SECRET_PROOF_SIZE] = "p";
	struct buffer hello = BUFFER_EMPTY;
	struct buffer out = BUFFER_EMPTY;
	struct greeting b;
	size_t taken;
	(void)state;
	host.secret = secret;
	greeting_begin(&a, &host, nonce, &out);
	greeting_begin(&b, &guest, nonce, &hello);
	assert_int_equal(greeting_take(&a, buffer_slice(&hello), &taken, &out, &error), 0);
	Clusterd__Stream__Proof proof = CLUSTERD__STREAM__PROOF__INIT;
	for (size_t size = 0; size <= sizeof made_up; size += sizeof made_up) {
		struct greeting copy = a;
		char body[100];
		char head[STREAM_HEADER_SIZE];
		proof.proof = (ProtobufCBinaryData){size, made_up};
		size_t packed = protobuf_c_message_pack(&proof.base, (uint8_t *)body);
		stream_frame_head(head, STREAM_PROOF, 0, (struct slice){body, packed});
		buffer_clear(&hello);
		buffer_append(&hello, head, sizeof head);
		buffer_append(&hello, body, packed);
		assert_int_equal(greeting_take(&copy, buffer_slice(&hello), &taken, &out, &error), ERR_DENIED);
		assert_false(copy.open);
	}
	buffer_finish(&hello);
	buffer_finish(&out);
}

static void who_wants_something_else_hears_so(void **state)
{
	struct greeting a;
	struct greeting b;
	(void)state;
	guest.topic = "u";
	assert_int_equal(meet(100, &a, &b), ERR_NOT_FOUND);
	assert_string_equal(refused, "here is the topic t, not u");
	guest.topic = "t";
	guest.kind = CLUSTERD__STREAM__KIND__KIND_SERVICE;
	assert_int_equal(meet(100, &a, &b), ERR_TYPE);
	assert_string_equal(refused, "t is a stream, not a service");
	guest.kind = host.kind;
	guest.schema = "Number";
	assert_int_equal(meet(100, &a, &b), ERR_TYPE);
	assert_string_equal(refused, "the schema of t is Text, not Number");
	guest.schema = "Text";
	assert_int_equal(meet(100, &a, &b), 0);
}

static void epochs_of_another_run_are_no_place_to_begin(void **state)
{
	struct greeting a;
	struct greeting b;
	(void)state;
	guest.life = 42;
	assert_int_equal(meet(100, &a, &b), 0);
	assert_true(a.from == 9);
	guest.life = 41;
	assert_int_equal(meet(100, &a, &b), 0);
	assert_true(a.from == STREAM_FROM_NOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(two_with_the_same_token_or_none_come_together, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_token_or_none_is_refused_by_either_side, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_proof_that_is_made_up_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_wants_something_else_hears_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(epochs_of_another_run_are_no_place_to_begin, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
