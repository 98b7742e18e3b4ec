#!/bin/sh
# linear-check tells histories that can be from those that cannot.
#   test_linear_check.sh PROGRAM
set -eu

program=$1

expect() {
	wanted=$1
	code=0
	"$program" - >/dev/null || code=$?
	if [ "$code" != "$wanted" ]; then
		echo "linear-check ended with $code instead of $wanted" >&2
		exit 1
	fi
}

printf '1 0 1 put a x = 5\n2 2 3 get a = x 5\n' | expect 0
printf '1 0 1 put a x = 5\n2 2 3 get a = none\n' | expect 1
printf '1 0 1 put a\n' | expect 2 2>/dev/null
