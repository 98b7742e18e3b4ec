#include "daemon/log_facts.h"

#include "base/memory.h"
#include "wire/command.h"

#include <assert.h>
#include <inttypes.h>

static_assert(COMMAND_MEMBERS_MAX <= RAFT_MEMBERS_MAX, "a configuration of the log has room in Raft's");

void log_facts_finish(struct log_facts *facts)
{
	mem_free(facts->runs);
	mem_free(facts->configurations);
	arena_finish(&facts->arena);
	*facts = LOG_FACTS_EMPTY;
}

static int wrong(int code, const struct wal_record *record, struct error *error)
{
	error_prefix(error, "entry %" PRIu64 " of the log", record->index);
	return code;
}

static int add_run(struct log_facts *facts, const struct wal_record *record, struct error *error)
{
	uint64_t last = facts->run_count > 0 ? facts->runs[facts->run_count - 1].term : 0;
	if (record->term == last)
		return 0;
	if (record->term < last)
		return wrong(error_set(error, ERR_CORRUPT, "its term %" PRIu64 " is below that of the one before, %" PRIu64,
		                       record->term, last),
		             record, error);
	mem_grow(facts->runs, facts->run_capacity, facts->run_count + 1);
	facts->runs[facts->run_count++] = (struct raft_term_run){record->index, record->term};
	return 0;
}

static int add_configuration(struct log_facts *facts, const struct wal_record *record, struct error *error)
{
	struct command command;
	int code = command_decode(record->body, &facts->arena, &command, error);
	if (code == 0 && command.kind != COMMAND_CONFIGURATION)
		code = error_set(error, ERR_CORRUPT, "it holds two commands");
	if (code != 0)
		return wrong(code, record, error);
	mem_grow(facts->configurations, facts->configuration_capacity, facts->configuration_count + 1);
	struct raft_configuration *configuration = &facts->configurations[facts->configuration_count++];
	*configuration = (struct raft_configuration){.index = record->index, .count = (uint32_t)command.configuration.count};
	for (size_t i = 0; i < command.configuration.count; i++)
		configuration->members[i] =
			(struct raft_member){command.configuration.members[i].id, command.configuration.members[i].voter};
	arena_reset(&facts->arena);
	return 0;
}

int log_facts_add(struct log_facts *facts, const struct wal_record *record, struct error *error)
{
	struct command_head head;
	int code = command_peek(record->body, &head);
	if (code != 0)
		return wrong(error_set(error, code, "it cannot be decoded"), record, error);
	code = add_run(facts, record, error);
	if (code == 0 && head.configuration)
		code = add_configuration(facts, record, error);
	return code;
}
