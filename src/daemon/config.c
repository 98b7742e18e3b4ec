#include "daemon/config.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/memory.h"
#include "lang/parser.h"
#include "discovery/discovery.h"
#include "net/address.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum option_kind { OPTION_TEXT, OPTION_NUMBER, OPTION_DURATION, OPTION_LEVEL, OPTION_TAG, OPTION_ROLE, OPTION_JOIN, OPTION_PORTS };

struct option {
	const char *name; /* "data-dir"; in the file data_dir, in the environment CLUSTERD_DATA_DIR */
	enum option_kind kind;
	size_t offset;
	long long low, high;
	const char *argument;
	const char *help;
};

static const struct option options[] = {
	{"data-dir", OPTION_TEXT, offsetof(struct config, data_dir), 0, 0, "DIR",
         "where log, catalog, socket and lock are (default ./clusterd-data)"},
	{"name", OPTION_TEXT, offsetof(struct config, name), 0, 0, "NAME", "name of this node (default: the host's name)"},
	{"listen", OPTION_TEXT, offsetof(struct config, listen), 0, 0, "HOST:PORT",
         "where clients, workers and other nodes connect; port 0 takes a free one (default 127.0.0.1:9189)"},
	{"advertise", OPTION_TEXT, offsetof(struct config, advertise), 0, 0, "HOST:PORT",
         "how others reach it (default: as it listens; a guess when that is 0.0.0.0 or [::])"},
	{"join", OPTION_JOIN, 0, 0, 0, "WHERE",
         "where nodes of the cluster are: HOST:PORT, dns:NAME:PORT (all its addresses), file:PATH (IP:PORT a line) or "
         "k8s:SERVICE[.NAMESPACE][:PORT]; may be given several times"},
	{"expect", OPTION_NUMBER, offsetof(struct config, expect), 1, CONFIG_EXPECT_MAX, "N",
         "begin a cluster as soon as N servers have found one another (without join and expect: a cluster of one)"},
	{"role", OPTION_ROLE, 0, 0, 0, "server|agent",
         "server: keeps the catalog and may lead; agent: runs work only (default server)"},
	{"secret-file", OPTION_TEXT, offsetof(struct config, secret_file), 0, 0, "FILE",
         "the cluster's secret, 16 bytes or more, the same on every node; needed to listen on more than loopback"},
	{"kubernetes-mount", OPTION_TEXT, offsetof(struct config, kubernetes_mount), 0, 0, "DIR",
         "token, ca.crt and namespace to ask Kubernetes with (default /var/run/secrets/kubernetes.io/serviceaccount)"},
	{"datacenter", OPTION_TEXT, offsetof(struct config, datacenter), 0, 0, "NAME", "data centre (default dc1)"},
	{"tag", OPTION_TAG, 0, 0, 0, "KEY=VALUE", "a tag of this node; may be given several times"},
	{"exec-slots", OPTION_NUMBER, offsetof(struct config, exec_slots), 1, 10000, "N",
         "calls of processes with `exec` at once (default: twice the processors)"},
	{"pool-children", OPTION_NUMBER, offsetof(struct config, pool_children), 1, 1000, "N",
         "children of one `pool` at most (default: the processors)"},
	{"pool-depth", OPTION_NUMBER, offsetof(struct config, pool_depth), 1, 10000, "N",
         "calls one child of a pool has at once (default 64)"},
	{"task-ports", OPTION_PORTS, 0, 0, 0, "LOW-HIGH", "ports that tasks of jobs may get (default 20000-29999)"},
	{"connections", OPTION_NUMBER, offsetof(struct config, connections), 1, 100000, "N",
         "connections at once at most (default 4096)"},
	{"drain-timeout", OPTION_DURATION, offsetof(struct config, drain_timeout), 0, 86400000, "DURATION",
         "how long a stopping node waits for running calls (default 10s)"},
	{"kill-grace", OPTION_DURATION, offsetof(struct config, kill_grace), 0, 3600000, "DURATION",
         "from SIGTERM to SIGKILL for children that are stopped (default 5s)"},
	{"program-max", OPTION_NUMBER, offsetof(struct config, program_max), 1, 4294967295, "BYTES",
         "of a program that is submitted, at most (default 1073741824)"},
	{"program-kept", OPTION_DURATION, offsetof(struct config, program_kept), 100, 31536000000, "DURATION",
         "a program that no job needs any more is kept so long after it was used (default 10m)"},
	{"task-processes", OPTION_NUMBER, offsetof(struct config, task_processes), 0, 1000000, "N",
         "a task has so many processes and threads at most, when its job does not say it; 0: no limit (default 4096)"},
	{"task-disk", OPTION_NUMBER, offsetof(struct config, task_disk), 0, 1LL << 50, "BYTES",
         "a task has so much in its working directory, when its job does not say it; 0: no limit (default 0)"},
	{"log-tail", OPTION_NUMBER, offsetof(struct config, log_tail), 0, 1000000000, "N",
         "log entries kept behind the catalog's checkpoint (default 100000)"},
	{"salvage", OPTION_TEXT, offsetof(struct config, salvage), 0, 0, "FILE",
         "do not run: write all that a stopped node has to FILE, its log included, for clusterctl snapshot restore"},
	{"log-level", OPTION_LEVEL, 0, 0, 0, "LEVEL", "debug, info, warning or error (default info)"},
};

