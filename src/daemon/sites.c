#include "daemon/node_internal.h"
#include "daemon/placing.h"

#include "base/json.h"
#include "base/memory.h"

#include <assert.h>

static char *text_of(struct slice slice)
{
	char *text = mem_alloc(slice.size + 1);
	if (slice.size != 0)
		memcpy(text, slice.data, slice.size);
	text[slice.size] = '\0';
	return text;
}

struct site *site_of(const struct node *node, uint64_t member)
{
	struct site *site;
	TAILQ_FOREACH(site, &node->sites.all, link) {
		if (site->member == member)
			return site;
	}
	return NULL;
}

static struct site *site_named(const struct node *node, struct slice name)
{
	struct site *site;
	TAILQ_FOREACH(site, &node->sites.all, link) {
		if (site->name != NULL && slice_equal(slice_of(site->name), name))
			return site;
	}
	return NULL;
}

static struct site *site_create(struct node *node, uint64_t member, struct slice name)
{
	struct site *site = mem_zero(sizeof *site);
	site->member = member;
	if (name.size != 0)
		site->name = text_of(name);
	site->spot.site = site;
	site->on.last = site->own = member == node->id;
	TAILQ_INIT(&site->orphans.head);
	TAILQ_INIT(&site->worker_orphans.head);
	TAILQ_INSERT_TAIL(&node->sites.all, site, link);
	return site;
}

static void site_free(struct site *site)
{
	mem_free(site->name);
	mem_free(site->tags);
	mem_free(site->tag_words);
	mem_free(site->assigned);
	mem_free(site);
}

static struct site *need_site(struct node *node, uint64_t member)
{
	struct site *site = site_of(node, member);
	return site != NULL ? site : site_create(node, member, SLICE(""));
}

/* --- orphans -------------------------------------------------------------------------------------------------------- */

static struct orphan *orphan_find(const struct node *node, uint64_t instance, uint32_t ref)
{
	struct {
		uint64_t instance;
		uint64_t ref;
	} key = {instance, ref};
	struct orphan *orphan;
	HASH_FIND(hh, node->sites.orphans, &key, sizeof key, orphan);
	return orphan;
}

static struct orphan *orphan_add(struct node *node, struct orphan_list *list, struct call_id call)
{
	struct orphan *orphan = orphan_find(node, call.instance, call.ref);
	if (orphan != NULL)
		return orphan;
	orphan = mem_zero(sizeof *orphan);
	orphan->key.instance = call.instance;
	orphan->key.ref = call.ref;
	orphan->attempt = call.attempt;
	orphan->list = list;
	TAILQ_INSERT_TAIL(&list->head, orphan, link);
	HASH_ADD(hh, node->sites.orphans, key, sizeof orphan->key, orphan);
	return orphan;
}

static void orphan_remove(struct node *node, struct orphan *orphan)
{
	TAILQ_REMOVE(&orphan->list->head, orphan, link);
	HASH_DELETE(hh, node->sites.orphans, orphan);
	mem_free(orphan);
}

/* Nobody has it any more: it is handed out anew. */
static void orphan_offer(struct node *node, struct orphan *orphan)
{
	uint64_t instance = orphan->key.instance;
	uint32_t ref = (uint32_t)orphan->key.ref;
	uint64_t attempt = orphan->attempt;
	orphan_remove(node, orphan);
	const struct call *call = node_calls_open(node, instance, ref);
	if (call != NULL && (call->state == CALL_READY || call->state == CALL_RUNNING))
		node_calls_offer(node, call, attempt);
}

static void orphans_offer(struct node *node, struct orphan_list *list)
{
	while (!TAILQ_EMPTY(&list->head) && !node->failed)
		orphan_offer(node, TAILQ_FIRST(&list->head));
}

void sites_forget(struct node *node, struct call_id call)
{
	struct orphan *orphan = node->sites.orphans != NULL ? orphan_find(node, call.instance, call.ref) : NULL;
	if (orphan != NULL && orphan->attempt == call.attempt)
		orphan_remove(node, orphan);
}

void sites_refused(struct node *node, struct call_id call)
{
	const struct place *place = dispatch_close(node->dispatch, call);
	if (place == NULL)
		return;
	struct orphan *orphan = orphan_add(node, &node->sites.refused, call);
	orphan->until = node->host->now(node->context) + SITE_REFUSED_MS;
}

/* --- places --------------------------------------------------------------------------------------------------------- */

