# shellcheck shell=bash disable=SC2016,SC2034,SC2045
# What the demo and the tests share: find PostgreSQL, install what is missing,
# build and install the extension, run a throw-away cluster, clean up.
# Sourced with bash, from anywhere; sets $root, $work, $bindir and the PG* variables.

set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export LC_ALL=C.UTF-8

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# --- users: PostgreSQL refuses to run as root ---

need_root() { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "$1 needs root: become root, or install sudo."; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# as_user COMMAND...: run without root's rights, as postgres if there is one
as_user() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid="$(user)" --regid="$(id -g "$(user)")" --init-groups env HOME="$work" "$@"
	else
		"$@"
	fi
}
user() {
	if [ "$(id -u)" != 0 ]; then id -un; elif id postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi
}

# --- packages: installed once, with reasons, and only where missing ---

missing=() reasons=()

# need PACKAGES WHY TEST...: PACKAGES are missing if the command TEST fails
need() {
	local packages=$1 why=$2
	shift 2
	"$@" >/dev/null 2>&1 && return
	read -ra packages <<<"$packages"
	missing+=("${packages[@]}")
	reasons+=("$(printf '  %-48s %s' "${packages[*]}" "$why")")
}

# want PACKAGES WHY TEST...: likewise, but it goes without those that can't be had
wanted=()
want() {
	local group=("$1" "$2")
	shift 2
	"$@" >/dev/null 2>&1 || wanted+=("${group[@]}")
}

