#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine_fixture.h"

#include "coordinator/topic_schema.h"
#include "coordinator/topics.h"

#include <inttypes.h>
#include <stdio.h>

/* Topics: what may be published and subscribed to, and what goes with a session. */

#define PROOF "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* --- commands ------------------------------------------------------------------------------------------------------ */

/* A session with a secret, which asks from here on. */
static uint64_t opens(struct machine_fixture *fixture)
{
	struct command command = {.kind = COMMAND_OPEN_SESSION, .sequence = 77};
	command.open_session.ttl = 10000;
	command.open_session.proof = SLICE(PROOF);
	machine_fixture_apply(fixture, &command);
	fixture->session = fixture->answer.number;
	fixture->sequence = 0;
	return fixture->session;
}

static void asks(struct machine_fixture *fixture, struct command *command)
{
	fixture->sequence++;
	fixture->answered_below = fixture->sequence;
	machine_fixture_apply(fixture, command);
}

static uint64_t publishes_part(struct machine_fixture *fixture, const char *topic, enum topic_kind kind, const char *schema,
                               uint32_t partitions, uint32_t part)
{
	struct command command = {.kind = COMMAND_PUBLISH};
	command.publish.topic = slice_of(topic);
	command.publish.kind = kind;
	command.publish.schema = slice_of(schema);
	command.publish.partitions = partitions;
	command.publish.part = part;
	command.publish.address = SLICE("10.0.0.1:7000");
	asks(fixture, &command);
	return fixture->answer.code == 0 ? fixture->answer.number : 0;
}

static uint64_t publishes(struct machine_fixture *fixture, const char *topic)
{
	return publishes_part(fixture, topic, TOPIC_STREAM, "stream(Number, Number)", 0, 0);
}

static void unpublishes(struct machine_fixture *fixture, uint64_t publication)
{
	struct command command = {.kind = COMMAND_UNPUBLISH};
	command.unpublish.publication = publication;
	asks(fixture, &command);
}

static uint64_t subscribes_to(struct machine_fixture *fixture, const char *topic, enum topic_kind kind, const char *schema)
{
	struct command command = {.kind = COMMAND_SUBSCRIBE};
	topic_split(slice_of(topic), &command.subscribe.topic, &command.subscribe.all, &command.subscribe.part);
	command.subscribe.kind = kind;
	command.subscribe.schema = slice_of(schema);
	asks(fixture, &command);
	return fixture->answer.code == 0 ? fixture->answer.number : 0;
}

static uint64_t subscribes(struct machine_fixture *fixture, const char *topic)
{
	return subscribes_to(fixture, topic, TOPIC_ANY, "");
}

static void unsubscribes(struct machine_fixture *fixture, uint64_t subscription)
{
	struct command command = {.kind = COMMAND_UNSUBSCRIBE};
	command.unsubscribe.subscription = subscription;
	asks(fixture, &command);
}

static void sweeps(struct machine_fixture *fixture)
{
	fixture->session = 0;
	machine_fixture_apply(fixture, &(struct command){.kind = COMMAND_SWEEP});
}

static void ends_session(struct machine_fixture *fixture, uint64_t session)
{
	fixture->session = 0;
	closes_session(fixture, session);
}

/* --- publishing ---------------------------------------------------------------------------------------------------- */

static void topic_is_there_as_long_as_it_is_published(void **state)
{
	struct machine_fixture *fixture = *state;
	uint64_t session = opens(fixture);
	uint64_t id = publishes(fixture, "t");
	assert_int_equal(id, machine_applied_index(fixture->machine));
	char row[100];
	snprintf(row, sizeof row, "%" PRIu64 "|t|stream|stream(Number, Number)|0|%" PRIu64, id, id);
	assert_tells(fixture, "SELECT id, name, kind, schema, partitions, version FROM topic", row);
	snprintf(row, sizeof row, "%" PRIu64 "|%" PRIu64 "|0|%" PRIu64 "|10.0.0.1:7000", id, id, session);
	assert_tells(fixture, "SELECT id, topic, part, session, address FROM publication", row);
	unpublishes(fixture, id);
	assert_int_equal(fixture->answer.code, 0);
	assert_tells(fixture, "SELECT count(*) FROM topic", "0");
	assert_tells(fixture, "SELECT count(*) FROM publication", "0");
	assert_null(machine_topic(fixture->machine, SLICE("t")));
	unpublishes(fixture, id);
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
}

