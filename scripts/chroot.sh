#!/bin/bash
# Tests on other Debian releases and on bare machines, in chroots, as root:
#   chroot.sh versions [17 18]      "make test" on other majors of PostgreSQL
#   chroot.sh upgrade [15 18]       pg_upgrade of a hub, from one major to another
#   chroot.sh bare                  "make demo" and "make test" as a newcomer would, as root and through sudo
#   chroot.sh deb [15 17 18]        Debian packages, into build/deb: built, checked by lintian, installed and tried
#   chroot.sh portable [bits32 bigendian compilers]     on 32 bits, on a big-endian machine that is emulated, and with clang
#   chroot.sh enter 17 COMMAND...   a command (or a shell) there, in a fresh copy of the tree
# Base systems are kept in .build/chroot; delete that folder to start afresh.
# Each command runs in namespaces of its own, so that mounts and processes
# vanish with it, however it ends.

cd "$(dirname "$0")/.." || exit
[ "$(id -u)" = 0 ] || exec sudo DEBIAN_MIRROR="${DEBIAN_MIRROR:-}" PGJ_SHARED_DATA="${PGJ_SHARED_DATA:-}" bash scripts/chroot.sh "$@"
mkdir -p .build/chroot
TMPDIR=$PWD/.build source scripts/common.sh
store=$root/.build/chroot

suite_of() {
	case $1 in
	15) echo bookworm ;;
	17) echo trixie ;;
	18) echo forky ;;
	*) die "No Debian release comes with PostgreSQL $1. (There are 15, 17 and 18.)" ;;
	esac
}

# The first of this machine's own package sources that has the suite
mirror_of() {
	local uri
	for uri in ${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sort -u)}; do
		wget -q -O /dev/null "${uri%/}/dists/$1/InRelease" && echo "$uri" && return
	done
	return 1
}

isolated() { unshare --mount --pid --ipc --fork --kill-child --propagation private "$@"; }

# enter FOLDER COMMAND...
enter() {
	local folder=$1
	shift
	isolated sh -c 'mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && exec chroot "$@"' sh "$folder" \
		env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" \
		${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"
}

