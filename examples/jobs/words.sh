#!/bin/sh
# The words of one file, and its fifty most frequent ones of four letters and more, as JSON.
export LC_ALL=C
tr -cs 'A-Za-z' '\n' <"$1" | tr 'A-Z' 'a-z' | sed '/^$/d' >words
top=$(sed '/^.\{0,3\}$/d' words | sort | uniq -c | sort -k1,1nr -k2 | head -n 50 |
	awk '{ printf "%s{\"word\":\"%s\",\"count\":%d}", (NR > 1 ? "," : ""), $2, $1 }')
file=$(printf '%s' "$1" | sed 's/["\\]/\\&/g')
printf '{"file":"%s","words":%d,"top":[%s]}\n' "$file" "$(wc -l <words)" "$top"
