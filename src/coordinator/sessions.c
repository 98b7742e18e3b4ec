#include "coordinator/internal.h"

#include "base/json.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Sessions make requests take effect once: the answer to each sequence is kept, replicated, until the client says that it has
 * it (Raft dissertation, §6.3). In the catalog the answers of a session are one JSON array of
 * [sequence, code, number, existed, text]. */

struct session *session_find(const struct machine *machine, uint64_t id)
{
	struct session *session;
	HASH_FIND(hh, machine->sessions, &id, sizeof id, session);
	return session;
}

static void session_destroy(struct session *session)
{
	for (size_t i = 0; i < session->answer_count; i++)
		text_release(session->answers[i].text);
	mem_free(session->answers);
	mem_free(session);
}

static struct session *session_create(struct machine *machine, uint64_t id, msec opened)
{
	struct session *session = mem_zero(sizeof *session);
	session->id = id;
	session->opened_ms = opened;
	session->answered_below = 1;
	HASH_ADD(hh, machine->sessions, id, sizeof session->id, session);
	return session;
}

static void session_dirty(struct machine *machine, struct session *session)
{
	if (session->dirty)
		return;
	session->dirty = true;
	session->next_dirty = machine->dirty_sessions;
	machine->dirty_sessions = session;
}

static struct answer *session_known(const struct session *session, uint64_t sequence)
{
	for (size_t i = session->answer_count; i-- > 0;) {
		if (session->answers[i].sequence == sequence)
			return &session->answers[i];
	}
	return NULL;
}

static void session_forget_below(struct machine *machine, struct session *session, uint64_t below)
{
	size_t kept = 0;
	if (below <= session->answered_below)
		return;
	for (size_t i = 0; i < session->answer_count; i++) {
		if (session->answers[i].sequence >= below)
			session->answers[kept++] = session->answers[i];
		else
			text_release(session->answers[i].text);
	}
	session->answer_count = kept;
	session->answered_below = below;
	session_dirty(machine, session);
}

static void emit_answer(struct machine *machine, const struct command *command, const struct answer *answer)
{
	struct effect *effect = effect_add(machine, EFFECT_ANSWER, 0);
	effect->session = command->session;
	effect->sequence = command->sequence;
	effect->answer = *answer;
	text_hold(answer->text);
}

bool session_admit(struct machine *machine, const struct command *command, struct session **ret_session)
{
	*ret_session = NULL;
	if (command->session == 0)
		return true;
	struct session *session = session_find(machine, command->session);
	if (session == NULL) {
		session_answer(machine, NULL, command,
		               answer_error(ERR_EXPIRED, "session %" PRIu64 " is unknown or has expired: open a new one",
		                            command->session));
		return false;
	}
	const struct answer *known = session_known(session, command->sequence);
	if (known != NULL) {
		emit_answer(machine, command, known);
		return false;
	}
	if (command->sequence < session->answered_below) {
		session_answer(machine, NULL, command,
		               answer_error(ERR_EXPIRED,
		                            "request %" PRIu64 " of session %" PRIu64
		                            " is below those the client said it has the answers of (%" PRIu64 ")",
		                            command->sequence, session->id, session->answered_below));
		return false;
	}
	session_forget_below(machine, session, command->answered_below);
	*ret_session = session;
	return true;
}

struct answer answer_error(int code, const char *format, ...)
{
	struct error error;
	va_list args;
	va_start(args, format);
	error_setv(&error, code, format, args);
	va_end(args);
	return (struct answer){.code = code, .text = text_create(slice_of(error.text))};
}

void session_answer(struct machine *machine, struct session *session, const struct command *command,
                    struct answer take_answer)
{
	take_answer.sequence = command->sequence;
	emit_answer(machine, command, &take_answer);
	if (session == NULL || session->closed) {
		text_release(take_answer.text);
		return;
	}
	mem_grow(session->answers, session->answer_capacity, session->answer_count + 1);
	session->answers[session->answer_count++] = take_answer;
	session_dirty(machine, session);
}

void session_open(struct machine *machine, const struct command *command)
{
	struct session *session = session_create(machine, machine->next_session++, machine->now);
	session->ttl = command->open_session.ttl;
	if (command->open_session.proof.size != 0)
		memcpy(session->proof, command->open_session.proof.data, command->open_session.proof.size);
	session_dirty(machine, session);
	/* Whoever asked has no session yet: the asking node tells its requests apart by the number it put into `sequence`. */
	emit_answer(machine, command, &(struct answer){.number = session->id, .sequence = command->sequence});
}

int session_close(struct machine *machine, uint64_t id)
{
	struct session *session = session_find(machine, id);
	if (session == NULL)
		return 0;
	effect_add(machine, EFFECT_SESSION_CLOSED, 0)->session = id;
	owner_end(machine, id);
	HASH_DELETE(hh, machine->sessions, session);
	session->closed = true;
	session_dirty(machine, session); /* released by the flush */
	return 0;
}

static void answers_print(const struct session *session, struct buffer *out)
{
	buffer_append_char(out, '[');
	for (size_t i = 0; i < session->answer_count; i++) {
		const struct answer *answer = &session->answers[i];
		buffer_format(out, "%s[%" PRIu64 ",%d,%" PRIu64 ",%d,", i > 0 ? "," : "", answer->sequence, answer->code,
		              answer->number, answer->existed);
		if (answer->text != NULL)
			json_quote(out, text_slice(answer->text));
		else
			buffer_append_string(out, "null");
		buffer_append_char(out, ']');
	}
	buffer_append_char(out, ']');
}

