#!/bin/sh
# Plants arrows that may not be into a small tree, one at a time, and expects check_arrows.sh to name file and arrow.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

plant() { # FILE LINE
	mkdir -p "$tree/$(dirname "$1")"
	printf '#include "base/error.h"\n\n%s\nint x;\n' "$2" >"$tree/$1"
}

fresh() {
	rm -rf "$tree/src" "$tree/tools"
	plant src/base/error.c '#include <stdio.h>'
	plant src/lang/parser.c '#include "lang/lexer.h"'
	plant src/net/loop.c '#include <event2/event.h>'
	plant src/daemon/host.c '#include "net/loop.h"'
	plant tools/clusterctl/main.c '#include "client.h"'
}

is_refused() { # FILE LINE MESSAGE
	fresh
	plant "$1" "$2"
	if "$here/check_arrows.sh" "$tree" >"$tree/said" 2>&1; then
		echo "not refused: $1 with $2"
		failures=$((failures + 1))
	elif ! grep -qF "$1:3: $3" "$tree/said"; then
		echo "refused, but not with \"$1:3: $3\":"
		cat "$tree/said"
		failures=$((failures + 1))
	fi
}

is_fine() { # FILE LINE
	fresh
	plant "$1" "$2"
	if ! "$here/check_arrows.sh" "$tree" >"$tree/said" 2>&1; then
		echo "refused: $1 with $2:"
		cat "$tree/said"
		failures=$((failures + 1))
	fi
}

# Directories.
is_refused src/base/error.c '#include "lang/parser.h"' 'base may not include "lang/parser.h"'
is_refused src/lang/parser.c '#include "workflow/type.h"' 'lang may not include "workflow/type.h"'
is_refused src/workflow/type.c '#include "catalog/catalog.h"' 'workflow may not include "catalog/catalog.h"'
is_refused src/catalog/catalog.c '#include "workflow/type.h"' 'catalog may not include "workflow/type.h"'
is_refused src/election/raft.c '#include "membership/member.h"' 'election may not include "membership/member.h"'
is_refused src/membership/swim.c '#include "election/raft.h"' 'membership may not include "election/raft.h"'
is_refused src/coordinator/machine.c '#include "store/wal.h"' 'coordinator may not include "store/wal.h"'
is_refused src/coordinator/machine.c '#include "membership/swim.h"' 'coordinator may not include "membership/swim.h"'
is_refused src/store/wal.c '#include "net/loop.h"' 'store may not include "net/loop.h"'
is_refused src/wire/frame.c '#include "coordinator/machine.h"' 'wire may not include "coordinator/machine.h"'
is_refused src/net/loop.c '#include "daemon/node.h"' 'net may not include "daemon/node.h"'
is_refused tools/clusterctl/main.c '#include "daemon/node.h"' 'tools may not include "daemon/node.h"'
is_fine src/coordinator/machine.c '#include "membership/selector.h"'
is_fine src/wire/command.c '#include "coordinator/command.h"'
is_fine src/daemon/node.c '#include "store/wal.h"'

# The system and libraries.
is_refused src/base/error.c '#include <time.h>' 'base may not include <time.h>'
is_refused src/election/raft.c '#include <sys/socket.h>' 'election may not include <sys/socket.h>'
is_refused src/workflow/type.c '#include <pthread.h>' 'workflow may not include <pthread.h>'
is_refused src/coordinator/machine.c '#include <sys/random.h>' 'coordinator may not include <sys/random.h>'
is_refused src/coordinator/machine.c '#include <sqlite3.h>' 'coordinator may not include <sqlite3.h>'
is_refused src/lang/parser.c '#include <fcntl.h>' 'lang may not include <fcntl.h>'
is_refused src/store/wal.c '#include <sys/socket.h>' 'store may not include <sys/socket.h>'
is_refused src/daemon/host.c '#include <event2/event.h>' 'daemon may not include <event2/event.h>'
is_refused src/daemon/host.c '#include <sqlite3.h>' 'daemon may not include <sqlite3.h>'
is_refused src/net/loop.c '#include <protobuf-c/protobuf-c.h>' 'net may not include <protobuf-c/protobuf-c.h>'
is_fine src/base/log.c '#include <time.h>'
is_fine src/daemon/host.c '#include <sys/random.h>'

# Ways around it.
is_refused src/lang/parser.c '#include "../net/loop.h"' '"../net/loop.h" is to be named from src'
is_refused src/lang/parser.c '#include "loop.h"' '"loop.h" is to be named from src'
is_refused src/lang/parser.c '#  include   "net/loop.h"' 'lang may not include "net/loop.h"'
is_refused src/lang/parser.c '#include LOOP_HEADER' 'cannot tell what is included: LOOP_HEADER'

# A directory that the table does not know; a tree with nothing in it.
fresh
plant src/gossip/gossip.c '#include <stdio.h>'
if "$here/check_arrows.sh" "$tree" >"$tree/said" || ! grep -qF 'has no row for gossip' "$tree/said"; then
	echo "a directory without a row was not refused"
	failures=$((failures + 1))
fi
rm -rf "$tree/src" "$tree/tools"
mkdir "$tree/src" "$tree/tools"
if "$here/check_arrows.sh" "$tree" >"$tree/said"; then
	echo "an empty tree was found to be right"
	failures=$((failures + 1))
fi

[ "$failures" -eq 0 ] && echo "every planted arrow was refused"
