#!/bin/sh
# Makes small libraries that reach for what a pure one must not have, and expects check_purity.sh to name each symbol.
#   test_purity_bites.sh CC NM AR
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cc=$1
nm=$2
ar=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failures=0

impure="time clock_gettime gettimeofday nanosleep clock timerfd_create
open openat read write fopen fclose fread fwrite fputs printf unlink rename mkdir fsync fdatasync mmap
socket connect bind listen accept send recv sendto recvfrom getaddrinfo poll epoll_wait
pthread_create pthread_mutex_lock pthread_self fork execve posix_spawn system kill signal
rand random srand rand_r getrandom arc4random getentropy
getenv setlocale getpid gethostname stdout environ
log_write sqlite3_exec event_base_new wal_open loop_create"

fail() {
	echo "$*"
	failures=$((failures + 1))
}

library() { # NAME FILE: makes lib<NAME>.a from <FILE>.c
	"$cc" -w -fno-builtin -c "$dir/$2.c" -o "$dir/$2.c.o"
	"$ar" rc "$dir/lib$1.a" "$dir/$2.c.o"
}

for symbol in $impure; do
	printf 'extern char %s[];\nchar *use_%s(void) { return %s; }\n' "$symbol" "$symbol" "$symbol"
done >"$dir/planted.c"
library planted planted

# Every pure library, against everything.
for name in base lang workflow election membership coordinator wire node; do
	if "$here/check_purity.sh" "$nm" "$name=$dir/libplanted.a" >"$dir/said"; then
		fail "$name: nothing was refused"
	fi
	for symbol in $impure; do
		grep -qxF "$name: planted.c.o may not use $symbol" "$dir/said" || fail "$name: $symbol was not refused"
	done
done

# A library may use what another defines only when it is given that one …
printf 'int helper(void) { return 1; }\nint catalog_begin(void) { return 1; }\nint catalog_open(void) { return 1; }\n' >"$dir/helper.c"
printf 'int helper(void);\nint caller(void) { return helper(); }\n' >"$dir/caller.c"
library catalog helper
library coordinator caller
"$here/check_purity.sh" "$nm" "coordinator=$dir/libcoordinator.a" "catalog=$dir/libcatalog.a" >"$dir/said" ||
	fail "what a used library defines was refused: $(cat "$dir/said")"
if "$here/check_purity.sh" "$nm" "coordinator=$dir/libcoordinator.a" >"$dir/said"; then
	fail "what a library defines that is not used was not refused"
fi
# … and not what that one hides,
printf 'int catalog_open(void), catalog_begin(void);\nint opens(void) { return catalog_begin() + catalog_open(); }\n' >"$dir/opens.c"
library coordinator opens
"$here/check_purity.sh" "$nm" "coordinator=$dir/libcoordinator.a" "catalog=$dir/libcatalog.a" >"$dir/said" &&
	fail "what a used library hides was not refused"
grep -qxF 'coordinator: opens.c.o may not use catalog_open' "$dir/said" || fail "catalog_open was not named"
grep -q 'may not use catalog_begin' "$dir/said" && fail "catalog_begin was refused"
# … nor what stands in a file that pure libraries do without.
printf 'int log_write(void) { return 1; }\n' >"$dir/log.c"
printf 'int log_write(void);\nint logs(void) { return log_write(); }\n' >"$dir/logs.c"
library base log
library lang logs
"$here/check_purity.sh" "$nm" "lang=$dir/liblang.a" "base=$dir/libbase.a" >"$dir/said" &&
	fail "the log sink was not refused"
grep -qxF 'lang: logs.c.o may not use log_write' "$dir/said" || fail "log_write was not named"

# A symbol that one file may use is refused in another.
printf 'int fprintf(void *, const char *, ...);\nint prints(void) { return fprintf(0, "x"); }\n' >"$dir/prints.c"
library prints prints
"$here/check_purity.sh" "$nm" "base=$dir/libprints.a" >"$dir/said" && fail "fprintf outside of memory.c was not refused"
cp "$dir/prints.c" "$dir/memory.c"
library memory memory
"$here/check_purity.sh" "$nm" "base=$dir/libmemory.a" >"$dir/said" || fail "fprintf in memory.c was refused: $(cat "$dir/said")"

# A library that cannot be read is not found to be pure.
if "$here/check_purity.sh" "$nm" "lang=$dir/none.a" >"$dir/said" 2>&1; then
	fail "a library that is not there was found to be pure"
fi

[ "$failures" -eq 0 ] && echo "every planted symbol was refused"
