/* Backups in files, without a node. */
#include "command.h"

#include "base/json.h"
#include "base/memory.h"
#include "catalog/copy.h"
#include "catalog/query.h"
#include "daemon/restore.h"

#include <inttypes.h>
#include <string.h>

/* One query, as the JSON array of arrays that it gives. */
static int ask(struct query_reader *reader, const char *sql, struct buffer *ret_rows, struct error *error)
{
	struct query_result result = {0};
	int code = query_run(reader, sql, NULL, 0, 0, 0, &result, error);
	if (code == 0)
		buffer_append_slice(ret_rows, buffer_slice(&result.rows));
	query_result_finish(&result);
	return code;
}

/* The first column of the only row. */
static struct slice only_value(const struct buffer *rows)
{
	struct json_iterator iterator;
	struct slice key, value = SLICE("null");
	json_iterate(&iterator, buffer_slice(rows));
	if (json_next(&iterator, &key, &value) && json_kind(value) == JSON_ARRAY) {
		json_iterate(&iterator, value);
		json_next(&iterator, &key, &value);
	}
	return value;
}

/* [["name"],…] as {"name":rows,…}. */
static int count_tables(struct query_reader *reader, struct buffer *out, struct error *error)
{
	struct buffer names = BUFFER_EMPTY;
	struct json_iterator iterator;
	struct slice key, row;
	int code = ask(reader, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
	               &names, error);
	buffer_append_char(out, '{');
	json_iterate(&iterator, code == 0 ? buffer_slice(&names) : SLICE("[]"));
	for (bool first = true; code == 0 && json_next(&iterator, &key, &row); first = false) {
		struct json_iterator columns;
		struct slice name;
		struct buffer count = BUFFER_EMPTY;
		json_iterate(&columns, row);
		json_next(&columns, &key, &name);
		char *sql = mem_format("SELECT count(*) FROM %.*s", SLICE_ARGS(name));
		code = ask(reader, sql, &count, error);
		if (code == 0)
			buffer_format(out, "%s%.*s:%.*s", first ? "" : ",", SLICE_ARGS(name), SLICE_ARGS(only_value(&count)));
		buffer_finish(&count);
		mem_free(sql);
	}
	buffer_append_char(out, '}');
	buffer_finish(&names);
	return code;
}

#define MEMBERS                                                                                                        \
	"SELECT json_group_array(json_object('id', m.id, 'name', n.name, 'address', n.address, 'voter', json(m.voter)))"    \
	" FROM (SELECT json_extract(value, '$.id') AS id,"                                                             \
	" CASE json_extract(value, '$.voter') WHEN 1 THEN 'true' ELSE 'false' END AS voter"                            \
	" FROM json_each((SELECT value FROM meta WHERE key = 'raft_configuration'), '$.members')) AS m"                \
	" LEFT JOIN node AS n ON n.id = m.id"

/* Who was in the group: a JSON array of objects. */
static int list_members(struct query_reader *reader, struct buffer *out, struct error *error)
{
	struct buffer rows = BUFFER_EMPTY;
	int code = ask(reader, MEMBERS, &rows, error);
	if (code == 0)
		json_unquote(out, only_value(&rows));
	buffer_finish(&rows);
	return code;
}

static int describe(const char *path, struct buffer *out, struct error *error)
{
	struct catalog_facts facts = CATALOG_FACTS_EMPTY;
	struct query_reader *reader = NULL;
	uint64_t size = 0;
	uint64_t hash = 0;
	int code = catalog_facts_read(path, &facts, error);
	if (code == 0)
		code = catalog_check(path, error);
	if (code == 0)
		code = catalog_file_hash(path, &size, &hash, error);
	if (code == 0)
		code = query_reader_open(path, &reader, error);
	buffer_format(out, "{\"cluster\":\"%s\",\"applied_index\":%" PRIu64 ",\"applied_term\":%" PRIu64, facts.cluster_id,
	              facts.applied_index, facts.applied_term);
	buffer_format(out, ",\"schema_version\":%" PRIu64 ",\"size\":%" PRIu64 ",\"xxh3\":\"%016" PRIx64 "\",\"members\":",
	              facts.schema_version, size, hash);
	if (code == 0)
		code = list_members(reader, out, error);
	buffer_append_string(out, ",\"tables\":");
	if (code == 0)
		code = count_tables(reader, out, error);
	buffer_append_char(out, '}');
	query_reader_close(reader);
	catalog_facts_finish(&facts);
	return code;
}

/* As people read it: the facts, then the members, then the tables. */
static void print_parts(struct slice object)
{
	struct buffer head = BUFFER_EMPTY;
	struct json_iterator iterator;
	struct slice key, value;
	struct slice members = SLICE("[]");
	struct slice tables = SLICE("{}");
	json_member(object, SLICE("members"), &members);
	json_member(object, SLICE("tables"), &tables);
	json_iterate(&iterator, object);
	buffer_append_char(&head, '{');
	while (json_next(&iterator, &key, &value)) {
		if (value.data == members.data || value.data == tables.data)
			continue;
		buffer_format(&head, "%s\"%.*s\":%.*s", head.size > 1 ? "," : "", SLICE_ARGS(key), SLICE_ARGS(value));
	}
	buffer_append_char(&head, '}');
	output_object(OUTPUT_TABLE, buffer_slice(&head), stdout);
	fputc('\n', stdout);
	output_objects(OUTPUT_TABLE, members, stdout);
	fputc('\n', stdout);
	output_object(OUTPUT_TABLE, tables, stdout);
	buffer_finish(&head);
}

int run_snapshot_inspect(struct context *context, const struct arguments *arguments)
{
	struct buffer object = BUFFER_EMPTY;
	int code = describe(arguments->values[0], &object, &context->error);
	if (code == 0 && context->form != OUTPUT_TABLE)
		output_object(context->form, buffer_slice(&object), stdout);
	else if (code == 0)
		print_parts(buffer_slice(&object));
	buffer_finish(&object);
	return code == 0 ? EXIT_DONE : report(context);
}

int run_snapshot_restore(struct context *context, const struct arguments *arguments)
{
	struct restored restored;
	if (context->data_dir == NULL) {
		fprintf(stderr, "clusterctl: give the new data directory: --data-dir DIR\n");
		return EXIT_USAGE;
	}
	if (restore(arguments->values[0], context->data_dir, &restored, &context->error) != 0)
		return report(context);
	printf("%s\n", restored.cluster_id);
	fflush(stdout);
	fprintf(stderr, "clusterctl: %s is node %" PRIu64 " of a new cluster, whose log begins behind entry %" PRIu64 "; start it with:\n",
	        context->data_dir, restored.node_id, restored.index);
	fprintf(stderr, "  clusterd --data-dir %s\n", context->data_dir);
	return EXIT_DONE;
}
