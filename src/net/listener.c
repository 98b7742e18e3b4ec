#include "base/memory.h"
#include "net/address.h"
#include "net/stream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 64
#define ACCEPT_PAUSE_MS 100 /* without descriptors or memory: until another try */

struct listener {
	struct loop *loop;
	struct loop_watch *watch;
	struct loop_timer *retry;
	listener_accepted *accepted;
	void *context;
	int descriptor;
	uint32_t connections;
	uint32_t connections_max;
	uint16_t port;
	bool paused;
	bool accepting; /* in the loop of accept: the callee may destroy it */
	bool destroyed;
	bool is_file;
	struct address_file file;
	dev_t device; /* which file it made: another's is not removed */
	ino_t inode;
};

static void watch_update(struct listener *listener)
{
	loop_watch_set(listener->watch, !listener->paused && listener->connections < listener->connections_max, false);
}

static void resume(void *context)
{
	struct listener *listener = context;
	listener->paused = false;
	watch_update(listener);
}

/* false: no more for now. */
static bool accept_one(struct listener *listener)
{
	struct address peer = {.size = sizeof peer.storage};
	char text[ADDRESS_TEXT_SIZE];
	int descriptor = accept4(listener->descriptor, &peer.any, &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (descriptor >= 0) {
		address_format(&peer, text);
		listener->connections++;
		listener->accepted(listener->context, descriptor, text);
		return true;
	}
	if (errno == ECONNABORTED || errno == EINTR)
		return true; /* that connection is gone already; the next one */
	if (errno != EAGAIN) {
		/* Without descriptors or memory the connection stays in the backlog: watching on would spin. */
		listener->paused = true;
		loop_timer_set(listener->retry, loop_now(listener->loop) + ACCEPT_PAUSE_MS);
	}
	return false;
}

static void ready(void *context, bool readable, bool writable)
{
	(void)readable;
	(void)writable;
	struct listener *listener = context;
	listener->accepting = true;
	for (int i = 0; i < ACCEPTS_PER_TURN && !listener->destroyed; i++) {
		if (listener->connections >= listener->connections_max || !accept_one(listener))
			break;
	}
	listener->accepting = false;
	if (listener->destroyed)
		mem_free(listener);
	else
		watch_update(listener);
}

/* --- TCP ---------------------------------------------------------------------------------------------------------- */

static bool listen_at(struct listener *listener, const struct address *address)
{
	const int on = 1;
	listener->descriptor = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener->descriptor < 0)
		return false;
	setsockopt(listener->descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(listener->descriptor, &address->any, address->size) == 0 &&
	    listen(listener->descriptor, SOMAXCONN) == 0)
		return true;
	int reason = errno;
	close(listener->descriptor);
	listener->descriptor = -1;
	errno = reason;
	return false;
}

static int listen_tcp(struct listener *listener, const char *text, struct error *error)
{
	struct address addresses[ADDRESS_CHOICES];
	struct address own = {.size = sizeof own.storage};
	size_t count;
	int code = address_resolve(text, true, addresses, &count, error);
	if (code != 0)
		return code;
	for (size_t i = 0; i < count; i++) {
		if (listen_at(listener, &addresses[i])) {
			getsockname(listener->descriptor, &own.any, &own.size);
			listener->port = address_port(&own);
			return 0;
		}
	}
	return error_set(error, errno == EADDRINUSE ? ERR_EXISTS : ERR_IO, "cannot listen on %s: %s", text,
	                 strerror(errno));
}

/* --- Unix sockets ------------------------------------------------------------------------------------------------- */

