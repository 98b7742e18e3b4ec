/* file: declarations, and the door */
#include "lang/parser.h"

#include "base/memory.h"
#include "lang/parse.h"

#include <assert.h>

/* --- declarations --- */

static bool parse_param(struct parser *p, void *context)
{
	bool *defaults = context;
	struct syntax_param param = {0};
	uint32_t first = p->at;
	if (!parse_name(p, TOKEN_LOWER, "a parameter's name", &param.name) ||
	    !parse_expect_sign(p, TOKEN_COLON, "\":\" and the parameter's type", "a parameter is written name: Type"))
		return false;
	param.type = parse_type(p);
	if (param.type == NULL)
		return false;
	if (parse_accept(p, TOKEN_EQUAL)) {
		param.default_value = parse_const(p);
		if (param.default_value == NULL)
			return false;
		*defaults = true;
	} else if (*defaults) {
		struct diagnostic *diagnostic =
			parse_error(p, first, "a parameter without a default follows one with a default");
		diagnostics_hint(p->diagnostics, diagnostic, "put those with a default last");
	}
	param.span = parse_span(p, first);
	buffer_append(&p->scratch, &param, sizeof param);
	return true;
}

/* params "->" type. False: what is wrong is reported, and the next token may still be the body. */
static bool parse_signature(struct parser *p, struct syntax_declaration *declaration)
{
	bool defaults = false;
	size_t mark = p->scratch.size;
	struct scope scope;
	if (!parse_open(p, TOKEN_PAREN_OPEN, "\"(\" and parameters", &scope) || !parse_enter(p))
		return false;
	parse_items(p, &scope, parse_param, &defaults);
	parse_leave(p);
	declaration->params = parse_collect(p, mark, sizeof *declaration->params, &declaration->param_count);
	if (!parse_accept(p, TOKEN_ARROW)) {
		enum token_kind found = parse_kind(p, 0);
		struct diagnostic *diagnostic = parse_unexpected(p, "\"->\" and the type of the result");
		if (found == TOKEN_COLON) {
			diagnostics_hint(p->diagnostics, diagnostic, "write -> instead of :");
			p->at++;
		} else if (found != TOKEN_UPPER && found != TOKEN_PAREN_OPEN && found != TOKEN_BRACKET_OPEN) {
			return false;
		}
	}
	declaration->result = parse_type(p);
	return declaration->result != NULL;
}

static bool parse_type_declaration(struct parser *p, struct syntax_declaration *declaration)
{
	declaration->kind = SYNTAX_TYPE;
	if (!parse_name(p, TOKEN_UPPER, "a type's name", &declaration->name) ||
	    !parse_expect_sign(p, TOKEN_EQUAL, "\"=\" and a type", "a type is declared with =: type Name = …"))
		return false;
	declaration->type = parse_type_definition(p);
	return declaration->type != NULL;
}

static bool parse_process(struct parser *p, struct syntax_declaration *declaration)
{
	declaration->kind = SYNTAX_PROCESS;
	if (!parse_name(p, TOKEN_UPPER, "a process's name", &declaration->name))
		return false;
	if (parse_accept(p, TOKEN_EQUAL)) {
		declaration->kind = SYNTAX_VARIANT;
		if (!parse_ref(p, &declaration->base))
			return false;
		declaration->settings = parse_settings(p, "\"{\" and the settings of the variant");
		return declaration->settings != NULL;
	}
	bool good = parse_signature(p, declaration);
	if (parse_kind(p, 0) != TOKEN_BRACE_OPEN)
		return good;
	declaration->settings = parse_settings(p, "settings");
	return good && declaration->settings != NULL;
}

