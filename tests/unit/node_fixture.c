#include "node_fixture.h"

#include "base/json.h"
#include "base/memory.h"
#include "coordinator/machine.h"
#include "daemon/log_facts.h"
#include "wire/raft.h"
#include "wire/command.h"
#include "wire/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CATALOG "catalog.db"
#define REFERENCE "reference.db"
#define START_WALL 1700000000000ll
#define READ_AT_ONCE 50
#define TURNS_MAX 20000
#define LEADER_SAYS_MS 50
#define WATCHER UINT32_MAX /* the connection that status is asked on */

void node_fixture_fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	abort();
}

/* --- the disk ------------------------------------------------------------------------------------------------------ */

static void host_append(void *context, const struct wal_record *records, size_t count)
{
	struct node_fixture *fixture = context;
	if (fixture->syncing || count == 0)
		node_fixture_fail("a batch of %zu entries while another one is under way, or an empty one", count);
	for (size_t i = 0; i < count; i++) {
		if (records[i].index != fixture->entry_count + 1)
			node_fixture_fail("entry %" PRIu64 " comes after entry %zu", records[i].index, fixture->entry_count);
		mem_grow(fixture->entries, fixture->entry_capacity, fixture->entry_count + 1);
		fixture->entries[fixture->entry_count++] =
			(struct log_entry){records[i].term, text_create(records[i].body)};
	}
	fixture->syncing = true;
}

static void host_read(void *context, uint64_t tag, uint64_t from, uint64_t to)
{
	struct node_fixture *fixture = context;
	if (fixture->read_from != 0 || from == 0 || from > to || to > fixture->synced_count)
		node_fixture_fail("it reads entries %" PRIu64 " to %" PRIu64 " of %zu", from, to, fixture->synced_count);
	fixture->read_tag = tag;
	fixture->read_from = from;
	fixture->read_to = to;
}

static void host_save_vote(void *context, uint64_t term, uint64_t voted_for)
{
	struct node_fixture *fixture = context;
	if (fixture->voting || term <= fixture->term)
		node_fixture_fail("it votes in term %" PRIu64 " after term %" PRIu64, term, fixture->term);
	fixture->voting = true;
	fixture->term = term;
	fixture->voted_for = voted_for;
}

static void disk_read(struct node_fixture *fixture)
{
	struct wal_record records[READ_AT_ONCE];
	size_t count = 0;
	for (uint64_t index = fixture->read_from; index <= fixture->read_to && count < READ_AT_ONCE; index++) {
		const struct log_entry *entry = &fixture->entries[index - 1];
		records[count++] = (struct wal_record){index, entry->term, text_slice(entry->body)};
	}
	fixture->read_from = 0;
	node_entries(fixture->node, fixture->read_tag, records, count);
}

bool node_fixture_disk(struct node_fixture *fixture)
{
	if (fixture->voting) {
		fixture->voting = false;
		node_vote_saved(fixture->node);
	} else if (fixture->read_from != 0) {
		disk_read(fixture);
	} else if (fixture->syncing) {
		fixture->syncing = false;
		fixture->synced_count = fixture->entry_count;
		node_synced(fixture->node, fixture->synced_count);
	} else {
		return false;
	}
	return true;
}

/* --- what the node says -------------------------------------------------------------------------------------------- */

/* Whoever gets it must be able to read it. */
static const ProtobufCMessage *as_read(struct node_fixture *fixture, const ProtobufCMessage *message)
{
	struct buffer bytes = BUFFER_EMPTY;
	struct error error = {0};
	ProtobufCMessage *read;
	message_append(&bytes, message);
	arena_finish(&fixture->arena);
	if (message_unpack(message->descriptor, buffer_slice(&bytes), &fixture->arena, &read, &error) != 0)
		node_fixture_fail("what the node says cannot be read: %s", error.text);
	buffer_finish(&bytes);
	return read;
}

static void must_be_json(struct slice text, const char *what)
{
	struct error error = {0};
	if (json_check(text, &error) != 0)
		node_fixture_fail("%s is not JSON: %s\n%.*s", what, error.text, SLICE_ARGS(text));
}

