#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "registry_fixture.h"

#include <stdio.h>

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

/* What many tests call. */
#define CALLED                                                                                                        \
	"process Ok(x: Number) -> Bool process Two(a: A, b: Text = \"b\") -> B process Sum(x: X) -> A + B type Light = " \
	"red | green(Number) process See(x: X) -> Light "

static void assert_diagnosed(const char *source, const char *expected)
{
	assert_string_equal(registry_fixture_diagnose(&fixture, source), expected);
}

/* One workflow after what it calls: its diagnostics, with columns counted from its beginning. */
static void assert_workflow(const char *workflow, const char *expected)
{
	char *source = mem_format("%s\n%s", CALLED, workflow);
	char *numbered = mem_string(registry_fixture_diagnose(&fixture, source));
	struct buffer out = BUFFER_EMPTY;
	for (char *line = strtok(numbered, "\n"); line != NULL; line = strtok(NULL, "\n"))
		buffer_format(&out, "%s\n", strncmp(line, "2:", 2) == 0 ? line + 2 : line);
	assert_string_equal(buffer_string(&out), expected);
	buffer_finish(&out);
	mem_free(numbered);
	mem_free(source);
}

static void mended_workflow_has_no_diagnostics(void **state)
{
	(void)state;
	assert_workflow("workflow W(x: Number, a: A) -> Bool * B { (Ok(x), Two(a)) }", "");
}

static void undefined_name_suggests_the_nearest(void **state)
{
	(void)state;
	assert_workflow("workflow W(number: Number) -> Bool { Ok(nubmer) }",
	                "41: error: `nubmer` is not defined\n  hint: did you mean `number`?\n");
	assert_workflow("workflow W() -> Bool { a = Ok(b) b = 1 a }", "31: error: `b` is not defined\n");
}

static void unknown_callee_suggests_the_nearest(void **state)
{
	(void)state;
	registry_fixture_register(&fixture, "process Elsewhere(x: X) -> Y", false);
	assert_workflow("workflow W(x: Number) -> Bool { Okk(x) }",
	                "33: error: there is no process or workflow `Okk`\n  hint: did you mean `Ok`?\n");
	assert_workflow("workflow W(x: X) -> Y { Elsewher(x) }",
	                "25: error: there is no process or workflow `Elsewher`\n  hint: did you mean `Elsewhere`?\n");
	assert_workflow("workflow W(x: Number) -> Bool { Light(x) }",
	                "33: error: there is no process or workflow `Light`\n  hint: `Light` is a type\n");
}

static void version_must_exist(void **state)
{
	(void)state;
	registry_fixture_register(&fixture, "process There(x: X) -> Y", false);
	assert_workflow("workflow W(x: X) -> Y { There@2(x) }",
	                "25: error: `There` has no version 2; the newest is 1\n");
	assert_workflow("workflow W(x: Number) -> Bool { Ok@1(x) }",
	                "33: error: `Ok` has no version 1: it is declared here for the first time\n");
}

static void visible_name_is_not_bound_again(void **state)
{
	(void)state;
	assert_workflow("workflow W(x: Number) -> Bool { x = 3 Ok(x) }",
	                "33: error: `x` is bound already\n  note 2:12: here\n"
	                "  hint: a visible name is not bound again; take another one\n");
	assert_workflow("workflow W(x: Number * Number) -> Number { (a, a) = x a }",
	                "48: error: `a` is bound already\n  note 2:45: here\n"
	                "  hint: a visible name is not bound again; take another one\n");
}

static void sibling_arms_may_bind_the_same(void **state)
{
	(void)state;
	assert_workflow("workflow W(x: X) -> A + B { case Sum(x) { left v -> left v right v -> right v } }", "");
	assert_workflow("workflow W() -> Number { a = { b = 1 b } b = a b }", "");
}

static void unused_name_is_a_warning(void **state)
{
	(void)state;
	assert_workflow("workflow W(x: Number, y: Y) -> Bool { unused = Ok(x) _ = Ok(x) Ok(x) }",
	                "23: warning: `y` is used nowhere\n"
	                "39: warning: `unused` is used nowhere\n"
	                "  hint: `_` in its place says that this is meant\n");
	assert_int_equal(fixture.registration.count, 5);
}

