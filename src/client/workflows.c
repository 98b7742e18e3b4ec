#include "client/client.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Definitions, workflows, queries, and what nodes say of themselves and each other. */

struct message {
	Clusterd__Wire__Request request;
	union {
		Clusterd__Wire__Register registration;
		Clusterd__Wire__Start start;
		Clusterd__Wire__Wait wait;
		Clusterd__Wire__Cancel cancel;
		Clusterd__Wire__Signal signal;
		Clusterd__Wire__Query query;
		Clusterd__Wire__Members members;
		Clusterd__Wire__Status status;
		Clusterd__Wire__TaskReady ready;
		Clusterd__Wire__AwaitJob await_job;
	};
};

static char *text(const char *string)
{
	return (char *)(uintptr_t)string;
}

static char *payload_copy(const struct clusterd_reply *reply)
{
	return mem_copy(reply->payload.data, reply->payload.size + 1);
}

static int ask_text(struct clusterd_client *client, struct message *message, char **ret_json, int timeout_ms,
                    struct clusterd_error *error)
{
	struct clusterd_reply *reply;
	int code = request_ask_for(client, &message->request, SLICE(""), timeout_ms,
	                           CLUSTERD__WIRE__RESPONSE__BODY_TEXT, &reply, error);
	if (code != 0)
		return code;
	if (ret_json != NULL)
		*ret_json = payload_copy(reply);
	clusterd_reply_destroy(reply);
	return 0;
}

/* --- definitions --------------------------------------------------------------------------------------------------- */

static void register_message(struct message *message, struct arena *arena, const struct clusterd_source *sources,
                             size_t count)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__register__init(&message->registration);
	message->registration.files = arena_alloc(arena, (count + 1) * sizeof *message->registration.files);
	for (size_t i = 0; i < count; i++) {
		Clusterd__Wire__SourceFile *file = arena_alloc(arena, sizeof *file);
		clusterd__wire__source_file__init(file);
		file->path = text(sources[i].path);
		file->text.data = (uint8_t *)text(sources[i].text);
		file->text.len = sources[i].size;
		message->registration.files[message->registration.n_files++] = file;
	}
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_REGISTER;
	message->request.register_ = &message->registration;
}

int clusterd_register(struct clusterd_client *client, const struct clusterd_source *sources, size_t count,
                      char **ret_json, int timeout_ms, struct clusterd_error *error)
{
	struct message message;
	struct arena arena = {0};
	register_message(&message, &arena, sources, count);
	int code = ask_text(client, &message, ret_json, timeout_ms, error);
	arena_finish(&arena);
	return code;
}

struct clusterd_request *clusterd_register_begin(struct clusterd_client *client, const struct clusterd_source *sources,
                                                 size_t count, int timeout_ms, clusterd_done *done, void *context)
{
	struct message message;
	struct arena arena = {0};
	register_message(&message, &arena, sources, count);
	struct clusterd_request *request = request_begin_public(client, &message.request, SLICE(""), timeout_ms, done,
	                                                        context);
	arena_finish(&arena);
	return request;
}

/* --- workflows ----------------------------------------------------------------------------------------------------- */

static void start_message(struct message *message, const char *workflow, const char *key)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__start__init(&message->start);
	message->start.process = text(workflow);
	message->start.key = text(key != NULL ? key : "");
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_START;
	message->request.start = &message->start;
}

static struct slice json(const char *value, const char *otherwise)
{
	return slice_of(value != NULL ? value : otherwise);
}

int clusterd_workflow_start(struct clusterd_client *client, const char *workflow, const char *arguments,
                            const char *key, uint64_t *ret_instance, int timeout_ms, struct clusterd_error *error)
{
	struct message message;
	struct clusterd_reply *reply;
	start_message(&message, workflow, key);
	int code = request_ask_for(client, &message.request, json(arguments, "{}"), timeout_ms,
	                           CLUSTERD__WIRE__RESPONSE__BODY_STARTED, &reply, error);
	if (code != 0)
		return code;
	if (ret_instance != NULL)
		*ret_instance = clusterd_reply_instance(reply);
	clusterd_reply_destroy(reply);
	return 0;
}

struct clusterd_request *clusterd_workflow_start_begin(struct clusterd_client *client, const char *workflow,
                                                       const char *arguments, const char *key, int timeout_ms,
                                                       clusterd_done *done, void *context)
{
	struct message message;
	start_message(&message, workflow, key);
	return request_begin_public(client, &message.request, json(arguments, "{}"), timeout_ms, done, context);
}

