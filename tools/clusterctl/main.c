#include "command.h"

#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "lang/parser.h"
#include "net/child.h"

#include <assert.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_MAX 4096

/* --- errors -------------------------------------------------------------------------------------------------------- */

static int exit_code_of(int code)
{
	switch (code) {
	case ERR_CLOSED:
		return EXIT_UNREACHABLE;
	case ERR_TIMEOUT:
	case ERR_NOT_LEADER:
	case ERR_BUSY:
		return EXIT_TIME;
	default:
		return EXIT_FAILED;
	}
}

int report(struct context *context)
{
	size_t length = strlen(context->error.text);
	bool ends = length > 0 && context->error.text[length - 1] == '\n';
	fprintf(stderr, "clusterctl: %s%s", context->error.text, ends ? "" : "\n");
	return exit_code_of(context->error.code);
}

/* --- the node to ask ----------------------------------------------------------------------------------------------- */

int report_failure(struct context *context, const struct clusterd_error *failure)
{
	error_set(&context->error, failure->code, "%s", failure->text);
	return report(context);
}

int timeout_of(const struct context *context)
{
	return context->timeout > INT32_MAX ? CLUSTERD_NO_TIMEOUT : (int)context->timeout;
}

struct client_options client_options_of(const struct context *context)
{
	return (struct client_options){
		.address = context->address,
		.name = "clusterctl",
		.timeout = context->timeout,
		.token = context->token,
		.consistency = context->consistency,
	};
}

int need_client(struct context *context)
{
	struct client_options options = client_options_of(context);
	if (context->client != NULL)
		return 0;
	if (client_open(&options, &context->client, &context->error) == 0)
		return 0;
	int code = report(context);
	if (context->error.code == ERR_DENIED) {
		fprintf(stderr, "Over TCP a cluster with a secret asks for its token, which is in DIR/token of each of its nodes: "
		                "--token-file FILE, or CLUSTERD_TOKEN.\n");
		return code;
	}
	fprintf(stderr, "Is clusterd running? Say where with --data-dir DIR, --address HOST:PORT or CLUSTERD_ADDRESS.\n");
	return EXIT_UNREACHABLE;
}

static char *socket_in(const char *directory)
{
	return mem_format("%s/clusterd.sock", directory);
}

/* --address, --data-dir, CLUSTERD_SOCKET (tasks have it), CLUSTERD_ADDRESS, CLUSTERD_DATA_DIR, ./clusterd-data, the default port. */
static char *find_address(const char *address, const char *data_dir)
{
	struct stat status;
	if (address != NULL)
		return mem_string(address);
	if (data_dir != NULL)
		return socket_in(data_dir);
	if (getenv("CLUSTERD_SOCKET") != NULL)
		return mem_string(getenv("CLUSTERD_SOCKET"));
	if (getenv("CLUSTERD_ADDRESS") != NULL)
		return mem_string(getenv("CLUSTERD_ADDRESS"));
	if (getenv("CLUSTERD_DATA_DIR") != NULL)
		return socket_in(getenv("CLUSTERD_DATA_DIR"));
	if (stat("clusterd-data/clusterd.sock", &status) == 0)
		return socket_in("clusterd-data");
	return mem_string("127.0.0.1:9189");
}

static int read_token(const char *path, char **ret_token)
{
	char line[512] = "";
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return ERR_NOT_FOUND;
	bool got = fgets(line, sizeof line, file) != NULL;
	fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	if (!got || line[0] == '\0')
		return ERR_INVALID;
	*ret_token = mem_string(line);
	return 0;
}

