/* Mistakes, and what is said about them, word for word. In the order of LANGUAGE's grammar, more or less. */
#ifndef CLUSTERD_TESTS_MISTAKES_H
#define CLUSTERD_TESTS_MISTAKES_H

static const struct mistake {
	const char *name;
	const char *source; /* of a.flow */
	const char *rendered;
} mistakes[] = {
	{"missing_arrow_in_signature",
	 "workflow W(x: X): Y {\n"
	 "  x\n"
	 "}\n",
	 "a.flow:1:17: error: expected \"->\" and the type of the result, found \":\"\n"
	 "  1 | workflow W(x: X): Y {\n"
	 "    |                 ^\n"
	 "    = hint: write -> instead of :\n"},
	{"missing_result_type",
	 "workflow W(x: X) {\n"
	 "  x\n"
	 "}\n",
	 "a.flow:1:18: error: expected \"->\" and the type of the result, found \"{\"\n"
	 "  1 | workflow W(x: X) {\n"
	 "    |                  ^\n"},
	{"parameter_without_type",
	 "process P(x, y X) -> Y\n",
	 "a.flow:1:12: error: expected \":\" and the parameter's type, found \",\"\n"
	 "  1 | process P(x, y X) -> Y\n"
	 "    |            ^\n"
	 "\n"
	 "a.flow:1:16: error: expected \":\" and the parameter's type, found \"X\"\n"
	 "  1 | process P(x, y X) -> Y\n"
	 "    |                ^\n"},
	{"equal_for_colon_in_parameter",
	 "process P(x = X) -> Y\n",
	 "a.flow:1:13: error: expected \":\" and the parameter's type, found \"=\"\n"
	 "  1 | process P(x = X) -> Y\n"
	 "    |             ^\n"
	 "    = hint: a parameter is written name: Type\n"},
	{"default_not_last",
	 "process P(x: X = 1, y: Y) -> Z\n",
	 "a.flow:1:21: error: a parameter without a default follows one with a default\n"
	 "  1 | process P(x: X = 1, y: Y) -> Z\n"
	 "    |                     ^\n"
	 "    = hint: put those with a default last\n"},
	{"default_that_is_a_name",
	 "process P(x: X = red) -> Z\n",
	 "a.flow:1:18: error: expected a constant, found \"red\"\n"
	 "  1 | process P(x: X = red) -> Z\n"
	 "    |                  ^^^\n"
	 "    = hint: a default is written out; text stands in double quotes\n"},
	{"reserved_word_as_parameter",
	 "process P(case: X) -> Y\n",
	 "a.flow:1:11: error: \"case\" is a reserved word; expected a parameter's name\n"
	 "  1 | process P(case: X) -> Y\n"
	 "    |           ^^^^\n"
	 "    = hint: choose another name, \"case_\" for instance\n"},
	{"reserved_word_as_name_of_a_value",
	 "workflow W(x: X) -> Y {\n"
	 "  left = P(x)\n"
	 "  (a, in) = Q(left)\n"
	 "  a\n"
	 "}\n",
	 "a.flow:2:3: error: \"left\" is a reserved word; expected the name of a value\n"
	 "  2 |   left = P(x)\n"
	 "    |   ^^^^\n"
	 "    = hint: choose another name, \"left_\" for instance\n"
	 "\n"
	 "a.flow:3:7: error: \"in\" is a reserved word; expected the name of a value\n"
	 "  3 |   (a, in) = Q(left)\n"
	 "    |       ^^\n"
	 "    = hint: choose another name, \"in_\" for instance\n"
	 "\n"
	 "a.flow:3:19: error: expected an expression, found \")\"\n"
	 "  3 |   (a, in) = Q(left)\n"
	 "    |                   ^\n"},
	{"small_letter_for_a_process",
	 "process split(x: X) -> Y\n",
	 "a.flow:1:9: error: a process's name begins with a capital letter\n"
	 "  1 | process split(x: X) -> Y\n"
	 "    |         ^^^^^\n"
	 "    = hint: write \"Split\"\n"},
	{"small_letter_for_a_type",
	 "process P(x: text) -> Y\n",
	 "a.flow:1:14: error: a type's name begins with a capital letter\n"
	 "  1 | process P(x: text) -> Y\n"
	 "    |              ^^^^\n"
	 "    = hint: write \"Text\"\n"},
	{"capital_letter_for_a_value",
	 "workflow W(x: X) -> Y {\n"
	 "  Room = Hotel(x)\n"
	 "  x\n"
	 "}\n",
	 "a.flow:2:3: error: the name of a value begins with a small letter\n"
	 "  2 |   Room = Hotel(x)\n"
	 "    |   ^^^^\n"
	 "    = hint: write \"room\"\n"},
	{"call_in_small_letters",
	 "workflow W(x: X) -> Y {\n"
	 "  hotel(x)\n"
	 "}\n",
	 "a.flow:2:3: error: the name of a process or workflow begins with a capital letter\n"
	 "  2 |   hotel(x)\n"
	 "    |   ^^^^^\n"
	 "    = hint: write Hotel(\342\200\246)\n"},
	{"bracket_that_does_not_touch",
	 "workflow W(x: X) -> Y {\n"
	 "  Hotel (x)\n"
	 "}\n",
	 "a.flow:2:9: error: the \"(\" of a call touches the name before it\n"
	 "  2 |   Hotel (x)\n"
	 "    |         ^\n"
	 "    = hint: write Hotel(\342\200\246)\n"},
	{"call_without_arguments",
	 "workflow W(x: X) -> Y {\n"
	 "  a = Hotel\n"
	 "  a\n"
	 "}\n",
	 "a.flow:2:7: error: \"Hotel\" is not called\n"
	 "  2 |   a = Hotel\n"
	 "    |       ^^^^^\n"
	 "    = hint: its arguments follow in parentheses: Hotel(\342\200\246)\n"},
	{"label_payload_that_does_not_touch",
	 "workflow W(x: X) -> Y {\n"
	 "  Color.red (x)\n"
	 "}\n",
	 "a.flow:2:13: error: the \"(\" of a label touches the name before it\n"
	 "  2 |   Color.red (x)\n"
	 "    |             ^\n"
	 "    = hint: write Color.red(\342\200\246)\n"},
	{"label_with_two_values",
	 "workflow W(x: X) -> Y {\n"
	 "  Color.red(x, x)\n"
	 "}\n",
	 "a.flow:2:14: error: expected \")\", found \",\"\n"
	 "  2 |   Color.red(x, x)\n"
	 "    |              ^\n"
	 "    = hint: a label carries one value; a pair is ((a, b))\n"},
	{"misspelled_keyword",
	 "worflow W(x: X) -> Y {\n"
	 "  x\n"
	 "}\n"
	 "type A = B\n",
	 "a.flow:1:1: error: expected \"type\", \"process\", \"workflow\" or \"job\", found \"worflow\"\n"
	 "  1 | worflow W(x: X) -> Y {\n"
	 "    | ^^^^^^^\n"
	 "    = hint: did you mean \"workflow\"?\n"},
	{"unknown_declaration",
	 "type A = B\n"
	 "import \"x.flow\"\n"
	 "foo\n"
	 "type C = $\n",
	 "a.flow:2:1: error: expected \"type\", \"process\", \"workflow\" or \"job\", found \"import\"\n"
	 "  2 | import \"x.flow\"\n"
	 "    | ^^^^^^\n"
	 "    = hint: files that are registered together see each other's names\n"
	 "\n"
	 "a.flow:4:10: error: the character \"$\" has no meaning here\n"
	 "  4 | type C = $\n"
	 "    |          ^\n"},
	{"block_without_value",
	 "workflow W(x: X) -> Y {\n"
	 "  room = Hotel(x)\n"
	 "}\n",
	 "a.flow:3:1: error: the block has no value\n"
	 "  3 | }\n"
	 "    | ^\n"
	 "a.flow:1:23: note: the block begins here\n"
	 "  1 | workflow W(x: X) -> Y {\n"
	 "    |                       ^\n"
	 "    = hint: end it with an expression, \"room\" for instance\n"},
	{"block_without_anything",
	 "workflow W(x: X) -> Y {\n"
	 "}\n",
	 "a.flow:2:1: error: the block has no value\n"
	 "  2 | }\n"
	 "    | ^\n"
	 "a.flow:1:23: note: the block begins here\n"
	 "  1 | workflow W(x: X) -> Y {\n"
	 "    |                       ^\n"
	 "    = hint: the value of nothing is ()\n"},
	{"two_values_in_a_block",
	 "workflow W(x: X) -> Y {\n"
	 "  Notify(x)\n"
	 "  Hotel(x)\n"
	 "}\n",
	 "a.flow:3:3: error: expected \"}\" after the value of the block, found \"Hotel\"\n"
	 "  3 |   Hotel(x)\n"
	 "    |   ^^^^^\n"
	 "a.flow:2:3: note: this is the value of the block\n"
	 "  2 |   Notify(x)\n"
	 "    |   ^^^^^^^^^\n"
	 "    = hint: a block ends with its value; give a name to what comes before: a = \342\200\246\n"},
	{"let",
	 "workflow W(x: X) -> Y {\n"
	 "  let a = Hotel(x);\n"
	 "  return a\n"
	 "}\n",
	 "a.flow:2:3: error: a binding needs no word before it\n"
	 "  2 |   let a = Hotel(x);\n"
	 "    |   ^^^\n"
	 "    = hint: write name = \342\200\246\n"
	 "\n"
	 "a.flow:2:19: error: nothing is ended or separated by \";\"\n"
	 "  2 |   let a = Hotel(x);\n"
	 "    |                   ^\n"
	 "    = hint: leave it out\n"},
	{"if_and_while",
	 "workflow W(x: X) -> Y {\n"
	 "  if (x) { Hotel(x) }\n"
	 "  while x { Car(x) }\n"
	 "  a = $\n"
	 "  a\n"
	 "}\n",
	 "a.flow:2:3: error: there is no \"if\"\n"
	 "  2 |   if (x) { Hotel(x) }\n"
	 "    |   ^^\n"
	 "    = hint: let a process decide, and take its answer apart: case Check(x) { true -> \342\200\246  false -> \342\200\246 }\n"
	 "\n"
	 "a.flow:3:3: error: there is no \"while\"\n"
	 "  3 |   while x { Car(x) }\n"
	 "    |   ^^^^^\n"
	 "    = hint: let a workflow call itself from an arm of a case\n"
	 "\n"
	 "a.flow:4:7: error: the character \"$\" has no meaning here\n"
	 "  4 |   a = $\n"
	 "    |       ^\n"},
	{"assignment_and_double_arrow",
	 "workflow W(x: X) -> Y {\n"
	 "  a := Hotel(x)\n"
	 "  case a { red => a }\n"
	 "}\n",
	 "a.flow:2:5: error: a value is bound with =\n"
	 "  2 |   a := Hotel(x)\n"
	 "    |     ^^\n"
	 "    = hint: write = instead of :=\n"
	 "\n"
	 "a.flow:3:16: error: an arrow is written ->\n"
	 "  3 |   case a { red => a }\n"
	 "    |                ^^\n"
	 "    = hint: write -> instead of =>\n"},
	{"comments_and_strings_of_other_languages",
	 "workflow W(x: X) -> Y {\n"
	 "  // a comment\n"
	 "  Hotel('x')\n"
	 "}\n",
	 "a.flow:2:3: error: comments begin with #\n"
	 "  2 |   // a comment\n"
	 "    |   ^^\n"
	 "    = hint: write # instead of //\n"
	 "\n"
	 "a.flow:3:9: error: strings stand in double quotes\n"
	 "  3 |   Hotel('x')\n"
	 "    |         ^^^\n"
	 "    = hint: write \"\342\200\246\"\n"},
	{"arithmetic",
	 "workflow W(x: X) -> Y {\n"
	 "  a = Hotel(x + 1)\n"
	 "  b = Car(x-1)\n"
	 "  a * b\n"
	 "}\n",
	 "a.flow:2:15: error: expected \",\" or \")\", found \"+\"\n"
	 "  2 |   a = Hotel(x + 1)\n"
	 "    |               ^\n"
	 "    = hint: there is no arithmetic: let a process compute it\n"
	 "\n"
	 "a.flow:3:12: error: there is no arithmetic\n"
	 "  3 |   b = Car(x-1)\n"
	 "    |            ^^\n"
	 "    = hint: workflows only coordinate: let a process compute it\n"
	 "\n"
	 "a.flow:4:5: error: expected \"}\" after the value of the block, found \"*\"\n"
	 "  4 |   a * b\n"
	 "    |     ^\n"
	 "a.flow:4:3: note: this is the value of the block\n"
	 "  4 |   a * b\n"
	 "    |   ^\n"
	 "    = hint: there is no arithmetic: let a process compute it\n"},
	{"comparison",
	 "workflow W(x: X) -> Y {\n"
	 "  a = x == 1\n"
	 "  b = x < 1\n"
	 "  a\n"
	 "}\n",
	 "a.flow:2:9: error: there is no comparison\n"
	 "  2 |   a = x == 1\n"
	 "    |         ^^\n"
	 "    = hint: let a process compare, and take its answer apart with case\n"
	 "\n"
	 "a.flow:3:9: error: there is no comparison\n"
	 "  3 |   b = x < 1\n"
	 "    |         ^\n"
	 "    = hint: let a process compare, and take its answer apart with case\n"},
	{"left_side_that_is_no_pattern",
	 "workflow W(x: X) -> Y {\n"
	 "  x.a = Hotel(x)\n"
	 "  x\n"
	 "}\n",
	 "a.flow:2:7: error: only a name, _ or a pair of them can be bound\n"
	 "  2 |   x.a = Hotel(x)\n"
	 "    |       ^\n"
	 "a.flow:2:3: note: this is an expression\n"
	 "  2 |   x.a = Hotel(x)\n"
	 "    |   ^^^\n"},
	{"wildcard_as_value",
	 "workflow W(x: X) -> Y {\n"
	 "  Hotel(_)\n"
	 "}\n",
	 "a.flow:2:9: error: \"_\" is no value: it only says that one is not wanted\n"
	 "  2 |   Hotel(_)\n"
	 "    |         ^\n"},
	{"commas_between_bindings",
	 "workflow W(x: X) -> Y {\n"
	 "  a = Hotel(x),\n"
	 "  b = Car(a),\n"
	 "  b\n"
	 "}\n",
	 "a.flow:2:15: error: bindings are not separated by commas\n"
	 "  2 |   a = Hotel(x),\n"
	 "    |               ^\n"
	 "    = hint: leave it out; a record is written {key: value}\n"
	 "\n"
	 "a.flow:3:13: error: bindings are not separated by commas\n"
	 "  3 |   b = Car(a),\n"
	 "    |             ^\n"
	 "    = hint: leave it out; a record is written {key: value}\n"},
	{"colon_and_equal_confused",
	 "workflow W(x: X) -> Y {\n"
	 "  a = Hotel(o = x)\n"
	 "  {a: a, b = x}\n"
	 "}\n"
	 "job j {\n"
	 "  a: 1\n"
	 "  b = {c = 2}\n"
	 "}\n",
	 "a.flow:2:15: error: expected \":\", found \"=\"\n"
	 "  2 |   a = Hotel(o = x)\n"
	 "    |               ^\n"
	 "    = hint: an argument is named with a colon: name: value\n"
	 "\n"
	 "a.flow:3:12: error: expected \":\", found \"=\"\n"
	 "  3 |   {a: a, b = x}\n"
	 "    |            ^\n"
	 "    = hint: the members of a record are written key: value\n"
	 "\n"
	 "a.flow:6:4: error: expected \"=\", found \":\"\n"
	 "  6 |   a: 1\n"
	 "    |    ^\n"
	 "    = hint: a setting is written name = value\n"
	 "\n"
	 "a.flow:7:10: error: expected \":\", found \"=\"\n"
	 "  7 |   b = {c = 2}\n"
	 "    |          ^\n"
	 "    = hint: between braces a value is written {key: value}\n"},
	{"positional_after_named",
	 "workflow W(x: X) -> Y {\n"
	 "  Hotel(o: x, x)\n"
	 "}\n",
	 "a.flow:2:15: error: an argument without a name follows one with a name\n"
	 "  2 |   Hotel(o: x, x)\n"
	 "    |               ^\n"
	 "    = hint: put those without a name first, or name this one, too\n"},
	{"missing_comma",
	 "workflow W(x: X) -> Y {\n"
	 "  Hotel(x [x x] x)\n"
	 "}\n",
	 "a.flow:2:11: error: expected \",\" or \")\", found \"[\"\n"
	 "  2 |   Hotel(x [x x] x)\n"
	 "    |           ^\n"
	 "\n"
	 "a.flow:2:14: error: expected \",\" or \"]\", found \"x\"\n"
	 "  2 |   Hotel(x [x x] x)\n"
	 "    |              ^\n"
	 "\n"
	 "a.flow:2:17: error: expected \",\" or \")\", found \"x\"\n"
	 "  2 |   Hotel(x [x x] x)\n"
	 "    |                 ^\n"},
	{"case_with_commas_and_capitals",
	 "workflow W(x: X) -> Y {\n"
	 "  case x {\n"
	 "    Red -> x,\n"
	 "    else -> x\n"
	 "  }\n"
	 "}\n",
	 "a.flow:3:5: error: a label begins with a small letter\n"
	 "  3 |     Red -> x,\n"
	 "    |     ^^^\n"
	 "    = hint: write \"red\"\n"
	 "\n"
	 "a.flow:3:13: error: arms are not separated by commas\n"
	 "  3 |     Red -> x,\n"
	 "    |             ^\n"
	 "    = hint: leave it out\n"
	 "\n"
	 "a.flow:4:5: error: the arm for all other labels begins with _\n"
	 "  4 |     else -> x\n"
	 "    |     ^^^^\n"
	 "    = hint: write _ -> \342\200\246\n"},
	{"arm_without_arrow",
	 "workflow W(x: X) -> Y {\n"
	 "  case x {\n"
	 "    red x\n"
	 "    green y -> $\n"
	 "    blue z, x\n"
	 "  }\n"
	 "}\n",
	 "a.flow:3:9: error: expected a name for what the label carries, or \"->\", found \"x\"\n"
	 "  3 |     red x\n"
	 "    |         ^\n"
	 "\n"
	 "a.flow:4:16: error: the character \"$\" has no meaning here\n"
	 "  4 |     green y -> $\n"
	 "    |                ^\n"
	 "\n"
	 "a.flow:5:10: error: expected a name for what the label carries, or \"->\", found \"z\"\n"
	 "  5 |     blue z, x\n"
	 "    |          ^\n"},
	{"empty_case_and_race",
	 "workflow W(x: X) -> Y {\n"
	 "  a = case x {}\n"
	 "  race {}\n"
	 "}\n",
	 "a.flow:2:15: error: expected an arm: label -> expression, found \"}\"\n"
	 "  2 |   a = case x {}\n"
	 "    |               ^\n"
	 "\n"
	 "a.flow:3:9: error: expected an arm: name = expression -> expression, found \"}\"\n"
	 "  3 |   race {}\n"
	 "    |         ^\n"},
	{"race_arm_without_arrow",
	 "workflow W(x: X) -> Y {\n"
	 "  race {\n"
	 "    a = Hotel(x)\n"
	 "    sleep(1s) -> x\n"
	 "  }\n"
	 "}\n",
	 "a.flow:4:5: error: expected \"->\" and what follows when this comes first, found \"sleep\"\n"
	 "  4 |     sleep(1s) -> x\n"
	 "    |     ^^^^^\n"},
	{"else_without_try",
	 "workflow W(x: X) -> Y {\n"
	 "  Hotel(x) else f -> x\n"
	 "}\n",
	 "a.flow:2:12: error: expected \"}\" after the value of the block, found \"else\"\n"
	 "  2 |   Hotel(x) else f -> x\n"
	 "    |            ^^^^\n"
	 "a.flow:2:3: note: this is the value of the block\n"
	 "  2 |   Hotel(x) else f -> x\n"
	 "    |   ^^^^^^^^\n"
	 "    = hint: else belongs to a try: try \342\200\246 else failure -> \342\200\246\n"},
	{"else_without_name",
	 "workflow W(x: X) -> Y {\n"
	 "  try Hotel(x) else { x }\n"
	 "}\n",
	 "a.flow:2:21: error: expected a name for the failure, found \"{\"\n"
	 "  2 |   try Hotel(x) else { x }\n"
	 "    |                     ^\n"
	 "    = hint: write else failure -> \342\200\246, or else _ -> \342\200\246\n"},
	{"undo_of_a_value",
	 "workflow W(x: X) -> Y {\n"
	 "  Hotel(x) undo Cancel(x)\n"
	 "}\n",
	 "a.flow:2:12: error: the value of a block cannot be undone: bind it to a name first\n"
	 "  2 |   Hotel(x) undo Cancel(x)\n"
	 "    |            ^^^^\n"},
	{"signal_with_computed_name",
	 "workflow W(x: X) -> Y {\n"
	 "  a = signal(x)\n"
	 "  sleep 30s\n"
	 "}\n",
	 "a.flow:2:14: error: expected the signal's name, found \"x\"\n"
	 "  2 |   a = signal(x)\n"
	 "    |              ^\n"
	 "    = hint: it is a string, written out: signal(\"paid\")\n"
	 "\n"
	 "a.flow:3:9: error: expected \"(\" and a duration: sleep(30s), found the duration 30s\n"
	 "  3 |   sleep 30s\n"
	 "    |         ^^^\n"},
	{"limit_that_is_no_number",
	 "workflow W(x: X) -> Y {\n"
	 "  a = each p in x limit n { p }\n"
	 "  b = each p in x limit 0 { p }\n"
	 "  c = each p in x limit 1.5 { p }\n"
	 "  d = each p in x limit 4294967296 { p }\n"
	 "  a\n"
	 "}\n",
	 "a.flow:2:25: error: expected how many run at once, found \"n\"\n"
	 "  2 |   a = each p in x limit n { p }\n"
	 "    |                         ^\n"
	 "\n"
	 "a.flow:3:25: error: expected how many run at once: a whole number from 1 to 4294967295\n"
	 "  3 |   b = each p in x limit 0 { p }\n"
	 "    |                         ^\n"
	 "\n"
	 "a.flow:4:25: error: expected how many run at once: a whole number from 1 to 4294967295\n"
	 "  4 |   c = each p in x limit 1.5 { p }\n"
	 "    |                         ^^^\n"
	 "\n"
	 "a.flow:5:25: error: expected how many run at once: a whole number from 1 to 4294967295\n"
	 "  5 |   d = each p in x limit 4294967296 { p }\n"
	 "    |                         ^^^^^^^^^^\n"},
	{"version_that_is_no_number",
	 "process P = Q@0 {}\n"
	 "process R = Q@new {}\n",
	 "a.flow:1:15: error: expected a version or \"latest\": a whole number from 1 to 4294967295\n"
	 "  1 | process P = Q@0 {}\n"
	 "    |               ^\n"
	 "\n"
	 "a.flow:2:15: error: expected a version or \"latest\", found \"new\"\n"
	 "  2 | process R = Q@new {}\n"
	 "    |               ^^^\n"},
	{"member_by_number",
	 "workflow W(x: X) -> Y {\n"
	 "  x.1\n"
	 "}\n",
	 "a.flow:2:5: error: expected a member's name, found the number 1\n"
	 "  2 |   x.1\n"
	 "    |     ^\n"
	 "    = hint: take a pair apart by binding it: (a, b) = \342\200\246\n"},
	{"twice_the_same_key",
	 "type T = {a: A, b: B, \"a\": C}\n"
	 "type U = red | green | red\n"
	 "workflow W(x: X) -> T {\n"
	 "  {a: x, a: x}\n"
	 "}\n"
	 "process P(x: X = {a: 1, \"\\u0061\": 2}) -> X\n",
	 "a.flow:1:23: error: this member stands here twice\n"
	 "  1 | type T = {a: A, b: B, \"a\": C}\n"
	 "    |                       ^^^\n"
	 "a.flow:1:11: note: it is here already\n"
	 "  1 | type T = {a: A, b: B, \"a\": C}\n"
	 "    |           ^\n"
	 "\n"
	 "a.flow:2:24: error: this label stands here twice\n"
	 "  2 | type U = red | green | red\n"
	 "    |                        ^^^\n"
	 "a.flow:2:10: note: it is here already\n"
	 "  2 | type U = red | green | red\n"
	 "    |          ^^^\n"
	 "\n"
	 "a.flow:4:10: error: this key stands here twice\n"
	 "  4 |   {a: x, a: x}\n"
	 "    |          ^\n"
	 "a.flow:4:4: note: it is here already\n"
	 "  4 |   {a: x, a: x}\n"
	 "    |    ^\n"
	 "\n"
	 "a.flow:6:25: error: this key stands here twice\n"
	 "  6 | process P(x: X = {a: 1, \"\\u0061\": 2}) -> X\n"
	 "    |                         ^^^^^^^^\n"
	 "a.flow:6:19: note: it is here already\n"
	 "  6 | process P(x: X = {a: 1, \"\\u0061\": 2}) -> X\n"
	 "    |                   ^\n"},
	{"type_slips",
	 "type A = Red | Green(B)\n"
	 "type C = (D, E)\n"
	 "type F = {}\n"
	 "type G = [A\n"
	 "type H = case\n",
	 "a.flow:1:10: error: a label begins with a small letter\n"
	 "  1 | type A = Red | Green(B)\n"
	 "    |          ^^^\n"
	 "    = hint: write \"red\"\n"
	 "\n"
	 "a.flow:1:16: error: a label begins with a small letter\n"
	 "  1 | type A = Red | Green(B)\n"
	 "    |                ^^^^^\n"
	 "    = hint: write \"green\"\n"
	 "\n"
	 "a.flow:2:12: error: expected \")\", found \",\"\n"
	 "  2 | type C = (D, E)\n"
	 "    |            ^\n"
	 "    = hint: a pair's type is written A * B\n"
	 "\n"
	 "a.flow:3:11: error: expected a member of the record, found \"}\"\n"
	 "  3 | type F = {}\n"
	 "    |           ^\n"
	 "    = hint: the type of nothing is ()\n"
	 "\n"
	 "a.flow:4:12: error: \"]\" is missing\n"
	 "  4 | type G = [A\n"
	 "    |            ^\n"
	 "a.flow:4:10: note: it would close this \"[\"\n"
	 "  4 | type G = [A\n"
	 "    |          ^\n"
	 "\n"
	 "a.flow:5:10: error: \"case\" is a reserved word; expected a label\n"
	 "  5 | type H = case\n"
	 "    |          ^^^^\n"
	 "    = hint: choose another name, \"case_\" for instance\n"},
	{"settings_with_commas",
	 "process P() -> X {\n"
	 "  timeout = 30s,\n"
	 "  retries = ,\n"
	 "  env = {PATH: \"/bin\"}\n"
	 "}\n",
	 "a.flow:2:16: error: settings are not separated by commas\n"
	 "  2 |   timeout = 30s,\n"
	 "    |                ^\n"
	 "    = hint: leave it out\n"
	 "\n"
	 "a.flow:3:13: error: expected a value, found \",\"\n"
	 "  3 |   retries = ,\n"
	 "    |             ^\n"
	 "\n"
	 "a.flow:4:10: error: a key begins with a small letter, or stands in quotes\n"
	 "  4 |   env = {PATH: \"/bin\"}\n"
	 "    |          ^^^^\n"
	 "    = hint: write \"PATH\" with the quotes\n"},
	{"bytes_without_quotes",
	 "job j {\n"
	 "  exec = [\"true\"]\n"
	 "  memory = 50MiB\n"
	 "}\n",
	 "a.flow:3:12: error: this is not a number\n"
	 "  3 |   memory = 50MiB\n"
	 "    |            ^^^^^\n"
	 "    = hint: an amount of bytes is written as text: \"512MiB\"\n"},
	{"bad_literals",
	 "job j {\n"
	 "  a = 12abc\n"
	 "  b = 30sec\n"
	 "  c = \"abc\n"
	 "  d = \"\\x \\ud800\"\n"
	 "  e = 007\n"
	 "}\n",
	 "a.flow:2:7: error: this is not a number\n"
	 "  2 |   a = 12abc\n"
	 "    |       ^^^^^\n"
	 "    = hint: a name does not begin with a digit, and nothing may touch a number from behind\n"
	 "\n"
	 "a.flow:3:7: error: this is not a duration\n"
	 "  3 |   b = 30sec\n"
	 "    |       ^^^^^\n"
	 "    = hint: a duration is a whole number and one of ms, s, m, h, d: 90s\n"
	 "\n"
	 "a.flow:4:7: error: this string is not closed\n"
	 "  4 |   c = \"abc\n"
	 "    |       ^^^^\n"
	 "    = hint: a string ends in its line with \"; a line break in it is written \\n\n"
	 "\n"
	 "a.flow:5:8: error: no such escape in a string\n"
	 "  5 |   d = \"\\x \\ud800\"\n"
	 "    |        ^^\n"
	 "    = hint: escapes are \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u with four hexadecimal digits\n"
	 "\n"
	 "a.flow:5:11: error: half of a surrogate pair stands alone\n"
	 "  5 |   d = \"\\x \\ud800\"\n"
	 "    |           ^^^^^^\n"
	 "    = hint: write the character itself, or both halves: \\ud83d\\ude00\n"
	 "\n"
	 "a.flow:6:7: error: a number has no leading zero\n"
	 "  6 |   e = 007\n"
	 "    |       ^^^\n"},
	{"unclosed_brace_of_the_last_workflow",
	 "workflow W(x: X) -> Y {\n"
	 "  case x {\n"
	 "    red -> x\n"
	 "  }\n"
	 "\n"
	 "# the end\n",
	 "a.flow:4:4: error: \"}\" is missing\n"
	 "  4 |   }\n"
	 "    |    ^\n"
	 "a.flow:1:23: note: it would close this \"{\"\n"
	 "  1 | workflow W(x: X) -> Y {\n"
	 "    |                       ^\n"},
	{"unclosed_brace_inside",
	 "workflow W(x: X) -> Y {\n"
	 "  a = case x {\n"
	 "    red -> x\n"
	 "  b = Hotel(a)\n"
	 "  b\n"
	 "}\n"
	 "workflow V(x: X) -> Y {\n"
	 "  $\n"
	 "}\n",
	 "a.flow:6:2: error: \"}\" is missing\n"
	 "  6 | }\n"
	 "    |  ^\n"
	 "a.flow:2:14: note: it would close this \"{\"\n"
	 "  2 |   a = case x {\n"
	 "    |              ^\n"
	 "\n"
	 "a.flow:8:3: error: the character \"$\" has no meaning here\n"
	 "  8 |   $\n"
	 "    |   ^\n"},
	{"unclosed_parenthesis",
	 "workflow W(x: X) -> Y {\n"
	 "  a = Hotel((x, x)\n"
	 "  b = Car([x)\n"
	 "  b\n"
	 "}\n",
	 "a.flow:2:19: error: \")\" is missing\n"
	 "  2 |   a = Hotel((x, x)\n"
	 "    |                   ^\n"
	 "a.flow:2:12: note: it would close this \"(\"\n"
	 "  2 |   a = Hotel((x, x)\n"
	 "    |            ^\n"
	 "\n"
	 "a.flow:3:13: error: \"]\" is missing\n"
	 "  3 |   b = Car([x)\n"
	 "    |             ^\n"
	 "a.flow:3:11: note: it would close this \"[\"\n"
	 "  3 |   b = Car([x)\n"
	 "    |           ^\n"},
	{"unclosed_parentheses_in_unclosed_ones",
	 "workflow W(x: X) -> Y {\n"
	 "  (a, (P(x:\n"
	 "  b = c\n"
	 "  (d[Q({\n"
	 "  a\n"
	 "}\n",
	 "a.flow:2:12: error: \")\" is missing\n"
	 "  2 |   (a, (P(x:\n"
	 "    |            ^\n"
	 "a.flow:2:9: note: it would close this \"(\"\n"
	 "  2 |   (a, (P(x:\n"
	 "    |         ^\n"
	 "\n"
	 "a.flow:3:3: error: expected \"}\" after the value of the block, found \"b\"\n"
	 "  3 |   b = c\n"
	 "    |   ^\n"
	 "a.flow:2:3: note: this is the value of the block\n"
	 "  2 |   (a, (P(x:\n"
	 "    |   ^^^^^^^^^\n"
	 "    = hint: a block ends with its value; give a name to what comes before: a = \342\200\246\n"
	 "\n"
	 "a.flow:4:5: error: expected \",\" or \")\", found \"[\"\n"
	 "  4 |   (d[Q({\n"
	 "    |     ^\n"
	 "\n"
	 "a.flow:6:2: error: \"}\" is missing\n"
	 "  6 | }\n"
	 "    |  ^\n"
	 "a.flow:4:8: note: it would close this \"{\"\n"
	 "  4 |   (d[Q({\n"
	 "    |        ^\n"},
	{"unclosed_parenthesis_in_a_type",
	 "type E = {a: [(signal(\"a\")] = {b}, c: (F [G}\n",
	 "a.flow:1:16: error: expected a type, found \"signal\"\n"
	 "  1 | type E = {a: [(signal(\"a\")] = {b}, c: (F [G}\n"
	 "    |                ^^^^^^\n"
	 "\n"
	 "a.flow:1:27: error: \")\" is missing\n"
	 "  1 | type E = {a: [(signal(\"a\")] = {b}, c: (F [G}\n"
	 "    |                           ^\n"
	 "a.flow:1:15: note: it would close this \"(\"\n"
	 "  1 | type E = {a: [(signal(\"a\")] = {b}, c: (F [G}\n"
	 "    |               ^\n"
	 "\n"
	 "a.flow:1:42: error: expected \")\", found \"[\"\n"
	 "  1 | type E = {a: [(signal(\"a\")] = {b}, c: (F [G}\n"
	 "    |                                          ^\n"
	 "\n"
	 "a.flow:1:44: error: \"]\" is missing\n"
	 "  1 | type E = {a: [(signal(\"a\")] = {b}, c: (F [G}\n"
	 "    |                                            ^\n"
	 "a.flow:1:42: note: it would close this \"[\"\n"
	 "  1 | type E = {a: [(signal(\"a\")] = {b}, c: (F [G}\n"
	 "    |                                          ^\n"},
	{"wrong_bracket",
	 "workflow W(x: X) -> Y {\n"
	 "  a = Hotel(x]\n"
	 "  b = Car(x])\n"
	 "  b\n"
	 "}\n",
	 "a.flow:2:14: error: this \"]\" does not close the \"(\"\n"
	 "  2 |   a = Hotel(x]\n"
	 "    |              ^\n"
	 "a.flow:2:12: note: which was opened here\n"
	 "  2 |   a = Hotel(x]\n"
	 "    |            ^\n"
	 "\n"
	 "a.flow:3:12: error: this \"]\" does not close the \"(\"\n"
	 "  3 |   b = Car(x])\n"
	 "    |            ^\n"
	 "a.flow:3:10: note: which was opened here\n"
	 "  3 |   b = Car(x])\n"
	 "    |          ^\n"},
	{"brace_too_many",
	 "workflow W(x: X) -> Y {\n"
	 "  x\n"
	 "}\n"
	 "}\n"
	 "type A = $\n",
	 "a.flow:4:1: error: \"}\" closes nothing\n"
	 "  4 | }\n"
	 "    | ^\n"
	 "\n"
	 "a.flow:5:10: error: the character \"$\" has no meaning here\n"
	 "  5 | type A = $\n"
	 "    |          ^\n"},
	{"missing_opening_brace",
	 "workflow W(x: X) -> Y\n"
	 "  x\n"
	 "}\n"
	 "type A = $\n",
	 "a.flow:2:3: error: expected \"{\" and the steps of the workflow, found \"x\"\n"
	 "  2 |   x\n"
	 "    |   ^\n"
	 "\n"
	 "a.flow:4:10: error: the character \"$\" has no meaning here\n"
	 "  4 | type A = $\n"
	 "    |          ^\n"},
	{"end_of_file",
	 "process P(x: X) ->",
	 "a.flow:1:19: error: expected a type, found the end of the file\n"
	 "  1 | process P(x: X) ->\n"
	 "    |                   ^\n"},
	{"next_declaration",
	 "type A =\n"
	 "type B =\n"
	 "process P\n"
	 "workflow W() -> X\n"
	 "job j\n",
	 "a.flow:1:9: error: expected a type, found the next declaration\n"
	 "  1 | type A =\n"
	 "    |         ^\n"
	 "\n"
	 "a.flow:2:9: error: expected a type, found the next declaration\n"
	 "  2 | type B =\n"
	 "    |         ^\n"
	 "\n"
	 "a.flow:3:10: error: expected \"(\" and parameters, found the next declaration\n"
	 "  3 | process P\n"
	 "    |          ^\n"
	 "\n"
	 "a.flow:5:1: error: expected \"{\" and the steps of the workflow, found \"job\"\n"
	 "  5 | job j\n"
	 "    | ^^^\n"
	 "\n"
	 "a.flow:5:6: error: expected \"{\" and the settings of the job, found the end of the file\n"
	 "  5 | job j\n"
	 "    |      ^\n"},
	{"several_errors_in_one_file",
	 "type A = $\n"
	 "workflow W(x: X, x) -> Y {\n"
	 "  a = Hotel(x,, y)\n"
	 "  b = Car(a\n"
	 "}\n"
	 "process P(x X) -> Y { timeout = }\n",
	 "a.flow:1:10: error: the character \"$\" has no meaning here\n"
	 "  1 | type A = $\n"
	 "    |          ^\n"
	 "\n"
	 "a.flow:2:19: error: expected \":\" and the parameter's type, found \")\"\n"
	 "  2 | workflow W(x: X, x) -> Y {\n"
	 "    |                   ^\n"
	 "\n"
	 "a.flow:3:15: error: expected an expression, found \",\"\n"
	 "  3 |   a = Hotel(x,, y)\n"
	 "    |               ^\n"
	 "\n"
	 "a.flow:5:1: error: \")\" is missing\n"
	 "  5 | }\n"
	 "    | ^\n"
	 "a.flow:4:10: note: it would close this \"(\"\n"
	 "  4 |   b = Car(a\n"
	 "    |          ^\n"
	 "\n"
	 "a.flow:6:13: error: expected \":\" and the parameter's type, found \"X\"\n"
	 "  6 | process P(x X) -> Y { timeout = }\n"
	 "    |             ^\n"
	 "\n"
	 "a.flow:6:33: error: expected a value, found \"}\"\n"
	 "  6 | process P(x X) -> Y { timeout = }\n"
	 "    |                                 ^\n"},
	{"tabs_and_wide_characters",
	 "workflow W(x: X) -> Y {\n"
	 "\ta = Hotel(\"\346\227\245\346\234\254\", \"e\314\201\", \303\244)\n"
	 "\ta\n"
	 "}\n",
	 "a.flow:2:24: error: names are made of A-Z, a-z, 0-9 and _\n"
	 "  2 |     a = Hotel(\"\346\227\245\346\234\254\", \"e\314\201\", \303\244)\n"
	 "    |                            ^\n"},
	{"values_without_names",
	 "workflow W(x: X) -> Y {\n"
	 "  Hotel(x)\n"
	 "  Car(x) after x\n"
	 "  Color.red\n"
	 "  (a, b) = x\n"
	 "  b c\n"
	 "}\n",
	 "a.flow:3:3: error: expected \"}\" after the value of the block, found \"Car\"\n"
	 "  3 |   Car(x) after x\n"
	 "    |   ^^^\n"
	 "a.flow:2:3: note: this is the value of the block\n"
	 "  2 |   Hotel(x)\n"
	 "    |   ^^^^^^^^\n"
	 "    = hint: a block ends with its value; give a name to what comes before: a = \342\200\246\n"
	 "\n"
	 "a.flow:4:3: error: expected \"}\" after the value of the block, found \"Color\"\n"
	 "  4 |   Color.red\n"
	 "    |   ^^^^^\n"
	 "a.flow:3:3: note: this is the value of the block\n"
	 "  3 |   Car(x) after x\n"
	 "    |   ^^^^^^^^^^^^^^\n"
	 "    = hint: a block ends with its value; give a name to what comes before: a = \342\200\246\n"
	 "\n"
	 "a.flow:5:3: error: expected \"}\" after the value of the block, found \"(\"\n"
	 "  5 |   (a, b) = x\n"
	 "    |   ^\n"
	 "a.flow:4:3: note: this is the value of the block\n"
	 "  4 |   Color.red\n"
	 "    |   ^^^^^^^^^\n"
	 "    = hint: a block ends with its value; give a name to what comes before: a = \342\200\246\n"
	 "\n"
	 "a.flow:6:5: error: expected \"}\" after the value of the block, found \"c\"\n"
	 "  6 |   b c\n"
	 "    |     ^\n"
	 "a.flow:6:3: note: this is the value of the block\n"
	 "  6 |   b c\n"
	 "    |   ^\n"
	 "    = hint: a block ends with its value; give a name to what comes before: a = \342\200\246\n"},
	{"carriage_returns",
	 "workflow W(x: X) -> Y {\r\n"
	 "  $\r\n"
	 "}\r\n",
	 "a.flow:2:3: error: the character \"$\" has no meaning here\n"
	 "  2 |   $\n"
	 "    |   ^\n"},
};

#endif
