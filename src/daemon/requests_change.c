#include "daemon/consistency.h"
#include "daemon/placing.h"

#include "base/json.h"
#include "base/memory.h"
#include "wire/content.h"

#include <inttypes.h>

/* Requests that change something are checked as far as they can be before they are proposed (values above all), then take
 * effect when their command is applied; its answer finds its way back by (session, sequence). */

#define KEY_MAX 256
#define SEQUENCE_END (UINT64_C(1) << 53) /* numbers that JSON carries exactly: answers are kept as JSON */

void request_propose(const struct request *request, struct command *command, enum answer_form form)
{
	command->session = request->message->session;
	command->sequence = request->message->sequence;
	command->answered_below = request->message->answered_below;
	request_wait(request, WAIT_ANSWER, command->session, command->sequence, form);
	node_propose(request->node, command, true);
}

static void respond_checked(const struct request *request, const struct buffer *warnings)
{
	struct buffer text = BUFFER_EMPTY;
	buffer_append_string(&text, "{\"processes\":[],\"diagnostics\":");
	json_quote(&text, buffer_slice(warnings));
	buffer_append_char(&text, '}');
	respond_text(request, buffer_slice(&text));
	buffer_finish(&text);
}

/* Jobs that are to run, and never could, are told at once. */
static int check_places(const struct node *node, const struct registration *registration, struct error *error)
{
	int code = 0;
	for (uint32_t i = 0; i < registration->count && code == 0; i++) {
		const struct definition *definition = registration->entries[i].definition;
		if (definition->kind != DEFINITION_JOB)
			continue;
		code = placing_check(node, definition->job, error);
		if (code != 0)
			error_prefix(error, "job %.*s", SLICE_ARGS(definition->name));
	}
	return code;
}

/* The registration is tried before it is proposed, so that what the log gets is accepted as a rule. When it is only to be
 * checked, this is the answer. False: it was refused, which was answered. */
static bool check_registration(const struct request *request, const struct command *command)
{
	struct node *node = request->node;
	struct buffer diagnostics = BUFFER_EMPTY;
	struct error error = {0};
	struct registration registration;
	size_t file_count = command->registering.file_count;
	size_t attachment_count = command->registering.attachment_count;
	struct source_file *files = mem_array(file_count, sizeof *files);
	struct attachment *attachments = mem_array(attachment_count, sizeof *attachments);
	for (size_t i = 0; i < file_count; i++)
		files[i] = (struct source_file){command->registering.files[i].path, command->registering.files[i].text};
	for (size_t i = 0; i < attachment_count; i++)
		attachments[i] = (struct attachment){command->registering.attachments[i].path,
		                                     command->registering.attachments[i].hash};
	int code = registry_register(machine_registry(node->machine), files, file_count, attachments, attachment_count,
	                             true, &registration, &diagnostics, &error);
	if (code == 0) {
		code = node_check_zones(node, &registration, &error);
		if (code == 0 && request->message->register_->plan)
			plan_answer(request, &registration, buffer_slice(&diagnostics));
		else if (code == 0 && request->message->register_->run_jobs)
			code = check_places(node, &registration, &error);
		if (code != 0)
			buffer_clear(&diagnostics); /* warnings only */
		registration_finish(&registration);
	}
	if (code != 0)
		respond_error(node, request->connection, request->stream, code,
		              diagnostics.size != 0 ? buffer_slice(&diagnostics) : slice_of(error.text));
	if (code == 0 && request->message->register_->check_only && !request->message->register_->plan)
		respond_checked(request, &diagnostics);
	buffer_finish(&diagnostics);
	mem_free(attachments);
	mem_free(files);
	return code == 0;
}

/* Contents are kept by their hash, once for all who name it: nobody may put another content there. */
static bool check_contents(const struct request *request)
{
	const Clusterd__Wire__Register *body = request->message->register_;
	for (size_t i = 0; i < body->n_attachments && !body->check_only && !body->plan; i++) {
		const Clusterd__Wire__Attachment *from = body->attachments[i];
		char hash[CONTENT_HASH_SIZE];
		content_hash((struct slice){(const char *)from->content.data, from->content.len}, hash);
		if (strcmp(hash, from->hash) != 0) {
			request_refuse(request, ERR_INVALID, "attachment %s: its content has the hash %s, not %s",
			               from->path, hash, from->hash);
			return false;
		}
	}
	return true;
}

