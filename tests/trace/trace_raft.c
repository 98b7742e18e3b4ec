/* Runs traces of Raft: text in, text out.
 *
 *   trace_raft FILE…            compares; exits with 1 at the first line that differs
 *   trace_raft --rewrite FILE…  writes down what comes out; look at the difference before you keep it
 *
 * Lines that begin with # are words for people, those with > are commands, all others what the command above them gives.
 * N and M are nodes, 1 to 7; the disk does what it is told when `disk` or `settle` says so.
 *
 *   voters N        nodes 1 … N begin as a group, each with an empty log; they start
 *   node N          a node that knows of no group; it starts
 *   timeout N       time goes on until node N's deadline, and it is told
 *   wait MS         time goes on, and nobody is told
 *   tick N          node N is told the time
 *   disk N          node N's disk does one after another what it was told
 *   deliver N M     the oldest message from N to M arrives
 *   drop N M        … is lost; `drop N *` and `drop * M`: all that there are
 *   settle          disks work, messages arrive, ticks that are due at once are made, until nothing is left to do
 *   write N K       node N, the leader, appends K entries
 *   change N add|promote|demote|remove M,  transfer N M,  read N ID,  read N ID lease
 *   compact N I     node N lets go of entries up to I
 *   crash N         node N goes down, and loses what its disk has not done; restart N
 *   show            every node: role, term, leader, log, commit index, configuration */
#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "election/raft.h"
#include "sim/raft_print.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES 7
#define ENTRIES 400
#define MESSAGES 1000

struct entry {
	uint64_t term;
	struct raft_configuration configuration; /* count 0: none */
};

struct log {
	uint64_t base, base_term, last;
	struct entry entries[ENTRIES]; /* by index */
};

/* What the disk was told and has not done. */
struct jobs {
	bool vote, chunk, install, make;
	uint64_t term, voted_for;
	bool written;
	uint64_t cuts;
	struct raft_snapshot snapshot;
};

struct node {
	struct raft *raft;
	uint64_t term, voted_for;
	struct log log, disk;
	struct raft_configuration first;
	uint64_t commit;
	enum raft_role role;
	uint64_t cuts;
	struct jobs jobs;
};

struct letter {
	struct raft_message message;
	struct raft_snapshot snapshot;
	struct raft_entry entries[16];
	struct raft_configuration configurations[16];
};

struct trace {
	struct buffer *out;
	msec now;
	struct node nodes[NODES + 1];
	struct letter *letters[MESSAGES];
	size_t letter_count;
};

static void step(struct trace *trace, uint64_t id, const struct raft_event *event);

/* --- effects ------------------------------------------------------------------------------------------------------- */

static void post(struct trace *trace, struct node *node, const struct raft_message *message)
{
	struct letter *letter = mem_zero(sizeof *letter);
	letter->message = *message;
	if (message->kind == RAFT_APPEND_REQUEST) {
		assert(message->append_request.count <= 16);
		letter->message.append_request.entries = letter->entries;
		for (uint32_t i = 0; i < message->append_request.count; i++) {
			struct entry *entry = &node->log.entries[message->append_request.prev_index + 1 + i];
			letter->configurations[i] = entry->configuration;
			letter->entries[i].term = entry->term;
			if (entry->configuration.count > 0)
				letter->entries[i].configuration = &letter->configurations[i];
		}
	}
	if (message->kind == RAFT_SNAPSHOT_CHUNK) {
		letter->snapshot = *message->chunk.snapshot;
		letter->message.chunk.snapshot = &letter->snapshot;
		letter->message.chunk.length = 50;
	}
	raft_print_message(trace->out, &letter->message);
	buffer_append_char(trace->out, '\n');
	assert(trace->letter_count < MESSAGES);
	trace->letters[trace->letter_count++] = letter;
}

