#!/bin/bash
# "make demo": builds pg_journey, starts a throw-away cluster, and runs the
# numbered SQL files of this folder in it. KEEP=1 leaves the cluster up.

source "$(dirname "$0")/../scripts/common.sh"

kept() {
	local as=
	[ -f "$work/data/postmaster.pid" ] || { say "Kept: $work"; return; }
	[ "$(id -u)" != 0 ] || as="runuser -u $(user) -- "
	say "The cluster is still up. To connect:"
	say "  $bindir/psql -h $work -U postgres shop"
	say "To stop and remove it:"
	say "  $as$bindir/pg_ctl -D $work/data -m fast stop && rm -r $work"
}

find_postgres
say "Building and installing pg_journey ..."
copy_tree "$work/tree"
{ build all && install_extension; } >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; die "The build failed."; }
start_cluster || die "The demo needs a cluster."
createdb shop
say "pg_journey on $("$PG_CONFIG" --version), in a throw-away cluster"
files=()
for file in "$root"/demo/[0-9]*.sql; do files+=(-f "$file"); done
report=$root/demo/report.html
touch "$report" 2>/dev/null || report=/dev/null
psql -X -q -P pager=off -v ON_ERROR_STOP=1 -v report="$report" -d shop "${files[@]}" || die "The demo failed."
say
if [ "$report" = /dev/null ]; then
	say "There is no report: $root/demo can't be written to."
else
	say "The report is a page for your browser: $report"
fi
