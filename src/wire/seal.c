#include "wire/seal.h"

#include <assert.h>

#include <xxhash.h>

#define MARK_SIZE 4
#define MARK_SEALED "cls1"
#define MARK_PLAIN "clp1"
#define PROOF_SIZE (SEAL_SIZE - MARK_SIZE)
#define LABEL "clusterd datagram"

_Static_assert(sizeof(XXH128_canonical_t) == PROOF_SIZE, "a checksum takes the place of the proof");

static void checksum(struct slice message, unsigned char ret_proof[PROOF_SIZE])
{
	XXH128_canonical_t canonical;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits(message.data, message.size));
	memcpy(ret_proof, canonical.digest, PROOF_SIZE);
}

void seal_append(struct buffer *out, const struct secret *secret, struct slice message)
{
	unsigned char proof[SECRET_PROOF_SIZE];
	assert(message.size <= SEAL_MESSAGE_MAX);
	if (secret != NULL)
		secret_prove(secret, LABEL, message, proof);
	else
		checksum(message, proof);
	buffer_append(out, secret != NULL ? MARK_SEALED : MARK_PLAIN, MARK_SIZE);
	buffer_append(out, proof, PROOF_SIZE);
	buffer_append_slice(out, message);
}

enum seal_refusal seal_open(const struct secret *secret, struct slice datagram, struct slice *ret_message)
{
	if (datagram.size < SEAL_SIZE || datagram.size > SEAL_DATAGRAM_MAX)
		return SEAL_SIZE_WRONG;
	bool sealed = memcmp(datagram.data, MARK_SEALED, MARK_SIZE) == 0;
	if (!sealed && memcmp(datagram.data, MARK_PLAIN, MARK_SIZE) != 0)
		return SEAL_UNKNOWN;
	if (sealed != (secret != NULL))
		return SEAL_NO_SECRET;
	const char *proof = datagram.data + MARK_SIZE;
	struct slice message = {datagram.data + SEAL_SIZE, datagram.size - SEAL_SIZE};
	unsigned char expected[PROOF_SIZE];
	if (!sealed)
		checksum(message, expected);
	bool intact = sealed ? secret_is_proof(secret, LABEL, message, proof, PROOF_SIZE)
	                     : secret_equal(expected, proof, PROOF_SIZE);
	if (!intact)
		return SEAL_BROKEN;
	*ret_message = message;
	return SEAL_INTACT;
}

const char *seal_refusal_name(enum seal_refusal refusal)
{
	static const char *const names[] = {"intact", "size", "unknown", "no_secret", "seal"};
	_Static_assert(sizeof names / sizeof names[0] == SEAL_REFUSAL_COUNT, "each has a name");
	return names[refusal];
}