static void sleep_that_delays_nothing_is_an_error(void **state)
{
	(void)state;
	assert_workflow("workflow W(x: Number) -> Bool { _ = sleep(3s) Ok(x) }",
	                "33: error: this delays nothing: what else is here does not wait for it\n"
	                "  hint: write `… after sleep(3s)` behind what shall wait\n");
	assert_workflow("workflow W(x: Number) -> Bool { Ok(x) after sleep(3s) }", "");
}

static void argument_of_another_type_is_refused(void **state)
{
	(void)state;
	assert_workflow("workflow W(x: Text) -> Bool { Ok(x) }",
	                "34: error: expected Number, found Text\n  note 1:12: parameter `x` of `Ok` is Number\n");
	assert_workflow("workflow W(x: Number) -> Text { Ok(x) }",
	                "33: error: expected Text, found Bool\n  note 2:26: the result of `W` is Text\n");
	registry_fixture_register(&fixture, "process Far(x: X) -> Y", false);
	assert_workflow("workflow W(x: Z) -> Y { Far(x) }",
	                "29: error: expected X, found Z\n  hint: parameter `x` of `Far` is X\n");
}

static void misspelt_type_is_suspected(void **state)
{
	(void)state;
	assert_diagnosed("type Order = {id: Text} process P(o: Order) -> Y workflow W(o: Ordr) -> Y { P(o) }",
	                 "1:79: error: expected {id: Text}, found Ordr\n"
	                 "  note 1:35: parameter `o` of `P` is {id: Text}\n"
	                 "  hint: nothing declares type `Ordr`, so it equals only itself; did you mean `Order`?\n");
}

static void arguments_are_counted_and_named(void **state)
{
	(void)state;
	assert_workflow("workflow W(x: Number) -> Bool { Ok(x, x, x) }",
	                "39: error: `Ok` takes 1 argument\n  hint: it is Ok(x: Number) -> Bool\n");
	assert_workflow("workflow W() -> B { Two(b: \"x\") }",
	                "21: error: `Two` needs an argument for `a`\n  hint: it is Two(a: A, b: Text) -> B\n");
	assert_workflow("workflow W(a: A) -> B { Two(a, a: a) }",
	                "32: error: `a` is given twice\n  note 2:29: here first\n");
	assert_workflow("workflow W(a: A) -> B { Two(a, c: 1) }",
	                "32: error: `Two` has no parameter `c`\n  hint: it is Two(a: A, b: Text) -> B\n");
	assert_workflow("workflow W(x: X) -> B { Two(b: \"x\", a: 1) after Sum(x) }", "");
}

static void case_covers_every_label_once(void **state)
{
	(void)state;
	assert_workflow("workflow W(x: X) -> A + B { case Sum(x) { left v -> left v } }",
	                "29: error: not covered: `right`\n  hint: add an arm for each, or end with `_ -> …`\n");
	assert_workflow("workflow W(x: X) -> Number { case See(x) { red -> 1 red -> 2 green n -> n } }",
	                "53: error: `red` is covered twice\n  note 2:44: here first\n");
	assert_workflow("workflow W(x: X) -> Number { case See(x) { redd -> 1 green n -> n } }",
	                "44: error: red | green(Number) has no label `redd`\n  hint: did you mean `red`?\n");
	assert_workflow("workflow W(x: X) -> Number { case See(x) { _ -> 1 green n -> n } }",
	                "44: error: `_` covers all; nothing can come after it\n");
	assert_workflow("workflow W(x: X) -> Number { case See(x) { red -> 1 green n -> n _ -> 3 } }",
	                "66: warning: every label is covered before `_`\n");
	assert_workflow("workflow W(x: X) -> Number { case See(x) { red r -> 1 green _ -> 2 } }",
	                "48: error: label `red` carries no value\n");
	assert_workflow("workflow W(x: Number) -> Number { case Ok(x) { left -> 1 false -> 2 } }",
	                "48: error: Bool has no label `left`\n  hint: its labels are `true` and `false`\n");
	assert_workflow("workflow W(x: Number) -> Number { case x { _ -> 1 } }",
	                "40: error: `case` takes a sum, a choice or a Bool, and this is Number\n");
}

