#include "daemon/cluster.h"
#include "daemon/placing.h"
#include "daemon/request.h"

#include "coordinator/jobs.h"

#include <inttypes.h>

/* Requests of jobs; to register and run what files declare is a registration (requests_change.c). */

#define KEY_MAX 256

static void propose_dispatch(const struct request *request, const struct definition *job, struct slice args_json)
{
	const Clusterd__Wire__DispatchJob *body = request->message->dispatch_job;
	struct error error = {0};
	struct buffer args = BUFFER_EMPTY;
	uint32_t limit = machine_settings(request->node->machine)->value_max;
	if (args_json.size > limit)
		error_set(&error, ERR_LIMIT, "the arguments have %zu bytes; at most %u are allowed (setting value_max)",
		          args_json.size, limit);
	else
		definition_accept_args(job, args_json, &args, &error);
	if (error.code != 0) {
		request_refuse(request, error.code, "%s", error.text);
	} else {
		struct command command = {.kind = COMMAND_DISPATCH_JOB};
		command.dispatch_job.name = job->name;
		command.dispatch_job.version = job->version;
		command.dispatch_job.key = slice_of(body->key);
		command.dispatch_job.args = buffer_slice(&args);
		request_propose(request, &command, ANSWER_PLAIN);
	}
	buffer_finish(&args);
}

static void request_dispatch(const struct request *request)
{
	const Clusterd__Wire__DispatchJob *body = request->message->dispatch_job;
	const struct definition *job = registry_find(machine_registry(request->node->machine), slice_of(body->name),
	                                             body->version);
	struct error error = {0};
	struct buffer args = BUFFER_EMPTY;
	if (job == NULL || job->kind != DEFINITION_JOB)
		request_refuse(request, ERR_NOT_FOUND, "there is no job %s", body->name);
	else if (strlen(body->key) > KEY_MAX)
		request_refuse(request, ERR_LIMIT, "a key may have %d bytes, not %zu", KEY_MAX, strlen(body->key));
	else if (placing_check(request->node, job->job, &error) != 0)
		request_refuse(request, error.code, "%s", error.text);
	else if (body->n_words == 0)
		propose_dispatch(request, job, request->payload.size != 0 ? request->payload : SLICE("{}"));
	else if (request_words(job, body->words, body->n_words, &args, &error) != 0)
		request_refuse(request, error.code, "%s", error.text);
	else
		propose_dispatch(request, job, buffer_slice(&args));
	buffer_finish(&args);
}

static void request_eligible(const struct request *request)
{
	const Clusterd__Wire__SetEligible *body = request->message->set_eligible;
	struct command command = {.kind = COMMAND_ELIGIBLE};
	struct gossip_member member;
	if (!cluster_find(request->node, body->member, &member)) {
		request_refuse(request, ERR_NOT_FOUND, "there is no member %s", body->member);
		return;
	}
	command.eligible.node = member.id;
	command.eligible.eligible = body->eligible != 0;
	request_propose(request, &command, ANSWER_PLAIN);
}

static void request_drain(const struct request *request)
{
	const Clusterd__Wire__DrainNode *body = request->message->drain_node;
	struct command command = {.kind = COMMAND_DRAIN};
	struct gossip_member member;
	if (!cluster_find(request->node, body->member, &member)) {
		request_refuse(request, ERR_NOT_FOUND, "there is no member %s", body->member);
		return;
	}
	if (body->within_ms > DRAIN_WITHIN_MAX) {
		request_refuse(request, ERR_LIMIT, "a deadline is at most %lld ms, not %" PRIu64, DRAIN_WITHIN_MAX,
		               body->within_ms);
		return;
	}
	command.drain.node = member.id;
	command.drain.state = body->cancel ? DRAIN_NONE : DRAIN_UNDER_WAY;
	command.drain.within = (msec)body->within_ms;
	request_propose(request, &command, ANSWER_PLAIN);
}

