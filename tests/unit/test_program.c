#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "workflow/definition.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A program of arrays that tests may damage:
 *   block 0: Copy(x; a, b)  WithIn(b; left p → 1, _ → 2)  ParIn(a; d, e)  Discard(d)  Discard(e)
 *   block 1: Select(out, left, p)     block 2: Out(out, 1) */
enum { X, OUT, A, B, P, D, E, CHANNELS };

struct sample {
	struct term terms[7];
	uint32_t operands[10];
	struct term_block blocks[3];
	struct slice names[2];
	struct text *constants[1];
	struct program program;
};

static void sample_init(struct sample *sample)
{
	*sample = (struct sample){
		.terms =
			{
				{TERM_COPY, X, 0, 0, 2},
				{TERM_CASE, B, 0, 2, 6},
				{TERM_PAIR_IN, A, 0, 8, 2},
				{TERM_DISCARD, D, 0, 0, 0},
				{TERM_DISCARD, E, 0, 0, 0},
				{TERM_SELECT, OUT, 0, 0, 1},
				{TERM_CONSTANT, OUT, 0, 0, 0},
			},
		.operands = {A, B, 0, P, 1, TERM_ANY_LABEL, TERM_NO_CHANNEL, 2, D, E},
		.blocks = {{0, 5}, {5, 1}, {6, 1}},
		.names = {SLICE("left"), SLICE("odd key")},
	};
	/* The payload, not the first operand of the copy. */
	sample->terms[5].first = 3;
	sample->constants[0] = text_create(SLICE("1"));
	sample->program = (struct program){
		.name = SLICE("Sample"),
		.param_count = 1,
		.channel_count = CHANNELS,
		.terms = sample->terms,
		.term_count = 7,
		.operands = sample->operands,
		.operand_count = 10,
		.blocks = sample->blocks,
		.block_count = 3,
		.names = sample->names,
		.name_count = 2,
		.constants = sample->constants,
		.constant_count = 1,
	};
}

static void sample_finish(struct sample *sample)
{
	text_release(sample->constants[0]);
}

static void assert_printed(const struct program *program, const char *expected)
{
	struct buffer out = BUFFER_EMPTY;
	program_print(program, &out);
	assert_string_equal(buffer_string(&out), expected);
	buffer_finish(&out);
}

static void prints_blocks_indented(void **state)
{
	(void)state;
	struct sample sample;
	sample_init(&sample);
	program_verify(&sample.program);
	assert_printed(&sample.program, "Sample(c0; out)\n"
	                                "  Copy(c0; c2, c3)\n"
	                                "  WithIn(c3;\n"
	                                "    left c4 →\n"
	                                "      Select(out, left, c4),\n"
	                                "    _ →\n"
	                                "      Out(out, 1))\n"
	                                "  ParIn(c2; c5, c6)\n"
	                                "  Discard(c5)\n"
	                                "  Discard(c6)\n");
	sample_finish(&sample);
}

static void same_name_twice_is_told_apart(void **state)
{
	(void)state;
	struct sample sample;
	struct slice names[CHANNELS] = {SLICE("x"), {NULL, 0},  SLICE("x"),   SLICE("x"),
	                                SLICE("c5"), {NULL, 0}, SLICE("out")};
	sample_init(&sample);
	sample.program.channel_names = names;
	sample.names[0] = sample.names[1];
	assert_printed(&sample.program, "Sample(x; out)\n"
	                                "  Copy(x; x.1, x.2)\n"
	                                "  WithIn(x.2;\n"
	                                "    \"odd key\" c5' →\n"
	                                "      Select(out, \"odd key\", c5'),\n"
	                                "    _ →\n"
	                                "      Out(out, 1))\n"
	                                "  ParIn(x.1; c5, out')\n"
	                                "  Discard(c5)\n"
	                                "  Discard(out')\n");
	sample_finish(&sample);
}