need_what_is_wanted() {
	local n packages
	[ ${#wanted[@]} = 0 ] || ! command -v apt-get >/dev/null || { [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; } && return
	[ "$updated" ] || apt_update
	for ((n = 0; n < ${#wanted[@]}; n += 2)); do
		read -ra packages <<<"${wanted[n]}"
		apt-get install --simulate "${packages[@]}" >/dev/null 2>&1 && need "${wanted[n]}" "${wanted[n + 1]}" false
	done
	wanted=()
}

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >"$work/apt.log" 2>&1; }

apt_update() {
	command -v apt-get >/dev/null || die "No apt-get here: install PostgreSQL 15 to 18 with its development files, and set PG_CONFIG."
	need_root "Installing packages"
	say "Reading apt's package lists ..."
	apt_get update || { tail -n 20 "$work/apt.log" >&2; die "apt-get update failed."; }
	updated=1
}
updated=

install_missing() {
	need_what_is_wanted
	[ ${#missing[@]} = 0 ] && return
	[ "$updated" ] || apt_update
	say "Installing with apt what is missing:"
	printf '%s\n' "${reasons[@]}"
	# Debian would create and start a cluster along with the server. Nobody
	# asked for that, so say no for the time of this installation.
	no_cluster=/etc/postgresql-common/createcluster.d/pg_journey.conf
	as_root mkdir -p "${no_cluster%/*}"
	echo "create_main_cluster = false" | as_root tee $no_cluster >/dev/null
	apt_get install -y --no-install-recommends "${missing[@]}" ||
		{ tail -n 20 "$work/apt.log" >&2; die "apt-get install failed."; }
	allow_cluster
	missing=() reasons=()
}

allow_cluster() { [ -z "$no_cluster" ] || as_root rm -f "$no_cluster"; no_cluster=; }
no_cluster=

# --- PostgreSQL: PG_CONFIG, else an installed one, else Debian's default ---

has_headers() {
	local dir pgxs
	dir=$("$1" --includedir-server 2>/dev/null) && pgxs=$("$1" --pgxs 2>/dev/null) && [ -f "$dir/postgres.h" ] && [ -f "$pgxs" ]
}

# find_postgres [test]: choose, then install compiler, server and headers (and the tests' tools) where missing
find_postgres() {
	local dir
	if [ -z "${PG_CONFIG:-}" ]; then
		for dir in $(ls -dv /usr/lib/postgresql/[0-9]* 2>/dev/null); do # a server without headers is better than none ...
			[ -x "$dir/bin/postgres" ] && [ "${dir##*/}" -ge 15 ] && PG_CONFIG=$dir/bin/pg_config
		done
		for dir in $(ls -dv /usr/lib/postgresql/[0-9]* 2>/dev/null); do # ... headers are better, and the newest is best
			[ "${dir##*/}" -ge 15 ] && has_headers "$dir/bin/pg_config" && PG_CONFIG=$dir/bin/pg_config
		done
		has_headers pg_config && [ "$(major pg_config)" -ge 15 ] && PG_CONFIG=pg_config
	fi
	if [ -z "${PG_CONFIG:-}" ]; then
		apt_update
		dir=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
		[ "$dir" ] || die "apt knows no package postgresql: set PG_CONFIG to a PostgreSQL from 15 to 18."
		PG_CONFIG=/usr/lib/postgresql/$dir/bin/pg_config
	fi
	export PG_CONFIG

	# Debian's own PostgreSQL can be completed with apt, any other is the user's to complete
	local version
	version=$("$PG_CONFIG" --bindir 2>/dev/null || dirname "$PG_CONFIG")
	version=$(expr "$version" : '/usr/lib/postgresql/\([0-9]*\)/bin$')
	if [ "$version" ]; then
		need "postgresql-$version" "the server" test -x "/usr/lib/postgresql/$version/bin/initdb"
		need "postgresql-server-dev-$version" "its headers, to build the extension" has_headers "$PG_CONFIG"
	elif ! has_headers "$PG_CONFIG"; then
		die "$PG_CONFIG finds no server headers: install PostgreSQL's development files, or set another PG_CONFIG."
	fi
	need "gcc libc6-dev" "a C compiler" sh -c 'command -v gcc && test -f /usr/include/stdlib.h'
	need libidn2-dev "international domain names" \
		sh -c 'pkg-config --exists libidn2 || test -f /usr/include/idn2.h'
	need libjson-c-dev "payloads of other systems" \
		sh -c 'pkg-config --exists json-c || test -f /usr/include/json-c/json_object.h'
	if [ "${1:-}" = test ]; then
		need "perl libipc-run-perl" "TAP tests" perl -MIPC::Run -MTest::More -e 1
		need "libtap-parser-sourcehandler-pgtap-perl" "pg_prove, to run pgTAP tests" command -v pg_prove
		want "odbc-postgresql libdbd-odbc-perl" "PostgreSQL's ODBC driver, as BI tools use it" \
			sh -c 'perl -MDBD::ODBC -e 1 && odbcinst -q -d -n "PostgreSQL Unicode"'
		! has_jdk || want libpostgresql-jdbc-java "PostgreSQL's JDBC driver, likewise" test -f /usr/share/java/postgresql.jar
		want python3-psycopg "Python's psycopg, for an example" /usr/bin/python3 -c "import psycopg"
		[ -z "$version" ] || need "postgresql-$version-pgtap" "pgTAP, unit tests in SQL" \
			test -f "/usr/share/postgresql/$version/extension/pgtap.control"
	fi
	install_missing
	[ "$(major "$PG_CONFIG")" -ge 15 ] || die "$("$PG_CONFIG" --version) is too old: pg_journey needs 15 or later."
	installer=as_root
	[ -w "$("$PG_CONFIG" --pkglibdir)" ] && [ -w "$("$PG_CONFIG" --sharedir)/extension" ] && installer="env"
	[ $installer = env ] || need_root "Installing the extension"
	bindir=$("$PG_CONFIG" --bindir)
	PATH=$bindir:$PATH
	[ "$(id -u)" != 0 ] || chown "$(user)" "$work"
}

has_jdk() { java --list-modules 2>/dev/null | grep -q '^jdk.compiler'; }

major() { "$1" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/'; }

# --- build a copy, so that neither the owner of the clone nor its objects matter ---

copy_tree() { # copy_tree TO
	mkdir -p "$1"
	tar -C "$root" --exclude=.git --exclude=.build --exclude=./build --exclude='*.o' --exclude='*.bc' --exclude='*.so' -cf - . | tar -C "$1" -xf -
	[ "$(id -u)" != 0 ] || chown -R "$(user)" "$1"
}

# CC of the environment chooses the compiler, COPT flags besides, as for PostgreSQL's own build
build() { as_user make -C "$work/tree" -s --no-print-directory PG_CONFIG="$PG_CONFIG" ${CC:+CC="$CC"} "$@"; }

install_extension() {
	$installer make -C "$work/tree" -s --no-print-directory PG_CONFIG="$PG_CONFIG" install "$@"
}

# --- a throw-away cluster: own folder, unix socket only ---

# start_cluster [COMMAND...]: COMMAND, if given, runs pg_ctl (as root where we are root); $settings, if set, are the server's
start_cluster() {
	local name
	for name in $(compgen -e PG); do # forget the caller's own server
		case $name in PG_CONFIG | PGJ_*) ;; *) unset "$name" ;; esac
	done
	as_user initdb -D "$work/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N >"$work/initdb.log" 2>&1 ||
		{ cat "$work/initdb.log" >&2; return 1; }
	as_user tee -a "$work/data/postgresql.conf" >/dev/null <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$work'
		fsync = off
		timezone = 'UTC'
		jit = off
		${settings:-}
	CONF
	export PGHOST=$work PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	"${@:-as_user}" pg_ctl -D "$work/data" -l "$work/server.log" -w -t 3600 start >/dev/null ||
		{ tail -n 20 "$work/server.log" >&2; return 1; }
}

stop_cluster() {
	[ ! -f "$work/data/postmaster.pid" ] || as_user "$bindir/pg_ctl" -D "$work/data" -m immediate -w stop >/dev/null 2>&1
}

# --- the temp folder, removed with its cluster on every exit ---

work=$(mktemp -d "${TMPDIR:-/tmp}/pg_journey.XXXXXX") || die "mktemp failed."
cd "$work" || exit # a folder that every user may enter

cleanup() {
	local status=$?
	trap - EXIT INT TERM HUP
	allow_cluster
	if [ "${KEEP:-}" ] && [ -z "${interrupted:-}" ]; then
		kept
	else
		stop_cluster
		rm -rf "$work"
	fi
	exit $status
}
kept() { stop_cluster; say "Kept: $work"; }
trap cleanup EXIT
trap 'interrupted=1; exit 130' INT TERM HUP
