#include "lang/lexer.h"

#include "lang/literal.h"
#include "lang/parser.h"
#include "lang/utf8.h"

#include <assert.h>
#include <stdio.h>

#define ARITHMETIC_HINT "workflows only coordinate: let a process compute it"
#define COMPARISON_HINT "let a process compare, and take its answer apart with case"
#define DECISION_HINT "let a process decide, and take its answer apart with case"

static void begin_line(struct lexer *lexer, uint32_t offset)
{
	const char *text = lexer->source->text.data;
	uint32_t first = offset;
	while (first < lexer->end && (text[first] == ' ' || text[first] == '\t'))
		first++;
	lexer->line = offset;
	lexer->indent = first - offset;
}

void lexer_init(struct lexer *lexer, const struct source *source, uint32_t begin, uint32_t end,
                struct diagnostics *diagnostics)
{
	assert(begin <= end && end <= source->text.size && end <= SYNTAX_SOURCE_SIZE_MAX);
	*lexer = (struct lexer){source, diagnostics, begin, end, 0, 0};
	if (begin == 0 && end >= 3 && memcmp(source->text.data, "\xEF\xBB\xBF", 3) == 0)
		lexer->at = 3; /* a byte order mark is no part of the text */
	begin_line(lexer, lexer->at);
}

struct span token_span(const struct source *source, struct token token)
{
	return (struct span){source, token.offset, token.size};
}

struct slice token_text(const struct source *source, struct token token)
{
	return (struct slice){source->text.data + token.offset, token.size};
}

