#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lang/parser.h"
#include "syntax_print.h"

#include <stdio.h>

static struct source source_of(struct slice text)
{
	return (struct source){SLICE("test.flow"), text, 0};
}

/* Parses without error; the declarations are printed one a line. */
static void expect_file(const char *text, const char *tree)
{
	struct source source = source_of(slice_of(text));
	struct diagnostics diagnostics = {0};
	struct syntax syntax = {0};
	struct error error = {0};
	struct buffer out = BUFFER_EMPTY;
	int result = parser_parse(&source, 1, &syntax, &diagnostics, &error);
	diagnostics_render(&diagnostics, &out);
	assert_string_equal(buffer_string(&out), "");
	assert_int_equal(result, 0);
	for (uint32_t i = 0; i < syntax.files[0].declaration_count; i++) {
		assert_false(syntax.files[0].declarations[i].broken);
		print_declaration(&out, &syntax.files[0].declarations[i]);
		buffer_append_string(&out, "\n");
	}
	assert_string_equal(buffer_string(&out), tree);
	buffer_finish(&out);
	syntax_finish(&syntax);
	diagnostics_finish(&diagnostics);
}

static void expect_wrapped(const char *before, const char *text, const char *after, const char *tree_before,
                           const char *tree, const char *tree_after)
{
	struct buffer source = BUFFER_EMPTY;
	struct buffer expected = BUFFER_EMPTY;
	buffer_format(&source, "%s%s%s", before, text, after);
	buffer_format(&expected, "%s%s%s", tree_before, tree, tree_after);
	expect_file(buffer_string(&source), buffer_string(&expected));
	buffer_finish(&source);
	buffer_finish(&expected);
}

static void expect_type(const char *text, const char *tree)
{
	expect_wrapped("type T = ", text, "", "type T ", tree, "\n");
}

static void expect_block(const char *text, const char *tree)
{
	expect_wrapped("workflow W() -> () {", text, "}", "workflow W() -> () (do ", tree, ")\n");
}

/* An expression is the only thing in a block, and also the value of a binding before another binding. */
static void expect_expr(const char *text, const char *tree)
{
	expect_block(text, tree);
	expect_wrapped("workflow W() -> () { a = ", text, "\n(b, c) = d _ = e f }", "workflow W() -> () (do (= a ",
	               tree, ") (= (, b c) d) (= _ e) f)\n");
}

static void expect_setting(const char *text, const char *tree)
{
	expect_wrapped("job j { k = ", text, " l = 1 }", "job j {k=", tree, " l=1}\n");
}

/* Fails with this as the first message in the order of the text. */
static void expect_refused(struct slice text, const char *message)
{
	struct source source = source_of(text);
	struct diagnostics diagnostics = {0};
	struct syntax syntax = {0};
	struct error error = {0};
	assert_int_equal(parser_parse(&source, 1, &syntax, &diagnostics, &error), ERR_INVALID);
	assert_true(diagnostics.count > 0);
	const struct diagnostic *first = diagnostics.entries[0];
	for (size_t i = 1; i < diagnostics.count; i++) {
		if (diagnostics.entries[i]->span.offset < first->span.offset)
			first = diagnostics.entries[i];
	}
	assert_string_equal(first->message, message);
	syntax_finish(&syntax);
	diagnostics_finish(&diagnostics);
}

static void declarations_are_parsed(void **state)
{
	(void)state;
	expect_file("", "");
	expect_file("# nothing\n", "");
	expect_file("type A = B type C = D", "type A B\ntype C D\n");
	expect_file("process P() -> ()", "process P() -> ()\n");
	expect_file("process P(a: A, b: [B],) -> C * D {}", "process P(a:A b:[B]) -> (* C D) {}\n");
	expect_file("process P(a: A, b: B = 1, c: C = {x: [null, true,], \"y z\": \"t\"}) -> C",
	            "process P(a:A b:B=1 c:C={x:[null true] y z:\"t\"}) -> C\n");
	expect_file("process P = Q { retries = 3 }", "variant P Q {retries=3}\n");
	expect_file("process P = Q@7 {}", "variant P Q@7 {}\n");
	expect_file("process P = Q @ latest {}", "variant P Q@latest {}\n");
	expect_file("workflow W(x: X) -> X { x }", "workflow W(x:X) -> X (do x)\n");
	expect_file("job nightly { at = \"02:00\" } job Copy {}", "job nightly {at=\"02:00\"}\njob Copy {}\n");
}