static bool parse_workflow(struct parser *p, struct syntax_declaration *declaration)
{
	declaration->kind = SYNTAX_WORKFLOW;
	if (!parse_name(p, TOKEN_UPPER, "a workflow's name", &declaration->name))
		return false;
	bool good = parse_signature(p, declaration);
	if (!good && parse_kind(p, 0) != TOKEN_BRACE_OPEN)
		return false;
	if (parse_kind(p, 0) == TOKEN_EQUAL && parse_kind(p, 1) == TOKEN_BRACE_OPEN) {
		struct diagnostic *diagnostic = parse_unexpected(p, "\"{\" and the steps of the workflow");
		diagnostics_hint(p->diagnostics, diagnostic, "leave the = out");
		p->at++;
	}
	declaration->body = parse_block(p, "\"{\" and the steps of the workflow");
	return good && declaration->body != NULL;
}

static bool parse_job(struct parser *p, struct syntax_declaration *declaration)
{
	enum token_kind kind = parse_kind(p, 0) == TOKEN_UPPER ? TOKEN_UPPER : TOKEN_LOWER;
	declaration->kind = SYNTAX_JOB;
	if (!parse_name(p, kind, "a job's name", &declaration->name))
		return false;
	declaration->settings = parse_settings(p, "\"{\" and the settings of the job");
	return declaration->settings != NULL;
}

static const struct keyword {
	const char *word;
	bool (*parse)(struct parser *p, struct syntax_declaration *declaration);
} keywords[] = {
	{"type", parse_type_declaration},
	{"process", parse_process},
	{"workflow", parse_workflow},
	{"job", parse_job},
};

#define KEYWORD_COUNT (sizeof keywords / sizeof keywords[0])

static const struct keyword *keyword_at(const struct parser *p, uint32_t index)
{
	for (size_t i = 0; i < KEYWORD_COUNT && p->tokens[index].kind == TOKEN_LOWER; i++) {
		if (slice_is(parse_token_text(p, index), keywords[i].word))
			return &keywords[i];
	}
	return NULL;
}

/* --- between declarations --- */

#define NEAR_WORD_SIZE 16

/* Levenshtein's distance of two short words. */
static size_t word_distance(struct slice left, struct slice right)
{
	size_t row[NEAR_WORD_SIZE + 1];
	for (size_t j = 0; j <= right.size; j++)
		row[j] = j;
	for (size_t i = 0; i < left.size; i++) {
		size_t diagonal = row[0];
		row[0] = i + 1;
		for (size_t j = 0; j < right.size; j++) {
			size_t change = diagonal + (left.data[i] != right.data[j]);
			size_t shift = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
			diagonal = row[j + 1];
			row[j + 1] = change < shift ? change : shift;
		}
	}
	return row[right.size];
}

static void report_no_declaration(struct parser *p)
{
	bool word = parse_kind(p, 0) == TOKEN_LOWER;
	struct slice text = word ? parse_token_text(p, p->at) : (struct slice){"", 0};
	struct diagnostic *diagnostic = parse_unexpected(p, "\"type\", \"process\", \"workflow\" or \"job\"");
	for (size_t i = 0; i < KEYWORD_COUNT && text.size <= NEAR_WORD_SIZE && text.size > 2; i++) {
		struct slice keyword = slice_of(keywords[i].word);
		if (word_distance(text, keyword) <= keyword.size / 3)
			diagnostics_hint(p->diagnostics, diagnostic, "did you mean \"%s\"?", keywords[i].word);
	}
	if (slice_is(text, "import") || slice_is(text, "include"))
		diagnostics_hint(p->diagnostics, diagnostic,
		                 "files that are registered together see each other's names");
}

/* To the next keyword at the beginning of a line that is not in brackets. */
static void skip_to_keyword(struct parser *p, uint32_t start)
{
	uint32_t i = start;
	while (i < p->end) {
		if (i >= p->at && i > start && keyword_at(p, i) != NULL && p->tokens[i].begins_line)
			break;
		i = bracket_opens(p->tokens[i].kind) && p->tokens[i].match > i ? p->tokens[i].match : i + 1;
	}
	p->at = i;
}

