#!/bin/sh
# Checks the #include lines of a source tree against the table of arrows.
#   check_arrows.sh TREE [TABLE]
# Prints one line for each arrow that may not be, and fails when there is one.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tree=$1
table=${2:-$here/arrows}

cd "$tree"
find src tools -name '*.[ch]' | LC_ALL=C sort | awk -v table="$table" '
function add_row(line,    colon, name, words, count, i) {
	colon = index(line, ":")
	name = substr(line, 1, colon - 1)
	known[name] = 1
	count = split(substr(line, colon + 1), words, " ")
	for (i = 1; i <= count; i++)
		row[name] = row[name] " " words[i]
}

# Whether `what` (dir/file.h, or <file.h> with its brackets) is in the words of a row.
function allows(name, what,    words, count, i, word) {
	count = split(row[name], words, " ")
	for (i = 1; i <= count; i++) {
		word = words[i]
		if (word == what)
			return 1
		if (word == "@system") {
			if (what ~ /^</ && !allows("@libraries", what))
				return 1
		} else if (word ~ /^@/) {
			if (!(word in known))
				broken("the table uses " word ", which it does not define")
			else if (allows(word, what))
				return 1
		} else if (word ~ /\/>$/) {
			if (index(what, substr(word, 1, length(word) - 1)) == 1)
				return 1
		} else if (word !~ /[<\/.]/ && index(what, word "/") == 1) {
			return 1
		}
	}
	return 0
}

function broken(text) {
	print text
	failures++
}

function check(file, number, directory, line,    what, own) {
	sub(/^[ \t]*#[ \t]*include[ \t]*/, "", line)
	if (match(line, /^<[^>]+>/))
		what = substr(line, 1, RLENGTH)
	else if (match(line, /^"[^"]+"/))
		what = substr(line, 2, RLENGTH - 2)
	else {
		broken(file ":" number ": cannot tell what is included: " line)
		return
	}
	includes++
	if (what ~ /(^|\/)\.\.?(\/|$)/ || what ~ /^\// || (what !~ /[<\/]/ && directory != "tools")) {
		broken(file ":" number ": \"" what "\" is to be named from src: \"directory/file.h\"")
		return
	}
	own = directory == "tools" ? what !~ /[<\/]/ : index(what, directory "/") == 1
	if (own || allows(directory, what) || allows(short_name(file), what))
		return
	broken(file ":" number ": " directory " may not include " (what ~ /^</ ? what : "\"" what "\""))
}

function short_name(file) {
	sub(/^src\//, "", file)
	return file
}

BEGIN {
	while ((status = (getline line < table)) > 0) {
		sub(/#.*/, "", line)
		if (line ~ /:/)
			add_row(line)
	}
	if (status < 0) {
		print table ": cannot be read"
		exit 2
	}
}

{
	file = $0
	files++
	split(file, parts, "/")
	directory = parts[1] == "src" ? parts[2] : parts[1]
	if (!(directory in known)) {
		broken(file ": the table of arrows has no row for " directory)
		next
	}
	number = 0
	while ((getline line < file) > 0) {
		number++
		if (line ~ /^[ \t]*#[ \t]*include/)
			check(file, number, directory, line)
	}
	close(file)
}

END {
	if (files == 0 || includes == 0)
		broken("no source files with #include lines were found")
	printf "%d files, %d includes, %d wrong\n", files, includes, failures
	exit failures > 0
}'
