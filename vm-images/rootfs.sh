#!/bin/sh
# SPDX-License-Identifier: MIT
# Fill a directory with a root file system made of Debian packages:
#   rootfs.sh TREE PACKAGES NAME...    PACKAGES gets what went in, one NAME=VERSION a line
#
# Packages are unpacked, not installed: no script of theirs runs, and there is no package manager
# inside. What the scripts would have done is at the end, as far as a function can tell. They come
# from where this machine's apt gets its own, with its keys; Debian's go before those of others, so
# that the same recipe is the same everywhere. Nothing that depends on when or where may stay:
# SOURCE_DATE_EPOCH is set by the caller, times and owners are set when the tree is packed.
set -eu

tree=$1 list=$2
shift 2

sources() {
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		[ ! -s "$file" ] || echo "$file"
	done
}

[ -n "$(sources)" ] || {
	echo "E: this machine's apt has no sources: see sources.list(5)" >&2
	exit 1
}
# shellcheck disable=SC1091 # the host's
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
packages=$(echo "$@" | tr ' ' ',')
# The hooks get the directory as $1 and the list through the environment.
export list
# shellcheck disable=SC2016,SC2046 # hooks expand it themselves; paths of apt have no blanks
mmdebstrap --mode=root --variant=extract --format=directory \
	--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
	--setup-hook='printf "Package: *\nPin: release o=Debian\nPin-Priority: 990\n" >"$1/etc/apt/preferences.d/first"' \
	--extract-hook='for deb in "$1"/var/cache/apt/archives/*.deb; do
			dpkg-deb -f "$deb" Package Version | sed "s/^[A-Za-z]*: //" | paste -sd=
		done | sort >"$list"' \
	--aptopt='APT::Sandbox::User "root"' \
	--include="$packages" "$suite" "$tree" $(sources) >&2

cd "$tree"
# The package manager's own files and what nobody reads inside a context.
rm -rf boot dev proc sys run tmp media srv var/cache var/lib var/log var/backups var/mail var/spool \
	etc/apt etc/dpkg etc/machine-id etc/hostname etc/resolv.conf etc/.pwd.lock \
	usr/lib/apt usr/lib/dpkg usr/share/dpkg usr/share/debconf usr/share/bash-completion \
	usr/share/info usr/share/lintian usr/share/locale usr/share/man usr/share/doc-base \
	usr/bin/apt* usr/bin/dpkg* usr/sbin/dpkg* usr/bin/debconf* usr/sbin/start-stop-daemon
# Of the documentation the licences stay.
find usr/share/doc -mindepth 1 -not -type d -not -name copyright -delete
find usr/share/doc -mindepth 1 -type d -empty -delete
mkdir -p dev proc sys run tmp var/cache var/lib var/log var/task var/tmp
chmod 1777 tmp var/tmp

# The user that a function is; the names are those of contexts without an image.
mkdir -p etc
printf '%s\n' 'root:x:0:0:root:/root:/usr/sbin/nologin' 'function:x:1000:1000:function:/tmp:/bin/sh' \
	'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin' >etc/passwd
printf '%s\n' 'root:x:0:' 'function:x:1000:' 'nogroup:x:65534:' >etc/group
rm -f etc/shadow* etc/gshadow* etc/passwd- etc/group-
printf '127.0.0.1 localhost\n::1 localhost\n' >etc/hosts
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >etc/nsswitch.conf
ln -sf /proc/self/mounts etc/mtab
ln -sf /usr/share/zoneinfo/Etc/UTC etc/localtime

if [ -d usr/share/ca-certificates ]; then
	mkdir -p etc/ssl/certs
	find usr/share/ca-certificates -name '*.crt' | LC_ALL=C sort | while IFS= read -r crt; do
		cat "$crt"
		ln -sf "/$crt" "etc/ssl/certs/$(basename "$crt" .crt).pem"
	done >etc/ssl/certs/ca-certificates.crt
fi
# Commands that no package brought, from busybox; never in place of one that is there.
if [ -x usr/bin/busybox ]; then
	chroot . /usr/bin/busybox --list | while IFS= read -r name; do
		[ -e "usr/bin/$name" ] || [ -L "usr/bin/$name" ] || [ -e "usr/sbin/$name" ] ||
			ln -s busybox "usr/bin/$name"
	done
fi
# Without it Python compiles its library anew in every read-only context. Not tied to the times of
# the sources, which packing changes, and read without looking at the sources at all. (-B: what the
# compiler itself imports would be written first, the usual way, and then be passed over.)
if [ -x usr/bin/python3 ]; then
	PYTHONHASHSEED=0 chroot . /usr/bin/python3 -B -m compileall -q -j1 --invalidation-mode unchecked-hash \
		"/usr/lib/$(readlink usr/bin/python3)" >&2
fi
chroot . /sbin/ldconfig
rm -rf var/cache/ldconfig
