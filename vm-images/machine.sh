# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT
# The virtual machine that guests run in, and the snapshot of a booted one that emulated guests go on
# from. Sourced by boot.sh, after layers.sh.

: "${VM_MEMORY:=3456}" "${VM_ACCEL:=}" "${VM_ICOUNT:=}" "${VM_APPEND:=}" "${VM_COLD:=}"
: "${VM_CPUS:=${VM_ICOUNT:+1}}" "${VM_CPUS:=2}"

# number NAME VALUE MIN MAX
number() {
	case $2 in
	'' | *[!0-9]* | ????????*) ;;
	*) if [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then return 0; fi ;;
	esac
	fail "$1='$2': a number from $3 to $4"
}

# What is said of the machine, before anything is made for it.
machine_check() {
	number VM_MEMORY "$VM_MEMORY" 128 1048576
	number VM_CPUS "$VM_CPUS" 1 64
	number VM_LIMIT "$VM_LIMIT" 1 604800
	[ -z "$VM_ICOUNT" ] || number VM_ICOUNT "$VM_ICOUNT" 0 10
	[ -z "$VM_ICOUNT" ] || [ "$VM_CPUS" = 1 ] || fail 'VM_ICOUNT is for a guest of one CPU'
	case $VM_ACCEL in '' | kvm | tcg) ;; *) fail "VM_ACCEL='$VM_ACCEL': kvm or tcg" ;; esac
	case $VM_COLD in '' | 1) ;; *) fail "VM_COLD='$VM_COLD': 1 or nothing" ;; esac
	case $VM_CACHE in *,*) fail "VM_CACHE='$VM_CACHE': QEMU takes no comma in a path" ;; esac
}

# That /dev/kvm opens does not say that it works. So a machine is started whose firmware is three
# instructions at the reset vector, that end it. Inside another virtual machine that tells too little:
# there are such where KVM has to emulate instructions now and then, and stops a kernel for good at
# the first that it cannot (a locked cmpxchg16b). It is used there when it is asked for by name.
kvm_works() {
	[ -w /dev/kvm ] || return 1
	! grep -qw hypervisor /proc/cpuinfo || return 1
	# mov $0x10, %al; out %al, $0xf4; hlt
	{ head -c 65520 /dev/zero && printf '\260\020\346\364\364' && head -c 11 /dev/zero; } >"$work/probe"
	probe=0
	timeout -k 1 3 qemu-system-x86_64 -accel kvm -M q35 -cpu max -nodefaults -display none \
		-device isa-debug-exit,iobase=0xf4,iosize=4 -bios "$work/probe" \
		</dev/null >/dev/null 2>&1 || probe=$?
	[ "$probe" = 33 ]
}

# What an emulated processor does for nothing, a second in all: it has no secrets to guard, no clock to
# calibrate (lpj: a tick of 4 ms at 2.5 GHz), no noise to measure (jent), and its disks reach all memory
# (swiotlb would be cleared). With all that QEMU can emulate (max) the kernel patches itself in more
# places and has eight times as much to save at each switch.
machine_choose() {
	accel=$VM_ACCEL cpu=max faster=''
	[ -z "$VM_ICOUNT" ] || accel=tcg
	if [ -z "$accel" ]; then
		accel=tcg
		if kvm_works 2>/dev/null; then
			accel=kvm
		fi
	fi
	if [ "$accel" != kvm ]; then
		# One emulating thread: with two, the guest kernel patching its own code is seen half done
		# by the other CPU now and then, and oopses on an int3.
		accel=tcg,thread=single
		cpu=qemu64,+rdrand,+rdtscp
		faster="mitigations=off cryptomgr.notests initcall_blacklist=jent_mod_init tsc=reliable"
		faster="$faster lpj=10000000 no_timer_check init_on_alloc=0 swiotlb=noforce"
	fi
}

