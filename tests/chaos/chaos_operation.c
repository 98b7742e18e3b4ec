#include "chaos_operation.h"

#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- drawing ------------------------------------------------------------------------------------------------------- */

static void draw_key(struct operation *operation, struct population *population)
{
	operation->epoch = (uint64_t)(loop_now(population->loop) / population->epoch);
	if (operation->epoch != population->seen_epoch)
		memset(population->seen, 0, population->keys * sizeof *population->seen);
	population->seen_epoch = operation->epoch;
	operation->key_number = (uint32_t)random_below(&population->random, population->keys);
	snprintf(operation->key, sizeof operation->key, "%.40s.%" PRIu64 ".%" PRIu32, population->run, operation->epoch,
	         operation->key_number);
}

void operation_draw(struct operation *operation, struct population *population, enum operation_kind kind)
{
	*operation = (struct operation){.kind = kind};
	if (kind == OPERATION_START) {
		uint64_t number = ++population->workflows;
		snprintf(operation->key, sizeof operation->key, "%.40s.%" PRIu64, population->run, number);
		snprintf(operation->value, sizeof operation->value, "%" PRIu64, number);
		return;
	}
	draw_key(operation, population);
	snprintf(operation->value, sizeof operation->value, "v%" PRIu64, ++population->value);
	uint64_t seen = population->seen[operation->key_number];
	operation->conditional = kind == OPERATION_CAS || (kind == OPERATION_DELETE && random_below(&population->random, 2) == 0);
	/* Version 0 compares with a key that is not there; what is deleted has a version for sure. */
	if (operation->conditional && (kind == OPERATION_DELETE || random_below(&population->random, 5) != 0))
		operation->expected = seen;
	if (kind == OPERATION_DELETE && operation->expected == 0)
		operation->conditional = false;
}

