#include "sim/sim_client.h"
#include "sim/sim_jobs.h"
#include "sim/sim_topics.h"

#include "base/memory.h"

#include <inttypes.h>

/* What clients are told, and whether it can be true. */

static struct sim_client *client_of(struct sim *sim, uint64_t connection)
{
	for (size_t i = 0; i < sim->client_count; i++) {
		if (sim->clients[i].connection == connection)
			return &sim->clients[i];
	}
	return NULL;
}

static struct pending *pending_of(struct sim_client *client, uint32_t stream)
{
	struct pending *pending;
	TAILQ_FOREACH(pending, &client->pending, link) {
		if (pending->stream == stream)
			return pending;
	}
	return NULL;
}

/* Such an answer means: ask again, perhaps another server. */
static bool comes_back(int code)
{
	return code == ERR_BUSY || code == ERR_CLOSED || code == ERR_NOT_LEADER || code == ERR_TIMEOUT;
}

static bool disk_fails(const struct sim_client *client)
{
	return client->server->may_break || client->server->cut_in_catalog;
}

/* --- starts and ends ----------------------------------------------------------------------------------------------- */

static void note_started(struct sim *sim, struct flow_run *run, uint64_t id)
{
	struct known_key *known;
	if (run->id != 0 && run->id != id)
		sim_fail(sim, "the start of x %" PRIu64 " gave workflow %" PRIu64 ", and then %" PRIu64, run->x, run->id, id);
	run->id = id;
	if (run->key[0] == '\0')
		return;
	HASH_FIND_STR(sim->keys, run->key, known);
	if (known == NULL) {
		known = mem_zero(sizeof *known);
		memcpy(known->key, run->key, sizeof known->key);
		known->id = id;
		HASH_ADD_STR(sim->keys, key, known);
	}
	if (known->id != id)
		sim_fail(sim, "the key %s was started twice: workflows %" PRIu64 " and %" PRIu64, run->key, known->id, id);
}

static void check_result(struct sim *sim, const struct flow_run *run, struct slice result)
{
	struct buffer expected = BUFFER_EMPTY;
	if (run->flow == FLOW_VERSIONED) /* which version it was is seen in the catalog, at the end */
		return;
	flow_expected(run->flow, run->x, 0, &expected);
	if (!slice_equal(buffer_slice(&expected), result))
		sim_fail(sim, "workflow %" PRIu64 " (%s, x %" PRIu64 ") gave %.*s instead of %.*s", run->id, flow_name(run->flow),
		         run->x, SLICE_ARGS(result), SLICE_ARGS(buffer_slice(&expected)));
	buffer_finish(&expected);
}

static void note_finished(struct sim *sim, struct flow_run *run, const Clusterd__Wire__Finished *finished,
                          struct slice result)
{
	struct slice state = slice_of(finished->state);
	note_started(sim, run, finished->instance);
	sim_trace(sim, "workflow %" PRIu64 " is %s: %.*s %s", run->id, finished->state, SLICE_ARGS(result), finished->error);
	if (slice_is(state, "completed")) {
		if (run->cancelled)
			sim_fail(sim, "workflow %" PRIu64 " was cancelled, and then completed", run->id);
		check_result(sim, run, result);
		run->ended = true;
		run->failed = false;
	} else if (slice_is(state, "cancelled")) {
		if (!run->cancel_sent)
			sim_fail(sim, "workflow %" PRIu64 " was cancelled by nobody", run->id);
		run->ended = true;
	} else if (slice_is(state, "failed") && run->flow == FLOW_BRITTLE) {
		if (run->ended)
			sim_fail(sim, "workflow %" PRIu64 " had ended before it failed", run->id);
		run->failed = true;
	} else {
		sim_fail(sim, "workflow %" PRIu64 " (%s, x %" PRIu64 ") is %s: %s", run->id, flow_name(run->flow), run->x,
		         finished->state, finished->error);
	}
}

/* --- answers to what changes something ----------------------------------------------------------------------------- */

static void take_answer(struct sim *sim, struct sim_client *client, struct client_request *request,
                        const Clusterd__Wire__Response *response, struct slice payload)
{
	struct flow_run *run = request->run;
	int code = response->error != NULL ? response->error->code : 0;
	if (run != NULL)
		run->busy = false;
	switch (request->kind) {
	case REQUEST_START:
		if (code != 0)
			sim_fail(sim, "a start is refused: %s", response->error->text);
		if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_FINISHED)
			note_finished(sim, run, response->finished, payload);
		else
			note_started(sim, run, response->started->instance);
		break;
	case REQUEST_SIGNAL:
		if (code == 0)
			run->signals++;
		else if (code != ERR_CONFLICT || !run->cancel_sent)
			sim_fail(sim, "a signal to workflow %" PRIu64 " is refused: %s", run->id, response->error->text);
		else
			run->signals = UINT32_MAX; /* it has been cancelled */
		break;
	case REQUEST_CANCEL:
		if (code == 0)
			run->cancelled = true;
		else if (code != ERR_CONFLICT)
			sim_fail(sim, "a cancellation of workflow %" PRIu64 " is refused: %s", run->id, response->error->text);
		break;
	case REQUEST_RETRY:
		if (code != 0 && code != ERR_CONFLICT)
			sim_fail(sim, "a retry of workflow %" PRIu64 " is refused: %s", run->id, response->error->text);
		run->failed = false;
		break;
	case REQUEST_REGISTER:
		if (code != 0)
			sim_fail(sim, "the workflows are refused: %s", response->error->text);
		client->prepared = client->prepared < 2 && request->number == client->prepared ? client->prepared + 1
		                                                                               : client->prepared;
		break;
	case REQUEST_SETTING:
		if (code != 0)
			sim_fail(sim, "a setting is refused: %s", response->error->text);
		break;
	default:
		jobs_answer(sim, request, response, payload);
		break;
	}
}

