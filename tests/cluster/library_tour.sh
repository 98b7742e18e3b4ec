#!/bin/bash
# Every part of libclusterd against a node, over both ways in, and what is left in memory at the end.
# library_tour.sh CLUSTERD CLUSTERCTL TOUR
CLUSTERD=$1 CLUSTERCTL=$2 tour=$3
. "$(dirname "$0")/node.sh"

start_node
same "all of it over the socket" "$("$tour" "$data/clusterd.sock" "$here/flows/tour.flow")" "all is as it should be"
stop_node
rm -r "$data"
start_node
address=$(head -n 1 "$data/endpoint")
if command -v valgrind >/dev/null && ! grep -q -a __asan_init "$tour"; then
	same "all of it over TCP, and nothing is left in memory" \
		"$(valgrind -q --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all --error-exitcode=9 "$tour" "$address" \
			"$here/flows/tour.flow" 2>&1)" "all is as it should be"
else
	same "all of it over TCP" "$("$tour" "127.0.0.1:1,$address" "$here/flows/tour.flow")" "all is as it should be"
fi
stop_node
finish