static void arms_have_one_type(void **state)
{
	(void)state;
	assert_workflow("workflow W(x: Number) -> Number { y = case Ok(x) { true -> 1 false -> \"a\" } y }",
	                "71: error: expected Number, found Text\n  note 2:60: this arm is Number\n");
	/* The one that has a type by itself is the guide, wherever it stands. */
	assert_workflow("workflow W(x: Number) -> [Number] { y = case Ok(x) { true -> [] false -> [1] } y }", "");
}

static void type_that_is_not_expected_is_said_by_as(void **state)
{
	(void)state;
	assert_workflow("workflow W() -> Number { a = [] b = left 1 c = signal(\"s\") 1 }",
	                "30: error: `[]` takes the type that is expected of it, and none is expected here\n"
	                "  hint: say which: … as TYPE\n"
	                "37: error: `left` takes the type that is expected of it, and none is expected here\n"
	                "  hint: say which: … as TYPE\n"
	                "48: error: `signal` takes the type that is expected of it, and none is expected here\n"
	                "  hint: say which: … as TYPE\n");
	assert_workflow("workflow W() -> Number { _ = [] as [X] _ = (left 1) as Number + () _ = signal(\"s\") as X 1 }", "");
	assert_workflow("workflow W(x: Number) -> Text { x as Text }",
	                "33: error: expected Text, found Number\n  note 2:38: the type after `as` is Text\n");
}

static void constant_checks_against_any_open_type(void **state)
{
	(void)state;
	assert_workflow("workflow W() -> B { Two({a: [1, \"x\", 3s, null, (true, ())]}) }", "");
	assert_workflow("workflow W(x: Number) -> B { Two([x]) }",
	                "34: error: expected A, found a value that is put together\n"
	                "  note 1:43: parameter `a` of `Two` is A\n");
	assert_workflow("workflow W(x: Number) -> Json { {a: x, b: [x, \"y\"], c: ({d: x}, Ok(x))} }", "");
}

static void literals_have_their_types(void **state)
{
	(void)state;
	assert_workflow("workflow W() -> () { sleep(5) }",
	                "28: error: expected Duration, found Number\n  hint: what `sleep` takes is Duration\n");
	assert_workflow("workflow W() -> Text { 1.5e3 }",
	                "24: error: expected Text, found Number\n  note 2:17: the result of `W` is Text\n");
	assert_workflow("workflow W() -> Bool * (Duration * ()) { (true, 3ms, null) }", "");
	assert_workflow("workflow W() -> Text { {a: 1} }",
	                "24: error: expected Text, found a record\n  note 2:17: the result of `W` is Text\n");
}

static void record_members_are_checked(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"{ {name: \"a\"} }", ""},
		{"{ {times: 4} }", "error: member `name` is missing\n"},
		{"{ {name: \"a\", tims: 4} }", "has no member `tims`\n  hint: did you mean `times`?\n"},
		{"{ {name: 1} }", "error: expected Text, found Number\n  hint: member `name` is Text\n"},
		{"{ {name: r.nam} }", "has no member `nam`\n  hint: did you mean `name`?\n"},
		{"{ {name: r.name.x} }", "error: Text has no members\n"},
		{"{ {times: 1, name: r.name} }", ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buffer text = BUFFER_EMPTY;
		buffer_format(&text, "type R = {name: Text, times: Number = 3} workflow W(r: R) -> R %s", rows[i][0]);
		const char *found = registry_fixture_diagnose(&fixture, buffer_string(&text));
		if (rows[i][1][0] == '\0')
			assert_null(strstr(found, "error"));
		else
			assert_non_null(strstr(found, rows[i][1]));
		buffer_finish(&text);
	}
}

