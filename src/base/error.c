#include "base/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Cuts a text that vsnprintf truncated back to the end of a whole UTF-8 sequence. */
static void cut_at_character(char *text, size_t size)
{
	size_t end = size - 1;
	while (end > 0 && ((unsigned char)text[end - 1] & 0xC0) == 0x80)
		end--;
	if (end > 0 && ((unsigned char)text[end - 1] & 0x80) != 0)
		end--;
	text[end] = '\0';
}

int error_setv(struct error *error, int code, const char *format, va_list args)
{
	assert(code < 0);
	if (error == NULL)
		return code;
	error->code = code;
	int length = vsnprintf(error->text, sizeof error->text, format, args);
	if (length >= (int)sizeof error->text)
		cut_at_character(error->text, sizeof error->text);
	return code;
}

int error_set(struct error *error, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	error_setv(error, code, format, args);
	va_end(args);
	return code;
}

int error_prefix(struct error *error, const char *format, ...)
{
	char tail[ERROR_TEXT_SIZE];
	char head[ERROR_TEXT_SIZE];
	va_list args;
	if (error == NULL)
		return 0;
	memcpy(tail, error->text, sizeof tail);
	va_start(args, format);
	vsnprintf(head, sizeof head, format, args);
	va_end(args);
	return error_set(error, error->code, "%s: %s", head, tail);
}

const char *error_name(int code)
{
	static const char *const names[] = {
		"done",      "input/output error", "no space", "corrupt",    "busy",          "limit",
		"invalid",   "type",               "not found", "exists",     "conflict",      "not leader",
		"expired",   "version",            "timeout",   "closed",     "denied",        "unsupported",
		"compacted",
	};
	int index = -code;
	if (index < 0 || index >= (int)(sizeof names / sizeof names[0]))
		return "unknown error";
	return names[index];
}