static void contextual_words_are_names_elsewhere(void **state)
{
	(void)state;
	expect_file("workflow W(process: A, workflow: A, type: A, job: A, limit: A, latest: A) -> B {\n"
	            "  a = job\n  b = type\n  process = workflow\n  each limit in limit limit 2 { latest }\n}",
	            "workflow W(process:A workflow:A type:A job:A limit:A latest:A) -> B (do (= a job) (= b type) "
	            "(= process workflow) (each limit limit 2 (do latest)))\n");
	expect_file("workflow W(type: A, process: A) -> B {\n  a =\n  type\n  b =\n  process\n  Work(a, b)\n}",
	            "workflow W(type:A process:A) -> B (do (= a type) (= b process) (Work a b))\n");
	expect_file("type T = type | job | process\nprocess P() -> T",
	            "type T (| type job process)\nprocess P() -> T\n");
	expect_file("job job { job = job\n type = type }", "job job {job='job type='type}\n");
	expect_block("case x { job process -> type  type -> job }", "(case x (job process -> type) (type -> job))");
}

static void types_bind_product_before_sum_and_to_the_right(void **state)
{
	(void)state;
	expect_type("A", "A");
	expect_type("()", "()");
	expect_type("(A)", "A");
	expect_type("A * B", "(* A B)");
	expect_type("A * B * C", "(* A (* B C))");
	expect_type("A + B + C", "(+ A (+ B C))");
	expect_type("A * B + C * D", "(+ (* A B) (* C D))");
	expect_type("A + B * C + D", "(+ A (+ (* B C) D))");
	expect_type("(A + B) * C", "(* (+ A B) C)");
	expect_type("(A * B) * C", "(* (* A B) C)");
	expect_type("[A * [B] + ()]", "[(+ (* A [B]) ())]");
	expect_type("{a: A, \"b c\": {left: B = 2},}", "{a:A b c:{left:B=2}}");
	expect_type("{case: A + B = {left: -1.5e3}, x: D = 5m}", "{case:(+ A B)={left:-1.5e3} x:D=300000ms}");
}

static void choices_are_parsed(void **state)
{
	(void)state;
	expect_type("red", "(| red)");
	expect_type("red | green(A * B) | blue(())", "(| red green:(* A B) blue:())");
}

static void settings_hold_every_kind_of_value(void **state)
{
	(void)state;
	expect_setting("\"s\"", "\"s\"");
	expect_setting("-1", "-1");
	expect_setting("30s", "30000ms");
	expect_setting("true", "true");
	expect_setting("false", "false");
	expect_setting("null", "null");
	expect_setting("json", "'json");
	expect_setting("Name", "''Name");
	expect_setting("[]", "[]");
	expect_setting("[\"./split.sh\", x, [Y],]", "[\"./split.sh\" 'x [''Y]]");
	expect_setting("{}", "{}");
	expect_setting("{\"PATH\": \"/bin\", a: {}}", "{PATH:\"/bin\" a:{}}");
}

static void keys_may_be_reserved_words_or_strings(void **state)
{
	(void)state;
	expect_file("job j { case = 1 \"a b\" = 2 \"\\u00e9\" = {in: 3, \"\\\"\": 4} }",
	            "job j {case=1 a b=2 \xC3\xA9={in:3 \":4}}\n");
	expect_expr("{left: a, \"b\": c}", "(record left:a b:c)");
	expect_expr("x.left.\"a b\".c", "(. (. (. x left) a b) c)");
}

static void literals_keep_their_text(void **state)
{
	(void)state;
	expect_expr("\"\\u00e9 \\n\"", "\"\\u00e9 \\n\"");
	expect_expr("1.50E+07", "1.50E+07");
	expect_expr("1500ms", "1500ms");
	expect_expr("true", "true");
	expect_expr("false", "false");
	expect_expr("null", "null");
}