static struct asked *asked_find(const struct node_fixture *fixture, uint64_t connection, uint32_t stream)
{
	for (size_t i = fixture->request_count; i-- > 0;) {
		if (fixture->requests[i].connection == connection && fixture->requests[i].stream == stream)
			return &fixture->requests[i];
	}
	return NULL;
}

/* The values are the payload, one behind the other. */
static void note_keys(struct buffer *out, Clusterd__Wire__Key *const *keys, size_t count, struct slice payload)
{
	size_t at = 0;
	for (size_t i = 0; i < count; i++) {
		size_t size = payload.size != 0 ? keys[i]->size : 0;
		if (size > payload.size - at)
			node_fixture_fail("the values of keys are longer than the payload");
		buffer_format(out, "%s%s@%" PRIu64 "%s%.*s", i > 0 ? " " : "", keys[i]->key, keys[i]->version,
		              keys[i]->deleted ? "-" : "=", (int)size, payload.data + at);
		at += size;
	}
	if (at != payload.size)
		node_fixture_fail("the values of keys are shorter than the payload");
}

static void note_answer(struct answered *answered, const Clusterd__Wire__Response *response, struct slice payload)
{
	answered->count++;
	answered->code = response->error != NULL ? response->error->code : 0;
	snprintf(answered->text, sizeof answered->text, "%s", response->error != NULL ? response->error->text : "");
	answered->retry_after_ms = response->error != NULL ? response->error->retry_after_ms : 0;
	answered->body = (int)response->body_case;
	answered->more = response->more != 0;
	answered->number = 0;
	answered->state[0] = '\0';
	if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_OPENED)
		answered->number = response->opened->session;
	if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_STARTED)
		answered->number = response->started->instance;
	if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_FINISHED) {
		answered->number = response->finished->instance;
		snprintf(answered->state, sizeof answered->state, "%s", response->finished->state);
	}
	buffer_clear(&answered->keys);
	if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_WRITTEN)
		answered->number = response->written->version;
	if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_LEASE)
		answered->number = response->lease->id;
	if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_KEYS) {
		answered->number = response->keys->version;
		note_keys(&answered->keys, response->keys->keys, response->keys->n_keys, payload);
	}
	if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_CHANGES) {
		answered->number = response->changes->next;
		note_keys(&answered->keys, response->changes->changes, response->changes->n_changes, payload);
	}
	buffer_clear(&answered->payload);
	buffer_append_slice(&answered->payload, payload);
}

static void host_respond(void *context, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                         struct slice payload)
{
	struct node_fixture *fixture = context;
	const Clusterd__Wire__Response *read = (const Clusterd__Wire__Response *)as_read(fixture, &response->base);
	struct asked *asked = asked_find(fixture, connection, stream);
	if (asked == NULL || asked->over)
		node_fixture_fail("a response on connection %" PRIu64 ", stream %u, where nothing is asked", connection, stream);
	if (read->error != NULL && (read->error->code >= 0 || read->error->text[0] == '\0' || read->more))
		node_fixture_fail("an error with the code %d and the text \"%s\"", read->error->code, read->error->text);
	if (asked->body == CLUSTERD__WIRE__REQUEST__BODY_STATUS)
		must_be_json(payload, "status");
	/* Nothing is there when its sequence number was that of another request before. */
	if (asked->body == CLUSTERD__WIRE__REQUEST__BODY_REGISTER && payload.size != 0)
		must_be_json(payload, "what was registered");
	if (read->body_case == CLUSTERD__WIRE__RESPONSE__BODY_FINISHED && strcmp(read->finished->state, "completed") == 0)
		must_be_json(payload, "a result");
	asked->over = !read->more;
	note_answer(&fixture->answered, read, payload);
}

static void handed_out_forget(struct node_fixture *fixture, size_t index)
{
	text_release(fixture->calls[index].process);
	text_release(fixture->calls[index].args);
	fixture->calls[index] = fixture->calls[--fixture->call_count];
}