static void request_task_ready(const struct request *request)
{
	uint64_t id = request->message->task_ready->allocation;
	const struct command_allocation change = {.id = id, .event = ALLOCATION_EVENT_REGISTERED};
	struct command command = {.kind = COMMAND_ALLOCATIONS};
	if (machine_allocation(request->node->machine, id) == NULL) {
		request_refuse(request, ERR_NOT_FOUND, "there is no allocation %" PRIu64 " that runs", id);
		return;
	}
	command.allocations.changes = &change;
	command.allocations.count = 1;
	request_propose(request, &command, ANSWER_PLAIN);
}

bool request_jobs_change(const struct request *request)
{
	const Clusterd__Wire__Request *message = request->message;
	struct command command = {0};
	switch (message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_DISPATCH_JOB:
		request_dispatch(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_SET_ELIGIBLE:
		request_eligible(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_DRAIN_NODE:
		request_drain(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_TASK_READY:
		request_task_ready(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_STOP_JOB:
		command.kind = COMMAND_STOP_JOB;
		command.stop_job.job = message->stop_job->job;
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_SCALE_JOB:
		if (message->scale_job->count > JOB_COUNT_MAX) {
			request_refuse(request, ERR_LIMIT, "a job may have %u tasks, not %u", JOB_COUNT_MAX,
			               message->scale_job->count);
			return true;
		}
		command.kind = COMMAND_SCALE_JOB;
		command.scale_job.job = message->scale_job->job;
		command.scale_job.count = message->scale_job->count;
		break;
	default:
		return false;
	}
	request_propose(request, &command, ANSWER_PLAIN);
	return true;
}

/* --- waiting for one ------------------------------------------------------------------------------------------------ */

static void answer_all(struct node *node, const struct effect *effect, uint64_t which)
{
	struct waiter waiter;
	while (!node->failed && waiters_take(node->waiters, WAIT_JOB, effect->job, which, &waiter)) {
		node_settle(node); /* who waited may look into the file next */
		respond_finished(node, &waiter, effect->job, effect->state, SLICE(""),
		                 effect->error != NULL ? text_slice(effect->error) : SLICE(""));
	}
}

void jobs_changed(struct node *node, const struct effect *effect)
{
	bool runs = slice_is(slice_of(effect->state), job_state_names[JOB_RUNNING]);
	bool waits = slice_is(slice_of(effect->state), job_state_names[JOB_PENDING]) ||
	             slice_is(slice_of(effect->state), job_state_names[JOB_STOPPING]);
	if (waiters_count(node->waiters) == 0 || waits)
		return;
	answer_all(node, effect, 1);
	if (!runs)
		answer_all(node, effect, 0);
}

void request_await_job(const struct request *request)
{
	struct node *node = request->node;
	const Clusterd__Wire__AwaitJob *body = request->message->await_job;
	const struct job *job = machine_job(node->machine, body->job);
	struct waiter self = {WAIT_JOB, body->job, 0, request->connection, request->stream, 0, NULL, 0};
	struct buffer state = BUFFER_EMPTY;
	struct buffer error = BUFFER_EMPTY;
	if (job != NULL && !(body->running && job->state == JOB_RUNNING)) {
		request_wait(request, WAIT_JOB, body->job, body->running ? 1 : 0, 0);
		return;
	}
	node_settle(node); /* it may have ended a moment ago */
	if (node->failed)
		return;
	int found = job != NULL ? 1 : catalog_job_state(node->catalog, body->job, &state, &error);
	if (job != NULL)
		respond_finished(node, &self, body->job, job_state_names[job->state], SLICE(""), SLICE(""));
	else if (found == 1)
		respond_finished(node, &self, body->job, buffer_string(&state), SLICE(""), buffer_slice(&error));
	else if (found == 0)
		request_refuse(request, ERR_NOT_FOUND, "there is no job with the id %" PRIu64, body->job);
	else
		request_refuse(request, found, "the catalog cannot be read: %s", catalog_error(node->catalog));
	buffer_finish(&state);
	buffer_finish(&error);
}
