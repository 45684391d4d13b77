#!/bin/sh
# SPDX-License-Identifier: MIT
# Run one command in a virtual machine with a kernel of vm-images/kernels, and end with its status.
# See init.c for how guest and host speak, layers.sh for what the guest is made of, machine.sh for
# what it runs in.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
repo=$(dirname "$here")
: "${VM_DISK:=2G}" "${VM_LIMIT:=600}"
# shellcheck source-path=SCRIPTDIR
. "$here/layers.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/machine.sh"

usage() {
	cat <<EOF
usage: vm-images/boot.sh [OPTIONS] KERNEL -- COMMAND [ARG...]

Runs COMMAND as root in a fresh virtual machine and ends with its exit status.
KERNEL is a name from vm-images/kernels; the user land comes from
vm-images/packages. Standard input is empty.

  -a, --add PATH     a file or directory that the guest finds at the same
                     path, with the libraries that it links; may be repeated
  -w, --workdir DIR  where COMMAND starts in the guest (default /)
  -t, --tty          a terminal for COMMAND
  -v, --verbose      say how long things took, and with which accelerator
  -h, --help

Environment: VM_MEMORY (MiB, $VM_MEMORY), VM_CPUS ($VM_CPUS), VM_DISK (size of
the root file system, $VM_DISK), VM_LIMIT (seconds until a guest counts as hung,
$VM_LIMIT), VM_ACCEL (kvm or tcg; default: kvm where it works and this machine
is no guest itself), VM_APPEND (more kernel parameters), VM_CACHE (default
build/vm), VM_ICOUNT (an emulated guest's clock counts instructions, each of
2^N ns, and no idle time is waited for: how fast this machine is and what else
it does no longer matters; one CPU only),
VM_COLD (1: boot; emulated guests else go on from a snapshot of a booted one).

Exit status: COMMAND's, which with its arguments has at most 256 KiB; 124 when
the guest hung; 125 when it could not be started or died without a status (its
console is shown).

  vm-images/boot.sh 6.1 -- cat /sys/fs/cgroup/cgroup.controllers
  vm-images/boot.sh -a build/cloche 6.12 -- "\$PWD/build/cloche" doctor
EOF
}