static void place_lose(struct node *node, struct place *place, struct orphan_list *list)
{
	struct call_id call;
	while (dispatch_place_remove(node->dispatch, place, &call))
		orphan_add(node, list, call);
}

static void worker_lose(struct node *node, struct site *site, struct site_worker *worker)
{
	HASH_DELETE(hh, site->workers, worker);
	place_lose(node, worker->place, &site->worker_orphans);
	mem_free(worker);
}

/* It cannot be heard, or is asked anew: nothing is handed out to it, and what it runs waits. */
static void site_lose(struct node *node, struct site *site)
{
	struct site_worker *worker;
	struct site_worker *next_worker;
	struct site_pool *pool;
	if (site->exec != NULL)
		place_lose(node, site->exec, &site->orphans);
	site->exec = NULL;
	while ((pool = site->pools) != NULL) {
		site->pools = pool->next;
		place_lose(node, pool->place, &site->orphans);
		mem_free(pool);
	}
	HASH_ITER(hh, site->workers, worker, next_worker)
		worker_lose(node, site, worker);
	site->reported = site->answering = false;
	site->wait_until = site->worker_wait_until = node->host->now(node->context) + SITE_WAIT_MS;
}

static void site_ask(struct node *node, struct site *site)
{
	site_lose(node, site);
	site->survey = ++node->sites.last_survey;
	site->asked_at = node->host->now(node->context);
	if (site->own)
		runner_survey(node, node->id, raft_term(node->raft), site->survey);
	else
		frames_send_survey(node, site->member, raft_term(node->raft), site->survey);
}

/* What was asked may be lost, and is asked once more; parts of an answer that have come are void. Orphans go on waiting from when
 * it was asked first. */
static void site_ask_again(struct node *node, struct site *site, msec now)
{
	msec wait_until = site->wait_until;
	msec worker_wait_until = site->worker_wait_until;
	bool answering = site->answering;
	site_ask(node, site);
	if (!answering) {
		site->wait_until = msec_earlier(wait_until, now + SITE_WAIT_MS);
		site->worker_wait_until = msec_earlier(worker_wait_until, now + SITE_WAIT_MS);
	}
}

static void site_add_pool(struct node *node, struct site *site, const struct definition *process)
{
	struct site_pool *pool = mem_zero(sizeof *pool);
	pool->process = process;
	pool->place = dispatch_place_add(node->dispatch, PLACE_POOL, site->reported ? site->pool_calls : 0, &site->spot,
	                                 process, &site->on);
	pool->next = site->pools;
	site->pools = pool;
}

void sites_need_pool(struct node *node, const struct definition *process)
{
	struct known_pool *pool;
	struct site *site;
	HASH_FIND_PTR(node->sites.pools, &process, pool);
	if (pool != NULL)
		return;
	pool = mem_zero(sizeof *pool);
	pool->process = process;
	HASH_ADD_PTR(node->sites.pools, process, pool);
	TAILQ_FOREACH(site, &node->sites.all, link) {
		if (site->exec != NULL)
			site_add_pool(node, site, process);
	}
}

/* "gpu" and "gpu=a100" for each member of the object. */
static void site_take_tags(struct site *site, struct slice object)
{
	struct json_iterator iterator;
	struct slice key;
	struct slice value;
	struct buffer words = BUFFER_EMPTY;
	size_t capacity = 0;
	size_t *ends = NULL;
	size_t count = 0;
	mem_free(site->tag_words);
	mem_free(site->tags);
	if (json_check(object, NULL) == 0 && json_kind(json_trim(object)) == JSON_OBJECT) {
		json_iterate(&iterator, json_trim(object));
		while (json_next(&iterator, &key, &value)) {
			struct slice quoted = {key.data - 1, key.size + 2};
			mem_grow(ends, capacity, count + 2);
			json_unquote(&words, quoted);
			ends[count++] = words.size;
			json_unquote(&words, quoted);
			buffer_append_char(&words, '=');
			if (json_kind(value) == JSON_STRING)
				json_unquote(&words, value);
			ends[count++] = words.size;
		}
	}
	site->tag_words = text_of(buffer_slice(&words));
	site->tags = mem_array(count, sizeof *site->tags);
	for (size_t i = 0, begin = 0; i < count; begin = ends[i++])
		site->tags[i] = (struct slice){site->tag_words + begin, ends[i] - begin};
	site->on.tags = site->tags;
	site->on.tag_count = count;
	mem_free(ends);
	buffer_finish(&words);
}

/* --- what nodes tell ------------------------------------------------------------------------------------------------ */

