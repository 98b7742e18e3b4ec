/* Walks the records of one segment from a known place on. */
#ifndef CLUSTERD_STORE_READER_H
#define CLUSTERD_STORE_READER_H

#include "store/fs.h"
#include "store/record.h"

/* Where a walk may begin: at `offset` stands entry `index`, or marks before it, of `epoch` or a later one. */
struct place {
	uint64_t index;
	uint64_t offset;
	uint32_t epoch;
};

struct reader {
	struct fs_file *file;
	struct fs *fs;
	uint64_t generation;
	uint64_t end;           /* of the segment */
	uint32_t body_size_max;
	size_t chunk;           /* bytes to read at a time, at least */
	struct place at;        /* the next record */
	const char *problem;    /* why the walk ended */
	bool damage;            /* … and no power cut can have done that */
	struct buffer window;   /* what was read last */
	uint64_t window_offset;
};

/* Puts an initialised (or zeroed) reader at a place; forgets what it read, keeps its memory. */
void reader_start(struct reader *reader, struct fs *fs, struct fs_file *file, const struct segment_header *header,
                  struct place at);
void reader_finish(struct reader *reader);
/* The next record: 1; 0 when there is no valid one (->at stays, ->problem says why); a negative errno. `ret_body` NULL:
 * the body is neither read nor checked. The body is good until the next call. */
int reader_next(struct reader *reader, struct record *ret_record, const char **ret_body);

#endif
