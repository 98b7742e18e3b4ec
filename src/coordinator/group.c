#include "coordinator/internal.h"

#include "base/json.h"

#include <assert.h>
#include <inttypes.h>

/* The group that the catalog belongs to, as rows of `meta`: a copy of the catalog tells a new member what the log before it said. */

#define CONFIGURATION_KEY "raft_configuration"
#define TERMS_KEY "raft_terms"
#define CLUSTER_KEY "cluster_id"
#define NUMBER_END (INT64_C(1) << 53)

/* --- writing ------------------------------------------------------------------------------------------------------- */

static int save_configuration(struct machine *machine)
{
	const struct machine_configuration *configuration = &machine->configuration;
	struct buffer *out = &machine->scratch;
	buffer_clear(out);
	buffer_format(out, "{\"index\":%" PRIu64 ",\"members\":[", configuration->index);
	for (size_t i = 0; i < configuration->count; i++)
		buffer_format(out, "%s{\"id\":%" PRIu64 ",\"voter\":%s}", i > 0 ? "," : "", configuration->members[i].id,
		              configuration->members[i].voter ? "true" : "false");
	buffer_append_string(out, "]}");
	return catalog_meta_set_text(machine->catalog, CONFIGURATION_KEY, buffer_slice(out));
}

static int save_terms(struct machine *machine)
{
	struct buffer *out = &machine->scratch;
	buffer_clear(out);
	buffer_append_char(out, '[');
	for (size_t i = 0; i < machine->run_count; i++)
		buffer_format(out, "%s[%" PRIu64 ",%" PRIu64 "]", i > 0 ? "," : "", machine->runs[i].first,
		              machine->runs[i].term);
	buffer_append_char(out, ']');
	return catalog_meta_set_text(machine->catalog, TERMS_KEY, buffer_slice(out));
}

static void set_members(struct machine *machine, uint64_t index, const struct command_member *members, size_t count)
{
	assert(count > 0 && count <= COMMAND_MEMBERS_MAX);
	machine->configuration.index = index;
	machine->configuration.count = count;
	for (size_t i = 0; i < count; i++)
		machine->configuration.members[i] = members[i];
}

int apply_configuration(struct machine *machine, const struct command *command)
{
	set_members(machine, machine->applied_index, command->configuration.members, command->configuration.count);
	return save_configuration(machine);
}

int group_note_term(struct machine *machine, uint64_t index, uint64_t term)
{
	size_t count = machine->run_count;
	if (count > 0 && machine->runs[count - 1].term == term)
		return 0;
	assert(count == 0 || machine->runs[count - 1].term < term);
	if (count == MACHINE_TERM_RUNS) {
		for (size_t i = 1; i < count; i++)
			machine->runs[i - 1] = machine->runs[i];
		count--;
	}
	machine->runs[count] = (struct machine_term_run){index, term};
	machine->run_count = count + 1;
	return save_terms(machine);
}

int machine_found(struct machine *machine, struct slice cluster_id, const struct command_member *members, size_t count,
                  struct error *error)
{
	assert(machine->applied_index == 0 && machine->configuration.count == 0);
	int code = machine_begin(machine, error);
	if (code != 0)
		return code;
	set_members(machine, 0, members, count);
	code = catalog_meta_set_text(machine->catalog, CLUSTER_KEY, cluster_id);
	if (code == 0)
		code = save_configuration(machine);
	if (code != 0)
		return error_set(error, code, "the catalog cannot be written: %s", catalog_error(machine->catalog));
	return machine_commit(machine, error);
}

int machine_join(struct machine *machine, struct slice cluster_id, struct error *error)
{
	int code = machine_begin(machine, error);
	if (code != 0)
		return code;
	code = catalog_meta_set_text(machine->catalog, CLUSTER_KEY, cluster_id);
	if (code != 0)
		return error_set(error, code, "the catalog cannot be written: %s", catalog_error(machine->catalog));
	return machine_commit(machine, error);
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

static bool number(struct slice value, uint64_t *ret_number)
{
	long long number = 0;
	if (json_integer(value, 0, NUMBER_END, &number) != 0)
		return false;
	*ret_number = (uint64_t)number;
	return true;
}

static bool parse_member(struct slice value, struct command_member *ret_member)
{
	struct slice field;
	if (json_kind(value) != JSON_OBJECT || !json_member(value, SLICE("id"), &field) || !number(field, &ret_member->id))
		return false;
	if (!json_member(value, SLICE("voter"), &field))
		return false;
	ret_member->voter = json_kind(field) == JSON_TRUE;
	return true;
}

bool machine_configuration_parse(struct slice text, struct machine_configuration *configuration)
{
	struct json_iterator iterator;
	struct slice members;
	struct slice field;
	struct slice key;
	if (json_check(text, NULL) != 0 || json_kind(json_trim(text)) != JSON_OBJECT)
		return false;
	if (!json_member(text, SLICE("index"), &field) || !number(field, &configuration->index))
		return false;
	if (!json_member(text, SLICE("members"), &members) || json_kind(members) != JSON_ARRAY)
		return false;
	json_iterate(&iterator, members);
	while (json_next(&iterator, &key, &field)) {
		if (configuration->count == COMMAND_MEMBERS_MAX ||
		    !parse_member(field, &configuration->members[configuration->count++]))
			return false;
	}
	return configuration->count > 0;
}

static bool parse_terms(struct slice text, struct machine *machine)
{
	struct json_iterator iterator;
	struct slice pair;
	struct slice key;
	if (json_check(text, NULL) != 0 || json_kind(json_trim(text)) != JSON_ARRAY)
		return false;
	json_iterate(&iterator, text);
	while (json_next(&iterator, &key, &pair)) {
		struct json_iterator inner;
		struct slice first;
		struct slice term;
		if (machine->run_count == MACHINE_TERM_RUNS || json_kind(pair) != JSON_ARRAY || json_count(pair) != 2)
			return false;
		struct machine_term_run *run = &machine->runs[machine->run_count++];
		json_iterate(&inner, pair);
		json_next(&inner, &key, &first);
		json_next(&inner, &key, &term);
		if (!number(first, &run->first) || !number(term, &run->term))
			return false;
		if (machine->run_count > 1 && (run[-1].first >= run->first || run[-1].term >= run->term))
			return false;
	}
	return true;
}

int group_load(struct machine *machine, struct error *error)
{
	struct buffer text = BUFFER_EMPTY;
	bool good = true;
	int code = catalog_meta_text(machine->catalog, CONFIGURATION_KEY, &text);
	if (code == 0 && text.size != 0)
		good = machine_configuration_parse(buffer_slice(&text), &machine->configuration);
	buffer_clear(&text);
	if (code == 0)
		code = catalog_meta_text(machine->catalog, TERMS_KEY, &text);
	if (code == 0 && text.size != 0)
		good = parse_terms(buffer_slice(&text), machine) && good;
	buffer_finish(&text);
	if (code != 0)
		return error_set(error, code, "the catalog cannot be read: %s", catalog_error(machine->catalog));
	if (!good)
		return error_set(error, ERR_CORRUPT, "the catalog's meta rows %s and %s cannot be: restore a snapshot",
		                 CONFIGURATION_KEY, TERMS_KEY);
	return 0;
}

const struct machine_configuration *machine_configuration(const struct machine *machine)
{
	return &machine->configuration;
}

const struct machine_term_run *machine_term_runs(const struct machine *machine, size_t *ret_count)
{
	*ret_count = machine->run_count;
	return machine->runs;
}

uint64_t machine_applied_term(const struct machine *machine)
{
	return machine->applied_term;
}