static void site_take_name(struct node *node, struct site *site, struct slice name)
{
	struct site *other = site_named(node, name);
	struct orphan *orphan;
	mem_free(site->name);
	site->name = text_of(name);
	if (other == NULL || other == site || other->member != 0)
		return;
	/* Calls were found in the catalog before it was known whose name that is. */
	while ((orphan = TAILQ_FIRST(&other->orphans.head)) != NULL) {
		TAILQ_REMOVE(&other->orphans.head, orphan, link);
		orphan->list = &site->orphans;
		TAILQ_INSERT_TAIL(&site->orphans.head, orphan, link);
	}
	while ((orphan = TAILQ_FIRST(&other->worker_orphans.head)) != NULL) {
		TAILQ_REMOVE(&other->worker_orphans.head, orphan, link);
		orphan->list = &site->worker_orphans;
		TAILQ_INSERT_TAIL(&site->worker_orphans.head, orphan, link);
	}
	TAILQ_REMOVE(&node->sites.all, other, link);
	site_free(other);
}

static void answer_begin(struct node *node, struct site *site, const struct node_report *report)
{
	struct known_pool *pool;
	site->answering = true;
	site->dead = false;
	if (site->name == NULL || !slice_equal(slice_of(site->name), report->name))
		site_take_name(node, site, report->name);
	site_take_tags(site, report->tags);
	site->exec = dispatch_place_add(node->dispatch, PLACE_EXEC, 0, &site->spot, NULL, &site->on);
	for (pool = node->sites.pools; pool != NULL; pool = pool->hh.next)
		site_add_pool(node, site, pool->process);
}

static void take_slots(struct node *node, struct site *site, const struct node_report *report)
{
	site->exec_slots = report->exec_slots;
	site->pool_calls = report->pool_calls;
	if (!site->reported)
		return;
	dispatch_place_credit(node->dispatch, site->exec, site->exec_slots);
	for (struct site_pool *pool = site->pools; pool != NULL; pool = pool->next)
		dispatch_place_credit(node->dispatch, pool->place, site->pool_calls);
}

static void take_place(struct node *node, struct site *site, const struct place_report *report)
{
	struct site_worker *worker;
	HASH_FIND(hh, site->workers, &report->place, sizeof report->place, worker);
	if (report->gone) {
		if (worker != NULL)
			worker_lose(node, site, worker);
		return;
	}
	if (worker == NULL) {
		worker = mem_zero(sizeof *worker);
		worker->spot = (struct spot){site, report->place};
		worker->place = dispatch_place_add(node->dispatch, PLACE_WORKER, 0, &worker->spot, NULL, NULL);
		HASH_ADD(hh, site->workers, spot.place, sizeof worker->spot.place, worker);
	}
	worker->credit = report->credit;
	dispatch_place_offer(node->dispatch, worker->place, report->offers, report->offer_count,
	                     site->reported ? worker->credit : 0);
}

static struct place *place_of_run(struct node *node, struct site *site, uint64_t number, const struct definition *process)
{
	struct site_worker *worker;
	if (number != 0) {
		HASH_FIND(hh, site->workers, &number, sizeof number, worker);
		return worker != NULL ? worker->place : NULL;
	}
	if (process->settings.pool_count == 0)
		return site->exec;
	sites_need_pool(node, process);
	struct site_pool *pool = site->pools;
	while (pool != NULL && pool->process != process)
		pool = pool->next;
	return pool != NULL ? pool->place : NULL;
}

/* Whether the attempt is the call's current one, or one that was handed out and not written down. */
static bool attempt_is_wanted(const struct node *node, const struct call *call, struct call_id id)
{
	uint64_t known;
	const struct orphan *orphan = orphan_find(node, id.instance, id.ref);
	if (orphan != NULL && id.attempt < orphan->attempt)
		return false;
	if (dispatch_knows(node->dispatch, id.instance, id.ref, &known) && known != id.attempt &&
	    dispatch_where(node->dispatch, (struct call_id){id.instance, id.ref, known}) != NULL)
		return false;
	return (call->state == CALL_RUNNING && id.attempt >= call->attempt) ||
	       (call->state == CALL_READY && id.attempt > call->attempt);
}

static msec elapsed_of(const struct node *node, const struct call *call)
{
	msec elapsed = node->host->wall(node->context) - call->started_ms;
	msec timeout = call->process->settings.timeout;
	if (call->state != CALL_RUNNING || elapsed < 0)
		return 0;
	return elapsed < timeout ? elapsed : timeout;
}