static void primaries_are_parsed(void **state)
{
	(void)state;
	expect_expr("x", "x");
	expect_expr("P()", "(P)");
	expect_expr("P(x, y,)", "(P x y)");
	expect_expr("P(x, a: y, b: Q())", "(P x a:y b:(Q))");
	expect_expr("P@12(x)", "(P@12 x)");
	expect_expr("P@latest(x)", "(P@latest x)");
	expect_expr("Color.red", "(label Color red)");
	expect_expr("Color.mixed((a, b))", "(label Color mixed (, a b))");
	expect_expr("sleep(30s)", "(sleep 30000ms)");
	expect_expr("sleep (x.delay)", "(sleep (. x delay))");
	expect_expr("signal(\"paid\")", "(signal paid)");
	expect_expr("signal(\"pa\\u0069d\", o.id)", "(signal paid (. o id))");
	expect_expr("[]", "(list)");
	expect_expr("[a, [b], ]", "(list a (list b))");
	expect_expr("()", "()");
	expect_expr("(a)", "a");
	expect_expr("((a,))", "a");
	expect_expr("(a, b)", "(, a b)");
	expect_expr("(a, b, c)", "(, a (, b c))");
	expect_expr("((a, b), c, d, e,)", "(, (, a b) (, c (, d e)))");
	expect_expr("{a: 1}", "(record a:1)");
	expect_expr("{a: {b: {c}}, d: [e],}", "(record a:(record b:(do c)) d:(list e))");
}

static void braces_begin_a_record_when_a_key_and_a_colon_follow(void **state)
{
	(void)state;
	expect_expr("{a}", "(do a)");
	expect_expr("{\"a\"}", "(do \"a\")");
	expect_expr("{\"a\": b}", "(record a:b)");
	expect_expr("{true}", "(do true)");
	expect_expr("{true: b}", "(record true:b)");
	expect_expr("{a = b a}", "(do (= a b) a)");
	expect_expr("{{a: b}}", "(do (record a:b))");
}

static void postfix_words_bind_tightest_from_left_to_right(void **state)
{
	(void)state;
	expect_expr("a.b with {c = 1} after d as E", "(as (after (with (. a b) {c=1}) d) E)");
	expect_expr("P(a) after b after c.d", "(. (after (after (P a) b) c) d)");
	expect_expr("a as A + B * C after d", "(after (as a (+ A (* B C))) d)");
	expect_expr("a after (b, c)", "(after a (, b c))");
	expect_expr("a after {b}", "(after a (do b))");
	expect_expr("left a.b as C", "(left (as (. a b) C))");
	expect_expr("(left a) as B", "(as (left a) B)");
	expect_expr("[] as [A]", "(as (list) [A])");
	expect_expr("{a: b}.a", "(. (record a:b) a)");
	expect_expr("5m.x", "(. 300000ms x)");
}

static void prefix_words_take_the_longest_expression(void **state)
{
	(void)state;
	expect_expr("left right fail a", "(left (right (fail a)))");
	expect_expr("left case a { left b -> left c right d -> d }",
	            "(left (case a (left b -> (left c)) (right d -> d)))");
	expect_expr("try left a after b", "(try (left (after a b)))");
	expect_expr("fail try a else _ -> b", "(fail (try a else _ b))");
	expect_expr("try a else e -> left e after b", "(try a else e (left (after e b)))");
}

static void else_belongs_to_the_nearest_try(void **state)
{
	(void)state;
	expect_expr("try try a else e -> b", "(try (try a else e b))");
	expect_expr("try try a else e -> b else f -> c", "(try (try a else e b) else f c)");
	expect_expr("try a else e -> try b else f -> c", "(try a else e (try b else f c))");
	expect_expr("try (try a) else e -> b", "(try (try a) else e b)");
	expect_expr("try left a else (e, _) -> b", "(try (left a) else (, e _) b)");
}

static void cases_are_parsed(void **state)
{
	(void)state;
	expect_expr("case P(x) { left v -> left Q(v) right r -> right S(r) }",
	            "(case (P x) (left v -> (left (Q v))) (right r -> (right (S r))))");
	expect_expr("case x { true -> a false -> b }", "(case x (true -> a) (false -> b))");
	expect_expr("case x { red -> a green (b, _) -> b _ -> c }",
	            "(case x (red -> a) (green (, b _) -> b) (_ -> c))");
	expect_expr("case x { red _ -> a }", "(case x (red _ -> a))");
	expect_expr("case {a: b} { red(c) -> c }", "(case (record a:b) (red c -> c))");
	expect_expr("case x with {a = 1} { b -> {c = d c} }", "(case (with x {a=1}) (b -> (do (= c d) c)))");
	expect_expr("case case a { b -> c } { d -> e }", "(case (case a (b -> c)) (d -> e))");
}