# unpack SUITE FOLDER [ARCHITECTURE]: a bare system with git and make, the base downloaded only once
unpack() {
	local suite=$1 folder=$2 mirror script= base=$1${3:+-$3}
	if [ ! -f "$store/$base.tar" ]; then
		need debootstrap "to make a chroot" command -v debootstrap
		install_missing
		mirror=$(mirror_of "$suite") || die "No package source of this machine has Debian's $suite: set DEBIAN_MIRROR."
		say "Downloading Debian $base ..."
		[ -e "/usr/share/debootstrap/scripts/$suite" ] || script=/usr/share/debootstrap/scripts/sid
		isolated --mount-proc debootstrap ${3:+--arch=$3} --variant=minbase --include=git,make,ca-certificates "$suite" "$work/base" "$mirror" $script \
			>"$work/debootstrap.log" 2>&1 || { tail -n 20 "$work/debootstrap.log" >&2; die "debootstrap failed."; }
		# this machine's proxies, and its word on snapshots' dates
		apt-config dump | grep -E '^Acquire::(https?::|Check-)' >"$work/base/etc/apt/apt.conf.d/90host"
		rm -rf "$work"/base/var/cache/apt/archives/*.deb
		tar -C "$work/base" -cf "$work/base.tar" . && mv "$work/base.tar" "$store/$base.tar" && rm -rf "$work/base"
	fi
	mkdir -p "$folder"
	tar -C "$folder" -xf "$store/$base.tar"
	cp -L /etc/resolv.conf /etc/hosts "$folder/etc/"
}

# into FOLDER: the work tree, and the shared data beside it where a clone looks for it
bring() {
	local data=${PGJ_SHARED_DATA:-$root/../shared/data}
	rm -rf "$1" && mkdir -p "$1" && copy_tree "$1/pg_journey" && chown -R root: "$1"
	[ ! -d "$data" ] || { mkdir -p "$1/shared" && cp -rL "$data" "$1/shared/data"; }
}

# --- versions: the chroot stays, so that a second run installs nothing ---

version_folder() {
	local suite
	suite=$(suite_of "$1") || exit
	[ -d "$store/$suite" ] || { unpack "$suite" "$work/new" && mv "$work/new" "$store/$suite"; }
	bring "$store/$suite/srv"
}

versions() {
	local version passed=0 failed=0 skipped=0 p f s
	[ $# != 0 ] || set -- 17 18
	for version in "$@"; do
		say "=== PostgreSQL $version, Debian $(suite_of "$version")"
		version_folder "$version"
		enter "$store/$(suite_of "$version")" make -C /srv/pg_journey --no-print-directory test 2>&1 | tee "$work/log"
		read -r p _ f _ s _ < <(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$work/log" || echo 0 . 1 . 0)
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	done
	say
	say "All versions:"
	say "$passed passed, $failed failed, $skipped skipped"
	[ $failed = 0 ]
}

# --- upgrade: the older PostgreSQL's packages beside the newer one's, for both must run in one system ---

upgrade() {
	local old=${1:-15} new=${2:-18} folder
	folder=$store/$(suite_of "$new") || exit
	version_folder "$new"
	sed "s/$(suite_of "$new")/$(suite_of "$old")/" "$folder/etc/apt/sources.list" >"$folder/etc/apt/sources.list.d/older.list"
	say "=== pg_upgrade from PostgreSQL $old to $new, Debian $(suite_of "$new")"
	enter "$folder" sh -e -c '
		export DEBIAN_FRONTEND=noninteractive PG_CONFIG=/usr/lib/postgresql/$2/bin/pg_config PGJ_OLD_PG_CONFIG=/usr/lib/postgresql/$1/bin/pg_config
		if ! test -f "/usr/lib/postgresql/$1/bin/initdb" || ! "$PGJ_OLD_PG_CONFIG" --pgxs >/dev/null 2>&1; then
			echo "Installing PostgreSQL $1 ..."
			mkdir -p /etc/postgresql-common/createcluster.d
			echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/pg_journey.conf
			apt-get -qq update && apt-get -qq install -y --no-install-recommends "postgresql-$1" "postgresql-server-dev-$1" >/tmp/apt.log 2>&1 ||
				{ tail -n 20 /tmp/apt.log; exit 1; }
		fi
		rm -f /etc/apt/sources.list.d/older.list
		cd /srv/pg_journey && exec bash scripts/test.sh upgrade' sh "$old" "$new"
}

# --- bare: a fresh system for each kind of user, with nothing but git and make ---

bare() {
	local suite who failed=0
	suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
	for who in root dba; do
		say "=== Bare Debian $suite, $who"
		rm -rf "$work/bare"
		unpack "$suite" "$work/bare"
		bring "$work/bare/srv"
		enter "$work/bare" sh -e -c '
			cd /srv/pg_journey
			export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x
			git init -q -b main && git add -A && git commit -q -m x && git bundle create -q ../pg_journey.bundle HEAD main
			rm -rf /srv/pg_journey'
		if [ $who = root ]; then # root has the shared data, the other user has not
			mv "$work/bare/srv/shared" "$work/bare/root/" 2>/dev/null
		else
			enter "$work/bare" sh -e -c "
				apt-get -qq update && apt-get -qq install -y --no-install-recommends sudo
				useradd -m -s /bin/bash $who && echo '$who ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/$who" \
				>"$work/sudo.log" 2>&1 || { cat "$work/sudo.log"; die "No sudo in the chroot."; }
		fi
		enter "$work/bare" su - $who -c '
			git clone -q /srv/pg_journey.bundle pg_journey && cd pg_journey &&
			make demo && make demo > ../again && make test || exit
			! grep -i apt ../again || { echo "The second make demo installed something."; exit 1; }
			test -z "$(ls -A /tmp)" || { echo "Left behind in /tmp:"; ls -A /tmp; exit 1; }
			# zombies do not count: nobody here reaps what pg_ctl leaves behind
			! awk "/^Name:/ { name = \$2 } /^State:/ && name == \"postgres\" && \$2 != \"Z\" { print FILENAME; found = 1 } END { exit !found }" \
				/proc/[0-9]*/status || { echo "A server was left running."; exit 1; }
			! ls -d /etc/postgresql/*/* 2>/dev/null || { echo "A cluster was left behind."; exit 1; }
			test -z "$(git status --porcelain)" || { echo "The clone was changed:"; git status --short; exit 1; }' </dev/null &&
			say "=== $who: passed" || { say "=== $who: FAILED"; failed=$((failed + 1)); }
	done
	say
	say "$((2 - failed)) passed, $failed failed, 0 skipped"
	[ $failed = 0 ]
}

# --- deb: built in one chroot, which stays, and installed in a fresh one, for a package must bring all that it needs ---

# for scripts in a chroot: install PACKAGES...
install='install() {
	apt-get -qq install -y --no-install-recommends "$@" >/tmp/apt.log 2>&1 || { tail -n 20 /tmp/apt.log; exit 1; }
}
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
'

deb() {
	local version suite folder name result
	cd "$root" || exit
	git rev-parse -q --verify HEAD >/dev/null || die "The packages are made of commits: this is no clone of the repository."
	perl scripts/check_meta.pl || exit
	name=pg-journey_$(sed -n "s/^default_version = '\(.*\)'/\1/p" pg_journey.control)
	[ $# != 0 ] || set -- $(for version in 15 17 18; do [ ! -d /usr/lib/postgresql/$version ] || echo $version; done)
	for version in "$@"; do
		suite=$(suite_of "$version") || exit
		folder=$store/deb-$suite
		[ -d "$folder" ] || { unpack "$suite" "$work/new" && mv "$work/new" "$folder"; }
		say "=== PostgreSQL $version, Debian $suite: building"
		rm -rf "$folder/srv" && mkdir -p "$folder/srv/${name/_/-}"
		git archive HEAD . | tar -x -C "$folder/srv/${name/_/-}"
		git archive --format=tar.gz --prefix="${name/_/-}/" -o "$folder/srv/$name.orig.tar.gz" HEAD . ':!debian'
		enter "$folder" bash -e -c "$install"'
			install dpkg-dev fakeroot debhelper lintian postgresql-common
			cd "/srv/$1"
			pg_buildext updatecontrol
			apt-get -qq build-dep -y ./ >/tmp/apt.log 2>&1 || { tail -n 20 /tmp/apt.log; exit 1; }
			export DEB_BUILD_OPTIONS="parallel=$(nproc)"
			dpkg-buildpackage -us -uc >/srv/build.log 2>&1 || { tail -n 30 /srv/build.log; exit 1; }
			lintian --allow-root --fail-on error ../*.changes' bash "${name/_/-}" || die "No packages for PostgreSQL $version."
		result=build/deb/$suite
		mkdir -p "$result" && find "$folder/srv" -maxdepth 1 -type f ! -name build.log -exec cp {} "$result" \;

		say "=== PostgreSQL $version, Debian $suite: installing"
		rm -rf "$work/bare"
		unpack "$suite" "$work/bare"
		mkdir -p "$work/bare/srv/packages"
		cp "$result"/postgresql-*-pg-journey_*.deb "$work/bare/srv/packages"
		copy_tree "$work/bare/srv/pg_journey"
		enter "$work/bare" bash -e -c "$install"'
			install /srv/packages/"postgresql-$1"-pg-journey_*.deb
			pg_ctlcluster "$1" main start 2>/dev/null || pg_ctlcluster "$1" main status
			su postgres -c "psql -Xq -v ON_ERROR_STOP=1" <<-SQL
				CREATE ROLE shop LOGIN;
				CREATE DATABASE shop OWNER shop;
				\connect shop
				SET SESSION AUTHORIZATION shop;
				CREATE EXTENSION pg_journey; -- trusted: its owner is enough
				SELECT journey_create_hub(\$\$crm\$\$);
			SQL
			install make "postgresql-server-dev-$1"
			cd /srv/pg_journey && chown -R postgres .
			su postgres -c "make -s installcheck PG_CONFIG=/usr/lib/postgresql/$1/bin/pg_config REGRESS=\"journey identifier hub\" ISOLATION="
			apt-get -qq purge -y "postgresql-$1-pg-journey" >/tmp/apt.log 2>&1
			! find /usr -name "*pg_journey*" | grep .' bash "$version" || die "The package for PostgreSQL $version does not work."
		say "$result: $(cd "$result" && ls -m ./*.deb | sed 's,\./,,g')"
	done
	chown -R --reference=. build
}

# --- portable: Debian 12 for machines of 32 bits, whose programs run here, and a cross compiler with an emulator ---

portable() {
	local what failed=0
	[ $# != 0 ] || set -- bits32 bigendian compilers
	for what in "$@"; do
		"portable_$what" && say "=== $what: passed" || { say "=== $what: FAILED"; failed=$((failed + 1)); }
	done
	say
	say "$(($# - failed)) passed, $failed failed, 0 skipped"
	[ $failed = 0 ]
}

# portable_folder NAME [ARCHITECTURE]: sets $folder
portable_folder() {
	folder=$store/$1
	[ -d "$folder" ] || { unpack bookworm "$work/new" ${2:+"$2"} && mv "$work/new" "$folder"; }
	bring "$folder/srv"
}

# Without what needs integers of 128 bits, which compilers have for machines of 64 only. The harnesses want doubles that are
# no longer than they say, and times after 2038; where a value's later parts would be, which the head alone tells, may wrap.
portable_bits32() {
	local folder
	say "=== 32 bits: the algorithm layer without attribution and flows, and its fuzz corpora, for i386"
	portable_folder i386 i386
	enter "$folder" linux32 bash -e -c "$install"'
		install gcc libc6-dev libidn2-dev libjson-c-dev postgresql-server-dev-15
		flags="-msse2 -mfpmath=sse -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -fno-sanitize=pointer-overflow"
		make -C /srv/pg_journey/test/fuzz -s short PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config GCC_FLAGS="$flags" \
			ATTRIBUTION= HARNESSES="text packed block scan sequence components graph identity ingest comparators"'
}

portable_bigendian() { # with the headers of a PostgreSQL for it; no sanitizers, whose memory the emulator has not
	local folder
	say "=== Big-endian: the algorithm layer and its fuzz corpora, for s390x"
	portable_folder s390x
	enter "$folder" bash -e -c "$install"'
		dpkg --add-architecture s390x && apt-get -qq update
		install libidn2-dev:s390x libjson-c-dev:s390x gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user-static
		cd /tmp && apt-get -qq download postgresql-server-dev-15:s390x && dpkg -x postgresql-server-dev-15_*_s390x.deb s390x && rm ./*.deb
		make -C /srv/pg_journey/test/fuzz -s short SANITIZE= GCC=s390x-linux-gnu-gcc RUN=qemu-s390x-static \
			PG_CONFIG=true BUILD=.build/s390x PG_INCLUDE=/tmp/s390x/usr/include/postgresql/15/server'
}

portable_compilers() { # no warning from our own files; PostgreSQL's headers may warn
	local folder
	say "=== gcc and clang, assertions on"
	portable_folder compilers
	enter "$folder" bash -e -c "$install"'
		install clang gcc libc6-dev libidn2-dev libjson-c-dev pkg-config postgresql-server-dev-15
		cd /srv/pg_journey
		for compiler in clang gcc; do
			make -s -j 2 with_llvm=no CC=$compiler COPT=-DUSE_ASSERT_CHECKING 2>/tmp/warnings || { cat /tmp/warnings; exit 1; }
			if grep -E "^src/.*(warning|error):" /tmp/warnings; then exit 1; fi
			echo "ok 1 - $compiler"
			make -s clean with_llvm=no
		done'
}

case ${1:-} in
deb) shift; deb "$@" ;;
portable) shift; portable "$@" ;;
versions) shift; versions "$@" ;;
upgrade) shift; upgrade "$@" ;;
bare) bare ;;
enter)
	version_folder "${2:-}"
	folder=$store/$(suite_of "$2")
	shift 2
	enter "$folder" sh -c 'cd /srv/pg_journey && exec "$@"' sh "${@:-bash}" ;;
*) sed -n '2,/^$/s/^# \{0,1\}//p' scripts/chroot.sh; exit 2 ;;
esac
