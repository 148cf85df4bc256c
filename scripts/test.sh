#!/bin/bash
# Runs the test layers named as arguments, one after the other, against a
# throw-away cluster, and ends in one summary: test.sh LAYER...; in A,B+C the layers A and then B run beside C.
# The layers are the functions below called layer_NAME. A layer that fails
# shows the end of its log, and the others still run.

source "$(dirname "$0")/common.sh"

# --- the layers; each is a command whose output is counted ---

# Bitcode for the server's JIT compiler takes clang as long again, and only "make slowtest" asks for it.
layer_build() { compiled with_llvm=no; }
layer_bitcode() { compiled; }
compiled() { # no warning from our own files; PostgreSQL's headers may warn
	build -j 2 all "$@" 2>"$work/warnings"
	local status=$?
	cat "$work/warnings"
	grep -qE '^src/.*warning:' "$work/warnings" && status=1
	return $status
}

# A fresh build, for layers that need other flags: build_with FLAGS..., into $work/special
build_with() {
	copy_tree "$work/special" &&
		as_user make -C "$work/special" -s --no-print-directory PG_CONFIG="$PG_CONFIG" with_llvm=no COPT="$*" all
}

# Three lanes at once, each in a database and folder of its own: tests with hubs in two of them, of which one is named as
# some of their results say, and all others. lanes TESTS...
lanes() {
	local test hubs= more= others= status=0 twice
	twice=$(for test in "$root"/test/sql/*.sql; do grep -oE 'CREATE (ROLE|USER) "?[^"; ]+' "$test" | sort -u; done | sort | uniq -d)
	[ -z "$twice" ] || { echo "not ok 1 - tests run at the same time, and a role is everybody's: $twice"; return 1; }
	for test in "$@"; do
		if ! grep -q journey_create_hub "$root/test/sql/$test.sql"; then
			others+=" $test"
		elif [ ${#hubs} -le ${#more} ] || grep -q contrib_regression "$root/expected/$test.out"; then
			hubs+=" $test"
		else
			more+=" $test"
		fi
	done
	local first second
	lane contrib_regression hubs $hubs &
	first=$!
	lane more more $more &
	second=$!
	lane others . $others || status=1
	wait $first || status=1
	wait $second || status=1
	cat "$work"/log/{contrib_regression,more,others}.log
	return $status
}
lane() { # lane DATABASE FOLDER TESTS...
	local name=$1 folder=$2 log=$work/log/$1.log
	shift 2
	echo "$name:$*" >"$log"
	[ $# = 0 ] && return
	as_user mkdir -p "$work/tree/$folder" && { [ "$folder" = . ] || as_user ln -sfn ../expected "$work/tree/$folder/expected"; } &&
		build installcheck ISOLATION= REGRESS="$*" \
			REGRESS_OPTS="--inputdir=test --load-extension=pg_journey --dbname=$name --outputdir=$folder" >>"$log" 2>&1
}

all_regress() { for test in "$root"/test/sql/*.sql; do basename "$test" .sql; done; }

layer_regress() { lanes ${REGRESS_TESTS:-$(all_regress)}; } # REGRESS_TESTS="a b" for some

# The same with every plan made parallel that may be. To start workers for each statement takes several times as long as the
# statements, so in "make test" it is done where plans can differ: aggregates, scans of journeys, row-level security.
PARALLEL="analytics channel_measures components components_identifier funnel graph index journey_agg journeys_policies measures property rows sessions"
layer_parallel() { in_parallel $PARALLEL; }
layer_allparallel() { in_parallel $(all_regress); }
# Some ask all of their questions with PGJ_SLOW alone
layer_slowregress() { PGJ_SLOW=1 lanes $(cd "$root/test/sql" && grep -l PGJ_SLOW -- *.sql | sed 's/\.sql$//'); }
in_parallel() {
	local force=debug_parallel_query
	[ "$(major "$PG_CONFIG")" -ge 16 ] || force=force_parallel_mode
	PGOPTIONS="-c $force=regress -c parallel_setup_cost=0 -c parallel_tuple_cost=0 -c min_parallel_table_scan_size=0" lanes "$@"
}

layer_isolation() { build installcheck REGRESS=; }

layer_pgtap() { # in an empty database: each file creates the extensions it needs
	as_user createdb pgtap &&
		as_user sh -c 'cd "$1" && pg_prove --verbose -d pgtap test/pgtap/*.sql' sh "$work/tree"
}

# Three scripts at a time. Those that say "# Slow" are left to the slow layer, where PGJ_SLOW makes others longer, too.
layer_tap() { tap_scripts ${PROVE_TESTS:-$(cd "$root" && grep -L '^# Slow' test/t/*.pl)}; }
layer_slow() { PGJ_SLOW=1 tap_scripts $(cd "$root" && grep -lE '^# Slow|slowly' test/t/*.pl); }
tap_scripts() {
	local pgxs
	pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")/../..
	as_user env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE \
		PERL5LIB="$pgxs/src/test/perl" PG_REGRESS="$pgxs/src/test/regress/pg_regress" \
		PG_TEST_TIMEOUT_DEFAULT=3600 TMPDIR="$work" TESTDIR="$work/tree" TESTDATADIR="$work/tree/tmp_check" TESTLOGDIR="$work/tree/tmp_check/log" \
		PATH="$(once_initdb):$PATH" sh -c 'cd "$1" && shift && mkdir -p tmp_check/prove && printf "%s\n" "$@" |
			xargs -P 3 -I @ sh -c "prove --verbose --timer @ >tmp_check/prove/\$(basename @).log 2>&1"
			status=$?; cat tmp_check/prove/*.log; rm -r tmp_check/prove; exit $status' sh "$work/tree" "$@"
	local status=$?
	[ ! -d "$work/tree/tmp_check/pictures" ] || # what a test drew, to be looked at
		{ mkdir -p "$root/.build/pictures" && cp "$work"/tree/tmp_check/pictures/* "$root/.build/pictures/"; } 2>/dev/null
	return $status
}

# A folder with an initdb that copies what it made before, asked the same
once_initdb() {
	as_user mkdir -p "$work/once" && as_user tee "$work/once/initdb" >/dev/null <<-'SCRIPT' && as_user chmod 755 "$work/once/initdb"
		#!/bin/sh
		real=$("$PG_CONFIG" --bindir)/initdb
		[ "$1" = -D ] && [ ! -e "$2" ] || exec "$real" "$@"
		data=$2
		shift 2
		made=$(dirname "$0")/made.$(echo "$@" | cksum | tr ' ' .)
		if [ ! -d "$made" ]; then
			"$real" -D "$made.$$" "$@" || exit
			mv -T "$made.$$" "$made" 2>/dev/null || rm -rf "$made.$$" # another one was first
		fi
		cp -a "$made" "$data"
	SCRIPT
	echo "$work/once"
}

layer_clients() { PGJ_SLOW=1 PROVE_TESTS="test/t/180_clients.pl test/t/242_backends.pl" layer_tap; }

layer_upgrade() { # the older PostgreSQL gets the extension first, built from a copy of its own
	local new=$PG_CONFIG
	PG_CONFIG=$PGJ_OLD_PG_CONFIG build_with && $installer make -C "$work/special" -s --no-print-directory with_llvm=no PG_CONFIG="$PGJ_OLD_PG_CONFIG" install &&
		PG_CONFIG=$new PROVE_TESTS=test/t/195_pg_upgrade.pl layer_tap
}

# what "make dist" makes is all that it takes: built, installed beside, and tried with the library that is installed
layer_dist() {
	local folder=$work/dist
	mkdir -p "$folder" && git -C "$root" rev-parse -q --verify HEAD || { echo "ok 1 # skip no clone of the repository"; return; }
	unzip -q -d "$folder" "$root/$(bash "$root/scripts/dist.sh")" || return
	[ "$(id -u)" != 0 ] || chown -R "$(user)" "$folder"
	folder=$(echo "$folder"/pg_journey-*)
	as_user make -C "$folder" -s --no-print-directory PG_CONFIG="$PG_CONFIG" with_llvm=no all &&
		as_user make -C "$folder" -s --no-print-directory PG_CONFIG="$PG_CONFIG" with_llvm=no DESTDIR="$folder/installed" install &&
		cmp "$folder/installed$("$PG_CONFIG" --sharedir)/extension/$(basename "$folder" | sed 's/-/--/').sql" "$work"/tree/sql/pg_journey--[0-9]*[0-9].sql &&
		test -s "$folder/installed$("$PG_CONFIG" --pkglibdir)/pg_journey.so" &&
		as_user make -C "$folder" -s --no-print-directory PG_CONFIG="$PG_CONFIG" REGRESS="journey hub" ISOLATION= installcheck
}

layer_fuzz() { build -j 2 -C test/fuzz short; }
layer_fuzzlong() { build -C test/fuzz run; }
has_libfuzzer() {
	echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return 0; }' | clang -fsanitize=fuzzer -x c - -o "$work/fuzzer"
}

layer_asan() { # the stock server with our library, sanitized, mounted over the installed one for that server alone
	local lib
	lib=$("$PG_CONFIG" --pkglibdir)/pg_journey.so
	build_with -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DUSE_ASSERT_CHECKING || return
	stop_cluster
	export ASAN_OPTIONS="detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=1"
	export UBSAN_OPTIONS="print_stacktrace=1:abort_on_error=1"
	# libasan of GCC 12 looks for swift_demangle while a library below it holds
	# glibc's locale lock, and not finding it locks up: let it find one
	echo 'char *swift_demangle(void) { return 0; }' | as_user gcc -shared -fPIC -x c - -o "$work/special/swift.so"
	over_installed() { # LD_PRELOAD, because the server itself is not sanitized
		as_root unshare --mount --propagation private sh -c \
			'mount --bind "$1" "$2" && user=$3 && shift 3 && exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups "$@"' \
			sh "$work/special/pg_journey.so" "$lib" "$(user)" env PATH="$PATH" ASAN_OPTIONS="$ASAN_OPTIONS" UBSAN_OPTIONS="$UBSAN_OPTIONS" \
			LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so) $work/special/swift.so" "$@"
	}
	restart_cluster over_installed || return
	build installcheck ISOLATION= ${ASAN_TESTS:+REGRESS="$ASAN_TESTS"}
	local status=$?
	grep -A 20 -E 'runtime error:|AddressSanitizer' "$work/server.log" && status=1
	return $status
}

layer_valgrind() { # fails on errors with a function of ours in the stack: PostgreSQL itself has harmless ones
	stop_cluster
	cat >"$work/postgres-under-valgrind" <<-WRAPPER
		#!/bin/sh
		exec valgrind --quiet --trace-children=yes --num-callers=30 --error-markers=BEGIN,END \\
			--fullpath-after='$work/tree/' --log-file='$work/log/valgrind.%p' '$bindir/postgres' "\$@"
	WRAPPER
	chmod 755 "$work/postgres-under-valgrind"
	under_valgrind() { as_user "$@" -p "$work/postgres-under-valgrind"; }
	restart_cluster under_valgrind || return
	build installcheck ISOLATION= ${VALGRIND_TESTS:+REGRESS="$VALGRIND_TESTS"}
	local status=$?
	stop_cluster
	# memmove within the server shows as an overlapping memcpy, also where we have called the server
	sed 's/^==[0-9]*== //' "$work"/log/valgrind.* | awk '
		/BEGIN/ { block = ""; ours = overlap = callers = server = 0 }
		{ block = block $0 "\n" }
		/Source and destination overlap/ { overlap = 1 }
		/\((src\/|in .*pg_journey\.so)/ { ours = 1 }
		/^ *by / && ++callers == 1 && overlap && !/\(src\// { server = 1 }
		/END/ { if (ours && !server) { print block; found = 1 } }
		END { exit found }' || status=1
	return $status
}

# --- running and counting ---

# run LAYER: one line, and on failure what went wrong
run() {
	local start=$SECONDS
	printf '%-10s ' "$1"
	run_layer "$1"
	report "$1" $? $((SECONDS - start))
}
run_layer() {
	local status
	"layer_$1" >"$work/log/$1.log" 2>&1
	status=$?
	# what differs goes when the next layer begins
	[ $status = 0 ] || head -n 100 "$work"/tree/{,hubs/,more/}regression.diffs >"$work/log/$1.diffs" 2>/dev/null
	return $status
}

# run_at_once CHAIN...: the layers of a chain, A,B,C, one after the other, and all chains at once, because none takes all
# that the machine has from its beginning to its end; each is reported when it has ended
run_at_once() {
	local chain layer left running=1
	for chain in "$@"; do
		for layer in ${chain//,/ }; do
			local start=$SECONDS
			run_layer "$layer"
			echo "$? $((SECONDS - start))" >"$work/log/$layer.ended"
			mv "$work/log/$layer.ended" "$work/log/$layer.status"
		done &
	done
	left=$(echo "$@" | tr , ' ')
	while [ "$left" ]; do
		[ "$(jobs -r)" ] && sleep 1 || running=
		chain=$left left=
		for layer in $chain; do
			if [ -f "$work/log/$layer.status" ]; then
				printf '%-10s ' "$layer"
				report "$layer" $(cat "$work/log/$layer.status")
			elif [ "$running" ]; then
				left+=" $layer"
			else # its shell was killed
				printf '%-10s ' "$layer"
				report "$layer" 1 0
			fi
		done
	done
}

report() { # report LAYER STATUS SECONDS
	local name=$1 log=$work/log/$1.log status=$2 took=$3 ok bad skip why
	# "ok 1 - x" is TAP, "test x ... ok" pg_regress of 15, "(Wstat: ... Failed: 0)" a
	# script that died; a layer that knows no cases is one
	ok=$(grep -E '^ok [0-9]+|^(test|    ) .*\.\.\. ok ' "$log" | grep -ciEv '# *(skip|todo)')
	bad=$(grep -E '^not ok [0-9]+|^(test|    ) .*\.\.\. FAILED|\(Wstat: .* Failed: 0\)' "$log" | grep -ciEv '# *todo')
	skip=$(grep -ciE '^(ok [0-9]+.*# *skip|test/.* skipped: )' "$log") # one test, or a whole script
	why=$(sed -nE 's/^(ok [0-9]+.*# *[Ss][Kk][Ii][Pp]|test\/.* skipped:) *//p' "$log" | sort -u | paste -sd ';')
	[ $status = 0 ] || [ "$bad" != 0 ] || bad=1
	[ "$((ok + bad + skip))" != 0 ] || ok=1
	[ "$bad" = 0 ] || status=1
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
	printf '%-7s %5d passed, %d failed, %d skipped%s  (%d s)\n' "$([ $status = 0 ] && echo passed || echo FAILED)" \
		"$ok" "$bad" "$skip" "${why:+: $why}" "$took"
	[ $status = 0 ] && return
	explain "$name" "$log"
	culprits+="$name: $(sed -nE 's/^(test|    ) +([^ ]*) .*\.\.\. FAILED.*/\2/p; s/^(not ok [0-9]+.*)/\1/p; s/^(test[^ ]*) .*Failed: .*/\1/p' "$log" |
		head -n 20 | paste -sd ';')"$'\n'
}

