#!/bin/bash
# Runs the commands of a document and compares what they print with what it says they print.
#   run_docs.sh DOCUMENT SOURCE_TREE [DIRECTORY OF PROGRAMS…]
#
# In a fenced block marked `console`, "$ " begins a command; it goes on after a backslash at the end of a line, and in lines that
# begin with "> ". The lines beneath are what it prints, stdout and stderr together; where there are none, it may print
# anything. "…" stands for anything within a line, and alone in its line for any lines, or none. A command succeeds, or else
# the last line of its output is "[exit code N]". Other blocks are not run.
#
# All commands of a document run in order in one shell, in a scratch directory that shows the source tree's files and is
# removed afterwards, with the programs on PATH. What is left running in the background is stopped at the end: a node that is
# started there finds CLUSTERD_DATA_DIR and a free port.
#
# Links of the document to files of the source tree must lead somewhere.
set -euo pipefail

document=$(realpath "$1")
source=$(realpath "$2")
shift 2
limit=${RUN_DOCS_SECONDS:-100}

scratch=$(mktemp -d "${TMPDIR:-/tmp}/clusterd-docs.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/steps" "$scratch/work"
for entry in "$source"/*; do
	case ${entry##*/} in
	build | build-*) ;;
	*) ln -s "$entry" "$scratch/work/" ;;
	esac
done

# Steps: N.command, N.expected, N.line. Also refuses a block that does not end.
awk -v steps="$scratch/steps" '
function end_step() {
	if (step != "") {
		close(step ".command")
		close(step ".expected")
	}
	step = ""
}
/^[ \t]*```/ {
	fence = $0
	sub(/^[ \t]*/, "", fence)
	if (!inside) {
		inside = NR
		console = fence ~ /^```[ \t]*console[ \t]*$/
		indent = length($0) - length(fence)
	} else if (fence ~ /^```[ \t]*$/) {
		inside = console = 0
		end_step()
	}
	next
}
!console { next }
{
	line = substr($0, indent + 1)
}
line ~ /^\$ / {
	end_step()
	step = sprintf("%s/%04d", steps, ++count)
	print NR > (step ".line")
	close(step ".line")
	printf "" > (step ".expected")
	print substr(line, 3) > (step ".command")
	unfinished = line ~ /\\$/
	in_command = 1
	next
}
step == "" {
	print FILENAME ":" NR ": output without a command: " line
	bad = 1
	exit
}
unfinished || (in_command && line ~ /^> /) {
	sub(/^> /, "", line)
	print line > (step ".command")
	unfinished = line ~ /\\$/
	next
}
{
	in_command = 0
	print line > (step ".expected")
}
END {
	if (inside && !bad) {
		print FILENAME ":" inside ": this block does not end"
		bad = 1
	}
	exit bad
}' "$document"

# An extended regular expression for what is expected.
pattern_of() { # FILE
	local line part first
	local not_newline=$'[^\n]*'
	printf '^'
	while IFS= read -r line; do
		if [ "$line" = … ]; then
			printf '(.*\n)?'
			continue
		fi
		first=yes
		while :; do
			part=${line%%…*}
			[ "$first" = yes ] || printf '%s' "$not_newline"
			first=no
			printf '%s' "$part" | sed 's/[][\\.*^$+?(){}|]/\\&/g'
			[ "$part" != "$line" ] || break
			line=${line#*…}
		done
		printf '\n'
	done <"$1"
	printf '$'
}

compare() { # STEP STATUS
	local expected_status=0 last
	last=$(tail -n 1 "$1.expected")
	if [[ $last =~ ^\[exit\ code\ ([0-9]+)\]$ ]]; then
		expected_status=${BASH_REMATCH[1]}
		sed -i '$d' "$1.expected"
	fi
	local place
	place="${document#"$source"/}:$(cat "$1.line")"
	if [ "$2" -ne "$expected_status" ]; then
		echo "$place: \"$(cat "$1.command")\" ended with code $2, not $expected_status. It printed:"
		cat "$1.output"
		return 1
	fi
	[ -s "$1.expected" ] || return 0
	local pattern output
	pattern=$(pattern_of "$1.expected")
	output=$(cat "$1.output" && echo .)
	output=${output%.}
	if ! [[ $output =~ $pattern ]]; then
		echo "$place: \"$(cat "$1.command")\" printed:"
		cat "$1.output"
		echo "but the document says:"
		cat "$1.expected"
		return 1
	fi
}

# The shell of the document. It stops at the first step that is not as the document says.
session() {
	local step status
	set +eu
	set +o pipefail
	cd "$scratch/work" || exit 1
	trap 'stop_jobs' EXIT
	for step in "$scratch"/steps/*.command; do
		step=${step%.command}
		# shellcheck disable=SC1090 # made above
		source "$step.command" >"$step.output" 2>&1 </dev/null
		status=$?
		compare "$step" "$status" || exit 1
	done
	exit 0
}

# shellcheck disable=SC2086,SC2317 # a list of numbers; called by the trap
stop_jobs() {
	local status=$?
	trap - EXIT
	local running
	running=$(jobs -p)
	[ -z "$running" ] || kill -TERM $running 2>/dev/null
	wait
	exit "$status"
}

failed=0
# Links: [words](path), [words](path#part); not to other hosts.
while IFS= read -r link; do
	[ -e "$(dirname "$document")/${link%%#*}" ] && continue
	echo "${document#"$source"/}: the link to $link leads nowhere"
	failed=1
done < <(grep -o '](\([^)]*\))' "$document" | sed 's/^](//; s/)$//' | grep -v -e '^[a-z]*:' -e '^#' | sort -u)

count=$(find "$scratch/steps" -name '*.command' | wc -l)
if [ "$count" -gt 0 ]; then
	for directory in "$@"; do
		PATH=$(realpath "$directory"):$PATH
	done
	unset CLUSTERD_ADDRESS CLUSTERD_CONFIG CLUSTERD_NAME
	export PATH CLUSTERD_DATA_DIR=clusterd-data CLUSTERD_LISTEN=127.0.0.1:0 NO_COLOR=1 LC_ALL=C.UTF-8
	export document source scratch
	export -f session compare pattern_of stop_jobs
	timeout -k 10 "$limit" bash -c session || failed=$?
	[ "$failed" -ne 124 ] || echo "${document#"$source"/}: its commands took longer than $limit s"
fi
[ "$failed" -eq 0 ] || exit 1
echo "${document#"$source"/}: $count commands"