static void races_are_parsed(void **state)
{
	(void)state;
	expect_expr("race { d = signal(\"s\") -> d sleep(2d) -> P(o) }",
	            "(race (d = (signal s) -> d) ((sleep 172800000ms) -> (P o)))");
	expect_expr("race { (a, b) = P(x) -> a _ = Q() -> b (c, d) -> e }",
	            "(race ((, a b) = (P x) -> a) (_ = (Q) -> b) ((, c d) -> e))");
	expect_expr("race each a in b { P(a) }", "(race (each a b 0 (do (P a))))");
	expect_expr("race each a in b limit 3 { P(a) }", "(race (each a b 3 (do (P a))))");
}

static void each_is_parsed(void **state)
{
	(void)state;
	expect_expr("each p in ps { P(p) }", "(each p ps 0 (do (P p)))");
	expect_expr("each (a, _) in P(x).list limit 4294967295 { b = a b }",
	            "(each (, a _) (. (P x) list) 4294967295 (do (= b a) b))");
	expect_expr("each a in each b in c { b } { a }", "(each a (each b c 0 (do b)) 0 (do a))");
}

static void blocks_are_parsed(void **state)
{
	(void)state;
	expect_block("a = P(x) b = Q(a) undo R(b) (c, (d, _)) = b _ = S() ((e)) = d (c, d)",
	             "(= a (P x)) (= b (Q a) undo (R b)) (= (, c (, d _)) b) (= _ (S)) (= e d) (, c d)");
	expect_block("(a, b, c) = x a", "(= (, a (, b c)) x) a");
	expect_block("a = left b undo left c a", "(= a (left b) undo (left c)) a");
	expect_block("a = Color.red\n(b, c) = x\nb", "(= a (label Color red)) (= (, b c) x) b");
	expect_block("a = Color.red\n(b)", "(= a (label Color red)) b");
	expect_block("a = b(c, d) = e c", "(= a b) (= (, c d) e) c");
	expect_block("if = a let = if return = let return", "(= if a) (= let if) (= return let) return");
}

static void examples_of_the_language_are_parsed(void **state)
{
	(void)state;
	expect_file("# An atomic process: what goes in, what comes out, how it is run.\n"
	            "type Image  = Text                                  # transparent: a path is enough\n"
	            "type Ladder = {small: Image, large: Image}\n"
	            "\n"
	            "process Split(x: X) -> A * B {\n"
	            "  exec    = [\"./split.sh\", x]     # a child per call\n"
	            "  files   = [\"split.sh\"]\n"
	            "  timeout = 30s\n"
	            "  retries = 3\n"
	            "  backoff = 1s\n"
	            "}\n"
	            "process Work(a: A) -> Y\n"
	            "process Other(b: B) -> Z\n"
	            "\n"
	            "workflow R(x: X) -> Y * Z {\n"
	            "  (a, b) = Split(x)\n"
	            "  (Work(a), Other(b))\n"
	            "}\n"
	            "process Check(o: Order) -> Valid + Refused\n"
	            "workflow Ship(o: Order) -> Parcel + Refund {\n"
	            "  case Check(o) {\n"
	            "    left  v -> left Pack(v)\n"
	            "    right r -> right Repay(r)\n"
	            "  }\n"
	            "}\n"
	            "workflow Countdown(n: N) -> Done {\n"
	            "  case Step(n) { left m -> Countdown(m)  right d -> d }\n"
	            "}\n"
	            "workflow Report(paths: [Text]) -> Summary { Merge(each p in paths limit 20 { Count(p) }) }\n"
	            "workflow Book(o: Order) -> Trip + Failure {\n"
	            "  try {\n"
	            "    room = Hotel(o) undo CancelHotel(room)\n"
	            "    hire = Car(o)   undo CancelCar(hire)\n"
	            "    left {room: room, hire: hire, seat: Flight(room, hire)}\n"
	            "  } else f -> right f\n"
	            "}\n"
	            "workflow Approve(o: Order) -> Decision {\n"
	            "  race {\n"
	            "    d = signal(\"decision\") -> d\n"
	            "    sleep(2d)              -> Escalate(o)\n"
	            "  }\n"
	            "}\n",
	            "type Image Text\n"
	            "type Ladder {small:Image large:Image}\n"
	            "process Split(x:X) -> (* A B) {exec=[\"./split.sh\" 'x] files=[\"split.sh\"] timeout=30000ms "
	            "retries=3 backoff=1000ms}\n"
	            "process Work(a:A) -> Y\n"
	            "process Other(b:B) -> Z\n"
	            "workflow R(x:X) -> (* Y Z) (do (= (, a b) (Split x)) (, (Work a) (Other b)))\n"
	            "process Check(o:Order) -> (+ Valid Refused)\n"
	            "workflow Ship(o:Order) -> (+ Parcel Refund) (do (case (Check o) (left v -> (left (Pack v))) "
	            "(right r -> (right (Repay r)))))\n"
	            "workflow Countdown(n:N) -> Done (do (case (Step n) (left m -> (Countdown m)) (right d -> d)))\n"
	            "workflow Report(paths:[Text]) -> Summary (do (Merge (each p paths 20 (do (Count p)))))\n"
	            "workflow Book(o:Order) -> (+ Trip Failure) (do (try (do (= room (Hotel o) undo (CancelHotel room)) "
	            "(= hire (Car o) undo (CancelCar hire)) (left (record room:room hire:hire seat:(Flight room hire)))) "
	            "else f (right f)))\n"
	            "workflow Approve(o:Order) -> Decision (do (race (d = (signal decision) -> d) ((sleep 172800000ms) -> "
	            "(Escalate o))))\n");
}

