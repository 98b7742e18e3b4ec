#include "daemon/allocations_internal.h"
#include "daemon/variables.h"

#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SIZE_MAX (1 << 20)
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
#define OWN_VARIABLES 16

/* ---- What is kept ---- */

void task_facts_of(const struct allocations_options *options, const struct allocation_order *order, const char *home,
                   struct arena *arena, struct task_facts *ret_facts)
{
	struct task_facts facts = {
		.job = order->job, .task = order->task, .timeout = order->timeout, .check = order->check,
		.output = order->output, .output_max = order->output_max,
		.processes = order->processes > 0 ? order->processes : options->processes,
		.disk = order->disk > 0 ? order->disk : options->disk};
	struct job_check *check = &facts.check;
	if (check->kind == JOB_CHECK_EXEC) {
		check->exec = arena_alloc(arena, check->exec_count * sizeof *check->exec);
		for (uint32_t i = 0; i < check->exec_count; i++) {
			struct slice word = order->check.exec[i].literal;
			check->exec[i] = (struct command_word){{arena_string(arena, word), word.size}, -1};
		}
		facts.check_env = task_environment(options, order, home, arena);
	} else if (check->kind != JOB_CHECK_NONE) {
		facts.check_port = check->port < order->port_count ? order->ports[check->port].number : 0;
		check->path = (struct slice){arena_string(arena, check->path), check->path.size};
	}
	*ret_facts = facts;
}

static void print_check(struct buffer *out, const struct task_facts *facts)
{
	const struct job_check *check = &facts->check;
	buffer_format(out,
	              ",\"check\":{\"kind\":%d,\"port\":%d,\"interval_ms\":%lld,\"timeout_ms\":%lld,\"failures\":%u,"
	              "\"grace_ms\":%lld",
	              (int)check->kind, (int)facts->check_port, (long long)check->interval, (long long)check->timeout,
	              check->failures, (long long)check->grace);
	buffer_append_string(out, ",\"path\":");
	json_quote(out, check->path);
	buffer_append_string(out, ",\"exec\":[");
	for (uint32_t i = 0; i < check->exec_count; i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		json_quote(out, check->exec[i].literal);
	}
	buffer_append_string(out, "],\"env\":[");
	for (size_t i = 0; facts->check_env != NULL && facts->check_env[i] != NULL; i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		json_quote(out, slice_of(facts->check_env[i]));
	}
	buffer_append_string(out, "]}");
}

int task_make_directories(const char *directory, const char *work, struct error *error)
{
	if (mkdir(directory, 0700) == 0 && mkdir(work, 0700) == 0)
		return 0;
	return error_set(error, errno == ENOSPC || errno == EDQUOT ? ERR_NO_SPACE : ERR_IO, "cannot make %s: %s", work,
	                 strerror(errno));
}

/* Not synced: after a power cut nothing runs any more, and what is not whole is as if it had never come. */
static int write_file(const char *directory, struct slice text, struct error *error)
{
	char path[4096];
	char fresh[4110];
	snprintf(path, sizeof path, "%s/order", directory);
	snprintf(fresh, sizeof fresh, "%s.new", path);
	int file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t written = file >= 0 ? write(file, text.data, text.size) : -1;
	int failure = written >= 0 && (size_t)written < text.size ? ENOSPC : errno;
	if (file >= 0)
		close(file);
	if (written == (ssize_t)text.size && rename(fresh, path) == 0)
		return 0;
	return error_set(error, failure == ENOSPC ? ERR_NO_SPACE : ERR_IO, "cannot write %s: %s", path,
	                 strerror(failure));
}