/* Every other kind of term in one program. */
static void prints_every_term(void **state)
{
	(void)state;
	struct definition callee = {.name = SLICE("P"), .version = 3};
	const struct definition *callees[] = {&callee};
	uint32_t body_operands[] = {2};
	struct term body_terms[] = {{TERM_ID, 0, 0, 0, 1}, {TERM_DISCARD, 1, 0, 0, 0}};
	struct term_block body_blocks[] = {{0, 2}};
	struct program body = {.name = SLICE("W/each1"), .param_count = 2, .channel_count = 3, .terms = body_terms,
	                       .term_count = 2, .operands = body_operands, .operand_count = 1, .blocks = body_blocks,
	                       .block_count = 1};
	struct program *bodies[] = {&body};
	struct slice names[] = {SLICE("k"), SLICE("go \"on\"")};
	uint32_t operands[] = {4, 5, 0, 6, 3, 7, 1, 8, 9, 0, 9, 0, 10, 10, 2, 11, 11, 5, 12};
	struct term terms[] = {
		{TERM_CALL, 4, 0, 0, 0},       {TERM_CALL, 5, 0, 0, 1},          {TERM_MEMBER, 0, 0, 3, 1},
		{TERM_EACH, 6, 0, 12, 3},      {TERM_SIGNAL, 7, 1, 0, 0},        {TERM_SIGNAL, 8, 1, 5, 1},
		{TERM_SLEEP, 9, 0, 7, 1},      {TERM_AFTER, 9, 0, 6, 1},         {TERM_RECORD_OUT, 11, 0, 9, 0},
		{TERM_LIST_OUT, 12, 0, 15, 1}, {TERM_PAIR_OUT, 3, 0, 17, 2},
	};
	struct term_block blocks[] = {{0, 10}, {10, 1}};
	struct program program = {.name = SLICE("W"), .param_count = 3, .channel_count = 13, .terms = terms,
	                          .term_count = 11, .operands = operands, .operand_count = 19, .blocks = blocks,
	                          .block_count = 2, .names = names, .name_count = 2, .callees = callees,
	                          .callee_count = 1, .bodies = bodies, .body_count = 1};
	terms[3].first = 13;
	terms[3].count = 3;
	operands[13] = 10;
	operands[14] = 2;
	operands[15] = 1;
	struct buffer out = BUFFER_EMPTY;
	program_print(&program, &out);
	assert_string_equal(buffer_string(&out), "W(c0, c1, c2; out)\n"
	                                         "  Call(P@3; c4)\n"
	                                         "  Call(P@3, c4; c5)\n"
	                                         "  Member(c0, k; c6)\n"
	                                         "  Each(c6, W/each1, c1; c10; 2)\n"
	                                         "  Signal(\"go \\\"on\\\"\"; c7)\n"
	                                         "  Signal(\"go \\\"on\\\"\", c7; c8)\n"
	                                         "  Sleep(c8; c9)\n"
	                                         "  After(c9;\n"
	                                         "    ParOut(out; c5, c12))\n"
	                                         "  RecOut(c11)\n"
	                                         "  ListOut(c12; c1)\n"
	                                         "\n"
	                                         "W/each1(c0, c1; out)\n"
	                                         "  Id(c0, out)\n"
	                                         "  Discard(c1)\n");
	program_verify(&body);
	buffer_finish(&out);
}

/* Whether program_verify ends the process. */
static bool verify_aborts(const struct program *program)
{
	int status = 0;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit none = {0, 0};
		int null = open("/dev/null", O_WRONLY);
		dup2(null, STDERR_FILENO);
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		program_verify(program);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void whole_program_is_verified(void **state)
{
	(void)state;
	struct sample sample;
	sample_init(&sample);
	assert_false(verify_aborts(&sample.program));
	sample_finish(&sample);
}

static void damage_is_found(void **state)
{
	(void)state;
	enum { KIND, SUBJECT, INDEX, FIRST, COUNT, OPERAND, BLOCK, CHANNEL_COUNT };
	static const struct {
		const char *what;
		int field;
		uint32_t at;
		uint32_t value;
	} damages[] = {
		{"a channel out of range", SUBJECT, 3, CHANNELS},
		{"a channel read twice", SUBJECT, 4, D},
		{"a channel written twice", OPERAND, 0, D},
		{"a channel that is never read", KIND, 3, TERM_CONSTANT},
		{"an output that one branch does not write", SUBJECT, 6, A},
		{"a payload that is not read in its branch", KIND, 6, TERM_DISCARD},
		{"a name out of range", INDEX, 5, 2},
		{"a constant out of range", INDEX, 6, 1},
		{"operands out of range", FIRST, 2, 9},
		{"a copy to one", COUNT, 0, 1},
		{"a branch that is cut off", COUNT, 1, 5},
		{"a block twice", OPERAND, 4, 2},
		{"a block out of range", OPERAND, 7, 3},
		{"a label twice", OPERAND, 5, 0},
		{"terms in two blocks", BLOCK, 1, 4},
		{"a channel that nothing uses", CHANNEL_COUNT, 0, CHANNELS + 1},
	};
	for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
		struct sample sample;
		sample_init(&sample);
		struct term *term = &sample.terms[damages[i].at];
		switch (damages[i].field) {
		case KIND: term->kind = (enum term_kind)damages[i].value; break;
		case SUBJECT: term->subject = damages[i].value; break;
		case INDEX: term->index = damages[i].value; break;
		case FIRST: term->first = damages[i].value; break;
		case COUNT: term->count = damages[i].value; break;
		case OPERAND: sample.operands[damages[i].at] = damages[i].value; break;
		case BLOCK: sample.blocks[damages[i].at].first = damages[i].value; break;
		default: sample.program.channel_count = damages[i].value;
		}
		if (!verify_aborts(&sample.program))
			fail_msg("%s was not found", damages[i].what);
		sample_finish(&sample);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_blocks_indented),     cmocka_unit_test(same_name_twice_is_told_apart),
		cmocka_unit_test(prints_every_term),          cmocka_unit_test(whole_program_is_verified),
		cmocka_unit_test(damage_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
