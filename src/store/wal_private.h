/* What the files of the log share. wal.c appends; wal_read.c reads; roll.c begins segments and gives them back;
 * recovery.c opens.
 *
 * Nothing that was synced is ever overwritten by anything else. A segment is only written behind its tail, and only the last
 * one is: the others were synced whole before their successor was made. Cutting and resetting the log begin a new segment,
 * whose header makes what came before void: one atomic rename. What a torn tail left behind is told from what comes after it
 * by the epoch, which rises, and is synced, before anything is written over such a tail. */
#ifndef CLUSTERD_STORE_WAL_PRIVATE_H
#define CLUSTERD_STORE_WAL_PRIVATE_H

#include "store/reader.h"
#include "store/record.h"
#include "store/wal.h"

#define WAL_NAME_SIZE 32

struct segment {
	struct segment_header header;
	struct place *places; /* sorted; the first is the beginning; grown as the segment is walked */
	size_t place_count;
	size_t place_capacity;
};

/* A file that is to become a segment, still named as a spare. */
struct draft {
	struct fs_file *file; /* NULL: there is none */
	uint64_t number;      /* of its name */
	uint64_t size;        /* written so far */
	bool zeroed;
};

struct wal {
	struct fs *fs;
	struct wal_options options;
	struct segment *segments; /* those that count, oldest first; the last is written to; firsts rise strictly */
	size_t segment_count;
	size_t segment_capacity;
	struct fs_file *file;     /* of the last segment */
	struct fs_file *old_file; /* of another one that is being read, */
	uint64_t old_generation;  /* this one */

	uint64_t position; /* in the last segment: where the next record goes */
	uint32_t epoch;
	uint64_t last;     /* index of the last entry */
	uint64_t synced;   /* index up to which all is on disk */
	uint64_t noted;    /* the highest that a record or header gives as synced */
	bool dirty;        /* written since the last sync */

	uint64_t next_number; /* for a file: its generation, when it becomes a segment */
	uint64_t *spares;     /* numbers of the spare files of full size */
	size_t spare_count;
	size_t spare_capacity;
	struct draft next;    /* prepared ahead */

	struct buffer batch;
	struct reader reader;
	struct place hint; /* where the last wal_read ended, in this segment */
	uint64_t hint_generation;

	bool failed;
	struct error failure;
};

static inline struct segment *wal_current(const struct wal *wal)
{
	return &wal->segments[wal->segment_count - 1];
}

/* Index of the last entry in segment number i that counts. */
static inline uint64_t wal_segment_last(const struct wal *wal, size_t i)
{
	return i + 1 < wal->segment_count ? wal->segments[i + 1].header.first - 1 : wal->last;
}

/* wal.c */
/* Sets the error from a negative errno: "cannot <doing> log/<name>: …". ERR_NO_SPACE or ERR_IO. */
int wal_error(struct error *error, int64_t result, const char *doing, const char *name);
/* The same, and from now on the log refuses everything. Always ERR_IO. */
int wal_fail(struct wal *wal, struct error *error, int64_t result, const char *doing, const char *name);
int wal_usable(const struct wal *wal, struct error *error); /* 0 or ERR_IO */
int wal_damaged(struct error *error, const struct segment *segment, uint64_t offset, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Writes a mark that begins an epoch (when there is room for it; else nothing more fits into this segment), with zeroes
 * behind it up to `zero_end`, and syncs. ERR_IO and the log has failed otherwise. */
int wal_seal(struct wal *wal, uint64_t zero_end, struct error *error);

/* segment.c */
void segment_name(char ret_name[WAL_NAME_SIZE], uint64_t number);
void spare_name(char ret_name[WAL_NAME_SIZE], uint64_t number);
/* 0 for a name that is neither; *ret_segment tells which. */
uint64_t segment_parse_name(const char *name, bool *ret_segment);
struct segment *segments_add(struct wal *wal, const struct segment_header *header);
void segment_finish(struct segment *segment);
/* Remembers a place, when it is far enough behind the last one. */
void segment_note(struct segment *segment, struct place place);
/* The nearest known place at or before the entry. */
struct place segment_place(const struct segment *segment, uint64_t index);

/* roll.c */
struct roll {
	uint64_t first;  /* index of the new segment's first entry; later ones before it are void */
	uint64_t needed; /* bytes of records that must fit */
	bool fresh;      /* nothing before it counts */
	bool small;
};
/* Begins a new last segment; what was written before is synced. ERR_NO_SPACE leaves all as it was. */
int wal_roll(struct wal *wal, const struct roll *roll, struct error *error);
/* Takes segments out of the list: recycles or removes their files, in order, each step on disk before the next. */
int wal_retire(struct wal *wal, size_t from, size_t count, struct error *error);
void roll_draft_close(struct wal *wal, struct draft *draft); /* NULL file is fine */

#endif
