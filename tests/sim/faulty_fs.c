#include "sim/faulty_fs.h"

#include "sim/faulty_content.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE 64
#define DEFAULT_FREE (UINT64_C(1) << 40)

struct name {
	char text[NAME_SIZE];
	struct content *content;
};

struct directory {
	struct name *names; /* sorted */
	size_t count;
	size_t capacity;
};

enum change_kind { CHANGE_CREATE, CHANGE_RENAME, CHANGE_REMOVE };

struct change {
	enum change_kind kind;
	char from[NAME_SIZE];
	char to[NAME_SIZE];
	struct content *content;
};

struct faulty_fs {
	struct fs fs;
	struct random random;
	struct content *contents;
	struct directory now;
	struct directory durable;
	struct change *changes; /* since the directory was synced */
	size_t change_count;
	size_t change_capacity;
	uint64_t power; /* number of times it came on */
	struct faulty_losses losses;
	bool off;
	uint64_t operations;
	uint64_t off_at; /* value of `operations`; 0: never */
	uint64_t syncs;
	uint64_t fail_sync_at;
	uint64_t writes;
	uint64_t fail_space_at;
	uint64_t limit; /* of bytes; 0: none */
};

struct fs_file {
	struct faulty_fs *faulty;
	struct content *content;
	uint64_t power;
};

static struct faulty_fs *faulty_of(struct fs *fs)
{
	return (struct faulty_fs *)fs;
}

static bool chance(struct faulty_fs *faulty, uint64_t in)
{
	return random_below(&faulty->random, in) == 0;
}

/* Directory. */

static struct name *directory_find(const struct directory *directory, const char *name)
{
	for (size_t i = 0; i < directory->count; i++)
		if (strcmp(directory->names[i].text, name) == 0)
			return &directory->names[i];
	return NULL;
}

static void directory_remove(struct directory *directory, const char *name)
{
	struct name *found = directory_find(directory, name);
	if (found == NULL)
		return;
	size_t after = (size_t)(directory->names + directory->count - found) - 1;
	memmove(found, found + 1, after * sizeof *found);
	directory->count--;
}

static void directory_put(struct directory *directory, const char *name, struct content *content)
{
	assert(strlen(name) < NAME_SIZE);
	directory_remove(directory, name);
	mem_grow(directory->names, directory->capacity, directory->count + 1);
	size_t at = 0;
	while (at < directory->count && strcmp(directory->names[at].text, name) < 0)
		at++;
	memmove(&directory->names[at + 1], &directory->names[at], (directory->count - at) * sizeof directory->names[0]);
	directory->count++;
	directory->names[at] = (struct name){.content = content};
	memcpy(directory->names[at].text, name, strlen(name) + 1);
}

static void directory_copy(struct directory *to, const struct directory *from)
{
	mem_grow(to->names, to->capacity, from->count);
	if (from->count > 0)
		memcpy(to->names, from->names, from->count * sizeof from->names[0]);
	to->count = from->count;
}

/* False when what it starts from is not there (an earlier change was lost). */
static bool change_apply(struct directory *directory, const struct change *change)
{
	struct name *from = directory_find(directory, change->from);
	if (change->kind == CHANGE_CREATE) {
		directory_put(directory, change->from, change->content);
		return true;
	}
	if (from == NULL || from->content != change->content)
		return false;
	directory_remove(directory, change->from);
	if (change->kind == CHANGE_RENAME)
		directory_put(directory, change->to, change->content);
	return true;
}

static void change_make(struct faulty_fs *faulty, enum change_kind kind, const char *from, const char *to,
                        struct content *content)
{
	mem_grow(faulty->changes, faulty->change_capacity, faulty->change_count + 1);
	struct change *change = &faulty->changes[faulty->change_count++];
	*change = (struct change){.kind = kind, .content = content};
	memcpy(change->from, from, strlen(from) + 1);
	if (to != NULL)
		memcpy(change->to, to, strlen(to) + 1);
	change_apply(&faulty->now, change);
}

static void mark_reachable(const struct directory *directory)
{
	for (size_t i = 0; i < directory->count; i++)
		directory->names[i].content->reachable = true;
}

/* Frees what has no name and is not open. */
static void collect(struct faulty_fs *faulty)
{
	for (struct content *content = faulty->contents; content != NULL; content = content->next)
		content->reachable = content->open_count > 0;
	mark_reachable(&faulty->now);
	mark_reachable(&faulty->durable);
	for (size_t i = 0; i < faulty->change_count; i++)
		faulty->changes[i].content->reachable = true;
	struct content **link = &faulty->contents;
	while (*link != NULL) {
		struct content *content = *link;
		if (content->reachable) {
			link = &content->next;
			continue;
		}
		*link = content->next;
		content_destroy(content);
	}
}