static void several_sources_become_one_tree(void **state)
{
	struct source sources[] = {
		{SLICE("a.flow"), SLICE("type A = B\ntype C = D"), 0},
		{SLICE("b.flow"), SLICE(""), 1},
		{SLICE("c.flow"), SLICE("type E = F"), 2},
	};
	struct diagnostics diagnostics = {0};
	struct syntax syntax = {0};
	(void)state;
	assert_int_equal(parser_parse(sources, 3, &syntax, &diagnostics, NULL), 0);
	assert_int_equal(syntax.file_count, 3);
	assert_int_equal(syntax.files[0].declaration_count, 2);
	assert_int_equal(syntax.files[1].declaration_count, 0);
	assert_int_equal(syntax.files[2].declaration_count, 1);
	assert_ptr_equal(syntax.files[2].source, &sources[2]);
	assert_ptr_equal(syntax.files[2].declarations[0].name.span.source, &sources[2]);
	syntax_finish(&syntax);
	diagnostics_finish(&diagnostics);
}

static void expect_span(struct span span, const char *text)
{
	assert_true(slice_is(span_text(span), text));
}

static void every_node_knows_where_it_stands(void **state)
{
	struct source source = source_of(SLICE("# before\nworkflow W ( x : A * ( B ) = 1 ) -> [ C ] {\n"
	                                       "  (a, b, c) = P@2( x , y: (d, e, f) ) undo Q(a)\n"
	                                       "  g . h as ( E + F )\n} # behind\ntype T = { k : V = [ 1 ] }"));
	struct diagnostics diagnostics = {0};
	struct syntax syntax = {0};
	(void)state;
	assert_int_equal(parser_parse(&source, 1, &syntax, &diagnostics, NULL), 0);
	const struct syntax_declaration *workflow = &syntax.files[0].declarations[0];
	const struct syntax_binding *binding = &workflow->body->bindings[0];
	const struct syntax_expr *call = binding->value;
	const struct syntax_expr *result = workflow->body->result;
	assert_int_equal(workflow->span.offset, 9);
	assert_int_equal(workflow->span.offset + workflow->span.size, source.text.size - 36);
	expect_span(workflow->name.span, "W");
	expect_span(workflow->params[0].span, "x : A * ( B ) = 1");
	expect_span(workflow->params[0].type->span, "A * ( B )");
	expect_span(workflow->params[0].default_value->span, "1");
	expect_span(workflow->result->span, "[ C ]");
	expect_span(binding->span, "(a, b, c) = P@2( x , y: (d, e, f) ) undo Q(a)");
	expect_span(binding->pattern->span, "(a, b, c)");
	expect_span(binding->pattern->parts[1]->span, "b, c");
	expect_span(call->span, "P@2( x , y: (d, e, f) )");
	expect_span(call->call.ref.span, "P@2");
	expect_span(call->call.ref.name_span, "P");
	expect_span(call->call.args[1].span, "y: (d, e, f)");
	expect_span(call->call.args[1].value->span, "(d, e, f)");
	expect_span(call->call.args[1].value->parts[1]->span, "e, f");
	expect_span(result->span, "g . h as ( E + F )");
	expect_span(result->as.operand->span, "g . h");
	expect_span(result->as.operand->member.key.span, "h");
	expect_span(result->as.type->span, "E + F");
	expect_span(syntax.files[0].declarations[1].span, "type T = { k : V = [ 1 ] }");
	syntax_finish(&syntax);
	diagnostics_finish(&diagnostics);
}

