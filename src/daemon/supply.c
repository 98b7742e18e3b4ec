#include "daemon/node_internal.h"

#include "base/json.h"
#include "base/memory.h"
#include "wire/content.h"
#include "wire/frame.h"

#include <stdio.h>

/* Definitions and files for nodes that keep no log (agents): they get from the leader what is registered, in its order, and the
 * files of the processes they run; and keep both in their own catalog. Other nodes answer. */

#define PIECE_SIZE (1u << 20)
#define SUPPLY_SIZE_MAX (64u << 20) /* of one unit or file; more is not taken */
#define ASK_AGAIN_MS 1000

/* --- who has them --------------------------------------------------------------------------------------------------- */

static int read_unit(struct node *node, uint64_t unit, struct buffer *out)
{
	struct buffer files = BUFFER_EMPTY;
	struct buffer attachments = BUFFER_EMPTY;
	int code = catalog_unit_read(node->catalog, unit, &files, &attachments);
	if (code == 0) {
		buffer_append_char(out, '[');
		buffer_append_slice(out, buffer_slice(&files));
		buffer_append_char(out, ',');
		buffer_append_slice(out, buffer_slice(&attachments));
		buffer_append_char(out, ']');
	}
	buffer_finish(&files);
	buffer_finish(&attachments);
	return code;
}

void supply_asked(struct node *node, uint64_t member, const Clusterd__Wire__Fetch *fetch)
{
	Clusterd__Wire__Fetched message = CLUSTERD__WIRE__FETCHED__INIT;
	struct buffer content = BUFFER_EMPTY;
	struct slice piece = SLICE("");
	bool executable = false;
	int code = fetch->hash[0] != '\0' ? catalog_file_read(node->catalog, slice_of(fetch->hash), &executable, &content)
	                                  : read_unit(node, fetch->unit, &content);
	message.unit = fetch->unit;
	message.hash = fetch->hash;
	message.offset = fetch->offset;
	message.executable = executable;
	message.missing = code != 0;
	if (code == 0) {
		message.size = content.size;
		if (fetch->offset < content.size) {
			size_t rest = content.size - (size_t)fetch->offset;
			piece = (struct slice){content.data + fetch->offset, rest < PIECE_SIZE ? rest : PIECE_SIZE};
		}
	}
	node->host->peer_send(node->context, member, FRAME_FETCHED, 0, &message.base, &piece, piece.size != 0 ? 1 : 0);
	buffer_finish(&content);
}

/* --- who wants them ------------------------------------------------------------------------------------------------- */

static void ask(struct node *node, msec now)
{
	struct supply *supply = &node->supply;
	Clusterd__Wire__Fetch message = CLUSTERD__WIRE__FETCH__INIT;
	message.unit = supply->unit;
	message.hash = supply->hash;
	message.offset = supply->got.size;
	supply->asking = true;
	supply->asked_at = now;
	node->host->peer_send(node->context, node->runner.leader, FRAME_FETCH, 0, &message.base, NULL, 0);
}

static void begin(struct node *node, uint64_t unit, struct slice hash, msec now)
{
	struct supply *supply = &node->supply;
	supply->unit = unit;
	snprintf(supply->hash, sizeof supply->hash, "%.*s", SLICE_ARGS(hash));
	buffer_clear(&supply->got);
	ask(node, now);
}

static bool file_is_here(struct node *node, struct slice hash)
{
	bool executable;
	buffer_clear(&node->scratch);
	return catalog_file_read(node->catalog, hash, &executable, &node->scratch) == 0;
}

bool supply_is_complete(struct node *node, const struct definition *process, struct slice *ret_missing)
{
	struct supplied *supplied;
	if (!node->agent || process->settings.file_count == 0)
		return true;
	HASH_FIND_PTR(node->supply.supplied, &process, supplied);
	if (supplied != NULL)
		return true;
	for (uint32_t i = 0; i < process->settings.file_count; i++) {
		if (!file_is_here(node, process->settings.files[i].hash)) {
			*ret_missing = process->settings.files[i].hash;
			return false;
		}
	}
	supplied = mem_zero(sizeof *supplied);
	supplied->process = process;
	HASH_ADD_PTR(node->supply.supplied, process, supplied);
	return true;
}