static void report(struct lexer *lexer, uint32_t offset, size_t size, const char *hint, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
static void report(struct lexer *lexer, uint32_t offset, size_t size, const char *hint, const char *format, ...)
{
	va_list args;
	if (lexer->diagnostics == NULL)
		return;
	if (size > lexer->end - offset)
		size = lexer->end - offset;
	va_start(args, format);
	struct diagnostic *diagnostic = diagnostics_addv(
		lexer->diagnostics, SEVERITY_ERROR, (struct span){lexer->source, offset, (uint32_t)size}, format, args);
	va_end(args);
	if (hint != NULL)
		diagnostics_hint(lexer->diagnostics, diagnostic, "%s", hint);
}

/* The byte `ahead` of where the lexer is; 0 behind the end. */
static char byte_at(const struct lexer *lexer, uint32_t ahead)
{
	return ahead < lexer->end - lexer->at ? lexer->source->text.data[lexer->at + ahead] : '\0';
}

static struct slice rest(const struct lexer *lexer)
{
	return (struct slice){lexer->source->text.data + lexer->at, lexer->end - lexer->at};
}

static bool rest_begins(const struct lexer *lexer, const char *with)
{
	size_t size = strlen(with);
	return lexer->end - lexer->at >= size && memcmp(rest(lexer).data, with, size) == 0;
}

static struct token token_make(struct lexer *lexer, enum token_kind kind, uint32_t size)
{
	struct token token = {
		.kind = kind,
		.offset = lexer->at,
		.size = size,
		.indent = lexer->indent,
		.begins_line = lexer->at == lexer->line + lexer->indent,
	};
	lexer->at += size;
	return token;
}

static bool is_refused_control(uint32_t character)
{
	return utf8_is_control(character) && character != '\t' && character != '\n' && character != '\r';
}

/* Bytes that are not UTF-8, or control characters: all in a row are one error. */
static bool skip_garbage(struct lexer *lexer)
{
	uint32_t begin = lexer->at;
	uint32_t character = 0;
	size_t size = utf8_decode(rest(lexer), &character);
	if (size == 0) {
		while (lexer->at < lexer->end && utf8_decode(rest(lexer), &character) == 0)
			lexer->at++;
		report(lexer, begin, lexer->at - begin, "sources are UTF-8 text", "this is not valid UTF-8");
		return true;
	}
	if (!is_refused_control(character))
		return false;
	report(lexer, begin, size, NULL, "the control character U+%04X cannot stand in a source", (unsigned)character);
	while (size != 0 && is_refused_control(character)) {
		lexer->at += (uint32_t)size;
		size = utf8_decode(rest(lexer), &character);
	}
	return true;
}

static void skip_comment(struct lexer *lexer)
{
	while (lexer->at < lexer->end && byte_at(lexer, 0) != '\n') {
		uint32_t character;
		if (!skip_garbage(lexer))
			lexer->at += (uint32_t)utf8_decode(rest(lexer), &character);
	}
}

/* Spaces that only look like one. */
static bool is_odd_space(uint32_t character)
{
	return character == 0xA0 || (character >= 0x2000 && character <= 0x200B) || character == 0x202F ||
	       character == 0x205F || character == 0x3000 || character == 0xFEFF;
}

static bool skip_odd_space(struct lexer *lexer)
{
	uint32_t character = 0;
	size_t size = utf8_decode(rest(lexer), &character);
	if (size == 0 || !is_odd_space(character))
		return false;
	report(lexer, lexer->at, size, "replace it by a plain space", "U+%04X looks like a space, but is none",
	       (unsigned)character);
	lexer->at += (uint32_t)size;
	return true;
}

/* Comments as other languages write them. */
static bool skip_foreign_comment(struct lexer *lexer)
{
	if (rest_begins(lexer, "//")) {
		report(lexer, lexer->at, 2, "write # instead of //", "comments begin with #");
		skip_comment(lexer);
		return true;
	}
	if (!rest_begins(lexer, "/*"))
		return false;
	report(lexer, lexer->at, 2, "begin each line of the comment with #", "comments begin with #");
	const char *end = memmem(rest(lexer).data, rest(lexer).size, "*/", 2);
	lexer->at = end != NULL ? (uint32_t)(end + 2 - lexer->source->text.data) : lexer->end;
	return true;
}

static void skip_space(struct lexer *lexer)
{
	while (lexer->at < lexer->end) {
		char byte = byte_at(lexer, 0);
		if (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r') {
			lexer->at++;
		} else if (byte == '#') {
			skip_comment(lexer);
		} else if (byte == ';') {
			report(lexer, lexer->at, 1, "leave it out", "nothing is ended or separated by \";\"");
			lexer->at++;
		} else if (!skip_foreign_comment(lexer) && !skip_garbage(lexer) && !skip_odd_space(lexer)) {
			return;
		}
	}
}

static struct token read_string(struct lexer *lexer)
{
	struct slice text = rest(lexer);
	struct literal_fault fault;
	size_t end = 1;
	while (end < text.size && text.data[end] != '"' && text.data[end] != '\n')
		end += text.data[end] == '\\' && end + 1 < text.size && text.data[end + 1] != '\n' ? 2 : 1;
	if (end >= text.size || text.data[end] != '"') {
		if (end > text.size)
			end = text.size;
		if (text.data[end - 1] == '\r')
			end--;
		report(lexer, lexer->at, end, "a string ends in its line with \"; a line break in it is written \\n",
		       "this string is not closed");
		return token_make(lexer, TOKEN_STRING, (uint32_t)end);
	}
	text.size = end + 1;
	for (size_t from = 1; literal_string_fault(text, from, &fault); from = fault.offset + fault.size)
		report(lexer, lexer->at + (uint32_t)fault.offset, fault.size, fault.hint, "%s", fault.message);
	return token_make(lexer, TOKEN_STRING, (uint32_t)text.size);
}

/* 'text' or `text`: given as the string it was meant to be. */
static struct token read_foreign_string(struct lexer *lexer)
{
	struct slice text = rest(lexer);
	size_t end = 1;
	while (end < text.size && text.data[end] != text.data[0] && text.data[end] != '\n')
		end++;
	bool closed = end < text.size && text.data[end] == text.data[0];
	report(lexer, lexer->at, closed ? end + 1 : 1, "write \"…\"", "strings stand in double quotes");
	return token_make(lexer, closed ? TOKEN_STRING : TOKEN_BAD, closed ? (uint32_t)end + 1 : 1);
}

/* A letter of another alphabet, as far as a lexer need know: no punctuation, arrow or sign. */
static size_t foreign_letter(struct slice text)
{
	uint32_t character = 0;
	size_t size = utf8_decode(text, &character);
	bool letter = size > 1 && character >= 0xAA && character != 0xAB && character != 0xB7 && character != 0xBB &&
	              character != 0xD7 && character != 0xF7 && !(character >= 0x2000 && character <= 0x2BFF) &&
	              !(character >= 0x3000 && character <= 0x303F) && !is_odd_space(character);
	return letter ? size : 0;
}

static enum token_kind reserved_kind(struct slice name)
{
	static const char *const words[] = {
		"case", "each", "in",   "race",  "try",  "else",  "fail", "undo",  "after",
		"with", "as",   "left", "right", "true", "false", "null", "sleep", "signal",
	};
	_Static_assert(sizeof words / sizeof words[0] == TOKEN_RESERVED_LAST - TOKEN_RESERVED_FIRST + 1, "one each");
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (slice_is(name, words[i]))
			return (enum token_kind)(TOKEN_RESERVED_FIRST + i);
	}
	return TOKEN_LOWER;
}

