#!/bin/sh
# A pool child that returns metadata with each result.
while read -r line; do
	call=$(printf '%s' "$line" | sed 's/.*"call": *\([0-9]*\).*/\1/')
	printf '{"call":%s,"output":"told","metadata":{"machine":"m1","seconds":1}}\n' "$call"
done