void supply_want(struct node *node)
{
	node->supply.wants_units = node->agent;
}

/* What is needed next: definitions first, then files of calls that wait. */
void supply_turn(struct node *node, msec now)
{
	struct supply *supply = &node->supply;
	struct slice missing;
	if (!node->agent || node->runner.leader == 0 || (supply->asking && now < supply->asked_at + ASK_AGAIN_MS))
		return;
	if (supply->asking)
		ask(node, now);
	else if (supply->wants_units)
		begin(node, machine_unit_count(node->machine) + 1, SLICE(""), now);
	else if (runner_misses(node, &missing) && now >= supply->asked_at + (supply->failed ? ASK_AGAIN_MS : 0))
		begin(node, 0, missing, now);
}

msec supply_deadline(const struct node *node)
{
	const struct supply *supply = &node->supply;
	bool waits = supply->asking || (supply->failed && !TAILQ_EMPTY(&node->runner.waiting));
	return node->agent && node->runner.leader != 0 && waits ? supply->asked_at + ASK_AGAIN_MS : MSEC_NEVER;
}

static void take_unit(struct node *node)
{
	struct slice text = buffer_slice(&node->supply.got);
	struct json_iterator rows;
	struct slice key;
	struct slice files;
	struct slice attachments;
	struct error error = {0};
	int code = ERR_INVALID;
	if (json_check(text, NULL) == 0 && json_kind(text) == JSON_ARRAY) {
		json_iterate(&rows, text);
		if (json_next(&rows, &key, &files) && json_next(&rows, &key, &attachments))
			code = machine_supply_unit(node->machine, files, attachments, &error);
	}
	if (code == ERR_INVALID)
		node->supply.wants_units = false; /* of no use here; nothing after it can be had */
	else if (code != 0)
		node_fail(node, &error);
	else
		runner_definitions(node);
}

static void take_file(struct node *node, bool executable)
{
	struct supply *supply = &node->supply;
	char hash[CONTENT_HASH_SIZE];
	struct error error = {0};
	content_hash(buffer_slice(&supply->got), hash);
	supply->failed = strcmp(hash, supply->hash) != 0;
	if (supply->failed)
		return;
	if (machine_supply_file(node->machine, slice_of(hash), executable, buffer_slice(&supply->got), &error) != 0)
		node_fail(node, &error);
	else
		runner_definitions(node);
}

void supply_got(struct node *node, const Clusterd__Wire__Fetched *fetched, struct slice piece)
{
	struct supply *supply = &node->supply;
	if (!node->agent || !supply->asking || fetched->unit != supply->unit || strcmp(fetched->hash, supply->hash) != 0 ||
	    fetched->offset != supply->got.size)
		return;
	bool too_large = fetched->size > SUPPLY_SIZE_MAX || fetched->offset + piece.size > fetched->size;
	supply->asking = false;
	if (fetched->missing || too_large || (piece.size == 0 && supply->got.size < fetched->size)) {
		if (supply->hash[0] == '\0')
			supply->wants_units = false; /* that was all */
		else
			supply->failed = true;
		return;
	}
	buffer_append_slice(&supply->got, piece);
	if (supply->got.size < fetched->size)
		ask(node, node->host->now(node->context));
	else if (supply->hash[0] == '\0')
		take_unit(node);
	else
		take_file(node, fetched->executable != 0);
}

void supply_finish(struct node *node)
{
	struct supplied *supplied;
	struct supplied *next;
	HASH_ITER(hh, node->supply.supplied, supplied, next) {
		HASH_DELETE(hh, node->supply.supplied, supplied);
		mem_free(supplied);
	}
	buffer_finish(&node->supply.got);
}
