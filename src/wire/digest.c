#include "wire/digest.h"

#include <openssl/evp.h>

#include <assert.h>
#include <stdlib.h>

/* What fails here means that there is no memory, or no SHA-256 in this libcrypto: nothing can be trusted then. */
static void must(int done)
{
	if (done != 1)
		abort();
}

struct digest *digest_create(void)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	must(context != NULL);
	must(EVP_DigestInit_ex(context, EVP_sha256(), NULL));
	return (struct digest *)context;
}

void digest_destroy(struct digest *digest)
{
	EVP_MD_CTX_free((EVP_MD_CTX *)digest);
}

void digest_add(struct digest *digest, struct slice bytes)
{
	must(EVP_DigestUpdate((EVP_MD_CTX *)digest, bytes.data, bytes.size));
}

void digest_end(struct digest *digest, char ret_hex[DIGEST_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned size = 0;
	must(EVP_DigestFinal_ex((EVP_MD_CTX *)digest, bytes, &size));
	assert(size * 2 + 1 == DIGEST_SIZE);
	for (unsigned i = 0; i < size; i++) {
		ret_hex[2 * i] = digits[bytes[i] >> 4];
		ret_hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret_hex[2 * size] = '\0';
}

bool digest_is_hex(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return text.size == DIGEST_SIZE - 1;
}