static void labels_are_checked(void **state)
{
	(void)state;
	assert_workflow("workflow W() -> [Light] { [Light.red, Light.green(3)] }", "");
	assert_workflow("workflow W() -> Light { Light.green }",
	                "25: error: label `green` carries a value: write `green(…)`\n");
	assert_workflow("workflow W() -> Light { Light.red(1) }",
	                "25: error: label `red` carries no value: write `red` alone\n");
	assert_workflow("workflow W() -> Light { Light.green(\"x\") }",
	                "37: error: expected Number, found Text\n  hint: what label `green` carries is Number\n");
	assert_workflow("workflow W() -> Light { Light.geen(1) }",
	                "31: error: red | green(Number) has no label `geen`\n  hint: did you mean `green`?\n");
	assert_workflow("workflow W() -> Light { Ligth.red }",
	                "25: error: no type `Ligth` is declared\n  hint: did you mean `Light`?\n");
	assert_workflow("workflow W() -> Cause { Cause.timeout }", "");
	assert_workflow("workflow W() -> Text { Text.a }", "24: error: `Text` is Text, which has no labels\n");
}

static void each_takes_a_list(void **state)
{
	(void)state;
	assert_workflow("workflow W(x: Number) -> [Bool] { each y in x { Ok(y) } }",
	                "45: error: `each` takes a list, and this is Number\n");
	assert_workflow("workflow W(x: [Number]) -> [Text] { each y in x { Ok(y) } }",
	                "51: error: expected Text, found Bool\n");
	assert_workflow("workflow W(x: [Number]) -> Text { each y in x { Ok(y) } }",
	                "35: error: expected Text, found the list of results of `each`\n"
	                "  note 2:28: the result of `W` is Text\n");
	assert_workflow("workflow W(x: [Number * Number]) -> [Bool] { each (a, _) in x limit 3 { Ok(a) } }", "");
}

static void pattern_fits_its_value(void **state)
{
	(void)state;
	assert_workflow("workflow W(x: Number) -> Number { (a, b) = x a }", "35: error: expected a pair, found Number\n");
	assert_workflow("workflow W(x: {p: Number}) -> Number { (a, b) = x a }",
	                "40: error: expected a pair, found {p: Number}\n  hint: members of a record are taken with `.`\n");
}

static void signal_has_one_type_in_a_workflow(void **state)
{
	(void)state;
	assert_workflow("workflow W() -> Text * Number { (signal(\"s\"), signal(\"s\")) }",
	                "47: error: signal `s` is expected to be Number here, but is Text elsewhere\n"
	                "  note 2:34: here\n  hint: a signal has one type in a workflow\n");
	assert_workflow("workflow W() -> Text { a = signal(\"s\", \"k\") as Text _ = a signal(\"s\", 1) }", "");
	assert_workflow("workflow W(x: [Text]) -> Text { signal(\"s\", x) }",
	                "45: error: the key of a signal is a Text or a Number, and this is [Text]\n");
}

static void signal_has_one_type_in_all_that_is_called(void **state)
{
	(void)state;
	assert_diagnosed("workflow A() -> Text { signal(\"s\") }\nworkflow B() -> Text * Number { (A(), signal(\"s\")) }",
	                 "2:34: error: signal `s` is Text in `A`, but Number in what runs together with it\n"
	                 "  note 2:39: here\n  hint: a signal has one type in `B` and all that it calls\n");
	assert_diagnosed("workflow A() -> Text { signal(\"s\") }\nworkflow B() -> Text * X { (A(), signal(\"t\")) }\n"
	                 "workflow C() -> Text * X { B() }",
	                 "");
	const struct definition *c = registry_find(fixture.registry, SLICE("C"), 0);
	assert_int_equal(c->signal_count, 2);
	/* Also through a version registered before. */
	assert_diagnosed("workflow D() -> Number { _ = C() signal(\"t\") }",
	                 "1:30: error: signal `t` is X in `C`, but Number in what runs together with it\n"
	                 "  note 1:34: here\n  hint: a signal has one type in `D` and all that it calls\n");
}

