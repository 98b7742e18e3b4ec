#include "status.h"

#include "base/json.h"

#include <stddef.h>

static const struct {
	const char *name;
	size_t offset;
} fields[] = {
	{"pid", offsetof(struct status, pid)},
	{"last_index", offsetof(struct status, last_index)},
	{"applied_index", offsetof(struct status, applied_index)},
	{"log_entries", offsetof(struct status, log_entries)},
	{"log_batches", offsetof(struct status, log_batches)},
	{"log_syncs", offsetof(struct status, log_syncs)},
	{"log_appended_bytes", offsetof(struct status, log_appended_bytes)},
	{"log_first_index", offsetof(struct status, log_first_index)},
	{"resident_bytes", offsetof(struct status, resident_bytes)},
	{"checkpoints", offsetof(struct status, checkpoints)},
	{"catalog_wal_bytes", offsetof(struct status, catalog_wal_bytes)},
};

int status_parse(struct slice json, struct status *ret_status, struct error *error)
{
	struct status status = {0};
	int code = json_check(json, error);
	if (code != 0)
		return code;
	if (json_kind(json_trim(json)) != JSON_OBJECT)
		return error_set(error, ERR_INVALID, "the node's status is not a JSON object");
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		struct slice value;
		long long number;
		if (!json_member(json, slice_of(fields[i].name), &value) ||
		    json_integer(value, 0, INT64_MAX, &number) != 0)
			return error_set(error, ERR_INVALID, "the node's status has no number %s", fields[i].name);
		*(uint64_t *)(void *)((char *)&status + fields[i].offset) = (uint64_t)number;
	}
	*ret_status = status;
	return 0;
}
