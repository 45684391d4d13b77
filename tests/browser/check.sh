#!/bin/sh
# SPDX-License-Identifier: MIT
# The report's page and the exported trace in a real Chromium:
#   check.sh CLOCHE OUT
# Runs functions that leave reports and traces, then looks at what Cloche makes of them (run.py). What
# the browser showed is left in OUT. Says "N passed, N failed, N skipped", and to COUNTS as
# tests/run.sh does. Skipped where there is no Chromium; with CLOCHE_MUST_RUN=1 that is a failure.
#
# The browser gets a pid and a network namespace of its own: whatever it starts ends with this, and
# there is nobody whom a page could ask.
set -u

cloche=$1 out=$2
here=$(dirname "$0")
child=
tmp=$(mktemp -d "${TMPDIR:-/tmp}/cloche-check-browser.XXXXXX") || exit 1
finish() {
	[ -z "$child" ] || { kill "$child" && wait "$child"; } 2>/dev/null
	rm -rf --one-file-system "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

tell() {
	sh "$here/../run.sh" --tell browser "$@"
}

missing=
for name in chromium chromedriver python3; do
	command -v "$name" >/dev/null || missing="$missing $name"
done
if [ -n "$missing" ]; then
	if [ "${CLOCHE_MUST_RUN:-}" = 1 ]; then
		echo "  browser/chromium               failed: not there, and must be:$missing"
		tell 0 1 0
	else
		echo "  browser/chromium               skipped: not there:$missing"
		tell 0 0 1
	fi
	exit
fi

# NAME STATUS OPTIONS...: leaves NAME.json and NAME.jsonl. A trace that is not whole (the kernel hides
# a switch from the meter now and then) cannot be compared with the report: it is made again.
record() {
	name=$1 want=$2
	shift 2
	for _ in 1 2 3 4 5 6 7 8; do
		status=0
		rm -f "$tmp/$name.json" "$tmp/$name.jsonl"
		CLOCHE_LEDGER=$tmp/ledger "$cloche" run -q --report "$tmp/$name.json" \
			--trace "$tmp/$name.jsonl" "$@" >"$tmp/$name.out" 2>&1 </dev/null || status=$?
		if [ "$status" != "$want" ]; then
			echo "  browser/$name: exit status $status, expected $want" >&2
			cat "$tmp/$name.out" >&2
			return 1
		fi
		tail -n 1 "$tmp/$name.jsonl" | grep -q '"lost":0,"complete":true[,}]' && return
	done
	echo "  browser/$name: 8 runs, no whole trace" >&2
	return 1
}

recorded=
record busy 0 --name hostile -m 256M -t 20s -b "$here/function.py:/var/task/function.py" -- \
	python3 /var/task/function.py '<script>alert(1)</script>' &&
	record late 124 -t 300ms -- sleep 10 && recorded=1
if [ -z "$recorded" ]; then
	tell 0 1 0
	exit
fi

mkdir -p "$out"
HOME=$tmp TMPDIR=$tmp timeout -k 5 "${TEST_LIMIT:-120}" unshare --net --pid --fork --kill-child \
	--mount-proc python3 -B "$here/run.py" "$cloche" "$tmp" "$out" </dev/null &
child=$!
wait "$child"
status=$?
child=
if ! read -r passed failed skipped <"$tmp/counts"; then
	echo "  browser/run.py: exit status $status, no counts"
	passed=0 failed=1 skipped=0
fi
tell "$passed" "$failed" "$skipped"
