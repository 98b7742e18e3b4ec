#include "daemon/node_internal.h"

#include "base/json.h"
#include "base/memory.h"
#include "wire/content.h"

#include <assert.h>
#include <inttypes.h>

/* What clients ask. Requests that change something are checked as far as they can be before they are proposed (values above
 * all), then take effect when their command is applied; its answer finds its way back by (session, sequence). */

#define BUSY_RETRY_MS 100
#define KEY_MAX 256
#define SEQUENCE_END (UINT64_C(1) << 53) /* numbers that JSON carries exactly: answers are kept as JSON */

struct request {
	struct node *node;
	uint64_t connection;
	uint32_t stream;
	const Clusterd__Wire__Request *message;
	struct slice payload;
};

/* --- answers ------------------------------------------------------------------------------------------------------- */

static void respond(struct node *node, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                    struct slice payload)
{
	node->host->respond(node->context, connection, stream, response, payload);
}

void respond_error(struct node *node, uint64_t connection, uint32_t stream, int code, struct slice text)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Error error = CLUSTERD__WIRE__ERROR__INIT;
	struct buffer plain = BUFFER_EMPTY;
	buffer_append_slice(&plain, text);
	error.code = code;
	error.text = (char *)(uintptr_t)buffer_string(&plain);
	if (code == ERR_BUSY)
		error.retry_after_ms = BUSY_RETRY_MS;
	response.error = &error;
	respond(node, connection, stream, &response, SLICE(""));
	buffer_finish(&plain);
}

static void refuse(const struct request *request, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void refuse(const struct request *request, int code, const char *format, ...)
{
	struct error error;
	va_list args;
	va_start(args, format);
	error_setv(&error, code, format, args);
	va_end(args);
	request->node->counts.refused++;
	respond_error(request->node, request->connection, request->stream, code, slice_of(error.text));
}

static void respond_text(const struct request *request, struct slice text)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Text body = CLUSTERD__WIRE__TEXT__INIT;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_TEXT;
	response.text = &body;
	respond(request->node, request->connection, request->stream, &response, text);
}

void respond_finished(struct node *node, const struct waiter *waiter, uint64_t instance, const char *state,
                      struct slice result, struct slice error)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Finished body = CLUSTERD__WIRE__FINISHED__INIT;
	struct buffer text = BUFFER_EMPTY;
	buffer_append_slice(&text, error);
	body.instance = instance;
	body.state = (char *)(uintptr_t)state;
	body.error = (char *)(uintptr_t)buffer_string(&text);
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_FINISHED;
	response.finished = &body;
	respond(node, waiter->connection, waiter->stream, &response, result);
	buffer_finish(&text);
}

void respond_grown(struct node *node, const struct waiter *waiter, uint64_t instance, uint64_t seq, bool finished)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Grown body = CLUSTERD__WIRE__GROWN__INIT;
	body.instance = instance;
	body.seq = seq;
	body.finished = finished;
	response.more = !finished;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_GROWN;
	response.grown = &body;
	respond(node, waiter->connection, waiter->stream, &response, SLICE(""));
}

static void add_waiter(const struct request *request, enum wait_kind kind, uint64_t first, uint64_t second,
                       uint64_t more)
{
	struct waiter waiter = {kind, first, second, request->connection, request->stream, more};
	waiters_add(request->node->waiters, &waiter);
}

/* Answers with the end of an instance, now or when it comes. */
static void await_instance(const struct request *request, uint64_t id)
{
	struct node *node = request->node;
	struct catalog_instance row;
	int code = catalog_instance_read(node->catalog, id, &row);
	if (code == ERR_NOT_FOUND) {
		refuse(request, ERR_NOT_FOUND, "there is no workflow with the id %" PRIu64, id);
	} else if (code != 0) {
		refuse(request, code, "the catalog cannot be read: %s", catalog_error(node->catalog));
	} else if (row.finished_ms == 0) {
		add_waiter(request, WAIT_FINISHED, id, 0, 0);
	} else {
		struct waiter self = {WAIT_FINISHED, id, 0, request->connection, request->stream, 0};
		struct buffer state = BUFFER_EMPTY;
		buffer_append_slice(&state, row.state);
		respond_finished(node, &self, id, buffer_string(&state), row.result.data != NULL ? row.result : SLICE(""),
		                 row.error.data != NULL ? row.error : SLICE(""));
		buffer_finish(&state);
	}
}

