#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is missing, by group, or says by name what is needed.
#
#   deps.sh GROUP...      build, test, lint, bench, vm, browser, clients: Debian packages
#   deps.sh --host        what running needs of this machine: rights and kernel, installs nothing
#   deps.sh --list GROUP...
#
# Runs before anything is built, so it uses nothing but a shell and what dpkg itself needs.
set -u

packages() {
	case $1 in
	build) echo gcc libc6-dev make clang bpftool python3 libseccomp-dev libcgroup-dev \
		libbpf-dev libelf-dev zlib1g-dev libnl-3-dev libnl-route-3-dev libjansson-dev \
		libsodium-dev libsqlite3-dev libcyaml-dev libyaml-dev libcap-dev \
		libarchive-dev libzstd-dev liblzma-dev libbz2-dev nettle-dev libsystemd-dev libmicrohttpd-dev ;;
	test) echo libcriterion-dev libclang-rt-dev strace spin \
		mmdebstrap erofs-utils git openssl iputils-ping bsdutils expect tmux \
		g++ curl perl nodejs php-cli php-mbstring ;;
	lint) echo clang-format clang-tidy cppcheck shellcheck mandoc zsh fish ;;
	bench) echo bubblewrap crun runc hyperfine ;;
	vm) echo qemu-system-x86 cpio lz4 xz-utils zstd ;;
	browser) echo chromium chromium-driver python3 ;;
	clients) echo autoconf automake libtool cmake g++ make ;;
	*)
		echo "deps: unknown group '$1': expected build, test, lint, bench, vm, browser or clients" >&2
		return 1
		;;
	esac
}

fail() {
	echo "cloche: $1" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Contexts are made of these; trying is the only way to know, and root may lack the right to.
host_check() {
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null ||
			fail "needs root: run this as root, or install sudo"
		return
	fi
	for ns in user pid mnt net ipc uts cgroup; do
		[ -e "/proc/self/ns/$ns" ] ||
			fail "this kernel has no $ns namespaces (or /proc is not mounted)"
	done
	[ -e /proc/sys/kernel/seccomp/actions_avail ] ||
		fail "this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)"
	grep -qw cgroup2 /proc/filesystems || fail "this kernel has no cgroup2 (CONFIG_CGROUPS)"
	unshare --mount --pid --fork --net --ipc --uts --cgroup --user true 2>/dev/null && return
	for ns in user pid mount net ipc uts cgroup; do
		unshare "--$ns" --fork true 2>/dev/null ||
			fail "root may not make $ns namespaces here: is this a container?"
	done
	fail "root may not make all namespaces at once here: see /proc/sys/user/max_*_namespaces"
}

wanted=
case ${1:-} in
--host)
	host_check
	exit
	;;
--list)
	shift
	for group; do packages "$group" || exit 1; done
	exit
	;;
esac
for group; do
	names=$(packages "$group") || exit 1
	wanted="$wanted $names"
done

# shellcheck disable=SC2086 # package names have no blanks
if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
	have=" $(dpkg-query -W -f '${db:Status-Status}:${Package} ' $wanted 2>/dev/null)"
else
	fail "not a Debian machine (no apt-get): install what these packages hold:$wanted"
fi
missing=
for name in $wanted; do
	case $have in
	*" installed:$name "*) ;;
	*) missing="$missing $name" ;;
	esac
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
	fail "missing packages; as root: apt-get install$missing"
fi
echo "  APT    $missing"
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
# make installs several groups side by side, and apt waits for dpkg's lock, but not for that on its lists.
exec 9<"$0" && flock 9
apt() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 \
		-o DPkg::Lock::Timeout=120 "$@" >>"$log" 2>&1 </dev/null 9<&-
}
# shellcheck disable=SC2086
if ! { apt update && apt install --no-install-recommends $missing; }; then
	tail -n 20 "$log" >&2
	fail "apt-get could not install:$missing"
fi