static void append_token(struct slice token, void *context)
{
	buffer_append_slice(context, token);
	buffer_append_char(context, '|');
}

static void tokens_of_a_declaration_leave_out_comments_and_space(void **state)
{
	const char *texts[] = {"type A={a:\"x y\"=30s->}", "type A = { # c\n a :\t\"x y\"=30s ->\r\n}"};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct source source = source_of(slice_of(texts[i]));
		struct buffer out = BUFFER_EMPTY;
		parser_visit_tokens((struct span){&source, 0, (uint32_t)source.text.size}, append_token, &out);
		assert_string_equal(buffer_string(&out), "type|A|=|{|a|:|\"x y\"|=|30s|->|}|");
		buffer_finish(&out);
	}
}

static void a_configuration_file_is_the_inside_of_settings(void **state)
{
	struct source source =
		source_of(SLICE("# node\nname = \"a\"\njoin = [\"b:1\", \"c:2\"]\ntag = {zone: \"x\"}\n"));
	struct diagnostics diagnostics = {0};
	struct arena arena = {0};
	struct syntax_settings settings = {0};
	struct buffer out = BUFFER_EMPTY;
	(void)state;
	assert_int_equal(parser_parse_settings(&source, &arena, &settings, &diagnostics, NULL), 0);
	print_settings(&out, &settings);
	assert_string_equal(buffer_string(&out), "{name=\"a\" join=[\"b:1\" \"c:2\"] tag={zone:\"x\"}}");
	source.text = SLICE("");
	assert_int_equal(parser_parse_settings(&source, &arena, &settings, &diagnostics, NULL), 0);
	assert_int_equal(settings.count, 0);
	buffer_finish(&out);
	arena_finish(&arena);
	diagnostics_finish(&diagnostics);
}

static void a_wrong_configuration_file_leaves_the_settings_alone(void **state)
{
	struct source source = source_of(SLICE("a = 1\nb = }\n"));
	struct diagnostics diagnostics = {0};
	struct arena arena = {0};
	struct syntax_settings settings = {.count = 7};
	struct error error = {0};
	(void)state;
	assert_int_equal(parser_parse_settings(&source, &arena, &settings, &diagnostics, &error), ERR_INVALID);
	assert_string_equal(error.text, "1 syntax error");
	assert_string_equal(diagnostics.entries[0]->message, "\"}\" closes nothing");
	assert_int_equal(settings.count, 7);
	arena_finish(&arena);
	diagnostics_finish(&diagnostics);
}

static void a_large_source_is_refused_unread(void **state)
{
	struct buffer text = BUFFER_EMPTY;
	struct diagnostics diagnostics = {0};
	struct arena arena = {0};
	struct syntax syntax = {.file_count = 7};
	struct syntax_settings settings;
	struct error error = {0};
	(void)state;
	memset(buffer_reserve(&text, SYNTAX_SOURCE_SIZE_MAX + 1), '\n', SYNTAX_SOURCE_SIZE_MAX + 1);
	text.size = SYNTAX_SOURCE_SIZE_MAX + 1;
	struct source sources[] = {{SLICE("small.flow"), SLICE("$"), 0}, {SLICE("big.flow"), buffer_slice(&text), 1}};
	assert_int_equal(parser_parse(sources, 2, &syntax, &diagnostics, &error), ERR_LIMIT);
	assert_string_equal(error.text, "big.flow has 1048577 bytes, more than the limit of 1048576 bytes");
	assert_int_equal(syntax.file_count, 7);
	assert_int_equal(parser_parse_settings(&sources[1], &arena, &settings, &diagnostics, &error), ERR_LIMIT);
	assert_int_equal(diagnostics.error_count, 0);
	sources[1].text.size--;
	assert_int_equal(parser_parse(&sources[1], 1, &syntax, &diagnostics, &error), 0);
	syntax_finish(&syntax);
	buffer_finish(&text);
}