/* --token-file, CLUSTERD_TOKEN, the data directory's. NULL in `ret_token`: there is none, which the node may ask for. */
static int find_token(const char *file, const char *data_dir, char **ret_token)
{
	const char *directory = data_dir != NULL ? data_dir : getenv("CLUSTERD_DATA_DIR");
	*ret_token = NULL;
	if (file != NULL) {
		if (read_token(file, ret_token) == 0)
			return 0;
		fprintf(stderr, "clusterctl: there is no token to read in %s\n", file);
		return EXIT_USAGE;
	}
	if (getenv("CLUSTERD_TOKEN") != NULL) {
		*ret_token = mem_string(getenv("CLUSTERD_TOKEN"));
	} else if (directory != NULL) {
		char *path = mem_format("%s/token", directory);
		read_token(path, ret_token);
		mem_free(path);
	}
	return 0;
}

/* --- help ---------------------------------------------------------------------------------------------------------- */

static void print_flags(const struct flag *flags)
{
	for (; flags->name != NULL; flags++) {
		char head[64];
		snprintf(head, sizeof head, "%s%s%s%s%s", flags->letter != NULL ? flags->letter : "",
		         flags->letter != NULL ? ", " : "", flags->name, flags->argument != NULL ? " " : "",
		         flags->argument != NULL ? flags->argument : "");
		printf("  %-24s %s\n", head, flags->help);
	}
}

static void print_help(void)
{
	printf("usage: clusterctl [--address HOST:PORT,… | --data-dir DIR] [-o table|json|jsonl] [--timeout 10s] COMMAND\n\n"
	       "Commands:\n");
	for (size_t i = 0; i < command_count; i++) {
		char head[64];
		snprintf(head, sizeof head, "%s %s", commands[i].words, commands[i].usage);
		int width = 34 + (int)(strlen(head) - text_width(slice_of(head)));
		printf("  %-*s %s\n", width, head, commands[i].summary);
	}
	printf("\nOptions:\n");
	print_flags(global_flags);
	printf("\nExit code: 0 done, 1 it failed, 2 wrong usage, 3 no node could be reached, 4 no leader, or the time ran out.\n"
	       "\nExample:\n  clusterctl run examples/countdown/countdown.flow 3\n");
}

static void print_command_help(const struct command_line *command)
{
	printf("usage: clusterctl %s%s%s%s\n\n%s\n", command->words, command->flags[0].name != NULL ? " [OPTION]…" : "",
	       command->usage[0] != '\0' ? " " : "", command->usage, command->summary);
	if (command->flags[0].name != NULL) {
		printf("\nOptions:\n");
		print_flags(command->flags);
	}
	printf("\nExample:\n  %s\n", command->example);
}

/* --- which command ------------------------------------------------------------------------------------------------- */

static size_t distance(const char *left, const char *right)
{
	size_t row[65];
	size_t length = strlen(right);
	if (length > 64 || strlen(left) > 64)
		return 64;
	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 1; left[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= length; j++) {
			size_t above = row[j];
			size_t best = diagonal + (left[i - 1] != right[j - 1]);
			best = above + 1 < best ? above + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			diagonal = above;
			row[j] = best;
		}
	}
	return row[length];
}

static void suggest(const char *typed)
{
	const struct command_line *nearest = NULL;
	size_t best = 4;
	for (size_t i = 0; i < command_count; i++) {
		size_t far = distance(typed, commands[i].words);
		if (far < best) {
			best = far;
			nearest = &commands[i];
		}
	}
	fprintf(stderr, "clusterctl: there is no command \"%s\"", typed);
	fprintf(stderr, nearest != NULL ? "; did you mean \"%s\"?\n" : "%s; see clusterctl --help\n",
	        nearest != NULL ? nearest->words : "");
}

/* The nouns' verbs, when only the noun was typed. */
static bool print_verbs(const char *noun)
{
	bool any = false;
	for (size_t i = 0; i < command_count; i++) {
		size_t length = strlen(noun);
		if (strncmp(commands[i].words, noun, length) == 0 && commands[i].words[length] == ' ') {
			if (!any)
				fprintf(stderr, "clusterctl: \"%s\" needs a verb:\n", noun);
			fprintf(stderr, "  clusterctl %s %s\n", commands[i].words, commands[i].usage);
			any = true;
		}
	}
	return any;
}

