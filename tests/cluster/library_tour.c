/* Every part of libclusterd against a node: library_tour ADDRESSES FLOWS. Ends with 0 when all is as it should be. */
#include <clusterd.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONG 60000

static struct clusterd_client *client;
static struct clusterd_error error;

#define CHECK(condition)                                                                                             \
	do {                                                                                                         \
		if (!(condition)) {                                                                                  \
			fprintf(stderr, "line %d: not so: %s (last error: %s)\n", __LINE__, #condition, error.text); \
			exit(1);                                                                                     \
		}                                                                                                    \
	} while (0)

static void keys(void)
{
	uint64_t first;
	uint64_t version;
	char *value;
	size_t size;
	CHECK(clusterd_key_put(client, "t/a", "x\0y", 3, 0, CLUSTERD_IF_ABSENT, &first, LONG, &error) == 0);
	CHECK(clusterd_key_put(client, "t/a", "z", 1, 0, CLUSTERD_IF_ABSENT, NULL, LONG, &error) ==
	      CLUSTERD_ERR_CONFLICT);
	CHECK(clusterd_key_get(client, "t/a", &value, &size, &version, LONG, &error) == 0);
	CHECK(size == 3 && memcmp(value, "x\0y", 4) == 0 && version == first);
	clusterd_free(value);
	CHECK(clusterd_key_put(client, "t/a", "", 0, 0, first, &version, LONG, &error) == 0 && version > first);
	CHECK(clusterd_key_get(client, "t/a", NULL, &size, NULL, LONG, NULL) == 0 && size == 0);
	CHECK(clusterd_key_delete(client, "t/a", first, NULL, LONG, &error) == CLUSTERD_ERR_CONFLICT);
	CHECK(clusterd_key_delete(client, "t/a", CLUSTERD_ALWAYS, NULL, LONG, &error) == 0);
	CHECK(clusterd_key_get(client, "t/a", NULL, NULL, NULL, LONG, &error) == CLUSTERD_ERR_NOT_FOUND);
	CHECK(clusterd_key_put(client, "", "", 0, 0, CLUSTERD_ALWAYS, NULL, LONG, &error) < 0);
}

static void lists_and_transactions(void)
{
	struct clusterd_transaction *transaction = clusterd_transaction_create();
	struct clusterd_reply *reply;
	struct clusterd_key key;
	uint64_t version;
	bool held;
	clusterd_transaction_compare(transaction, "t/b", CLUSTERD_IF_ABSENT);
	clusterd_transaction_put(transaction, "t/b", "1", 1, 0);
	clusterd_transaction_put(transaction, "t/c", "22", 2, 0);
	clusterd_transaction_else_put(transaction, "t/d", "otherwise", 9, 0);
	clusterd_transaction_else_delete(transaction, "t/c");
	CHECK(clusterd_transaction_commit(client, transaction, &held, &version, LONG, &error) == 0 && held);
	CHECK(clusterd_key_list(client, "t/", NULL, 0, false, &reply, LONG, &error) == 0);
	CHECK(clusterd_reply_key_count(reply) == 2 && !clusterd_reply_truncated(reply));
	clusterd_reply_key(reply, 1, &key);
	CHECK(strcmp(key.key, "t/c") == 0 && key.value_size == 2 && memcmp(key.value, "22", 2) == 0 &&
	      key.version == version);
	clusterd_reply_destroy(reply);
	CHECK(clusterd_transaction_commit(client, transaction, &held, &version, LONG, &error) == 0 && !held);
	CHECK(clusterd_key_list(client, "t/", NULL, 1, true, &reply, LONG, &error) == 0);
	CHECK(clusterd_reply_key_count(reply) == 1 && clusterd_reply_truncated(reply));
	clusterd_reply_key(reply, 0, &key);
	CHECK(strcmp(key.key, "t/b") == 0 && key.value_size == 0);
	clusterd_reply_destroy(reply);
	CHECK(clusterd_key_list(client, "t/", "t/b", 0, false, &reply, LONG, &error) == 0);
	CHECK(clusterd_reply_key_count(reply) == 1);
	clusterd_reply_key(reply, 0, &key);
	CHECK(strcmp(key.key, "t/d") == 0 && key.value_size == 9 && memcmp(key.value, "otherwise", 9) == 0);
	clusterd_reply_destroy(reply);
	clusterd_transaction_destroy(transaction);
}

struct heard {
	int count;
	int deletions;
	int code;
	uint64_t last;
	char keys[1000];
	struct clusterd_watch *watch;
	int end_at; /* destroys it from inside then */
};

static void heard(void *context, const struct clusterd_key *key, const struct clusterd_error *why)
{
	struct heard *so_far = context;
	if (why != NULL) {
		so_far->code = why->code;
		return;
	}
	so_far->count++;
	so_far->deletions += key->deleted;
	so_far->last = key->version;
	snprintf(so_far->keys + strlen(so_far->keys), sizeof so_far->keys - strlen(so_far->keys), "%s ", key->key);
	if (so_far->count == so_far->end_at)
		clusterd_watch_destroy(so_far->watch);
}

static struct clusterd_watch *watch(struct heard *so_far, const char *key, bool prefix, bool state, uint64_t from)
{
	struct clusterd_watch_options options = CLUSTERD_WATCH_OPTIONS;
	options.key = key;
	options.prefix = prefix;
	options.state = state;
	options.from = from;
	options.changed = heard;
	options.context = so_far;
	return so_far->watch = clusterd_watch_create(client, &options);
}

static void watches(void)
{
	struct heard all = {0};
	struct heard one = {.end_at = 2};
	struct heard again = {0};
	uint64_t version;
	for (int i = 0; i < 1500; i++) { /* some pages */
		char key[20];
		snprintf(key, sizeof key, "u/%04d", i);
		clusterd_key_put_begin(client, key, key, strlen(key), 0, CLUSTERD_ALWAYS, LONG, NULL, NULL);
	}
	CHECK(clusterd_key_put(client, "u/9999", "", 0, 0, CLUSTERD_ALWAYS, &version, LONG, &error) == 0);
	struct clusterd_watch *first = watch(&all, "u/", true, true, 0);
	watch(&one, "u/0007", false, true, 0);
	while (all.count < 1501 || one.count < 1)
		clusterd_client_poll(client, 1000);
	CHECK(clusterd_watch_version(first) > version);
	CHECK(clusterd_key_put(client, "u/0007", "new", 3, 0, CLUSTERD_ALWAYS, &version, LONG, &error) == 0);
	CHECK(clusterd_key_delete(client, "u/0008", CLUSTERD_ALWAYS, NULL, LONG, &error) == 0);
	while (all.deletions < 1 || one.count < 2)
		clusterd_client_poll(client, 1000);
	CHECK(all.count == 1503 && one.count == 2);
	uint64_t on_from = clusterd_watch_version(first);
	clusterd_watch_destroy(first);
	/* Somebody who was away goes on from there. */
	CHECK(clusterd_key_put(client, "u/1", "", 0, 0, CLUSTERD_ALWAYS, NULL, LONG, &error) == 0);
	first = watch(&again, "u/", true, false, on_from);
	while (again.count < 1)
		clusterd_client_poll(client, 1000);
	CHECK(strcmp(again.keys, "u/1 ") == 0);
	clusterd_watch_destroy(first);
}

struct told {
	uint64_t lease;
	int code;
};

static void lease_told(void *context, uint64_t lease, const struct clusterd_error *why)
{
	struct told *told = context;
	told->lease = lease;
	told->code = why != NULL ? why->code : 0;
}

static void leases(void)
{
	struct told told = {0};
	struct heard gone = {0};
	uint64_t id;
	struct clusterd_lease *lease = clusterd_lease_create(client, 1500, "a tour", lease_told, &told);
	while (told.lease == 0)
		clusterd_client_poll(client, 1000);
	CHECK(clusterd_lease_id(lease) == told.lease && clusterd_lease_left_ms(lease) > 0);
	CHECK(clusterd_key_put(client, "l/kept", "", 0, told.lease, CLUSTERD_ALWAYS, NULL, LONG, &error) == 0);
	watch(&gone, "l/", true, false, 0);
	CHECK(clusterd_lease_grant(client, 600, NULL, &id, LONG, &error) == 0);
	CHECK(clusterd_key_put(client, "l/not-kept", "", 0, id, CLUSTERD_ALWAYS, NULL, LONG, &error) == 0);
	CHECK(clusterd_lease_keep(client, id, LONG, &error) == 0);
	while (gone.deletions == 0) /* nobody keeps it */
		clusterd_client_poll(client, 1000);
	CHECK(strstr(gone.keys, "l/not-kept l/not-kept") != NULL);
	CHECK(clusterd_lease_keep(client, id, LONG, &error) == CLUSTERD_ERR_NOT_FOUND);
	CHECK(clusterd_key_get(client, "l/kept", NULL, NULL, NULL, LONG, &error) == 0);
	CHECK(clusterd_lease_revoke(client, told.lease, LONG, &error) == 0);
	while (told.code == 0)
		clusterd_client_poll(client, 1000);
	CHECK(told.code == CLUSTERD_ERR_EXPIRED && clusterd_lease_id(lease) == 0);
	clusterd_lease_destroy(lease);
	clusterd_watch_destroy(gone.watch);
}

struct standing {
	int holds;
	int lost;
	struct clusterd_contender *contender;
};

static void standing_changed(void *context, enum clusterd_standing standing, uint64_t token,
                             const struct clusterd_error *why)
{
	struct standing *mine = context;
	mine->holds += standing == CLUSTERD_HOLDS && token != 0 && why == NULL;
	mine->lost += standing == CLUSTERD_LOST && why != NULL;
	if (standing == CLUSTERD_LOST)
		clusterd_contender_destroy(mine->contender);
}

static void locks(void)
{
	struct clusterd_contender_options options = CLUSTERD_CONTENDER_OPTIONS;
	struct standing second = {0};
	uint64_t token;
	char *value;
	options.name = "tour";
	options.value = "first";
	options.value_size = 5;
	struct clusterd_contender *first = clusterd_campaign_create(client, &options);
	CHECK(clusterd_contender_wait(first, &token, LONG, &error) == 0 && token != 0);
	CHECK(clusterd_contender_standing(first) == CLUSTERD_HOLDS && clusterd_contender_left_ms(first) > 0);
	options.changed = standing_changed;
	options.context = &second;
	options.value = "second";
	options.value_size = 6;
	second.contender = clusterd_campaign_create(client, &options);
	CHECK(clusterd_contender_wait(second.contender, NULL, 300, &error) == CLUSTERD_ERR_TIMEOUT);
	CHECK(clusterd_contender_hold(first, 100, &error) == 0);
	CHECK(clusterd_election_leader(client, "tour", &token, &value, NULL, LONG, &error) == 0);
	CHECK(token == clusterd_contender_token(first) && strcmp(value, "first") == 0);
	clusterd_free(value);
	CHECK(clusterd_contender_leave(first, LONG, &error) == 0);
	CHECK(clusterd_contender_standing(first) == CLUSTERD_LOST);
	clusterd_contender_destroy(first);
	CHECK(clusterd_contender_wait(second.contender, &token, LONG, &error) == 0 && second.holds == 1);
	/* Somebody makes it resign; it destroys itself from inside. */
	struct clusterd_reply *reply;
	struct clusterd_key key;
	CHECK(clusterd_key_list(client, "election/tour/", NULL, 0, true, &reply, LONG, &error) == 0);
	CHECK(clusterd_reply_key_count(reply) == 1);
	clusterd_reply_key(reply, 0, &key);
	CHECK(clusterd_key_delete(client, key.key, CLUSTERD_ALWAYS, NULL, LONG, &error) == 0);
	clusterd_reply_destroy(reply);
	while (second.lost == 0)
		clusterd_client_poll(client, 1000);
	CHECK(clusterd_election_leader(client, "tour", NULL, NULL, NULL, LONG, &error) == CLUSTERD_ERR_NOT_FOUND);
}

static void finished(void *context, struct clusterd_reply *reply, const struct clusterd_error *why)
{
	CHECK(why == NULL);
	*(struct clusterd_reply **)context = clusterd_reply_hold(reply);
}

static void workflows(const char *path)
{
	static char text[65536];
	struct clusterd_source source = {path, text, 0};
	struct clusterd_source wrong = {"wrong.flow", "workflow X( {", 13};
	const char *parameters[] = {"Ask"};
	struct clusterd_reply *reply = NULL;
	uint64_t instance;
	uint64_t same;
	char *result;
	FILE *file = fopen(path, "re");
	CHECK(file != NULL);
	source.size = fread(text, 1, sizeof text, file);
	fclose(file);
	CHECK(clusterd_register(client, &source, 1, &result, LONG, &error) == 0 && strstr(result, "\"Ask\"") != NULL);
	clusterd_free(result);
	CHECK(clusterd_register(client, &wrong, 1, NULL, LONG, &error) < 0 && strstr(error.text, "wrong.flow") != NULL);
	CHECK(clusterd_workflow_start(client, "Ask", "{}", "once", &instance, LONG, &error) == 0);
	CHECK(clusterd_workflow_start(client, "Ask", "{}", "once", &same, LONG, &error) == 0 && same == instance);
	CHECK(clusterd_workflow_wait(client, instance, NULL, 300, &error) == CLUSTERD_ERR_TIMEOUT);
	clusterd_workflow_wait_begin(client, instance, LONG, finished, &reply);
	CHECK(clusterd_workflow_signal(client, instance, "decision", NULL, "\"yes\"", LONG, &error) == 0);
	while (reply == NULL)
		clusterd_client_poll(client, 1000);
	CHECK(strcmp(clusterd_reply_state(reply), "completed") == 0 && clusterd_reply_instance(reply) == instance);
	CHECK(strcmp(clusterd_reply_value(reply, NULL), "\"yes\"") == 0 && clusterd_reply_failure(reply) == NULL);
	clusterd_reply_destroy(reply);
	CHECK(clusterd_workflow_run(client, "Same", "{\"n\": 3}", &result, LONG, &error) == 0 &&
	      strcmp(result, "3") == 0);
	clusterd_free(result);
	CHECK(clusterd_workflow_start(client, "Ask", NULL, NULL, &instance, LONG, &error) == 0);
	CHECK(clusterd_workflow_cancel(client, instance, LONG, &error) == 0);
	CHECK(clusterd_workflow_wait(client, instance, NULL, LONG, &error) == CLUSTERD_ERR_CONFLICT);
	CHECK(strstr(error.text, "cancelled") != NULL);
	CHECK(clusterd_workflow_run(client, "Nobody", "{}", NULL, LONG, &error) == CLUSTERD_ERR_NOT_FOUND);
	CHECK(clusterd_query(client, "SELECT count(*) AS n, ?1 AS what FROM pi_instance", parameters, 1, &reply, LONG,
	                     &error) == 0);
	CHECK(clusterd_reply_column_count(reply) == 2 && strcmp(clusterd_reply_column(reply, 1), "what") == 0);
	CHECK(strcmp(clusterd_reply_value(reply, NULL), "[[3,\"Ask\"]]") == 0);
	clusterd_reply_destroy(reply);
}

struct served {
	struct clusterd_worker *worker;
	struct clusterd_call *held;
	int calls;
	int abandoned;
};

static void called(void *context, struct clusterd_call *call)
{
	struct served *served = context;
	served->calls++;
	CHECK(strcmp(clusterd_call_process(call), "Same1") == 0 && clusterd_call_instance(call) != 0);
	clusterd_call_heartbeat(call);
	if (strstr(clusterd_call_arguments(call, NULL), "13") != NULL)
		clusterd_call_fail(call, "it brings no luck", true);
	else if (strstr(clusterd_call_arguments(call, NULL), "99") != NULL)
		served->held = call;
	else
		clusterd_call_complete(call, "1", 1);
}

static void abandoned(void *context, struct clusterd_call *call)
{
	struct served *served = context;
	CHECK(call == served->held);
	served->abandoned++;
}

static void workers(void)
{
	struct clusterd_worker_options options = CLUSTERD_WORKER_OPTIONS;
	struct clusterd_offer offer = {"Same1", NULL};
	struct served served = {0};
	struct clusterd_worker *worker;
	char *result;
	uint64_t instance;
	options.offers = &offer;
	options.offer_count = 1;
	CHECK(clusterd_worker_create(client, &options, &worker, &error) == CLUSTERD_ERR_INVALID);
	options.credit = 100000;
	options.called = called;
	CHECK(clusterd_worker_create(client, &options, &worker, &error) == CLUSTERD_ERR_LIMIT);
	options.credit = 2;
	options.abandoned = abandoned;
	options.context = &served;
	CHECK(clusterd_worker_create(client, &options, &worker, &error) == 0);
	CHECK(clusterd_workflow_run(client, "Worked", "{\"n\": 7}", &result, LONG, &error) == 0 &&
	      strcmp(result, "1") == 0);
	clusterd_free(result);
	CHECK(clusterd_workflow_run(client, "Worked", "{\"n\": 13}", NULL, LONG, &error) == CLUSTERD_ERR_CONFLICT);
	CHECK(strstr(error.text, "it brings no luck") != NULL);
	CHECK(clusterd_workflow_start(client, "Worked", "{\"n\": 99}", NULL, &instance, LONG, &error) == 0);
	while (served.held == NULL)
		clusterd_client_poll(client, 1000);
	CHECK(clusterd_worker_calls(worker) == 1);
	CHECK(clusterd_worker_drain(worker, 100, &error) == CLUSTERD_ERR_TIMEOUT);
	CHECK(clusterd_workflow_cancel(client, instance, LONG, &error) == 0);
	while (served.abandoned == 0)
		clusterd_client_poll(client, 1000);
	CHECK(clusterd_worker_drain(worker, LONG, &error) == 0 && clusterd_worker_calls(worker) == 0);
	clusterd_worker_destroy(worker);
}

static void cluster(void)
{
	char *json;
	CHECK(clusterd_members(client, &json, LONG, &error) == 0 && json[0] == '[' &&
	      strstr(json, "\"state\"") != NULL);
	clusterd_free(json);
	CHECK(clusterd_status(client, &json, LONG, &error) == 0 && json[0] == '{' &&
	      strstr(json, "\"leader\"") != NULL);
	clusterd_free(json);
	CHECK(strcmp(clusterd_code_name(CLUSTERD_ERR_NOT_FOUND), "not found") == 0 && clusterd_version()[0] == '0');
}

/* --- the catalog as a service ---------------------------------------------------------------------------------------- */

struct rows {
	struct clusterd_catalog_watch *watch;
	unsigned there;   /* told as state */
	unsigned changed;
	unsigned gone;
	uint64_t last;    /* index */
	int code;
};

static void row_told(void *context, const struct clusterd_catalog_change *change, const struct clusterd_error *why)
{
	struct rows *rows = context;
	if (change == NULL) {
		rows->code = why->code;
		return;
	}
	CHECK(strcmp(change->table, "topic") == 0 && change->index >= rows->last);
	CHECK(change->row == NULL || (change->row[0] == '{' && change->row[change->row_size - 1] == '}'));
	rows->last = change->index;
	rows->there += change->state;
	rows->changed += !change->state && change->row != NULL;
	rows->gone += change->row == NULL;
}

static struct clusterd_catalog_watch *watch_rows(struct rows *rows, const char *table, uint64_t from)
{
	struct clusterd_catalog_watch_options options = CLUSTERD_CATALOG_WATCH_OPTIONS;
	options.tables = &table;
	options.table_count = 1;
	options.from = from;
	options.told = row_told;
	options.context = rows;
	return rows->watch = clusterd_catalog_watch_create(client, &options);
}

static void catalog(void)
{
	struct clusterd_session *session = clusterd_session_create(client, 0, NULL, NULL);
	struct clusterd_publish_options options = CLUSTERD_PUBLISH_OPTIONS;
	struct rows all = {0};
	struct rows again = {0};
	struct rows none = {0};
	uint64_t first;
	uint64_t second;
	char *json;
	options.kind = CLUSTERD_TOPIC_STREAM;
	options.address = "127.0.0.1:1";
	options.topic = "catalog-1";
	CHECK(clusterd_topic_publish(session, &options, &first, LONG, &error) == 0);
	watch_rows(&all, "topic", 0);
	CHECK(clusterd_catalog_watch_index(all.watch) == 0);
	while (clusterd_catalog_watch_index(all.watch) == 0)
		clusterd_client_poll(client, LONG);
	CHECK(all.there == 1 && all.changed == 0);
	uint64_t index = clusterd_catalog_watch_index(all.watch);
	options.topic = "catalog-2";
	CHECK(clusterd_topic_publish(session, &options, &second, LONG, &error) == 0);
	while (all.changed == 0)
		clusterd_client_poll(client, LONG);
	CHECK(clusterd_catalog_list(client, "topic", &json, LONG, &error) == 0);
	CHECK(strstr(json, "catalog-1") != NULL && strstr(json, "catalog-2") != NULL && json[strlen(json) - 1] == ']');
	clusterd_free(json);
	CHECK(clusterd_catalog_list(client, "nonsense", &json, LONG, &error) == CLUSTERD_ERR_NOT_FOUND);
	CHECK(clusterd_topic_unpublish(session, first, LONG, &error) == 0);
	while (all.gone == 0)
		clusterd_client_poll(client, LONG);
	CHECK(all.there == 1 && all.changed == 1 && all.gone == 1);
	watch_rows(&again, "topic", index);
	while (again.changed + again.gone < 2)
		clusterd_client_poll(client, LONG);
	CHECK(again.there == 0 && again.changed == 1 && again.gone == 1);
	watch_rows(&none, "nonsense", 0);
	while (none.code == 0)
		clusterd_client_poll(client, LONG);
	CHECK(none.code == CLUSTERD_ERR_NOT_FOUND);
	clusterd_catalog_watch_destroy(all.watch);
	clusterd_catalog_watch_destroy(again.watch);
	clusterd_catalog_watch_destroy(none.watch);
	CHECK(clusterd_session_close(session, LONG, &error) == 0);
	clusterd_session_destroy(session);
}

int main(int argc, char **argv)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	assert(argc == 3);
	options.addresses = argv[1];
	options.token = getenv("CLUSTERD_TOKEN");
	CHECK(clusterd_client_create(&options, &client, &error) == 0);
	CHECK(clusterd_client_connect(client, LONG, &error) == 0 && clusterd_client_address(client)[0] != '\0');
	keys();
	lists_and_transactions();
	watches();
	leases();
	locks();
	workflows(argv[2]);
	workers();
	cluster();
	catalog();
	clusterd_client_destroy(client);
	puts("all is as it should be");
	return 0;
}