/* before, then `count` times `open`, then middle, then `count` times `close`, then after */
static void nest(struct buffer *out, const char *parts[5], size_t count)
{
	buffer_clear(out);
	buffer_append_string(out, parts[0]);
	for (size_t i = 0; i < count; i++)
		buffer_append_string(out, parts[1]);
	buffer_append_string(out, parts[2]);
	for (size_t i = 0; i < count; i++)
		buffer_append_string(out, parts[3]);
	buffer_append_string(out, parts[4]);
}

static void nesting_is_limited(void **state)
{
	static const struct {
		size_t fits; /* how often */
		const char *parts[5];
	} cases[] = {
		{255, {"workflow W() -> () {", "(", "x", ")", "}"}},
		{255, {"workflow W() -> () {", "[", "x", "]", "}"}},
		{255, {"workflow W() -> () {", "{", "x", "}", "}"}},
		{255, {"workflow W() -> () {", "{a: ", "x", "}", "}"}},
		{255, {"workflow W() -> () {", "P(", "x", ")", "}"}},
		{255, {"workflow W() -> () {", "T.a(", "x", ")", "}"}},
		{255, {"workflow W() -> () {", "sleep(", "x", ")", "}"}},
		{255, {"workflow W() -> () {", "signal(\"a\", ", "x", ")", "}"}},
		{255, {"workflow W() -> () {", "left ", "x", "", "}"}},
		{255, {"workflow W() -> () {", "try ", "x", "", "}"}},
		{255, {"workflow W() -> () {", "try x else y -> ", "x", "", "}"}},
		{255, {"workflow W() -> () {", "case ", "x", "{ a -> b }", "}"}},
		{255, {"workflow W() -> () {", "case x { a -> ", "x", "}", "}"}},
		{255, {"workflow W() -> () {", "race { x -> ", "x", "}", "}"}},
		{127, {"workflow W() -> () {", "each a in x { ", "x", "}", "}"}},
		{85, {"workflow W() -> () {", "race each a in x { ", "x", "}", "}"}},
		{255, {"workflow W() -> () {", "", "x", ".a", "}"}},
		{255, {"workflow W() -> () {", "", "x", " after y", "}"}},
		{255, {"workflow W() -> () {", "", "x", " as T", "}"}},
		{254, {"workflow W() -> () {", "", "x", " with {}", "}"}},
		{127, {"workflow W() -> () {", "(", "x", ").a", "}"}},
		{254, {"workflow W() -> () {(x", ", x", "", "", ")}"}},
		{255, {"workflow W() -> () {", "(", "x", ")", " = y z}"}},
		{254, {"workflow W() -> () {(x", ", x", "", "", ") = y z}"}},
		{256, {"type T = ", "(", "X", ")", ""}},
		{256, {"type T = ", "[", "X", "]", ""}},
		{256, {"type T = ", "{a: ", "X", "}", ""}},
		{256, {"type T = X", " + X", "", "", ""}},
		{256, {"type T = X", " * X", "", "", ""}},
		{128, {"type T = ", "(", "X", ") * X", ""}},
		{255, {"job j { a = ", "[", "1", "]", "}"}},
		{255, {"job j { a = ", "{b: ", "1", "}", "}"}},
		{255, {"process P(a: A = ", "[", "1", "]", ") -> A"}},
	};
	struct buffer text = BUFFER_EMPTY;
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct source source;
		struct diagnostics diagnostics = {0};
		struct syntax syntax = {0};
		const char *parts[5];
		memcpy(parts, cases[i].parts, sizeof parts);
		nest(&text, parts, cases[i].fits);
		source = source_of(buffer_slice(&text));
		if (parser_parse(&source, 1, &syntax, &diagnostics, NULL) != 0)
			fail_msg("%zu times \"%s\" are refused", cases[i].fits, parts[1]);
		syntax_finish(&syntax);
		diagnostics_finish(&diagnostics);
		const size_t deeper[] = {cases[i].fits + 1, 20000};
		for (size_t j = 0; j < 2; j++) {
			nest(&text, parts, deeper[j]);
			expect_refused(buffer_slice(&text), "this is nested deeper than the limit of 256 levels");
		}
	}
	buffer_finish(&text);
}