static void calls_forget(struct node_fixture *fixture, uint64_t connection, const struct call_id *id)
{
	for (size_t i = fixture->call_count; i-- > 0;) {
		const struct call_id *known = &fixture->calls[i].id;
		bool same = id == NULL || (known->instance == id->instance && known->ref == id->ref &&
		                           known->attempt == id->attempt);
		if (fixture->calls[i].connection == connection && same)
			handed_out_forget(fixture, i);
	}
}

static void hand_out(struct node_fixture *fixture, uint64_t connection, struct call_id id, struct slice process,
                     struct slice args)
{
	must_be_json(args, "the arguments of a call");
	mem_grow(fixture->calls, fixture->call_capacity, fixture->call_count + 1);
	fixture->calls[fixture->call_count++] =
		(struct handed_out){id, connection, text_create(process), text_create(args), 0};
}

static void host_send(void *context, uint64_t connection, int frame_type, const ProtobufCMessage *message,
                      struct slice payload)
{
	struct node_fixture *fixture = context;
	const ProtobufCMessage *read = as_read(fixture, message);
	if (frame_type == FRAME_ASSIGNMENT) {
		const Clusterd__Wire__Assignment *assignment = (const Clusterd__Wire__Assignment *)read;
		struct call_id id = {assignment->instance, assignment->ref, assignment->attempt};
		uint64_t receipt = assignment->receipt;
		hand_out(fixture, connection, id, slice_of(assignment->process), payload);
		fixture->calls[fixture->call_count - 1].receipt = receipt;
	} else if (frame_type == FRAME_ABANDON) {
		const Clusterd__Wire__Abandon *abandon = (const Clusterd__Wire__Abandon *)read;
		calls_forget(fixture, connection, &(struct call_id){abandon->instance, abandon->ref, abandon->attempt});
	} else if (frame_type == FRAME_RESULT_TAKEN) {
		fixture->taken_count++;
	} else {
		node_fixture_fail("a frame of type %d to a worker", frame_type);
	}
}

static void host_call_start(void *context, struct call_id call, const struct definition *process, struct text *args)
{
	if (process->settings.exec_count == 0 && process->settings.pool_count == 0)
		node_fixture_fail("the executor is to run %.*s, which only workers can", SLICE_ARGS(process->name));
	hand_out(context, 0, call, process->name, text_slice(args));
}

static void host_call_abandon(void *context, struct call_id call)
{
	calls_forget(context, 0, &call);
}

static void host_task_start(void *context, const struct allocation_order *order)
{
	(void)order;
	(void)context;
	node_fixture_fail("a task that nobody asked for");
}

static void host_task_of(void *context, uint64_t allocation)
{
	(void)allocation;
	(void)context;
	node_fixture_fail("a task that nobody asked for");
}

/* None are here, and none are to be. */
static void host_tasks_keep_only(void *context, const uint64_t *known, size_t count)
{
	(void)known;
	(void)context;
	if (count > 0)
		node_fixture_fail("a task that nobody asked for");
}

static void respond_nothing(struct node_fixture *fixture, uint64_t connection, uint32_t stream)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	host_respond(fixture, connection, stream, &response, SLICE(""));
}

static void obey(struct node_fixture *fixture, uint64_t member, const struct raft_message *message)
{
	struct raft_message answer = {.from = member, .to = NODE_FIXTURE_SELF, .term = message->term};
	switch (message->kind) {
	case RAFT_VOTE_REQUEST:
		answer.kind = RAFT_VOTE_RESPONSE;
		answer.vote_response = (struct raft_vote_response){.pre = message->vote_request.pre, .granted = true,
		                                                   .for_term = message->vote_request.for_term};
		break;
	case RAFT_APPEND_REQUEST:
		answer.kind = RAFT_APPEND_RESPONSE;
		answer.append_response.accepted = message->append_request.prev_index + message->append_request.count;
		answer.append_response.match = answer.append_response.accepted;
		answer.append_response.round = message->append_request.round;
		break;
	default:
		return;
	}
	mem_grow(fixture->obeying, fixture->obeying_capacity, fixture->obeying_count + 1);
	fixture->obeying[fixture->obeying_count++] = answer;
}