bool operation_changes(const struct operation *operation)
{
	return operation->kind != OPERATION_GET;
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

void operation_ask(const struct operation *operation, const struct population *population,
                   struct operation_request *ret_request)
{
	Clusterd__Wire__Request *request = &ret_request->request;
	char *key = (char *)(uintptr_t)operation->key;
	clusterd__wire__request__init(request);
	ret_request->payload = SLICE("");
	switch (operation->kind) {
	case OPERATION_GET:
		clusterd__wire__get__init(&ret_request->get);
		ret_request->get.key = key;
		request->body_case = CLUSTERD__WIRE__REQUEST__BODY_GET;
		request->get = &ret_request->get;
		break;
	case OPERATION_PUT:
	case OPERATION_CAS:
		clusterd__wire__put__init(&ret_request->put);
		ret_request->put.key = key;
		ret_request->put.conditional = operation->conditional;
		ret_request->put.version = operation->expected;
		request->body_case = CLUSTERD__WIRE__REQUEST__BODY_PUT;
		request->put = &ret_request->put;
		ret_request->payload = slice_of(operation->value);
		break;
	case OPERATION_DELETE:
		clusterd__wire__delete_key__init(&ret_request->delete_key);
		ret_request->delete_key.key = key;
		ret_request->delete_key.conditional = operation->conditional;
		ret_request->delete_key.version = operation->expected;
		request->body_case = CLUSTERD__WIRE__REQUEST__BODY_DELETE_KEY;
		request->delete_key = &ret_request->delete_key;
		break;
	case OPERATION_START:
		clusterd__wire__start__init(&ret_request->start);
		ret_request->start.process = (char *)(uintptr_t)population->workflow;
		ret_request->start.key = key;
		ret_request->words[0] = (char *)(uintptr_t)operation->value;
		ret_request->start.words = ret_request->words;
		ret_request->start.n_words = 1;
		request->body_case = CLUSTERD__WIRE__REQUEST__BODY_START;
		request->start = &ret_request->start;
		break;
	}
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static bool is_again(int code)
{
	return code == ERR_BUSY || code == ERR_NOT_LEADER || code == ERR_CLOSED || code == ERR_TIMEOUT ||
	       code == ERR_NO_SPACE || code == ERR_IO;
}

enum operation_answer operation_judge(const struct operation *operation, const Clusterd__Wire__Response *response)
{
	int code = response->error != NULL ? response->error->code : 0;
	if (is_again(code))
		return ANSWER_AGAIN;
	if (code == ERR_EXPIRED)
		return ANSWER_EXPIRED;
	switch (operation->kind) {
	case OPERATION_GET:
		if (code == 0 && (response->body_case != CLUSTERD__WIRE__RESPONSE__BODY_KEYS || response->keys->n_keys != 1))
			return ANSWER_WRONG;
		return code == 0 || code == ERR_NOT_FOUND ? ANSWER_FINAL : ANSWER_WRONG;
	case OPERATION_PUT:
		return code == 0 && response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_WRITTEN ? ANSWER_FINAL : ANSWER_WRONG;
	case OPERATION_CAS:
		if (code == 0 && response->body_case != CLUSTERD__WIRE__RESPONSE__BODY_WRITTEN)
			return ANSWER_WRONG;
		return code == 0 || code == ERR_CONFLICT ? ANSWER_FINAL : ANSWER_WRONG;
	case OPERATION_DELETE:
		return code == 0 || code == ERR_NOT_FOUND || (code == ERR_CONFLICT && operation->conditional) ? ANSWER_FINAL
		                                                                                              : ANSWER_WRONG;
	default:
		return code == 0 && response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_STARTED ? ANSWER_FINAL : ANSWER_WRONG;
	}
}

/* --- the record ---------------------------------------------------------------------------------------------------- */

static void note_version(struct population *population, const struct operation *operation, uint64_t version)
{
	uint64_t *seen = &population->seen[operation->key_number];
	if (operation->epoch == population->seen_epoch && version > *seen)
		*seen = version;
}

static void record_get(FILE *file, const struct operation *operation, struct population *population,
                       const Clusterd__Wire__Response *response, struct slice payload)
{
	if (response->error != NULL && response->error->code != 0) {
		fprintf(file, "get %s = none\n", operation->key);
		return;
	}
	uint64_t version = response->keys->keys[0]->version;
	fprintf(file, "get %s = %.*s %" PRIu64 "\n", operation->key, SLICE_ARGS(payload), version);
	note_version(population, operation, version);
}

static void record_write(FILE *file, const struct operation *operation, struct population *population,
                         const Clusterd__Wire__Response *response)
{
	if (operation->kind == OPERATION_PUT)
		fprintf(file, "put %s %s = ", operation->key, operation->value);
	else
		fprintf(file, "cas %s %" PRIu64 " %s = ", operation->key, operation->expected, operation->value);
	if (response == NULL) {
		fputs("?\n", file);
	} else if (response->error != NULL && response->error->code != 0) {
		fputs("conflict\n", file);
	} else {
		fprintf(file, "%" PRIu64 "\n", response->written->version);
		note_version(population, operation, response->written->version);
	}
}

static void record_delete(FILE *file, const struct operation *operation, const Clusterd__Wire__Response *response)
{
	int code = response != NULL && response->error != NULL ? response->error->code : 0;
	const char *result = response == NULL ? "?" : code == 0 ? "ok" : code == ERR_CONFLICT ? "conflict" : "none";
	if (operation->conditional)
		fprintf(file, "delete %s %" PRIu64 " = %s\n", operation->key, operation->expected, result);
	else
		fprintf(file, "delete %s = %s\n", operation->key, result);
}

void operation_record(const struct operation *operation, struct population *population, uint64_t client,
                      double now_us, const Clusterd__Wire__Response *response, struct slice payload)
{
	if (operation->kind == OPERATION_START) {
		if (response == NULL)
			fprintf(population->started, "%s - %s\n", operation->key, operation->value);
		else
			fprintf(population->started, "%s %" PRIu64 " %s\n", operation->key, response->started->instance, operation->value);
		return;
	}
	if (response == NULL && operation->kind == OPERATION_GET)
		return;
	fprintf(population->history, "%" PRIu64 " %.0f ", client, operation->invoked_us);
	if (response == NULL)
		fputs("- ", population->history);
	else
		fprintf(population->history, "%.0f ", now_us);
	if (operation->kind == OPERATION_GET)
		record_get(population->history, operation, population, response, payload);
	else if (operation->kind == OPERATION_DELETE)
		record_delete(population->history, operation, response);
	else
		record_write(population->history, operation, population, response);
}