static struct token read_name(struct lexer *lexer)
{
	struct slice text = rest(lexer);
	size_t size = 0;
	bool plain = text.data[0] != '_';
	while (size < text.size) {
		bool word = literal_is_word(text.data[size]);
		size_t foreign = word ? 0 : foreign_letter((struct slice){text.data + size, text.size - size});
		if (!word && foreign == 0)
			break;
		plain = plain && foreign == 0;
		size += foreign == 0 ? 1 : foreign;
	}
	if (!plain && text.data[0] == '_')
		report(lexer, lexer->at, size, NULL, "a name begins with a letter; _ stands alone");
	else if (!plain)
		report(lexer, lexer->at, size, NULL, "names are made of A-Z, a-z, 0-9 and _");
	bool upper = text.data[0] >= 'A' && text.data[0] <= 'Z';
	enum token_kind kind = upper ? TOKEN_UPPER : reserved_kind((struct slice){text.data, size});
	return token_make(lexer, kind, (uint32_t)size);
}

static bool touches_operand(const struct lexer *lexer)
{
	char before = lexer->at > 0 ? lexer->source->text.data[lexer->at - 1] : '\0';
	return literal_is_word(before) || before == ')' || before == ']' || before == '}';
}

static struct token read_number(struct lexer *lexer)
{
	struct slice text = rest(lexer);
	size_t size = literal_duration_size(text);
	struct literal_fault fault;
	if (size != 0) {
		int64_t ms;
		if (parser_duration((struct slice){text.data, size}, &ms) != 0)
			report(lexer, lexer->at, size, NULL, "this duration is longer than the limit of %lld ms",
			       (long long)DURATION_MAX_MS);
		return token_make(lexer, TOKEN_DURATION, (uint32_t)size);
	}
	for (size = 1; size < text.size; size++) {
		char byte = text.data[size];
		bool exponent_sign = (byte == '+' || byte == '-') && (text.data[size - 1] | 0x20) == 'e' &&
		                     literal_is_digit(text.data[size - 2]);
		if (!literal_is_word(byte) && byte != '.' && !exponent_sign)
			break;
	}
	text.size = size;
	if (text.data[0] == '-' && touches_operand(lexer)) {
		report(lexer, lexer->at, size, ARITHMETIC_HINT, "there is no arithmetic");
		return token_make(lexer, TOKEN_BAD, (uint32_t)size);
	}
	if (!literal_is_number(text)) {
		literal_number_fault(text, &fault);
		report(lexer, lexer->at + (uint32_t)fault.offset, fault.size, fault.hint, "%s", fault.message);
	}
	return token_make(lexer, TOKEN_NUMBER, (uint32_t)size);
}

/* What people write out of habit, longest first, and what to do with it. */
static const struct slip {
	const char *text;
	enum token_kind kind;
	const char *message;
	const char *hint;
} slips[] = {
	{":=", TOKEN_EQUAL, "a value is bound with =", "write = instead of :="},
	{"<-", TOKEN_EQUAL, "a value is bound with =", "write = instead of <-"},
	{"=>", TOKEN_ARROW, "an arrow is written ->", "write -> instead of =>"},
	{"\xE2\x86\x92", TOKEN_ARROW, "an arrow is written ->", "write -> instead of \xE2\x86\x92"},
	{"::", TOKEN_COLON, "a type follows one colon", "write : instead of ::"},
	{"==", TOKEN_BAD, "there is no comparison", COMPARISON_HINT},
	{"!=", TOKEN_BAD, "there is no comparison", COMPARISON_HINT},
	{"<=", TOKEN_BAD, "there is no comparison", COMPARISON_HINT},
	{">=", TOKEN_BAD, "there is no comparison", COMPARISON_HINT},
	{"<", TOKEN_BAD, "there is no comparison", COMPARISON_HINT},
	{">", TOKEN_BAD, "there is no comparison", COMPARISON_HINT},
	{"&&", TOKEN_BAD, "there are no logical operators", DECISION_HINT},
	{"||", TOKEN_BAD, "there are no logical operators", DECISION_HINT},
	{"!", TOKEN_BAD, "there are no logical operators", DECISION_HINT},
	{"-", TOKEN_BAD, "there is no arithmetic", ARITHMETIC_HINT},
	{"/", TOKEN_BAD, "there is no arithmetic", ARITHMETIC_HINT},
	{"%", TOKEN_BAD, "there is no arithmetic", ARITHMETIC_HINT},
	{"^", TOKEN_BAD, "there is no arithmetic", ARITHMETIC_HINT},
	{"\xE2\x80\x9C", TOKEN_BAD, "strings stand in plain double quotes", "write \" instead of \xE2\x80\x9C"},
	{"\xE2\x80\x9D", TOKEN_BAD, "strings stand in plain double quotes", "write \" instead of \xE2\x80\x9D"},
	{"?", TOKEN_BAD, "there are no optional values", "give a default with =, or say so with a type: A + ()"},
};

