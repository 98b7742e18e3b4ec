#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "registry_fixture.h"

#define HASH_A SLICE("00112233445566778899aabbccddeeff")
#define HASH_B SLICE("ffeeddccbbaa99887766554433221100")

static struct registry_fixture fixture;

static int begin(void **state)
{
	(void)state;
	registry_fixture_init(&fixture);
	return 0;
}

static int end(void **state)
{
	(void)state;
	registry_fixture_finish(&fixture);
	return 0;
}

static const char *versions(const char *source)
{
	return registry_fixture_versions(&fixture, source);
}

#define UNIT "process P(x: X) -> Y\nworkflow W(x: X) -> Y { P(x) }\n"

static void same_content_gives_the_version_that_exists(void **state)
{
	(void)state;
	assert_string_equal(versions(UNIT), "P@1 new, W@1 new");
	const struct definition *first = fixture.registration.entries[1].definition;
	assert_string_equal(versions(UNIT), "P@1 same, W@1 same");
	assert_ptr_equal(fixture.registration.entries[1].definition, first);
	assert_int_equal(fixture.registration.new_count, 0);
}

static void space_and_comments_make_no_version(void **state)
{
	(void)state;
	versions(UNIT);
	assert_string_equal(versions("# new\nprocess P ( x : X )->Y\n\n\nworkflow W(x: X) -> Y\n{ # go\n  P(x)}"),
	                    "P@1 same, W@1 same");
}

static void order_of_declarations_makes_no_version(void **state)
{
	(void)state;
	versions(UNIT);
	assert_string_equal(versions("workflow W(x: X) -> Y { P(x) }\nprocess P(x: X) -> Y"), "W@1 same, P@1 same");
}

static void changed_tokens_make_a_version(void **state)
{
	(void)state;
	versions(UNIT);
	assert_string_equal(versions("process P(x: X) -> Y { retries = 1 }"), "P@2 new");
	assert_string_equal(versions("process P(x: X) -> Y { retries = 2 }"), "P@3 new");
	/* Only the newest one is compared with. */
	assert_string_equal(versions("process P(x: X) -> Y { retries = 1 }"), "P@4 new");
}

static void changed_callee_makes_a_version_of_its_caller(void **state)
{
	(void)state;
	versions(UNIT);
	assert_string_equal(versions("process P(x: X) -> Y { retries = 1 }\nworkflow W(x: X) -> Y { P(x) }\n"
	                             "workflow V(x: X) -> Y { W(x) }"),
	                    "P@2 new, W@2 new, V@1 new");
	const struct definition *v = fixture.registration.entries[2].definition;
	assert_int_equal(v->program->callees[0]->version, 2);
}

static void caller_alone_is_bound_to_the_newest(void **state)
{
	(void)state;
	versions(UNIT);
	versions("process P(x: X) -> Y { retries = 1 }");
	assert_string_equal(versions("workflow W(x: X) -> Y { P(x) }"), "W@2 new");
	assert_int_equal(fixture.registration.entries[0].definition->program->callees[0]->version, 2);
	/* The one registered before keeps what it is bound to. */
	assert_int_equal(registry_find(fixture.registry, SLICE("W"), 1)->program->callees[0]->version, 1);
}

static void named_version_is_bound(void **state)
{
	(void)state;
	versions("process P(x: X) -> Y");
	versions("process P(x: X) -> Y { retries = 1 }");
	assert_string_equal(versions("workflow W(x: X) -> Y { P@1(x) }"), "W@1 new");
	assert_int_equal(fixture.registration.entries[0].definition->program->callees[0]->version, 1);
	versions("process P(x: X) -> Y { retries = 5 }");
	assert_string_equal(versions("workflow W(x: X) -> Y { P@1(x) }"), "W@1 same");
}

static void changed_structure_of_a_type_makes_a_version(void **state)
{
	(void)state;
	assert_string_equal(versions("type X = Text\nprocess P(x: X) -> Y"), "P@1 new");
	assert_string_equal(versions("type X = Number\nprocess P(x: X) -> Y"), "P@2 new");
	assert_string_equal(versions("type X = {a: T}\ntype T = Text\nprocess P(x: X) -> Y"), "P@3 new");
	assert_string_equal(versions("type X = {a: T}\ntype T = Number\nprocess P(x: X) -> Y"), "P@4 new");
	assert_string_equal(versions("type X = {a: T = 1}\ntype T = Number\nprocess P(x: X) -> Y"), "P@5 new");
	/* Another name for the same structure is another token, in the declaration of the type. */
	assert_string_equal(versions("type X = {a: Number = 1}\nprocess P(x: X) -> Y"), "P@5 same");
}