static void request_register(const struct request *request)
{
	const Clusterd__Wire__Register *body = request->message->register_;
	struct command_file *files = mem_array(body->n_files, sizeof *files);
	struct command_attachment *attachments = mem_array(body->n_attachments, sizeof *attachments);
	struct command command = {.kind = body->run_jobs ? COMMAND_RUN_JOBS : COMMAND_REGISTER};
	for (size_t i = 0; i < body->n_files; i++)
		files[i] = (struct command_file){
			slice_of(body->files[i]->path),
			{(const char *)body->files[i]->text.data, body->files[i]->text.len},
		};
	for (size_t i = 0; i < body->n_attachments; i++) {
		const Clusterd__Wire__Attachment *from = body->attachments[i];
		attachments[i] = (struct command_attachment){slice_of(from->path),
		                                             slice_of(from->hash),
		                                             from->executable != 0,
		                                             {(const char *)from->content.data, from->content.len}};
	}
	command.registering.files = files;
	command.registering.file_count = body->n_files;
	command.registering.attachments = attachments;
	command.registering.attachment_count = body->n_attachments;
	if (check_contents(request) && check_registration(request, &command) && !body->check_only && !body->plan)
		request_propose(request, &command, ANSWER_PLAIN);
	mem_free(attachments);
	mem_free(files);
}

static void unknown_definition(const struct request *request, struct slice name, uint32_t version)
{
	const struct registry *registry = machine_registry(request->node->machine);
	struct slice nearest = registry_nearest(registry, name);
	if (version != 0 && registry_find(registry, name, 0) != NULL)
		request_refuse(request, ERR_NOT_FOUND, "%.*s has no version %u", SLICE_ARGS(name), version);
	else if (nearest.size != 0)
		request_refuse(request, ERR_NOT_FOUND, "there is no workflow %.*s; did you mean %.*s?",
		               SLICE_ARGS(name), SLICE_ARGS(nearest));
	else
		request_refuse(request, ERR_NOT_FOUND, "there is no workflow %.*s", SLICE_ARGS(name));
}

int request_words(const struct definition *workflow, char **words, size_t count, struct buffer *out, struct error *error)
{
	if (count > workflow->param_count)
		return error_set(error, ERR_INVALID, "%.*s%.*s takes %u argument%s, not %zu",
		                 SLICE_ARGS(workflow->name), SLICE_ARGS(workflow->signature), workflow->param_count,
		                 workflow->param_count == 1 ? "" : "s", count);
	buffer_append_char(out, '{');
	for (size_t i = 0; i < count; i++) {
		struct slice word = slice_of(words[i]);
		if (i > 0)
			buffer_append_char(out, ',');
		json_quote(out, workflow->params[i].name);
		buffer_append_char(out, ':');
		if (workflow->params[i].type->kind == TYPE_TEXT || json_check(word, NULL) != 0)
			json_quote(out, word);
		else
			buffer_append_slice(out, word);
	}
	buffer_append_char(out, '}');
	return 0;
}

static void propose_start(const struct request *request, const struct definition *workflow, struct slice args_json)
{
	const Clusterd__Wire__Start *body = request->message->start;
	struct error error = {0};
	struct buffer args = BUFFER_EMPTY;
	uint32_t limit = machine_settings(request->node->machine)->value_max;
	int code = 0;
	if (args_json.size > limit)
		code = error_set(&error, ERR_LIMIT,
		                 "the arguments have %zu bytes; at most %u are allowed (setting value_max)",
		                 args_json.size, limit);
	else
		code = definition_accept_args(workflow, args_json, &args, &error);
	if (code != 0) {
		request_refuse(request, code, "%s", error.text);
	} else {
		struct command command = {.kind = COMMAND_START};
		command.start.process = workflow->name;
		command.start.version = workflow->version;
		command.start.key = slice_of(body->key);
		command.start.args = buffer_slice(&args);
		request_propose(request, &command, body->wait ? ANSWER_AWAITED : ANSWER_PLAIN);
	}
	buffer_finish(&args);
}

