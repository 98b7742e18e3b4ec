#include "daemon/allocations_internal.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct slice keep(struct arena *arena, struct slice text)
{
	return (struct slice){arena_string(arena, text), text.size};
}

static struct slice *keep_all(struct arena *arena, const struct slice *texts, uint32_t count)
{
	struct slice *kept = arena_alloc(arena, (count + (size_t)1) * sizeof *kept);
	for (uint32_t i = 0; i < count; i++)
		kept[i] = keep(arena, texts[i]);
	return kept;
}

static void keep_check(struct arena *arena, const struct job_check *check, struct job_check *ret_check)
{
	*ret_check = *check;
	ret_check->path = keep(arena, check->path);
	ret_check->exec = arena_alloc(arena, (check->exec_count + (size_t)1) * sizeof *ret_check->exec);
	for (uint32_t i = 0; i < check->exec_count; i++)
		ret_check->exec[i] = (struct command_word){keep(arena, check->exec[i].literal), check->exec[i].param};
}

static void keep_lists(struct arena *arena, const struct allocation_order *order, struct allocation_order *kept)
{
	struct process_variable *env = arena_alloc(arena, (order->env_count + (size_t)1) * sizeof *env);
	struct process_file *files = arena_alloc(arena, (order->file_count + (size_t)1) * sizeof *files);
	struct job_port *ports = arena_alloc(arena, (order->port_count + (size_t)1) * sizeof *ports);
	for (uint32_t i = 0; i < order->env_count; i++)
		env[i] = (struct process_variable){keep(arena, order->env[i].name), keep(arena, order->env[i].value)};
	for (uint32_t i = 0; i < order->file_count; i++)
		files[i] = (struct process_file){keep(arena, order->files[i].path), keep(arena, order->files[i].hash)};
	for (uint32_t i = 0; i < order->port_count; i++)
		ports[i] = (struct job_port){keep(arena, order->ports[i].name), order->ports[i].number};
	kept->env = env;
	kept->files = files;
	kept->ports = ports;
}

struct task_hold *task_hold_create(const struct allocation_order *order)
{
	struct task_hold *hold = mem_zero(sizeof *hold);
	struct arena *arena = &hold->arena;
	struct allocation_order *kept = &hold->order;
	*kept = *order;
	kept->job_name = keep(arena, order->job_name);
	kept->argv = keep_all(arena, order->argv, order->argv_count);
	kept->hosts = keep_all(arena, order->hosts, order->host_count);
	keep_lists(arena, order, kept);
	keep_check(arena, &order->check, &kept->check);
	kept->program.path = keep(arena, order->program.path);
	kept->program.hash = keep(arena, order->program.hash);
	kept->program.at = keep_all(arena, order->program.at, order->program.at_count);
	return hold;
}

void task_hold_destroy(struct task_hold *hold)
{
	if (hold == NULL)
		return;
	arena_finish(&hold->arena);
	mem_free(hold);
}

int task_place_program(const struct job_program *program, const char *from, const char *work, struct error *error)
{
	if (program->path.size == 0)
		return 0;
	char *path = mem_format("%s/%.*s", work, SLICE_ARGS(program->path));
	int code = link(from, path) == 0 ? 0 : error_set(error, ERR_IO, "cannot make %s: %s", path, strerror(errno));
	mem_free(path);
	return code;
}

static int compare_ids(const void *left, const void *right)
{
	const uint64_t *one = left, *other = right;
	return (*one > *other) - (*one < *other);
}

bool task_is_among(uint64_t id, const uint64_t *known, size_t count)
{
	return count > 0 && bsearch(&id, known, count, sizeof *known, compare_ids) != NULL;
}