mode='pipe' verbose='' workdir=/ kernel_name=''
qemu='' begun='' locked=''
machine_check
work=$(mktemp -d "$VM_CACHE/guest.XXXXXX" 2>/dev/null) || fail "no folder can be made in '$VM_CACHE'"
# Until there is a guest whatever fails is a failure of this script.
# shellcheck disable=SC2317 # the traps call it
finish() {
	code=$?
	[ -z "$qemu" ] || kill "$qemu" 2>/dev/null || :
	rm -rf "$work"
	[ -z "$locked" ] || layers_abandon
	[ -n "$begun" ] || [ "$code" = 0 ] || [ "$code" -gt 128 ] || exit 125
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
# What runs left that were killed: nobody holds their lock. A minute is for those who are about to.
exec 3>"$work/alive"
flock 3
find "$VM_CACHE" -maxdepth 1 -name 'guest.*' -mmin +1 -exec flock -n '{}/alive' rm -rf '{}' \; 2>/dev/null
added=$work/added
: >"$added"

while [ $# -gt 0 ]; do
	case $1 in
	-a | --add)
		[ $# -gt 1 ] || fail "$1 needs a path"
		[ -e "$2" ] || fail "'$2' does not exist"
		case $(realpath -sm "$2") in
		/dev/* | /proc/* | /run/* | /sys/*) fail "'$2' would be hidden in the guest" ;;
		esac
		echo "$2" >>"$added"
		shift
		;;
	-w | --workdir)
		[ $# -gt 1 ] || fail "$1 needs a directory"
		workdir=$2
		shift
		;;
	-t | --tty) mode='tty' ;;
	-v | --verbose) verbose=1 ;;
	-h | --help)
		usage
		exit 0
		;;
	--)
		shift
		break
		;;
	-*) fail "unknown option '$1'; see vm-images/boot.sh --help" ;;
	*)
		[ -z "$kernel_name" ] || fail "'$1': the command follows --"
		kernel_name=$1
		;;
	esac
	shift
done
{ [ -n "$kernel_name" ] && [ $# -gt 0 ]; } ||
	fail "KERNEL -- COMMAND is needed; see vm-images/boot.sh --help"
kernel_package "$kernel_name" >/dev/null
[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] ||
	fail "the recipe is for Debian on amd64: it unpacks Debian's amd64 packages"
need qemu-system-x86_64 mke2fs apt-get dpkg-deb ldconfig flock setpriv cpio ldd "${CC:-gcc}"

clock_ms() {
	echo $(($(date +%s%N) / 1000000))
}

# Layers are built by one at a time; guests run side by side.
asked=$(clock_ms)
machine_choose
exec 9>"$VM_CACHE/lock"
flock 9
locked=1
init
userland
kernel "$kernel_name"
snapshot
set -- "$workdir" "$#" "$@"
root "$added"
# Links: another run may drop these from the cache before this guest has opened them.
ln "$root" "$work/root.img"
if [ -n "$snapshot" ] && ! ln "$snapshot" "$work/snapshot" 2>/dev/null; then
	say NOTE "the snapshot of kernel $kernel_name is somebody else's: the guest boots"
	snapshot=''
fi
locked=''
exec 9>&-

nonce=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
# Of a terminal the guest is told its rows and columns.
size=$(stty size 2>/dev/null) || size='0 0'
printf '%s\0' "$nonce" "$(date +%s%N)" "$mode $size" "$@" >"$work/job"
[ "$(stat -c %s "$work/job")" -le 262144 ] || fail "the command is longer than 256 KiB"

set -- -chardev "file,id=console,path=$work/console" -chardev "file,id=status,path=$work/hear" \
	-drive "if=none,id=root,format=raw,snapshot=on,file=$work/root.img" \
	-drive "if=none,id=modules,format=raw,readonly=on,file=$kernel/modules.img" \
	-fw_cfg "name=opt/cloche/job,file=$work/job"
export SNAPSHOT="$work/snapshot"
# shellcheck disable=SC2016 # QEMU has a shell expand it
[ -z "$snapshot" ] || set -- "$@" -incoming 'exec:cat "$SNAPSHOT"'

# This shell holds the write ends of pipes too, until QEMU has ended: then the readers see the end of
# file, also when QEMU never opened them.
mkfifo "$work/hear" "$work/out" "$work/err"
exec 9>&3
# shellcheck disable=SC2094
exec 3<>"$work/hear" 4<"$work/hear" 7<>"$work/out" 5<"$work/out" 8<>"$work/err" 6<"$work/err"
begun=$(clock_ms)
status=0
while IFS= read -r line; do
	echo "$(($(clock_ms) - begun)) $line"
done <&4 >"$work/status" 3>&- 7>&- 8>&- &
if [ $mode = tty ]; then
	(machine "timeout --foreground -k 5 $VM_LIMIT" "$@" \
		-chardev stdio,id=tty,signal=off -chardev null,id=out -chardev null,id=err) || status=$?
else
	cat <&5 3>&- 7>&- 8>&- &
	cat <&6 >&2 3>&- 7>&- 8>&- &
	machine "setpriv --pdeathsig TERM timeout -k 5 $VM_LIMIT" "$@" \
		-chardev "file,id=out,path=$work/out" -chardev "file,id=err,path=$work/err" \
		-chardev null,id=tty </dev/null 2>"$work/qemu" 3>&- 7>&- 8>&- &
	qemu=$!
	wait "$qemu" || status=$?
	qemu=''
fi
exec 3>&- 4<&- 5<&- 6<&- 7>&- 8>&-
wait

# show WHAT: with what is known of why
show() {
	echo "vm-images: kernel $kernel_name: $1; the end of its console:" >&2
	tail -n "${VM_CONSOLE_LINES:-60}" "$work/console" 2>/dev/null | tr -d '\r' | sed 's/^/  | /' >&2
	[ ! -s "$work/qemu" ] || sed 's/^/  qemu: /' "$work/qemu" >&2
	if [ -n "$snapshot" ] && ! grep -q ' user$' "$work/status"; then
		echo 'vm-images: its snapshot may be damaged: the next guest makes a new one' >&2
		rm -f "$snapshot"
	fi
}

# since LINE: when the guest said so, in ms after QEMU's start
since() {
	sed -n "s/^\([0-9]*\) $1\$/\1 ms/p" "$work/status"
}

if [ -n "$verbose" ]; then
	user=$(since user) command=$(since command) from=cold
	[ -z "$snapshot" ] || from='from its snapshot'
	echo "vm-images: kernel $kernel_name ($accel, $from):" \
		"layers $((begun - asked)) ms, ${user:+user space after }${user:-no user space}," \
		"${command:+command after }${command:-no command}, guest $(($(clock_ms) - begun)) ms in all" >&2
fi
if [ "$status" = 124 ] || [ "$status" = 137 ]; then
	show "no end after $VM_LIMIT s"
	exit 124
fi
result=$(sed -n "s/^[0-9]* $nonce \([0-9]*\)\$/\1/p" "$work/status")
if [ -z "$result" ]; then
	show "ended without a status (QEMU: $status)"
	exit 125
fi
exit "$result"