/* An answer as text, so that a second one can be compared. */
static struct text *answer_text(const Clusterd__Wire__Response *response, struct slice payload)
{
	struct buffer out = BUFFER_EMPTY;
	buffer_format(&out, "%d ", response->error != NULL ? response->error->code : 0);
	if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_STARTED)
		buffer_format(&out, "%" PRIu64 " %d", response->started->instance, response->started->existed);
	buffer_append_slice(&out, payload);
	struct text *text = text_create(buffer_slice(&out));
	buffer_finish(&out);
	return text;
}

static void check_again(struct sim *sim, struct client_request *request, const Clusterd__Wire__Response *response,
                        struct slice payload)
{
	if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_FINISHED)
		return; /* asked to wait, it tells how it is now */
	if (request->member != NULL)
		return; /* a member may become known meanwhile */
	struct text *again = answer_text(response, payload);
	if (request->answer == NULL)
		request->answer = text_hold(again);
	else if (!slice_equal(text_slice(request->answer), text_slice(again)))
		sim_fail(sim, "request %" PRIu64 " was answered with \"%.*s\", and then with \"%.*s\"", request->sequence,
		         SLICE_ARGS(text_slice(request->answer)), SLICE_ARGS(text_slice(again)));
	text_release(again);
}

static void request_answered(struct sim *sim, struct sim_client *client, uint64_t sequence,
                             const Clusterd__Wire__Response *response, struct slice payload)
{
	struct client_request *request = request_find(client, sequence);
	int code = response->error != NULL ? response->error->code : 0;
	if (request == NULL)
		sim_fail(sim, "an answer to request %" PRIu64 ", which nobody waits for", sequence);
	if (comes_back(code)) {
		request->sent = false;
		client->reset = client->reset || (sim->founder_count > 1 && sim_chance(sim, 50));
		return;
	}
	if (code == ERR_EXPIRED) {
		if (!client->deserted && !sim->sessions_short)
			sim_fail(sim, "a session expired whose client was there: %s", response->error->text);
		sim_trace(sim, "client %" PRIu64 ": its session %" PRIu64 " has expired", client->number, client->session);
		client_session_lost(sim, client);
		client->reset = true;
		return;
	}
	if (code == ERR_IO || code == ERR_NO_SPACE) { /* the disk fails, and with it soon the node */
		if (!disk_fails(client))
			sim_fail(sim, "a request is refused: %s", response->error->text);
		request->sent = false;
		return;
	}
	client->deserted = client->deserted && sequence < client->deserted_below;
	check_again(sim, request, response, payload);
	if (!request->answered) {
		request->answered = true;
		take_answer(sim, client, request, response, payload);
	}
}

/* --- all answers --------------------------------------------------------------------------------------------------- */

static void opened(struct sim *sim, struct sim_client *client, const Clusterd__Wire__Response *response)
{
	client->opening = false;
	if (response->error != NULL) {
		if (!comes_back(response->error->code))
			sim_fail(sim, "a session is refused: %s", response->error->text);
		client->reset = sim->founder_count > 1;
		return;
	}
	client->session = response->opened->session;
	sim_trace(sim, "client %" PRIu64 ": session %" PRIu64, client->number, client->session);
}

static void grown(struct sim *sim, struct pending *pending, const Clusterd__Wire__Response *response)
{
	if (response->error != NULL)
		return;
	if (response->grown->seq < pending->seq || (response->more && response->grown->seq == pending->seq))
		sim_fail(sim, "a watcher is told of seq %" PRIu64 " after %" PRIu64, response->grown->seq, pending->seq);
	pending->seq = response->grown->seq;
}

static void waited(struct sim *sim, const struct sim_client *client, const struct pending *pending,
                   const Clusterd__Wire__Response *response, struct slice payload)
{
	if (response->error == NULL)
		note_finished(sim, pending->run, response->finished, payload);
	else if (!comes_back(response->error->code) && !disk_fails(client))
		sim_fail(sim, "workflow %" PRIu64 ", whose start was acknowledged: %s", pending->run->id, response->error->text);
}

void clients_response(struct server *server, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                      struct slice payload)
{
	struct sim *sim = server->sim;
	if (keys_response(server, connection, stream, response, payload) ||
	    topics_response(server, connection, stream, response) || groups_response(server, connection, stream, response))
		return;
	struct sim_client *client = client_of(sim, connection);
	if (client == NULL && sim->founder_count > 1)
		return; /* it gave up on a process that was paused */
	if (client == NULL)
		sim_fail(sim, "an answer for the connection %" PRIu64 ", which is closed", connection);
	if (client->reset)
		return;
	struct pending *pending = pending_of(client, stream);
	if (pending == NULL)
		sim_fail(sim, "stream %u of connection %" PRIu64 " is answered, but nobody asked", stream, connection);
	client->heard = sim->now;
	switch (pending->kind) {
	case PENDING_OPEN:
		opened(sim, client, response);
		break;
	case PENDING_REQUEST:
		request_answered(sim, client, pending->sequence, response, payload);
		break;
	case PENDING_WAIT:
		waited(sim, client, pending, response, payload);
		break;
	case PENDING_WATCH:
		grown(sim, pending, response);
		break;
	case PENDING_READY:
		break;
	}
	if (!response->more)
		pending_drop(client, pending);
}