explain() {
	say "--- $1 ---"
	case $1 in
	pgtap | tap | slow | clients | upgrade)
		grep -A 12 '^not ok' "$2" | head -n 60
		local script # what a script said before it died is in a log of its own
		sed -n 's/^\(test[^ ]*\)\.[a-z]* *(Wstat: .*/\1/p' "$2" | while read -r script; do
			tail -n 15 "$work/tree/tmp_check/log/regress_log_${script##*/}" 2>/dev/null
		done
		sed -n '/^Test Summary Report/,/^Result:/p' "$2" ;;
	*)
		[ "$1" != isolation ] || head -n 100 "$work/tree/output_iso/regression.diffs" 2>/dev/null
		case $1 in build | bitcode | isolation | fuzz*) ;; *) cat "$work/log/$1.diffs" 2>/dev/null ;; esac
		tail -n 30 "$2" ;;
	esac
	[ ! -f "$work/server.log" ] || grep -E 'PANIC|TRAP:|server process .*(terminated by|exited with)' "$work/server.log" | tail -n 5
	say "--- end of $1; KEEP=1 keeps the whole log ---"
}

exists() { # exists LAYER: has it any test yet?
	case $1 in
	*regress | *parallel | asan | valgrind) compgen -G "$root/test/sql/*.sql" ;;
	isolation) compgen -G "$root/test/specs/*.spec" ;;
	pgtap) compgen -G "$root/test/pgtap/*.sql" ;;
	tap | slow | clients | upgrade) compgen -G "$root/test/t/*.pl" ;;
	fuzz*) test -f "$root/test/fuzz/Makefile" ;;
	esac >/dev/null
}

