#include "wire/secret.h"

#include "base/memory.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <assert.h>
#include <stdlib.h>

struct secret {
	size_t size;
	unsigned char bytes[];
};

static bool is_blank(char character)
{
	return character == ' ' || character == '\t' || character == '\r' || character == '\n';
}

int secret_create(struct slice text, struct secret **ret_secret, struct error *error)
{
	while (text.size > 0 && is_blank(text.data[0])) {
		text.data++;
		text.size--;
	}
	while (text.size > 0 && is_blank(text.data[text.size - 1]))
		text.size--;
	if (text.size < SECRET_SIZE_MIN || text.size > SECRET_SIZE_MAX)
		return error_set(error, ERR_LIMIT, "a cluster secret of %zu bytes; it must have %d to %d", text.size, SECRET_SIZE_MIN,
		                 SECRET_SIZE_MAX);
	struct secret *secret = mem_alloc(sizeof *secret + text.size);
	secret->size = text.size;
	memcpy(secret->bytes, text.data, text.size);
	*ret_secret = secret;
	return 0;
}

void secret_destroy(struct secret *secret)
{
	if (secret == NULL)
		return;
	OPENSSL_cleanse(secret->bytes, secret->size);
	mem_free(secret);
}

static void digest(const struct secret *secret, struct slice bytes, unsigned char ret_digest[SECRET_PROOF_SIZE])
{
	unsigned size = 0;
	/* NULL means that there is no memory, or no SHA-256 in this libcrypto: nothing can be trusted then. */
	if (HMAC(EVP_sha256(), secret->bytes, (int)secret->size, (const unsigned char *)bytes.data, bytes.size, ret_digest, &size) ==
	    NULL)
		abort();
	assert(size == SECRET_PROOF_SIZE);
}

void secret_prove(const struct secret *secret, const char *label, struct slice bytes,
                  unsigned char ret_proof[SECRET_PROOF_SIZE])
{
	struct buffer all = BUFFER_EMPTY;
	buffer_append(&all, label, strlen(label) + 1);
	buffer_append_slice(&all, bytes);
	digest(secret, buffer_slice(&all), ret_proof);
	buffer_finish(&all);
}

bool secret_is_proof(const struct secret *secret, const char *label, struct slice bytes, const void *proof, size_t size)
{
	unsigned char expected[SECRET_PROOF_SIZE];
	assert(size > 0 && size <= SECRET_PROOF_SIZE);
	secret_prove(secret, label, bytes, expected);
	return secret_equal(expected, proof, size);
}

static void print_hex(const unsigned char bytes[SECRET_PROOF_SIZE], char ret_text[SECRET_TOKEN_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < SECRET_PROOF_SIZE; i++) {
		ret_text[2 * i] = digits[bytes[i] >> 4];
		ret_text[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret_text[2 * (size_t)SECRET_PROOF_SIZE] = '\0';
}

void secret_token(const struct secret *secret, char ret_token[SECRET_TOKEN_SIZE])
{
	unsigned char bytes[SECRET_PROOF_SIZE];
	digest(secret, SLICE("client token"), bytes);
	print_hex(bytes, ret_token);
}

void secret_digest(struct slice client_secret, char ret_digest[SECRET_TOKEN_SIZE])
{
	static const unsigned char label[] = "session secret";
	unsigned char bytes[SECRET_PROOF_SIZE];
	unsigned size = 0;
	if (HMAC(EVP_sha256(), label, (int)sizeof label, (const unsigned char *)client_secret.data, client_secret.size, bytes,
	         &size) == NULL)
		abort();
	assert(size == SECRET_PROOF_SIZE);
	print_hex(bytes, ret_digest);
}

bool secret_equal(const void *left, const void *right, size_t size)
{
	return CRYPTO_memcmp(left, right, size) == 0;
}
