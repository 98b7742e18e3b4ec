/* topic, publication and subscription: who publishes what where. */
#include "catalog/catalog.h"
#include "catalog/statement.h"

int catalog_topic_put(struct catalog *catalog, const struct catalog_topic *topic)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_TOPIC_PUT, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, topic->id);
	bind_name(statement, 2, topic->name);
	bind_name(statement, 3, topic->kind);
	bind_name(statement, 4, topic->schema);
	bind_number(statement, 5, topic->partitions);
	bind_number(statement, 6, topic->version);
	bind_time(statement, 7, topic->created_ms);
	return statement_run(catalog, statement);
}

int catalog_topic_version(struct catalog *catalog, uint64_t id, uint64_t version)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_TOPIC_VERSION, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, id);
	bind_number(statement, 2, version);
	return statement_run(catalog, statement);
}

static int delete_by_id(struct catalog *catalog, enum statement_id which, uint64_t id)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, which, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, id);
	return statement_run(catalog, statement);
}

int catalog_topic_delete(struct catalog *catalog, uint64_t id)
{
	return delete_by_id(catalog, STATEMENT_TOPIC_DELETE, id);
}

int catalog_topics(struct catalog *catalog, int (*each)(void *context, const struct catalog_topic *topic), void *context)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_TOPICS, &statement);
	if (result != 0)
		return result;
	while ((result = statement_row(catalog, statement)) == 1) {
		struct catalog_topic topic = {
			.id = column_number(statement, 0),
			.name = column_text(statement, 1),
			.kind = column_text(statement, 2),
			.schema = column_text(statement, 3),
			.partitions = (uint32_t)column_number(statement, 4),
			.version = column_number(statement, 5),
			.created_ms = (msec)column_number(statement, 6),
		};
		result = each(context, &topic);
		if (result != 0)
			break;
	}
	statement_end(statement);
	return result;
}

int catalog_publication_put(struct catalog *catalog, const struct catalog_publication *publication)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_PUBLICATION_PUT, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, publication->id);
	bind_number(statement, 2, publication->topic);
	bind_number(statement, 3, publication->part);
	bind_number(statement, 4, publication->session);
	bind_name(statement, 5, publication->address);
	bind_id(statement, 6, publication->job);
	bind_id(statement, 7, publication->allocation);
	bind_time(statement, 8, publication->published_ms);
	return statement_run(catalog, statement);
}

int catalog_publication_delete(struct catalog *catalog, uint64_t id)
{
	return delete_by_id(catalog, STATEMENT_PUBLICATION_DELETE, id);
}

int catalog_publications(struct catalog *catalog,
                         int (*each)(void *context, const struct catalog_publication *publication), void *context)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_PUBLICATIONS, &statement);
	if (result != 0)
		return result;
	while ((result = statement_row(catalog, statement)) == 1) {
		struct catalog_publication publication = {
			.id = column_number(statement, 0),
			.topic = column_number(statement, 1),
			.part = (uint32_t)column_number(statement, 2),
			.session = column_number(statement, 3),
			.address = column_text(statement, 4),
			.job = column_number(statement, 5),
			.allocation = column_number(statement, 6),
			.published_ms = (msec)column_number(statement, 7),
		};
		result = each(context, &publication);
		if (result != 0)
			break;
	}
	statement_end(statement);
	return result;
}

int catalog_subscription_put(struct catalog *catalog, const struct catalog_subscription *subscription)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_SUBSCRIPTION_PUT, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, subscription->id);
	bind_number(statement, 2, subscription->topic);
	if (subscription->all)
		bind_id(statement, 3, 0);
	else
		bind_number(statement, 3, subscription->part);
	bind_number(statement, 4, subscription->session);
	bind_time(statement, 5, subscription->subscribed_ms);
	return statement_run(catalog, statement);
}

int catalog_subscription_delete(struct catalog *catalog, uint64_t id)
{
	return delete_by_id(catalog, STATEMENT_SUBSCRIPTION_DELETE, id);
}

int catalog_subscriptions(struct catalog *catalog,
                          int (*each)(void *context, const struct catalog_subscription *subscription), void *context)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_SUBSCRIPTIONS, &statement);
	if (result != 0)
		return result;
	while ((result = statement_row(catalog, statement)) == 1) {
		struct catalog_subscription subscription = {
			.id = column_number(statement, 0),
			.topic = column_number(statement, 1),
			.all = sqlite3_column_type(statement, 2) == SQLITE_NULL,
			.part = (uint32_t)column_number(statement, 2),
			.session = column_number(statement, 3),
			.subscribed_ms = (msec)column_number(statement, 4),
		};
		result = each(context, &subscription);
		if (result != 0)
			break;
	}
	statement_end(statement);
	return result;
}