static const struct command_line *find_command(const char *const *words, int count, int *ret_taken)
{
	for (int taken = count < 2 ? count : 2; taken > 0; taken--) {
		char joined[128];
		snprintf(joined, sizeof joined, "%s%s%s", words[0], taken > 1 ? " " : "", taken > 1 ? words[1] : "");
		for (size_t i = 0; i < command_count; i++) {
			if (strcmp(commands[i].words, joined) == 0) {
				*ret_taken = taken;
				return &commands[i];
			}
		}
	}
	if (!print_verbs(words[0])) {
		char joined[128];
		snprintf(joined, sizeof joined, "%s%s%s", words[0], count > 1 ? " " : "", count > 1 ? words[1] : "");
		suggest(joined);
	}
	return NULL;
}

/* --- what was typed ------------------------------------------------------------------------------------------------ */

struct typed {
	const char *words[WORDS_MAX];
	int word_count;
	const char *globals[8];
	const char *flag_words[64]; /* flags of commands, not yet known of which: name, value */
	const char *flags[FLAGS_MAX];
	const char *const *rest;
	int rest_count;
};

static const struct flag *flag_find(const struct flag *flags, const char *word, size_t length)
{
	for (; flags->name != NULL; flags++) {
		if ((strlen(flags->name) == length && strncmp(flags->name, word, length) == 0) ||
		    (flags->letter != NULL && strlen(flags->letter) == length && strncmp(flags->letter, word, length) == 0))
			return flags;
	}
	return NULL;
}

/* Which command it will be: the first words that are not options. */
static const struct flag *flags_of(const struct typed *typed)
{
	static const struct flag none[1] = {{NULL, NULL, NULL, NULL}};
	for (int taken = 2; taken > 0; taken--) {
		char joined[128];
		if (typed->word_count < taken)
			continue;
		snprintf(joined, sizeof joined, "%s%s%s", typed->words[0], taken > 1 ? " " : "",
		         taken > 1 ? typed->words[1] : "");
		for (size_t i = 0; i < command_count; i++) {
			if (strcmp(commands[i].words, joined) == 0)
				return commands[i].flags;
		}
	}
	return none;
}

static int take_flag(struct typed *typed, char **argv, int *at)
{
	const char *word = argv[*at];
	const char *equals = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;
	size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
	const struct flag *table = flags_of(typed);
	const struct flag *flag = flag_find(table, word, length);
	const char **place = flag != NULL ? &typed->flags[flag - table] : NULL;
	if (flag == NULL) {
		flag = flag_find(global_flags, word, length);
		place = flag != NULL ? &typed->globals[flag - global_flags] : NULL;
	}
	if (flag == NULL) {
		fprintf(stderr, "clusterctl: there is no option %.*s here; see --help\n", (int)length, word);
		return EXIT_USAGE;
	}
	if (flag->argument == NULL && equals != NULL) {
		fprintf(stderr, "clusterctl: %s takes no value\n", flag->name);
		return EXIT_USAGE;
	}
	if (flag->argument == NULL) {
		*place = "";
	} else if (equals != NULL) {
		*place = equals + 1;
	} else if (argv[*at + 1] != NULL) {
		*place = argv[++*at];
	} else {
		fprintf(stderr, "clusterctl: %s needs a value (%s)\n", flag->name, flag->argument);
		return EXIT_USAGE;
	}
	return 0;
}

static bool looks_like_number(const char *word)
{
	return word[0] == '-' && (word[1] == '.' || (word[1] >= '0' && word[1] <= '9'));
}

static int read_words(int argc, char **argv, struct typed *typed)
{
	for (int at = 1; at < argc; at++) {
		const char *word = argv[at];
		if (strcmp(word, "--") == 0) {
			typed->rest = (const char *const *)(argv + at + 1);
			typed->rest_count = argc - at - 1;
			return 0;
		}
		if (word[0] == '-' && word[1] != '\0' && !looks_like_number(word)) {
			int code = take_flag(typed, argv, &at);
			if (code != 0)
				return code;
		} else if (typed->word_count == WORDS_MAX) {
			fprintf(stderr, "clusterctl: more than %d words\n", WORDS_MAX);
			return EXIT_USAGE;
		} else {
			typed->words[typed->word_count++] = word;
		}
	}
	return 0;
}