static bool any_faulty(const struct parser *p, uint32_t first, uint32_t last)
{
	bool faulty = false;
	for (uint32_t i = first; i < last; i++)
		faulty = faulty || p->tokens[i].faulty;
	return faulty;
}

/* What stands up to p->end: a declaration, and behind it perhaps others that do not begin as they should. */
static void parse_segment(struct parser *p)
{
	uint32_t end = p->end;
	bool end_faulty = p->end_faulty;
	while (p->at < end) {
		uint32_t first = p->at;
		const struct keyword *keyword = keyword_at(p, first);
		p->failed = false;
		p->hopeless = false;
		p->depth = 0;
		p->deepest = 0;
		if (keyword == NULL) {
			report_no_declaration(p);
			skip_to_keyword(p, first);
			continue;
		}
		struct syntax_declaration declaration = {0};
		p->at++;
		bool good = keyword->parse(p, &declaration);
		p->end = end; /* in what is nested too deep scopes are not closed */
		p->end_faulty = p->end_faulty && end_faulty;
		if (!good)
			skip_to_keyword(p, first);
		declaration.span = parse_span(p, first);
		declaration.broken = !good || p->failed || any_faulty(p, first, p->at);
		buffer_append(&p->scratch, &declaration, sizeof declaration);
		assert(p->depth == 0);
	}
}

/* A declaration begins here; outside of brackets certainly. Inside such words stand side by side only where a name like
 * `process` ends a binding and a call follows. */
static bool starts_declaration(const struct parser *p, uint32_t index)
{
	const struct keyword *keyword = keyword_at(p, index);
	if (keyword == NULL || index + 2 >= p->count)
		return false;
	enum token_kind next = p->tokens[index + 1].kind;
	enum token_kind third = p->tokens[index + 2].kind;
	if (next == TOKEN_UPPER)
		return true;
	if (next != TOKEN_LOWER || keyword->parse == parse_type_declaration)
		return false;
	return third == (keyword->parse == parse_job ? TOKEN_BRACE_OPEN : TOKEN_PAREN_OPEN);
}

/* Each bracket has its partner, as far as counting tells. */
static bool brackets_balance(const struct parser *p)
{
	int64_t open[TOKEN_ANY + 1] = {0};
	bool balanced = true;
	for (uint32_t i = 0; i < p->count && balanced; i++) {
		enum token_kind kind = p->tokens[i].kind;
		if (bracket_opens(kind))
			open[kind]++;
		else if (bracket_closes(kind))
			balanced = --open[kind - 1] >= 0;
	}
	return balanced && open[TOKEN_BRACE_OPEN] == 0 && open[TOKEN_PAREN_OPEN] == 0 && open[TOKEN_BRACKET_OPEN] == 0;
}

/* The end of the segment that begins at `first`. Inside brackets, only at the beginning of a line, and only when one of
 * the file's brackets lacks its partner. */
static uint32_t segment_end(const struct parser *p, uint32_t first, bool balanced)
{
	int64_t depth = 0;
	uint32_t i = first;
	for (; i < p->count; i++) {
		bool outside = depth <= 0 || (!balanced && p->tokens[i].begins_line);
		if (i > first && outside && starts_declaration(p, i))
			break;
		depth += bracket_opens(p->tokens[i].kind) - bracket_closes(p->tokens[i].kind);
	}
	return i;
}

static void begin_segment(struct parser *p, uint32_t end)
{
	bool reported;
	p->end = end;
	p->end_faulty = false;
	p->quiet = UINT32_MAX;
	uint32_t quiet = brackets_match(p->source, p->tokens, p->at, end, p->diagnostics, &reported);
	if (reported) {
		p->quiet = quiet;
		p->end_faulty = true;
	}
}

static void parse_file(struct parser *p, struct syntax_file *file)
{
	bool balanced = brackets_balance(p);
	while (p->at < p->count) {
		begin_segment(p, segment_end(p, p->at, balanced));
		parse_segment(p);
	}
	file->source = p->source;
	file->declarations = parse_collect(p, 0, sizeof *file->declarations, &file->declaration_count);
}

