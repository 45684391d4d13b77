#!/bin/sh
# SPDX-License-Identifier: MIT
# Run one command in a virtual machine with a kernel of vm-images/kernels, and end with its status.
# See init.c for how guest and host speak, layers.sh for what the guest is made of.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
repo=$(dirname "$here")
: "${VM_MEMORY:=3456}" "${VM_CPUS:=2}" "${VM_DISK:=2G}" "${VM_LIMIT:=600}" "${VM_ACCEL:=}"

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
$VM_LIMIT), VM_ACCEL (kvm or tcg; default: kvm where it works),
VM_APPEND (more kernel parameters), VM_CACHE (default build/vm), VM_ICOUNT (an
emulated guest's clock counts instructions, each of 2^N ns, and no idle time is
waited for: how fast this machine is and what else it does no longer matters).

Exit status: COMMAND's; 124 when the guest hung; 125 when it could not be
started or died without a status (its console is shown).

  vm-images/boot.sh 6.1 -- cat /sys/fs/cgroup/cgroup.controllers
  vm-images/boot.sh -a build/cloche 6.12 -- "\$PWD/build/cloche" doctor
EOF
}

# shellcheck source-path=SCRIPTDIR
. "$here/layers.sh"

mode='pipe' verbose='' workdir=/ kernel_name=''
# What runs left that were killed.
find "$VM_CACHE" -maxdepth 1 -name 'guest.*' -mmin +1440 -exec rm -rf {} +
work=$(mktemp -d "$VM_CACHE/guest.XXXXXX")
qemu=''
# shellcheck disable=SC2317 # the traps call it
finish() {
	[ -z "$qemu" ] || kill "$qemu" 2>/dev/null || :
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
added=$work/added
: >"$added"

while [ $# -gt 0 ]; do
	case $1 in
	-a | --add)
		[ $# -gt 1 ] || fail "$1 needs a path"
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
[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] ||
	fail "the recipe is for Debian on amd64: it unpacks Debian's amd64 packages"
need qemu-system-x86_64 mke2fs apt-get dpkg-deb ldconfig flock setpriv cpio ldd "${CC:-gcc}"

clock_ms() {
	echo $(($(date +%s%N) / 1000000))
}

# Layers are built by one at a time; guests run side by side.
begun=$(clock_ms)
exec 9>"$VM_CACHE/lock"
flock 9
init
userland
kernel "$kernel_name"
set -- "$workdir" "$#" "$@"
root "$added"
# A link: another run may drop the image from the cache before this guest has opened it.
ln "$root" "$work/root.img"
exec 9>&-

nonce=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
printf '%s\0' "$nonce" "$mode" "$@" >"$work/job"
truncate -s '%4096' "$work/job"
[ "$(stat -c %s "$work/job")" -le 262144 ] || fail "the command is longer than 256 KiB"

# That /dev/kvm opens does not say that it works, least of all inside another virtual machine. So a
# machine is started whose firmware is three instructions at the reset vector, that end it.
kvm_works() {
	[ -w /dev/kvm ] || return 1
	# mov $0x10, %al; out %al, $0xf4; hlt
	{ head -c 65520 /dev/zero && printf '\260\020\346\364\364' && head -c 11 /dev/zero; } >"$work/probe"
	probe=0
	timeout -k 1 3 qemu-system-x86_64 -accel kvm -M q35 -cpu max -nodefaults -display none \
		-device isa-debug-exit,iobase=0xf4,iosize=4 -bios "$work/probe" \
		</dev/null >/dev/null 2>&1 || probe=$?
	[ "$probe" = 33 ]
}
accel=$VM_ACCEL
[ -z "${VM_ICOUNT:-}" ] || accel=tcg,thread=single
if [ -z "$accel" ]; then
	# One emulating thread: with two, the guest kernel patching its own code is seen half done by
	# the other CPU now and then, and oopses on an int3.
	accel=tcg,thread=single
	if kvm_works 2>/dev/null; then
		accel=kvm
	fi
fi

# What an emulated processor does for nothing, a second in all: it has no secrets to guard, no clock to
# calibrate (lpj: a tick of 4 ms at 2.5 GHz), no noise to measure (jent), and its disks reach all memory
# (swiotlb would be cleared). With all that QEMU can emulate (max) the kernel patches itself in more
# places and has eight times as much to save at each switch.
cpu=max faster=''
if [ "$accel" != kvm ]; then
	cpu=qemu64,+rdrand,+rdtscp
	faster="mitigations=off cryptomgr.notests initcall_blacklist=jent_mod_init tsc=reliable lpj=10000000"
	faster="$faster no_timer_check init_on_alloc=0 swiotlb=noforce"
fi

# init.c knows the disks by these nsid.
set -- -accel "$accel" -M q35,smm=off,usb=off,vmport=off,i8042=off -cpu "$cpu" -smp "$VM_CPUS" -m "$VM_MEMORY" \
	-nodefaults -no-user-config -display none -no-reboot \
	-kernel "$kernel/vmlinux" -initrd "$kernel/initrd" \
	-chardev "file,id=console,path=$work/console" -serial chardev:console \
	-device isa-debug-exit,iobase=0xf4,iosize=4 \
	-chardev "file,id=status,path=$work/status" -device isa-debugcon,iobase=0x502,chardev=status \
	-drive "if=none,id=root,format=raw,snapshot=on,file=$work/root.img" \
	-drive "if=none,id=modules,format=raw,readonly=on,file=$kernel/modules.img" \
	-drive "if=none,id=job,format=raw,readonly=on,file=$work/job" \
	-device nvme,id=disks,serial=disks \
	-device nvme-ns,bus=disks,nsid=1,drive=root \
	-device nvme-ns,bus=disks,nsid=2,drive=modules \
	-device nvme-ns,bus=disks,nsid=3,drive=job \
	${VM_ICOUNT:+-icount "shift=$VM_ICOUNT,sleep=off"} \
	-append "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic $faster ${VM_APPEND:-}"

started=$(clock_ms)
status=0
if [ $mode = tty ]; then
	timeout --foreground -k 5 "$VM_LIMIT" qemu-system-x86_64 "$@" \
		-chardev stdio,id=tty,signal=off -serial chardev:tty || status=$?
else
	# This shell holds the write ends too, until QEMU has ended: then the readers see the end of
	# file, also when QEMU never opened them.
	mkfifo "$work/out" "$work/err"
	exec 7<>"$work/out" 8<>"$work/err"
	exec 5<"$work/out" 6<"$work/err"
	cat <&5 7>&- 8>&- &
	cat <&6 >&2 7>&- 8>&- &
	exec 5<&- 6<&-
	setpriv --pdeathsig TERM timeout -k 5 "$VM_LIMIT" qemu-system-x86_64 "$@" \
		-chardev "file,id=out,path=$work/out" -device isa-debugcon,iobase=0x500,chardev=out \
		-chardev "file,id=err,path=$work/err" -device isa-debugcon,iobase=0x501,chardev=err \
		</dev/null 2>"$work/qemu" 7>&- 8>&- &
	qemu=$!
	wait "$qemu" || status=$?
	qemu=''
	exec 7>&- 8>&-
	wait
fi

show() {
	echo "vm-images: kernel $kernel_name: $1; the end of its console:" >&2
	tail -n "${VM_CONSOLE_LINES:-60}" "$work/console" 2>/dev/null | tr -d '\r' | sed 's/^/  | /' >&2
	[ ! -s "$work/qemu" ] || sed 's/^/  qemu: /' "$work/qemu" >&2
}

if [ -n "$verbose" ]; then
	up=$(sed -n 's/^up \(.*\) \(.*\)/user space after \1 ms of kernel time, command after \2 ms/p' \
		"$work/status" 2>/dev/null)
	echo "vm-images: kernel $kernel_name ($accel): layers $((started - begun)) ms," \
		"${up:-no user space}, guest $(($(clock_ms) - started)) ms in all" >&2
fi
if [ "$status" = 124 ] || [ "$status" = 137 ]; then
	show "no end after $VM_LIMIT s"
	exit 124
fi
result=$(sed -n "s/^$nonce \([0-9]*\)\$/\1/p" "$work/status" 2>/dev/null)
if [ -z "$result" ]; then
	show "ended without a status (QEMU: $status)"
	exit 125
fi
exit "$result"
