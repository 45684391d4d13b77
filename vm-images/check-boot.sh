#!/bin/sh
# SPDX-License-Identifier: MIT
# What the tests in guests rely on: how a guest ends is told as it was, and a guest that goes on from a
# snapshot differs in nothing from one that has booted.
#   check-boot.sh KERNEL
# Says "N passed, N failed, 0 skipped", and to COUNTS as tests/run.sh does.
set -u

here=$(cd "$(dirname "$0")" && pwd)
repo=$(dirname "$here")
kernel=$1
: "${VM_CACHE:=$repo/build/vm}"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/cloche-check-boot.XXXXXX") || exit 1
mine=$VM_CACHE.check
trap 'rm -rf "$tmp" "$mine"' EXIT
trap 'exit 130' INT TERM HUP
passed=0 failed=0 names=

# guest COMMAND...: output and error go to $tmp/out and $tmp/err
guest() {
	VM_LIMIT=${VM_LIMIT:-60} "$here/boot.sh" -v "$kernel" -- "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
}

tells_status_and_streams() {
	guest sh -c 'echo to out; echo to err >&2; exit 7'
	[ $? = 7 ] && [ "$(cat "$tmp/out")" = 'to out' ] && grep -qx 'to err' "$tmp/err"
}

panic_is_no_success() {
	guest sh -c 'echo c >/proc/sysrq-trigger; sleep 60'
	[ $? = 125 ] && grep -q 'Kernel panic' "$tmp/err"
}

hang_is_ended() {
	VM_LIMIT=5 guest sleep 60
	[ $? = 124 ] && grep -q 'no end after 5 s' "$tmp/err"
}

# Its size, lines that end once, the command's status.
terminal_is_one() {
	script -qec "stty rows 30 cols 100; '$here/boot.sh' -t $kernel -- sh -c 'stty size; exit 7'" \
		"$tmp/out" >/dev/null 2>"$tmp/err" </dev/null
	[ $? = 7 ] && grep -q "^30 100$(printf '\r')\$" "$tmp/out"
}

# One line, and nothing was started: such a run cannot say whether a snapshot is damaged.
refused() {
	env "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? = 125 ] && [ ! -s "$tmp/out" ] && [ "$(wc -l <"$tmp/err")" = 1 ] &&
		grep -q '^vm-images: ' "$tmp/err"
}

wrong_use_starts_nothing() {
	for wrong in VM_LIMIT=abc VM_LIMIT=0 VM_MEMORY=1 VM_CPUS=x VM_ACCEL=none VM_COLD=no \
		VM_CACHE=/proc/none "VM_CACHE=$tmp/a,b"; do
		refused "$wrong" "$here/boot.sh" "$kernel" -- true || return 1
	done
	refused VM_ICOUNT=0 VM_CPUS=2 "$here/boot.sh" "$kernel" -- true &&
		refused VM_CACHE="$tmp/cache" "$here/boot.sh" none -- true &&
		refused VM_CACHE="$tmp/cache" "$here/boot.sh" -a /none "$kernel" -- true
}

# As on a machine where kvm works.
has_no_snapshots() {
	grep -q '(kvm, cold)' "$tmp/err"
}

# The same, line by line, but for what no two boots have in common.
facts='cat /proc/cmdline /sys/fs/cgroup/cgroup.controllers /proc/self/cgroup /proc/mounts
nproc; ls /dev /sys/block; cut -d" " -f1 /proc/modules | sort
ulimit -a; grep -E "^(Cap|Seccomp|NoNew)" /proc/self/status'

snapshot_is_as_a_boot() {
	guest sh -c "$facts" || return 1
	if ! grep -q 'from its snapshot' "$tmp/err"; then
		has_no_snapshots
		return
	fi
	cp "$tmp/out" "$tmp/snapshot"
	VM_COLD=1 guest sh -c "$facts" || return 1
	grep -q 'cold)' "$tmp/err" && diff "$tmp/snapshot" "$tmp/out" >"$tmp/err"
}

snapshot_has_time_and_randomness() {
	unique='cat /proc/sys/kernel/random/boot_id; od -An -N16 -tx1 /dev/urandom'
	for run in 1 2; do
		begun=$(date +%s)
		guest sh -c "date +%s; $unique" || return 1
		now=$(head -n 1 "$tmp/out")
		[ "$now" -ge "$begun" ] && [ "$now" -le "$(date +%s)" ] || return 1
		tail -n +2 "$tmp/out" >"$tmp/$run"
	done
	[ "$(cat "$tmp/1" "$tmp/2" | sort -u | grep -c .)" = 4 ]
}

damaged_snapshot_is_made_anew() {
	rm -rf "$mine"
	cp -al "$VM_CACHE" "$mine" || return 1
	VM_CACHE=$mine
	export VM_CACHE
	guest true || return 1
	if ! grep -q 'from its snapshot' "$tmp/err"; then
		has_no_snapshots
		return
	fi
	for snapshot in "$mine/snapshot-$kernel"-*; do
		head -c 100000000 "$snapshot" >"$snapshot.cut"
		mv "$snapshot.cut" "$snapshot"
	done
	guest true
	[ $? = 125 ] && guest true && grep -q 'from its snapshot' "$tmp/err"
}

for check in wrong_use_starts_nothing tells_status_and_streams terminal_is_one panic_is_no_success \
	hang_is_ended snapshot_is_as_a_boot snapshot_has_time_and_randomness damaged_snapshot_is_made_anew; do
	if $check; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1)) names="$names $check"
		sed 's/^/    /' "$tmp/out" "$tmp/err"
	fi
done
printf '  %-30s %d passed, %d failed, 0 skipped\n' "boot/$kernel" "$passed" "$failed"
for check in $names; do
	printf '  failed: boot/%s: %s\n' "$kernel" "$check"
done
sh "$repo/tests/run.sh" --tell boot "$passed" "$failed" 0