static void type_inside_of_a_body_counts(void **state)
{
	(void)state;
	assert_string_equal(versions("type T = a | b\nworkflow W() -> Json { T.a }"), "W@1 new");
	assert_string_equal(versions("type T = a | b | c\nworkflow W() -> Json { T.a }"), "W@2 new");
	assert_string_equal(versions("type T = Text\nworkflow W() -> Json { [] as [T] }"), "W@3 new");
	assert_string_equal(versions("type T = Json\nworkflow W() -> Json { [] as [T] }"), "W@4 new");
}

static void workflows_that_call_one_another_change_together(void **state)
{
	(void)state;
	const char *const both = "process P(x: X) -> X + Y\n"
				 "workflow A(x: X) -> Y { case P(x) { left l -> B(l) right r -> r } }\n"
				 "workflow B(x: X) -> Y { case P(x) { left l -> A(l) right r -> r } }\n";
	assert_string_equal(versions(both), "P@1 new, A@1 new, B@1 new");
	assert_string_equal(versions(both), "P@1 same, A@1 same, B@1 same");
	assert_string_equal(versions("process P(x: X) -> X + Y\n"
	                             "workflow A(x: X) -> Y { case P(x) { left l -> B(l) right r -> r } }\n"
	                             "workflow B(x: X) -> Y { case P(x) { left l -> A(x: l) right r -> r } }\n"),
	                    "P@1 same, A@2 new, B@2 new");
	const struct definition *a = fixture.registration.entries[1].definition;
	const struct definition *b = fixture.registration.entries[2].definition;
	assert_ptr_equal(b->program->callees[1], a);
	/* One alone takes the other's place; then both together are new again. */
	assert_string_equal(versions("workflow B(x: X) -> Y { A(x) }"), "B@3 new");
	assert_string_equal(versions(both), "P@1 same, A@3 new, B@4 new");
}

static void content_of_attachments_makes_a_version(void **state)
{
	(void)state;
	const char *const source = "process P(x: X) -> Y { files = [\"a.sh\"] }\nprocess Q = P { retries = 1 }";
	const struct attachment a[] = {{SLICE("b.sh"), HASH_B}, {SLICE("a.sh"), HASH_A}};
	const struct attachment b[] = {{SLICE("a.sh"), HASH_B}};
	fixture.attachments = a;
	fixture.attachment_count = 2;
	assert_string_equal(versions(source), "P@1 new, Q@1 new");
	const struct process_settings *settings = &fixture.registration.entries[1].definition->settings;
	assert_int_equal(settings->file_count, 1);
	assert_true(slice_equal(settings->files[0].hash, HASH_A));
	assert_int_equal(settings->retries, 1);
	assert_string_equal(versions(source), "P@1 same, Q@1 same");
	fixture.attachments = b;
	fixture.attachment_count = 1;
	assert_string_equal(versions(source), "P@2 new, Q@2 new");
}

static void variant_is_a_definition_of_its_own(void **state)
{
	(void)state;
	versions("process Pc(x: X, t: Text = \"a\") -> Y { exec = [\"run\", t] timeout = 5s retries = 7 }");
	assert_string_equal(versions("process PcX = Pc { timeout = 6s }\nprocess PcY = PcX { pool = [\"serve\"] }"),
	                    "PcX@1 new, PcY@1 new");
	const struct definition *x = fixture.registration.entries[0].definition;
	const struct definition *y = fixture.registration.entries[1].definition;
	assert_true(slice_is(x->signature, "(x: X, t: Text) -> Y"));
	assert_int_equal(x->settings.timeout, 6000);
	assert_int_equal(x->settings.retries, 7);
	assert_int_equal(x->settings.exec_count, 2);
	assert_int_equal(x->settings.exec[1].param, 1);
	assert_int_equal(y->settings.timeout, 6000);
	assert_int_equal(y->settings.exec_count, 0);
	assert_int_equal(y->settings.pool_count, 1);
	assert_string_equal(versions("process Pc(x: X, t: Text = \"b\") -> Y"), "Pc@2 new");
	assert_string_equal(versions("process PcX = Pc { timeout = 6s }"), "PcX@2 new");
	assert_string_equal(versions("process PcX = Pc@1 { timeout = 6s }"), "PcX@3 new");
	assert_string_equal(versions("process PcX = Pc@1 { timeout = 6s }"), "PcX@3 same");
}

