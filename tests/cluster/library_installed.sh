#!/bin/bash
# What is installed of libclusterd: programs are compiled against it and nothing else, and run.
# library_installed.sh CLUSTERD CLUSTERCTL BUILD CMAKE CC LIBDIR
CLUSTERD=$1 CLUSTERCTL=$2 build=$3 cmake=$4 cc=$5 libdir=$6
. "$(dirname "$0")/node.sh"
source=$here/../../examples/c

DESTDIR=$work/root "$cmake" --install "$build" --component library >"$work/node.log" || fail "it cannot be installed"
export PKG_CONFIG_PATH=$work/root$libdir/pkgconfig
mkdir "$work/shared" "$work/static"
read -ra cflags <<<"$(pkg-config --cflags clusterd)"
read -ra libs <<<"$(pkg-config --libs clusterd)"
for example in echo leader publisher subscriber watch worker workflow; do
	$cc -std=gnu11 -Wall -Wextra -Wpedantic -Werror "$source/$example.c" -o "$work/shared/$example" \
		"${cflags[@]}" "${libs[@]}" || fail "$example.c cannot be compiled"
	$cc -std=gnu11 "$source/$example.c" -o "$work/static/$example" "${cflags[@]}" \
		"$work/root$libdir/libclusterd.a" -lprotobuf-c -lxxhash -lcrypto || fail "$example.c cannot be linked statically"
done
unset PKG_CONFIG_PATH
ok "the examples are compiled"
echo '#include <clusterd_streams.h>' >"$work/alone.c" # which includes the other
$cc -std=c99 -Wall -Wextra -Wpedantic -Werror -I"$source/../../src/client" -fsyntax-only "$work/alone.c" || fail "the header does not stand alone"
if command -v c++ >/dev/null; then
	cp "$work/alone.c" "$work/alone.cpp"
	c++ -Wall -Wextra -Werror -I"$source/../../src/client" -fsyntax-only "$work/alone.cpp" || fail "the header is not for C++"
fi
ok "the header stands alone"

# What the library shows is what the header declares.
declared() { cat "$source"/../../src/client/clusterd*.h | grep -v '^typedef' | grep -o '\bclusterd_[a-z_]*(' | tr -d '(' | sort -u; }
shown() { nm -g --defined-only "$@" | sed -n 's/^.* [TDBR] //p' | sed 's,@.*,,' | grep -v CLUSTERD | sort -u; }
same "libclusterd.so shows what is declared" "$(shown -D "$work/root$libdir/libclusterd.so")" "$(declared)"
same "libclusterd.a shows what is declared" "$(shown "$work/root$libdir/libclusterd.a")" "$(declared)"
has "its name has the version of its interface" "$(readelf -d "$work/root$libdir/libclusterd.so")" "[libclusterd.so.0]"

start_node
for kind in shared static; do
	export LD_LIBRARY_PATH=$work/root$libdir
	"$work/$kind/worker" "$data/clusterd.sock" 2>"$work/worker.log" &
	worker=$!
	same "a workflow, $kind" "$("$work/$kind/workflow" "$data/clusterd.sock" "$source/double.flow" Fourfold '{"n": 3}' $kind 2>/dev/null)" 12
	same "a watch, $kind" "$(echo "$kind/k v" | "$work/$kind/watch" "$data/clusterd.sock" $kind/ 1 | cut -d ' ' -f 2-)" "put $kind/k v"
	has "a leader, $kind" "$("$work/$kind/leader" "$data/clusterd.sock" n 1)" "round 1"
	kill -TERM "$worker"
	wait "$worker" || fail "the worker ends with $?"
done
stop_node
finish
