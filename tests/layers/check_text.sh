#!/bin/sh
# Checks what needs no opinion about the text of the sources: columns, blanks, sizes.
#   check_text.sh TREE
# Code, scripts, build files: no blanks at the end of a line, no carriage returns. C is indented with tabs and has no line of
# more than 140 columns (meant are 120). In src and tools no C file has more than 700 lines (600), no function more than 80 (70).
set -eu

cd "$1"
find src tools tests proto cmake packaging .ci CMakeLists.txt CMakePresets.json -type f \
	! -path '*/corpus/*' ! -name '*.trace' ! -name '*.o' | LC_ALL=C sort | LC_ALL=C awk '
function wrong(text) {
	print file ":" number ": " text
	failures++
}

# Characters, tabs counting up to the next multiple of eight.
function columns(line,    width, at, character) {
	if (line !~ /\t/) {
		gsub(/[\200-\277]/, "", line)
		return length(line)
	}
	for (at = 1; at <= length(line); at++) {
		character = substr(line, at, 1)
		if (character == "\t")
			width += 8 - width % 8
		else if (character !~ /[\200-\277]/)
			width++
	}
	return width
}

{
	file = $0
	files++
	is_c = file ~ /\.[ch]$/
	sized = is_c && file ~ /^(src|tools)\//
	number = opened = 0
	while ((getline line < file) > 0) {
		number++
		if (line ~ /\r/)
			wrong("a carriage return")
		if (line ~ /[ \t]$/)
			wrong("blanks at the end of the line")
		if (is_c && length(line) > 60 && columns(line) > 140)
			wrong(columns(line) " columns; at most 140")
		if (is_c && line ~ /^        [^ ]/ && line !~ /^ *\*/)
			wrong("indented with spaces; tabs, please")
		if (sized && line == "{")
			opened = number
		if (sized && line == "}" && opened) {
			if (number - opened - 1 > 80)
				wrong("a function of " number - opened - 1 " lines; at most 80")
			opened = 0
		}
	}
	close(file)
	if (sized && number > 700)
		wrong("a file of " number " lines; at most 700")
}

END {
	if (files == 0) {
		print "no files were found"
		failures++
	}
	printf "%d files, %d wrong\n", files, failures
	exit failures > 0
}'