static void wait_message(struct message *message, uint64_t instance)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__wait__init(&message->wait);
	message->wait.instance = instance;
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_WAIT;
	message->request.wait = &message->wait;
}

int clusterd_workflow_wait(struct clusterd_client *client, uint64_t instance, char **ret_result, int timeout_ms,
                           struct clusterd_error *error)
{
	struct message message;
	struct clusterd_reply *reply;
	struct error failure;
	wait_message(&message, instance);
	int code = request_ask_for(client, &message.request, SLICE(""), timeout_ms,
	                           CLUSTERD__WIRE__RESPONSE__BODY_FINISHED, &reply, error);
	if (code != 0)
		return code;
	const Clusterd__Wire__Finished *finished = reply->response->finished;
	if (strcmp(finished->state, "completed") != 0) {
		error_set(&failure, ERR_CONFLICT, "workflow %llu is %s%s%s", (unsigned long long)instance,
		          finished->state, finished->error[0] != '\0' ? ": " : "", finished->error);
		code = client_say(error, &failure);
	} else if (ret_result != NULL) {
		*ret_result = payload_copy(reply);
	}
	clusterd_reply_destroy(reply);
	return code;
}

struct clusterd_request *clusterd_workflow_wait_begin(struct clusterd_client *client, uint64_t instance, int timeout_ms,
                                                      clusterd_done *done, void *context)
{
	struct message message;
	wait_message(&message, instance);
	return request_begin_public(client, &message.request, SLICE(""), timeout_ms, done, context);
}

/* Two requests: a start that waits could not be asked of another node once the answer to the start is lost, and this can. */
int clusterd_workflow_run(struct clusterd_client *client, const char *workflow, const char *arguments,
                          char **ret_result, int timeout_ms, struct clusterd_error *error)
{
	uint64_t instance = 0;
	msec begun = client_now();
	int code = clusterd_workflow_start(client, workflow, arguments, NULL, &instance, timeout_ms, error);
	if (code != 0)
		return code;
	msec left = timeout_ms < 0 ? CLUSTERD_NO_TIMEOUT : timeout_ms - (client_now() - begun);
	return clusterd_workflow_wait(client, instance, ret_result, timeout_ms >= 0 && left < 0 ? 0 : (int)left, error);
}

static void cancel_message(struct message *message, uint64_t instance)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__cancel__init(&message->cancel);
	message->cancel.instance = instance;
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_CANCEL;
	message->request.cancel = &message->cancel;
}

static int ask_simple(struct clusterd_client *client, struct message *message, struct slice payload, int timeout_ms,
                      struct clusterd_error *error)
{
	struct clusterd_reply *reply = NULL;
	struct error failure = {0};
	int code = request_ask(client, &message->request, payload, timeout_ms, &reply, &failure);
	clusterd_reply_destroy(reply);
	return code != 0 ? client_say(error, &failure) : 0;
}

int clusterd_workflow_cancel(struct clusterd_client *client, uint64_t instance, int timeout_ms,
                             struct clusterd_error *error)
{
	struct message message;
	cancel_message(&message, instance);
	return ask_simple(client, &message, SLICE(""), timeout_ms, error);
}

struct clusterd_request *clusterd_workflow_cancel_begin(struct clusterd_client *client, uint64_t instance,
                                                        int timeout_ms, clusterd_done *done, void *context)
{
	struct message message;
	cancel_message(&message, instance);
	return request_begin_public(client, &message.request, SLICE(""), timeout_ms, done, context);
}

static void signal_message(struct message *message, uint64_t instance, const char *name, const char *key)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__signal__init(&message->signal);
	message->signal.instance = instance;
	message->signal.name = text(name);
	message->signal.key = text(key != NULL ? key : "");
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_SIGNAL;
	message->request.signal = &message->signal;
}

int clusterd_workflow_signal(struct clusterd_client *client, uint64_t instance, const char *name, const char *key,
                             const char *value, int timeout_ms, struct clusterd_error *error)
{
	struct message message;
	signal_message(&message, instance, name, key);
	return ask_simple(client, &message, json(value, "null"), timeout_ms, error);
}

struct clusterd_request *clusterd_workflow_signal_begin(struct clusterd_client *client, uint64_t instance,
                                                        const char *name, const char *key, const char *value,
                                                        int timeout_ms, clusterd_done *done, void *context)
{
	struct message message;
	signal_message(&message, instance, name, key);
	return request_begin_public(client, &message.request, json(value, "null"), timeout_ms, done, context);
}

/* --- queries, members, status -------------------------------------------------------------------------------------- */

