#!/bin/bash
# shellcheck disable=SC2016,SC1003 # the commands are for another shell
# Gives run_docs.sh small documents, right and wrong ones, and expects it to tell which is which.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0
mkdir "$tree/programs"
printf '#!/bin/sh\necho "ticks: $$ of 100"\n' >"$tree/programs/ticker"
chmod +x "$tree/programs/ticker"
echo "a file" >"$tree/file.txt"

run() { # DOCUMENT
	printf '%s\n' "$1" >"$tree/README.md"
	RUN_DOCS_SECONDS=${2:-20} "$here/run_docs.sh" "$tree/README.md" "$tree" "$tree/programs" >"$tree/said" 2>&1
}

is_right() { # DOCUMENT
	if ! run "$1"; then
		printf 'refused:\n%s\nbecause:\n' "$1"
		cat "$tree/said"
		failures=$((failures + 1))
	fi
}

is_wrong() { # DOCUMENT MESSAGE [SECONDS]
	if run "$1" "${3:-20}"; then
		printf 'not refused:\n%s\n' "$1"
		failures=$((failures + 1))
	elif ! grep -qF "$2" "$tree/said"; then
		printf 'refused, but not with "%s":\n' "$2"
		cat "$tree/said"
		failures=$((failures + 1))
	fi
}

block() { # LINE…
	echo 'Words.'
	echo '```console'
	printf '%s\n' "$@"
	echo '```'
	echo 'More words.'
}

is_right "$(block '$ echo one; echo two' one two)"
is_right "$(block '$ echo anything')"
is_right "$(block '$ echo "a.b*c[d] (e|f) {2} \$5 ^+?\\"' 'a.b*c[d] (e|f) {2} $5 ^+?\')"
is_right "$(block '$ ticker' 'ticks: … of 100')"
is_right "$(block '$ seq 9' 1 … 9)"
is_right "$(block '$ seq 2' 1 … 2 …)"
is_right "$(block '$ echo a \' '  b' 'a b' '$ for i in 1 2; do' '> echo $i' '> done' 1 2)"
is_right "$(block '$ x=1; cd /' '$ echo $x $PWD' '1 /')"
is_right "$(block '$ cat file.txt' 'a file' '$ echo mine >made.txt')"
is_right "$(block '$ sh -c "echo no; exit 3"' no '[exit code 3]')"
is_right "$(block '$ sleep 60 &' '$ echo goes on' 'goes on')"
is_right "$(printf '```sh\n$ false\n```\n[a link](file.txt#part) [another](https://example.org/x)\n')"
if [ -e "$tree/made.txt" ]; then
	echo "a command wrote into the source tree"
	failures=$((failures + 1))
fi

is_wrong "$(block '$ echo one' two)" 'README.md:3: "echo one" printed:'
is_wrong "$(block '$ seq 3' 1 2)" '"seq 3" printed:'
is_wrong "$(block '$ seq 2' 1 2 3)" '"seq 2" printed:'
is_wrong "$(block '$ printf "a\nb\n"' 'a…b')" 'printed:'
is_wrong "$(block '$ echo axb' 'a.b')" 'printed:'
is_wrong "$(block '$ false')" '"false" ended with code 1, not 0'
is_wrong "$(block '$ true' '[exit code 1]')" '"true" ended with code 0, not 1'
is_wrong "$(block '$ true' '$ no-such-program')" 'README.md:4: "no-such-program" ended with code 127'
is_wrong "$(block 'output')" 'output without a command'
is_wrong "$(printf '```console\n$ true\n')" 'README.md:1: this block does not end'
is_wrong '[nowhere](missing.md)' 'the link to missing.md leads nowhere'
is_wrong "$(block '$ sleep 60')" 'took longer than 1 s' 1

[ "$failures" -eq 0 ] && echo "right documents were accepted, wrong ones refused"