/* What was registered, from the JSON that the state machine answered. */
static void respond_registered(struct node *node, const struct waiter *waiter, struct slice json)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Text body = CLUSTERD__WIRE__TEXT__INIT;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_TEXT;
	response.text = &body;
	respond(node, waiter->connection, waiter->stream, &response, json);
}

void respond_answer(struct node *node, const struct waiter *waiter, const struct answer *answer)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Opened opened = CLUSTERD__WIRE__OPENED__INIT;
	Clusterd__Wire__Started started = CLUSTERD__WIRE__STARTED__INIT;
	struct request request = {.node = node, .connection = waiter->connection, .stream = waiter->stream};
	if (answer->code != 0) {
		respond_error(node, waiter->connection, waiter->stream, answer->code,
		              answer->text != NULL ? text_slice(answer->text) : SLICE(""));
		return;
	}
	if (answer->text != NULL) {
		respond_registered(node, waiter, text_slice(answer->text));
		return;
	}
	if (waiter->first == 0) {
		opened.session = answer->number;
		opened.time_to_live_ms = (uint64_t)machine_settings(node->machine)->session_ttl;
		response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_OPENED;
		response.opened = &opened;
	} else if (answer->number != 0 && waiter->more != 0) {
		await_instance(&request, answer->number);
		return;
	} else if (answer->number != 0) {
		started.instance = answer->number;
		started.existed = answer->existed;
		response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_STARTED;
		response.started = &started;
	}
	respond(node, waiter->connection, waiter->stream, &response, SLICE(""));
}

/* --- changing requests --------------------------------------------------------------------------------------------- */

static void propose(const struct request *request, struct command *command, bool wait)
{
	command->session = request->message->session;
	command->sequence = request->message->sequence;
	command->answered_below = request->message->answered_below;
	add_waiter(request, WAIT_ANSWER, command->session, command->sequence, wait ? 1 : 0);
	node_propose(request->node, command, true);
}

static void request_open_session(const struct request *request)
{
	struct node *node = request->node;
	struct command command = {.kind = COMMAND_OPEN_SESSION, .sequence = node->next_nonce++};
	add_waiter(request, WAIT_ANSWER, 0, command.sequence, 0);
	node_propose(node, &command, true);
}

static void request_close_session(const struct request *request)
{
	struct command command = {.kind = COMMAND_CLOSE_SESSION};
	command.close_session.sessions = &request->message->session;
	command.close_session.count = 1;
	propose(request, &command, false);
}

/* The registration is tried before it is proposed, so that what the log gets is accepted as a rule. */
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
	int code = registry_register(machine_registry(node->machine), files, file_count, attachments, attachment_count, true,
	                             &registration, &diagnostics, &error);
	if (code == 0)
		registration_finish(&registration);
	else
		respond_error(node, request->connection, request->stream, code,
		              diagnostics.size != 0 ? buffer_slice(&diagnostics) : slice_of(error.text));
	buffer_finish(&diagnostics);
	mem_free(attachments);
	mem_free(files);
	return code == 0;
}

