#!/bin/sh
# Adds the counts of all files up: {"counts":[…]} on stdin, the report on stdout.
tr '{' '\n' | awk '
	function text(name,  at) {
		if (!match($0, "\"" name "\":\"[^\"]*\"")) return ""
		at = length(name) + 5
		return substr($0, RSTART + at - 1, RLENGTH - at)
	}
	function number(name) {
		if (!match($0, "\"" name "\":[0-9]+")) return 0
		return substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) + 0
	}
	/"file":/ {
		files++
		n = number("words")
		words += n
		if (n > most) { most = n; longest = text("file") }
	}
	/"word":/ { count[text("word")] += number("count") }
	END {
		for (top = 0; top < 10; top++) {
			best = ""
			for (word in count)
				if (best == "" || count[word] > count[best] || (count[word] == count[best] && word < best)) best = word
			if (best == "") break
			list = list (top > 0 ? "," : "") "{\"word\":\"" best "\",\"count\":" count[best] "}"
			delete count[best]
		}
		printf "{\"files\":%d,\"words\":%d,\"longest\":\"%s\",\"top\":[%s]}\n", files, words, longest, list
	}'