static void settings_have_their_defaults(void **state)
{
	(void)state;
	versions("process P(x: X) -> Y");
	const struct process_settings *settings = &fixture.registration.entries[0].definition->settings;
	assert_int_equal(settings->timeout, 3600000);
	assert_int_equal(settings->start_timeout, 0);
	assert_int_equal(settings->heartbeat, 0);
	assert_int_equal(settings->retries, 2);
	assert_int_equal(settings->backoff, 1000);
	assert_int_equal(settings->backoff_max, 60000);
	assert_int_equal(settings->stdout_form, STDOUT_JSON);
	assert_int_equal(settings->exec_count + settings->pool_count + settings->file_count, 0);
}

static void settings_are_taken(void **state)
{
	(void)state;
	versions("process P(x: X) -> [Text] {\n"
	         "  exec = [\"./a \\\"b\\\"\", x, 12] stdout = lines env = {\"A\": \"1\", \"b c\": \"\\u00e9\"} on = [\"gpu\"]\n"
	         "  start_timeout = 2s heartbeat = 500ms backoff = 2m\n}");
	const struct process_settings *settings = &fixture.registration.entries[0].definition->settings;
	assert_int_equal(settings->exec_count, 3);
	assert_true(slice_is(settings->exec[0].literal, "./a \"b\""));
	assert_int_equal(settings->exec[0].param, -1);
	assert_int_equal(settings->exec[1].param, 0);
	assert_true(slice_is(settings->exec[2].literal, "12"));
	assert_int_equal(settings->stdout_form, STDOUT_LINES);
	assert_int_equal(settings->env_count, 2);
	assert_true(slice_is(settings->env[1].name, "b c"));
	assert_true(slice_is(settings->env[1].value, "é"));
	assert_int_equal(settings->on_count, 1);
	assert_int_equal(settings->start_timeout, 2000);
	assert_int_equal(settings->heartbeat, 500);
	/* Never shorter than the first one. */
	assert_int_equal(settings->backoff_max, 120000);
}

static void dry_run_changes_nothing(void **state)
{
	(void)state;
	versions("process P(x: X) -> Y");
	assert_int_equal(registry_fixture_register(&fixture, UNIT "process P2 = P {}", true), 0);
	assert_int_equal(fixture.registration.count, 3);
	assert_int_equal(fixture.registration.new_count, 2);
	assert_false(fixture.registration.entries[0].is_new);
	assert_ptr_equal(fixture.registration.entries[0].definition, registry_find(fixture.registry, SLICE("P"), 0));
	const struct definition *w = fixture.registration.entries[1].definition;
	assert_true(slice_is(w->source, "workflow W(x: X) -> Y { P(x) }"));
	assert_ptr_equal(w->program->callees[0], registry_find(fixture.registry, SLICE("P"), 1));
	assert_null(registry_find(fixture.registry, SLICE("W"), 0));
}

static void failed_unit_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(registry_fixture_register(&fixture, UNIT "workflow V() -> Y { Q() }", false), ERR_INVALID);
	assert_string_equal(fixture.error.text, "t.flow:3:21: error: there is no process or workflow `Q`");
	assert_null(registry_find(fixture.registry, SLICE("P"), 0));
	assert_int_equal(fixture.registration.count, 0);
}

static void find_gives_the_version_asked_for(void **state)
{
	(void)state;
	versions("process P(x: X) -> Y");
	versions("process P(x: X) -> Z");
	assert_int_equal(registry_find(fixture.registry, SLICE("P"), 0)->version, 2);
	assert_int_equal(registry_find(fixture.registry, SLICE("P"), 1)->version, 1);
	assert_int_equal(registry_find(fixture.registry, SLICE("P"), 2)->version, 2);
	assert_null(registry_find(fixture.registry, SLICE("P"), 3));
	assert_null(registry_find(fixture.registry, SLICE("Q"), 0));
}

