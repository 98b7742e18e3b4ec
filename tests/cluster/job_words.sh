# For the scripts beside it: jobs, and what the catalog says of them. Source it after nodes.sh.
mkdir -p "$work/jobs" "$work/pids"

value_of() { # NODE SQL: the first column as text, one row a line
	of "$1" sql "$2" -o jsonl | sed 's/^{"[a-z_]*"://; s/}$//; s/^"//; s/"$//'
}
is() { [ "$(value_of "$1" "$3")" = "$2" ]; } # NODE VALUE SQL
job_file() { printf '%s\n' "$2" >"$work/jobs/$1.flow"; } # NAME TEXT: a file with one job
run_job() { of "$1" job run "$work/jobs/$2.flow" | awk '{ print $1 }'; } # NODE NAME: its id
state_is() { is "$1" "$3" "SELECT state FROM job WHERE id = $2"; } # NODE JOB STATE
running_are() { is "$1" "$3" "SELECT count(*) AS n FROM allocation WHERE job = $2 AND state = 'running'"; } # NODE JOB COUNT
capacity_is_known() { is "$1" "$2" "SELECT count(*) AS n FROM node WHERE cpu > 0"; } # NODE COUNT
three_nodes() { # [OPTION…]: a, b and c, which know what they have to give
	start a --expect 3 "$@"
	start b --expect 3 --join "$(address_of a)" "$@"
	start c --expect 3 --join "$(address_of a)" "$@"
	until_true "three nodes form a cluster" agree a b c
	until_true "what nodes have to give is known" capacity_is_known a 3
}
# Jobs whose tasks write their process id to $work/pids/NAME.SOMETHING.
pids_of() { cat "$work"/pids/"$1".* 2>/dev/null; }
lives() { kill -0 "$1" 2>/dev/null; }
none_lives() { # NAME
	local pid
	for pid in $(pids_of "$1"); do
		if lives "$pid"; then return 1; fi
	done
}