static void append(struct trace *trace, uint64_t id, uint64_t count)
{
	struct node *node = &trace->nodes[id];
	for (uint64_t i = 0; i < count; i++)
		node->log.entries[++node->log.last] = (struct entry){.term = raft_term(node->raft)};
	node->jobs.written = true;
	step(trace, id, &(struct raft_event){.kind = RAFT_APPENDED, .count = count});
}

static void take_log(struct trace *trace, uint64_t id, const struct raft_effects *effects, const struct raft_event *event)
{
	struct node *node = &trace->nodes[id];
	if (effects->cut) {
		buffer_format(trace->out, "%" PRIu64 " cuts after %" PRIu64 "\n", id, effects->cut_after);
		node->log.last = effects->cut_after;
		node->jobs.cuts++;
		node->jobs.written = true;
	}
	for (uint64_t i = 0; i < effects->accept_count; i++) {
		const struct raft_append_request *request = &event->message->append_request;
		const struct raft_entry *entry = &request->entries[effects->accept_first + i - request->prev_index - 1];
		struct entry *kept = &node->log.entries[++node->log.last];
		*kept = (struct entry){.term = entry->term};
		if (entry->configuration != NULL)
			kept->configuration = *entry->configuration;
		kept->configuration.index = node->log.last;
		node->jobs.written = true;
	}
	if (effects->append_configuration != NULL) {
		node->log.entries[++node->log.last] = (struct entry){raft_term(node->raft), *effects->append_configuration};
		node->jobs.written = true;
		buffer_format(trace->out, "%" PRIu64 " appends configuration", id);
		raft_print_configuration(trace->out, effects->append_configuration);
		buffer_append_char(trace->out, '\n');
	}
}

static void say_changes(struct trace *trace, uint64_t id)
{
	struct node *node = &trace->nodes[id];
	if (raft_role(node->raft) != node->role) {
		node->role = raft_role(node->raft);
		buffer_format(trace->out, "%" PRIu64 " is %s in term %" PRIu64 "\n", id, raft_role_name(node->role),
		              raft_term(node->raft));
	}
	if (raft_commit_index(node->raft) != node->commit) {
		node->commit = raft_commit_index(node->raft);
		buffer_format(trace->out, "%" PRIu64 " commits %" PRIu64 "\n", id, node->commit);
	}
}

static void say_answers(struct trace *trace, uint64_t id, const struct raft_effects *effects)
{
	if (effects->result != 0)
		buffer_format(trace->out, "%" PRIu64 " refuses: %s\n", id, error_name(effects->result));
	for (size_t i = 0; i < effects->read_count; i++) {
		const struct raft_read *read = &effects->reads[i];
		if (read->result != 0)
			buffer_format(trace->out, "%" PRIu64 " refuses read %" PRIu64 "\n", id, read->id);
		else
			buffer_format(trace->out, "%" PRIu64 " answers read %" PRIu64 " at %" PRIu64 "\n", id, read->id, read->index);
	}
}

static void step(struct trace *trace, uint64_t id, const struct raft_event *event)
{
	struct node *node = &trace->nodes[id];
	struct raft_effects effects;
	if (node->raft == NULL)
		return;
	raft_step(node->raft, trace->now, event, &effects);
	if (effects.save_vote) {
		node->jobs.vote = true;
		node->jobs.term = raft_term(node->raft);
		node->jobs.voted_for = raft_voted_for(node->raft);
	}
	take_log(trace, id, &effects, event);
	say_changes(trace, id);
	say_answers(trace, id, &effects);
	node->jobs.make = node->jobs.make || effects.make_snapshot;
	node->jobs.chunk = node->jobs.chunk || effects.write_chunk;
	if (effects.install_snapshot != NULL) {
		node->jobs.install = true;
		node->jobs.snapshot = *effects.install_snapshot;
		node->jobs.cuts++;
		buffer_format(trace->out, "%" PRIu64 " installs snapshot %" PRIu64 "\n", id, effects.install_snapshot->index);
	}
	for (size_t i = 0; i < effects.message_count; i++)
		post(trace, node, &effects.messages[i]);
	if (effects.became_leader)
		append(trace, id, 1);
}

