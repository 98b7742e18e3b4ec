#include "base/text.h"

#include "base/memory.h"

#include <assert.h>

struct text *text_create(struct slice slice)
{
	assert(slice.size < UINT32_MAX);
	struct text *text = mem_alloc(sizeof *text + slice.size + 1);
	text->references = 1;
	text->size = (uint32_t)slice.size;
	if (slice.size != 0)
		memcpy(text->data, slice.data, slice.size);
	text->data[slice.size] = '\0';
	return text;
}

struct text *text_hold(struct text *text)
{
	if (text != NULL)
		text->references++;
	return text;
}

void text_release(struct text *text)
{
	if (text == NULL)
		return;
	assert(text->references > 0);
	if (--text->references == 0)
		mem_free(text);
}