int sessions_flush(struct machine *machine)
{
	int code = 0;
	while (machine->dirty_sessions != NULL && code == 0) {
		struct session *session = machine->dirty_sessions;
		machine->dirty_sessions = session->next_dirty;
		session->dirty = false;
		if (session->closed) {
			code = catalog_session_delete(machine->catalog, session->id);
			session_destroy(session);
			continue;
		}
		buffer_clear(&machine->scratch);
		answers_print(session, &machine->scratch);
		struct catalog_session row = {
			.id = session->id,
			.opened_ms = session->opened_ms,
			.answered_below = session->answered_below,
			.answers = buffer_slice(&machine->scratch),
			.ttl = session->ttl,
		};
		if (session->proof[0] != '\0')
			row.proof = slice_of(session->proof);
		code = catalog_session_put(machine->catalog, &row);
	}
	return code;
}

static bool answer_parse(struct slice row, struct answer *ret_answer)
{
	struct json_iterator fields;
	struct slice key;
	struct slice field[5];
	long long number[4];
	size_t count = 0;
	json_iterate(&fields, row);
	while (count < 5 && json_next(&fields, &key, &field[count]))
		count++;
	if (count != 5)
		return false;
	for (size_t i = 0; i < 4; i++) {
		if (json_integer(field[i], INT64_MIN, INT64_MAX, &number[i]) != 0)
			return false;
	}
	*ret_answer = (struct answer){.sequence = (uint64_t)number[0], .code = (int)number[1],
	                              .number = (uint64_t)number[2], .existed = number[3] != 0};
	if (json_kind(field[4]) == JSON_STRING) {
		struct buffer plain = BUFFER_EMPTY;
		json_unquote(&plain, field[4]);
		ret_answer->text = text_create(buffer_slice(&plain));
		buffer_finish(&plain);
	}
	return true;
}

static int session_loaded(void *context, const struct catalog_session *row)
{
	struct machine *machine = context;
	struct session *session = session_create(machine, row->id, row->opened_ms);
	struct json_iterator answers;
	struct slice key;
	struct slice answer;
	session->answered_below = row->answered_below;
	session->ttl = row->ttl;
	if (row->proof.size > SESSION_PROOF_SIZE || json_check(row->answers, NULL) != 0)
		return ERR_CORRUPT;
	if (row->proof.size != 0)
		memcpy(session->proof, row->proof.data, row->proof.size);
	json_iterate(&answers, row->answers);
	while (json_next(&answers, &key, &answer)) {
		mem_grow(session->answers, session->answer_capacity, session->answer_count + 1);
		if (!answer_parse(answer, &session->answers[session->answer_count]))
			return ERR_CORRUPT;
		session->answer_count++;
	}
	return 0;
}

int sessions_load(struct machine *machine, struct error *error)
{
	int code = catalog_sessions(machine->catalog, session_loaded, machine);
	if (code != 0)
		return error_set(error, code, "the sessions cannot be read from the catalog: %s",
		                 catalog_error(machine->catalog));
	return 0;
}

void sessions_release(struct machine *machine)
{
	struct session *session;
	struct session *next;
	/* In a transaction that could not be ended there are closed ones, which are in no table. */
	while (machine->dirty_sessions != NULL) {
		session = machine->dirty_sessions;
		machine->dirty_sessions = session->next_dirty;
		if (session->closed)
			session_destroy(session);
	}
	HASH_ITER(hh, machine->sessions, session, next) {
		HASH_DELETE(hh, machine->sessions, session);
		session_destroy(session);
	}
}

int machine_session_answer(const struct machine *machine, uint64_t session_id, uint64_t sequence,
                           const struct answer **ret_answer)
{
	const struct session *session = session_find(machine, session_id);
	if (session == NULL)
		return ERR_EXPIRED;
	const struct answer *known = session_known(session, sequence);
	if (known != NULL) {
		*ret_answer = known;
		return 1;
	}
	return sequence < session->answered_below ? ERR_EXPIRED : 0;
}

static int compare_ids(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;
	return a < b ? -1 : a > b;
}

size_t machine_sessions(const struct machine *machine, uint64_t *ret_ids, size_t count)
{
	size_t found = 0;
	for (const struct session *session = machine->sessions; session != NULL && found < count; session = session->hh.next)
		ret_ids[found++] = session->id;
	qsort(ret_ids, found, sizeof *ret_ids, compare_ids);
	return found;
}

const char *machine_session_proof(const struct machine *machine, uint64_t session_id)
{
	const struct session *session = session_find(machine, session_id);
	return session != NULL ? session->proof : NULL;
}

msec machine_session_ttl(const struct machine *machine, uint64_t session_id)
{
	const struct session *session = session_find(machine, session_id);
	return session != NULL ? session->ttl : 0;
}

size_t machine_session_count(const struct machine *machine)
{
	return HASH_COUNT(machine->sessions);
}

size_t machine_answer_count(const struct machine *machine, uint64_t session_id)
{
	const struct session *session = session_find(machine, session_id);
	return session != NULL ? session->answer_count : 0;
}
