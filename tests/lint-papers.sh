#!/bin/sh
# SPDX-License-Identifier: MIT
# What the papers say of the tree is so: the rooms of sandbox/README.md look into those that
# lint-includes.sh allows, and the files that it and tests/escape/README.md name are there.
#
#   lint-papers.sh [ROOT]       checks a tree
#   lint-papers.sh --self-test  checks that it would find what it is there to find
set -u

# ROOM: ROOM..., a line each, from the list in lint-includes.sh; bpf is no room.
edges() {
	sed -n "/^edges='/,/^'/p" "$1/tests/lint-includes.sh" | grep -E '^[a-z]+:' | grep -v '^cli:' |
		sed 's/ bpf\b//; s/: */: /; s/ *$//'
}

# The same from the table; "all above" are the rows before.
rows() {
	awk -F'|' '
	/^\| room \|/ { on = 1; next }
	!/^\|/ { on = 0 }
	on && !/^\|---/ {
		room = $2; into = $4
		gsub(/ /, "", room)
		gsub(/^ +| +$|,/, "", into)
		if (into == "–") into = ""
		if (into == "all above") into = above
		print room ": " into
		above = above (above == "" ? "" : " ") room
	}' "$1/sandbox/README.md" | sed 's/ *$//'
}

sorted() {
	while read -r room into; do
		# Words on purpose.
		# shellcheck disable=SC2086
		echo "$room $(printf '%s\n' $into | sort | tr '\n' ' ')"
	done | sed 's/ *$//'
}

named() {
	grep -E '^\|' "$1" | grep -oE '[a-z]+/([a-z_]+/)*[a-z_0-9]+\.(c|h|bpf\.c|json|sh|md)|\b[a-z_]+\.c\b' | sort -u
}

check() {
	root=$1 bad=0
	if [ "$(rows "$root" | sorted)" != "$(edges "$root" | sorted)" ]; then
		echo "lint-papers: the rooms of sandbox/README.md are not those of tests/lint-includes.sh"
		rows "$root" | sorted >"$tmp/rows"
		edges "$root" | sorted | diff "$tmp/rows" -
		bad=1
	fi
	for file in $(named "$root/sandbox/README.md"); do
		[ -e "$root/$file" ] || [ -e "$root/sandbox/$file" ] && continue
		echo "lint-papers: sandbox/README.md names $file, which is not there"
		bad=1
	done
	for file in $(named "$root/tests/escape/README.md"); do
		[ -e "$root/tests/$file" ] || [ -e "$root/tests/escape/$file" ] && continue
		echo "lint-papers: tests/escape/README.md names $file, which is not there"
		bad=1
	done
	return $bad
}

# TREE's arguments: found to be wrong?
wrong() {
	what=$1
	shift
	tree "$@"
	if check "$tmp/t" >/dev/null; then
		echo "lint-papers: the self-test: not found: $what" >&2
		exit 1
	fi
}

tree() {
	rm -rf "$tmp/t" && mkdir -p "$tmp/t/sandbox/base" "$tmp/t/tests/escape" && : >"$tmp/t/sandbox/base/a.c"
	printf "edges='\nbase:\nhost:    base bpf\nrun:     base bpf host\ncli:     base\n'\n" >"$tmp/t/tests/lint-includes.sh"
	printf '| room | what | looks into |\n|---|---|---|\n| base | x | – |\n| host | x | %s |\n| run | x | all above |\n\n| a | %s |\n' \
		"$1" "$2" >"$tmp/t/sandbox/README.md"
	printf '| a | %s |\n' "$3" >"$tmp/t/tests/escape/README.md"
}

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
case ${1-} in
--self-test)
	tree base base/a.c ''
	check "$tmp/t" || exit 1
	wrong "a room that is not as the list has it" – base/a.c ''
	wrong "a file that is not there" base base/b.c ''
	wrong "a test that is not there" base base/a.c gone.c
	;;
*)
	check "${1-.}"
	;;
esac
