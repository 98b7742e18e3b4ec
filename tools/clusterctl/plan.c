#include "command.h"

#include "base/json.h"

#include <inttypes.h>
#include <string.h>

/* What running the jobs of some files would change. Nothing is changed. */

static struct slice member(struct slice object, const char *name)
{
	struct slice value;
	return json_member(object, slice_of(name), &value) ? value : SLICE("null");
}

static long long number(struct slice object, const char *name)
{
	long long value = 0;
	json_integer(member(object, name), 0, INT64_MAX, &value);
	return value;
}

/* A string's characters; what is no string as it is. */
static const char *text(struct slice object, const char *name, struct buffer *plain)
{
	struct slice value = member(object, name);
	buffer_clear(plain);
	if (json_kind(value) == JSON_STRING)
		json_unquote(plain, value);
	return buffer_string(plain);
}

static void print_settings(struct slice job)
{
	struct json_iterator rows;
	struct slice key;
	struct slice row;
	struct buffer plain = BUFFER_EMPTY;
	json_iterate(&rows, member(job, "settings"));
	while (json_next(&rows, &key, &row)) {
		bool had = json_kind(member(row, "old")) == JSON_STRING;
		bool has = json_kind(member(row, "new")) == JSON_STRING;
		printf("    %s: ", text(row, "setting", &plain));
		printf("%s", had ? text(row, "old", &plain) : "(default)");
		printf(" → %s\n", has ? text(row, "new", &plain) : "(default)");
	}
	buffer_finish(&plain);
}

/* "  node  tasks", in the order in which nodes come first. */
static void print_places(struct slice job)
{
	struct json_iterator rows;
	struct json_iterator again;
	struct slice key;
	struct slice row;
	struct slice other;
	struct buffer plain = BUFFER_EMPTY;
	json_iterate(&rows, member(job, "placements"));
	for (size_t at = 0; json_next(&rows, &key, &row); at++) {
		struct slice name = member(row, "node");
		size_t index = 0;
		size_t first = SIZE_MAX;
		long long tasks = 0;
		long long evicts = 0;
		json_iterate(&again, member(job, "placements"));
		for (; json_next(&again, &key, &other); index++) {
			if (!slice_equal(member(other, "node"), name))
				continue;
			first = first == SIZE_MAX ? index : first;
			tasks++;
			evicts += number(other, "evicts");
		}
		if (first != at)
			continue; /* told already */
		printf("    %lld on %s", tasks, text(row, "node", &plain));
		if (evicts > 0)
			printf(", where %lld of lower priority would have to go first", evicts);
		putchar('\n');
	}
	buffer_finish(&plain);
}

static void print_why(struct slice job)
{
	struct buffer plain = BUFFER_EMPTY;
	const char *line = text(job, "why", &plain);
	if (number(job, "unplaced") > 0)
		printf("    %lld would have no place now\n", number(job, "unplaced"));
	while (number(job, "unplaced") > 0 && *line != '\0') {
		size_t length = strcspn(line, "\n");
		printf("      %.*s\n", (int)length, line);
		line += length + (line[length] == '\n');
	}
	buffer_finish(&plain);
}

/* true: it would change something. */
static bool print_job(struct slice job)
{
	struct buffer plain = BUFFER_EMPTY;
	struct buffer kind = BUFFER_EMPTY;
	const char *change = text(job, "change", &kind);
	bool changes = strcmp(change, "unchanged") != 0;
	char sign = !changes ? '=' : strcmp(change, "updated") == 0 ? '~' : '+';
	printf("%c %s@%lld  ", sign, text(job, "name", &plain), number(job, "version"));
	if (number(job, "id") != 0)
		printf("job %lld, %s%s", number(job, "id"), change, sign == '~' ? "" : "\n");
	if (sign == '~')
		printf(" from version %lld\n", number(job, "running_version"));
	if (number(job, "id") == 0)
		printf("%s, new, %lld task%s\n", text(job, "type", &plain), number(job, "tasks"), number(job, "tasks") == 1 ? "" : "s");
	if (changes) {
		print_settings(job);
		print_places(job);
		print_why(job);
	}
	buffer_finish(&kind);
	buffer_finish(&plain);
	return changes;
}

int run_job_plan(struct context *context, const struct arguments *arguments)
{
	struct buffer json = BUFFER_EMPTY;
	struct json_iterator rows;
	struct slice key;
	struct slice row;
	bool changes = false;
	int code = need_client(context);
	if (code != 0)
		return code;
	if (register_files(context, arguments->values, arguments->value_count, REGISTRATION_PLAN, &json) != 0) {
		buffer_finish(&json);
		return report(context);
	}
	print_warnings(buffer_slice(&json));
	if (context->form != OUTPUT_TABLE)
		printf("%.*s\n", SLICE_ARGS(member(buffer_slice(&json), "jobs")));
	json_iterate(&rows, member(buffer_slice(&json), "jobs"));
	while (json_next(&rows, &key, &row)) {
		struct buffer kind = BUFFER_EMPTY;
		if (context->form == OUTPUT_TABLE)
			changes = print_job(row) || changes;
		else
			changes = changes || strcmp(text(row, "change", &kind), "unchanged") != 0;
		buffer_finish(&kind);
	}
	buffer_finish(&json);
	return changes ? EXIT_FAILED : EXIT_DONE;
}
