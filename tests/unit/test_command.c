#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/log.pb-c.h"
#include "wire/command.h"
#include "wire/message.h"

/* Encodes, decodes; the decoded one lives in `arena`. */
static struct command there_and_back(const struct command *command, struct arena *arena)
{
	struct buffer body = BUFFER_EMPTY;
	struct command decoded;
	struct error error = {0};
	command_encode(command, arena, &body);
	assert_int_equal(command_decode(buffer_slice(&body), arena, &decoded, &error), 0);
	assert_int_equal(decoded.kind, command->kind);
	assert_int_equal(decoded.machine_version, command->machine_version);
	assert_int_equal(decoded.stamp, command->stamp);
	assert_int_equal(decoded.session, command->session);
	assert_int_equal(decoded.sequence, command->sequence);
	assert_int_equal(decoded.answered_below, command->answered_below);
	buffer_finish(&body);
	return decoded;
}

static struct command command_of(enum command_kind kind)
{
	return (struct command){.kind = kind, .machine_version = MACHINE_VERSION, .stamp = (uint64_t)1700000000000 << 16 | 7,
	                        .session = 3, .sequence = 9, .answered_below = 5};
}

static void a_command_without_content_comes_back(void **state)
{
	static const enum command_kind kinds[] = {COMMAND_NOOP, COMMAND_OPEN_SESSION, COMMAND_TIMERS, COMMAND_EXPIRE};
	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct arena arena = {0};
		struct command command = command_of(kinds[i]);
		there_and_back(&command, &arena);
		arena_finish(&arena);
	}
}

static void a_start_comes_back_byte_for_byte(void **state)
{
	struct arena arena = {0};
	struct command command = command_of(COMMAND_START);
	(void)state;
	command.start.process = SLICE("Ship");
	command.start.version = 4;
	command.start.key = SLICE("order-7");
	command.start.args = SLICE("{\"n\": 1.50e+3}");
	struct command decoded = there_and_back(&command, &arena);
	assert_true(slice_is(decoded.start.process, "Ship"));
	assert_int_equal(decoded.start.version, 4);
	assert_true(slice_is(decoded.start.key, "order-7"));
	assert_true(slice_is(decoded.start.args, "{\"n\": 1.50e+3}"));
	arena_finish(&arena);
}

static void results_come_back_in_order(void **state)
{
	struct arena arena = {0};
	struct command command = command_of(COMMAND_RESULTS);
	struct command_returned returned[2] = {
		{.ref = 1, .attempt = 65537, .value = SLICE("[1,2]"), .metadata = SLICE("{\"m\":1}")},
		{.ref = 2, .attempt = 65538, .failed = true, .final = true, .cause = CAUSE_TIMEOUT, .value = SLICE("too late")},
	};
	(void)state;
	command.results.instance = 77;
	command.results.returned = returned;
	command.results.count = 2;
	struct command decoded = there_and_back(&command, &arena);
	assert_int_equal(decoded.results.instance, 77);
	assert_int_equal(decoded.results.count, 2);
	assert_int_equal(decoded.results.returned[0].ref, 1);
	assert_true(slice_is(decoded.results.returned[0].value, "[1,2]"));
	assert_true(slice_is(decoded.results.returned[0].metadata, "{\"m\":1}"));
	assert_false(decoded.results.returned[0].failed);
	assert_int_equal(decoded.results.returned[1].attempt, 65538);
	assert_true(decoded.results.returned[1].failed && decoded.results.returned[1].final);
	assert_int_equal(decoded.results.returned[1].cause, CAUSE_TIMEOUT);
	arena_finish(&arena);
}

static void a_registration_carries_sources_and_files(void **state)
{
	struct arena arena = {0};
	struct command command = command_of(COMMAND_REGISTER);
	struct command_file file = {SLICE("a.flow"), SLICE("process A() -> Text\n")};
	struct command_attachment attachment = {SLICE("run.sh"), SLICE("00112233445566778899aabbccddeeff"), true, SLICE("\0\1\2")};
	(void)state;
	command.registering.files = &file;
	command.registering.file_count = 1;
	command.registering.attachments = &attachment;
	command.registering.attachment_count = 1;
	struct command decoded = there_and_back(&command, &arena);
	assert_int_equal(decoded.registering.file_count, 1);
	assert_true(slice_equal(decoded.registering.files[0].text, file.text));
	assert_int_equal(decoded.registering.attachment_count, 1);
	assert_true(decoded.registering.attachments[0].executable);
	assert_true(slice_equal(decoded.registering.attachments[0].content, attachment.content));
	arena_finish(&arena);
}