/* A call that the node has: it goes on there, or is of no use. */
static void take_run(struct node *node, struct site *site, const struct run_report *run)
{
	const struct call *call = node_calls_open(node, run->call.instance, run->call.ref);
	struct place *place = call != NULL ? place_of_run(node, site, run->place, call->process) : NULL;
	if (place == NULL || !attempt_is_wanted(node, call, run->call)) {
		node_calls_stop_at(node, site, run->call);
		return;
	}
	const struct place *before = dispatch_where(node->dispatch, run->call);
	if (before == place)
		return;
	if (before != NULL) { /* it came with its worker */
		struct site *other = ((struct spot *)dispatch_place_context(before))->site;
		if (other != site)
			node_calls_stop_at(node, other, run->call);
	}
	struct orphan *orphan = orphan_find(node, run->call.instance, run->call.ref);
	if (orphan != NULL)
		orphan_remove(node, orphan);
	dispatch_adopt(node->dispatch, node->host->now(node->context), run->call, call->process, place,
	               elapsed_of(node, call));
	bool recorded = call->state == CALL_RUNNING && call->attempt == run->call.attempt && call->node != NULL &&
	                slice_equal(text_slice(call->node), slice_of(site->name));
	if (!recorded)
		node_calls_note(node, site, run->call);
}

/* All is told: what was looked for there and is not, nobody runs. */
static void answer_end(struct node *node, struct site *site)
{
	msec now = node->host->now(node->context);
	site->answering = false;
	site->reported = true;
	for (struct site_worker *worker = site->workers; worker != NULL; worker = worker->hh.next)
		dispatch_place_credit(node->dispatch, worker->place, worker->credit);
	orphans_offer(node, &site->orphans);
	site->worker_wait_until = now + WORKER_BACK_MS;
	placing_site_known(node, site->member);
}

void sites_report(struct node *node, uint64_t member, const struct node_report *report)
{
	struct site *site = site_of(node, member);
	if (!node->sites.leading || site == NULL || report->term != raft_term(node->raft) ||
	    report->survey != site->survey)
		return;
	if (report->lost || (report->answer && site->reported)) {
		site_ask(node, site);
		return;
	}
	if (report->answer && !site->answering)
		answer_begin(node, site, report);
	else if (!report->answer && !site->reported)
		return;
	for (size_t i = 0; i < report->place_count; i++)
		take_place(node, site, &report->places[i]);
	for (size_t i = 0; i < report->run_count && !node->failed; i++)
		take_run(node, site, &report->runs[i]);
	if (report->answer && !report->more)
		answer_end(node, site);
	take_slots(node, site, report);
}

/* --- coming and going ----------------------------------------------------------------------------------------------- */

void sites_peer_up(struct node *node, uint64_t member)
{
	struct site *site = need_site(node, member);
	site->up = true;
	site->dead = false;
	if (node->sites.leading)
		site_ask(node, site);
}

void sites_peer_down(struct node *node, uint64_t member)
{
	struct site *site = site_of(node, member);
	if (site == NULL)
		return;
	site->up = false;
	if (node->sites.leading && (site->reported || site->answering))
		site_lose(node, site);
}

void node_member_dead(struct node *node, uint64_t member, const char *name)
{
	struct site *site = site_of(node, member);
	msec now = node->host->now(node->context);
	if (site == NULL)
		site = site_named(node, slice_of(name));
	if (site == NULL)
		site = site_create(node, member, slice_of(name));
	if (site->own)
		return;
	site->up = false;
	site->dead = true;
	if (!node->sites.leading)
		return;
	site_lose(node, site);
	orphans_offer(node, &site->orphans);
	site->worker_wait_until = now + WORKER_BACK_MS;
	placing_site_known(node, site->member);
}

void node_member_alive(struct node *node, uint64_t member)
{
	struct site *site = need_site(node, member);
	bool fresh = site->dead || site->survey == 0;
	site->dead = false;
	if (node->sites.leading && !site->own && !site->reported && fresh)
		site_ask(node, site);
}

void sites_recorded(struct node *node, const struct call *call)
{
	struct call_id id = {call->owner->id, call->ref, call->attempt};
	struct slice name = call->node != NULL ? text_slice(call->node) : SLICE("");
	bool worker_has_it = call->process->settings.exec_count == 0 && call->process->settings.pool_count == 0;
	uint64_t known;
	if (dispatch_knows(node->dispatch, id.instance, id.ref, &known) || orphan_find(node, id.instance, id.ref) != NULL)
		return;
	struct site *site = site_named(node, name);
	if (site == NULL) {
		site = site_create(node, 0, name);
		site->wait_until = site->worker_wait_until = node->host->now(node->context) + SITE_WAIT_MS;
	}
	if (worker_has_it)
		orphan_add(node, &site->worker_orphans, id);
	else if (site->reported || site->dead)
		node_calls_offer(node, call, id.attempt);
	else
		orphan_add(node, &site->orphans, id);
}

