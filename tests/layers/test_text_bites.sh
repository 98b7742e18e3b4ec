#!/bin/sh
# Plants what check_text.sh is to find into a small tree, one thing at a time.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0
mkdir -p "$tree/src/base" "$tree/tools" "$tree/tests" "$tree/proto" "$tree/cmake" "$tree/packaging" "$tree/.ci"
touch "$tree/CMakeLists.txt" "$tree/CMakePresets.json"

repeated() { # TEXT COUNT
	awk -v text="$1" -v count="$2" 'BEGIN { for (i = 0; i < count; i++) printf "%s", text }'
}

verdict() {
	"$here/check_text.sh" "$tree" >"$tree/said" 2>&1
}

is_refused() { # MESSAGE
	if verdict || ! grep -qF "src/base/x.c:$1" "$tree/said"; then
		echo "not refused with \"src/base/x.c:$1\":"
		cat "$tree/said"
		failures=$((failures + 1))
	fi
}

is_fine() {
	if ! verdict; then
		echo "refused:"
		cat "$tree/said"
		failures=$((failures + 1))
	fi
}

printf 'int f(void)\n{\n\treturn 0;\n}\n' >"$tree/src/base/x.c"
is_fine
printf '/* %s */\n' "$(repeated é 134)" >"$tree/src/base/x.c"
is_fine
printf '/* %s */\n' "$(repeated é 135)" >"$tree/src/base/x.c"
is_refused '1: 141 columns'
printf '\t\t/* %s */\n' "$(repeated x 119)" >"$tree/src/base/x.c"
is_refused '1: 141 columns'
printf 'int x; \n' >"$tree/src/base/x.c"
is_refused '1: blanks at the end'
printf 'int x;\r\n' >"$tree/src/base/x.c"
is_refused '1: a carriage return'
printf 'int f(void)\n{\n        return 0;\n}\n' >"$tree/src/base/x.c"
is_refused '3: indented with spaces'
{ printf 'int f(void)\n{\n'; repeated 'x;
' 80; echo '}'; } >"$tree/src/base/x.c"
is_fine
{ printf 'int f(void)\n{\n'; repeated 'x;
' 81; echo '}'; } >"$tree/src/base/x.c"
is_refused '84: a function of 81 lines'
repeated 'int x;
' 701 >"$tree/src/base/x.c"
is_refused '701: a file of 701 lines'

[ "$failures" -eq 0 ] && echo "everything planted was found"