static void name_is_published_once(void **state)
{
	struct machine_fixture *fixture = *state;
	opens(fixture);
	publishes(fixture, "t");
	assert_int_equal(publishes(fixture, "t"), 0);
	assert_int_equal(fixture->answer.code, ERR_EXISTS);
	opens(fixture);
	publishes_part(fixture, "t", TOPIC_SERVICE, "other", 0, 0);
	assert_int_equal(fixture->answer.code, ERR_EXISTS);
	assert_tells(fixture, "SELECT count(*) FROM publication", "1");
}

static void only_its_owner_ends_a_publication(void **state)
{
	struct machine_fixture *fixture = *state;
	opens(fixture);
	uint64_t id = publishes(fixture, "t");
	uint64_t subscription = subscribes(fixture, "t");
	opens(fixture);
	unpublishes(fixture, id);
	assert_int_equal(fixture->answer.code, ERR_DENIED);
	unsubscribes(fixture, subscription);
	assert_int_equal(fixture->answer.code, ERR_DENIED);
	assert_tells(fixture, "SELECT (SELECT count(*) FROM publication), (SELECT count(*) FROM subscription)", "1|1");
}

static void session_without_a_secret_owns_nothing(void **state)
{
	struct machine_fixture *fixture = *state;
	fixture->session = opens_session(fixture);
	fixture->sequence = 0;
	assert_int_equal(publishes(fixture, "t"), 0);
	assert_int_equal(fixture->answer.code, ERR_DENIED);
	subscribes(fixture, "t");
	assert_int_equal(fixture->answer.code, ERR_DENIED);
}

static void parts_are_published_each_by_whoever_has_it(void **state)
{
	struct machine_fixture *fixture = *state;
	opens(fixture);
	assert_int_not_equal(publishes_part(fixture, "t", TOPIC_STREAM, "s", 3, 2), 0);
	opens(fixture);
	uint64_t first = publishes_part(fixture, "t", TOPIC_STREAM, "s", 3, 0);
	assert_int_not_equal(first, 0);
	publishes_part(fixture, "t", TOPIC_STREAM, "s", 3, 2);
	assert_int_equal(fixture->answer.code, ERR_EXISTS);
	publishes_part(fixture, "t", TOPIC_STREAM, "s", 4, 1);
	assert_int_equal(fixture->answer.code, ERR_CONFLICT);
	publishes_part(fixture, "t", TOPIC_COLLECTION, "s", 3, 1);
	assert_int_equal(fixture->answer.code, ERR_CONFLICT);
	publishes_part(fixture, "t", TOPIC_STREAM, "other", 3, 1);
	assert_int_equal(fixture->answer.code, ERR_TYPE);
	subscribes(fixture, "t.1");
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
	subscribes(fixture, "t.9999999999999");
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
	assert_int_not_equal(subscribes(fixture, "t.2"), 0);
	assert_int_not_equal(subscribes(fixture, "t"), 0);
	assert_tells(fixture, "SELECT group_concat(coalesce(part, 'all')) FROM subscription", "2,all");
	unpublishes(fixture, first);
	const struct topic *topic = machine_topic(fixture->machine, SLICE("t"));
	assert_true(topic_has(topic, true, 0) && topic_has(topic, false, 2) && !topic_has(topic, false, 0));
	assert_int_equal(topic->version, machine_applied_index(fixture->machine));
}

static void keeper_has_many_workers_in_turn(void **state)
{
	struct machine_fixture *fixture = *state;
	opens(fixture);
	publishes_part(fixture, "k", TOPIC_KEEPER, "s", 0, 0);
	assert_int_not_equal(publishes_part(fixture, "k", TOPIC_KEEPER, "s", 0, 0), 0);
	publishes_part(fixture, "k", TOPIC_STREAM, "s", 0, 0);
	assert_int_equal(fixture->answer.code, ERR_CONFLICT);
	const struct topic *topic = machine_topic(fixture->machine, SLICE("k"));
	assert_int_equal(topic->publication_count, 2);
	assert_int_equal(machine_topic_turn(fixture->machine, topic), 0);
	assert_int_equal(machine_topic_turn(fixture->machine, topic), 1);
}

static void publication_of_an_allocation_that_there_is_not_is_refused(void **state)
{
	struct machine_fixture *fixture = *state;
	struct command command = {.kind = COMMAND_PUBLISH};
	opens(fixture);
	command.publish.topic = SLICE("t");
	command.publish.kind = TOPIC_STREAM;
	command.publish.address = SLICE("h:1");
	command.publish.allocation = 12;
	asks(fixture, &command);
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
	assert_tells(fixture, "SELECT count(*) FROM topic", "0");
}

/* --- subscribing --------------------------------------------------------------------------------------------------- */

