#!/bin/sh
# SPDX-License-Identifier: MIT
# Build the real function images from the package archive and run a function in each:
#   check-images.sh CLOCHE RECIPE...
# Each is built twice, by two users as different as they may be, into two stores, and must come out the
# same to the last bit. Says "N passed, N failed, N skipped", and to COUNTS as tests/run.sh does. Skipped
# where the archive cannot be reached; with CLOCHE_MUST_RUN=1 that is a failure.
set -u

cloche=$1
shift
tmp=$(mktemp -d "${TMPDIR:-/tmp}/cloche-check-images.XXXXXX") || exit 1
# What was mounted goes with the images.
finish() {
	for store in "$tmp"/*/; do
		for file in "$store"*.erofs; do
			[ ! -e "$file" ] || CLOCHE_IMAGES=$store "$cloche" image remove "$(basename "$file" .erofs)"
		done
	done
	rm -rf --one-file-system "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP
passed=0 failed=0 skipped=0

result() {
	printf '  %-30s %s\n' "images/$1" "$2"
}

# A function in the language of the image, that needs more of it than to start. Python must find all that
# is compiled in a form that it takes without looking at the sources (PEP 552): in a read-only root it
# would compile again at every run.
# shellcheck disable=SC2016 # the inner shell expands it
run_in() {
	case $1 in
	python3) set -- python3 python3 -c 'import glob, hashlib, json, sqlite3, ssl, sys
assert json.__cached__ and not sys.flags.no_site
compiled = glob.glob("/usr/lib/python3*/**/*.pyc", recursive=True)
assert len(compiled) > 500
for file in compiled:
	assert open(file, "rb").read(8)[4:] == b"\1\0\0\0", file
print(json.dumps({"answer": 6 * 7}))' ;;
	nodejs) set -- nodejs node -e 'require("crypto").createHash("sha256"); console.log(JSON.stringify({answer: 6 * 7}))' ;;
	*) set -- "$1" sh -c 'echo "{\"answer\": $((6 * 7))}"' ;;
	esac
	name=$1
	shift
	CLOCHE_IMAGES=$tmp/a "$cloche" run -q -t 20s --rootfs "$name" -- "$@" 2>&1
}

# build STORE NAME: into b as somebody who has set much for himself.
build() {
	export CLOCHE_IMAGES="$tmp/$1"
	if [ "$1" = a ]; then
		env -u PYTHONDONTWRITEBYTECODE "$cloche" image build "$2"
	else
		(
			umask 077
			PYTHONDONTWRITEBYTECODE=1 PYTHONOPTIMIZE=2 PYTHONHASHSEED=7 LC_ALL=C TZ=Asia/Tokyo \
				SOURCE_DATE_EPOCH=1234567890 HOME=/nonexistent \
				nice "$cloche" image build "$2"
		)
	fi
}

check() {
	for store in a b; do
		mkdir -p "$tmp/$store"
		out=$(build "$store" "$1" 2>&1) || {
			case $out in
			*"Failed to fetch"* | *"resolving"*) return 77 ;;
			esac
			return 1
		}
	done
	cmp "$tmp/a/$1.erofs" "$tmp/b/$1.erofs" >"$tmp/cmp" 2>&1 || {
		out="two builds differ: $(cat "$tmp/cmp")"
		return 1
	}
	out=$(run_in "$1") || return 1
	[ "$(echo "$out" | tr -d ' ')" = '{"answer":42}' ]
}

for name; do
	status=0
	check "$name" || status=$?
	if [ "$status" = 0 ]; then
		passed=$((passed + 1))
		result "$name" passed
	elif [ "$status" = 77 ] && [ "${CLOCHE_MUST_RUN:-}" != 1 ]; then
		skipped=$((skipped + 1))
		result "$name" "skipped: no package archive can be reached"
	else
		failed=$((failed + 1))
		result "$name" "failed: $out"
	fi
done
sh "$(dirname "$0")/../tests/run.sh" --tell images "$passed" "$failed" "$skipped"