static void take_raft(struct node_fixture *fixture, uint64_t member, const Clusterd__Wire__RaftMessage *packed,
                      struct slice payload)
{
	struct arena arena = {0};
	struct raft_message message;
	const struct slice *bodies;
	struct error error = {0};
	if (raft_unpack(packed, NODE_FIXTURE_SELF, member, payload, &arena, &message, &bodies, &error) != 0)
		node_fixture_fail("what Raft says cannot be read: %s", error.text);
	if (message.kind == RAFT_READ_REQUEST) {
		fixture->read_member = member;
		fixture->read_id = message.read_request.id;
	}
	if (fixture->obeyed)
		obey(fixture, member, &message);
	arena_finish(&arena);
}

static void host_peer_send(void *context, uint64_t member, int frame_type, uint32_t stream,
                           const ProtobufCMessage *message, const struct slice *payload, size_t payload_count)
{
	struct node_fixture *fixture = context;
	struct peer_frame frame = {.member = member, .type = frame_type, .stream = stream};
	if (member == 0 || member == NODE_FIXTURE_SELF)
		node_fixture_fail("a frame of type %d to member %" PRIu64, frame_type, member);
	if (message != NULL) {
		as_read(fixture, message);
		message_append(&frame.message, message);
	}
	for (size_t i = 0; i < payload_count; i++)
		buffer_append_slice(&frame.payload, payload[i]);
	if (frame_type == FRAME_RAFT) {
		take_raft(fixture, member, (const Clusterd__Wire__RaftMessage *)message, buffer_slice(&frame.payload));
		node_fixture_frame_finish(&frame);
		return;
	}
	mem_grow(fixture->frames, fixture->frame_capacity, fixture->frame_count + 1);
	fixture->frames[fixture->frame_count++] = frame;
}

static void host_query(void *context, uint64_t connection, uint32_t stream, const struct node_query *query)
{
	if (query->sql == NULL || (query->parameter_count != 0 && query->parameters == NULL))
		node_fixture_fail("a query without text");
	respond_nothing(context, connection, stream);
}

static void host_save_snapshot(void *context, uint64_t connection, uint32_t stream)
{
	respond_nothing(context, connection, stream);
}

static void host_status(void *context, struct buffer *out)
{
	const struct node_fixture *fixture = context;
	buffer_format(out, ",\"log_syncs\":%zu", fixture->synced_count);
}

static void host_fail(void *context, const struct error *error)
{
	(void)context;
	node_fixture_fail("the node cannot go on: %s", error->text);
}

static msec host_now(void *context)
{
	return ((struct node_fixture *)context)->now;
}

static msec host_wall(void *context)
{
	const struct node_fixture *fixture = context;
	return START_WALL + fixture->now + fixture->wall_offset;
}

static long long host_now_us(void *context)
{
	struct node_fixture *fixture = context;
	return fixture->microseconds += fixture->microseconds_step;
}

static const struct node_host host = {
	.now = host_now,
	.wall = host_wall,
	.now_us = host_now_us,
	.append = host_append,
	.read = host_read,
	.save_vote = host_save_vote,
	.respond = host_respond,
	.send = host_send,
	.peer_send = host_peer_send,
	.query = host_query,
	.save_snapshot = host_save_snapshot,
	.call_start = host_call_start,
	.call_abandon = host_call_abandon,
	.task_start = host_task_start,
	.task_stop = host_task_of,
	.task_taken = host_task_of,
	.tasks_keep_only = host_tasks_keep_only,
	.status = host_status,
	.fail = host_fail,
};

/* --- life ---------------------------------------------------------------------------------------------------------- */