static void subscription_that_does_not_fit_leaves_nothing(void **state)
{
	struct machine_fixture *fixture = *state;
	opens(fixture);
	subscribes(fixture, "t");
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
	publishes(fixture, "t");
	subscribes_to(fixture, "t", TOPIC_SERVICE, "");
	assert_int_equal(fixture->answer.code, ERR_CONFLICT);
	subscribes_to(fixture, "t", TOPIC_STREAM, "stream(Text, Number)");
	assert_int_equal(fixture->answer.code, ERR_TYPE);
	subscribes(fixture, "t.0");
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
	assert_tells(fixture, "SELECT count(*) FROM subscription", "0");
	uint64_t id = subscribes_to(fixture, "t", TOPIC_STREAM, "stream(Number, Number)");
	assert_int_not_equal(id, 0);
	unsubscribes(fixture, id);
	assert_int_equal(fixture->answer.code, 0);
	unsubscribes(fixture, id);
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
	assert_tells(fixture, "SELECT count(*) FROM subscription", "0");
}

static void subscriptions_go_with_their_topic(void **state)
{
	struct machine_fixture *fixture = *state;
	opens(fixture);
	uint64_t id = publishes(fixture, "t");
	uint64_t publisher = fixture->session;
	uint64_t sequence = fixture->sequence;
	opens(fixture);
	uint64_t subscription = subscribes(fixture, "t");
	fixture->session = publisher;
	fixture->sequence = sequence;
	unpublishes(fixture, id);
	assert_tells(fixture, "SELECT count(*) FROM subscription", "0");
	assert_null(machine_subscription(fixture->machine, subscription));
}

/* --- sessions ------------------------------------------------------------------------------------------------------ */

static void all_that_a_session_owns_goes_with_it(void **state)
{
	struct machine_fixture *fixture = *state;
	uint64_t other = opens(fixture);
	publishes(fixture, "stays");
	uint64_t session = opens(fixture);
	publishes(fixture, "t");
	publishes(fixture, "u");
	subscribes(fixture, "stays");
	ends_session(fixture, session);
	assert_tells(fixture, "SELECT name FROM topic", "stays");
	assert_tells(fixture, "SELECT count(*) FROM subscription", "0");
	char owner[30];
	snprintf(owner, sizeof owner, "%" PRIu64, other);
	assert_tells(fixture, "SELECT session FROM publication", owner);
	assert_false(machine_owned_left(fixture->machine));
}

static void much_goes_a_bounded_number_at_a_time(void **state)
{
	struct machine_fixture *fixture = *state;
	char name[20];
	uint64_t session = opens(fixture);
	machine_fixture_begin(fixture);
	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof name, "t%d", i);
		publishes(fixture, name);
	}
	machine_fixture_commit(fixture);
	ends_session(fixture, session);
	assert_tells(fixture, "SELECT count(*) FROM publication", "344");
	assert_true(machine_owned_left(fixture->machine));
	/* What goes first is the same whether the state was made anew meanwhile or not. */
	assert_tells(fixture, "SELECT min(id) > 256 FROM publication", "1");
	sweeps(fixture);
	assert_tells(fixture, "SELECT count(*) FROM topic", "88");
	sweeps(fixture);
	assert_tells(fixture, "SELECT count(*) FROM topic", "0");
	assert_false(machine_owned_left(fixture->machine));
	sweeps(fixture);
}

static void many_subscriptions_of_a_topic_go_a_bounded_number_at_a_time(void **state)
{
	struct machine_fixture *fixture = *state;
	uint64_t publisher = opens(fixture);
	publishes(fixture, "t");
	uint64_t subscriber = opens(fixture);
	machine_fixture_begin(fixture);
	for (int i = 0; i < 300; i++)
		subscribes(fixture, "t");
	machine_fixture_commit(fixture);
	uint64_t sequence = fixture->sequence;
	ends_session(fixture, publisher);
	assert_null(machine_topic(fixture->machine, SLICE("t")));
	assert_tells(fixture, "SELECT count(*) FROM subscription", "45");
	/* The name is free, and those that are left are of no topic. */
	fixture->session = subscriber;
	fixture->sequence = sequence;
	publishes(fixture, "t");
	assert_int_equal(fixture->answer.code, 0);
	ends_session(fixture, subscriber);
	assert_tells(fixture, "SELECT (SELECT count(*) FROM subscription), (SELECT count(*) FROM topic)", "0|0");
}