static void recursion_passes_a_guard(void **state)
{
	(void)state;
	const char *const hint =
		"  hint: a cycle of calls has to pass an arm of a `case`, the body of an `each` or an `after`\n";
	char *expected = mem_format("1:26: error: these calls would never end: W → W\n%s", hint);
	assert_diagnosed("workflow W(x: X) -> Y { (W(x)) }", expected);
	mem_free(expected);
	expected = mem_format("2:25: error: these calls would never end: A → B → C → A\n%s", hint);
	assert_diagnosed("workflow Outside(x: X) -> Y { A(x) }\nworkflow A(x: X) -> Y { B(x) }\n"
	                 "workflow B(x: X) -> Y { C(x) }\nworkflow C(x: X) -> Y { a = A(x) a }",
	                 expected);
	mem_free(expected);
	assert_diagnosed("process P(x: X) -> Y + Z\nworkflow A(x: X) -> Y + Z { case P(x) { _ -> A(x) } }", "");
	/* What a case looks at is no arm of it. */
	expected = mem_format("2:32: error: these calls would never end: A → A\n%s", hint);
	assert_diagnosed("process P(x: Y) -> Y + Y\nworkflow A(x: Y) -> Y { case P(A(x)) { left l -> l right r -> r } }",
	                 expected);
	mem_free(expected);
	assert_diagnosed("workflow A(x: X) -> () { A(x) after sleep(1s) }", "");
	assert_diagnosed("workflow A(x: [Json]) -> Json { each y in x { A([y]) } }", "");
}

static void types_are_not_recursive(void **state)
{
	(void)state;
	assert_diagnosed("type A = [B] type B = {c: C} type C = A * Text type D = A",
	                 "1:6: error: type `A` is made of itself: A → B → C → A\n"
	                 "  hint: types are not recursive; Json holds values of any depth\n");
	assert_diagnosed("type A = A",
	                 "1:6: error: type `A` is made of itself: A → A\n"
	                 "  hint: types are not recursive; Json holds values of any depth\n");
}

static void declarations_are_made_once(void **state)
{
	(void)state;
	assert_diagnosed("process P(x: X) -> Y\nworkflow P(x: X) -> X { x }",
	                 "2:10: error: `P` is declared twice\n  note 1:9: process, here first\n");
	assert_diagnosed("type A = X type A = Y", "1:17: error: type `A` is declared twice\n  note 1:6: here first\n");
	assert_diagnosed("type Text = X", "1:6: error: `Text` is built in\n");
	assert_diagnosed("type A = {b: X, b: Y} type C = d | d",
	                 "1:17: error: this member stands here twice\n  note 1:11: it is here already\n"
	                 "1:36: error: this label stands here twice\n  note 1:32: it is here already\n");
	assert_diagnosed("process P(x: X, x: Y) -> Z", "1:17: error: parameter `x` is there twice\n");
}

static void types_are_transparent(void **state)
{
	(void)state;
	assert_diagnosed("type A = B type B = {x: [Text], y: Y} process P(a: A) -> A\n"
	                 "workflow W(r: {y: Y, x: [Text]}) -> B { P(r) }",
	                 "");
}

static void default_is_of_its_type(void **state)
{
	(void)state;
	assert_diagnosed("process P(x: Number = \"a\") -> Y",
	                 "1:23: error: this is no default for `x`: a string where Number is due\n  hint: `x` is Number\n");
	assert_diagnosed("type R = {a: [Number] = [1, \"x\"]}",
	                 "1:25: error: this is no default for `a`: at /1: a string where Number is due\n"
	                 "  hint: `a` is [Number]\n");
	assert_diagnosed("type L = red | green(Number) process P(x: L = \"red\", y: L = {green: 3}, z: Duration = 3s, "
	                 "w: Any = [1s, null]) -> Y",
	                 "");
	const struct definition *p = registry_find(fixture.registry, SLICE("P"), 0);
	assert_true(slice_is(p->params[2].default_json, "3000"));
	assert_true(slice_is(p->params[3].default_json, "[1000,null]"));
}

