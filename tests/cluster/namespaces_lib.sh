# shellcheck shell=bash disable=SC2154
# For scripts that need networks that can be cut: hosts, each with a network namespace and an address of its own, on one bridge.
#
#	. namespaces_lib.sh         first of all: the script begins again, in namespaces of its own (network, mounts, processes), or ends with
#	                            77 where the system does not allow that. Then source node.sh and nodes.sh, and call namespaces_begin.
#	hosts NAME…                 makes them; `start NAME` of nodes.sh then runs the node NAME there, listening at the host's address
#	address_in NAME             its address, without a port
#	inside NAME COMMAND…        runs a command there
#	sever A B                   what A sends does not get to B any more; the other direction is another one
#	mend A B                    the end of that
#	isolate NAME                nothing from it, nothing to it
#	partition "A B" "C D"       neither side hears the other
#	lossy PERCENT [NAME…]       so much of what gets to them is lost, at random; 0 ends it; without names: of all
#	heal                        no cuts and no losses any more
#	dropped NAME                how many packets to it were thrown away until now
#
# All of it is in the namespaces of the script, down to the bridge: two scripts at once never meet, and when the script is gone, however
# it ended, the system throws everything away, processes included. Only IPv4 is cut.

skip() {
	echo "SKIPPED: $*"
	exit 77 # SKIP_RETURN_CODE of ctest
}

if [ -z "${CLUSTERD_NAMESPACES:-}" ]; then
	for program in unshare nsenter ip nft; do
		command -v "$program" >/dev/null || skip "no $program here: tools/bootstrap installs it"
	done
	new=(unshare --net --mount --pid --fork --kill-child --mount-proc)
	[ "$(id -u)" -eq 0 ] || new+=(--user --map-root-user)
	"${new[@]}" true 2>/dev/null || skip "namespaces may not be made here (unshare)"
	"${new[@]}" ip link add bridge type bridge 2>/dev/null || skip "the system has no bridges between networks (ip link add type bridge)"
	"${new[@]}" nft add table inet probe 2>/dev/null || skip "the system has no nf_tables (nft add table)"
	CLUSTERD_NAMESPACES=1 exec "${new[@]}" "$BASH" "$0" "$@"
fi

declare -A address_of_host=()
host_names=()

namespaces_begin() {
	networks=$work/networks
	mkdir "$networks"
	trap cleanup_namespaces EXIT
	ip link set lo up && ip link add bridge type bridge && ip addr add 10.77.0.1/16 dev bridge && ip link set bridge up ||
		fail "no bridge can be made"
	# Instead of what nodes.sh has.
	launch() {
		local name=$1
		shift
		[ -z "${address_of_host[$name]:-}" ] || exec nsenter --net="$networks/$name" "$@"
		exec "$@"
	}
	listen_of() { [ -z "${address_of_host[$1]:-}" ] && echo 127.0.0.1:0 || echo "${address_of_host[$1]}:9189"; }
}

cleanup_namespaces() {
	local name
	for name in "${host_names[@]}"; do
		umount "$networks/$name"
	done
	cleanup_nodes
}

# What is dropped is dropped where it arrives: as by a network, and unlike a refusal at the sender, nobody gets an error.
hosts() {
	local name place
	for name in "$@"; do
		place=$((${#host_names[@]} + 1))
		address_of_host[$name]=10.77.$((place / 250 + 1)).$((place % 250 + 1))
		host_names+=("$name")
		: >"$networks/$name"
		unshare --net="$networks/$name" true || fail "no network for $name"
		ip link add "to-$place" type veth peer name out netns "$networks/$name" && ip link set "to-$place" master bridge up ||
			fail "no link to $name"
		inside "$name" sh -c "ip link set lo up && ip addr add $(address_in "$name")/16 dev out && ip link set out up" ||
			fail "no address for $name"
		inside "$name" nft -f - <<-'RULES' || fail "no rules for $name"
			table inet faults {
				counter dropped { }
				set senders { type ipv4_addr; }
				chain losses { }
				chain input {
					type filter hook input priority 0; policy accept;
					iifname "lo" accept
					ip saddr @senders counter name dropped drop
					jump losses
				}
			}
		RULES
	done
}

inside() {
	local name=$1
	shift
	nsenter --net="$networks/$name" "$@"
}
address_in() { echo "${address_of_host[$1]}"; }

sever() { inside "$2" nft add element inet faults senders "{ $(address_in "$1") }"; }
mend() { inside "$2" nft delete element inet faults senders "{ $(address_in "$1") }"; }
isolate() {
	local other
	for other in "${host_names[@]}"; do
		[ "$other" = "$1" ] || { sever "$1" "$other" && sever "$other" "$1"; }
	done
}
partition() {
	local left right
	for left in $1; do
		for right in $2; do
			sever "$left" "$right"
			sever "$right" "$left"
		done
	done
}
lossy() {
	local percent=$1 name
	shift
	[ $# -gt 0 ] || set -- "${host_names[@]}"
	for name in "$@"; do
		inside "$name" nft flush chain inet faults losses
		[ "$percent" -eq 0 ] ||
			inside "$name" nft add rule inet faults losses numgen random mod 100 \< "$percent" counter name dropped drop ||
			fail "no losses for $name"
	done
}
heal() {
	local name
	for name in "${host_names[@]}"; do
		inside "$name" nft "flush set inet faults senders; flush chain inet faults losses"
	done
}
dropped() { inside "$1" nft list counter inet faults dropped | sed -n 's/.*packets \([0-9]*\).*/\1/p'; }
