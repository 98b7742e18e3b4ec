#include "daemon/placing.h"

#include "coordinator/jobs.h"
#include "daemon/allocations.h"
#include "wire/digest.h"
#include "workflow/check.h"
#include "workflow/command_words.h"

#include <string.h>

/* What a node is told to run of a job: all of it, since agents have no catalog. */

#define ELEMENTS_MAX 65536u /* of each list of an order */

static ProtobufCBinaryData to_bytes(struct slice slice)
{
	return (ProtobufCBinaryData){slice.size, (uint8_t *)(uintptr_t)slice.data};
}

static struct slice to_slice(ProtobufCBinaryData data)
{
	return data.len != 0 ? (struct slice){(const char *)data.data, data.len} : SLICE("");
}

/* --- packing -------------------------------------------------------------------------------------------------------- */

static void pack_words(const struct command_word *words, uint32_t count, size_t *ret_count,
                       ProtobufCBinaryData **ret_words, struct arena *arena)
{
	*ret_words = arena_alloc(arena, count * sizeof **ret_words);
	for (uint32_t i = 0; i < count; i++)
		(*ret_words)[i] = to_bytes(words[i].literal);
	*ret_count = count;
}

/* With the values of its parameters; they were checked when the job began. */
static void pack_argv(const struct allocation *allocation, Clusterd__Wire__TaskOrder *order, struct arena *arena)
{
	const struct job_settings *settings = allocation->definition->job;
	struct slice args = allocation->job->args != NULL ? text_slice(allocation->job->args) : SLICE("{}");
	const char *const *words;
	order->argv = arena_alloc(arena, settings->exec_count * sizeof *order->argv);
	if (command_words(allocation->definition, settings->exec, settings->exec_count, args, arena, &words, NULL) != 0)
		return;
	for (; words[order->n_argv] != NULL; order->n_argv++)
		order->argv[order->n_argv] = to_bytes(slice_of(words[order->n_argv]));
}

static void pack_program(const struct job_program *program, Clusterd__Wire__TaskOrder *order, struct arena *arena)
{
	if (program->path.size == 0)
		return;
	Clusterd__Wire__TaskProgram *packed = order->program = arena_alloc(arena, sizeof *packed);
	clusterd__wire__task_program__init(packed);
	packed->path = to_bytes(program->path);
	packed->hash = to_bytes(program->hash);
	packed->size = program->size;
	packed->at = arena_alloc(arena, program->at_count * sizeof *packed->at);
	for (; packed->n_at < program->at_count; packed->n_at++)
		packed->at[packed->n_at] = to_bytes(program->at[packed->n_at]);
}

static void pack_lists(const struct allocation *allocation, Clusterd__Wire__TaskOrder *order, struct arena *arena)
{
	const struct job_settings *settings = allocation->definition->job;
	order->n_env = settings->env_count;
	order->env = arena_alloc(arena, order->n_env * sizeof *order->env);
	for (size_t i = 0; i < order->n_env; i++) {
		clusterd__wire__task_variable__init(order->env[i] = arena_alloc(arena, sizeof *order->env[i]));
		order->env[i]->name = to_bytes(settings->env[i].name);
		order->env[i]->value = to_bytes(settings->env[i].value);
	}
	order->n_files = settings->file_count;
	order->files = arena_alloc(arena, order->n_files * sizeof *order->files);
	for (size_t i = 0; i < order->n_files; i++) {
		clusterd__wire__task_file__init(order->files[i] = arena_alloc(arena, sizeof *order->files[i]));
		order->files[i]->path = to_bytes(settings->files[i].path);
		order->files[i]->hash = to_bytes(settings->files[i].hash);
	}
	pack_program(&settings->program, order, arena);
	order->n_ports = settings->port_count;
	order->ports = arena_alloc(arena, order->n_ports * sizeof *order->ports);
	for (size_t i = 0; i < order->n_ports; i++) {
		clusterd__wire__task_port__init(order->ports[i] = arena_alloc(arena, sizeof *order->ports[i]));
		order->ports[i]->name = to_bytes(settings->ports[i].name);
		order->ports[i]->number = allocation->ports[i];
	}
}