static void settings_are_checked(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"tmeout = 3s", "there is no setting `tmeout`\n  hint: did you mean `timeout`?\n"},
		{"retries = 1 retries = 2", "`retries` is set twice\n  note 1:30: here first\n"},
		{"retries = 1.5", "`retries` takes an integer from 0 to 1000000\n"},
		{"timeout = 30", "`timeout` takes a duration\n  hint: with its unit: 30s\n"},
		{"timeout = 0s", "`timeout` takes a duration longer than 0\n"},
		{"exec = [\"a\"] pool = [\"b\"]", "a process has `exec` or `pool`, not both\n  note 1:30: the other one\n"},
		{"exec = []", "`exec` takes a list of words, the program first\n"},
		{"exec = \"ls -l\"", "hint: there is no shell unless one is named: [\"sh\", \"-c\", \"ls -l\"]\n"},
		{"exec = [\"ls\", number]", "`P` has no parameter `number`\n  hint: did you mean `numbr`?\n"},
		{"exec = [ls]", "`P` has no parameter `ls`\n  hint: a literal word is written in quotes: \"ls\"\n"},
		{"exec = [\"\"]", "`exec` takes a program as its first word, and this one is empty\n"},
		{"pool = [\"a\", numbr]", "`pool` takes strings and numbers: its children read their inputs from stdin\n"},
		{"files = [\"../a\"]", "this path has an empty part, `.` or `..` in it\n"},
		{"files = [\"a//b\"]", "this path has an empty part, `.` or `..` in it\n"},
		{"files = [\"/a\"]", "this path is not relative to the .flow file\n"},
		{"files = [\"a.sh\"]", "the file `a.sh` was not sent along\n"},
		{"stdout = yaml", "`stdout` takes json, text, lines or none\n"},
		{"stdout = lines", "`lines` gives [Text], but the result of `P` is Text\n"},
		{"env = {\"A=B\": \"c\"}", "a variable's name is not empty and has no `=` in it\n"},
		{"on = [3]", "`on` takes a tag, or a list of tags, in quotes\n"},
		{"backoff = 2s backoff_max = 1s", "`backoff_max` is shorter than `backoff`\n"},
		{"concurrency = 3", "`concurrency` is not supported by this version of clusterd\n"},
		{"job = \"x\"", "`job` takes the name of a batch job\n"},
		{"stdout = jsn", "`stdout` takes json, text, lines or none\n  hint: did you mean `json`?\n"},
		{"stdout = \"json\"", "`stdout` takes json, text, lines or none\n  hint: without quotes\n"},
		{"schedule = \"@daily\"", "there is no setting `schedule`\n  hint: jobs have it, processes do not\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *source = mem_format("process P(numbr: X) -> Text{ %s }", rows[i][0]);
		const char *found = registry_fixture_diagnose(&fixture, source);
		if (strstr(found, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], found);
		mem_free(source);
	}
}

static void variants_end_at_a_process(void **state)
{
	(void)state;
	assert_diagnosed("process A = B {} process B = A {}", "1:30: error: `B` is a variant of itself\n");
	assert_diagnosed("workflow W() -> () { () } process A = W {}",
	                 "1:39: error: `W` is a workflow; only processes have variants\n");
	assert_diagnosed("process A = Nothing {}", "1:13: error: there is no process or workflow `Nothing`\n");
}

static void what_comes_later_is_refused_once_each(void **state)
{
	(void)state;
	assert_workflow("workflow W(x: Number) -> Bool { try { a = Ok(x) undo Ok(x) _ = a Ok(x) } else _ -> fail \"no\" }",
	                "33: error: `try` is not supported by this version of clusterd\n"
	                "54: error: `undo` is not supported by this version of clusterd\n"
	                "84: error: `fail` is not supported by this version of clusterd\n");
	assert_workflow("workflow W(x: Number) -> Bool { race { d = signal(\"d\") -> d sleep(2d) -> Ok(x) } }",
	                "33: error: `race` is not supported by this version of clusterd\n");
	assert_workflow("workflow W(x: Number) -> Bool { Ok@latest(x) with {timeout = 1s} }",
	                "33: error: `@latest` is not supported by this version of clusterd\n"
	                "51: error: `with` is not supported by this version of clusterd\n");
}