static void assignments_signals_settings_and_nodes_come_back(void **state)
{
	struct arena arena = {0};
	struct command_assignment assignment = {5, 6, 70000};
	uint64_t sessions[2] = {8, 9};
	(void)state;
	struct command command = command_of(COMMAND_ASSIGNED);
	command.assigned.node = SLICE("n1");
	command.assigned.calls = &assignment;
	command.assigned.count = 1;
	struct command decoded = there_and_back(&command, &arena);
	assert_true(slice_is(decoded.assigned.node, "n1"));
	assert_int_equal(decoded.assigned.calls[0].attempt, 70000);

	command = command_of(COMMAND_SIGNAL);
	command.signal.instance = 12;
	command.signal.name = SLICE("decision");
	command.signal.key = SLICE("null");
	command.signal.value = SLICE("true");
	decoded = there_and_back(&command, &arena);
	assert_true(slice_is(decoded.signal.name, "decision") && slice_is(decoded.signal.value, "true"));

	command = command_of(COMMAND_SET_SETTING);
	command.set_setting.name = SLICE("retention");
	command.set_setting.value = SLICE("7d");
	decoded = there_and_back(&command, &arena);
	assert_true(slice_is(decoded.set_setting.value, "7d"));

	command = command_of(COMMAND_CLOSE_SESSION);
	command.close_session.sessions = sessions;
	command.close_session.count = 2;
	decoded = there_and_back(&command, &arena);
	assert_int_equal(decoded.close_session.count, 2);
	assert_int_equal(decoded.close_session.sessions[1], 9);

	command = command_of(COMMAND_NODE);
	command.node.id = 1;
	command.node.generation = 3;
	command.node.name = SLICE("n1");
	command.node.tags = SLICE("{}");
	decoded = there_and_back(&command, &arena);
	assert_int_equal(decoded.node.generation, 3);
	assert_true(slice_is(decoded.node.tags, "{}"));
	arena_finish(&arena);
}

