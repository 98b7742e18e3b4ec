#include "election/configuration.h"

#include "base/error.h"
#include "base/memory.h"

#include <assert.h>
#include <string.h>

void configurations_init(struct configurations *configurations, const struct raft_configuration *first)
{
	*configurations = (struct configurations){0};
	mem_grow(configurations->list, configurations->capacity, 1);
	configurations->list[0] = *first;
	configurations->count = 1;
}

void configurations_finish(struct configurations *configurations)
{
	mem_free(configurations->list);
	*configurations = (struct configurations){0};
}

const struct raft_configuration *configurations_latest(const struct configurations *configurations)
{
	return &configurations->list[configurations->count - 1];
}

void configurations_add(struct configurations *configurations, const struct raft_configuration *configuration)
{
	assert(configuration->index > configurations_latest(configurations)->index);
	mem_grow(configurations->list, configurations->capacity, configurations->count + 1);
	configurations->list[configurations->count++] = *configuration;
}

void configurations_cut_after(struct configurations *configurations, uint64_t index)
{
	while (configurations->count > 1 && configurations_latest(configurations)->index > index)
		configurations->count--;
}

void configurations_committed(struct configurations *configurations, uint64_t index)
{
	size_t gone = 0;
	while (gone + 1 < configurations->count && configurations->list[gone + 1].index <= index)
		gone++;
	configurations->count -= gone;
	memmove(configurations->list, configurations->list + gone, configurations->count * sizeof *configurations->list);
}

void configurations_reset(struct configurations *configurations, const struct raft_configuration *first)
{
	configurations->list[0] = *first;
	configurations->count = 1;
}

bool configurations_may_lead(const struct configurations *configurations, uint64_t member)
{
	for (size_t i = 0; i < configurations->count; i++)
		if (configuration_is_voter(&configurations->list[i], member))
			return true;
	return false;
}

const struct raft_member *configuration_find(const struct raft_configuration *configuration, uint64_t member)
{
	for (uint32_t i = 0; i < configuration->count; i++)
		if (configuration->members[i].id == member)
			return &configuration->members[i];
	return NULL;
}

bool configuration_is_voter(const struct raft_configuration *configuration, uint64_t member)
{
	const struct raft_member *found = configuration_find(configuration, member);
	return found != NULL && found->voter;
}

uint32_t configuration_voters(const struct raft_configuration *configuration)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < configuration->count; i++)
		count += configuration->members[i].voter;
	return count;
}

uint32_t configuration_quorum(const struct raft_configuration *configuration)
{
	return configuration->count == 0 ? 0 : configuration_voters(configuration) / 2 + 1;
}

bool configuration_valid(const struct raft_configuration *configuration)
{
	if (configuration->count == 0 || configuration->count > RAFT_MEMBERS_MAX)
		return false;
	for (uint32_t i = 0; i < configuration->count; i++) {
		uint64_t id = configuration->members[i].id;
		if (id == 0 || configuration_find(configuration, id) != &configuration->members[i])
			return false;
	}
	uint32_t voters = configuration_voters(configuration);
	return voters > 0 && voters <= RAFT_VOTERS_MAX;
}

static int add(struct raft_configuration *configuration, uint64_t member)
{
	if (configuration_find(configuration, member) != NULL)
		return ERR_EXISTS;
	if (configuration->count == RAFT_MEMBERS_MAX)
		return ERR_LIMIT;
	configuration->members[configuration->count++] = (struct raft_member){.id = member};
	return 0;
}

static int set_voter(struct raft_configuration *configuration, struct raft_member *member, bool voter)
{
	if (member->voter == voter)
		return ERR_EXISTS;
	if (voter && configuration_voters(configuration) == RAFT_VOTERS_MAX)
		return ERR_LIMIT;
	if (!voter && configuration_voters(configuration) == 1)
		return ERR_INVALID;
	member->voter = voter;
	return 0;
}

static int drop(struct raft_configuration *configuration, struct raft_member *member)
{
	if (member->voter && configuration_voters(configuration) == 1)
		return ERR_INVALID;
	struct raft_member *end = configuration->members + configuration->count;
	memmove(member, member + 1, (size_t)(end - member - 1) * sizeof *member);
	configuration->count--;
	return 0;
}

int configuration_change(const struct raft_configuration *configuration, const struct raft_change *change,
                         struct raft_configuration *ret_configuration)
{
	struct raft_configuration changed = *configuration;
	int result;
	if (change->member == 0)
		return ERR_INVALID;
	const struct raft_member *found = configuration_find(configuration, change->member);
	struct raft_member *member = found != NULL ? changed.members + (found - configuration->members) : NULL;
	if (change->kind == RAFT_ADD_LEARNER)
		result = add(&changed, change->member);
	else if (member == NULL)
		result = ERR_NOT_FOUND;
	else if (change->kind == RAFT_REMOVE)
		result = drop(&changed, member);
	else
		result = set_voter(&changed, member, change->kind == RAFT_PROMOTE);
	if (result == 0)
		*ret_configuration = changed;
	return result;
}
