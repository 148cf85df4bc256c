#!/bin/bash
# The archive for PGXN, build/pg_journey-VERSION.zip: what is committed, and the extension's SQL, built of that.
# A commit with a tag vX.Y.Z must have that version.
set -eu
cd "$(dirname "$0")/.."
git rev-parse -q --verify HEAD >/dev/null 2>&1 || { echo "The archive is made of commits: this is no clone of the repository." >&2; exit 1; }
[ -z "$(git status --porcelain)" ] || { echo "Not committed, so not in the archive:"; git status --short; } >&2
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
git archive HEAD . | tar -x -C "$work"
wrong=$(cd "$work" && perl scripts/check_meta.pl) || { printf '%s\n' "$wrong" >&2; exit 1; }
version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" "$work/pg_journey.control")
tags=$(git tag --points-at HEAD 'v*')
case " ${tags//$'\n'/ } " in
"  " | *" v$version "*) ;;
*) echo "The commit has the tag $tags, its version is $version." >&2; exit 1 ;;
esac
make -s -C "$work" --no-print-directory "sql/pg_journey--$version.sql"
mkdir -p build
name=pg_journey-$version
git archive --format=zip --prefix="$name/sql/" --add-file="$work/sql/pg_journey--$version.sql" --prefix="$name/" -o "build/$name.zip" HEAD .
echo "build/$name.zip"