static void pack_check(const struct job_check *check, Clusterd__Wire__TaskOrder *order, struct arena *arena)
{
	Clusterd__Wire__TaskCheck *packed = order->check = arena_alloc(arena, sizeof *packed);
	clusterd__wire__task_check__init(packed);
	packed->kind = (uint32_t)check->kind;
	pack_words(check->exec, check->exec_count, &packed->n_exec, &packed->exec, arena);
	packed->port = check->port;
	packed->path = to_bytes(check->path);
	packed->interval_ms = (uint64_t)check->interval;
	packed->timeout_ms = (uint64_t)check->timeout;
	packed->failures = check->failures;
	packed->grace_ms = (uint64_t)check->grace;
}

/* HOST:PORT of each task of a group: the host of its node, and the first port that it has. */
static void pack_hosts(const struct allocation *allocation, const struct machine *machine,
                       Clusterd__Wire__TaskOrder *order, struct arena *arena)
{
	const struct job *job = allocation->job;
	order->hosts = arena_alloc(arena, job->count * sizeof *order->hosts);
	for (uint32_t task = 0; task < job->count; task++) {
		const struct allocation *other;
		HASH_FIND(by_task, job->allocations, &task, sizeof task, other);
		const struct node_use *use = other != NULL ? machine_node(machine, other->node) : NULL;
		struct buffer text = BUFFER_EMPTY;
		if (use != NULL)
			buffer_format(&text, "%s:%u", use->host, other->ports[0]);
		order->hosts[order->n_hosts++] = to_bytes(slice_of(arena_string(arena, buffer_slice(&text))));
		buffer_finish(&text);
	}
}

Clusterd__Wire__TaskOrder *task_order_pack(const struct allocation *allocation, const struct machine *machine,
                                           struct arena *arena)
{
	const struct definition *definition = allocation->definition;
	const struct job_settings *settings = definition->job;
	Clusterd__Wire__TaskOrder *order = arena_alloc(arena, sizeof *order);
	clusterd__wire__task_order__init(order);
	order->id = allocation->id;
	order->job = allocation->job->id;
	order->job_name = to_bytes(definition->name);
	order->version = definition->version;
	order->task = allocation->task;
	order->count = allocation->job->count;
	order->attempt = allocation->attempt;
	order->begun = allocation->phase == ALLOCATION_RUNS;
	pack_argv(allocation, order, arena);
	pack_lists(allocation, order, arena);
	pack_check(&settings->check, order, arena);
	if (settings->group)
		pack_hosts(allocation, machine, order, arena);
	order->cpu = settings->cpu;
	order->memory = settings->memory;
	order->processes = settings->processes;
	order->disk = settings->disk;
	order->stop_signal = (uint32_t)settings->stop_signal;
	order->stop_grace_ms = (uint64_t)settings->stop_grace;
	order->timeout_ms = (uint64_t)settings->timeout;
	order->workers = settings->workers;
	if (allocation->job->call.of.instance != 0) {
		order->output = (uint32_t)allocation->job->call.form + 1;
		order->output_max = machine_settings(machine)->value_max;
	}
	return order;
}

/* --- unpacking ------------------------------------------------------------------------------------------------------ */

static struct slice *unpack_slices(const ProtobufCBinaryData *packed, size_t count, struct arena *arena)
{
	struct slice *slices = arena_alloc(arena, count * sizeof *slices);
	for (size_t i = 0; i < count; i++)
		slices[i] = to_slice(packed[i]);
	return slices;
}

static int unpack_check(const Clusterd__Wire__TaskCheck *packed, struct arena *arena, struct job_check *ret_check)
{
	struct command_word *words;
	*ret_check = (struct job_check){0};
	if (packed == NULL || packed->kind == JOB_CHECK_NONE)
		return 0;
	if (packed->kind > JOB_CHECK_HTTP || packed->n_exec > ELEMENTS_MAX || packed->interval_ms > JOB_DELAY_MAX ||
	    packed->timeout_ms > JOB_DELAY_MAX || packed->grace_ms > JOB_DELAY_MAX)
		return ERR_INVALID;
	words = arena_alloc(arena, packed->n_exec * sizeof *words);
	for (size_t i = 0; i < packed->n_exec; i++)
		words[i] = (struct command_word){to_slice(packed->exec[i]), -1};
	*ret_check = (struct job_check){
		.kind = (enum job_check_kind)packed->kind,
		.exec = words,
		.exec_count = (uint32_t)packed->n_exec,
		.port = packed->port,
		.path = to_slice(packed->path),
		.interval = (msec)packed->interval_ms,
		.timeout = (msec)packed->timeout_ms,
		.failures = packed->failures,
		.grace = (msec)packed->grace_ms,
	};
	return 0;
}

