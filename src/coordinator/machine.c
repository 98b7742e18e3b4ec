#include "coordinator/internal.h"

#include "base/json.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>

#define EXPIRE_AT_ONCE 256

/* --- settings ------------------------------------------------------------------------------------------------------ */

static const struct machine_settings default_settings = {
	.retention = 7 * 24 * 3600 * 1000ll,
	.each_window = 256,
	.reductions_max = 100000,
	.value_max = 1u << 20,
	.session_ttl = 60000,
	.instances_cached = 20000,
	.changes_kept = 100000,
	.change_bytes_kept = 64u << 20,
	.topic_entries = 200000,
	.session_entries = 10000,
	.voters = 5,
};

struct setting_rule {
	const char *name;
	long long low;
	long long high;
};

/* In the order of `setting_put`. */
static const struct setting_rule setting_rules[] = {
	{"retention", 1000, 10ll * 365 * 24 * 3600 * 1000},
	{"each_window", 1, 10000},
	{"reductions_max", 100, 10000000},
	{"value_max", 1024, 8 << 20},
	{"session_ttl", 1000, 24 * 3600 * 1000},
	{"instances_cached", 100, 10000000},
	{"changes_kept", 100, 10000000},
	{"change_bytes_kept", 1 << 20, 16ll << 30},
	{"topic_entries", 10, 2000000},
	{"session_entries", 10, 200000},
	{"voters", 1, 9},
};

static void setting_put(struct machine_settings *settings, size_t which, long long value)
{
	switch (which) {
	case 0:
		settings->retention = value;
		break;
	case 1:
		settings->each_window = (uint32_t)value;
		break;
	case 2:
		settings->reductions_max = (uint32_t)value;
		break;
	case 3:
		settings->value_max = (uint32_t)value;
		break;
	case 4:
		settings->session_ttl = value;
		break;
	case 5:
		settings->instances_cached = (uint32_t)value;
		break;
	case 6:
		settings->changes_kept = (uint64_t)value;
		break;
	case 7:
		settings->change_bytes_kept = (uint64_t)value;
		break;
	case 8:
		settings->topic_entries = (uint32_t)value;
		break;
	case 9:
		settings->session_entries = (uint32_t)value;
		break;
	default:
		settings->voters = (uint32_t)value;
		break;
	}
}

/* A number, or a duration ("7d"), which counts in milliseconds. */
static int setting_number(struct slice text, long long *ret_value)
{
	static const struct {
		const char *suffix;
		long long unit;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	size_t digits = 0;
	long long number;
	while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
		digits++;
	if (json_integer((struct slice){text.data, digits}, 0, INT64_MAX / 86400000, &number) != 0)
		return ERR_INVALID;
	struct slice suffix = {text.data + digits, text.size - digits};
	if (suffix.size == 0) {
		*ret_value = number;
		return 0;
	}
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (slice_is(suffix, units[i].suffix)) {
			*ret_value = number * units[i].unit;
			return 0;
		}
	}
	return ERR_INVALID;
}

static int setting_apply(struct machine *machine, struct slice name, struct slice value, struct error *error)
{
	for (size_t i = 0; i < sizeof setting_rules / sizeof setting_rules[0]; i++) {
		const struct setting_rule *rule = &setting_rules[i];
		long long number = 0;
		if (!slice_is(name, rule->name))
			continue;
		if (setting_number(value, &number) != 0 || number < rule->low || number > rule->high)
			return error_set(error, ERR_INVALID, "setting %s must be between %lld and %lld, not \"%.*s\"", rule->name,
			                 rule->low, rule->high, SLICE_ARGS(value));
		setting_put(&machine->settings, i, number);
		return 0;
	}
	return error_set(error, ERR_NOT_FOUND, "there is no setting \"%.*s\"", SLICE_ARGS(name));
}

static void setting_loaded(void *context, struct slice name, struct slice value)
{
	setting_apply(context, name, value, NULL);
}