static void request_start(const struct request *request)
{
	struct node *node = request->node;
	const Clusterd__Wire__Start *body = request->message->start;
	struct slice name = slice_of(body->process);
	const struct definition *workflow = registry_find(machine_registry(node->machine), name, body->version);
	struct error error = {0};
	struct buffer args = BUFFER_EMPTY;
	if (workflow == NULL) {
		unknown_definition(request, name, body->version);
		return;
	}
	if (workflow->kind != DEFINITION_WORKFLOW) {
		request_refuse(request, ERR_INVALID, "%s is a %s; only a workflow can be started", body->process,
		               definition_kind_name(workflow->kind));
		return;
	}
	if (strlen(body->key) > KEY_MAX) {
		request_refuse(request, ERR_LIMIT, "a key may have %d bytes, not %zu", KEY_MAX, strlen(body->key));
		return;
	}
	if (body->n_words == 0) {
		propose_start(request, workflow, request->payload.size != 0 ? request->payload : SLICE("{}"));
	} else if (request_words(workflow, body->words, body->n_words, &args, &error) != 0) {
		request_refuse(request, error.code, "%s", error.text);
	} else {
		propose_start(request, workflow, buffer_slice(&args));
	}
	buffer_finish(&args);
}

static void request_signal(const struct request *request)
{
	struct node *node = request->node;
	const Clusterd__Wire__Signal *body = request->message->signal;
	struct running *running;
	struct error error = {0};
	struct buffer value = BUFFER_EMPTY;
	const struct signal_type *type = NULL;
	struct slice key = body->key[0] != '\0' ? slice_of(body->key) : SLICE("null");
	if (machine_load(node->machine, body->instance, &running, &error) != 0) {
		node_fail(node, &error);
		return;
	}
	if (running == NULL) {
		request_refuse(request, ERR_CONFLICT, "workflow %" PRIu64 " does not exist or is not running",
		               body->instance);
		return;
	}
	for (uint32_t i = 0; i < running->workflow->signal_count; i++) {
		if (slice_is(running->workflow->signals[i].name, body->name))
			type = &running->workflow->signals[i];
	}
	if (type == NULL) {
		request_refuse(request, ERR_NOT_FOUND, "workflow %.*s waits for no signal \"%s\"",
		               SLICE_ARGS(running->workflow->name), body->name);
		return;
	}
	struct slice payload = request->payload.size != 0 ? request->payload : SLICE("null");
	int code = json_check(key, &error);
	if (code == 0)
		code = type_accept(type->type, payload, TYPE_ARGUMENT, &value, &error);
	if (code == 0 && value.size > machine_settings(node->machine)->value_max)
		code = error_set(&error, ERR_LIMIT,
		                 "the value has %zu bytes; at most %u are allowed (setting value_max)", value.size,
		                 machine_settings(node->machine)->value_max);
	if (code != 0) {
		request_refuse(request, code, "signal \"%s\": %s", body->name, error.text);
	} else {
		struct command command = {.kind = COMMAND_SIGNAL};
		command.signal.instance = body->instance;
		command.signal.name = type->name;
		command.signal.key = json_trim(key);
		command.signal.value = buffer_slice(&value);
		request_propose(request, &command, ANSWER_PLAIN);
	}
	buffer_finish(&value);
}

static void request_small(const struct request *request)
{
	const Clusterd__Wire__Request *message = request->message;
	struct command command = {0};
	switch (message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_CANCEL:
		command.kind = COMMAND_CANCEL;
		command.cancel.instance = message->cancel->instance;
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_RETRY:
		command.kind = COMMAND_RETRY;
		command.retry.instance = message->retry->instance;
		break;
	default:
		command.kind = COMMAND_SET_SETTING;
		command.set_setting.name = slice_of(message->set_setting->name);
		command.set_setting.value = slice_of(message->set_setting->value);
		break;
	}
	request_propose(request, &command, ANSWER_PLAIN);
}

