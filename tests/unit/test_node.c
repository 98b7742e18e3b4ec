#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "node_fixture.h"
#include "wire/content.h"

#include <stdio.h>

static const char source[] =
	"type N = Number\n"
	"process Work(x: N) -> Text  { retries = 3 backoff = 10ms }\n"
	"process Other(x: N) -> Text { retries = 3 backoff = 10ms }\n"
	"process List(x: N) -> [N]   { exec = [\"list\"] }\n"
	"process Large(n: N) -> Text { }\n"
	"workflow One(x: N) -> Text { Work(x) }\n"
	"workflow Two(x: N) -> Text * Text { (Work(x), Other(x)) }\n"
	"workflow Many(x: N) -> [Text] { each n in List(x) limit 200 { Large(n) } }\n"
	"workflow Still(x: N) -> N { x after sleep(1h) }\n";

enum { CLIENT = 1, WORKER = 2, STRANGER = 3 };

struct world {
	struct node_fixture fixture;
	uint64_t session;
	uint64_t sequence;
};

static int setup(void **state)
{
	struct world *world = mem_zero(sizeof *world);
	node_fixture_init(&world->fixture);
	world->session = node_fixture_open_session(&world->fixture, CLIENT);
	world->sequence = 1;
	node_fixture_register(&world->fixture, CLIENT, world->session, world->sequence++, source);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	node_fixture_finish(&world->fixture);
	mem_free(world);
	return 0;
}

static uint64_t start(struct world *world, const char *workflow)
{
	return node_fixture_start(&world->fixture, CLIENT, world->session, world->sequence++, workflow, "{\"x\":1}");
}

static void assert_refused(const struct world *world, int code, const char *text)
{
	assert_int_equal(world->fixture.answered.code, code);
	if (strcmp(world->fixture.answered.text, text) != 0)
		fail_msg("\"%s\" instead of \"%s\"", world->fixture.answered.text, text);
}

static void ask_cancel(struct world *world, uint64_t sequence, uint64_t instance)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Cancel body = CLUSTERD__WIRE__CANCEL__INIT;
	request.session = world->session;
	request.sequence = sequence;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_CANCEL;
	request.cancel = &body;
	body.instance = instance;
	node_fixture_ask(&world->fixture, CLIENT, &request, SLICE(""));
	node_fixture_settle(&world->fixture);
}

static void ask_watch(struct world *world, uint64_t instance, uint64_t after)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Watch body = CLUSTERD__WIRE__WATCH__INIT;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_WATCH;
	request.watch = &body;
	body.instance = instance;
	body.after = after;
	node_fixture_ask(&world->fixture, CLIENT, &request, SLICE(""));
	node_fixture_settle(&world->fixture);
}

static int say_failed(struct world *world, struct call_id call, bool final)
{
	Clusterd__Wire__Result result = CLUSTERD__WIRE__RESULT__INIT;
	struct error error = {0};
	result.instance = call.instance;
	result.ref = call.ref;
	result.attempt = call.attempt;
	result.failed = 1;
	result.final = final;
	return node_worker_result(world->fixture.node, WORKER, &result, SLICE("no"), &error);
}

/* --- sessions ------------------------------------------------------------------------------------------------------ */

static void sequence_that_cannot_be_kept_is_refused(void **state)
{
	struct world *world = *state;
	ask_cancel(world, UINT64_MAX, 99);
	assert_refused(world, ERR_INVALID, "a sequence number is below 9007199254740992, not 18446744073709551615");
	ask_cancel(world, (UINT64_C(1) << 53) - 1, 99);
	assert_refused(world, ERR_NOT_FOUND, "there is no workflow with the id 99");
	node_fixture_restart(&world->fixture, true);
	node_fixture_settle(&world->fixture);
	assert_true(node_ready(world->fixture.node));
}

/* --- turns --------------------------------------------------------------------------------------------------------- */

static void what_is_committed_is_applied_behind_the_turn_that_hears_of_it(void **state)
{
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Cancel body = CLUSTERD__WIRE__CANCEL__INIT;
	uint64_t applied = node_applied_index(fixture->node);
	request.session = world->session;
	request.sequence = world->sequence++;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_CANCEL;
	request.cancel = &body;
	body.instance = 99;
	node_fixture_ask(fixture, CLIENT, &request, SLICE(""));
	node_turn(fixture->node);
	assert_true(node_fixture_disk(fixture));
	node_turn(fixture->node);
	assert_int_equal(node_applied_index(fixture->node), applied);
	assert_true(node_applies(fixture->node));
	node_apply(fixture->node);
	assert_int_equal(node_applied_index(fixture->node), applied + 1);
	assert_false(node_applies(fixture->node));
	node_fixture_settle(fixture);
}