#define OPTION_COUNT (sizeof options / sizeof options[0])

void config_help(struct buffer *out)
{
	buffer_append_string(out, "usage: clusterd [OPTION]…\n\n"
	                          "Runs a node: workflows and their calls, a catalog to read with SQL.\n\n"
	                          "  --config FILE            settings, one `name = value` a line, names with _ for -\n");
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		char head[64];
		snprintf(head, sizeof head, "--%s %s", options[i].name, options[i].argument);
		buffer_format(out, "  %-24s %s\n", head, options[i].help);
	}
	buffer_append_string(out, "  --help, --version\n\n"
	                          "Every option may also stand in the environment, as CLUSTERD_DATA_DIR and so on.\n\n"
	                          "Example:\n"
	                          "  clusterd --data-dir /var/lib/clusterd --listen 127.0.0.1:9189\n");
}

/* --- one option ---------------------------------------------------------------------------------------------------- */

static int put_number(const struct option *option, struct slice text, long long *ret, struct error *error)
{
	if (json_integer(text, option->low, option->high, ret) != 0)
		return error_set(error, ERR_INVALID, "%s must be a whole number from %lld to %lld, not \"%.*s\"", option->name,
		                 option->low, option->high, SLICE_ARGS(text));
	return 0;
}

static int put_duration(const struct option *option, struct slice text, msec *ret, struct error *error)
{
	int64_t duration;
	if (parser_duration(text, &duration) != 0 || duration < option->low || duration > option->high)
		return error_set(error, ERR_INVALID, "%s must be a duration such as 500ms, 30s or 2h, not \"%.*s\"", option->name,
		                 SLICE_ARGS(text));
	*ret = duration;
	return 0;
}

static int put_tag(struct config *config, struct slice text, struct error *error)
{
	const char *equals = memchr(text.data, '=', text.size);
	struct buffer tags = BUFFER_EMPTY;
	if (equals == NULL || equals == text.data)
		return error_set(error, ERR_INVALID, "a tag is KEY=VALUE, not \"%.*s\"", SLICE_ARGS(text));
	size_t length = strlen(config->tags);
	buffer_append(&tags, config->tags, length - 1);
	if (length > 2)
		buffer_append_char(&tags, ',');
	json_quote(&tags, (struct slice){text.data, (size_t)(equals - text.data)});
	buffer_append_char(&tags, ':');
	json_quote(&tags, (struct slice){equals + 1, text.size - (size_t)(equals - text.data) - 1});
	buffer_append_char(&tags, '}');
	mem_free(config->tags);
	config->tags = mem_string(buffer_string(&tags));
	buffer_finish(&tags);
	return 0;
}

static int put_ports(struct config *config, struct slice text, struct error *error)
{
	const char *dash = memchr(text.data, '-', text.size);
	size_t first = dash != NULL ? (size_t)(dash - text.data) : 0;
	long long low = 0;
	long long high = 0;
	if (dash == NULL || json_integer((struct slice){text.data, first}, 1, 65535, &low) != 0 ||
	    json_integer((struct slice){dash + 1, text.size - first - 1}, low, 65535, &high) != 0)
		return error_set(error, ERR_INVALID, "task-ports must be LOW-HIGH, ports from 1 to 65535, not \"%.*s\"",
		                 SLICE_ARGS(text));
	config->port_low = low;
	config->port_high = high;
	return 0;
}