/* Counts a changing operation. 0; 1 when the power goes during it; −EIO when it is off. */
static int changing(struct faulty_fs *faulty)
{
	if (faulty->off)
		return -EIO;
	faulty->operations++;
	if (faulty->operations != faulty->off_at)
		return 0;
	faulty->off = true;
	return 1;
}

static int usable(const struct fs_file *file)
{
	return file->faulty->off || file->power != file->faulty->power ? -EIO : 0;
}

/* Operations. */

static struct content *content_create(struct faulty_fs *faulty)
{
	struct content *content = mem_zero(sizeof *content);
	content->next = faulty->contents;
	faulty->contents = content;
	return content;
}

static bool name_allowed(const char *name)
{
	return name[0] != '\0' && strlen(name) < NAME_SIZE && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

static int faulty_open(struct fs *fs, const char *name, bool create, struct fs_file **ret_file)
{
	struct faulty_fs *faulty = faulty_of(fs);
	if (!name_allowed(name))
		return -EINVAL;
	if (faulty->off)
		return -EIO;
	struct name *found = directory_find(&faulty->now, name);
	if (found == NULL && !create)
		return -ENOENT;
	if (found == NULL) {
		int result = changing(faulty);
		if (result < 0)
			return result;
		change_make(faulty, CHANGE_CREATE, name, NULL, content_create(faulty));
		if (result > 0)
			return -EIO;
		found = directory_find(&faulty->now, name);
	}
	struct fs_file *file = mem_zero(sizeof *file);
	*file = (struct fs_file){.faulty = faulty, .content = found->content, .power = faulty->power};
	file->content->open_count++;
	*ret_file = file;
	return 0;
}

static void faulty_close(struct fs_file *file)
{
	struct faulty_fs *faulty = file->faulty;
	file->content->open_count--;
	if (file->content->open_count == 0)
		collect(faulty);
	mem_free(file);
}

static int64_t faulty_size(struct fs_file *file)
{
	int result = usable(file);
	return result < 0 ? result : (int64_t)file->content->size;
}

static int64_t faulty_read(struct fs_file *file, uint64_t offset, void *data, size_t size)
{
	const struct content *content = file->content;
	int result = usable(file);
	if (result < 0)
		return result;
	if (offset >= content->size)
		return 0;
	if (size > content->size - offset)
		size = (size_t)(content->size - offset);
	if (size > 0)
		memcpy(data, content->cache + offset, size);
	return (int64_t)size;
}

static uint64_t used_bytes(const struct faulty_fs *faulty)
{
	uint64_t used = 0;
	for (size_t i = 0; i < faulty->now.count; i++)
		used += faulty->now.names[i].content->size;
	return used;
}

/* How much of the bytes up to `end` there is room for: less than wanted is −ENOSPC, after what fits. */
static uint64_t room(struct faulty_fs *faulty, const struct content *content, uint64_t offset, uint64_t size)
{
	faulty->writes++;
	if (faulty->fail_space_at != 0 && faulty->writes >= faulty->fail_space_at)
		return faulty->writes == faulty->fail_space_at ? random_below(&faulty->random, size + 1) : 0;
	if (faulty->limit == 0 || offset + size <= content->size)
		return size;
	uint64_t used = used_bytes(faulty);
	uint64_t left = used < faulty->limit ? faulty->limit - used : 0;
	uint64_t end = content->size + left;
	if (end >= offset + size)
		return size;
	return end > offset ? end - offset : 0;
}

static bool space_failed(const struct faulty_fs *faulty)
{
	return faulty->fail_space_at != 0 && faulty->writes >= faulty->fail_space_at;
}

/* NULL data: zeroes. */
static int put(struct fs_file *file, uint64_t offset, const void *data, uint64_t size)
{
	struct faulty_fs *faulty = file->faulty;
	int result = usable(file);
	if (result == 0)
		result = changing(faulty);
	if (result < 0)
		return result;
	uint64_t fitting = room(faulty, file->content, offset, size);
	if (result > 0)
		fitting = random_below(&faulty->random, fitting + 1);
	content_write(file->content, offset, data, (size_t)fitting);
	content_write_back(file->content, &faulty->random);
	if (result > 0)
		return -EIO;
	return fitting < size || space_failed(faulty) ? -ENOSPC : 0;
}

static int faulty_write(struct fs_file *file, uint64_t offset, const void *data, size_t size)
{
	return put(file, offset, data, size);
}

static int faulty_allocate(struct fs_file *file, uint64_t size)
{
	if (size <= file->content->size)
		return usable(file);
	return put(file, file->content->size, NULL, size - file->content->size);
}

static int faulty_truncate(struct fs_file *file, uint64_t size)
{
	int result = usable(file);
	if (result == 0)
		result = changing(file->faulty);
	if (result < 0)
		return result;
	content_truncate(file->content, size);
	return result > 0 ? -EIO : 0;
}

static bool sync_fails(struct faulty_fs *faulty)
{
	return ++faulty->syncs == faulty->fail_sync_at;
}

static int faulty_sync(struct fs_file *file)
{
	struct content *content = file->content;
	struct faulty_fs *faulty = file->faulty;
	int result = usable(file);
	if (result == 0)
		result = changing(faulty);
	if (result < 0)
		return result;
	bool failing = sync_fails(faulty);
	if (failing || result > 0) {
		content_sync_partly(content, &faulty->random, failing);
		return -EIO;
	}
	content_sync(content);
	return 0;
}

static int faulty_rename(struct fs *fs, const char *from, const char *to)
{
	struct faulty_fs *faulty = faulty_of(fs);
	if (!name_allowed(from) || !name_allowed(to))
		return -EINVAL;
	struct name *found = directory_find(&faulty->now, from);
	int result = changing(faulty);
	if (result < 0)
		return result;
	if (found == NULL)
		return -ENOENT;
	change_make(faulty, CHANGE_RENAME, from, to, found->content);
	return result > 0 ? -EIO : 0;
}

static int faulty_remove(struct fs *fs, const char *name)
{
	struct faulty_fs *faulty = faulty_of(fs);
	if (!name_allowed(name))
		return -EINVAL;
	struct name *found = directory_find(&faulty->now, name);
	int result = changing(faulty);
	if (result < 0)
		return result;
	if (found == NULL)
		return -ENOENT;
	change_make(faulty, CHANGE_REMOVE, name, NULL, found->content);
	return result > 0 ? -EIO : 0;
}

/* Some of the changes reach the disk: the first few, as with a journal, or any. */
static void keep_some_changes(struct faulty_fs *faulty)
{
	bool any = chance(faulty, 2);
	uint64_t first = random_below(&faulty->random, faulty->change_count + 1);
	for (size_t i = 0; i < faulty->change_count; i++)
		if (any ? chance(faulty, 2) : i < first)
			change_apply(&faulty->durable, &faulty->changes[i]);
	faulty->change_count = 0;
}

static int faulty_sync_directory(struct fs *fs)
{
	struct faulty_fs *faulty = faulty_of(fs);
	int result = changing(faulty);
	if (result != 0 || sync_fails(faulty))
		return -EIO;
	directory_copy(&faulty->durable, &faulty->now);
	faulty->change_count = 0;
	collect(faulty);
	return 0;
}

static int faulty_list(struct fs *fs, struct buffer *ret_names)
{
	const struct faulty_fs *faulty = faulty_of(fs);
	if (faulty->off)
		return -EIO;
	for (size_t i = 0; i < faulty->now.count; i++)
		buffer_append(ret_names, faulty->now.names[i].text, strlen(faulty->now.names[i].text) + 1);
	return 0;
}

static int64_t faulty_free_space(struct fs *fs)
{
	const struct faulty_fs *faulty = faulty_of(fs);
	if (faulty->off)
		return -EIO;
	if (faulty->limit == 0)
		return (int64_t)DEFAULT_FREE;
	uint64_t used = used_bytes(faulty);
	return used < faulty->limit ? (int64_t)(faulty->limit - used) : 0;
}

static void faulty_destroy(struct fs *fs)
{
	struct faulty_fs *faulty = faulty_of(fs);
	if (fs == NULL)
		return;
	while (faulty->contents != NULL) {
		struct content *content = faulty->contents;
		assert(content->open_count == 0);
		faulty->contents = content->next;
		content_destroy(content);
	}
	mem_free(faulty->now.names);
	mem_free(faulty->durable.names);
	mem_free(faulty->changes);
	mem_free(faulty);
}

static const struct fs_operations faulty_operations = {
	.open = faulty_open,
	.close = faulty_close,
	.size = faulty_size,
	.read = faulty_read,
	.write = faulty_write,
	.allocate = faulty_allocate,
	.truncate = faulty_truncate,
	.sync = faulty_sync,
	.rename = faulty_rename,
	.remove = faulty_remove,
	.sync_directory = faulty_sync_directory,
	.list = faulty_list,
	.free_space = faulty_free_space,
	.destroy = faulty_destroy,
};

struct fs *faulty_fs_create(uint64_t seed)
{
	struct faulty_fs *faulty = mem_zero(sizeof *faulty);
	faulty->fs.operations = &faulty_operations;
	faulty->random.state = seed;
	return &faulty->fs;
}

void faulty_fs_crash(struct fs *fs)
{
	struct faulty_fs *faulty = faulty_of(fs);
	keep_some_changes(faulty);
	directory_copy(&faulty->now, &faulty->durable);
	for (struct content *content = faulty->contents; content != NULL; content = content->next)
		content_crash(content, &faulty->random, &faulty->losses);
	faulty->off = false;
	faulty->off_at = faulty->fail_sync_at = faulty->fail_space_at = 0;
	faulty->power++;
	collect(faulty);
}

void faulty_fs_losses(struct fs *fs, struct faulty_losses *losses)
{
	struct faulty_fs *faulty = faulty_of(fs);
	losses->lost += faulty->losses.lost;
	losses->torn += faulty->losses.torn;
	faulty->losses = (struct faulty_losses){0, 0};
}

void faulty_fs_power_off_at(struct fs *fs, uint64_t operations)
{
	struct faulty_fs *faulty = faulty_of(fs);
	faulty->off_at = operations != 0 ? faulty->operations + operations : 0;
}

bool faulty_fs_is_off(const struct fs *fs)
{
	return ((const struct faulty_fs *)fs)->off;
}

uint64_t faulty_fs_operations(const struct fs *fs)
{
	return ((const struct faulty_fs *)fs)->operations;
}

void faulty_fs_fail_sync(struct fs *fs, uint64_t nth)
{
	struct faulty_fs *faulty = faulty_of(fs);
	faulty->fail_sync_at = nth != 0 ? faulty->syncs + nth : 0;
}

void faulty_fs_fail_space(struct fs *fs, uint64_t nth)
{
	struct faulty_fs *faulty = faulty_of(fs);
	faulty->fail_space_at = nth != 0 ? faulty->writes + nth : 0;
}

void faulty_fs_set_capacity(struct fs *fs, uint64_t bytes)
{
	faulty_of(fs)->limit = bytes;
}

void faulty_fs_evict(struct fs *fs)
{
	struct faulty_fs *faulty = faulty_of(fs);
	for (struct content *content = faulty->contents; content != NULL; content = content->next)
		content_evict(content);
}

/* Damage. */

static struct content *content_named(struct fs *fs, const char *name)
{
	struct name *found = directory_find(&faulty_of(fs)->now, name);
	return found != NULL ? found->content : NULL;
}

bool faulty_fs_overwrite(struct fs *fs, const char *name, uint64_t offset, const void *data, size_t size)
{
	struct content *content = content_named(fs, name);
	if (content == NULL || offset + size > content->size || offset + size > content->disk_size)
		return false;
	memcpy(content->cache + offset, data, size);
	memcpy(content->disk + offset, data, size);
	return true;
}

bool faulty_fs_flip(struct fs *fs, const char *name, uint64_t offset, unsigned bit)
{
	struct content *content = content_named(fs, name);
	assert(bit < 8);
	if (content == NULL || offset >= content->size)
		return false;
	content->cache[offset] = (char)(content->cache[offset] ^ (1 << bit));
	content->disk[offset] = (char)(content->disk[offset] ^ (1 << bit));
	return true;
}

bool faulty_fs_shorten(struct fs *fs, const char *name, uint64_t size)
{
	struct content *content = content_named(fs, name);
	if (content == NULL || size > content->size)
		return false;
	memset(content->cache + size, 0, content->capacity - size);
	memset(content->disk + size, 0, content->capacity - size);
	content->size = content->disk_size = size;
	return true;
}

bool faulty_fs_remove(struct fs *fs, const char *name)
{
	struct faulty_fs *faulty = faulty_of(fs);
	if (content_named(fs, name) == NULL)
		return false;
	directory_remove(&faulty->now, name);
	directory_remove(&faulty->durable, name);
	collect(faulty);
	return true;
}

void faulty_fs_put(struct fs *fs, const char *name, const void *data, size_t size)
{
	struct faulty_fs *faulty = faulty_of(fs);
	struct content *content = content_create(faulty);
	content_write(content, 0, data, size);
	content_sync(content);
	content->torn_size = 0;
	directory_put(&faulty->now, name, content);
	directory_put(&faulty->durable, name, content);
	collect(faulty);
}

const char *faulty_fs_bytes(struct fs *fs, const char *name, size_t *ret_size)
{
	const struct content *content = content_named(fs, name);
	if (content == NULL)
		return NULL;
	*ret_size = (size_t)content->size;
	return content->cache != NULL ? content->cache : "";
}
