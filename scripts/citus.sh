#!/bin/bash
# Tests of hubs on Citus, a coordinator and two workers on this machine: citus.sh [SCRIPTS of test/citus]
# With an installed Citus, if $PG_CONFIG's PostgreSQL has one. Else Citus is built of its public source, once, into a
# copy of that PostgreSQL: .build/citus, which is to be deleted to build it afresh. Nothing is installed elsewhere.
#   CITUS_SOURCE   a repository of git to clone; CITUS_REV, a tag of it
# Where the source can't be had, the tests are skipped, and that is said.

source "$(dirname "$0")/common.sh"
source_of_citus=${CITUS_SOURCE:-https://github.com/citusdata/citus}
rev=${CITUS_REV:-v13.2.2}
store=$root/.build/citus

skip() { say "Skipped: $*"; say; say "0 passed, 0 failed, 1 skipped"; exit 0; }

find_postgres test
has_citus() { [ -f "$("$1" --pkglibdir)/citus.so" ]; }

# A PostgreSQL finds its files by where its programs are, if all are moved together.
copy_postgres() { # copy_postgres TO
	local dir
	for dir in bindir pkglibdir sharedir includedir-server; do
		dir=$("$PG_CONFIG" --$dir) && mkdir -p "$1$dir" && cp -rL "$dir/." "$1$dir" || return
	done
	dir=$("$PG_CONFIG" --includedir) && cp -rL "$dir"/libpq* "$dir"/internal "$dir"/postgres_ext.h "$dir"/pg_config* "$1$dir" # libpq's, beside what else may be there
}

build_citus() {
	case $(major "$PG_CONFIG") in 15 | 16 | 17) ;; *) skip "Citus $rev is for PostgreSQL 15 to 17." ;; esac
	say "Fetching Citus $rev ..."
	GIT_TERMINAL_PROMPT=0 git clone -q --depth 1 -c advice.detachedHead=false --branch "$rev" "$source_of_citus" "$work/citus" >"$work/clone.log" 2>&1 ||
		{ tail -n 3 "$work/clone.log"; skip "Citus can't be fetched of $source_of_citus; CITUS_SOURCE says where it can."; }
	# Later minor releases have this function themselves.
	! grep -qs have_createdb_privilege "$("$PG_CONFIG" --includedir-server)/commands/dbcommands.h" ||
		sed -i 's/^have_createdb_privilege(void)/citus_&/' "$work/citus/src/include/pg_version_compat.h"
	need "liblz4-dev libzstd-dev" "compression, to build Citus" sh -c 'test -f /usr/include/lz4.h && test -f /usr/include/zstd.h'
	need libkrb5-dev "GSSAPI, likewise" test -d /usr/include/gssapi
	install_missing
	say "Building Citus $rev ..."
	rm -rf "$store" && mkdir -p "$store" && copy_postgres "$store" || die "PostgreSQL can't be copied to $store."
	local pg_config
	pg_config=$store$("$PG_CONFIG" --bindir)/pg_config
	(cd "$work/citus" && touch configure && ./configure -q PG_CONFIG="$pg_config" --without-libcurl &&
		make -s -j "$(nproc)" with_llvm=no && make -s with_llvm=no install-all) >"$work/citus.log" 2>&1 ||
		{ tail -n 20 "$work/citus.log"; rm -rf "$store"; die "Citus can't be built."; }
	echo "$rev" >"$store/rev"
}

if ! has_citus "$PG_CONFIG"; then
	[ "$(cat "$store/rev" 2>/dev/null)" = "$rev" ] && [ -x "$store$("$PG_CONFIG" --bindir)/postgres" ] || build_citus
	PG_CONFIG=$store$("$PG_CONFIG" --bindir)/pg_config
	chmod -R go+rX "$root/.build/citus"
fi
export PG_CONFIG
bindir=$("$PG_CONFIG" --bindir)
PATH=$bindir:$PATH
[ -w "$("$PG_CONFIG" --pkglibdir)" ] && installer=env || installer=as_root

copy_tree "$work/tree"
build with_llvm=no all >"$work/build.log" 2>&1 || { tail -n 20 "$work/build.log"; die "The extension can't be built."; }
$installer make -C "$work/tree" -s --no-print-directory PG_CONFIG="$PG_CONFIG" with_llvm=no install || die "The extension can't be installed."

pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")/../..
[ -d "$pgxs/src/test/perl" ] || pgxs=$(dirname "$(pg_config --pgxs)")/../..
cd "$work/tree" || exit
as_user env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE PERL5LIB="$pgxs/src/test/perl:$work/tree/test/t/lib" \
	PG_REGRESS="$pgxs/src/test/regress/pg_regress" PG_TEST_TIMEOUT_DEFAULT=600 TMPDIR="$work" TESTDIR="$work/tree" \
	TESTDATADIR="$work/tree/tmp_check" TESTLOGDIR="$work/tree/tmp_check/log" \
	prove --verbose --timer "${@:-test/citus}" 2>&1 | tee "$work/prove.log"
status=${PIPESTATUS[0]}
say
say "$(grep -cE '^ok [0-9]+ ' "$work/prove.log") passed, $(grep -cE '^not ok [0-9]+ ' "$work/prove.log") failed, 0 skipped"
exit "$status"