int task_facts_write(const char *directory, const struct allocation_order *order, const struct task_facts *facts,
                     struct error *error)
{
	struct buffer text = BUFFER_EMPTY;
	buffer_format(&text, "{\"allocation\":%llu,\"job\":%llu,\"name\":", (unsigned long long)order->id,
	              (unsigned long long)order->job);
	json_quote(&text, order->job_name);
	buffer_format(&text, ",\"version\":%u,\"task\":%u,\"attempt\":%u,\"timeout_ms\":%lld", order->version,
	              order->task, order->attempt, (long long)order->timeout);
	if (facts->output != TASK_OUTPUT_NONE)
		buffer_format(&text, ",\"output\":%d,\"output_max\":%llu", (int)facts->output,
		              (unsigned long long)facts->output_max);
	buffer_format(&text, ",\"processes\":%llu,\"disk\":%llu", (unsigned long long)facts->processes,
	              (unsigned long long)facts->disk);
	print_check(&text, facts);
	buffer_append_string(&text, "}\n");
	int code = write_file(directory, buffer_slice(&text), error);
	buffer_finish(&text);
	return code;
}

static long long number(struct slice object, const char *name)
{
	struct slice value;
	long long result = 0;
	if (json_member(object, slice_of(name), &value))
		json_integer(value, 0, INT64_MAX, &result);
	return result;
}

static struct slice string(struct slice value, struct arena *arena)
{
	struct buffer text = BUFFER_EMPTY;
	json_unquote(&text, value);
	struct slice copy = {arena_string(arena, buffer_slice(&text)), text.size};
	buffer_finish(&text);
	return copy;
}

/* Texts of a list, with their number. */
static struct slice *strings(struct slice object, const char *name, struct arena *arena, uint32_t *ret_count)
{
	struct json_iterator iterator;
	struct slice key;
	struct slice value;
	*ret_count = 0;
	if (!json_member(object, slice_of(name), &value) || json_kind(value) != JSON_ARRAY)
		return NULL;
	struct slice *list = arena_alloc(arena, (json_count(value) + 1) * sizeof *list);
	json_iterate(&iterator, value);
	while (json_next(&iterator, &key, &value)) {
		if (json_kind(value) == JSON_STRING)
			list[(*ret_count)++] = string(value, arena);
	}
	return list;
}

static void parse_check(struct slice object, struct arena *arena, struct task_facts *facts)
{
	struct job_check *check = &facts->check;
	struct slice value;
	uint32_t count;
	check->kind = (enum job_check_kind)number(object, "kind");
	facts->check_port = (uint16_t)number(object, "port");
	check->interval = number(object, "interval_ms");
	check->timeout = number(object, "timeout_ms");
	check->failures = (uint32_t)number(object, "failures");
	check->grace = number(object, "grace_ms");
	if (json_member(object, SLICE("path"), &value) && json_kind(value) == JSON_STRING)
		check->path = string(value, arena);
	const struct slice *words = strings(object, "exec", arena, &check->exec_count);
	check->exec = arena_alloc(arena, (check->exec_count + 1) * sizeof *check->exec);
	for (uint32_t i = 0; i < check->exec_count; i++)
		check->exec[i] = (struct command_word){words[i], -1};
	const struct slice *env = strings(object, "env", arena, &count);
	facts->check_env = arena_alloc(arena, ((size_t)count + 1) * sizeof *facts->check_env);
	for (uint32_t i = 0; i < count; i++)
		facts->check_env[i] = env[i].data;
}

int task_facts_read(const char *directory, struct arena *arena, struct task_facts *ret_facts, struct error *error)
{
	char path[4096];
	struct buffer text = BUFFER_EMPTY;
	struct slice check;
	ssize_t size;
	snprintf(path, sizeof path, "%s/order", directory);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	while (file >= 0 && text.size < FILE_SIZE_MAX && (size = read(file, buffer_reserve(&text, 4096), 4096)) > 0)
		text.size += (size_t)size;
	if (file >= 0)
		close(file);
	struct slice object = json_trim(buffer_slice(&text));
	int code = json_check(object, error) != 0 || json_kind(object) != JSON_OBJECT ? ERR_CORRUPT : 0;
	if (code == 0) {
		struct task_facts facts = {
			.job = (uint64_t)number(object, "job"),
			.task = (uint32_t)number(object, "task"),
			.timeout = number(object, "timeout_ms"),
			.output = (enum task_output)number(object, "output"),
			.output_max = (uint64_t)number(object, "output_max"),
			.processes = (uint64_t)number(object, "processes"),
			.disk = (uint64_t)number(object, "disk"),
		};
		if (json_member(object, SLICE("check"), &check) && json_kind(check) == JSON_OBJECT)
			parse_check(check, arena, &facts);
		*ret_facts = facts;
	} else {
		code = error_set(error, ERR_CORRUPT, "%s is not whole", path);
	}
	buffer_finish(&text);
	return code;
}