static int apply_setting(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	struct error refused = {0};
	if (setting_apply(machine, command->set_setting.name, command->set_setting.value, &refused) != 0) {
		*ret_answer = answer_error(refused.code, "%s", refused.text);
		return 0;
	}
	return catalog_setting_set(machine->catalog, command->set_setting.name, command->set_setting.value);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static int load_numbers(struct machine *machine)
{
	struct {
		const char *key;
		uint64_t *value;
	} numbers[] = {
		{"applied_index", &machine->applied_index},       {"applied_term", &machine->applied_term},
		{"last_stamp", &machine->last_stamp},             {"history_seq", &machine->history_seq},
		{"next_instance", &machine->next_instance},       {"next_session", &machine->next_session},
		{"next_unit", &machine->next_unit},               {"kv_compacted", &machine->changes.compacted},
		{"next_job", &machine->next_job},                 {"next_allocation", &machine->next_allocation},
	};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		int code = catalog_meta_number(machine->catalog, numbers[i].key, numbers[i].value);
		if (code != 0)
			return code;
	}
	machine->saved.applied_term = machine->applied_term;
	machine->saved.next_instance = machine->next_instance;
	machine->saved.next_session = machine->next_session;
	machine->saved.next_unit = machine->next_unit;
	machine->saved.kv_compacted = machine->changes.compacted;
	machine->saved.next_job = machine->next_job;
	machine->saved.next_allocation = machine->next_allocation;
	if (machine->next_instance == 0)
		machine->next_instance = 1;
	if (machine->next_session == 0)
		machine->next_session = 1;
	if (machine->next_unit == 0)
		machine->next_unit = 1;
	if (machine->next_job == 0)
		machine->next_job = 1;
	if (machine->next_allocation == 0)
		machine->next_allocation = 1;
	return catalog_settings(machine->catalog, setting_loaded, machine);
}

int machine_create(struct catalog *catalog, struct machine **ret_machine, struct error *error)
{
	struct machine *machine = mem_zero(sizeof *machine);
	machine->catalog = catalog;
	machine->settings = default_settings;
	registry_create(&machine->registry);
	int code = load_numbers(machine);
	if (code != 0)
		error_set(error, code, "the catalog cannot be read: %s", catalog_error(catalog));
	if (code == 0)
		code = group_load(machine, error);
	if (code == 0)
		code = definitions_load(machine, error);
	if (code == 0)
		code = sessions_load(machine, error);
	if (code == 0)
		code = keys_load(machine, error);
	if (code == 0)
		code = leases_load(machine, error);
	if (code == 0)
		code = jobs_load(machine, error);
	if (code == 0)
		code = topics_load(machine, error);
	catalog_recent_begin(catalog, machine->applied_index);
	if (code != 0) {
		machine_destroy(machine);
		return code;
	}
	*ret_machine = machine;
	return 0;
}

void machine_destroy(struct machine *machine)
{
	struct running *running;
	struct running *next;
	if (machine == NULL)
		return;
	effects_release(machine);
	HASH_ITER(hh, machine->instances, running, next) {
		HASH_DELETE(hh, machine->instances, running);
		running_destroy(machine, running);
	}
	while (machine->finished != NULL) {
		running = machine->finished;
		machine->finished = running->idle_next;
		running_destroy(machine, running);
	}
	sessions_release(machine);
	leases_release(machine);
	jobs_release(machine);
	topics_release(machine);
	registry_destroy(machine->registry);
	buffer_finish(&machine->scratch);
	buffer_finish(&machine->detail);
	mem_free(machine->effects);
	mem_free(machine);
}

uint64_t machine_applied_index(const struct machine *machine)
{
	return machine->applied_index;
}

uint64_t machine_last_stamp(const struct machine *machine)
{
	return machine->last_stamp;
}

const struct machine_settings *machine_settings(const struct machine *machine)
{
	return &machine->settings;
}

struct registry *machine_take_registry(struct machine *machine)
{
	struct registry *registry = machine->registry;
	machine->registry = NULL;
	return registry;
}

struct registry *machine_registry(struct machine *machine)
{
	return machine->registry;
}

uint64_t machine_history_seq(const struct machine *machine)
{
	return machine->history_seq;
}

/* --- transactions -------------------------------------------------------------------------------------------------- */

int machine_begin(struct machine *machine, struct error *error)
{
	assert(!machine->open);
	int code = catalog_begin(machine->catalog);
	if (code != 0)
		return error_set(error, code, "the catalog cannot begin a transaction: %s", catalog_error(machine->catalog));
	if (catalog_foreign_write(machine->catalog))
		return error_set(error, ERR_CONFLICT,
		                 "another program has written to the catalog while the node runs: it is no longer what the log says. "
		                 "Remove it and start again: it is made anew from the log as far as that reaches, or restore a snapshot");
	machine->open = true;
	return 0;
}

static int save_changed(struct machine *machine, const char *key, uint64_t value, uint64_t *saved)
{
	if (value == *saved)
		return 0;
	*saved = value;
	return catalog_meta_set_number(machine->catalog, key, value);
}