# The kernel is told that nobody needs it afterwards (cloche.throwaway): tests that may cost it its life
# look for that word.
#
# machine PREFIX [OPTION...]: becomes a machine, started by PREFIX (words). The options are what differs
# from guest to guest: where the chardevs console, tty, status, out and err lead, the drives root and
# modules, the job.
machine() {
	prefix=$1
	shift
	# shellcheck disable=SC2086 # words are meant
	exec $prefix qemu-system-x86_64 -accel "$accel" -M q35,smm=off,usb=off,vmport=off,i8042=off \
		-cpu "$cpu" -smp "$VM_CPUS" -m "$VM_MEMORY" \
		-nodefaults -no-user-config -display none -no-reboot \
		-kernel "$kernel/vmlinux" -initrd "$kernel/initrd" \
		-serial chardev:console -serial chardev:tty \
		-device isa-debug-exit,iobase=0xf4,iosize=4 \
		-device isa-debugcon,iobase=0x500,chardev=out \
		-device isa-debugcon,iobase=0x501,chardev=err \
		-device isa-debugcon,iobase=0x502,chardev=status \
		-device virtio-blk-pci,drive=root,serial=root \
		-device virtio-blk-pci,drive=modules,serial=modules \
		${VM_ICOUNT:+-icount "shift=$VM_ICOUNT,sleep=off"} \
		-append "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic $faster cloche.throwaway $VM_APPEND" "$@"
}

# ---- snapshot ------------------------------------------------------------------------------------

# Of one kernel in one machine, of one QEMU, and of one boot of this host, whose clock an emulated one
# follows.
snapshot_key() {
	key_of "$(cat "$here/machine.sh" /proc/sys/kernel/random/boot_id)" \
		"$(stat -L -c '%s %Y' "$(command -v qemu-system-x86_64)")" \
		"${kernel##*/}" "$(machine 'printf %s\n' | grep -vF "$kernel/")"
}

# snapshot_make FILE: boot the kernel until its user space waits for a job, and save it. QEMU takes
# commands on its standard input (its "human monitor") and tells of a failure in words only. Sets why.
snapshot_make() {
	mkfifo "$work/tell" "$work/hear"
	export SNAPSHOT="$1" # QEMU has a shell expand it
	machine 'setpriv --pdeathsig TERM timeout -k 5 60' \
		-chardev stdio,id=mon,signal=off -mon chardev=mon \
		-chardev "file,id=status,path=$work/hear" -chardev "file,id=console,path=$work/console" \
		-chardev null,id=tty -chardev null,id=out -chardev null,id=err \
		-drive "if=none,id=root,format=raw,snapshot=on,file=$kernel/modules.img" \
		-drive "if=none,id=modules,format=raw,readonly=on,file=$kernel/modules.img" \
		<"$work/tell" 3>"$work/hear" 9>&- >"$work/said" 2>&1 &
	qemu=$!
	exec 4>"$work/tell"
	# A machine that ended closes the pipe.
	line=''
	IFS= read -r line <"$work/hear" || :
	if [ "$line" = waiting ]; then
		# In a process of its own: nobody may be left to listen, and that is a signal.
		# shellcheck disable=SC2016
		(printf '%s\n' 'migrate_set_parameter max-bandwidth 100G' \
			'migrate "exec:cat >\"$SNAPSHOT\""' 'info migrate' quit >&4) || :
	else
		kill "$qemu" 2>/dev/null || :
	fi
	exec 4>&-
	wait "$qemu" || :
	qemu=''
	why='its user space did not come to wait for a job'
	[ "$line" != waiting ] || why=$(tr -d '\r' <"$work/said" | grep '^Migration status' || echo 'QEMU ended')
	rm -f "$work/tell" "$work/hear"
	grep -q 'Migration status: completed' "$work/said"
}

# snapshot: "" for a machine that has to boot. A kernel that cannot be saved may still boot.
snapshot() {
	snapshot=''
	case $accel$VM_ICOUNT$VM_COLD in
	tcg,thread=single) ;;
	*) return 0 ;;
	esac
	path=$VM_CACHE/snapshot-$kernel_name-$(snapshot_key)
	if [ ! -s "$path" ]; then
		say BOOT "kernel $kernel_name: once, guests go on from there"
		if ! snapshot_make "$VM_CACHE/new.snapshot"; then
			say NOTE "no snapshot of kernel $kernel_name, guests boot: $why"
			rm -f "$VM_CACHE/new.snapshot"
			return 0
		fi
		mv "$VM_CACHE/new.snapshot" "$path"
		prune "snapshot-$kernel_name"
	fi
	snapshot=$path
}