/* One address, or several with commas between them. */
static int put_join(struct config *config, struct slice text, struct error *error)
{
	const char *end = text.data + text.size;
	for (const char *at = text.data; at <= end;) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t size = (size_t)((comma != NULL ? comma : end) - at);
		if (config->join_count == CONFIG_JOIN_MAX)
			return error_set(error, ERR_LIMIT, "more than %d addresses to join by", CONFIG_JOIN_MAX);
		if (size > CONFIG_JOIN_SIZE_MAX)
			return error_set(error, ERR_LIMIT, "an address of more than %d bytes to join by", CONFIG_JOIN_SIZE_MAX);
		char *address = mem_format("%.*s", (int)size, at);
		int code = discovery_check(address, error);
		if (code != 0) {
			mem_free(address);
			return code;
		}
		mem_grow(config->join, config->join_capacity, config->join_count + 1);
		config->join[config->join_count++] = address;
		at += size + 1;
	}
	return 0;
}

static int put_role(struct config *config, struct slice text, struct error *error)
{
	config->agent = slice_is(text, "agent");
	if (!config->agent && !slice_is(text, "server"))
		return error_set(error, ERR_INVALID, "role is server or agent, not \"%.*s\"", SLICE_ARGS(text));
	return 0;
}

static int option_put(struct config *config, const struct option *option, struct slice text, struct error *error)
{
	char *place = (char *)config + option->offset;
	struct buffer plain = BUFFER_EMPTY;
	int code = 0;
	buffer_append_slice(&plain, text);
	switch (option->kind) {
	case OPTION_TEXT:
		if (text.size == 0 || memchr(text.data, '\0', text.size) != NULL) {
			code = error_set(error, ERR_INVALID, "%s must not be empty", option->name);
			break;
		}
		mem_free(*(char **)place);
		*(char **)place = mem_string(buffer_string(&plain));
		break;
	case OPTION_NUMBER:
		code = put_number(option, text, (long long *)place, error);
		break;
	case OPTION_DURATION:
		code = put_duration(option, text, (msec *)place, error);
		break;
	case OPTION_LEVEL:
		if (log_level_parse(buffer_string(&plain), &config->log_level) != 0)
			code = error_set(error, ERR_INVALID, "log-level is debug, info, warning or error, not \"%.*s\"",
			                 SLICE_ARGS(text));
		break;
	case OPTION_PORTS:
		code = put_ports(config, text, error);
		break;
	case OPTION_TAG:
		code = put_tag(config, text, error);
		break;
	case OPTION_ROLE:
		code = put_role(config, text, error);
		break;
	case OPTION_JOIN:
		code = put_join(config, text, error);
		break;
	}
	buffer_finish(&plain);
	return code;
}

static const struct option *option_find(struct slice name, char separator)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const char *known = options[i].name;
		size_t at = 0;
		while (at < name.size && known[at] != '\0' && (known[at] == '-' ? separator : known[at]) == name.data[at])
			at++;
		if (at == name.size && known[at] == '\0')
			return &options[i];
	}
	return NULL;
}

/* --- the file ------------------------------------------------------------------------------------------------------ */

static int read_file(const char *path, struct buffer *out, struct error *error)
{
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return error_set(error, ERR_IO, "cannot read the configuration file %s: %s", path, strerror(errno));
	size_t got;
	do {
		char *place = buffer_reserve(out, 4096);
		got = fread(place, 1, 4096, file);
		out->size += got;
	} while (got > 0 && out->size <= SYNTAX_SOURCE_SIZE_MAX);
	int failed = ferror(file);
	fclose(file);
	if (failed)
		return error_set(error, ERR_IO, "cannot read the configuration file %s", path);
	return 0;
}

static int put_setting(struct config *config, const struct syntax_setting *setting, const char *path,
                       struct error *error)
{
	struct arena arena = {0};
	uint32_t line;
	uint32_t column;
	const struct option *option = option_find(setting->key.text, '_');
	const struct syntax_value *value = setting->value;
	int code = 0;
	if (option == NULL)
		code = error_set(error, ERR_INVALID, "there is no setting \"%.*s\"", SLICE_ARGS(setting->key.text));
	else if (value->kind == SYNTAX_VALUE_STRING)
		code = option_put(config, option, parser_unquote(value->text, &arena), error);
	else if (value->kind == SYNTAX_VALUE_NUMBER || value->kind == SYNTAX_VALUE_DURATION ||
	         value->kind == SYNTAX_VALUE_LOWER)
		code = option_put(config, option, value->text, error);
	else if (value->kind == SYNTAX_VALUE_LIST && (option->kind == OPTION_TAG || option->kind == OPTION_JOIN)) {
		for (uint32_t i = 0; i < value->item_count && code == 0; i++)
			code = option_put(config, option, parser_unquote(value->items[i]->text, &arena), error);
	} else
		code = error_set(error, ERR_INVALID, "setting \"%.*s\" is a string, a number or a duration",
		                 SLICE_ARGS(setting->key.text));
	arena_finish(&arena);
	if (code != 0) {
		span_position(setting->span, &line, &column);
		error_prefix(error, "%s:%u:%u", path, line, column);
	}
	return code;
}

