#include "command.h"

#include <string.h>

/* Completion and the manual page, made from the table of commands. */

static void words_of(const char *separator, const char *first_word)
{
	char last[64] = "";
	for (size_t i = 0; i < command_count; i++) {
		const char *space = strchr(commands[i].words, ' ');
		size_t length = space != NULL ? (size_t)(space - commands[i].words) : strlen(commands[i].words);
		char noun[64];
		snprintf(noun, sizeof noun, "%.*s", (int)length, commands[i].words);
		if (first_word == NULL && strcmp(noun, last) != 0)
			printf("%s%s", last[0] != '\0' ? separator : "", noun);
		else if (first_word != NULL && space != NULL && strcmp(noun, first_word) == 0)
			printf("%s%s", strcmp(noun, last) == 0 ? separator : "", space + 1);
		snprintf(last, sizeof last, "%s", noun);
	}
}

/* Calls once for each noun that has verbs. */
static void each_noun(void (*call)(const char *noun))
{
	char last[64] = "";
	for (size_t i = 0; i < command_count; i++) {
		const char *space = strchr(commands[i].words, ' ');
		char noun[64];
		if (space == NULL)
			continue;
		snprintf(noun, sizeof noun, "%.*s", (int)(space - commands[i].words), commands[i].words);
		if (strcmp(noun, last) != 0)
			call(noun);
		snprintf(last, sizeof last, "%s", noun);
	}
}

static void bash_noun(const char *noun)
{
	printf("    %s) words=\"", noun);
	words_of(" ", noun);
	printf("\" ;;\n");
}

static void print_bash(void)
{
	printf("_clusterctl() {\n"
	       "  local current=${COMP_WORDS[COMP_CWORD]} words=\"\"\n"
	       "  case ${COMP_WORDS[1]} in\n");
	each_noun(bash_noun);
	printf("    run) COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
	       "  esac\n"
	       "  [ \"$COMP_CWORD\" -eq 1 ] && words=\"");
	words_of(" ", NULL);
	printf("\"\n"
	       "  [ \"$COMP_CWORD\" -gt 2 ] && COMPREPLY=($(compgen -f -- \"$current\")) && return\n"
	       "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
	       "}\n"
	       "complete -F _clusterctl clusterctl\n");
}

static void zsh_noun(const char *noun)
{
	printf("    %s) compadd ", noun);
	words_of(" ", noun);
	printf(" ;;\n");
}

static void print_zsh(void)
{
	printf("#compdef clusterctl\n_clusterctl() {\n  if (( CURRENT == 2 )); then\n    compadd ");
	words_of(" ", NULL);
	printf("\n    return\n  fi\n  if (( CURRENT > 3 )); then _files; return; fi\n  case $words[2] in\n");
	each_noun(zsh_noun);
	printf("    *) _files ;;\n  esac\n}\n_clusterctl \"$@\"\n");
}

static void print_fish(void)
{
	char last[64] = "";
	for (size_t i = 0; i < command_count; i++) {
		const char *space = strchr(commands[i].words, ' ');
		size_t length = space != NULL ? (size_t)(space - commands[i].words) : strlen(commands[i].words);
		char noun[64];
		snprintf(noun, sizeof noun, "%.*s", (int)length, commands[i].words);
		if (strcmp(noun, last) != 0)
			printf("complete -c clusterctl -n __fish_use_subcommand -a %s\n", noun);
		if (space != NULL)
			printf("complete -c clusterctl -f -n '__fish_seen_subcommand_from %s' -a %s -d '%s'\n", noun, space + 1,
			       commands[i].summary);
		snprintf(last, sizeof last, "%s", noun);
	}
}

int run_completion(struct context *context, const struct arguments *arguments)
{
	const char *shell = arguments->values[0];
	(void)context;
	if (strcmp(shell, "bash") == 0) {
		print_bash();
	} else if (strcmp(shell, "zsh") == 0) {
		print_zsh();
	} else if (strcmp(shell, "fish") == 0) {
		print_fish();
	} else {
		fprintf(stderr, "clusterctl: completion is for bash, zsh or fish, not \"%s\"\n", shell);
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

/* Text as troff takes it. */
static void troff(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else if (*text == '\'')
			fputs("\\(aq", stdout);
		else
			putchar(*text);
	}
}

static void man_flags(const struct flag *flags)
{
	for (; flags->name != NULL; flags++) {
		printf(".TP\n.B ");
		if (flags->letter != NULL) {
			troff(flags->letter);
			printf(", ");
		}
		troff(flags->name);
		if (flags->argument != NULL)
			printf(" %s", flags->argument);
		printf("\n%s\n", flags->help);
	}
}

int run_man(struct context *context, const struct arguments *arguments)
{
	(void)context;
	(void)arguments;
	printf(".TH CLUSTERCTL 1 \"\" \"clusterd " CLUSTERD_VERSION "\"\n.SH NAME\nclusterctl \\- control a clusterd cluster\n"
	       ".SH SYNOPSIS\n.B clusterctl\n[\\fIOPTION\\fR]… \\fICOMMAND\\fR\n.SH OPTIONS\n");
	man_flags(global_flags);
	printf(".SH COMMANDS\n");
	for (size_t i = 0; i < command_count; i++) {
		printf(".SS ");
		troff(commands[i].words);
		printf(" %s\n%s.\n", commands[i].usage, commands[i].summary);
		man_flags(commands[i].flags);
		printf(".PP\nExample:\n.PP\n.EX\n");
		troff(commands[i].example);
		printf("\n.EE\n");
	}
	printf(".SH EXIT STATUS\n0 done, 1 it failed, 2 wrong usage, 3 no node could be reached, 4 the time ran out or there is no "
	       "leader.\n.SH ENVIRONMENT\n"
	       "CLUSTERD_SOCKET, CLUSTERD_ADDRESS, CLUSTERD_DATA_DIR, NO_COLOR\n.SH SEE ALSO\nclusterd(8), sqlite3(1)\n");
	return EXIT_DONE;
}