/* Contents are kept by their hash, once for all who name it: nobody may put another content there. */
static bool check_contents(const struct request *request)
{
	const Clusterd__Wire__Register *body = request->message->register_;
	for (size_t i = 0; i < body->n_attachments && !body->check_only; i++) {
		const Clusterd__Wire__Attachment *from = body->attachments[i];
		char hash[CONTENT_HASH_SIZE];
		content_hash((struct slice){(const char *)from->content.data, from->content.len}, hash);
		if (strcmp(hash, from->hash) != 0) {
			refuse(request, ERR_INVALID, "attachment %s: its content has the hash %s, not %s", from->path, hash, from->hash);
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
	struct command command = {.kind = COMMAND_REGISTER};
	for (size_t i = 0; i < body->n_files; i++)
		files[i] = (struct command_file){
			slice_of(body->files[i]->path),
			{(const char *)body->files[i]->text.data, body->files[i]->text.len},
		};
	for (size_t i = 0; i < body->n_attachments; i++) {
		const Clusterd__Wire__Attachment *from = body->attachments[i];
		attachments[i] = (struct command_attachment){slice_of(from->path), slice_of(from->hash), from->executable != 0,
		                                             {(const char *)from->content.data, from->content.len}};
	}
	command.registering.files = files;
	command.registering.file_count = body->n_files;
	command.registering.attachments = attachments;
	command.registering.attachment_count = body->n_attachments;
	if (check_contents(request) && check_registration(request, &command)) {
		if (body->check_only)
			respond_text(request, SLICE("{\"processes\":[],\"diagnostics\":\"\"}"));
		else
			propose(request, &command, false);
	}
	mem_free(attachments);
	mem_free(files);
}

static void unknown_definition(const struct request *request, struct slice name, uint32_t version)
{
	const struct registry *registry = machine_registry(request->node->machine);
	struct slice nearest = registry_nearest(registry, name);
	if (version != 0 && registry_find(registry, name, 0) != NULL)
		refuse(request, ERR_NOT_FOUND, "%.*s has no version %u", SLICE_ARGS(name), version);
	else if (nearest.size != 0)
		refuse(request, ERR_NOT_FOUND, "there is no workflow %.*s; did you mean %.*s?", SLICE_ARGS(name),
		       SLICE_ARGS(nearest));
	else
		refuse(request, ERR_NOT_FOUND, "there is no workflow %.*s", SLICE_ARGS(name));
}

/* What a person typed, as the object that a program would send. */
static int words_to_args(const struct definition *workflow, char **words, size_t count, struct buffer *out,
                         struct error *error)
{
	if (count > workflow->param_count)
		return error_set(error, ERR_INVALID, "%.*s%.*s takes %u argument%s, not %zu", SLICE_ARGS(workflow->name),
		                 SLICE_ARGS(workflow->signature), workflow->param_count, workflow->param_count == 1 ? "" : "s",
		                 count);
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
		code = error_set(&error, ERR_LIMIT, "the arguments have %zu bytes; at most %u are allowed (setting value_max)",
		                 args_json.size, limit);
	else
		code = definition_accept_args(workflow, args_json, &args, &error);
	if (code != 0) {
		refuse(request, code, "%s", error.text);
	} else {
		struct command command = {.kind = COMMAND_START};
		command.start.process = workflow->name;
		command.start.version = workflow->version;
		command.start.key = slice_of(body->key);
		command.start.args = buffer_slice(&args);
		propose(request, &command, body->wait != 0);
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
		refuse(request, ERR_INVALID, "%s is a process; only a workflow can be started", body->process);
		return;
	}
	if (strlen(body->key) > KEY_MAX) {
		refuse(request, ERR_LIMIT, "a key may have %d bytes, not %zu", KEY_MAX, strlen(body->key));
		return;
	}
	if (body->n_words == 0) {
		propose_start(request, workflow, request->payload.size != 0 ? request->payload : SLICE("{}"));
	} else if (words_to_args(workflow, body->words, body->n_words, &args, &error) != 0) {
		refuse(request, error.code, "%s", error.text);
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
		refuse(request, ERR_CONFLICT, "workflow %" PRIu64 " does not exist or is not running", body->instance);
		return;
	}
	for (uint32_t i = 0; i < running->workflow->signal_count; i++) {
		if (slice_is(running->workflow->signals[i].name, body->name))
			type = &running->workflow->signals[i];
	}
	if (type == NULL) {
		refuse(request, ERR_NOT_FOUND, "workflow %.*s waits for no signal \"%s\"", SLICE_ARGS(running->workflow->name),
		       body->name);
		return;
	}
	struct slice payload = request->payload.size != 0 ? request->payload : SLICE("null");
	int code = json_check(key, &error);
	if (code == 0)
		code = type_accept(type->type, payload, TYPE_ARGUMENT, &value, &error);
	if (code == 0 && value.size > machine_settings(node->machine)->value_max)
		code = error_set(&error, ERR_LIMIT, "the value has %zu bytes; at most %u are allowed (setting value_max)",
		                 value.size, machine_settings(node->machine)->value_max);
	if (code != 0) {
		refuse(request, code, "signal \"%s\": %s", body->name, error.text);
	} else {
		struct command command = {.kind = COMMAND_SIGNAL};
		command.signal.instance = body->instance;
		command.signal.name = type->name;
		command.signal.key = json_trim(key);
		command.signal.value = buffer_slice(&value);
		propose(request, &command, false);
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
	propose(request, &command, false);
}

static bool admit_session(const struct request *request)
{
	if (machine_session_count(request->node->machine) < NODE_SESSIONS_MAX)
		return true;
	request->node->counts.busy++;
	refuse(request, ERR_BUSY, "there are %u sessions: those that nobody uses end some time later", NODE_SESSIONS_MAX);
	return false;
}

/* Whether a changing request may be proposed now; else it has been answered. */
static bool admit(const struct request *request)
{
	struct node *node = request->node;
	const Clusterd__Wire__Request *message = request->message;
	const struct answer *answer;
	if (!node->ready || !node->leader) {
		refuse(request, ERR_BUSY, "the node is starting: it is not ready yet");
		return false;
	}
	if (node->draining) {
		refuse(request, ERR_CLOSED, "the node is shutting down and takes no new requests");
		return false;
	}
	if (node->refusal != NULL) {
		node->counts.busy++;
		refuse(request, ERR_BUSY, "%s", node->refusal);
		return false;
	}
	if (node_overloaded(node)) {
		node->counts.busy++;
		refuse(request, ERR_BUSY, "the node has %zu commands waiting: come back later", node->entry_count);
		return false;
	}
	if (message->body_case == CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION)
		return admit_session(request);
	if (message->session == 0 || message->sequence == 0) {
		refuse(request, ERR_INVALID, "a request that changes something needs a session and a sequence number");
		return false;
	}
	if (message->sequence >= SEQUENCE_END) {
		refuse(request, ERR_INVALID, "a sequence number is below %" PRIu64 ", not %" PRIu64, SEQUENCE_END,
		       message->sequence);
		return false;
	}
	int known = machine_session_answer(node->machine, message->session, message->sequence, &answer);
	if (known < 0) {
		refuse(request, ERR_EXPIRED, "session %" PRIu64 " is unknown or has expired: open a new one", message->session);
		return false;
	}
	session_touch(node, message->session, request->connection);
	if (known == 0 && machine_answer_count(node->machine, message->session) >= NODE_ANSWERS_MAX) {
		node->counts.busy++;
		refuse(request, ERR_BUSY, "session %" PRIu64 " has %u answers that its client does not say it has (answered_below)",
		       message->session, NODE_ANSWERS_MAX);
		return false;
	}
	if (known == 1) {
		bool wait = message->body_case == CLUSTERD__WIRE__REQUEST__BODY_START && message->start->wait;
		struct waiter waiter = {WAIT_ANSWER,         message->session, message->sequence,
		                        request->connection, request->stream,  wait ? 1 : 0};
		respond_answer(node, &waiter, answer);
		return false;
	}
	return true;
}

/* --- reading requests ---------------------------------------------------------------------------------------------- */

static void request_query(const struct request *request)
{
	const Clusterd__Wire__Query *body = request->message->query;
	struct node_query query = {
		.sql = body->sql,
		.parameters = body->parameters,
		.parameter_count = body->n_parameters,
		.row_limit = body->row_limit,
		.time_limit = body->time_limit_ms,
	};
	request->node->host->query(request->node->context, request->connection, request->stream, &query);
}

static void request_status(const struct request *request)
{
	struct node *node = request->node;
	if (request->message->status->wait_ready && !node->ready) {
		add_waiter(request, WAIT_READY, 0, 0, 0);
		return;
	}
	buffer_clear(&node->scratch);
	status_print(node, &node->scratch);
	respond_text(request, buffer_slice(&node->scratch));
}

static void request_watch(const struct request *request)
{
	struct node *node = request->node;
	uint64_t id = request->message->watch->instance;
	uint64_t seq = machine_history_seq(node->machine);
	struct waiter waiter = {WAIT_GROWN, id, 0, request->connection, request->stream, request->message->watch->after};
	struct catalog_instance row;
	int code = id != 0 ? catalog_instance_read(node->catalog, id, &row) : 0;
	if (code == ERR_NOT_FOUND) {
		refuse(request, ERR_NOT_FOUND, "there is no workflow with the id %" PRIu64, id);
		return;
	}
	if (code == 0 && id != 0 && row.finished_ms != 0) {
		respond_grown(node, &waiter, id, seq, true);
		return;
	}
	if (seq > waiter.more) {
		respond_grown(node, &waiter, id, seq, false);
		waiter.more = seq;
	}
	waiters_add(node->waiters, &waiter);
}

static void request_inspect(const struct request *request)
{
	struct node *node = request->node;
	const Clusterd__Wire__Inspect *body = request->message->inspect;
	struct buffer text = BUFFER_EMPTY;
	struct error error = {0};
	int code = ERR_INVALID;
	if (body->what_case == CLUSTERD__WIRE__INSPECT__WHAT_PROCESS)
		code = inspect_process(node, body->process, &text, &error);
	else if (body->what_case == CLUSTERD__WIRE__INSPECT__WHAT_INSTANCE)
		code = inspect_instance(node, body->instance, &text, &error);
	else
		error_set(&error, ERR_INVALID, "what is to be inspected is not said");
	if (code == 0)
		respond_text(request, buffer_slice(&text));
	else
		refuse(request, code, "%s", error.text);
	buffer_finish(&text);
}

/* --- the door ------------------------------------------------------------------------------------------------------ */

/* Before the log is applied up to an entry of the own term, the catalog may lack what was acknowledged (INVARIANTS, 29). */
static bool may_read(const struct request *request)
{
	if (request->node->ready || request->message->body_case == CLUSTERD__WIRE__REQUEST__BODY_STATUS)
		return true;
	refuse(request, ERR_BUSY, "the node is starting: it is not ready yet");
	return false;
}

static void reading_request(const struct request *request)
{
	const struct answer *answer;
	uint64_t session = request->message->session;
	if (!may_read(request))
		return;
	/* Whoever only reads for long keeps its session alive, too. */
	if (session != 0 && machine_session_answer(request->node->machine, session, UINT64_MAX, &answer) >= 0)
		session_touch(request->node, session, request->connection);
	switch (request->message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_WAIT:
		await_instance(request, request->message->wait->instance);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_QUERY:
		request_query(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_STATUS:
		request_status(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_WATCH:
		request_watch(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_SAVE_SNAPSHOT:
		request->node->host->save_snapshot(request->node->context, request->connection, request->stream);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_INSPECT:
		request_inspect(request);
		break;
	default:
		refuse(request, ERR_UNSUPPORTED, "this node does not know this request");
		break;
	}
}

static void changing_request(const struct request *request)
{
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
		request_small(request);
		break;
	}
}

void node_request(struct node *node, uint64_t connection, uint32_t stream, const Clusterd__Wire__Request *message,
                  struct slice payload)
{
	struct request request = {node, connection, stream, message, payload};
	node->counts.requests++;
	if (waiters_count_connection(node->waiters, connection) >= NODE_WAITERS_MAX) {
		node->counts.busy++;
		refuse(&request, ERR_BUSY, "%u requests of this connection wait for their answers", NODE_WAITERS_MAX);
		return;
	}
	switch (message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION:
	case CLUSTERD__WIRE__REQUEST__BODY_CLOSE_SESSION:
	case CLUSTERD__WIRE__REQUEST__BODY_REGISTER:
	case CLUSTERD__WIRE__REQUEST__BODY_START:
	case CLUSTERD__WIRE__REQUEST__BODY_CANCEL:
	case CLUSTERD__WIRE__REQUEST__BODY_RETRY:
	case CLUSTERD__WIRE__REQUEST__BODY_SIGNAL:
	case CLUSTERD__WIRE__REQUEST__BODY_SET_SETTING:
		changing_request(&request);
		break;
	default:
		reading_request(&request);
		break;
	}
}

void node_request_cancelled(struct node *node, uint64_t connection, uint32_t stream)
{
	waiters_drop_stream(node->waiters, connection, stream);
}
