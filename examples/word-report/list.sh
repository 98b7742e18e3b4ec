#!/bin/sh
# The regular files of a directory as a JSON array of paths.
find -H "$1" -maxdepth 1 -type f | sort | awk '
	{ gsub(/["\\]/, "\\\\&"); list = list (NR > 1 ? "," : "") "\"" $0 "\"" }
	END { print "[" list "]" }'
