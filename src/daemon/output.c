#include "daemon/output.h"

#include "base/json.h"
#include "base/utf8.h"

#include <string.h>

static int check_text(struct slice text, struct error *error)
{
	const char *end = text.data + text.size;
	for (const char *at = text.data; at < end;) {
		size_t length = *at != '\0' ? utf8_length(at, end) : 0;
		if (length == 0)
			return error_set(error, ERR_INVALID, "stdout is not text: byte %zu is 0x%02x, which is not UTF-8%s",
			                 (size_t)(at - text.data), (unsigned char)*at, *at == '\0' ? " text" : "");
		at += length;
	}
	return 0;
}

static struct slice without_last_newline(struct slice text)
{
	text.size -= text.size > 0 && text.data[text.size - 1] == '\n';
	return text;
}

static void quote_lines(struct slice text, struct buffer *out)
{
	const char *at = text.data;
	const char *end = text.data + text.size;
	buffer_append_char(out, '[');
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *line_end = newline != NULL ? newline : end;
		if (at != text.data)
			buffer_append_char(out, ',');
		json_quote(out, (struct slice){at, (size_t)(line_end - at)});
		at = newline != NULL ? newline + 1 : end;
	}
	buffer_append_char(out, ']');
}

static int json_value(struct slice printed, struct slice *ret_value, struct error *error)
{
	int result;
	if (printed.size == 0)
		return error_set(error, ERR_INVALID, "nothing was printed on stdout, where one JSON value is due");
	result = json_check(printed, error);
	if (result != 0) {
		error_prefix(error, "stdout is not one JSON value");
		return result;
	}
	*ret_value = json_trim(printed);
	return 0;
}

int output_value(enum stdout_form form, struct slice printed, struct buffer *scratch, struct slice *ret_value,
                 struct error *error)
{
	int result;
	if (form == STDOUT_JSON)
		return json_value(printed, ret_value, error);
	if (form == STDOUT_NONE) {
		*ret_value = SLICE("null");
		return 0;
	}
	result = check_text(printed, error);
	if (result != 0)
		return result;
	buffer_clear(scratch);
	if (form == STDOUT_TEXT)
		json_quote(scratch, without_last_newline(printed));
	else
		quote_lines(printed, scratch);
	*ret_value = buffer_slice(scratch);
	return 0;
}

void output_plain(struct buffer *out, struct slice bytes)
{
	struct buffer quoted = BUFFER_EMPTY;
	json_quote(&quoted, bytes); /* replaces what is not text */
	json_unquote(out, buffer_slice(&quoted));
	buffer_finish(&quoted);
}

void output_size(struct buffer *out, uint64_t bytes)
{
	if (bytes != 0 && bytes % (1 << 20) == 0)
		buffer_format(out, "%llu MiB", (unsigned long long)bytes >> 20);
	else if (bytes != 0 && bytes % (1 << 10) == 0)
		buffer_format(out, "%llu KiB", (unsigned long long)bytes >> 10);
	else
		buffer_format(out, "%llu bytes", (unsigned long long)bytes);
}

static void append_signal(struct buffer *out, int number)
{
	const char *name = sigabbrev_np(number);
	if (name != NULL)
		buffer_format(out, "ended by SIG%s", name);
	else
		buffer_format(out, "ended by signal %d", number);
}

/* Without white space around it, and without the part of a character at which it was cut off. */
static struct slice tidy(struct slice text)
{
	while (text.size > 0 && (strchr(" \n\r\t", text.data[0]) != NULL || ((unsigned char)text.data[0] & 0xC0) == 0x80))
		text = (struct slice){text.data + 1, text.size - 1};
	while (text.size > 0 && text.data[text.size - 1] != '\0' && strchr(" \n\r\t", text.data[text.size - 1]) != NULL)
		text.size--;
	return text;
}

void output_exit(struct buffer *out, const struct child_exit *how, struct slice complaints)
{
	complaints = tidy(complaints);
	if (how->not_started) {
		output_plain(out, slice_of(how->text));
		return;
	}
	if (how->signal != 0)
		append_signal(out, how->signal);
	else
		buffer_format(out, "exit code %d", how->code);
	if (how->text[0] != '\0')
		buffer_format(out, " (%s)", how->text);
	if (complaints.size > 0) {
		buffer_append_string(out, ": ");
		output_plain(out, complaints);
	}
}