static void what_comes_later_is_checked_all_the_same(void **state)
{
	(void)state;
	assert_workflow("workflow W(x: Number) -> Bool + Failure { try Ok(y) }",
	                "43: error: `try` is not supported by this version of clusterd\n"
	                "50: error: `y` is not defined\n");
	assert_workflow("workflow W(x: Number) -> Text { try Ok(x) else f -> f.message }",
	                "33: error: `try` is not supported by this version of clusterd\n"
	                "37: error: expected Text, found Bool\n  note 2:26: the result of `W` is Text\n");
	assert_workflow("workflow W(x: Number) -> Bool { Ok(x) with {timout = 1s} }",
	                "44: error: `with` is not supported by this version of clusterd\n"
	                "45: error: there is no setting `timout`\n  hint: did you mean `timeout`?\n");
	assert_workflow("workflow W(x: Number) -> Bool { race { first = Ok(x) -> frist } }",
	                "33: error: `race` is not supported by this version of clusterd\n"
	                "57: error: `frist` is not defined\n  hint: did you mean `first`?\n");
}

static void declarations_around_a_broken_one_are_checked(void **state)
{
	(void)state;
	const char *found = registry_fixture_diagnose(
		&fixture, "process P(x: X -> Y\nworkflow W(x: X) -> Y { _ = Q(x) P(x) }\nworkflow V() -> Text { 1 }");
	assert_null(strstr(found, "`P`"));
	assert_non_null(strstr(found, "2:29: error: there is no process or workflow `Q`"));
	assert_non_null(strstr(found, "3:24: error: expected Text, found Number"));
}

/* Limits: each error states the limit. */

static char *repeated(const char *before, const char *unit, size_t count, const char *after)
{
	struct buffer text = BUFFER_EMPTY;
	buffer_append_string(&text, before);
	for (size_t i = 0; i < count; i++)
		buffer_append_string(&text, unit);
	buffer_append_string(&text, after);
	char *string = mem_string(buffer_string(&text));
	buffer_finish(&text);
	return string;
}

static void assert_limited(char *take_source, const char *expected)
{
	const char *found = registry_fixture_diagnose(&fixture, take_source);
	if (strstr(found, expected) == NULL)
		fail_msg("%.300s", found);
	mem_free(take_source);
}

static void expanded_types_are_limited(void **state)
{
	(void)state;
	struct buffer text = BUFFER_EMPTY;
	buffer_append_string(&text, "type A0 = X\n");
	for (int i = 1; i < 64; i++)
		buffer_format(&text, "type A%d = A%d * A%d\n", i, i - 1, i - 1);
	assert_limited(mem_string(buffer_string(&text)), "bytes written out; the limit is 16384\n");
	buffer_clear(&text);
	for (int i = 1; i < 129; i++)
		buffer_format(&text, "type A%d = [A%d]\n", i, i - 1);
	assert_limited(mem_string(buffer_string(&text)), "error: this type is nested 129 deep; the limit is 128\n");
	buffer_clear(&text);
	for (int i = 0; i < 2000; i++)
		buffer_format(&text, "type A%d = A%d\n", i, i + 1);
	assert_limited(mem_string(buffer_string(&text)), "error: type names lie more than 256 deep in one another\n");
	buffer_finish(&text);
}

static void sizes_are_limited(void **state)
{
	(void)state;
	struct buffer text = BUFFER_EMPTY;
	for (int i = 0; i < 257; i++)
		buffer_format(&text, "%sx%d: X", i > 0 ? ", " : "", i);
	assert_limited(mem_format("process P(%s) -> Y", buffer_string(&text)),
	               "1:9: error: `P` has 257 parameters; the limit is 256\n");
	buffer_clear(&text);
	for (int i = 0; i < 65; i++)
		buffer_format(&text, "a%d = signal(\"s%d\") as () ", i, i);
	assert_limited(mem_format("workflow W() -> () { %s () }", buffer_string(&text)),
	               "error: `W` and what it calls wait for more than 64 different signals\n");
	buffer_finish(&text);
	assert_limited(repeated("process P(x: Text = \"", "0123456789", 7000, "\") -> Y"),
	               "error: this default takes 70002 bytes as JSON; the limit is 65536\n");
	assert_limited(repeated("process P(x: [X]) -> Y workflow W(x: X) -> Y { P([", "x,", 100001, "]) }"), "");
	assert_limited(repeated("process P(x: X) -> Y workflow W(x: X) -> Y { ", "_ = P(x) ", 50000, "P(x) }"),
	               "1:31: error: `W` compiles to more than 100000 terms\n");
}

