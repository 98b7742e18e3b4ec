/* One source, for the files of this directory: what each kind of them must have, and what it gets. */
#ifndef CLUSTERD_DISCOVERY_SOURCE_H
#define CLUSTERD_DISCOVERY_SOURCE_H

#include "base/random.h"
#include "discovery/discovery.h"
#include "net/jobs.h"

struct source;

struct source_kind {
	const char *prefix; /* "file:" */
	msec period;        /* from the end of a look that went well to the next one; MSEC_NEVER: there is none */
	/* `text` is what comes behind the prefix. ERR_INVALID, ERR_LIMIT. */
	int (*check)(const char *text, struct error *error);
	/* Makes what the kind needs, source->own; the text was checked. */
	void (*open)(struct source *source, const struct discovery_options *options);
	/* Begins a look, which ends with one call of source_found or source_failed, then or later. */
	void (*look)(struct source *source);
	/* Releases source->own; a look may be under way, and nothing may come of it any more. */
	void (*close)(struct source *source);
	/* Releases a job that was given; NULL: it gives none. It may be called on the thread. */
	void (*drop)(struct job *job);
};

extern const struct source_kind source_fixed;
extern const struct source_kind source_name;
extern const struct source_kind source_file;
extern const struct source_kind source_kubernetes;

struct source {
	const struct source_kind *kind;
	struct loop *loop;
	char *spelled; /* as a person wrote it */
	char *text;    /* without the prefix */
	void *own;     /* of the kind */
	void (*changed)(void *context);
	void *context;
	struct places places; /* as last found */
	struct loop_timer *timer;
	struct jobs *jobs; /* NULL: it needs none */
	struct loop_watch *watch;
	struct random random;
	uint64_t looks;
	uint64_t errors;
	uint32_t failures; /* since the last look that went well */
	msec logged_at;
	struct error problem; /* code 0: the last look went well */
	bool looking;
};

/* The kind that a source is of, and what stands behind its prefix. */
const struct source_kind *source_kind_of(const char *spelled, const char **ret_text);

/* ERR_IO: no thread. To be finished in any case. */
int source_init(struct source *source, struct loop *loop, const char *spelled, const struct discovery_options *options,
                void (*changed)(void *context), void *context, struct error *error);
void source_finish(struct source *source);
void source_look(struct source *source);
void source_opens_nothing(struct source *source, const struct discovery_options *options);
void source_closes_nothing(struct source *source);
/* The end of a look. */
void source_found(struct source *source, const struct places *places);
void source_failed(struct source *source, const struct error *error);
/* Runs a job on the source's own thread; a source that has to wait holds no other one up. The job must not use the source but in `done`: a
 * source that is finished does not wait for a name server, or a disk, that hangs. */
void source_give(struct source *source, struct job *job);

#endif