static void open_node(struct node_fixture *fixture)
{
	struct error error = {0};
	if (catalog_open(CATALOG, "fixture", &fixture->catalog, &error) != 0)
		node_fixture_fail("the catalog cannot be opened: %s", error.text);
	struct log_facts facts = LOG_FACTS_EMPTY;
	uint64_t applied = 0;
	if (catalog_meta_number(fixture->catalog, "applied_index", &applied) != 0)
		node_fixture_fail("the catalog does not say what was applied");
	for (uint64_t index = applied + 1; index <= fixture->entry_count; index++) {
		const struct log_entry *entry = &fixture->entries[index - 1];
		struct wal_record record = {index, entry->term, text_slice(entry->body)};
		if (log_facts_add(&facts, &record, &error) != 0)
			node_fixture_fail("%s", error.text);
	}
	struct node_config config = {
		.name = "node",
		.address = "127.0.0.1:9189",
		.datacenter = "",
		.tags = "{}",
		.id = NODE_FIXTURE_SELF,
		.term = fixture->term,
		.voted_for = fixture->voted_for,
		.identity = {.cluster_id = "00000000000000000000000000c0ffee", .founder_count = fixture->voters, .founders = {7, 8, 9}},
		.first_index = 1,
		.last_index = fixture->entry_count,
		.facts = &facts,
		.seed = fixture->term,
		.exec_slots = 3,
		.pool_calls = 2,
		.generation = fixture->term + 1,
		.agent = fixture->voters == 0,
	};
	if (node_create(&config, fixture->catalog, &host, fixture, &fixture->node, &error) != 0)
		node_fixture_fail("the node does not start: %s", error.text);
	log_facts_finish(&facts);
	node_start(fixture->node);
}

static void close_node(struct node_fixture *fixture)
{
	node_destroy(fixture->node);
	catalog_close(fixture->catalog);
	fixture->node = NULL;
	while (fixture->call_count > 0)
		handed_out_forget(fixture, 0);
	for (size_t i = 0; i < fixture->request_count; i++)
		fixture->requests[i].over = true;
	fixture->voting = fixture->syncing = false;
	fixture->read_from = 0;
}

static void init(struct node_fixture *fixture, uint32_t voters)
{
	memset(fixture, 0, sizeof *fixture);
	fixture->voters = voters;
	fixture->next_stream = 1;
	fixture->vfs = faulty_vfs_create("fixture", true, 1);
	open_node(fixture);
	node_fixture_settle(fixture);
}

void node_fixture_init(struct node_fixture *fixture)
{
	init(fixture, 1);
}

void node_fixture_init_agent(struct node_fixture *fixture)
{
	init(fixture, 0);
}

void node_fixture_init_group(struct node_fixture *fixture)
{
	init(fixture, 3);
	node_fixture_lead(fixture);
}

void node_fixture_finish(struct node_fixture *fixture)
{
	close_node(fixture);
	faulty_vfs_destroy(fixture->vfs);
	for (size_t i = 0; i < fixture->entry_count; i++)
		text_release(fixture->entries[i].body);
	mem_free(fixture->entries);
	mem_free(fixture->calls);
	mem_free(fixture->requests);
	for (size_t i = 0; i < fixture->frame_count; i++)
		node_fixture_frame_finish(&fixture->frames[i]);
	mem_free(fixture->frames);
	mem_free(fixture->obeying);
	buffer_finish(&fixture->answered.payload);
	buffer_finish(&fixture->answered.keys);
	arena_finish(&fixture->arena);
}

void node_fixture_restart(struct node_fixture *fixture, bool keep_unsynced)
{
	close_node(fixture);
	while (!keep_unsynced && fixture->entry_count > fixture->synced_count)
		text_release(fixture->entries[--fixture->entry_count].body);
	fixture->synced_count = fixture->entry_count;
	open_node(fixture);
}

void node_fixture_turn(struct node_fixture *fixture)
{
	bool applies = false;
	for (uint32_t turns = 0; turns == 0 || applies || node_deadline(fixture->node) <= fixture->now; turns++) {
		if (turns > TURNS_MAX)
			node_fixture_fail("the node turns without end, though no time passes");
		node_turn(fixture->node);
		applies = node_applies(fixture->node);
		if (applies)
			node_apply(fixture->node);
	}
}

