#include "sim/linear_internal.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Histories as text. */

#define WORDS_MAX 12

struct form {
	const char *name;
	enum linear_kind kind;
	size_t least, most; /* words before the "=", the key included */
};

static const struct form forms[] = {
	{"get", LINEAR_GET, 1, 1},       {"put", LINEAR_PUT, 2, 2},   {"cas", LINEAR_CAS, 3, 3},
	{"delete", LINEAR_DELETE, 1, 2}, {"lock", LINEAR_LOCK, 1, 1}, {"unlock", LINEAR_UNLOCK, 2, 2},
	{"expire", LINEAR_EXPIRE, 2, 2},
};

static const struct form *form_named(const char *name)
{
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if (strcmp(forms[i].name, name) == 0)
			return &forms[i];
	}
	return NULL;
}

/* --- to text ------------------------------------------------------------------------------------------------------- */

static void print_result(const struct linear_operation *operation, struct buffer *out)
{
	switch (operation->result) {
	case LINEAR_UNKNOWN:
		buffer_append_string(out, "?");
		return;
	case LINEAR_NONE:
		buffer_append_string(out, "none");
		return;
	case LINEAR_CONFLICT:
		buffer_append_string(out, operation->kind == LINEAR_LOCK ? "held" : "conflict");
		return;
	case LINEAR_DONE:
		buffer_append_string(out, "done");
		return;
	case LINEAR_OK:
		break;
	}
	if (operation->kind == LINEAR_GET)
		buffer_format(out, "%s %" PRIu64, operation->value, operation->version);
	else if (operation->kind == LINEAR_DELETE || operation->kind == LINEAR_UNLOCK)
		buffer_append_string(out, "ok");
	else
		buffer_format(out, "%" PRIu64, operation->version);
}

void linear_print_operation(const struct linear_operation *operation, struct buffer *out)
{
	buffer_format(out, "%" PRIu64 " %" PRId64 " ", operation->client, operation->invoked);
	if (operation->returned == LINEAR_NEVER)
		buffer_append_string(out, "-");
	else
		buffer_format(out, "%" PRId64, operation->returned);
	buffer_format(out, " %s %s", forms[operation->kind].name, operation->key);
	bool expects = operation->kind == LINEAR_CAS || operation->kind == LINEAR_UNLOCK || operation->kind == LINEAR_EXPIRE ||
	               (operation->kind == LINEAR_DELETE && operation->expected != 0);
	if (expects)
		buffer_format(out, " %" PRIu64, operation->expected);
	if (operation->kind == LINEAR_PUT || operation->kind == LINEAR_CAS)
		buffer_format(out, " %s", operation->value);
	buffer_append_string(out, " = ");
	print_result(operation, out);
}

void linear_print(const struct linear_history *history, struct buffer *out)
{
	for (size_t i = 0; i < history->count; i++) {
		if (history->records[i].forgotten)
			continue;
		linear_print_operation(&history->records[i].operation, out);
		buffer_append_char(out, '\n');
	}
}

/* --- from text ----------------------------------------------------------------------------------------------------- */

static bool take_number(const char *word, uint64_t *ret)
{
	char *end;
	if (word[0] < '0' || word[0] > '9')
		return false;
	*ret = strtoull(word, &end, 10);
	return *end == '\0';
}

static bool take_time(const char *word, int64_t *ret)
{
	char *end;
	if (strcmp(word, "-") == 0) {
		*ret = LINEAR_NEVER;
		return true;
	}
	*ret = strtoll(word, &end, 10);
	return end != word && *end == '\0';
}

/* The words after the "=". */
static bool take_result(struct linear_operation *operation, char **words, size_t count)
{
	static const struct {
		const char *name;
		enum linear_result result;
		unsigned int kinds;
	} results[] = {
		{"?", LINEAR_UNKNOWN, ~0u},
		{"none", LINEAR_NONE, 1u << LINEAR_GET | 1u << LINEAR_DELETE | 1u << LINEAR_UNLOCK},
		{"ok", LINEAR_OK, 1u << LINEAR_DELETE | 1u << LINEAR_UNLOCK},
		{"done", LINEAR_DONE, 1u << LINEAR_DELETE | 1u << LINEAR_UNLOCK},
		{"conflict", LINEAR_CONFLICT, 1u << LINEAR_CAS | 1u << LINEAR_DELETE},
		{"held", LINEAR_CONFLICT, 1u << LINEAR_LOCK},
	};
	for (size_t i = 0; i < sizeof results / sizeof results[0] && count == 1; i++) {
		if (strcmp(results[i].name, words[0]) == 0 && (results[i].kinds & 1u << operation->kind) != 0) {
			operation->result = results[i].result;
			return true;
		}
	}
	operation->result = LINEAR_OK;
	if (operation->kind == LINEAR_GET) {
		operation->value = words[0];
		return count == 2 && take_number(words[1], &operation->version);
	}
	return count == 1 && operation->kind != LINEAR_DELETE && operation->kind != LINEAR_UNLOCK &&
	       operation->kind != LINEAR_EXPIRE && take_number(words[0], &operation->version);
}

static bool take_words(struct linear_operation *operation, char **words, size_t count)
{
	size_t equals = 4;
	while (equals < count && strcmp(words[equals], "=") != 0)
		equals++;
	const struct form *form = count > 4 ? form_named(words[3]) : NULL;
	if (form == NULL || equals + 1 >= count || equals - 4 < form->least || equals - 4 > form->most)
		return false;
	*operation = (struct linear_operation){.kind = form->kind, .key = words[4]};
	if (!take_number(words[0], &operation->client) || !take_time(words[1], &operation->invoked) ||
	    !take_time(words[2], &operation->returned) || operation->invoked == LINEAR_NEVER)
		return false;
	if (form->kind == LINEAR_PUT)
		operation->value = words[5];
	else if (form->kind == LINEAR_CAS)
		operation->value = words[6];
	if (form->kind != LINEAR_PUT && equals > 5 && !take_number(words[5], &operation->expected))
		return false;
	return take_result(operation, words + equals + 1, count - equals - 1) &&
	       (operation->result == LINEAR_UNKNOWN) == (operation->returned == LINEAR_NEVER) &&
	       operation->returned >= operation->invoked;
}

static size_t split(char *line, char **words)
{
	size_t count = 0;
	char *rest = line;
	for (char *word = strtok_r(line, " \t\r", &rest); word != NULL && count < WORDS_MAX; word = strtok_r(NULL, " \t\r", &rest)) {
		if (word[0] == '#')
			break;
		words[count++] = word;
	}
	return count;
}

int linear_parse(struct linear_history *history, struct slice text, struct error *error)
{
	size_t number = 0;
	while (text.size > 0) {
		const char *end = memchr(text.data, '\n', text.size);
		size_t size = end != NULL ? (size_t)(end - text.data) : text.size;
		char *line = mem_alloc(size + 1);
		char *words[WORDS_MAX];
		struct linear_operation operation;
		memcpy(line, text.data, size);
		line[size] = '\0';
		number++;
		size_t count = split(line, words);
		bool good = count == 0 || take_words(&operation, words, count);
		if (good && count > 0)
			linear_add(history, &operation);
		mem_free(line);
		if (!good)
			return error_set(error, ERR_INVALID, "line %zu is no operation: \"%.*s\"", number, (int)size, text.data);
		size += end != NULL;
		text = (struct slice){text.data + size, text.size - size};
	}
	return 0;
}
