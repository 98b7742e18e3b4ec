#include "discovery/source.h"

#include "base/log.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>

/* --- kinds --------------------------------------------------------------------------------------------------------- */

static int check_fixed(const char *text, struct error *error)
{
	return address_check(text, error);
}

void source_opens_nothing(struct source *source, const struct discovery_options *options)
{
	(void)source;
	(void)options;
}

void source_closes_nothing(struct source *source)
{
	(void)source;
}

static void look_at_fixed(struct source *source)
{
	struct places places = {0};
	struct address address;
	if (address_parse(source->text, &address))
		places_add(&places, &address, SLICE(""), false);
	source_found(source, &places);
}

const struct source_kind source_fixed = {
	"", MSEC_NEVER, check_fixed, source_opens_nothing, look_at_fixed, source_closes_nothing, NULL,
};

const struct source_kind *source_kind_of(const char *spelled, const char **ret_text)
{
	static const struct source_kind *const kinds[] = {&source_name, &source_file, &source_kubernetes};
	struct address address;
	*ret_text = spelled;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		size_t size = strlen(kinds[i]->prefix);
		if (strncmp(spelled, kinds[i]->prefix, size) == 0) {
			*ret_text = spelled + size;
			return kinds[i];
		}
	}
	return address_parse(spelled, &address) ? &source_fixed : &source_name;
}

/* --- the thread ---------------------------------------------------------------------------------------------------- */

static void jobs_ready(void *context, bool readable, bool writable)
{
	struct source *source = context;
	(void)readable;
	(void)writable;
	jobs_collect(source->jobs);
}

static int need_thread(struct source *source, struct error *error)
{
	if (source->kind->drop == NULL)
		return 0;
	if (jobs_create("discovery", &source->jobs) != 0)
		return error_set(error, ERR_IO, "the system gives no thread to look for \"%s\" with", source->spelled);
	source->watch = loop_watch_create(source->loop, jobs_descriptor(source->jobs), jobs_ready, source);
	loop_watch_set(source->watch, true, false);
	return 0;
}

void source_give(struct source *source, struct job *job)
{
	jobs_give(source->jobs, job);
}

/* --- looks --------------------------------------------------------------------------------------------------------- */

void source_look(struct source *source)
{
	if (source->looking)
		return;
	source->looking = true;
	source->looks++;
	source->kind->look(source);
}

static void look_due(void *context)
{
	source_look(context);
}

/* A quarter more or less: those that started together do not stay together. */
static void look_again_in(struct source *source, msec wait)
{
	if (wait == MSEC_NEVER)
		return;
	wait = wait * 3 / 4 + (msec)random_below(&source->random, (uint64_t)wait / 2 + 1);
	loop_timer_set(source->timer, loop_now(source->loop) + wait);
}

void source_found(struct source *source, const struct places *places)
{
	assert(source->looking);
	source->looking = false;
	if (source->failures > 0)
		log_write(LOG_INFO, "discovery", "%s: answers again, after %u looks that failed", source->spelled, source->failures);
	source->failures = 0;
	source->problem.code = 0;
	look_again_in(source, source->kind->period);
	if (places_equal(&source->places, places))
		return;
	source->places = *places;
	source->changed(source->context);
}

void source_failed(struct source *source, const struct error *error)
{
	assert(source->looking && error->code != 0);
	msec now = loop_now(source->loop);
	source->looking = false;
	source->errors++;
	source->problem = *error;
	if (source->failures == 0 || now - source->logged_at >= DISCOVERY_LOG_MS) {
		log_write(LOG_WARNING, "discovery", "%s: %s; what was found before stays, %zu addresses (%" PRIu64 " looks failed)",
		          source->spelled, error->text, source->places.count, source->errors);
		source->logged_at = now;
	}
	msec wait = DISCOVERY_FAILED_MS;
	for (uint32_t i = 0; i < source->failures && wait < DISCOVERY_FAILED_MAX_MS; i++)
		wait *= 2;
	source->failures++;
	look_again_in(source, msec_earlier(wait, DISCOVERY_FAILED_MAX_MS));
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

int source_init(struct source *source, struct loop *loop, const char *spelled, const struct discovery_options *options,
                void (*changed)(void *context), void *context, struct error *error)
{
	const char *text;
	*source = (struct source){.kind = source_kind_of(spelled, &text),
	                          .loop = loop,
	                          .spelled = mem_string(spelled),
	                          .changed = changed,
	                          .context = context,
	                          .random = {options->seed}};
	source->text = mem_string(text);
	source->timer = loop_timer_create(loop, look_due, source);
	source->kind->open(source, options);
	return need_thread(source, error);
}

void source_finish(struct source *source)
{
	loop_watch_destroy(source->watch);
	jobs_abandon(source->jobs, source->kind->drop);
	loop_timer_destroy(source->timer);
	source->kind->close(source);
	mem_free(source->text);
	mem_free(source->spelled);
}