static void hear_raft(struct node_fixture *fixture, const struct raft_message *message)
{
	struct arena arena = {0};
	Clusterd__Wire__RaftMessage *packed = raft_pack(message, NULL, &arena);
	node_peer_message(fixture->node, message->from, FRAME_RAFT, 0, &packed->base, SLICE(""));
	arena_finish(&arena);
}

/* What the others say by themselves. */
static bool others_go_on(struct node_fixture *fixture)
{
	bool any = fixture->obeying_count > 0;
	while (fixture->obeying_count > 0) {
		struct raft_message message = fixture->obeying[0];
		fixture->obeying_count--;
		memmove(fixture->obeying, fixture->obeying + 1, fixture->obeying_count * sizeof message);
		hear_raft(fixture, &message);
	}
	if (fixture->leader != 0 && fixture->leader_said + LEADER_SAYS_MS <= fixture->now) {
		fixture->leader_said = fixture->now;
		hear_raft(fixture, &(struct raft_message){.kind = RAFT_HEARTBEAT, .from = fixture->leader,
		                                          .to = NODE_FIXTURE_SELF, .term = fixture->leader_term});
		any = true;
	}
	return any;
}

void node_fixture_settle(struct node_fixture *fixture)
{
	uint32_t rounds = 0;
	do {
		if (++rounds > TURNS_MAX)
			node_fixture_fail("the node writes without end, though no time passes");
		node_fixture_turn(fixture);
	} while (node_fixture_disk(fixture) || others_go_on(fixture));
}

void node_fixture_pass(struct node_fixture *fixture, msec time)
{
	msec until = fixture->now + time;
	node_fixture_settle(fixture);
	/* Others are there: what comes of them comes in its time. */
	while ((fixture->obeyed || fixture->leader != 0) && fixture->now + LEADER_SAYS_MS < until) {
		fixture->now += LEADER_SAYS_MS;
		node_fixture_settle(fixture);
	}
	fixture->now = until;
	node_fixture_settle(fixture);
}

/* --- who asks ------------------------------------------------------------------------------------------------------ */

static bool may_wait(const Clusterd__Wire__Request *request)
{
	switch (request->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_WAIT:
	case CLUSTERD__WIRE__REQUEST__BODY_WATCH:
	case CLUSTERD__WIRE__REQUEST__BODY_WATCH_KEYS:
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_START:
		return request->start->wait != 0;
	default:
		return false;
	}
}

uint32_t node_fixture_ask(struct node_fixture *fixture, uint64_t connection, const Clusterd__Wire__Request *request,
                          struct slice payload)
{
	uint32_t stream = fixture->next_stream++;
	mem_grow(fixture->requests, fixture->request_capacity, fixture->request_count + 1);
	fixture->requests[fixture->request_count++] =
		(struct asked){connection, stream, (int)request->body_case, may_wait(request), false};
	node_request(fixture->node, connection, stream, request, payload);
	return stream;
}

void node_fixture_cancel(struct node_fixture *fixture, uint64_t connection, uint32_t stream)
{
	struct asked *asked = asked_find(fixture, connection, stream);
	node_request_cancelled(fixture->node, connection, stream);
	if (asked != NULL)
		asked->over = true;
}

void node_fixture_close(struct node_fixture *fixture, uint64_t connection)
{
	calls_forget(fixture, connection, NULL);
	for (size_t i = 0; i < fixture->request_count; i++) {
		if (fixture->requests[i].connection == connection)
			fixture->requests[i].over = true;
	}
	node_connection_closed(fixture->node, connection);
}

int node_fixture_return(struct node_fixture *fixture, size_t index, bool failed, bool final, struct slice value,
                        struct slice metadata)
{
	struct call_id id = fixture->calls[index].id;
	uint64_t connection = fixture->calls[index].connection;
	struct error error = {0};
	handed_out_forget(fixture, index);
	if (connection == 0) {
		node_call_finished(fixture->node, id, failed, final, value, metadata);
		return 0;
	}
	Clusterd__Wire__Result result = CLUSTERD__WIRE__RESULT__INIT;
	result.instance = id.instance;
	result.ref = id.ref;
	result.attempt = id.attempt;
	result.failed = failed;
	result.final = final;
	result.metadata = (ProtobufCBinaryData){metadata.size, (uint8_t *)(uintptr_t)metadata.data};
	return node_worker_result(fixture->node, connection, &result, value, &error);
}

