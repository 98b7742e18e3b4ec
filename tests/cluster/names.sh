#!/bin/bash
# Nodes that find one another by the name of a host, whose record changes. names.sh CLUSTERD CLUSTERCTL FAKE_DNS
. "$(dirname "$0")/namespaces_lib.sh"
CLUSTERD=$1 CLUSTERCTL=$2 FAKE_DNS=$3
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
namespaces_begin
hosts a b c d nobody

# All of the script's processes ask this server, and no other one.
records=$work/records
say() { # LINE…
	printf '%s\n' "$@" >"$records.new"
	mv "$records.new" "$records"
}
say ""
printf 'nameserver 10.77.0.1\noptions timeout:30 attempts:5\n' >"$work/resolv.conf"
echo "hosts: files dns" >"$work/nsswitch.conf"
mount --bind "$work/resolv.conf" /etc/resolv.conf && mount --bind "$work/nsswitch.conf" /etc/nsswitch.conf ||
	skip "the name server cannot be told (mount --bind)"
"$FAKE_DNS" 10.77.0.1 "$records" >"$work/dns" &
dns=$!
until_true "a name server listens" test -s "$work/dns"

patience=60
found_by() { timeout=2s of "$1" status -o json 2>/dev/null | sed -n 's/.*"discovery":\[{"source":"[^"]*","found":\[\([^]]*\)\].*/\1/p'; }
finds() { [ "$(found_by "$1" | tr ',' '\n' | sort | tr '\n' ' ')" = "$2" ]; }
at() { echo "\"$(address_in "$1"):9189\""; }
errors_above() { [ "$(status_field "$1" discovery_errors)" -gt "$2" ]; }

# Three nodes that only know a name, which stands for all of them: they begin a cluster.
say "nodes.test $(address_in a) $(address_in b) $(address_in c)"
for name in a b c; do start $name --expect 3 --join nodes.test:9189; done
until_true "nodes that know one name begin a cluster" agree a b c
until_true "all addresses of the name are found" finds a "$(at a) $(at b) $(at c) "

# The record changes: the new address is contacted.
say "seed.test $(address_in nobody)"
start d --join dns:seed.test:9189
until_true "the address of the seed is found" finds d "$(at nobody) "
same "nobody is there" "$(status_field d state)" inactive
say "seed.test $(address_in b)"
until_true "the record has changed, and that is seen" finds d "$(at b) "
until_true "the new address is contacted: d joins" all_see 4 alive a b c d
until_true "and follows" agree a b c d

# The name is gone, and the server fails: that is counted, and changes nothing.
say "seed.test fail"
until_true "that the name server fails is counted" errors_above d 0
until_true "so is that the name is gone" errors_above a 0
finds d "$(at b) " || fail "what d had found is gone"
until_true "all are alive" all_see 4 alive a b c d
until_true "and agree" agree a b c d

# A name server that says nothing: nobody waits for it, not even a node that is to stop in the middle of a look.
looks_of() { timeout=2s of "$1" status -o json | sed -n 's/.*"discovery":\[.*"looks":\([0-9]*\).*/\1/p'; }
looks=$(looks_of d)
kill -STOP "$dns"
looking() { [ "$(looks_of d)" -gt "$looks" ]; }
until_true "a look begins" looking
kill -TERM "${pid_of[d]}"
stopped() { ! kill -0 "${pid_of[d]}" 2>/dev/null; }
until_true "and the node stops in the middle of it" stopped
wait "${pid_of[d]}" || fail "it does not stop as it should"
unset "pid_of[d]"
until_true "the others agree" agree a b c
kill -CONT "$dns"
finish