static const struct mark {
	char text;
	enum token_kind kind;
} marks[] = {
	{'{', TOKEN_BRACE_OPEN},   {'}', TOKEN_BRACE_CLOSE},   {'(', TOKEN_PAREN_OPEN}, {')', TOKEN_PAREN_CLOSE},
	{'[', TOKEN_BRACKET_OPEN}, {']', TOKEN_BRACKET_CLOSE}, {',', TOKEN_COMMA},      {':', TOKEN_COLON},
	{'=', TOKEN_EQUAL},        {'|', TOKEN_BAR},           {'+', TOKEN_PLUS},       {'*', TOKEN_STAR},
	{'.', TOKEN_DOT},          {'@', TOKEN_AT},            {'_', TOKEN_ANY},
};

static struct token read_mark(struct lexer *lexer)
{
	if (rest_begins(lexer, "->"))
		return token_make(lexer, TOKEN_ARROW, 2);
	for (size_t i = 0; i < sizeof slips / sizeof slips[0]; i++) {
		if (!rest_begins(lexer, slips[i].text))
			continue;
		bool in_name = slips[i].text[0] == '-' && touches_operand(lexer) &&
		               literal_is_letter(byte_at(lexer, 1));
		report(lexer, lexer->at, strlen(slips[i].text),
		       in_name ? "a name has no \"-\": write _ instead" : slips[i].hint, "%s", slips[i].message);
		return token_make(lexer, slips[i].kind, (uint32_t)strlen(slips[i].text));
	}
	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
		if (byte_at(lexer, 0) == marks[i].text)
			return token_make(lexer, marks[i].kind, 1);
	}
	uint32_t character = 0;
	size_t size = utf8_decode(rest(lexer), &character);
	assert(size != 0);
	report(lexer, lexer->at, size, NULL, "the character \"%.*s\" has no meaning here", (int)size, rest(lexer).data);
	return token_make(lexer, TOKEN_BAD, (uint32_t)size);
}

static struct token read_token(struct lexer *lexer)
{
	if (lexer->at == lexer->end)
		return token_make(lexer, TOKEN_END, 0);

	char byte = byte_at(lexer, 0);
	char next = byte_at(lexer, 1);
	if (byte == '"')
		return read_string(lexer);
	if (byte == '\'' || byte == '`')
		return read_foreign_string(lexer);
	if (literal_is_digit(byte) || (byte == '-' && literal_is_digit(next)))
		return read_number(lexer);
	if (literal_is_letter(byte) || (byte == '_' && literal_is_word(next)) || foreign_letter(rest(lexer)) != 0)
		return read_name(lexer);
	return read_mark(lexer);
}

struct token lexer_next(struct lexer *lexer)
{
	size_t errors = lexer->diagnostics != NULL ? lexer->diagnostics->error_count : 0;
	uint32_t skipped = lexer->at;
	skip_space(lexer);
	const char *text = lexer->source->text.data;
	const char *newline = lexer->at > skipped ? memrchr(text + skipped, '\n', lexer->at - skipped) : NULL;
	if (newline != NULL)
		begin_line(lexer, (uint32_t)(newline + 1 - text));
	struct token token = read_token(lexer);
	token.faulty = lexer->diagnostics != NULL && lexer->diagnostics->error_count != errors;
	return token;
}

#define DESCRIBED_TEXT_MAX 40 /* fits, with what stands around it */

const char *token_describe(const struct source *source, struct token token, char description[TOKEN_DESCRIPTION_SIZE])
{
	struct slice text = token_text(source, token);
	bool fits = text.size <= DESCRIBED_TEXT_MAX;
	int size = fits ? (int)text.size : DESCRIBED_TEXT_MAX;
	const char *more = fits ? "" : "...";
	switch (token.kind) {
	case TOKEN_END:
		snprintf(description, TOKEN_DESCRIPTION_SIZE, "the end of the file");
		break;
	case TOKEN_STRING:
		snprintf(description, TOKEN_DESCRIPTION_SIZE, "a string");
		break;
	case TOKEN_NUMBER:
	case TOKEN_DURATION:
		snprintf(description, TOKEN_DESCRIPTION_SIZE, "the %s %.*s%s",
		         token.kind == TOKEN_NUMBER ? "number" : "duration", size, text.data, more);
		break;
	default:
		snprintf(description, TOKEN_DESCRIPTION_SIZE, "\"%.*s%s\"", size, text.data, more);
		break;
	}
	return description;
}
