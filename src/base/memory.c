#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *memory, size_t size)
{
	if (memory == NULL && size != 0) {
		fprintf(stderr, "out of memory (wanted %zu bytes)\n", size);
		abort();
	}
	return memory;
}

void *mem_alloc(size_t size)
{
	return checked(malloc(size), size);
}

void *mem_zero(size_t size)
{
	return checked(calloc(1, size), size);
}

void *mem_array(size_t count, size_t size)
{
	return checked(calloc(count, size), count != 0 ? size : 0);
}

void *mem_resize(void *memory, size_t size)
{
	return checked(realloc(memory, size), size);
}

void *mem_copy(const void *from, size_t size)
{
	void *memory = mem_alloc(size);
	if (size != 0)
		memcpy(memory, from, size);
	return memory;
}

char *mem_string(const char *string)
{
	return string != NULL ? mem_copy(string, strlen(string) + 1) : NULL;
}

char *mem_format(const char *format, ...)
{
	va_list args;
	va_list again;
	va_start(args, format);
	va_copy(again, args);
	int length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	char *string = mem_alloc((size_t)length + 1);
	vsnprintf(string, (size_t)length + 1, format, again);
	va_end(again);
	return string;
}

void mem_free(void *memory)
{
	free(memory);
}

size_t mem_grown_(size_t capacity, size_t needed)
{
	size_t grown = capacity < 8 ? 8 : capacity;
	while (grown < needed)
		grown = grown > SIZE_MAX / 2 ? needed : grown * 2;
	return grown;
}
