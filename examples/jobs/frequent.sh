#!/bin/sh
# frequent.sh WORDS LEAST: those that are there LEAST times or more, as {"right": report}; or with more than ten of them {"left": bound}.
printf '%s' "$1" | tr '{' '\n' | awk -v least="$2" '
	function number(name) {
		if (!match($0, "\"" name "\":[0-9]+")) return 0
		return substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) + 0
	}
	/"file":/ { files++; words += number("words") }
	/"word":/ {
		match($0, "\"word\":\"[^\"]*\"")
		count[substr($0, RSTART + 8, RLENGTH - 9)] += number("count")
	}
	END {
		for (word in count) if (count[word] >= least) left++
		if (left > 10) { printf "{\"left\":%d}\n", int(least * 1.25); exit }
		for (; left > 0; left--) {
			best = ""
			for (word in count)
				if (best == "" || count[word] > count[best] || (count[word] == count[best] && word < best)) best = word
			list = list (list != "" ? "," : "") "{\"word\":\"" best "\",\"count\":" count[best] "}"
			delete count[best]
		}
		printf "{\"right\":{\"files\":%d,\"words\":%d,\"least\":%d,\"top\":[%s]}}\n", files, words, least, list
	}'