static void defaults_filled_in_are_limited(void **state)
{
	(void)state;
	struct buffer text = BUFFER_EMPTY;
	buffer_append_string(&text, "type R = {z: Number");
	for (int i = 0; i < 500; i++)
		buffer_format(&text, ", a%d: X = 1", i);
	buffer_append_string(&text, "} process P(r: R) -> Y workflow W(x: Number) -> [Y] { [");
	char *before = mem_string(buffer_string(&text));
	assert_limited(repeated(before, "P({z: x}),", 2500, "] }"),
	               "with the defaults filled in there are more than 1000000 expressions in these files\n");
	assert_limited(repeated("type R = {z: Number, a: Text = \"0123456789012345678901234567890123456789\"} process "
	                        "P(r: [R]) -> Y workflow W() -> Y { P([",
	                        "{z:1},", 30000, "]) }"),
	               "error: this constant takes more than 1048576 bytes as JSON\n");
	mem_free(before);
	buffer_finish(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(mended_workflow_has_no_diagnostics, begin, end),
		cmocka_unit_test_setup_teardown(undefined_name_suggests_the_nearest, begin, end),
		cmocka_unit_test_setup_teardown(unknown_callee_suggests_the_nearest, begin, end),
		cmocka_unit_test_setup_teardown(version_must_exist, begin, end),
		cmocka_unit_test_setup_teardown(visible_name_is_not_bound_again, begin, end),
		cmocka_unit_test_setup_teardown(sibling_arms_may_bind_the_same, begin, end),
		cmocka_unit_test_setup_teardown(unused_name_is_a_warning, begin, end),
		cmocka_unit_test_setup_teardown(sleep_that_delays_nothing_is_an_error, begin, end),
		cmocka_unit_test_setup_teardown(argument_of_another_type_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(misspelt_type_is_suspected, begin, end),
		cmocka_unit_test_setup_teardown(arguments_are_counted_and_named, begin, end),
		cmocka_unit_test_setup_teardown(case_covers_every_label_once, begin, end),
		cmocka_unit_test_setup_teardown(arms_have_one_type, begin, end),
		cmocka_unit_test_setup_teardown(type_that_is_not_expected_is_said_by_as, begin, end),
		cmocka_unit_test_setup_teardown(constant_checks_against_any_open_type, begin, end),
		cmocka_unit_test_setup_teardown(literals_have_their_types, begin, end),
		cmocka_unit_test_setup_teardown(record_members_are_checked, begin, end),
		cmocka_unit_test_setup_teardown(labels_are_checked, begin, end),
		cmocka_unit_test_setup_teardown(each_takes_a_list, begin, end),
		cmocka_unit_test_setup_teardown(pattern_fits_its_value, begin, end),
		cmocka_unit_test_setup_teardown(signal_has_one_type_in_a_workflow, begin, end),
		cmocka_unit_test_setup_teardown(signal_has_one_type_in_all_that_is_called, begin, end),
		cmocka_unit_test_setup_teardown(recursion_passes_a_guard, begin, end),
		cmocka_unit_test_setup_teardown(types_are_not_recursive, begin, end),
		cmocka_unit_test_setup_teardown(declarations_are_made_once, begin, end),
		cmocka_unit_test_setup_teardown(types_are_transparent, begin, end),
		cmocka_unit_test_setup_teardown(default_is_of_its_type, begin, end),
		cmocka_unit_test_setup_teardown(settings_are_checked, begin, end),
		cmocka_unit_test_setup_teardown(variants_end_at_a_process, begin, end),
		cmocka_unit_test_setup_teardown(what_comes_later_is_refused_once_each, begin, end),
		cmocka_unit_test_setup_teardown(what_comes_later_is_checked_all_the_same, begin, end),
		cmocka_unit_test_setup_teardown(declarations_around_a_broken_one_are_checked, begin, end),
		cmocka_unit_test_setup_teardown(expanded_types_are_limited, begin, end),
		cmocka_unit_test_setup_teardown(sizes_are_limited, begin, end),
		cmocka_unit_test_setup_teardown(defaults_filled_in_are_limited, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
