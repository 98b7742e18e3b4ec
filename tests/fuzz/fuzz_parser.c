/* Any bytes as a source and as a configuration file: no crash, no leak, spans within the text, and a tree whose
 * declarations have the same tokens as the text they span. */
#include "../unit/syntax_print.h"
#include "lang/parser.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count_token(struct slice token, void *context)
{
	assert(token.size > 0);
	(*(size_t *)context)++;
}

static void check_span(struct span span)
{
	assert(span.source == NULL || (span.offset <= span.source->text.size &&
	                               span.size <= span.source->text.size - span.offset));
}

static void check_tree(const struct syntax *syntax, bool whole, struct buffer *out)
{
	for (uint32_t i = 0; i < syntax->files[0].declaration_count; i++) {
		const struct syntax_declaration *declaration = &syntax->files[0].declarations[i];
		size_t count = 0;
		check_span(declaration->span);
		check_span(declaration->name.span);
		parser_visit_tokens(declaration->span, count_token, &count);
		assert(count >= 2 || declaration->broken);
		assert(!whole || !declaration->broken);
		if (whole)
			print_declaration(out, declaration); /* walks through all of it */
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source source = {SLICE("fuzz.flow"), {(const char *)data, size}, 0};
	struct diagnostics diagnostics = {0};
	struct syntax syntax = {0};
	struct syntax_settings settings = {0};
	struct arena arena = {0};
	struct buffer out = BUFFER_EMPTY;
	struct error error = {0};

	int result = parser_parse(&source, 1, &syntax, &diagnostics, &error);
	assert(result != 0 || diagnostics.error_count == 0);
	assert(result != ERR_INVALID || diagnostics.error_count > 0);
	if (result != ERR_LIMIT)
		check_tree(&syntax, result == 0, &out);
	parser_parse_settings(&source, &arena, &settings, &diagnostics, &error);
	for (size_t i = 0; i < diagnostics.count; i++) {
		check_span(diagnostics.entries[i]->span);
		check_span(diagnostics.entries[i]->note_span);
	}
	diagnostics_render(&diagnostics, &out);

	buffer_finish(&out);
	arena_finish(&arena);
	syntax_finish(&syntax);
	diagnostics_finish(&diagnostics);
	return 0;
}