/* --- requests that must succeed ------------------------------------------------------------------------------------ */

static void ask_well(struct node_fixture *fixture, uint64_t connection, const Clusterd__Wire__Request *request,
                     struct slice payload)
{
	uint32_t before = fixture->answered.count;
	node_fixture_ask(fixture, connection, request, payload);
	node_fixture_settle(fixture);
	if (fixture->answered.count == before || fixture->answered.code != 0)
		node_fixture_fail("a good request is refused: %s", fixture->answered.text);
}

uint64_t node_fixture_open_session(struct node_fixture *fixture, uint64_t connection)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__OpenSession open = CLUSTERD__WIRE__OPEN_SESSION__INIT;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION;
	request.open_session = &open;
	ask_well(fixture, connection, &request, SLICE(""));
	return fixture->answered.number;
}

void node_fixture_register(struct node_fixture *fixture, uint64_t connection, uint64_t session, uint64_t sequence,
                           const char *source)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Register body = CLUSTERD__WIRE__REGISTER__INIT;
	Clusterd__Wire__SourceFile file = CLUSTERD__WIRE__SOURCE_FILE__INIT;
	Clusterd__Wire__SourceFile *files[] = {&file};
	file.path = (char *)(uintptr_t)"test.flow";
	file.text = (ProtobufCBinaryData){strlen(source), (uint8_t *)(uintptr_t)source};
	body.files = files;
	body.n_files = 1;
	request.session = session;
	request.sequence = sequence;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_REGISTER;
	request.register_ = &body;
	ask_well(fixture, connection, &request, SLICE(""));
}

uint64_t node_fixture_start(struct node_fixture *fixture, uint64_t connection, uint64_t session, uint64_t sequence,
                            const char *workflow, const char *args)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Start body = CLUSTERD__WIRE__START__INIT;
	body.process = (char *)(uintptr_t)workflow;
	request.session = session;
	request.sequence = sequence;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_START;
	request.start = &body;
	ask_well(fixture, connection, &request, slice_of(args));
	return fixture->answered.number;
}

void node_fixture_offer(struct node_fixture *fixture, uint64_t connection, const char *process, uint32_t credit)
{
	Clusterd__Wire__Offer offer = CLUSTERD__WIRE__OFFER__INIT;
	Clusterd__Wire__OfferedProcess offered = CLUSTERD__WIRE__OFFERED_PROCESS__INIT;
	Clusterd__Wire__OfferedProcess *list[] = {&offered};
	struct error error = {0};
	offered.name = (char *)(uintptr_t)process;
	offer.processes = list;
	offer.n_processes = 1;
	offer.credit = credit;
	if (node_worker_offer(fixture->node, connection, &offer, &error) != 0)
		node_fixture_fail("a good offer is refused: %s", error.text);
	node_fixture_settle(fixture);
}

/* --- other nodes ---------------------------------------------------------------------------------------------------- */

void node_fixture_follow(struct node_fixture *fixture, uint64_t leader, uint64_t term)
{
	struct raft_message message = {.from = leader != 0 ? leader : 9, .to = NODE_FIXTURE_SELF, .term = term};
	node_fixture_settle(fixture);
	fixture->obeyed = false;
	fixture->obeying_count = 0;
	fixture->leader = leader;
	fixture->leader_term = term;
	fixture->leader_said = fixture->now;
	message.kind = leader != 0 ? RAFT_HEARTBEAT : RAFT_VOTE_REQUEST;
	if (leader == 0)
		message.vote_request = (struct raft_vote_request){.transfer = true, .for_term = term, .last_index = 1000,
		                                                  .last_term = term - 1};
	hear_raft(fixture, &message);
	node_fixture_settle(fixture);
}