static void nearest_is_by_edit_distance(void **state)
{
	(void)state;
	versions("process Check(x: X) -> Y\nprocess Work(x: X) -> Y");
	assert_true(slice_is(registry_nearest(fixture.registry, SLICE("Chekc")), "Check"));
	assert_true(slice_is(registry_nearest(fixture.registry, SLICE("Wrk")), "Work"));
	assert_int_equal(registry_nearest(fixture.registry, SLICE("Banana")).size, 0);
	assert_int_equal(registry_nearest(fixture.registry, SLICE("")).size, 0);
}

static void files_of_a_unit_see_one_another(void **state)
{
	(void)state;
	const struct source_file files[] = {
		{SLICE("a.flow"), SLICE("workflow W(x: T) -> Y { P(x) }")},
		{SLICE("b.flow"), SLICE("type T = Text\nprocess P(x: T) -> Y")},
	};
	struct registration registration;
	assert_int_equal(registry_register(fixture.registry, files, 2, NULL, 0, false, &registration, NULL, NULL), 0);
	assert_int_equal(registration.count, 2);
	assert_true(slice_is(registration.entries[0].definition->signature, "(x: Text) -> Y"));
	assert_true(slice_is(registration.entries[1].definition->name, "P"));
	registration_finish(&registration);
}

static void too_large_a_unit_is_refused(void **state)
{
	(void)state;
	char *large = mem_alloc(REGISTRY_SOURCE_SIZE_MAX + 1);
	memset(large, ' ', REGISTRY_SOURCE_SIZE_MAX + 1);
	const struct source_file files[] = {
		{SLICE("a.flow"), SLICE("#")},
		{SLICE("b.flow"), {large, REGISTRY_SOURCE_SIZE_MAX}},
	};
	struct registration registration;
	struct buffer paths = BUFFER_EMPTY;
	assert_int_equal(registry_register(fixture.registry, files, 2, NULL, 0, false, &registration, NULL, &fixture.error),
	                 ERR_LIMIT);
	assert_string_equal(fixture.error.text, "the files together are larger than 1048576 bytes");
	assert_int_equal(registry_attachments(files, 2, &paths, NULL, &fixture.error), ERR_LIMIT);
	assert_int_equal(registry_register(fixture.registry, files + 1, 1, NULL, 0, false, &registration, NULL, NULL), 0);
	assert_int_equal(registration.count, 0);
	registration_finish(&registration);
	assert_int_equal(registry_register(fixture.registry, NULL, 0, NULL, 0, false, &registration, NULL, NULL), 0);
	registration_finish(&registration);
	mem_free(large);
}

static void attachments_are_listed_once(void **state)
{
	(void)state;
	const struct source_file files[] = {
		{SLICE("a.flow"), SLICE("process P(x: X) -> Y { files = [\"a.sh\", \"lib/b\\u002esh\"] }\n"
	                                "workflow W(x: Nonsense) -> Y { Missing(x) }")},
		{SLICE("b.flow"), SLICE("process Q = P { files = [\"a.sh\", \"../up\", 3] }")},
	};
	struct buffer paths = BUFFER_EMPTY;
	assert_int_equal(registry_attachments(files, 2, &paths, NULL, NULL), 0);
	assert_int_equal(paths.size, sizeof "a.sh\0lib/b.sh");
	assert_memory_equal(paths.data, "a.sh\0lib/b.sh", paths.size);
	buffer_finish(&paths);
}

static void attachments_need_a_source_that_parses(void **state)
{
	(void)state;
	const struct source_file file = {SLICE("a.flow"), SLICE("process P(x: X -> Y")};
	struct buffer paths = BUFFER_EMPTY;
	struct buffer diagnostics = BUFFER_EMPTY;
	assert_int_equal(registry_attachments(&file, 1, &paths, &diagnostics, &fixture.error), ERR_INVALID);
	assert_int_equal(paths.size, 0);
	assert_non_null(strstr(buffer_string(&diagnostics), "a.flow:1:16: error: "));
	buffer_finish(&diagnostics);
}

static const struct definition *accepting(const char *source)
{
	versions(source);
	return fixture.registration.entries[0].definition;
}

static const char *accept_args(const struct definition *definition, const char *json)
{
	buffer_clear(&fixture.text);
	fixture.error.code = 0;
	if (definition_accept_args(definition, slice_of(json), &fixture.text, &fixture.error) == 0)
		return buffer_string(&fixture.text);
	assert_int_equal(fixture.text.size, 0);
	return fixture.error.text;
}

