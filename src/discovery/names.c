/* All addresses of a name, looked up again and again: a record that changes is followed. */
#include "base/memory.h"
#include "discovery/source.h"

#define NAMES_PERIOD_MS 5000

struct lookup {
	struct job job;
	struct source *source;
	char *text; /* its own: the source may be gone before the name server answers */
	struct address addresses[PLACES_MAX];
	size_t count;
	struct error error;
};

static int check(const char *text, struct error *error)
{
	return address_check(text, error);
}

static void look_up(struct job *job)
{
	struct lookup *lookup = (struct lookup *)job;
	if (address_resolve_many(lookup->text, false, lookup->addresses, PLACES_MAX, &lookup->count, &lookup->error) == 0 &&
	    lookup->count == 0)
		error_set(&lookup->error, ERR_NOT_FOUND, "address \"%s\": no addresses", lookup->text);
}

static void drop(struct job *job)
{
	mem_free(((struct lookup *)job)->text);
	mem_free(job);
}

static void looked_up(struct job *job)
{
	struct lookup *lookup = (struct lookup *)job;
	struct places places = {0};
	for (size_t i = 0; i < lookup->count; i++)
		places_add(&places, &lookup->addresses[i], SLICE(""), false);
	if (lookup->error.code != 0)
		source_failed(lookup->source, &lookup->error);
	else
		source_found(lookup->source, &places);
	drop(job);
}

static void look(struct source *source)
{
	struct lookup *lookup = mem_zero(sizeof *lookup);
	lookup->job.run = look_up;
	lookup->job.done = looked_up;
	lookup->source = source;
	lookup->text = mem_string(source->text);
	source_give(source, &lookup->job);
}

const struct source_kind source_name = {
	"dns:", NAMES_PERIOD_MS, check, source_opens_nothing, look, source_closes_nothing, drop,
};
