/* The inside of strings, numbers and durations. Private to src/lang. */
#ifndef CLUSTERD_LANG_LITERAL_H
#define CLUSTERD_LANG_LITERAL_H

#include "base/slice.h"

#include <stdint.h>

/* ctype.h depends on the locale. */
static inline bool literal_is_digit(char character)
{
	return character >= '0' && character <= '9';
}

static inline bool literal_is_letter(char character)
{
	return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
}

static inline bool literal_is_word(char character)
{
	return literal_is_letter(character) || literal_is_digit(character) || character == '_';
}

/* What is wrong with a literal, and where in it. */
struct literal_fault {
	const char *message;
	const char *hint;  /* may be NULL */
	size_t offset;
	size_t size;
};

/* Checks a string from `from` on (1: behind the quote) for the next fault. False: there is none up to its closing
 * quote. Only what stands before the quote is looked at. */
bool literal_string_fault(struct slice string, size_t from, struct literal_fault *ret_fault);

/* Digits without a leading zero: INT of the grammar. */
bool literal_is_int(struct slice text);
/* Exactly a JSON number. */
bool literal_is_number(struct slice text);
/* The size of the duration that `text` begins with; 0: it does not begin with one. */
size_t literal_duration_size(struct slice text);
/* Says what is wrong with a word that begins like a number but is neither a number nor a duration. */
void literal_number_fault(struct slice text, struct literal_fault *ret_fault);

#endif