static bool admit_session(const struct request *request)
{
	if (machine_session_count(request->node->machine) < NODE_SESSIONS_MAX)
		return true;
	request->node->counts.busy++;
	request_refuse(request, ERR_BUSY, "there are %u sessions: those that nobody uses end some time later",
	               NODE_SESSIONS_MAX);
	return false;
}

/* Whether a changing request may be proposed now; else it has been answered. */
static bool admit(const struct request *request)
{
	struct node *node = request->node;
	const Clusterd__Wire__Request *message = request->message;
	const struct answer *answer;
	if (node->draining) {
		request_refuse(request, ERR_CLOSED, "the node is shutting down and takes no new requests");
		return false;
	}
	if (node->refusal != NULL) {
		node->counts.busy++;
		request_refuse(request, ERR_BUSY, "%s", node->refusal);
		return false;
	}
	if (node_overloaded(node)) {
		node->counts.busy++;
		request_refuse(request, ERR_BUSY, "the node has %" PRIu64 " commands waiting: come back later",
		               raft_last_index(node->raft) - machine_applied_index(node->machine));
		return false;
	}
	if (message->body_case == CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION)
		return admit_session(request);
	if (message->session == 0 || message->sequence == 0) {
		request_refuse(request, ERR_INVALID,
		               "a request that changes something needs a session and a sequence number");
		return false;
	}
	if (message->sequence >= SEQUENCE_END) {
		request_refuse(request, ERR_INVALID, "a sequence number is below %" PRIu64 ", not %" PRIu64,
		               SEQUENCE_END, message->sequence);
		return false;
	}
	int known = machine_session_answer(node->machine, message->session, message->sequence, &answer);
	if (known < 0) {
		consistency_read(request); /* this node may lead no more, and another one know it: request_of_unknown_session */
		return false;
	}
	if (!request_shows_secret(request))
		return false;
	session_touch(node, message->session, request->connection);
	if (known == 0 && machine_answer_count(node->machine, message->session) >= NODE_ANSWERS_MAX) {
		node->counts.busy++;
		request_refuse(request, ERR_BUSY,
		               "session %" PRIu64
		               " has %u answers that its client does not say it has (answered_below)",
		               message->session, NODE_ANSWERS_MAX);
		return false;
	}
	if (known == 1) {
		bool wait = message->body_case == CLUSTERD__WIRE__REQUEST__BODY_START && message->start->wait;
		enum answer_form form = wait ? ANSWER_AWAITED : request_keys_form(message);
		if (form == ANSWER_PLAIN)
			form = request_topics_form(message);
		struct waiter waiter = {WAIT_ANSWER,         message->session, message->sequence,
		                        request->connection, request->stream,  form, NULL, 0};
		respond_answer(node, &waiter, answer);
		return false;
	}
	return true;
}

void request_change(const struct request *request)
{
	/* Not logged, but the leader's to answer; and only once it is sure that it has led when it was asked: another one may have
	 * granted the lease its full time before, and ended it. */
	if (request->message->body_case == CLUSTERD__WIRE__REQUEST__BODY_KEEP_SESSION) {
		if (!request_shows_secret(request))
			return;
		/* It is heard of now, however long the answer takes. */
		if (machine_session_proof(request->node->machine, request->message->session) != NULL)
			session_touch(request->node, request->message->session, request->connection);
	}
	if (request->message->body_case == CLUSTERD__WIRE__REQUEST__BODY_KEEP_LEASE ||
	    request->message->body_case == CLUSTERD__WIRE__REQUEST__BODY_KEEP_SESSION) {
		consistency_read(request);
		return;
	}
	if (!admit(request))
		return;
	switch (request->message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION:
		request_open_session(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_CLOSE_SESSION:
		request_close_session(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_REGISTER:
		request_register(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_START:
		request_start(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_SIGNAL:
		request_signal(request);
		machine_trim(request->node->machine); /* the instance may have been loaded for this */
		break;
	default:
		if (!request_keys_change(request) && !request_topics_change(request) && !request_jobs_change(request))
			request_small(request);
		break;
	}
}