static void limits_are_settings(void **state)
{
	struct machine_fixture *fixture = *state;
	sets(fixture, "session_entries", "10");
	sets(fixture, "topic_entries", "15");
	opens(fixture);
	publishes(fixture, "t");
	for (int i = 0; i < 9; i++)
		assert_int_not_equal(subscribes(fixture, "t"), 0);
	subscribes(fixture, "t");
	assert_int_equal(fixture->answer.code, ERR_LIMIT);
	assert_non_null(strstr(buffer_string(&fixture->text), "session_entries"));
	opens(fixture);
	for (int i = 0; i < 5; i++)
		assert_int_not_equal(subscribes(fixture, "t"), 0);
	publishes(fixture, "u");
	assert_int_equal(fixture->answer.code, ERR_LIMIT);
	assert_non_null(strstr(buffer_string(&fixture->text), "topic_entries"));
}

static void session_keeps_its_time_and_the_proof_of_its_secret(void **state)
{
	struct machine_fixture *fixture = *state;
	uint64_t session = opens(fixture);
	machine_fixture_reload(fixture);
	assert_string_equal(machine_session_proof(fixture->machine, session), PROOF);
	assert_int_equal(machine_session_ttl(fixture->machine, session), 10000);
	assert_null(machine_session_proof(fixture->machine, session + 1));
}

/* --- texts --------------------------------------------------------------------------------------------------------- */

static void assert_schema(const char *text, const char *expected)
{
	struct buffer out = BUFFER_EMPTY;
	topic_schema(slice_of(text), &out);
	assert_string_equal(buffer_string(&out), expected);
	buffer_clear(&out);
	topic_schema(slice_of(expected), &out);
	assert_string_equal(buffer_string(&out), expected);
	buffer_finish(&out);
}

static void schemas_of_the_same_types_are_the_same(void **state)
{
	(void)state;
	assert_schema("stream( Number,Number )", "stream(Number, Number)");
	assert_schema("stream ([{b:Text,a:Number}],Duration)", "stream([{a: Number, b: Text}], Duration)");
	assert_schema("service((A*B)*C + (D + E), ())", "service((A * B) * C + D + E, ())");
	assert_schema("{a: Number = 3, b: Text = \"x, y)\"}", "{a: Number, b: Text}");
	assert_schema("stream({\"a, b\": Text}, Number)", "stream({\"a, b\": Text}, Number)");
	assert_schema("b(Text)|a", "a | b(Text)");
	assert_schema("ok | no(Text)", "no(Text) | ok");
	assert_schema("Failure", "{cause: Cause, message: Text, process: Text}");
	assert_schema("  protobuf foo.Bar/1  ", "protobuf foo.Bar/1");
	assert_schema("stream(Number", "stream(Number");
	assert_schema("stream(Number)) (", "stream(Number)) (");
	assert_schema("Text\ntype B = Number", "Text\ntype B = Number");
	assert_schema("stream(, Number)", "stream(, Number)");
	assert_schema("", "");
}

static void names_of_parts_are_no_names_of_topics(void **state)
{
	(void)state;
	assert_true(topic_is_name(SLICE("a.b/c-d")) && topic_is_name(SLICE("v2")) && topic_is_name(SLICE("t.")));
	assert_true(topic_is_name(SLICE("7")));
	assert_false(topic_is_name(SLICE("t.3")) || topic_is_name(SLICE("")) || topic_is_name(SLICE("$catalog")));
	assert_false(topic_is_name(SLICE("a b")) || topic_is_name(SLICE("a\n")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(topic_is_there_as_long_as_it_is_published),
		MACHINE_TEST(name_is_published_once),
		MACHINE_TEST(only_its_owner_ends_a_publication),
		MACHINE_TEST(session_without_a_secret_owns_nothing),
		MACHINE_TEST(parts_are_published_each_by_whoever_has_it),
		{"keeper_has_many_workers_in_turn", keeper_has_many_workers_in_turn, machine_setup, machine_teardown, NULL},
		MACHINE_TEST(publication_of_an_allocation_that_there_is_not_is_refused),
		MACHINE_TEST(subscription_that_does_not_fit_leaves_nothing),
		MACHINE_TEST(subscriptions_go_with_their_topic),
		MACHINE_TEST(all_that_a_session_owns_goes_with_it),
		MACHINE_TEST(much_goes_a_bounded_number_at_a_time),
		MACHINE_TEST(many_subscriptions_of_a_topic_go_a_bounded_number_at_a_time),
		MACHINE_TEST(limits_are_settings),
		MACHINE_TEST(session_keeps_its_time_and_the_proof_of_its_secret),
		cmocka_unit_test(schemas_of_the_same_types_are_the_same),
		cmocka_unit_test(names_of_parts_are_no_names_of_topics),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
