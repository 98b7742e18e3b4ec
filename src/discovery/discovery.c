#include "discovery/discovery.h"

#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "discovery/source.h"

#include <assert.h>
#include <inttypes.h>

struct discovery {
	discovery_found *found;
	void *context;
	struct source *sources;
	size_t source_count;
	struct places told;
	bool starting; /* what is found at once is told together */
};

int discovery_check(const char *source, struct error *error)
{
	const char *text;
	const struct source_kind *kind = source_kind_of(source, &text);
	return kind->check(text, error);
}

bool discovery_is_local(const char *source)
{
	const char *text;
	struct address address;
	const struct source_kind *kind = source_kind_of(source, &text);
	if (kind == &source_fixed)
		return address_parse(text, &address) && address_is_loopback(&address);
	return kind == &source_name && strncmp(text, "localhost:", strlen("localhost:")) == 0;
}

static void changed(void *context)
{
	struct discovery *discovery = context;
	struct places all = {0};
	if (discovery->starting)
		return;
	for (size_t i = 0; i < discovery->source_count; i++)
		places_add_all(&all, &discovery->sources[i].places);
	if (places_equal(&all, &discovery->told))
		return;
	if (all.left_out > 0 && discovery->told.left_out == 0)
		log_write(LOG_WARNING, "discovery", "%zu addresses were found, %d of them are used", all.count + all.left_out, PLACES_MAX);
	discovery->told = all;
	discovery->found(discovery->context, &all);
}

int discovery_create(struct loop *loop, const struct discovery_options *options, discovery_found *found, void *context,
                     struct discovery **ret_discovery, struct error *error)
{
	int code = options->source_count > DISCOVERY_SOURCES_MAX
	                   ? error_set(error, ERR_LIMIT, "more than %d addresses to join by", DISCOVERY_SOURCES_MAX)
	                   : 0;
	for (size_t i = 0; i < options->source_count && code == 0; i++)
		code = discovery_check(options->sources[i], error);
	if (code != 0)
		return code;
	struct discovery *discovery = mem_zero(sizeof *discovery);
	struct discovery_options one = *options;
	discovery->found = found;
	discovery->context = context;
	discovery->sources = options->source_count > 0 ? mem_array(options->source_count, sizeof *discovery->sources) : NULL;
	while (code == 0 && discovery->source_count < options->source_count) {
		one.seed += discovery->source_count;
		size_t i = discovery->source_count++;
		code = source_init(&discovery->sources[i], loop, options->sources[i], &one, changed, discovery, error);
	}
	if (code == 0)
		*ret_discovery = discovery;
	else
		discovery_destroy(discovery);
	return code;
}

void discovery_destroy(struct discovery *discovery)
{
	if (discovery == NULL)
		return;
	for (size_t i = 0; i < discovery->source_count; i++)
		source_finish(&discovery->sources[i]);
	mem_free(discovery->sources);
	mem_free(discovery);
}

void discovery_start(struct discovery *discovery)
{
	discovery->starting = true;
	for (size_t i = 0; i < discovery->source_count; i++)
		source_look(&discovery->sources[i]);
	discovery->starting = false;
	changed(discovery);
}

static void print_source(const struct source *source, struct buffer *out)
{
	buffer_append_string(out, "{\"source\":");
	json_quote(out, slice_of(source->spelled));
	buffer_append_string(out, ",\"found\":[");
	for (size_t i = 0; i < source->places.count; i++) {
		const struct place *place = &source->places.places[i];
		buffer_format(out, "%s\"%s%s\"", i > 0 ? "," : "", place->secure ? "https://" : "", place->address);
	}
	buffer_format(out, "],\"looks\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"problem\":", source->looks, source->errors);
	json_quote(out, slice_of(source->problem.code != 0 ? source->problem.text : ""));
	buffer_append_char(out, '}');
}

void discovery_status(const struct discovery *discovery, struct buffer *out)
{
	uint64_t errors = 0;
	for (size_t i = 0; i < discovery->source_count; i++)
		errors += discovery->sources[i].errors;
	buffer_format(out, ",\"discovery_errors\":%" PRIu64 ",\"discovery\":[", errors);
	for (size_t i = 0; i < discovery->source_count; i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		print_source(&discovery->sources[i], out);
	}
	buffer_append_char(out, ']');
}
