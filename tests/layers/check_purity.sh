#!/bin/sh
# Checks that a static library needs nothing but what its list in purity/ allows and what the libraries that it uses define.
#   check_purity.sh NM NAME=LIBRARY.a [USED=LIBRARY.a…]
# Prints one line for each symbol that may not be, and fails when there is one.
#
# A list has one symbol a line, and after it, where only one object file may use it, the name of that file. "without FILE": that
# object file is not looked at, and what it defines is not for the pure libraries. "hidden SYMBOL": likewise, of a library
# that others use.
set -eu

lists=$(cd "$(dirname "$0")" && pwd)/purity
nm=$1
name=${2%%=*}
library=${2#*=}
shift 2

[ -f "$lists/$name" ] || { echo "there is no list purity/$name"; exit 2; }

{
	cat "$lists/libc" "$lists/$name" | sed 's/^/allowed /'
	for used in "$@"; do
		if [ -f "$lists/${used%%=*}" ]; then
			grep -E '^(hidden|without) ' "$lists/${used%%=*}" | sed 's/^/used /' || :
		fi
		"$nm" -g --defined-only "${used#*=}" | sed 's/^/used-defined /'
	done
	"$nm" -g --defined-only "$library" | sed 's/^/defined /'
	"$nm" -u "$library" | sed 's/^/needed /'
} | awk -v name="$name" '
# "member.o:" begins the symbols of an object file in what nm prints.
function is_member() {
	return NF == 2 && $2 ~ /:$/
}
function member() {
	return substr($2, 1, length($2) - 1)
}

$1 == "allowed" && $2 == "without" { without[$3] = 1; next }
$1 == "allowed" && $2 != "hidden" && NF > 1 && $2 !~ /^#/ { allowed[$2] = 1; if (NF > 2) only[$2] = $3; next }
$1 == "used" && $2 == "without" { unusable[$3] = 1; next }
$1 == "used" { hidden[$3] = 1; next }

$1 == "used-defined" && is_member() { file = member(); next }
$1 == "used-defined" && NF == 4 && !(file in unusable) { defined[$4] = 1; next }
$1 == "defined" && is_member() { file = member(); next }
$1 == "defined" && NF == 4 && !(file in without) { defined[$4] = 1; own[$4] = 1; next }

$1 == "needed" && is_member() { file = member(); objects++; next }
$1 == "needed" && NF == 3 {
	symbol = $3
	if (file in without || symbol in own)
		next
	looked_at++
	if (symbol ~ /^__(start_|stop_)?_*(asan|lsan|msan|tsan|ubsan|sanitizer|sancov|gcov)/)
		next
	plain = symbol
	if (plain ~ /^__.*_chk$/) # with _FORTIFY_SOURCE
		plain = substr(plain, 3, length(plain) - 6)
	if (plain in allowed && (!(plain in only) || only[plain] == file))
		next
	if (symbol in defined && !(symbol in hidden))
		next
	print name ": " file " may not use " symbol
	failures++
}

END {
	if (objects == 0 || looked_at == 0) {
		print name ": nm shows no object files, or none that needs anything"
		failures++
	}
	printf "%s: %d object files, %d references, %d wrong\n", name, objects, looked_at, failures
	exit failures > 0
}'