/* --- failures that are said twice ---------------------------------------------------------------------------------- */

static void failure_said_again_while_it_backs_off_counts_once(void **state)
{
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	node_fixture_offer(fixture, WORKER, "Work", 5);
	start(world, "Two");
	assert_int_equal(fixture->call_count, 1);
	struct call_id first = fixture->calls[0].id;
	node_fixture_return(fixture, 0, true, false, SLICE("no"), SLICE(""));
	node_fixture_settle(fixture);
	/* Its timer fires in the same transaction. */
	assert_int_equal(say_failed(world, first, true), 0);
	node_turn(fixture->node);
	node_fixture_pass(fixture, 10);
	assert_int_equal(fixture->call_count, 1);
	assert_true(fixture->calls[0].id.attempt > first.attempt);
	node_fixture_compare(fixture);
}

static void failure_said_again_before_the_next_attempt_is_handed_out_counts_once(void **state)
{
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	node_fixture_offer(fixture, WORKER, "Work", 1);
	start(world, "One");
	struct call_id first = fixture->calls[0].id;
	node_fixture_return(fixture, 0, true, false, SLICE("no"), SLICE(""));
	node_fixture_settle(fixture);
	node_fixture_offer(fixture, WORKER, "Work", 0);
	node_fixture_pass(fixture, 10);
	assert_int_equal(fixture->call_count, 0);
	assert_int_equal(say_failed(world, first, true), 0);
	node_fixture_settle(fixture);
	node_fixture_offer(fixture, WORKER, "Work", 1);
	assert_int_equal(fixture->call_count, 1);
	assert_int_equal(node_fixture_return(fixture, 0, false, false, SLICE("\"yes\""), SLICE("")), 0);
	node_fixture_settle(fixture);
	assert_int_equal(node_fixture_status(fixture, "instances_loaded"), 0);
}

static void failure_of_an_attempt_that_was_never_made_counts_for_nothing(void **state)
{
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	uint64_t id = start(world, "One");
	node_fixture_offer(fixture, WORKER, "Nothing", 1);
	assert_int_equal(say_failed(world, (struct call_id){id, 1, 0}, true), 0);
	node_fixture_settle(fixture);
	assert_int_equal(fixture->taken_count, 1);
	node_fixture_offer(fixture, WORKER, "Work", 1);
	assert_int_equal(fixture->call_count, 1);
}

/* --- limits -------------------------------------------------------------------------------------------------------- */

static void results_that_come_together_are_logged_in_entries_of_a_bounded_size(void **state)
{
	enum { COUNT = 100, SIZE = 1000000 };
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	struct buffer list = BUFFER_EMPTY;
	char *value = mem_alloc(SIZE);
	for (int i = 0; i < COUNT; i++)
		buffer_format(&list, "%c%d", i == 0 ? '[' : ',', i);
	buffer_append_char(&list, ']');
	memset(value, 'x', SIZE);
	value[0] = value[SIZE - 1] = '"';
	node_fixture_offer(fixture, WORKER, "Large", COUNT);
	start(world, "Many");
	node_fixture_return(fixture, 0, false, false, buffer_slice(&list), SLICE(""));
	node_fixture_settle(fixture);
	assert_int_equal(fixture->call_count, COUNT);
	while (fixture->call_count > 0)
		node_fixture_return(fixture, 0, false, false, (struct slice){value, SIZE}, SLICE(""));
	node_fixture_settle(fixture);
	assert_int_equal(node_fixture_status(fixture, "instances_loaded"), 0);
	for (size_t i = 0; i < fixture->entry_count; i++)
		assert_true(fixture->entries[i].body->size < 8 << 20);
	mem_free(value);
	buffer_finish(&list);
}

static void ask_open(struct world *world, uint64_t connection)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__OpenSession body = CLUSTERD__WIRE__OPEN_SESSION__INIT;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION;
	request.open_session = &body;
	node_fixture_ask(&world->fixture, connection, &request, SLICE(""));
}

static void sessions_have_a_limit_and_end_when_nobody_uses_them(void **state)
{
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	for (uint32_t i = 1; i < NODE_SESSIONS_MAX; i++) {
		ask_open(world, STRANGER);
		if (i % 1000 == 0)
			node_fixture_settle(fixture);
	}
	node_fixture_settle(fixture);
	assert_int_equal(fixture->answered.code, 0);
	ask_open(world, STRANGER);
	assert_refused(world, ERR_BUSY, "there are 10000 sessions: those that nobody uses end some time later");
	for (int i = 0; i < 30; i++)
		node_fixture_pass(fixture, 5000);
	ask_open(world, STRANGER);
	node_fixture_settle(fixture);
	assert_int_equal(fixture->answered.code, 0);
	ask_cancel(world, world->sequence++, 99); /* the one with a connection is still there */
	assert_int_equal(fixture->answered.code, ERR_NOT_FOUND);
}