restart_cluster() { rm -rf "$work/data" "$work/server.log" && start_cluster "$@"; }

passed=0 failed=0 skipped=0 culprits=
find_postgres test
case $1 in
valgrind) need valgrind "valgrind" command -v valgrind ;;
clients) # too large to ask for in every test
	need default-jdk-headless "Java, for the JDBC driver" has_jdk
	need libpostgresql-jdbc-java "the JDBC driver" test -f /usr/share/java/postgresql.jar
	need "nodejs node-pg" "Node's pg" sh -c 'command -v node && { command -v npm || test -d /usr/share/nodejs/pg; }'
	need python3-psycopg "Python's psycopg" /usr/bin/python3 -c 'import psycopg' ;;
fuzzlong) need "clang libclang-rt-dev" "libFuzzer" has_libfuzzer ;;
esac
case " $* " in *" dist "*) need "git unzip" "to unpack what make dist makes" sh -c 'command -v git && command -v unzip' ;; esac
install_missing

# Tests run on a copy, as another user where we are root, so the shared data
# set, which only some tests need, is copied too.
data=${PGJ_SHARED_DATA:-../shared/data}
if data=$(cd "$root" && cd "$data" 2>/dev/null && pwd); then
	cp -rL "$data" "$work/shared_data"
	[ "$(id -u)" != 0 ] || chown -R "$(user)" "$work/shared_data"
fi
export PGJ_SHARED_DATA=$work/shared_data

settings=$'autovacuum = off\nmax_locks_per_transaction = 256' # autovacuum would decide by the clock what plans there are

as_user mkdir "$work/log"
copy_tree "$work/tree"
say "pg_journey on $("$PG_CONFIG" --version)"
run build
[ -f "$work/tree/pg_journey.so" ] || { say; say "$passed passed, $failed failed, $skipped skipped"; exit 1; }
install_extension with_llvm=no >"$work/log/install.log" 2>&1 || { cat "$work/log/install.log"; die "make install failed."; }
start_cluster || die "No throw-away cluster, no tests."
for layer in "$@"; do
	case $layer in
	build) ;;
	*+*) run_at_once ${layer//+/ } ;;
	*) ! exists "$layer" || run "$layer" ;;
	esac
done

say
[ -z "$culprits" ] || printf 'Failed: %s' "$culprits"  # again, because a long log is often cut to its end
say "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
