#!/bin/sh
# SPDX-License-Identifier: MIT
# Run test programs under each kernel of vm-images/kernels (or those that KERNELS names):
#   check.sh PATH... -- PROGRAM...     PATHs are what the programs need beside them
# Every kernel is tried, then the status says whether all was well. Counts go where tests/run.sh
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

out=$(mktemp "${TMPDIR:-/tmp}/cloche-check-vm.XXXXXX")
trap 'rm -f "$out" "$out.status"' EXIT
trap 'exit 130' INT TERM

# guest KERNEL PROGRAM...
guest() {
	name=$1
	shift
	set -- "$name" -- env "COUNTS=/tmp/counts" "CLOCHE=${CLOCHE:-$repo/build/cloche}" \
		"HELPERS=${HELPERS:-$repo/build/helpers}" "TEST_LIMIT=${TEST_LIMIT:-600}" \
		"CLOCHE_MUST_RUN=${CLOCHE_MUST_RUN:-}" sh tests/run.sh "vm-$name" "$@"
	# Options go before the kernel; a here-document keeps the loop in this shell.
	while IFS= read -r path; do
		[ -z "$path" ] || set -- --add "$path" "$@"
	done <<-END
		$add
		tests/run.sh
	END
	VM_LIMIT=${VM_LIMIT:-1800} "$here/boot.sh" --workdir "$repo" "$@"
}

failed=0
names=${KERNELS:-$(awk 'NF && $1 !~ /^#/ { print $1 }' "$here/kernels")}
for kernel in $names; do
	{
		status=0
		guest "$kernel" "$@" || status=$?
		echo "$status" >"$out.status"
	} | tee "$out"
	status=$(cat "$out.status")
	counts=$(sed -n "s/^vm-$kernel: \([0-9]* passed, [0-9]* failed, [0-9]* skipped\)\$/\1/p" "$out")
	if [ "$status" != 0 ]; then
		failed=1
		echo "vm-$kernel: failed (status $status)" >&2
	elif [ -z "$counts" ]; then
		failed=1
		echo "vm-$kernel: no test was counted" >&2
	fi
	[ -z "${COUNTS:-}" ] || echo "${counts:-0 passed, 1 failed, 0 skipped}" >>"$COUNTS"
done
exit "$failed"
