#!/bin/sh
# SPDX-License-Identifier: MIT
# Run test programs under each kernel of vm-images/kernels (or those that KERNELS names):
#   check.sh PATH... -- PROGRAM... [-- PROGRAM...]
# PATHs are what the programs need beside them. Those behind a further -- are dealt out: each runs
# under one kernel only, as do the cases of a program that knows TEST_TURN (tests/lib/turn.h); with
# VM_ALL=1 under each. Every kernel is tried, then the status says whether all was well. Counts go where tests/run.sh
# puts them (COUNTS); a guest that did not come as far as counting is one failure.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
repo=$(dirname "$here")

cd "$repo"
# Both lists as lines: the paths to add, the programs as absolute names.
add=$(while [ $# -gt 0 ] && [ "$1" != -- ]; do
	printf '%s\n' "$1"
	shift
done)
while [ "${1:---}" != -- ]; do
	shift
done
[ $# -gt 1 ] || {
	echo "vm-images: no test program to run" >&2
	exit 1
}
shift

# What each guest runs, what is dealt out, and among how many.
each=0
for program; do
	[ "$program" != -- ] || break
	each=$((each + 1))
done
names=${KERNELS:-$(awk 'NF && $1 !~ /^#/ { print $1 }' "$here/kernels")}
guests=$(echo "$names" | wc -w)
[ -z "${VM_ALL:-}" ] || guests=1

out=$(mktemp -d "${TMPDIR:-/tmp}/cloche-check-vm.XXXXXX")
pids=''
# shellcheck disable=SC2317 # the traps call it
finish() {
	# shellcheck disable=SC2086 # a list
	[ -z "$pids" ] || kill $pids 2>/dev/null || :
	wait
	rm -rf "$out"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# guest KERNEL TURN PROGRAM...: becomes the guest
guest() {
	name=$1 turn=$2
	shift 2
	# Turned round once: those of all and those whose turn it is stay.
	at=0
	for program; do
		shift
		if [ "$program" != -- ]; then
			if [ "$at" -lt "$each" ] || [ $((at % guests)) = $((turn % guests)) ]; then
				set -- "$@" "$program"
			fi
			at=$((at + 1))
		fi
	done
	set -- "$name" -- env "COUNTS=/tmp/counts" "CLOCHE=${CLOCHE:-$repo/build/cloche}" \
		"HELPERS=${HELPERS:-$repo/build/helpers}" "TEST_LIMIT=${TEST_LIMIT:-1200}" \
		"CLOCHE_MUST_RUN=${CLOCHE_MUST_RUN:-}" "TEST_TURN=$((turn % guests))/$guests" sh tests/run.sh "vm-$name" "$@"
	# Options go before the kernel; a here-document keeps the loop in this shell.
	while IFS= read -r path; do
		[ -z "$path" ] || set -- --add "$path" "$@"
	done <<-END
		$add
		tests/run.sh
	END
	VM_LIMIT=${VM_LIMIT:-3600} exec "$here/boot.sh" --workdir "$repo" "$@"
}

# Side by side, as an emulated guest keeps one CPU busy: as many as there are CPUs and memory for.
side_by_side() {
	awk -v cpus="$(nproc)" '/^MemAvailable:/ { n = int($2 / 5000000) }
		END { if (n > cpus) n = cpus; print n < 1 ? 1 : n }' /proc/meminfo
}

# report KERNEL STATUS: what became of it
report() {
	counts=$(sed -n "s/^vm-$1: \([0-9]* passed, [0-9]* failed, [0-9]* skipped\)\$/\1/p" "$out/$1")
	if [ "$2" != 0 ]; then
		failed=1
		echo "vm-$1: failed (status $2)" >&2
	elif [ -z "$counts" ]; then
		failed=1
		echo "vm-$1: no test was counted" >&2
	fi
	[ -z "${COUNTS:-}" ] || echo "${counts:-0 passed, 1 failed, 0 skipped}" >>"$COUNTS"
}

# The output of the first is shown as it comes, of the next behind it.
show() {
	for name in $started; do
		pid=${pids%% *} pids=${pids#* } status=0
		tail -n +1 -s 0.2 -f --pid="$pid" "$out/$name"
		wait "$pid" || status=$?
		report "$name" "$status"
	done
	started='' n=0
}

failed=0 n=0 started='' dealt=0
jobs=${VM_JOBS:-$(side_by_side)}
for kernel in $names; do
	: >"$out/$kernel" # there before the guest's shell comes to run, for who shows it
	guest "$kernel" "$dealt" "$@" >"$out/$kernel" 2>&1 &
	dealt=$((dealt + 1))
	pids="$pids$! " started="$started $kernel" n=$((n + 1))
	[ "$n" -lt "$jobs" ] || show
done
show
exit "$failed"