static int config_file(struct config *config, struct error *error)
{
	struct buffer text = BUFFER_EMPTY;
	struct arena arena = {0};
	struct diagnostics diagnostics = {0};
	struct syntax_settings settings;
	int code = read_file(config->config_file, &text, error);
	if (code == 0) {
		struct source source = {slice_of(config->config_file), buffer_slice(&text), 0};
		code = parser_parse_settings(&source, &arena, &settings, &diagnostics, error);
		if (code == ERR_INVALID) {
			struct buffer rendered = BUFFER_EMPTY;
			diagnostics_render(&diagnostics, &rendered);
			error_set(error, ERR_INVALID, "%s", buffer_string(&rendered));
			buffer_finish(&rendered);
		}
		for (uint32_t i = 0; code == 0 && i < settings.count; i++)
			code = put_setting(config, &settings.entries[i], config->config_file, error);
		diagnostics_finish(&diagnostics);
	}
	arena_finish(&arena);
	buffer_finish(&text);
	return code;
}

static void config_defaults(struct config *config);

int config_reload(struct config *config, struct error *error)
{
	struct config now;
	if (config->config_file == NULL)
		return 0;
	config_defaults(&now);
	now.config_file = mem_string(config->config_file);
	now.log_level = config->log_level;
	int code = config_file(&now, error);
	if (code == 0)
		config->log_level = now.log_level;
	config_finish(&now);
	return code;
}

/* --- all of it ----------------------------------------------------------------------------------------------------- */

static int config_environment(struct config *config, struct error *error)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		char name[64] = "CLUSTERD_";
		size_t at = strlen(name);
		for (const char *from = options[i].name; *from != '\0'; from++)
			name[at++] = *from == '-' ? '_' : (char)toupper((unsigned char)*from);
		name[at] = '\0';
		const char *value = getenv(name);
		if (value == NULL)
			continue;
		int code = option_put(config, &options[i], slice_of(value), error);
		if (code != 0) {
			error_prefix(error, "%s", name);
			return code;
		}
	}
	return 0;
}

/* Finds the value of an argument "--name value" or "--name=value"; moves *at past it. */
static int argument_value(int argc, char **argv, int *at, struct slice *ret_name, struct slice *ret_value,
                          struct error *error)
{
	const char *argument = argv[*at];
	if (strncmp(argument, "--", 2) != 0)
		return error_set(error, ERR_INVALID, "\"%s\" is not an option; see clusterd --help", argument);
	const char *equals = strchr(argument, '=');
	*ret_name = equals != NULL ? (struct slice){argument + 2, (size_t)(equals - argument - 2)} : slice_of(argument + 2);
	if (equals != NULL) {
		*ret_value = slice_of(equals + 1);
	} else if (slice_is(*ret_name, "help") || slice_is(*ret_name, "version")) {
		*ret_value = SLICE("");
	} else if (*at + 1 >= argc) {
		return error_set(error, ERR_INVALID, "%s needs a value", argument);
	} else {
		*ret_value = slice_of(argv[++*at]);
	}
	++*at;
	return 0;
}

static int config_arguments(struct config *config, int argc, char **argv, bool only_file, struct error *error)
{
	int at = 1;
	while (at < argc) {
		struct slice name;
		struct slice value;
		int code = argument_value(argc, argv, &at, &name, &value, error);
		if (code != 0)
			return code;
		if (slice_is(name, "help")) {
			config->help = true;
			continue;
		}
		if (slice_is(name, "version")) {
			config->version = true;
			continue;
		}
		if (slice_is(name, "config")) {
			mem_free(config->config_file);
			config->config_file = mem_format("%.*s", SLICE_ARGS(value));
			continue;
		}
		const struct option *option = option_find(name, '-');
		if (option == NULL)
			return error_set(error, ERR_INVALID, "there is no option --%.*s; see clusterd --help", SLICE_ARGS(name));
		code = only_file ? 0 : option_put(config, option, value, error);
		if (code != 0)
			return code;
	}
	return 0;
}