void node_fixture_lead(struct node_fixture *fixture)
{
	fixture->leader = 0;
	fixture->obeyed = true;
	node_fixture_pass(fixture, 1000);
	if (!node_ready(fixture->node))
		node_fixture_fail("the node is not elected");
}

void node_fixture_allow_read(struct node_fixture *fixture, uint64_t index)
{
	hear_raft(fixture, &(struct raft_message){.kind = RAFT_READ_RESPONSE,
	                                          .from = fixture->read_member,
	                                          .to = NODE_FIXTURE_SELF,
	                                          .term = fixture->leader_term,
	                                          .read_response = {.id = fixture->read_id, .index = index}});
	node_fixture_settle(fixture);
}

bool node_fixture_sent(struct node_fixture *fixture, int type, struct peer_frame *ret_frame)
{
	for (size_t i = 0; i < fixture->frame_count; i++) {
		if (fixture->frames[i].type != type)
			continue;
		*ret_frame = fixture->frames[i];
		fixture->frame_count--;
		memmove(fixture->frames + i, fixture->frames + i + 1, (fixture->frame_count - i) * sizeof *fixture->frames);
		return true;
	}
	return false;
}

void node_fixture_frame_finish(struct peer_frame *frame)
{
	buffer_finish(&frame->message);
	buffer_finish(&frame->payload);
}

void node_fixture_hear(struct node_fixture *fixture, uint64_t member, int type, uint32_t stream,
                       const ProtobufCMessage *message, struct slice payload)
{
	node_peer_message(fixture->node, member, type, stream, message, payload);
}

/* --- looking inside ------------------------------------------------------------------------------------------------ */

long long node_fixture_status(struct node_fixture *fixture, const char *name)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Status body = CLUSTERD__WIRE__STATUS__INIT;
	struct slice value;
	long long number;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_STATUS;
	request.status = &body;
	node_fixture_ask(fixture, WATCHER, &request, SLICE(""));
	if (!json_member(buffer_slice(&fixture->answered.payload), slice_of(name), &value) ||
	    json_integer(value, INT64_MIN, INT64_MAX, &number) != 0)
		node_fixture_fail("status has no number %s", name);
	return number;
}

static void apply_all(struct node_fixture *fixture, struct machine *machine)
{
	struct error error = {0};
	struct arena arena = {0};
	for (uint64_t index = 1; index <= node_applied_index(fixture->node); index++) {
		const struct log_entry *entry = &fixture->entries[index - 1];
		struct command command;
		size_t count;
		int code = command_decode(text_slice(entry->body), &arena, &command, &error);
		if (code == 0)
			code = machine_begin(machine, &error);
		if (code == 0)
			code = machine_apply(machine, index, entry->term, &command, &error);
		if (code == 0)
			code = machine_commit(machine, &error);
		if (code != 0)
			node_fixture_fail("entry %" PRIu64 " cannot be applied again: %s", index, error.text);
		machine_effects(machine, &count);
		machine_effects_done(machine);
		arena_finish(&arena);
	}
}

void node_fixture_compare(struct node_fixture *fixture)
{
	struct catalog *catalog;
	struct machine *machine;
	struct error error = {0};
	uint64_t hashes[2];
	if (catalog_open(REFERENCE, "fixture", &catalog, &error) != 0 || machine_create(catalog, &machine, &error) != 0)
		node_fixture_fail("no second catalog: %s", error.text);
	const struct command_member members[] = {{7, true}, {8, true}, {9, true}};
	if (machine_found(machine, SLICE("00000000000000000000000000c0ffee"), members, fixture->voters, &error) != 0)
		node_fixture_fail("%s", error.text);
	apply_all(fixture, machine);
	machine_destroy(machine);
	node_settle(fixture->node);
	if (catalog_hash(fixture->catalog, &hashes[0]) != 0 || catalog_hash(catalog, &hashes[1]) != 0)
		node_fixture_fail("the catalogs cannot be read");
	catalog_close(catalog);
	if (hashes[0] != hashes[1])
		node_fixture_fail("the same log gives another catalog when it is applied one entry at a time");
}
