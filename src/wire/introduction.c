#include "wire/introduction.h"

static void add_text(struct buffer *transcript, const char *text)
{
	size_t size = strlen(text);
	buffer_append_u64(transcript, size);
	buffer_append(transcript, text, size);
}

static void add_node(struct buffer *transcript, const Clusterd__Wire__Introduction *node)
{
	buffer_append_u64(transcript, node->node);
	buffer_append_u64(transcript, node->generation);
	add_text(transcript, node->address);
	buffer_append_u64(transcript, node->nonce.len);
	buffer_append(transcript, node->nonce.data, node->nonce.len);
	buffer_append_u64(transcript, (uint64_t)node->has_secret << 1 | (uint64_t)node->exchanges);
}

void introduction_add_hello(struct buffer *transcript, const Clusterd__Wire__Hello *hello)
{
	buffer_append_u64(transcript, hello->magic);
	buffer_append_u64(transcript, hello->version_low);
	buffer_append_u64(transcript, hello->version_high);
	add_text(transcript, hello->cluster_id);
	add_text(transcript, hello->name);
	buffer_append_u64(transcript, (uint64_t)hello->role);
	buffer_append_u64(transcript, hello->features);
	add_text(transcript, hello->token);
	add_node(transcript, hello->peer);
}

void introduction_add_welcome(struct buffer *transcript, const Clusterd__Wire__Welcome *welcome)
{
	buffer_append_u64(transcript, welcome->version);
	add_text(transcript, welcome->cluster_id);
	add_text(transcript, welcome->node);
	buffer_append_u64(transcript, welcome->features);
	add_node(transcript, welcome->peer);
}

void introduction_prove(const struct secret *secret, const char *label, const struct buffer *transcript,
                        unsigned char ret_proof[SECRET_PROOF_SIZE], ProtobufCBinaryData *ret_bytes)
{
	*ret_bytes = (ProtobufCBinaryData){secret != NULL ? SECRET_PROOF_SIZE : 0, ret_proof};
	if (secret != NULL)
		secret_prove(secret, label, buffer_slice(transcript), ret_proof);
}

bool introduction_is_proof(const struct secret *secret, const char *label, const struct buffer *transcript,
                           const ProtobufCBinaryData *proof)
{
	if (secret == NULL)
		return proof->len == 0;
	return proof->len == SECRET_PROOF_SIZE &&
	       secret_is_proof(secret, label, buffer_slice(transcript), proof->data, SECRET_PROOF_SIZE);
}

int introduction_check(const Clusterd__Wire__Introduction *introduction, struct error *error)
{
	if (introduction == NULL)
		return error_set(error, ERR_INVALID, "a peer that does not introduce itself");
	if (introduction->node == 0 || introduction->generation == 0)
		return error_set(error, ERR_INVALID, "a peer without id or generation");
	if (introduction->nonce.len != INTRODUCTION_NONCE_SIZE)
		return error_set(error, ERR_INVALID, "a peer with a nonce of %zu bytes, it has %d", introduction->nonce.len,
		                 INTRODUCTION_NONCE_SIZE);
	return 0;
}
