#include "daemon/resolver.h"

#include "base/memory.h"
#include "net/jobs.h"

#include <assert.h>
#include <string.h>
#include <uthash.h>

#define WATCHERS_MAX 16

struct name {
	char *address; /* HOST:PORT, as it was asked for */
	struct address addresses[ADDRESS_CHOICES];
	size_t count; /* 0: none are known */
	struct error error;
	msec good_until;
	bool looking;
	UT_hash_handle hh;
};

struct lookup {
	struct job job;
	struct resolver *resolver;
	char *address;
	struct address addresses[ADDRESS_CHOICES];
	size_t count;
	struct error error;
};

struct resolver {
	struct loop *loop;
	struct jobs *jobs; /* NULL until a name comes: numbers need none */
	struct loop_watch *watch;
	struct name *names;
	struct {
		void (*ended)(void *context);
		void *context;
	} watchers[WATCHERS_MAX];
	size_t watcher_count;
};

struct resolver *resolver_create(struct loop *loop)
{
	struct resolver *resolver = mem_zero(sizeof *resolver);
	resolver->loop = loop;
	return resolver;
}

void resolver_watch(struct resolver *resolver, void (*ended)(void *context), void *context)
{
	assert(resolver->watcher_count < WATCHERS_MAX);
	resolver->watchers[resolver->watcher_count].ended = ended;
	resolver->watchers[resolver->watcher_count++].context = context;
}

void resolver_forget(struct resolver *resolver, void (*ended)(void *context), void *context)
{
	size_t kept = 0;
	for (size_t i = 0; i < resolver->watcher_count; i++) {
		if (resolver->watchers[i].ended != ended || resolver->watchers[i].context != context)
			resolver->watchers[kept++] = resolver->watchers[i];
	}
	resolver->watcher_count = kept;
}

static struct name *name_find(const struct resolver *resolver, const char *address)
{
	struct name *name;
	HASH_FIND_STR(resolver->names, address, name);
	return name;
}

static void name_destroy(struct resolver *resolver, struct name *name)
{
	HASH_DELETE(hh, resolver->names, name);
	mem_free(name->address);
	mem_free(name);
}

/* --- the thread ---------------------------------------------------------------------------------------------------- */

static void look_up(struct job *job)
{
	struct lookup *lookup = (struct lookup *)job;
	if (address_resolve(lookup->address, false, lookup->addresses, &lookup->count, &lookup->error) == 0 &&
	    lookup->count == 0)
		error_set(&lookup->error, ERR_NOT_FOUND, "address \"%s\": no addresses", lookup->address);
}

static void drop(struct job *job)
{
	mem_free(((struct lookup *)job)->address);
	mem_free(job);
}

static void looked_up(struct job *job)
{
	struct lookup *lookup = (struct lookup *)job;
	struct resolver *resolver = lookup->resolver;
	struct name *name = name_find(resolver, lookup->address);
	if (name != NULL) {
		name->looking = false;
		name->error = lookup->error;
		name->good_until = loop_now(resolver->loop) + (lookup->count > 0 ? RESOLVER_KEEP_MS : RESOLVER_FAILED_MS);
		if (lookup->count > 0) {
			name->count = lookup->count;
			memcpy(name->addresses, lookup->addresses, sizeof name->addresses);
		}
	}
	drop(job);
	for (size_t i = 0; i < resolver->watcher_count; i++)
		resolver->watchers[i].ended(resolver->watchers[i].context);
}

static void jobs_ready(void *context, bool readable, bool writable)
{
	struct resolver *resolver = context;
	(void)readable;
	(void)writable;
	jobs_collect(resolver->jobs);
}

static int need_thread(struct resolver *resolver, struct error *error)
{
	if (resolver->jobs != NULL)
		return 0;
	if (jobs_create("names", &resolver->jobs) != 0)
		return error_set(error, ERR_IO, "the system gives no thread to look up names with");
	resolver->watch = loop_watch_create(resolver->loop, jobs_descriptor(resolver->jobs), jobs_ready, resolver);
	loop_watch_set(resolver->watch, true, false);
	return 0;
}

void resolver_destroy(struct resolver *resolver)
{
	struct name *name;
	struct name *next;
	if (resolver == NULL)
		return;
	loop_watch_destroy(resolver->watch);
	jobs_abandon(resolver->jobs, drop);
	HASH_ITER(hh, resolver->names, name, next)
		name_destroy(resolver, name);
	mem_free(resolver);
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

/* Makes room for one more by forgetting what is not good any more. false: there is none. */
static bool make_room(struct resolver *resolver)
{
	struct name *name;
	struct name *next;
	msec now = loop_now(resolver->loop);
	if (HASH_COUNT(resolver->names) < RESOLVER_NAMES_MAX)
		return true;
	HASH_ITER(hh, resolver->names, name, next) {
		if (!name->looking && name->good_until <= now)
			name_destroy(resolver, name);
	}
	return HASH_COUNT(resolver->names) < RESOLVER_NAMES_MAX;
}

static void start(struct resolver *resolver, struct name *name)
{
	struct lookup *lookup = mem_zero(sizeof *lookup);
	lookup->job.run = look_up;
	lookup->job.done = looked_up;
	lookup->resolver = resolver;
	lookup->address = mem_string(name->address);
	name->looking = true;
	jobs_give(resolver->jobs, &lookup->job);
}

int resolver_find(struct resolver *resolver, const char *address, struct address ret_addresses[ADDRESS_CHOICES],
                  size_t *ret_count, struct error *error)
{
	if (address_is_file(address))
		return error_set(error, ERR_INVALID, "address \"%s\" is a path; other nodes are at HOST:PORT", address);
	if (address_parse(address, &ret_addresses[0])) {
		*ret_count = 1;
		return 1;
	}
	struct name *name = name_find(resolver, address);
	if (name == NULL) {
		int code = need_thread(resolver, error);
		if (code != 0)
			return code;
		if (!make_room(resolver))
			return error_set(error, ERR_LIMIT, "more than %d names of hosts", RESOLVER_NAMES_MAX);
		name = mem_zero(sizeof *name);
		name->address = mem_string(address);
		HASH_ADD_KEYPTR(hh, resolver->names, name->address, strlen(name->address), name);
	}
	if (!name->looking && name->good_until <= loop_now(resolver->loop))
		start(resolver, name);
	if (name->count > 0) {
		memcpy(ret_addresses, name->addresses, name->count * sizeof *ret_addresses);
		*ret_count = name->count;
		return 1;
	}
	if (name->looking)
		return 0;
	*error = name->error;
	return error->code;
}