static void topics_and_sessions_come_back(void **state)
{
	struct arena arena = {0};
	(void)state;
	struct command command = command_of(COMMAND_PUBLISH);
	command.publish.topic = SLICE("t");
	command.publish.kind = TOPIC_KEEPER;
	command.publish.schema = SLICE("s");
	command.publish.address = SLICE("h:1");
	command.publish.partitions = 4;
	command.publish.part = 3;
	command.publish.allocation = 9;
	struct command decoded = there_and_back(&command, &arena);
	assert_true(slice_is(decoded.publish.topic, "t") && slice_is(decoded.publish.schema, "s") &&
	            slice_is(decoded.publish.address, "h:1"));
	assert_int_equal(decoded.publish.kind, TOPIC_KEEPER);
	assert_int_equal(decoded.publish.partitions, 4);
	assert_int_equal(decoded.publish.part, 3);
	assert_int_equal(decoded.publish.allocation, 9);

	command = command_of(COMMAND_SUBSCRIBE);
	command.subscribe.topic = SLICE("t");
	command.subscribe.part = 2;
	decoded = there_and_back(&command, &arena);
	assert_true(slice_is(decoded.subscribe.topic, "t") && !decoded.subscribe.all);
	assert_int_equal(decoded.subscribe.part, 2);

	command = command_of(COMMAND_UNPUBLISH);
	command.unpublish.publication = 5;
	assert_int_equal(there_and_back(&command, &arena).unpublish.publication, 5);
	command = command_of(COMMAND_UNSUBSCRIBE);
	command.unsubscribe.subscription = 6;
	assert_int_equal(there_and_back(&command, &arena).unsubscribe.subscription, 6);
	command = command_of(COMMAND_SWEEP);
	assert_int_equal(there_and_back(&command, &arena).kind, COMMAND_SWEEP);

	command = command_of(COMMAND_OPEN_SESSION);
	command.open_session.ttl = 5000;
	command.open_session.proof = SLICE("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	decoded = there_and_back(&command, &arena);
	assert_int_equal(decoded.open_session.ttl, 5000);
	assert_true(slice_equal(decoded.open_session.proof, command.open_session.proof));
	arena_finish(&arena);
}

/* Decodes an entry that is expected to be refused. */
static int refusal(const Clusterd__Log__Entry *entry, struct slice more, struct error *error)
{
	struct buffer body = BUFFER_EMPTY;
	struct arena arena = {0};
	struct command decoded;
	message_append(&body, &entry->base);
	buffer_append_slice(&body, more);
	int code = command_decode(buffer_slice(&body), &arena, &decoded, error);
	arena_finish(&arena);
	buffer_finish(&body);
	return code;
}

static void a_configuration_comes_back_and_can_be_told_from_others(void **state)
{
	const struct command_member members[] = {{7, true}, {8, false}};
	struct arena arena = {0};
	struct buffer body = BUFFER_EMPTY;
	struct command_head head;
	struct command command = command_of(COMMAND_CONFIGURATION);
	(void)state;
	command.configuration.members = members;
	command.configuration.count = 2;
	struct command decoded = there_and_back(&command, &arena);
	assert_int_equal(decoded.configuration.count, 2);
	assert_int_equal(decoded.configuration.members[1].id, 8);
	assert_false(decoded.configuration.members[1].voter);
	command_encode(&command, &arena, &body);
	assert_int_equal(command_peek(buffer_slice(&body), &head), 0);
	assert_true(head.configuration);
	assert_int_equal(head.stamp, command.stamp);
	command = command_of(COMMAND_NOOP);
	buffer_clear(&body);
	command_encode(&command, &arena, &body);
	assert_int_equal(command_peek(buffer_slice(&body), &head), 0);
	assert_false(head.configuration);
	assert_int_equal(head.stamp, command.stamp);
	assert_int_equal(command_peek((struct slice){body.data, body.size - 1}, &head), ERR_CORRUPT);
	buffer_finish(&body);
	arena_finish(&arena);
}

static void what_a_newer_machine_made_is_refused(void **state)
{
	Clusterd__Log__Entry entry = CLUSTERD__LOG__ENTRY__INIT;
	Clusterd__Log__Noop noop = CLUSTERD__LOG__NOOP__INIT;
	struct error error = {0};
	(void)state;
	entry.command_case = CLUSTERD__LOG__ENTRY__COMMAND_NOOP;
	entry.noop = &noop;
	entry.machine_version = MACHINE_VERSION + 1;
	assert_int_equal(refusal(&entry, SLICE(""), &error), ERR_VERSION);
	assert_non_null(strstr(error.text, "version"));
	entry.machine_version = MACHINE_VERSION;
	assert_int_equal(refusal(&entry, SLICE("\xf8\x07\x01"), &error), ERR_VERSION); /* field 127 */
	assert_int_equal(refusal(&entry, SLICE(""), &error), 0);
}

static void an_entry_without_a_command_is_refused(void **state)
{
	Clusterd__Log__Entry entry = CLUSTERD__LOG__ENTRY__INIT;
	struct error error = {0};
	(void)state;
	entry.machine_version = MACHINE_VERSION;
	assert_int_equal(refusal(&entry, SLICE(""), &error), ERR_VERSION);
}

static void what_is_no_entry_is_corrupt(void **state)
{
	struct arena arena = {0};
	struct command decoded;
	struct error error = {0};
	(void)state;
	assert_int_equal(command_decode(SLICE("\xff\xff\xff"), &arena, &decoded, &error), ERR_CORRUPT);
	arena_finish(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_without_content_comes_back),
		cmocka_unit_test(a_start_comes_back_byte_for_byte),
		cmocka_unit_test(results_come_back_in_order),
		cmocka_unit_test(a_registration_carries_sources_and_files),
		cmocka_unit_test(assignments_signals_settings_and_nodes_come_back),
		cmocka_unit_test(topics_and_sessions_come_back),
		cmocka_unit_test(a_configuration_comes_back_and_can_be_told_from_others),
		cmocka_unit_test(what_a_newer_machine_made_is_refused),
		cmocka_unit_test(an_entry_without_a_command_is_refused),
		cmocka_unit_test(what_is_no_entry_is_corrupt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