static int read_consistency(const char *word, struct context *context)
{
	static const char *const words[] = {"linearizable", "leader", "local"};
	for (int i = 0; word != NULL && i < 3; i++) {
		if (strcmp(word, words[i]) == 0) {
			context->consistency = (enum clusterd_consistency)i;
			return 0;
		}
	}
	if (word == NULL)
		return 0;
	fprintf(stderr, "clusterctl: --consistency is linearizable, leader or local, not \"%s\"\n", word);
	return EXIT_USAGE;
}

static int read_globals(const struct typed *typed, struct context *context)
{
	const char *form = typed->globals[2];
	const char *timeout = typed->globals[3];
	context->timeout = 10000;
	context->data_dir = typed->globals[1];
	if (form != NULL) {
		context->form_given = true;
		if (strcmp(form, "table") == 0)
			context->form = OUTPUT_TABLE;
		else if (strcmp(form, "json") == 0)
			context->form = OUTPUT_JSON;
		else if (strcmp(form, "jsonl") == 0)
			context->form = OUTPUT_JSONL;
		else {
			fprintf(stderr, "clusterctl: -o is table, json or jsonl, not \"%s\"\n", form);
			return EXIT_USAGE;
		}
	}
	if (timeout != NULL) {
		context->timeout_given = true;
		if (parser_duration(slice_of(timeout), &context->timeout) != 0) {
			fprintf(stderr, "clusterctl: --timeout is a duration such as 500ms or 30s, not \"%s\"\n", timeout);
			return EXIT_USAGE;
		}
	}
	return read_consistency(typed->globals[6] != NULL ? typed->globals[6] : getenv("CLUSTERD_CONSISTENCY"), context);
}

static int run_command(const struct command_line *command, const struct typed *typed, int taken,
                       struct context *context)
{
	struct arguments arguments = {
		.flags = typed->flags,
		.values = typed->words + taken,
		.value_count = typed->word_count - taken,
		.rest = typed->rest,
		.rest_count = typed->rest_count,
	};
	bool too_many = command->values_max >= 0 && arguments.value_count > command->values_max;
	if (arguments.value_count < command->values_min || too_many) {
		fprintf(stderr, "usage: clusterctl %s %s\n", command->words, command->usage);
		return EXIT_USAGE;
	}
	return command->run(context, &arguments);
}

int main(int argc, char **argv)
{
	static struct typed typed;
	struct context context = {0};
	int taken = 0;
	child_shim_main(argc, argv);
	setlocale(LC_CTYPE, "");
	if (strcmp(setlocale(LC_CTYPE, NULL), "C") == 0)
		setlocale(LC_CTYPE, "C.UTF-8");
	log_set_level(LOG_WARNING);
	int code = read_words(argc, argv, &typed);
	if (code == 0)
		code = read_globals(&typed, &context);
	if (code != 0)
		return code;
	if (typed.globals[5] != NULL) {
		puts("clusterctl " CLUSTERD_VERSION);
		return 0;
	}
	if (typed.word_count == 0) {
		print_help();
		return typed.globals[4] != NULL ? EXIT_DONE : EXIT_USAGE;
	}
	const struct command_line *command = find_command(typed.words, typed.word_count, &taken);
	if (command == NULL)
		return EXIT_USAGE;
	if (typed.globals[4] != NULL) {
		print_command_help(command);
		return EXIT_DONE;
	}
	char *address = find_address(typed.globals[0], typed.globals[1]);
	char *token = NULL;
	code = find_token(typed.globals[7], typed.globals[1], &token);
	context.address = address;
	context.token = token;
	if (code == 0)
		code = run_command(command, &typed, taken, &context);
	client_close(context.client);
	mem_free(address);
	mem_free(token);
	return code;
}