static void query_message(struct message *message, const char *sql, const char *const *parameters, size_t count)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__query__init(&message->query);
	message->query.sql = text(sql);
	message->query.parameters = (char **)(uintptr_t)parameters;
	message->query.n_parameters = count;
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_QUERY;
	message->request.query = &message->query;
}

int clusterd_query(struct clusterd_client *client, const char *sql, const char *const *parameters,
                   size_t parameter_count, struct clusterd_reply **ret_reply, int timeout_ms,
                   struct clusterd_error *error)
{
	struct message message;
	query_message(&message, sql, parameters, parameter_count);
	return request_ask_for(client, &message.request, SLICE(""), timeout_ms, CLUSTERD__WIRE__RESPONSE__BODY_ROWS,
	                       ret_reply, error);
}

struct clusterd_request *clusterd_query_begin(struct clusterd_client *client, const char *sql,
                                              const char *const *parameters, size_t parameter_count, int timeout_ms,
                                              clusterd_done *done, void *context)
{
	struct message message;
	query_message(&message, sql, parameters, parameter_count);
	return request_begin_public(client, &message.request, SLICE(""), timeout_ms, done, context);
}

static void members_message(struct message *message)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__members__init(&message->members);
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_MEMBERS;
	message->request.members = &message->members;
}

static void status_message(struct message *message)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__status__init(&message->status);
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_STATUS;
	message->request.status = &message->status;
}

int clusterd_members(struct clusterd_client *client, char **ret_json, int timeout_ms, struct clusterd_error *error)
{
	struct message message;
	members_message(&message);
	return ask_text(client, &message, ret_json, timeout_ms, error);
}

struct clusterd_request *clusterd_members_begin(struct clusterd_client *client, int timeout_ms, clusterd_done *done,
                                                void *context)
{
	struct message message;
	members_message(&message);
	return request_begin_public(client, &message.request, SLICE(""), timeout_ms, done, context);
}

int clusterd_status(struct clusterd_client *client, char **ret_json, int timeout_ms, struct clusterd_error *error)
{
	struct message message;
	status_message(&message);
	return ask_text(client, &message, ret_json, timeout_ms, error);
}

struct clusterd_request *clusterd_status_begin(struct clusterd_client *client, int timeout_ms, clusterd_done *done,
                                               void *context)
{
	struct message message;
	status_message(&message);
	return request_begin_public(client, &message.request, SLICE(""), timeout_ms, done, context);
}

/* --- tasks --------------------------------------------------------------------------------------------------------- */

static int say_ready(struct clusterd_client *client, uint64_t allocation, uint64_t *ret_job, int timeout_ms,
                     struct clusterd_error *error)
{
	struct message message;
	struct clusterd_reply *reply;
	clusterd__wire__request__init(&message.request);
	clusterd__wire__task_ready__init(&message.ready);
	message.ready.allocation = allocation;
	message.request.body_case = CLUSTERD__WIRE__REQUEST__BODY_TASK_READY;
	message.request.task_ready = &message.ready;
	int code = request_ask_for(client, &message.request, SLICE(""), timeout_ms, CLUSTERD__WIRE__RESPONSE__BODY_STARTED,
	                           &reply, error);
	if (code != 0)
		return code;
	*ret_job = clusterd_reply_instance(reply);
	clusterd_reply_destroy(reply);
	return 0;
}

int clusterd_task_ready(struct clusterd_client *client, uint64_t allocation, int timeout_ms, struct clusterd_error *error)
{
	const char *own = getenv("CLUSTERD_ALLOCATION");
	struct message message;
	struct clusterd_reply *reply;
	uint64_t job = 0;
	if (allocation == 0 && own != NULL)
		allocation = strtoull(own, NULL, 10);
	int code = say_ready(client, allocation, &job, timeout_ms, error);
	if (code != 0)
		return code;
	clusterd__wire__request__init(&message.request);
	clusterd__wire__await_job__init(&message.await_job);
	message.await_job.job = job;
	message.await_job.running = true;
	message.request.body_case = CLUSTERD__WIRE__REQUEST__BODY_AWAIT_JOB;
	message.request.await_job = &message.await_job;
	code = request_ask_for(client, &message.request, SLICE(""), timeout_ms, CLUSTERD__WIRE__RESPONSE__BODY_FINISHED, &reply,
	                       error);
	if (code != 0)
		return code;
	struct error failure = {0};
	if (strcmp(clusterd_reply_state(reply), "running") != 0)
		error_set(&failure, ERR_CONFLICT, "job %llu is %s", (unsigned long long)job, clusterd_reply_state(reply));
	clusterd_reply_destroy(reply);
	return failure.code != 0 ? client_say(error, &failure) : 0;
}