/* ---- Why it was stopped ---- */

void task_reason_write(const char *directory, const char *text)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/reason", directory);
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t size = strlen(text);
	if (file < 0 || write(file, text, size) != (ssize_t)size)
		log_write(LOG_WARNING, "jobs", "cannot write %s: %s", path, strerror(errno));
	if (file >= 0)
		close(file);
}

void task_reason_read(const char *directory, char *ret_text, size_t size)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/reason", directory);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = file >= 0 ? read(file, ret_text, size - 1) : -1;
	if (file >= 0)
		close(file);
	ret_text[got > 0 ? got : 0] = '\0';
}

/* ---- What the command is executed with ---- */

static void set_port(struct variables *variables, const struct job_port *port)
{
	struct buffer name = BUFFER_EMPTY;
	buffer_append_string(&name, "CLUSTERD_PORT_");
	for (size_t i = 0; i < port->name.size; i++) {
		char c = port->name.data[i];
		buffer_append_char(&name, c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c == '-' ? '_' : c);
	}
	variables_set_number(variables, buffer_string(&name), port->number);
	buffer_finish(&name);
}

const char **task_environment(const struct allocations_options *options, const struct allocation_order *order,
                              const char *home, struct arena *arena)
{
	const char *path = getenv("PATH");
	struct buffer hosts = BUFFER_EMPTY;
	size_t most = OWN_VARIABLES + order->port_count + order->env_count;
	struct variables variables = {.arena = arena, .list = arena_alloc(arena, (most + 1) * sizeof(char *))};
	variables_set(&variables, SLICE("PATH"), slice_of(path != NULL ? path : DEFAULT_PATH));
	variables_set(&variables, SLICE("HOME"), slice_of(home));
	variables_set_number(&variables, "CLUSTERD_JOB", order->job);
	variables_set(&variables, SLICE("CLUSTERD_JOB_NAME"), order->job_name);
	variables_set_number(&variables, "CLUSTERD_VERSION", order->version);
	variables_set_number(&variables, "CLUSTERD_ALLOCATION", order->id);
	variables_set_number(&variables, "CLUSTERD_TASK", order->task);
	variables_set_number(&variables, "CLUSTERD_TASKS", order->count);
	variables_set_number(&variables, "CLUSTERD_ATTEMPT", order->attempt);
	variables_set_number(&variables, "CLUSTERD_WORKERS", order->workers);
	for (uint32_t i = 0; i < order->host_count; i++) {
		if (i > 0)
			buffer_append_char(&hosts, ',');
		buffer_append_slice(&hosts, order->hosts[i]);
	}
	if (order->host_count > 0)
		variables_set(&variables, SLICE("CLUSTERD_HOSTS"), buffer_slice(&hosts));
	buffer_finish(&hosts);
	for (uint32_t i = 0; i < order->port_count; i++)
		set_port(&variables, &order->ports[i]);
	variables_set(&variables, SLICE("CLUSTERD_NODE"), slice_of(options->node_name));
	variables_set(&variables, SLICE("CLUSTERD_ADDRESS"), slice_of(options->address));
	variables_set(&variables, SLICE("CLUSTERD_SOCKET"), slice_of(options->socket));
	for (uint32_t i = 0; i < order->env_count; i++)
		variables_set(&variables, order->env[i].name, order->env[i].value);
	return variables.list;
}

const char *const *task_words(const struct slice *words, uint32_t count, struct arena *arena)
{
	const char **list = arena_alloc(arena, ((size_t)count + 1) * sizeof *list);
	for (uint32_t i = 0; i < count; i++)
		list[i] = arena_string(arena, words[i]);
	return list;
}