static void arguments_come_in_the_order_of_declaration(void **state)
{
	(void)state;
	const struct definition *p = accepting("process P(x: X, o: {a: Number, b: Text = \"t\"}, d: Duration = 2s) -> Y");
	assert_string_equal(accept_args(p, " { \"d\" : 5 , \"o\" : {\"a\":1.50}, \"x\" : [ 1 ] } "),
	                    "{\"x\":[ 1 ],\"o\":{\"a\":1.50,\"b\":\"t\"},\"d\":5}");
	assert_string_equal(accept_args(p, "{\"x\":null,\"o\":{\"a\":1,\"b\":\"\"}}"),
	                    "{\"x\":null,\"o\":{\"a\":1,\"b\":\"\"},\"d\":2000}");
}

static void wrong_arguments_are_named(void **state)
{
	(void)state;
	const struct definition *p = accepting("process P(x: Number, t: Text = \"\") -> Y\nworkflow N() -> () { () }");
	assert_string_equal(accept_args(p, "{}"), "argument `x` is missing");
	assert_string_equal(accept_args(p, "{\"x\":1,\"y\":2}"),
	                    "`P` has no parameter `y`; it takes (x: Number, t: Text) -> Y");
	assert_int_equal(fixture.error.code, ERR_TYPE);
	assert_string_equal(accept_args(p, "[1]"), "arguments are one JSON object keyed by parameter");
	assert_string_equal(accept_args(p, "{\"x\":\"1\"}"), "argument `x`: a string where Number is due");
	assert_int_equal(fixture.error.code, ERR_TYPE);
	accept_args(p, "{\"x\":1");
	assert_int_equal(fixture.error.code, ERR_INVALID);
	assert_string_equal(accept_args(fixture.registration.entries[1].definition, "{\"a\":1}"),
	                    "`N` takes no arguments, and `a` was given");
	assert_string_equal(accept_args(fixture.registration.entries[1].definition, "{}"), "{}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(same_content_gives_the_version_that_exists, begin, end),
		cmocka_unit_test_setup_teardown(space_and_comments_make_no_version, begin, end),
		cmocka_unit_test_setup_teardown(order_of_declarations_makes_no_version, begin, end),
		cmocka_unit_test_setup_teardown(changed_tokens_make_a_version, begin, end),
		cmocka_unit_test_setup_teardown(changed_callee_makes_a_version_of_its_caller, begin, end),
		cmocka_unit_test_setup_teardown(caller_alone_is_bound_to_the_newest, begin, end),
		cmocka_unit_test_setup_teardown(named_version_is_bound, begin, end),
		cmocka_unit_test_setup_teardown(changed_structure_of_a_type_makes_a_version, begin, end),
		cmocka_unit_test_setup_teardown(type_inside_of_a_body_counts, begin, end),
		cmocka_unit_test_setup_teardown(workflows_that_call_one_another_change_together, begin, end),
		cmocka_unit_test_setup_teardown(content_of_attachments_makes_a_version, begin, end),
		cmocka_unit_test_setup_teardown(variant_is_a_definition_of_its_own, begin, end),
		cmocka_unit_test_setup_teardown(settings_have_their_defaults, begin, end),
		cmocka_unit_test_setup_teardown(settings_are_taken, begin, end),
		cmocka_unit_test_setup_teardown(dry_run_changes_nothing, begin, end),
		cmocka_unit_test_setup_teardown(failed_unit_changes_nothing, begin, end),
		cmocka_unit_test_setup_teardown(find_gives_the_version_asked_for, begin, end),
		cmocka_unit_test_setup_teardown(nearest_is_by_edit_distance, begin, end),
		cmocka_unit_test_setup_teardown(files_of_a_unit_see_one_another, begin, end),
		cmocka_unit_test_setup_teardown(too_large_a_unit_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(attachments_are_listed_once, begin, end),
		cmocka_unit_test_setup_teardown(attachments_need_a_source_that_parses, begin, end),
		cmocka_unit_test_setup_teardown(arguments_come_in_the_order_of_declaration, begin, end),
		cmocka_unit_test_setup_teardown(wrong_arguments_are_named, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