static int unpack_program(const Clusterd__Wire__TaskProgram *packed, struct arena *arena, struct job_program *ret_program)
{
	*ret_program = (struct job_program){0};
	if (packed == NULL)
		return 0;
	*ret_program = (struct job_program){
		.path = to_slice(packed->path),
		.hash = to_slice(packed->hash),
		.size = packed->size,
		.at_count = packed->n_at <= JOB_PROGRAM_NODES_MAX ? (uint32_t)packed->n_at : JOB_PROGRAM_NODES_MAX,
	};
	ret_program->at = unpack_slices(packed->at, ret_program->at_count, arena);
	bool plain = check_path_fault(ret_program->path) == NULL &&
	             memchr(ret_program->path.data, '/', ret_program->path.size) == NULL;
	return plain && digest_is_hex(ret_program->hash) && packed->size > 0 && packed->size <= JOB_PROGRAM_SIZE_MAX
	               ? 0
	               : ERR_INVALID;
}

static bool sizes_fit(const Clusterd__Wire__TaskOrder *packed)
{
	return packed->n_argv > 0 && packed->n_argv <= ELEMENTS_MAX && packed->n_env <= ELEMENTS_MAX &&
	       packed->n_files <= ELEMENTS_MAX && packed->n_hosts <= JOB_COUNT_MAX &&
	       packed->n_ports <= JOB_PORTS_MAX && packed->output <= TASK_OUTPUT_UNIT && packed->stop_signal <= INT8_MAX &&
	       packed->stop_grace_ms <= JOB_DELAY_MAX && packed->timeout_ms <= INT64_MAX / 2;
}

int task_order_unpack(const Clusterd__Wire__TaskOrder *packed, struct arena *arena, struct allocation_order *ret_order)
{
	struct job_check check;
	struct job_program program;
	if (!sizes_fit(packed) || unpack_check(packed->check, arena, &check) != 0 ||
	    unpack_program(packed->program, arena, &program) != 0)
		return ERR_INVALID;
	struct process_variable *env = arena_alloc(arena, packed->n_env * sizeof *env);
	struct process_file *files = arena_alloc(arena, packed->n_files * sizeof *files);
	struct job_port *ports = arena_alloc(arena, packed->n_ports * sizeof *ports);
	for (size_t i = 0; i < packed->n_env; i++)
		env[i] = (struct process_variable){to_slice(packed->env[i]->name), to_slice(packed->env[i]->value)};
	for (size_t i = 0; i < packed->n_files; i++)
		files[i] = (struct process_file){to_slice(packed->files[i]->path), to_slice(packed->files[i]->hash)};
	for (size_t i = 0; i < packed->n_ports; i++) {
		if (packed->ports[i]->number > UINT16_MAX)
			return ERR_INVALID;
		ports[i] = (struct job_port){to_slice(packed->ports[i]->name), (uint16_t)packed->ports[i]->number};
	}
	*ret_order = (struct allocation_order){
		.id = packed->id,
		.job = packed->job,
		.job_name = to_slice(packed->job_name),
		.version = packed->version,
		.task = packed->task,
		.count = packed->count,
		.attempt = packed->attempt,
		.begun = packed->begun != 0,
		.argv = unpack_slices(packed->argv, packed->n_argv, arena),
		.argv_count = (uint32_t)packed->n_argv,
		.env = env,
		.env_count = (uint32_t)packed->n_env,
		.files = files,
		.file_count = (uint32_t)packed->n_files,
		.program = program,
		.hosts = unpack_slices(packed->hosts, packed->n_hosts, arena),
		.host_count = (uint32_t)packed->n_hosts,
		.ports = ports,
		.port_count = (uint32_t)packed->n_ports,
		.cpu = packed->cpu,
		.memory = packed->memory,
		.processes = packed->processes,
		.disk = packed->disk,
		.stop_signal = (int)packed->stop_signal,
		.stop_grace = (msec)packed->stop_grace_ms,
		.timeout = (msec)packed->timeout_ms,
		.check = check,
		.workers = packed->workers,
		.output = (enum task_output)packed->output,
		.output_max = packed->output_max,
	};
	return 0;
}
