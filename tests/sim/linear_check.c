#include "sim/linear.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* linear-check: says whether a history of operations is linearizable. */

static const char usage[] =
	"usage: linear-check FILE\n"
	"\n"
	"Reads a history (\"-\": from standard input), an operation on each line:\n"
	"\n"
	"  CLIENT INVOKED RETURNED OPERATION\n"
	"  0 10 15 put a v1 = 7                 7 is the version it got\n"
	"  1 12 -  put a v2 = ?                 no answer came: it may have happened at any time\n"
	"  1 20 22 get a = v1 7                 or none\n"
	"  2 30 35 cas a 7 v3 = 9               or conflict; version 0: of what is not there\n"
	"  2 36 37 delete a 9 = ok              or none, conflict, done; without a version: any\n"
	"  3 50 51 lock l = 12                  or held\n"
	"  3 60 61 unlock l 12 = ok             or none, done\n"
	"  3 70 -  expire l 12 = ?              from now on it may go to somebody else\n"
	"\n"
	"Exit code 0: it is linearizable. 1: it is not, and why. 2: wrong usage, or the file cannot be read. 3: undecided.\n";

static int read_all(FILE *file, struct buffer *out)
{
	size_t got;
	do {
		got = fread(buffer_reserve(out, 65536), 1, 65536, file);
		out->size += got;
	} while (got > 0);
	return ferror(file) ? -1 : 0;
}

int main(int count, char **words)
{
	struct linear_history *history = linear_create();
	struct buffer text = BUFFER_EMPTY;
	struct buffer explanation = BUFFER_EMPTY;
	struct error error = {0};
	int code = 0;
	if (count != 2 || strcmp(words[1], "--help") == 0) {
		fputs(usage, count == 2 ? stdout : stderr);
		linear_destroy(history);
		return count == 2 ? 0 : 2;
	}
	FILE *file = strcmp(words[1], "-") == 0 ? stdin : fopen(words[1], "re");
	if (file == NULL || read_all(file, &text) != 0) {
		fprintf(stderr, "linear-check: %s: %s\n", words[1], strerror(errno));
		code = 2;
	} else if (linear_parse(history, buffer_slice(&text), &error) != 0) {
		fprintf(stderr, "linear-check: %s, %s\n", words[1], error.text);
		code = 2;
	} else {
		enum linear_verdict verdict = linear_check(history, 0, &explanation);
		printf("%zu operations: %s\n", linear_count(history),
		       verdict == LINEAR_HOLDS ? "linearizable" : verdict == LINEAR_BROKEN ? "NOT linearizable" : "undecided");
		printf("%.*s", SLICE_ARGS(buffer_slice(&explanation)));
		code = verdict == LINEAR_HOLDS ? 0 : verdict == LINEAR_BROKEN ? 1 : 3;
	}
	if (file != NULL && file != stdin)
		fclose(file);
	buffer_finish(&text);
	buffer_finish(&explanation);
	linear_destroy(history);
	return code;
}
