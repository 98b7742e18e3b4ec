#include "catalog/schema.h"

#include "catalog/catalog.h"

#include <assert.h>

/* A migration that has been released is never edited: what it made is in people's files. The next one is added below
 * it.
 *
 * Why the tables are as they are:
 * - Rows of one instance lie together: pi_call and pi_history are clustered by instance, and have no second index to
 *   keep.
 * - pi_instance_finished answers both "which are unfinished" (NULL comes first, then ascending ids) and "which
 *   finished before".
 * - kv has no second index: putting a key is one search. Which keys a lease has is lease_key's, which most puts leave alone.
 * - kv_change is appended to only, and its seq is dense: what is kept is counted, and a version found, without an index.
 * - job_finished and allocation_finished answer which have not ended (NULL comes first) and which ended before, allocation_ended how the
 *   last one of a job ended, also while ten thousand of it have not. job_task has only tasks that wait for another attempt.
 * - topic, publication and subscription are all in memory: they are found there, by name and owner, and have no second index. Their ids are
 *   the log index of what made them. They lose their owner or topic at once when that ends, and go by and by.
 * - Absent is NULL. Times are milliseconds since 1970. Values are JSON text, byte for byte as they came. */
static const char *const migrations[CATALOG_SCHEMA_VERSION] = {
	/* 1 */
	"CREATE TABLE meta ("
	"  key TEXT NOT NULL PRIMARY KEY,"
	"  value ANY NOT NULL"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE setting ("
	"  name TEXT NOT NULL PRIMARY KEY,"
	"  value TEXT NOT NULL"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE unit ("
	"  id INTEGER PRIMARY KEY,"
	"  files TEXT NOT NULL,"       /* [{path, text}] */
	"  attachments TEXT NOT NULL," /* [{path, hash}] */
	"  registered_ms INTEGER NOT NULL"
	") STRICT;"

	"CREATE TABLE file ("
	"  hash TEXT NOT NULL PRIMARY KEY,"
	"  executable INTEGER NOT NULL,"
	"  content BLOB NOT NULL"
	") STRICT;"

	"CREATE TABLE process ("
	"  name TEXT NOT NULL,"
	"  version INTEGER NOT NULL,"
	"  kind TEXT NOT NULL,"
	"  signature TEXT NOT NULL,"
	"  source TEXT,"
	"  registered_ms INTEGER NOT NULL,"
	"  unit INTEGER NOT NULL,"
	"  PRIMARY KEY (name, version)"
	") STRICT;"

	"CREATE TABLE pi_instance ("
	"  id INTEGER PRIMARY KEY,"
	"  key TEXT,"
	"  process TEXT NOT NULL,"
	"  version INTEGER NOT NULL,"
	"  state TEXT NOT NULL,"
	"  args TEXT,"
	"  result TEXT,"
	"  error TEXT,"
	"  started_ms INTEGER NOT NULL,"
	"  finished_ms INTEGER,"
	"  step INTEGER NOT NULL,"
	"  failing INTEGER NOT NULL,"
	"  limits TEXT"
	") STRICT;"
	"CREATE UNIQUE INDEX pi_instance_key ON pi_instance (key) WHERE key IS NOT NULL;"
	"CREATE INDEX pi_instance_finished ON pi_instance (finished_ms);"

	"CREATE TABLE pi_call ("
	"  instance INTEGER NOT NULL,"
	"  ref INTEGER NOT NULL,"
	"  process TEXT NOT NULL,"
	"  state TEXT NOT NULL,"
	"  args TEXT,"
	"  result TEXT,"
	"  error TEXT,"
	"  attempts INTEGER NOT NULL,"
	"  node TEXT,"
	"  called_ms INTEGER NOT NULL,"
	"  returned_ms INTEGER,"
	"  kind TEXT NOT NULL,"
	"  version INTEGER NOT NULL,"
	"  attempt INTEGER NOT NULL,"
	"  step INTEGER NOT NULL,"
	"  started_ms INTEGER,"
	"  due_ms INTEGER,"
	"  PRIMARY KEY (instance, ref)"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE pi_history ("
	"  seq INTEGER NOT NULL,"
	"  instance INTEGER NOT NULL,"
	"  time_ms INTEGER NOT NULL,"
	"  kind TEXT NOT NULL,"
	"  ref INTEGER,"
	"  detail TEXT,"
	"  PRIMARY KEY (instance, seq)"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE timer ("
	"  due_ms INTEGER NOT NULL,"
	"  instance INTEGER NOT NULL,"
	"  ref INTEGER NOT NULL,"
	"  PRIMARY KEY (due_ms, instance, ref)"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE signal ("
	"  instance INTEGER NOT NULL,"
	"  name TEXT NOT NULL,"
	"  key TEXT NOT NULL,"
	"  seq INTEGER NOT NULL,"
	"  value TEXT NOT NULL,"
	"  PRIMARY KEY (instance, name, key, seq)"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE session ("
	"  id INTEGER PRIMARY KEY,"
	"  opened_ms INTEGER NOT NULL,"
	"  answered_below INTEGER NOT NULL,"
	"  answers TEXT NOT NULL"
	") STRICT;"

	"CREATE TABLE node ("
	"  id INTEGER PRIMARY KEY,"
	"  name TEXT NOT NULL,"
	"  role TEXT NOT NULL,"
	"  address TEXT,"
	"  datacenter TEXT,"
	"  state TEXT NOT NULL,"
	"  generation INTEGER NOT NULL,"
	"  tags TEXT"
	") STRICT;"

	/* History says what happened and when; the values are stored once, in pi_call and pi_instance. Here they are side by
	 * side. */
	"CREATE VIEW pi_event AS"
	" SELECT h.seq, h.instance, h.time_ms, h.kind, h.ref, c.process,"
	"  CASE h.kind WHEN 'call' THEN c.args WHEN 'start' THEN i.args END AS args,"
	"  CASE h.kind WHEN 'return' THEN c.result WHEN 'result' THEN i.result END AS result,"
	"  CASE WHEN h.kind NOT IN ('start', 'call', 'idle', 'result') THEN"
	"   CASE WHEN h.ref IS NULL THEN i.error ELSE c.error END END AS error,"
	"  h.detail"
	" FROM pi_history AS h"
	" LEFT JOIN pi_call AS c ON c.instance = h.instance AND c.ref = h.ref"
	" LEFT JOIN pi_instance AS i ON i.id = h.instance AND h.ref IS NULL;",

	/* 2 */
	"CREATE TABLE kv ("
	"  key TEXT NOT NULL PRIMARY KEY,"
	"  value ANY NOT NULL," /* text when it is UTF-8 without NUL, else a blob */
	"  version INTEGER NOT NULL,"
	"  lease INTEGER,"
	"  created INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE kv_change ("
	"  seq INTEGER PRIMARY KEY,"
	"  version INTEGER NOT NULL,"
	"  key TEXT NOT NULL,"
	"  lease INTEGER,"
	"  created INTEGER NOT NULL,"
	"  bytes INTEGER NOT NULL," /* of all changes up to this one */
	"  value ANY"               /* NULL: deleted. Last: what is before it is read without reading a large one */
	") STRICT;"

	"CREATE TABLE lease ("
	"  id INTEGER PRIMARY KEY,"
	"  ttl_ms INTEGER NOT NULL,"
	"  owner TEXT NOT NULL,"
	"  granted_ms INTEGER NOT NULL,"
	"  state TEXT NOT NULL"
	") STRICT;"

	"CREATE TABLE lease_key ("
	"  lease INTEGER NOT NULL,"
	"  key TEXT NOT NULL,"
	"  PRIMARY KEY (lease, key)"
	") STRICT, WITHOUT ROWID;",

	/* 3 */
	"ALTER TABLE node ADD COLUMN cpu INTEGER;"       /* thousandths of a processor */
	"ALTER TABLE node ADD COLUMN memory INTEGER;"    /* bytes */
	"ALTER TABLE node ADD COLUMN port_low INTEGER;"
	"ALTER TABLE node ADD COLUMN port_high INTEGER;"
	"ALTER TABLE node ADD COLUMN eligible INTEGER NOT NULL DEFAULT 1;"
	"ALTER TABLE node ADD COLUMN drain TEXT;" /* draining, drained */
	"ALTER TABLE node ADD COLUMN drain_until_ms INTEGER;"

	"CREATE TABLE job ("
	"  id INTEGER PRIMARY KEY,"
	"  key TEXT,"
	"  name TEXT NOT NULL,"
	"  version INTEGER NOT NULL,"
	"  type TEXT NOT NULL,"
	"  state TEXT NOT NULL,"
	"  args TEXT,"
	"  error TEXT,"
	"  count INTEGER NOT NULL,"
	"  running INTEGER NOT NULL,"   /* allocations that have not ended */
	"  completed INTEGER NOT NULL," /* tasks */
	"  failed INTEGER NOT NULL,"    /* allocations */
	"  lost INTEGER NOT NULL,"
	"  submitted_ms INTEGER NOT NULL,"
	"  started_ms INTEGER,"
	"  finished_ms INTEGER,"
	"  next_task INTEGER NOT NULL,"
	"  parent INTEGER,"
	"  priority INTEGER,"
	"  next_ms INTEGER,"  /* periodic: when it is due next */
	"  instance INTEGER," /* of the call that it was begun by, with reference and attempt */
	"  ref INTEGER,"
	"  attempt INTEGER,"
	"  output TEXT"       /* how what it prints is read as the call's result: json, text, lines, none */
	") STRICT;"
	"CREATE UNIQUE INDEX job_key ON job (key) WHERE key IS NOT NULL;"
	"CREATE INDEX job_parent ON job (parent) WHERE parent IS NOT NULL;"
	"CREATE INDEX job_finished ON job (finished_ms);"

	"CREATE TABLE allocation ("
	"  id INTEGER PRIMARY KEY,"
	"  job INTEGER NOT NULL,"
	"  task INTEGER NOT NULL,"
	"  version INTEGER NOT NULL,"
	"  node INTEGER NOT NULL,"
	"  state TEXT NOT NULL,"
	"  attempt INTEGER NOT NULL,"
	"  ports TEXT,"       /* a JSON array */
	"  healthy INTEGER,"  /* NULL: nothing checks it, or has so far */
	"  exit_code INTEGER,"
	"  exit_signal INTEGER,"
	"  error TEXT,"
	"  placed_ms INTEGER NOT NULL,"
	"  started_ms INTEGER,"
	"  finished_ms INTEGER,"
	"  registered INTEGER NOT NULL,"
	"  stopping INTEGER NOT NULL,"
	"  failures INTEGER NOT NULL,"
	"  window_ms INTEGER"
	") STRICT;"
	"CREATE INDEX allocation_job ON allocation (job, task);"
	"CREATE INDEX allocation_finished ON allocation (finished_ms);"
	"CREATE INDEX allocation_ended ON allocation (job, finished_ms) WHERE finished_ms IS NOT NULL;"

	"CREATE TABLE job_task ("
	"  job INTEGER NOT NULL,"
	"  task INTEGER NOT NULL,"
	"  attempts INTEGER NOT NULL,"
	"  failures INTEGER NOT NULL,"
	"  window_ms INTEGER,"
	"  due_ms INTEGER,"
	"  PRIMARY KEY (job, task)"
	") STRICT, WITHOUT ROWID;"

	/* A session of its own time to live is a lease; who shows a secret of this proof acts in it. */
	"ALTER TABLE session ADD COLUMN ttl_ms INTEGER;"
	"ALTER TABLE session ADD COLUMN proof TEXT;"

	"CREATE TABLE topic ("
	"  id INTEGER PRIMARY KEY,"
	"  name TEXT NOT NULL,"
	"  kind TEXT NOT NULL,"
	"  schema TEXT NOT NULL,"
	"  partitions INTEGER NOT NULL," /* 0: it is not divided */
	"  version INTEGER NOT NULL,"    /* log index of its last change */
	"  created_ms INTEGER NOT NULL"
	") STRICT;"

	"CREATE TABLE publication ("
	"  id INTEGER PRIMARY KEY,"
	"  topic INTEGER NOT NULL,"
	"  part INTEGER NOT NULL,"
	"  session INTEGER NOT NULL,"
	"  address TEXT NOT NULL,"
	"  job INTEGER,"
	"  allocation INTEGER,"
	"  published_ms INTEGER NOT NULL"
	") STRICT;"

	"CREATE TABLE subscription ("
	"  id INTEGER PRIMARY KEY,"
	"  topic INTEGER NOT NULL,"
	"  part INTEGER," /* NULL: all of it */
	"  session INTEGER NOT NULL,"
	"  subscribed_ms INTEGER NOT NULL"
	") STRICT;"

	/* Nodes as those who run tasks. */
	"CREATE VIEW executor AS"
	" SELECT id, name, address, datacenter, state, eligible, cpu, memory, port_low, port_high FROM node WHERE cpu IS NOT NULL;",
};

const char *schema_migration(int version)
{
	assert(version >= 1 && version <= CATALOG_SCHEMA_VERSION);
	return migrations[version - 1];
}