/* --- disks and messages -------------------------------------------------------------------------------------------- */

static void make_snapshot(struct trace *trace, uint64_t id)
{
	struct node *node = &trace->nodes[id];
	struct raft_snapshot snapshot = {.index = node->commit, .id = node->commit, .size = 100,
	                                 .configuration = *raft_configuration(node->raft)};
	raft_term_at(node->raft, node->commit, &snapshot.term);
	step(trace, id, &(struct raft_event){.kind = RAFT_SNAPSHOT_READY, .snapshot = &snapshot});
}

static bool disk(struct trace *trace, uint64_t id)
{
	struct node *node = &trace->nodes[id];
	struct jobs jobs = node->jobs;
	bool any = jobs.vote || jobs.written || jobs.chunk || jobs.install || jobs.make;
	node->jobs = (struct jobs){.cuts = jobs.cuts};
	if (jobs.vote) {
		node->term = jobs.term;
		node->voted_for = jobs.voted_for;
		step(trace, id, &(struct raft_event){.kind = RAFT_VOTE_SAVED});
	}
	if (jobs.written) {
		node->disk = node->log;
		step(trace, id, &(struct raft_event){.kind = RAFT_SYNCED, .index = node->disk.last, .cuts = jobs.cuts});
	}
	if (jobs.chunk)
		step(trace, id, &(struct raft_event){.kind = RAFT_CHUNK_SAVED});
	if (jobs.install) {
		node->log.base = node->log.last = jobs.snapshot.index;
		node->log.base_term = jobs.snapshot.term;
		node->first = jobs.snapshot.configuration;
		node->disk = node->log;
		step(trace, id, &(struct raft_event){.kind = RAFT_SNAPSHOT_INSTALLED});
	}
	if (jobs.make)
		make_snapshot(trace, id);
	return any;
}

static bool take_letter(struct trace *trace, uint64_t from, uint64_t to, bool arrives)
{
	for (size_t i = 0; i < trace->letter_count; i++) {
		struct letter *letter = trace->letters[i];
		if ((from != 0 && letter->message.from != from) || (to != 0 && letter->message.to != to))
			continue;
		trace->letter_count--;
		memmove(&trace->letters[i], &trace->letters[i + 1], (trace->letter_count - i) * sizeof letter);
		if (arrives)
			step(trace, letter->message.to, &(struct raft_event){.kind = RAFT_MESSAGE, .message = &letter->message});
		mem_free(letter);
		return true;
	}
	return false;
}

static void settle(struct trace *trace)
{
	for (bool any = true; any;) {
		any = take_letter(trace, 0, 0, true);
		for (uint64_t id = 1; id <= NODES && !any; id++)
			any = disk(trace, id);
		for (uint64_t id = 1; id <= NODES && !any; id++) {
			any = trace->nodes[id].raft != NULL && raft_deadline(trace->nodes[id].raft) == 0;
			if (any)
				step(trace, id, &(struct raft_event){.kind = RAFT_TICK});
		}
	}
}

/* --- nodes --------------------------------------------------------------------------------------------------------- */

static void start(struct trace *trace, uint64_t id)
{
	struct node *node = &trace->nodes[id];
	struct raft_term_run runs[ENTRIES];
	struct raft_configuration configurations[ENTRIES];
	struct raft_config config = {
		.id = id, .term = node->term, .voted_for = node->voted_for, .last_index = node->disk.last,
		.snapshot_index = node->disk.base, .snapshot_term = node->disk.base_term, .runs = runs,
		.configurations = configurations, .configuration_count = 1, .seed = 42, .batch_entries = 16,
	};
	configurations[0] = node->first;
	for (uint64_t i = node->disk.base + 1; i <= node->disk.last; i++) {
		const struct entry *entry = &node->disk.entries[i];
		if (config.run_count == 0 || runs[config.run_count - 1].term != entry->term)
			runs[config.run_count++] = (struct raft_term_run){i, entry->term};
		if (entry->configuration.count > 0)
			configurations[config.configuration_count++] = entry->configuration;
	}
	int result = raft_create(&config, &node->raft);
	assert(result == 0);
	(void)result;
	node->log = node->disk;
	node->jobs = (struct jobs){0};
	node->role = RAFT_FOLLOWER;
	node->commit = raft_commit_index(node->raft);
	step(trace, id, &(struct raft_event){.kind = RAFT_START});
}