/* --- leading -------------------------------------------------------------------------------------------------------- */

static void forget_orphans(struct node *node)
{
	struct orphan *orphan;
	struct orphan *next;
	HASH_ITER(hh, node->sites.orphans, orphan, next)
		orphan_remove(node, orphan);
}

void sites_unlead(struct node *node)
{
	struct site *site;
	struct known_pool *pool;
	struct known_pool *next_pool;
	node->sites.leading = false;
	TAILQ_FOREACH(site, &node->sites.all, link) {
		site_lose(node, site);
		site->assigned_count = 0;
	}
	dispatch_clear(node->dispatch);
	forget_orphans(node);
	HASH_ITER(hh, node->sites.pools, pool, next_pool) {
		HASH_DELETE(hh, node->sites.pools, pool);
		mem_free(pool);
	}
}

void sites_lead(struct node *node)
{
	struct site *site;
	msec now = node->host->now(node->context);
	sites_unlead(node);
	node->sites.leading = true;
	node->sites.settled = false;
	node->sites.settle_until = now + SITE_SETTLE_MS;
	TAILQ_FOREACH(site, &node->sites.all, link) {
		if (node->failed)
			return; /* the catalog could not be read for what this node itself has told */
		if (site->member != 0 && !site->dead)
			site_ask(node, site);
		else
			site->worker_wait_until = now + WORKER_BACK_MS;
	}
}

/* A call that was handed out just before the former leader went may not be written down: so first all are heard. */
static bool all_have_answered(const struct node *node)
{
	const struct site *site;
	TAILQ_FOREACH(site, &node->sites.all, link) {
		if ((site->up || site->own) && !site->reported)
			return false;
	}
	return true;
}

static bool site_is_to_answer(const struct site *site)
{
	return site->member != 0 && !site->own && !site->dead && !site->reported;
}

void sites_turn(struct node *node)
{
	struct sites *sites = &node->sites;
	struct orphan *orphan;
	struct site *site;
	msec now = node->host->now(node->context);
	if (!sites->leading)
		return;
	if (!sites->settled)
		sites->settled = now >= sites->settle_until || all_have_answered(node);
	TAILQ_FOREACH(site, &sites->all, link) {
		if (site->wait_until <= now)
			orphans_offer(node, &site->orphans);
		if (site->worker_wait_until <= now)
			orphans_offer(node, &site->worker_orphans);
		if (node->failed)
			return;
		if (site_is_to_answer(site) && site->asked_at + SITE_ASK_MS <= now)
			site_ask_again(node, site, now);
	}
	while ((orphan = TAILQ_FIRST(&sites->refused.head)) != NULL && orphan->until <= now && !node->failed)
		orphan_offer(node, orphan);
}

msec sites_deadline(const struct node *node)
{
	const struct sites *sites = &node->sites;
	const struct site *site;
	msec deadline = MSEC_NEVER;
	if (!sites->leading)
		return deadline;
	if (!sites->settled)
		deadline = sites->settle_until;
	if (!TAILQ_EMPTY(&sites->refused.head))
		deadline = msec_earlier(deadline, TAILQ_FIRST(&sites->refused.head)->until);
	TAILQ_FOREACH(site, &sites->all, link) {
		if (!TAILQ_EMPTY(&site->orphans.head))
			deadline = msec_earlier(deadline, site->wait_until);
		if (!TAILQ_EMPTY(&site->worker_orphans.head))
			deadline = msec_earlier(deadline, site->worker_wait_until);
		if (site_is_to_answer(site))
			deadline = msec_earlier(deadline, site->asked_at + SITE_ASK_MS);
	}
	return deadline;
}

void sites_init(struct node *node)
{
	TAILQ_INIT(&node->sites.all);
	TAILQ_INIT(&node->sites.refused.head);
	node->sites.own = site_create(node, node->id, slice_of(node->name));
}

void sites_finish(struct node *node)
{
	struct sites *sites = &node->sites;
	struct site *site;
	sites_unlead(node);
	while ((site = TAILQ_FIRST(&sites->all)) != NULL) {
		TAILQ_REMOVE(&sites->all, site, link);
		site_free(site);
	}
}