/* Whether it can only be of this machine, as far as can be told without asking a name server. */
static bool is_loopback(const char *text)
{
	struct address address;
	if (address_parse(text, &address))
		return address_is_loopback(&address);
	return strncmp(text, "localhost:", strlen("localhost:")) == 0;
}

/* Whoever can connect can have commands run: so clients of other machines need a token, other nodes the secret. */
static int check_secret(const struct config *config, struct error *error)
{
	if (config->secret_file != NULL)
		return 0;
	if (!is_loopback(config->listen))
		return error_set(error, ERR_INVALID,
		                 "listen is \"%s\": to listen on more than loopback (127.0.0.1:PORT, [::1]:PORT), a node needs the "
		                 "secret of its cluster (secret-file)",
		                 config->listen);
	if (config->advertise != NULL && !is_loopback(config->advertise))
		return error_set(error, ERR_INVALID, "advertise is \"%s\": for nodes of other machines, a secret is needed (secret-file)",
		                 config->advertise);
	for (size_t i = 0; i < config->join_count; i++) {
		if (!discovery_is_local(config->join[i]))
			return error_set(error, ERR_INVALID,
			                 "join is \"%s\": to join nodes of other machines, a secret is needed (secret-file)",
			                 config->join[i]);
	}
	return 0;
}

static int check(const struct config *config, struct error *error)
{
	int code = address_check(config->listen, error);
	if (code == 0 && config->advertise != NULL)
		code = address_check(config->advertise, error);
	if (code != 0)
		return code;
	if (strlen(config->listen) > CONFIG_ADDRESS_MAX ||
	    (config->advertise != NULL && strlen(config->advertise) > CONFIG_ADDRESS_MAX))
		return error_set(error, ERR_LIMIT, "listen and advertise have at most %d bytes", CONFIG_ADDRESS_MAX);
	if (config->agent && config->expect != 0)
		return error_set(error, ERR_INVALID, "an agent begins no cluster: expect is for servers");
	if (config->agent && config->join_count == 0)
		return error_set(error, ERR_INVALID, "an agent needs a cluster to join: say where one of its nodes is (join)");
	return check_secret(config, error);
}

static void config_defaults(struct config *config)
{
	char host[256] = "node";
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	gethostname(host, sizeof host - 1);
	*config = (struct config){
		.data_dir = mem_string("clusterd-data"),
		.name = mem_string(host),
		.listen = mem_string("127.0.0.1:9189"),
		.datacenter = mem_string("dc1"),
		.tags = mem_string("{}"),
		.log_level = LOG_INFO,
		.exec_slots = 2 * processors,
		.pool_children = processors,
		.pool_depth = 64,
		.port_low = 20000,
		.port_high = 29999,
		.connections = 4096,
		.drain_timeout = 10000,
		.kill_grace = 5000,
		.program_max = 1 << 30,
		.program_kept = 600000,
		.task_processes = 4096,
		.log_tail = 100000,
	};
}

int config_read(int argc, char **argv, struct config *ret_config, struct error *error)
{
	struct config config;
	config_defaults(&config);
	const char *file = getenv("CLUSTERD_CONFIG");
	config.config_file = mem_string(file);
	int code = config_arguments(&config, argc, argv, true, error);
	if (code == 0 && config.config_file != NULL && !config.help && !config.version)
		code = config_file(&config, error);
	if (code == 0)
		code = config_environment(&config, error);
	if (code == 0)
		code = config_arguments(&config, argc, argv, false, error);
	if (code == 0)
		code = check(&config, error);
	if (code != 0) {
		config_finish(&config);
		return code;
	}
	*ret_config = config;
	return 0;
}

void config_finish(struct config *config)
{
	mem_free(config->config_file);
	mem_free(config->data_dir);
	mem_free(config->name);
	mem_free(config->listen);
	mem_free(config->advertise);
	mem_free(config->datacenter);
	mem_free(config->tags);
	mem_free(config->salvage);
	mem_free(config->secret_file);
	mem_free(config->kubernetes_mount);
	for (size_t i = 0; i < config->join_count; i++)
		mem_free(config->join[i]);
	mem_free(config->join);
}