/* --- the door --- */

static void parser_init(struct parser *p, const struct source *source, struct arena *arena,
                        struct diagnostics *diagnostics)
{
	size_t capacity = 0;
	size_t count = 0;
	struct lexer lexer;
	*p = (struct parser){.source = source, .arena = arena, .diagnostics = diagnostics};
	lexer_init(&lexer, source, 0, (uint32_t)source->text.size, diagnostics);
	do {
		mem_grow(p->tokens, capacity, count + 1);
		p->tokens[count] = lexer_next(&lexer);
	} while (p->tokens[count++].kind != TOKEN_END);
	p->count = (uint32_t)count - 1;
}

static void parser_finish(struct parser *p)
{
	buffer_finish(&p->scratch);
	mem_free(p->tokens);
}

static int check_size(const struct source *source, struct error *error)
{
	if (source->text.size <= SYNTAX_SOURCE_SIZE_MAX)
		return 0;
	return error_set(error, ERR_LIMIT, "%.*s has %zu bytes, more than the limit of %u bytes",
	                 SLICE_ARGS(source->path), source->text.size, SYNTAX_SOURCE_SIZE_MAX);
}

static int result_of(const struct diagnostics *diagnostics, size_t errors_before, struct error *error)
{
	size_t errors = diagnostics->error_count - errors_before;
	if (errors == 0)
		return 0;
	return error_set(error, ERR_INVALID, "%zu syntax error%s", errors, errors == 1 ? "" : "s");
}

int parser_parse(const struct source *sources, size_t source_count, struct syntax *ret_syntax,
                 struct diagnostics *diagnostics, struct error *error)
{
	size_t errors_before = diagnostics->error_count;
	for (size_t i = 0; i < source_count; i++) {
		int result = check_size(&sources[i], error);
		if (result < 0)
			return result;
	}
	*ret_syntax = (struct syntax){.file_count = source_count};
	ret_syntax->files = arena_alloc(&ret_syntax->arena, source_count * sizeof *ret_syntax->files);
	for (size_t i = 0; i < source_count; i++) {
		struct parser p;
		parser_init(&p, &sources[i], &ret_syntax->arena, diagnostics);
		parse_file(&p, &ret_syntax->files[i]);
		parser_finish(&p);
	}
	return result_of(diagnostics, errors_before, error);
}

int parser_parse_settings(const struct source *source, struct arena *arena, struct syntax_settings *ret_settings,
                          struct diagnostics *diagnostics, struct error *error)
{
	struct parser p;
	struct syntax_settings settings = {0};
	size_t errors_before = diagnostics->error_count;
	int result = check_size(source, error);
	if (result < 0)
		return result;
	parser_init(&p, source, arena, diagnostics);
	begin_segment(&p, p.count);
	parse_settings_entries(&p, p.count, &settings);
	settings.span = (struct span){source, 0, (uint32_t)source->text.size};
	parser_finish(&p);
	result = result_of(diagnostics, errors_before, error);
	if (result == 0)
		*ret_settings = settings;
	return result;
}

bool parser_is_name(struct slice text)
{
	struct source source = {.text = text};
	struct lexer lexer;
	if (text.size > SYNTAX_SOURCE_SIZE_MAX)
		return false;
	lexer_init(&lexer, &source, 0, (uint32_t)text.size, NULL);
	struct token token = lexer_next(&lexer);
	return token.kind == TOKEN_LOWER && token.offset == 0 && token.size == text.size;
}

void parser_visit_tokens(struct span span, void (*visit)(struct slice token, void *context), void *context)
{
	struct lexer lexer;
	lexer_init(&lexer, span.source, span.offset, span.offset + span.size, NULL);
	for (struct token token = lexer_next(&lexer); token.kind != TOKEN_END; token = lexer_next(&lexer))
		visit(token_text(span.source, token), context);
}