static int save_numbers(struct machine *machine)
{
	int code = catalog_meta_set_number(machine->catalog, "applied_index", machine->applied_index);
	if (code == 0)
		code = catalog_meta_set_number(machine->catalog, "last_stamp", machine->last_stamp);
	if (code == 0)
		code = catalog_meta_set_number(machine->catalog, "history_seq", machine->history_seq);
	if (code == 0)
		code = save_changed(machine, "applied_term", machine->applied_term, &machine->saved.applied_term);
	if (code == 0)
		code = save_changed(machine, "next_instance", machine->next_instance, &machine->saved.next_instance);
	if (code == 0)
		code = save_changed(machine, "next_session", machine->next_session, &machine->saved.next_session);
	if (code == 0)
		code = save_changed(machine, "next_unit", machine->next_unit, &machine->saved.next_unit);
	if (code == 0)
		code = save_changed(machine, "kv_compacted", machine->changes.compacted, &machine->saved.kv_compacted);
	if (code == 0)
		code = save_changed(machine, "next_job", machine->next_job, &machine->saved.next_job);
	if (code == 0)
		code = save_changed(machine, "next_allocation", machine->next_allocation, &machine->saved.next_allocation);
	return code;
}

int machine_pause(struct machine *machine, struct error *error)
{
	assert(machine->open);
	machine->within = false;
	int code = machine_flush_closed(machine);
	if (code != 0)
		return error_set(error, code, "the catalog cannot be written: %s", catalog_error(machine->catalog));
	return 0;
}

bool machine_is_open(const struct machine *machine)
{
	return machine->open;
}

int machine_commit(struct machine *machine, struct error *error)
{
	assert(machine->open);
	machine->within = false;
	int code = machine_flush(machine);
	if (code == 0)
		code = jobs_flush(machine);
	if (code == 0)
		code = sessions_flush(machine);
	if (code == 0)
		code = save_numbers(machine);
	if (code == 0)
		code = catalog_commit(machine->catalog);
	if (code != 0)
		return error_set(error, code, "the catalog cannot commit: %s", catalog_error(machine->catalog));
	machine->open = false;
	return 0;
}

/* --- commands ------------------------------------------------------------------------------------------------------ */

static int apply_node(struct machine *machine, const struct command *command)
{
	struct catalog_node row = {
		.id = command->node.id,
		.name = command->node.name,
		.role = command->node.role,
		.address = command->node.address,
		.datacenter = command->node.datacenter,
		.state = command->node.state,
		.generation = command->node.generation,
		.tags = command->node.tags,
		.cpu = command->node.cpu,
		.memory = command->node.memory,
		.port_low = command->node.port_low,
		.port_high = command->node.port_high,
	};
	node_use_set(machine, &row);
	return catalog_node_put(machine->catalog, &row);
}

static int apply_close(struct machine *machine, const struct command *command)
{
	int code = 0;
	for (size_t i = 0; i < command->close_session.count && code == 0; i++)
		code = session_close(machine, command->close_session.sessions[i]);
	return code == 0 ? owned_sweep(machine) : code;
}

/* What has changed is written first: a row written after its instance was deleted would stay for ever. */
static int apply_expire(struct machine *machine)
{
	int code = machine_flush(machine);
	if (code == 0)
		code = catalog_instances_expire(machine->catalog, machine->now - machine->settings.retention, EXPIRE_AT_ONCE);
	if (code >= 0)
		code = jobs_flush(machine);
	if (code == 0)
		code = catalog_jobs_expire(machine->catalog, machine->now - machine->settings.retention, EXPIRE_AT_ONCE);
	return code > 0 ? 0 : code;
}

static int execute_job(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	switch (command->kind) {
	case COMMAND_RUN_JOBS:
		return apply_run_jobs(machine, command, ret_answer);
	case COMMAND_DISPATCH_JOB:
		return apply_dispatch_job(machine, command, ret_answer);
	case COMMAND_STOP_JOB:
		return apply_stop_job(machine, command, ret_answer);
	case COMMAND_SCALE_JOB:
		return apply_scale_job(machine, command, ret_answer);
	case COMMAND_PLACE:
		return apply_place(machine, command);
	case COMMAND_ALLOCATIONS:
		return apply_allocations(machine, command, ret_answer);
	case COMMAND_STOP_ALLOCATIONS:
		apply_stop_allocations(machine, command);
		return 0;
	case COMMAND_ELIGIBLE:
		return apply_eligible(machine, command, ret_answer);
	case COMMAND_DRAIN:
		return apply_drain(machine, command, ret_answer);
	case COMMAND_JOB_DUE:
		return apply_job_due(machine, command);
	default:
		assert(false);
		return ERR_INVALID;
	}
}