static void crash(struct trace *trace, uint64_t id)
{
	raft_destroy(trace->nodes[id].raft);
	trace->nodes[id].raft = NULL;
}

static void show(struct trace *trace)
{
	for (uint64_t id = 1; id <= NODES; id++) {
		const struct raft *raft = trace->nodes[id].raft;
		if (raft == NULL)
			continue;
		buffer_format(trace->out, "%" PRIu64 " %s term %" PRIu64 " leader %" PRIu64 " log %" PRIu64 "/%" PRIu64
		              " synced %" PRIu64 " commit %" PRIu64 " members", id, raft_role_name(raft_role(raft)),
		              raft_term(raft), raft_leader(raft), raft_last_index(raft), raft_last_term(raft),
		              raft_synced_index(raft), raft_commit_index(raft));
		raft_print_configuration(trace->out, raft_configuration(raft));
		buffer_append_char(trace->out, '\n');
	}
}

static void timeout(struct trace *trace, uint64_t id)
{
	msec deadline = raft_deadline(trace->nodes[id].raft);
	assert(deadline != MSEC_NEVER);
	if (deadline > trace->now)
		trace->now = deadline;
	step(trace, id, &(struct raft_event){.kind = RAFT_TICK});
}

/* --- commands ------------------------------------------------------------------------------------------------------ */

static enum raft_change_kind change_kind(const char *word)
{
	return strcmp(word, "add") == 0       ? RAFT_ADD_LEARNER
	       : strcmp(word, "promote") == 0 ? RAFT_PROMOTE
	       : strcmp(word, "demote") == 0  ? RAFT_DEMOTE
	                                      : RAFT_REMOVE;
}

static void voters(struct trace *trace, uint64_t count)
{
	struct raft_configuration configuration = {.count = (uint32_t)count};
	for (uint32_t i = 0; i < count; i++)
		configuration.members[i] = (struct raft_member){i + 1, true};
	for (uint64_t id = 1; id <= count; id++) {
		trace->nodes[id].first = configuration;
		start(trace, id);
	}
}

static bool command(struct trace *trace, const char *line)
{
	char words[4][16] = {"", "", "", ""};
	int count = sscanf(line, "%15s %15s %15s %15s", words[0], words[1], words[2], words[3]);
	uint64_t one = strtoull(words[1], NULL, 10);
	uint64_t two = strtoull(words[2], NULL, 10);
	if (count < 1 || one > 10000 || (one > NODES && strcmp(words[0], "wait") != 0))
		return false;
	if (strcmp(words[0], "voters") == 0)
		voters(trace, one);
	else if (strcmp(words[0], "node") == 0 || strcmp(words[0], "restart") == 0)
		start(trace, one);
	else if (strcmp(words[0], "timeout") == 0)
		timeout(trace, one);
	else if (strcmp(words[0], "wait") == 0)
		trace->now += (msec)one;
	else if (strcmp(words[0], "tick") == 0)
		step(trace, one, &(struct raft_event){.kind = RAFT_TICK});
	else if (strcmp(words[0], "disk") == 0)
		disk(trace, one);
	else if (strcmp(words[0], "deliver") == 0)
		return take_letter(trace, one, two, true);
	else if (strcmp(words[0], "drop") == 0)
		while (take_letter(trace, one, two, false) && (one == 0 || two == 0))
			;
	else if (strcmp(words[0], "settle") == 0)
		settle(trace);
	else if (strcmp(words[0], "write") == 0)
		append(trace, one, two);
	else if (strcmp(words[0], "change") == 0)
		step(trace, one, &(struct raft_event){.kind = RAFT_CHANGE,
		                                      .change = {change_kind(words[2]), strtoull(words[3], NULL, 10)}});
	else if (strcmp(words[0], "transfer") == 0)
		step(trace, one, &(struct raft_event){.kind = RAFT_TRANSFER, .peer = two});
	else if (strcmp(words[0], "read") == 0)
		step(trace, one, &(struct raft_event){.kind = RAFT_READ, .id = two, .lease = words[3][0] != '\0'});
	else if (strcmp(words[0], "compact") == 0) {
		trace->nodes[one].log.base = two;
		trace->nodes[one].log.base_term = trace->nodes[one].log.entries[two].term;
		trace->nodes[one].first = *raft_configuration(trace->nodes[one].raft);
		trace->nodes[one].disk = trace->nodes[one].log;
		step(trace, one, &(struct raft_event){.kind = RAFT_COMPACTED, .index = two});
	} else if (strcmp(words[0], "crash") == 0)
		crash(trace, one);
	else if (strcmp(words[0], "show") == 0)
		show(trace);
	else
		return false;
	return true;
}

