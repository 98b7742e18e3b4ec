/* What a client does: drawn at random, asked as a request, written down as a line. */
#ifndef CLUSTERD_CHAOS_OPERATION_H
#define CLUSTERD_CHAOS_OPERATION_H

#include "chaos_client.h"

#include "proto/wire.pb-c.h"
#include "wire/frame.h"

#define OPERATION_KEY_SIZE 80
#define OPERATION_VALUE_SIZE 32

enum operation_kind { OPERATION_GET, OPERATION_PUT, OPERATION_CAS, OPERATION_DELETE, OPERATION_START };

struct operation {
	enum operation_kind kind;
	char key[OPERATION_KEY_SIZE];
	uint32_t key_number;
	uint64_t epoch;
	char value[OPERATION_VALUE_SIZE]; /* of put and cas; the argument of a workflow */
	bool conditional;
	uint64_t expected;
	double invoked_us;
};

void operation_draw(struct operation *operation, struct population *population, enum operation_kind kind);
/* The request in the form that line_send takes; the parts live as long as the operation. */
struct operation_request {
	Clusterd__Wire__Request request;
	union {
		Clusterd__Wire__Get get;
		Clusterd__Wire__Put put;
		Clusterd__Wire__DeleteKey delete_key;
		Clusterd__Wire__Start start;
	};
	char *words[1];
	struct slice payload;
};
void operation_ask(const struct operation *operation, const struct population *population,
                   struct operation_request *ret_request);

/* What an answer means. */
enum operation_answer {
	ANSWER_FINAL,   /* this is what came of it */
	ANSWER_AGAIN,   /* ask again */
	ANSWER_EXPIRED, /* the session is gone: this was not executed now */
	ANSWER_WRONG,   /* should never come */
};
enum operation_answer operation_judge(const struct operation *operation, const Clusterd__Wire__Response *response);

/* Lines of the history, or of the list of workflows. `response` NULL: the outcome is not known. */
void operation_record(const struct operation *operation, struct population *population, uint64_t client,
                      double now_us, const Clusterd__Wire__Response *response, struct slice payload);
bool operation_changes(const struct operation *operation);

#endif