/* Removes the file of a listener that is no more. */
static int remove_stale(const struct listener *listener, const char *path, const struct address *address,
                        struct error *error)
{
	struct stat status;
	if (fstatat(listener->file.directory, listener->file.name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : error_set(error, ERR_IO, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(status.st_mode))
		return error_set(error, ERR_EXISTS, "%s exists and is not a socket", path);
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return error_set(error, ERR_IO, "cannot listen on %s: %s", path, strerror(errno));
	int result = connect(probe, &address->any, address->size) == 0 ? 0 : errno;
	close(probe);
	if (result == 0 || result == EAGAIN)
		return error_set(error, ERR_EXISTS, "cannot listen on %s: another process does", path);
	if (result != ECONNREFUSED)
		return error_set(error, ERR_IO, "cannot tell whether another process listens on %s: %s", path,
		                 strerror(result));
	if (unlinkat(listener->file.directory, listener->file.name, 0) != 0 && errno != ENOENT)
		return error_set(error, ERR_IO, "cannot remove the old socket %s: %s", path, strerror(errno));
	return 0;
}

static int listen_file(struct listener *listener, const char *path, struct error *error)
{
	struct address address;
	struct stat status;
	int code = address_of_file(path, &listener->file, &address, error);
	if (code == 0)
		code = remove_stale(listener, path, &address, error);
	if (code != 0)
		return code;
	listener->descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener->descriptor < 0)
		return error_set(error, ERR_IO, "cannot listen on %s: %s", path, strerror(errno));
	/* The file gets the mode of the socket, less the umask, which other threads use and is let alone. The right
	 * mode stands before anybody can connect, which is after listen. */
	fchmod(listener->descriptor, 0600);
	if (bind(listener->descriptor, &address.any, address.size) != 0)
		return error_set(error, errno == EADDRINUSE ? ERR_EXISTS : ERR_IO, "cannot listen on %s: %s", path,
		                 strerror(errno));
	if (fchmodat(listener->file.directory, listener->file.name, 0600, 0) != 0 ||
	    fstatat(listener->file.directory, listener->file.name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
	    listen(listener->descriptor, SOMAXCONN) != 0)
		return error_set(error, ERR_IO, "cannot listen on %s: %s", path, strerror(errno));
	listener->device = status.st_dev;
	listener->inode = status.st_ino;
	return 0;
}

static void remove_file(const struct listener *listener)
{
	struct stat status;
	if (fstatat(listener->file.directory, listener->file.name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	    status.st_dev == listener->device && status.st_ino == listener->inode)
		unlinkat(listener->file.directory, listener->file.name, 0);
}

/* ------------------------------------------------------------------------------------------------------------------ */

int listener_create(struct loop *loop, const char *address, uint32_t connections_max, listener_accepted *accepted,
                    void *context, struct listener **ret_listener, struct error *error)
{
	assert(connections_max > 0);
	struct listener *listener = mem_zero(sizeof *listener);
	listener->loop = loop;
	listener->connections_max = connections_max;
	listener->accepted = accepted;
	listener->context = context;
	listener->descriptor = listener->file.directory = -1;
	listener->is_file = address_is_file(address);
	int code = listener->is_file ? listen_file(listener, address, error) : listen_tcp(listener, address, error);
	if (code != 0) {
		listener_destroy(listener);
		return code;
	}
	listener->retry = loop_timer_create(loop, resume, listener);
	listener->watch = loop_watch_create(loop, listener->descriptor, ready, listener);
	watch_update(listener);
	*ret_listener = listener;
	return 0;
}

void listener_destroy(struct listener *listener)
{
	if (listener == NULL)
		return;
	loop_watch_destroy(listener->watch);
	loop_timer_destroy(listener->retry);
	if (listener->inode != 0)
		remove_file(listener);
	if (listener->descriptor >= 0)
		close(listener->descriptor);
	if (listener->file.directory >= 0)
		close(listener->file.directory);
	listener->destroyed = true;
	if (!listener->accepting)
		mem_free(listener);
}

void listener_release(struct listener *listener)
{
	assert(listener->connections > 0);
	listener->connections--;
	watch_update(listener);
}

uint16_t listener_port(const struct listener *listener)
{
	return listener->port;
}
