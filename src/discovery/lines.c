#include "discovery/lines.h"

#include <stdio.h>

static struct slice trimmed(struct slice line)
{
	const char *comment = memchr(line.data, '#', line.size);
	if (comment != NULL)
		line.size = (size_t)(comment - line.data);
	while (line.size > 0 && strchr(" \t\r", line.data[line.size - 1]) != NULL && line.data[line.size - 1] != '\0')
		line.size--;
	while (line.size > 0 && (*line.data == ' ' || *line.data == '\t')) {
		line.data++;
		line.size--;
	}
	return line;
}

static int read_line(struct slice line, size_t number, struct places *places, struct error *error)
{
	char text[ADDRESS_TEXT_SIZE];
	struct address address;
	if (line.size == 0)
		return 0;
	int length = snprintf(text, sizeof text, "%.*s", SLICE_ARGS(line));
	if ((size_t)length != line.size || (size_t)length >= sizeof text || !address_parse(text, &address))
		return error_set(error, ERR_INVALID,
		                 "line %zu is \"%.*s\", not IP:PORT (for a name, there is --join dns:NAME:PORT)", number,
		                 line.size < 60 ? (int)line.size : 60, line.data);
	places_add(places, &address, SLICE(""), false);
	return 0;
}

int lines_read(struct slice text, struct places *ret_places, struct error *error)
{
	struct places places = {0};
	size_t number = 0;
	int code = 0;
	while (text.size > 0 && code == 0) {
		const char *end = memchr(text.data, '\n', text.size);
		size_t size = end != NULL ? (size_t)(end - text.data) : text.size;
		code = read_line(trimmed((struct slice){text.data, size}), ++number, &places, error);
		size += end != NULL;
		text = (struct slice){text.data + size, text.size - size};
	}
	if (code == 0)
		*ret_places = places;
	return code;
}