/* --- files --------------------------------------------------------------------------------------------------------- */

static bool run(const char *text, struct buffer *out)
{
	struct trace *trace = mem_zero(sizeof *trace);
	bool well = true;
	trace->out = out;
	for (const char *line = text; *line != '\0' && well;) {
		size_t size = strcspn(line, "\n");
		if (line[0] == '#' || line[0] == '>' || size == 0) {
			buffer_append(out, line, size);
			buffer_append_char(out, '\n');
		}
		if (line[0] == '>') {
			char *copy = mem_format("%.*s", (int)size - 1, line + 1);
			well = command(trace, copy);
			if (!well)
				fprintf(stderr, "cannot do \"%s\"\n", copy);
			mem_free(copy);
		}
		line += size + (line[size] == '\n');
	}
	while (take_letter(trace, 0, 0, false))
		;
	for (uint64_t id = 1; id <= NODES; id++)
		crash(trace, id);
	mem_free(trace);
	return well;
}

static bool read_file(const char *path, struct buffer *out)
{
	char block[4096];
	size_t size;
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return false;
	while ((size = fread(block, 1, sizeof block, file)) > 0)
		buffer_append(out, block, size);
	fclose(file);
	return true;
}

static void say_difference(const char *path, const char *want, const char *have)
{
	size_t line = 1;
	size_t start_of = 0;
	for (size_t i = 0; want[i] == have[i] && want[i] != '\0'; i++)
		if (want[i] == '\n') {
			line++;
			start_of = i + 1;
		}
	fprintf(stderr, "%s:%zu:\n  is written: %.*s\n  comes out:  %.*s\n", path, line, (int)strcspn(want + start_of, "\n"),
	        want + start_of, (int)strcspn(have + start_of, "\n"), have + start_of);
}

static bool one_file(const char *path, bool rewrite)
{
	struct buffer text = {0};
	struct buffer out = {0};
	bool well = read_file(path, &text) && run(buffer_string(&text), &out);
	if (well && strcmp(buffer_string(&text), buffer_string(&out)) != 0) {
		if (rewrite) {
			FILE *file = fopen(path, "w");
			well = file != NULL && fputs(buffer_string(&out), file) >= 0;
			well = file != NULL && fclose(file) == 0 && well;
		} else {
			say_difference(path, buffer_string(&text), buffer_string(&out));
			well = false;
		}
	}
	buffer_finish(&text);
	buffer_finish(&out);
	return well;
}

int main(int argc, char **argv)
{
	bool rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
	bool well = true;
	if (argc < (rewrite ? 3 : 2)) {
		fprintf(stderr, "usage: %s [--rewrite] FILE…\n", argv[0]);
		return 2;
	}
	for (int i = 1 + rewrite; i < argc; i++)
		well = one_file(argv[i], rewrite) && well;
	return well ? 0 : 1;
}