static void answers_that_nobody_says_to_have_have_a_limit(void **state)
{
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Cancel body = CLUSTERD__WIRE__CANCEL__INIT;
	request.session = world->session;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_CANCEL;
	request.cancel = &body;
	for (uint32_t i = 1; i < NODE_ANSWERS_MAX; i++) {
		request.sequence = world->sequence++;
		node_fixture_ask(fixture, CLIENT, &request, SLICE(""));
		if (i % 1000 == 0)
			node_fixture_settle(fixture);
	}
	node_fixture_settle(fixture);
	ask_cancel(world, world->sequence, 99);
	assert_refused(world, ERR_BUSY, "session 1 has 10000 answers that its client does not say it has (answered_below)");
	ask_cancel(world, world->sequence - 1, 99); /* known: told again */
	assert_int_equal(fixture->answered.code, ERR_NOT_FOUND);
	assert_true(node_ready(fixture->node));
}

static void sequence_that_was_answered_and_let_go_is_refused_once(void **state)
{
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Cancel body = CLUSTERD__WIRE__CANCEL__INIT;
	request.session = world->session;
	request.sequence = world->sequence++;
	request.answered_below = request.sequence;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_CANCEL;
	request.cancel = &body;
	node_fixture_ask(fixture, CLIENT, &request, SLICE(""));
	node_fixture_settle(fixture);
	assert_int_equal(fixture->answered.code, ERR_NOT_FOUND);
	request.sequence--;
	node_fixture_ask(fixture, CLIENT, &request, SLICE(""));
	assert_int_equal(fixture->answered.code, ERR_EXPIRED);
	node_fixture_pass(fixture, 1);
	ask_cancel(world, world->sequence++, 99);
	assert_int_equal(fixture->answered.code, ERR_NOT_FOUND);
}

static void request_of_nothing_is_refused_in_a_session_that_is_not_known_too(void **state)
{
	struct world *world = *state;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	request.session = 99;
	request.sequence = 1;
	node_fixture_ask(&world->fixture, CLIENT, &request, SLICE(""));
	assert_refused(world, ERR_UNSUPPORTED, "this node does not know this request");
	request.session = world->session;
	node_fixture_ask(&world->fixture, CLIENT, &request, SLICE(""));
	assert_refused(world, ERR_UNSUPPORTED, "this node does not know this request");
}

static void requests_of_a_connection_that_wait_have_a_limit(void **state)
{
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Wait body = CLUSTERD__WIRE__WAIT__INIT;
	body.instance = start(world, "Still");
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_WAIT;
	request.wait = &body;
	uint32_t before = fixture->answered.count;
	for (uint32_t i = 0; i < NODE_WAITERS_MAX; i++)
		node_fixture_ask(fixture, STRANGER, &request, SLICE(""));
	assert_int_equal(fixture->answered.count, before);
	node_fixture_ask(fixture, STRANGER, &request, SLICE(""));
	assert_refused(world, ERR_BUSY, "10000 requests of this connection wait for their answers");
	assert_int_equal(fixture->answered.count, before + 1);
	node_fixture_ask(fixture, CLIENT, &request, SLICE(""));
	assert_int_equal(node_fixture_status(fixture, "requests_waiting"), NODE_WAITERS_MAX + 1);
	node_fixture_close(fixture, STRANGER);
	assert_int_equal(node_fixture_status(fixture, "requests_waiting"), 1);
}

static void instances_loaded_for_refused_signals_are_put_out_of_memory(void **state)
{
	enum { COUNT = 120, CACHED = 100 };
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__SetSetting setting = CLUSTERD__WIRE__SET_SETTING__INIT;
	Clusterd__Wire__Signal signal = CLUSTERD__WIRE__SIGNAL__INIT;
	setting.name = (char *)(uintptr_t)"instances_cached";
	setting.value = (char *)(uintptr_t)"100";
	request.session = world->session;
	request.sequence = world->sequence++;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_SET_SETTING;
	request.set_setting = &setting;
	node_fixture_ask(fixture, CLIENT, &request, SLICE(""));
	node_fixture_settle(fixture);
	for (int i = 0; i < COUNT; i++)
		start(world, "Still");
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_SIGNAL;
	request.signal = &signal;
	for (uint64_t id = 1; id <= COUNT; id++) {
		signal.instance = id;
		request.sequence = world->sequence++;
		node_fixture_ask(fixture, CLIENT, &request, SLICE(""));
		assert_int_equal(fixture->answered.code, ERR_NOT_FOUND);
	}
	node_fixture_pass(fixture, 50); /* by then the transaction has ended */
	assert_int_equal(node_fixture_status(fixture, "instances_loaded"), CACHED);
}