static int execute_alone(struct machine *machine, const struct command *command, struct answer *ret_answer,
                         struct error *error)
{
	int code = 0;
	switch (command->kind) {
	case COMMAND_START:
		return apply_start(machine, command, ret_answer, error);
	case COMMAND_RESULTS:
		return apply_results(machine, command, error);
	case COMMAND_ASSIGNED:
		return apply_assigned(machine, command, error);
	case COMMAND_TIMERS:
		return apply_timers(machine, error);
	case COMMAND_CANCEL:
		return apply_cancel(machine, command, ret_answer, error);
	case COMMAND_RETRY:
		return apply_retry(machine, command, ret_answer, error);
	case COMMAND_SIGNAL:
		return apply_signal(machine, command, ret_answer, error);
	case COMMAND_REGISTER:
		code = apply_register(machine, command, ret_answer);
		break;
	case COMMAND_SET_SETTING:
		code = apply_setting(machine, command, ret_answer);
		break;
	case COMMAND_CLOSE_SESSION:
		code = apply_close(machine, command);
		break;
	case COMMAND_EXPIRE:
		code = apply_expire(machine);
		break;
	case COMMAND_NODE:
		code = apply_node(machine, command);
		break;
	case COMMAND_CONFIGURATION:
		code = apply_configuration(machine, command);
		break;
	case COMMAND_PUT:
		code = apply_put(machine, command, ret_answer);
		break;
	case COMMAND_DELETE_KEY:
		code = apply_delete_key(machine, command, ret_answer);
		break;
	case COMMAND_TRANSACT:
		code = apply_transact(machine, command, ret_answer);
		break;
	case COMMAND_GRANT_LEASE:
		code = apply_grant_lease(machine, command, ret_answer);
		break;
	case COMMAND_END_LEASES:
		code = apply_end_leases(machine, command, ret_answer);
		break;
	case COMMAND_RUN_JOBS:
	case COMMAND_DISPATCH_JOB:
	case COMMAND_STOP_JOB:
	case COMMAND_SCALE_JOB:
	case COMMAND_PLACE:
	case COMMAND_ALLOCATIONS:
	case COMMAND_STOP_ALLOCATIONS:
	case COMMAND_ELIGIBLE:
	case COMMAND_DRAIN:
	case COMMAND_JOB_DUE:
		code = execute_job(machine, command, ret_answer);
		break;
	case COMMAND_PUBLISH:
	case COMMAND_UNPUBLISH:
	case COMMAND_SUBSCRIBE:
	case COMMAND_UNSUBSCRIBE:
	case COMMAND_SWEEP:
		code = apply_topics(machine, command, ret_answer);
		break;
	case COMMAND_NOOP:
	case COMMAND_OPEN_SESSION:
		break;
	}
	if (code != 0)
		return error_set(error, code, "the catalog cannot be written: %s", catalog_error(machine->catalog));
	return 0;
}

static int execute(struct machine *machine, const struct command *command, struct answer *ret_answer,
                   struct error *error)
{
	int code = execute_alone(machine, command, ret_answer, error);
	return code == 0 ? job_calls_settle(machine, error) : code;
}

int machine_apply(struct machine *machine, uint64_t index, uint64_t term, const struct command *command,
                  struct error *error)
{
	struct session *session;
	struct answer answer = {0};
	assert(machine->open);
	assert(index == machine->applied_index + 1);
	assert(command->stamp > machine->last_stamp);
	machine->within = true;
	machine->applied_index = index;
	machine->applied_term = term;
	machine->last_stamp = command->stamp;
	machine->now = stamp_ms(command->stamp);
	catalog_recent_at(machine->catalog, index);
	int noted = group_note_term(machine, index, term);
	if (noted != 0)
		return error_set(error, noted, "the catalog cannot be written: %s", catalog_error(machine->catalog));
	if (command->kind == COMMAND_OPEN_SESSION) {
		session_open(machine, command);
		return 0;
	}
	if (!session_admit(machine, command, &session))
		return 0;
	int code = execute(machine, command, &answer, error);
	if (code == 0 && command->session != 0)
		session_answer(machine, session, command, answer);
	else
		text_release(answer.text);
	return code;
}