static void hundred_thousand_levels_are_refused(void **state)
{
	static const char *const opens[] = {"(", "[", "{", "left ", "try ", "case ", "P(", "{a: "};
	struct buffer text = BUFFER_EMPTY;
	(void)state;
	for (size_t i = 0; i < sizeof opens / sizeof opens[0]; i++) {
		const char *parts[5] = {"workflow W() -> () {", opens[i], "x", "", "}"};
		nest(&text, parts, 100000);
		expect_refused(buffer_slice(&text), "this is nested deeper than the limit of 256 levels");
	}
	buffer_finish(&text);
}

static void siblings_are_not_limited_by_depth(void **state)
{
	const char *parts[5] = {"workflow W() -> () {[", "a, ", "", "", "]}"};
	struct buffer text = BUFFER_EMPTY;
	struct diagnostics diagnostics = {0};
	struct syntax syntax = {0};
	(void)state;
	nest(&text, parts, 10000);
	struct source source = source_of(buffer_slice(&text));
	assert_int_equal(parser_parse(&source, 1, &syntax, &diagnostics, NULL), 0);
	assert_int_equal(syntax.files[0].declarations[0].body->result->list.count, 10000);
	syntax_finish(&syntax);
	diagnostics_finish(&diagnostics);
	buffer_finish(&text);
}

static void only_declarations_with_an_error_are_broken(void **state)
{
	struct source source = source_of(SLICE("type A = B\nworkflow W() -> () {\n  a = $\n  b\n}\ntype C = \"\\q\"\n"
	                                       "process P(x: \"a\") -> T\njob j {}\n"));
	const bool broken[] = {false, true, true, true, false};
	struct diagnostics diagnostics = {0};
	struct syntax syntax = {0};
	(void)state;
	assert_int_equal(parser_parse(&source, 1, &syntax, &diagnostics, NULL), ERR_INVALID);
	assert_int_equal(syntax.files[0].declaration_count, 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(syntax.files[0].declarations[i].broken, broken[i]);
	assert_true(slice_is(syntax.files[0].declarations[1].name.text, "W"));
	syntax_finish(&syntax);
	diagnostics_finish(&diagnostics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(declarations_are_parsed),
		cmocka_unit_test(contextual_words_are_names_elsewhere),
		cmocka_unit_test(types_bind_product_before_sum_and_to_the_right),
		cmocka_unit_test(choices_are_parsed),
		cmocka_unit_test(settings_hold_every_kind_of_value),
		cmocka_unit_test(keys_may_be_reserved_words_or_strings),
		cmocka_unit_test(literals_keep_their_text),
		cmocka_unit_test(primaries_are_parsed),
		cmocka_unit_test(braces_begin_a_record_when_a_key_and_a_colon_follow),
		cmocka_unit_test(postfix_words_bind_tightest_from_left_to_right),
		cmocka_unit_test(prefix_words_take_the_longest_expression),
		cmocka_unit_test(else_belongs_to_the_nearest_try),
		cmocka_unit_test(cases_are_parsed),
		cmocka_unit_test(races_are_parsed),
		cmocka_unit_test(each_is_parsed),
		cmocka_unit_test(blocks_are_parsed),
		cmocka_unit_test(examples_of_the_language_are_parsed),
		cmocka_unit_test(several_sources_become_one_tree),
		cmocka_unit_test(every_node_knows_where_it_stands),
		cmocka_unit_test(tokens_of_a_declaration_leave_out_comments_and_space),
		cmocka_unit_test(a_configuration_file_is_the_inside_of_settings),
		cmocka_unit_test(a_wrong_configuration_file_leaves_the_settings_alone),
		cmocka_unit_test(a_large_source_is_refused_unread),
		cmocka_unit_test(nesting_is_limited),
		cmocka_unit_test(hundred_thousand_levels_are_refused),
		cmocka_unit_test(siblings_are_not_limited_by_depth),
		cmocka_unit_test(only_declarations_with_an_error_are_broken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