/* --- what is said -------------------------------------------------------------------------------------------------- */

static void watch_says_nothing_before_history_has_passed_what_is_known(void **state)
{
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	uint64_t id = start(world, "Two");
	uint32_t before = fixture->answered.count;
	ask_watch(world, id, 1000);
	assert_int_equal(fixture->answered.count, before);
	node_fixture_offer(fixture, WORKER, "Work", 1);
	node_fixture_return(fixture, 0, false, false, SLICE("\"a\""), SLICE(""));
	node_fixture_settle(fixture);
	assert_int_equal(fixture->answered.count, before);
	ask_cancel(world, world->sequence++, id);
	assert_int_equal(fixture->answered.count, before + 2); /* the cancellation, and the end */
}

static void content_that_is_not_of_its_hash_is_refused(void **state)
{
	static const char text[] = "process Told(x: Text) -> Text { exec = [\"./a.sh\"] files = [\"a.sh\"] }\n";
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Register body = CLUSTERD__WIRE__REGISTER__INIT;
	Clusterd__Wire__SourceFile file = CLUSTERD__WIRE__SOURCE_FILE__INIT;
	Clusterd__Wire__Attachment attachment = CLUSTERD__WIRE__ATTACHMENT__INIT;
	Clusterd__Wire__SourceFile *files[] = {&file};
	Clusterd__Wire__Attachment *attachments[] = {&attachment};
	char hash[CONTENT_HASH_SIZE];
	content_hash(SLICE("#!/bin/sh\n"), hash);
	file.path = (char *)(uintptr_t)"told.flow";
	file.text = (ProtobufCBinaryData){sizeof text - 1, (uint8_t *)(uintptr_t)text};
	attachment.path = (char *)(uintptr_t)"a.sh";
	attachment.hash = hash;
	attachment.content = (ProtobufCBinaryData){5, (uint8_t *)(uintptr_t)"rm -r"};
	body.files = files;
	body.attachments = attachments;
	body.n_files = body.n_attachments = 1;
	request.session = world->session;
	request.sequence = world->sequence++;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_REGISTER;
	request.register_ = &body;
	node_fixture_ask(fixture, CLIENT, &request, SLICE(""));
	assert_int_equal(fixture->answered.code, ERR_INVALID);
	attachment.content = (ProtobufCBinaryData){10, (uint8_t *)(uintptr_t)"#!/bin/sh\n"};
	node_fixture_ask(fixture, CLIENT, &request, SLICE(""));
	node_fixture_settle(fixture);
	assert_int_equal(fixture->answered.code, 0);
}

static void refusal_of_a_long_name_is_text(void **state)
{
	struct world *world = *state;
	struct buffer args = BUFFER_EMPTY;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Start body = CLUSTERD__WIRE__START__INIT;
	body.process = (char *)(uintptr_t)"One";
	request.session = world->session;
	request.sequence = world->sequence++;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_START;
	request.start = &body;
	buffer_append_string(&args, "{\"x");
	for (int i = 0; i < 100; i++)
		buffer_append_string(&args, "\xC3\xBC");
	buffer_append_string(&args, "\":1}");
	node_fixture_ask(&world->fixture, CLIENT, &request, buffer_slice(&args));
	assert_int_equal(world->fixture.answered.code, ERR_TYPE);
	buffer_finish(&args);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sequence_that_cannot_be_kept_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_committed_is_applied_behind_the_turn_that_hears_of_it, setup, teardown),
		cmocka_unit_test_setup_teardown(failure_said_again_while_it_backs_off_counts_once, setup, teardown),
		cmocka_unit_test_setup_teardown(failure_said_again_before_the_next_attempt_is_handed_out_counts_once, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(failure_of_an_attempt_that_was_never_made_counts_for_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(results_that_come_together_are_logged_in_entries_of_a_bounded_size, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(sessions_have_a_limit_and_end_when_nobody_uses_them, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_that_nobody_says_to_have_have_a_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(sequence_that_was_answered_and_let_go_is_refused_once, setup, teardown),
		cmocka_unit_test_setup_teardown(request_of_nothing_is_refused_in_a_session_that_is_not_known_too, setup, teardown),
		cmocka_unit_test_setup_teardown(requests_of_a_connection_that_wait_have_a_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(instances_loaded_for_refused_signals_are_put_out_of_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(watch_says_nothing_before_history_has_passed_what_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(content_that_is_not_of_its_hash_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(refusal_of_a_long_name_is_text, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
