# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT
# What guests are made of, in layers, each kept under the hash of what went into them, so
# that a change rebuilds its own layer only:
#   kernel     one Debian kernel package: vmlinux, a disk of its modules, an initial RAM disk
#   userland   a directory tree unpacked from Debian packages; nothing is installed, no script is run
#   snapshot   that kernel booted, for guests that are emulated (machine.sh)
#   root       userland + init + what was just built, as one ext4 file system
# Sourced by boot.sh. Functions leave the path of what they made in the variable of their name. A
# layer is made under another name and renamed when whole: an interrupted build leaves nothing usable,
# and layers_abandon removes it.

: "${VM_CACHE:=$repo/build/vm}"
PATH=$PATH:/usr/sbin:/sbin

say() {
	printf '  %-7s %s\n' "$1" "$2" >&2
}

fail() {
	echo "vm-images: $*" >&2
	exit 125
}

mkdir -p "$VM_CACHE" 2>/dev/null || fail "the cache '$VM_CACHE' cannot be made"

need() {
	for tool in "$@"; do
		command -v "$tool" >/dev/null || fail "'$tool' is missing: run make deps"
	done
}

# The words that follow, and the recipe itself, as a short name. Layers go in by their own names: where
# the cache lies does not matter.
key_of() {
	{
		cat "$here/layers.sh"
		printf '%s\n' "$@"
	} | sha256sum | cut -c1-16
}

# Files in an image belong to root, whoever builds it.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		unshare -r "$@"
	fi
}

# prune KIND [COUNT]: keep the newest of a kind, two unless told; an image that a guest has open stays until it is closed.
prune() {
	find "$VM_CACHE" -maxdepth 1 -name "$1-*" -printf '%T@ %p\n' | sort -rn | tail -n "+$((${2:-2} + 1))" |
		cut -d' ' -f2- | while IFS= read -r old; do rm -rf "$old"; done
}

# resolve PACKAGE…: these and all that they depend on, as NAME=VERSION lines. apt is asked what it
# would install on a machine with no package at all. That takes a second, so the answer is kept as
# long as the package lists stay what they are.
resolve() {
	lists=$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -printf '%f %s %T@\n' | sort)
	[ -n "$lists" ] || fail "no package lists: run apt-get update"
	answer=$VM_CACHE/resolved-$(key_of "$lists" "$@")
	if [ ! -s "$answer" ]; then
		: >"$VM_CACHE/no-packages"
		apt-get -o Dir::State::status="$VM_CACHE/no-packages" -o Debug::NoLocking=1 \
			-o Dir::Log::Planner=/dev/null -s --no-install-recommends install "$@" >"$answer.log" 2>&1 ||
			fail "apt cannot resolve '$*': $(grep '^E:' "$answer.log" | tail -n 1)"
		sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p' "$answer.log" | sort >"$answer.tmp"
		rm -f "$answer.log"
		mv "$answer.tmp" "$answer"
		prune resolved 20
	fi
	cat "$answer"
}

# unpack DIR NAME=VERSION…: download (apt checks the signatures) and unpack.
unpack() {
	into=$1
	shift
	rm -rf "$VM_CACHE/debs"
	mkdir -p "$VM_CACHE/debs"
	(cd "$VM_CACHE/debs" && apt-get -q -o APT::Sandbox::User="$(id -un)" download "$@") \
		>"$VM_CACHE/download.log" 2>&1 || {
		tail -n 5 "$VM_CACHE/download.log" >&2
		fail "download failed: apt-get update, or more space for the cache, may help"
	}
	for deb in "$VM_CACHE"/debs/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" |
			tar -x -p -C "$into" --keep-directory-symlink 2>"$VM_CACHE/unpack.log" || {
			fail "unpacking ${deb##*/} failed: $(head -n 1 "$VM_CACHE/unpack.log")"
		}
	done
	rm -rf "$VM_CACHE/debs"
}

# in_tree PROGRAM NAME ARG…: a program of the userland under this name, with the userland's libraries,
# on this machine.
in_tree() {
	program=$1 name=$2
	shift 2
	"$userland/usr/lib64/ld-linux-x86-64.so.2" --argv0 "$name" \
		--library-path "$userland/usr/lib/x86_64-linux-gnu" "$userland/$program" "$@"
}

# The guests' first process, static: it runs where there is no library yet.
init() {
	init=$VM_CACHE/init-$(key_of "$(sha256sum <"$here/init.c")")
	if [ ! -f "$init" ]; then
		"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -static -o "$init.tmp" \
			"$here/init.c"
		mv "$init.tmp" "$init"
		prune init
	fi
}

# For those who hold the lock of the cache.
layers_abandon() {
	rm -rf "$VM_CACHE/new" "$VM_CACHE/new.img" "$VM_CACHE/new.snapshot" "$VM_CACHE/debs"
}

# ---- userland ------------------------------------------------------------------------------------

userland_make() {
	tree=$1
	shift
	mkdir -p "$tree/usr/bin" "$tree/usr/sbin" "$tree/usr/lib" "$tree/usr/lib64"
	for dir in bin sbin lib lib64; do
		ln -s "usr/$dir" "$tree/$dir"
	done
	unpack "$tree" "$@"
	rm -rf "$tree/usr/share/doc" "$tree/usr/share/man" "$tree/usr/share/locale" \
		"$tree/usr/share/info" "$tree/usr/share/lintian" "$tree/usr/share/bash-completion"
	# What the packages' scripts would have done, as far as a test can tell.
	cp "$tree/usr/share/base-passwd/passwd.master" "$tree/etc/passwd"
	cp "$tree/usr/share/base-passwd/group.master" "$tree/etc/group"
	printf '%s: files\n' passwd group shadow hosts services protocols >"$tree/etc/nsswitch.conf"
	echo guest >"$tree/etc/hostname"
	echo '127.0.0.1 localhost guest' >"$tree/etc/hosts"
	ln -sf mawk "$tree/usr/bin/awk"
	mkdir -p "$tree/usr/lib/modules" "$tree/dev" "$tree/proc" "$tree/sys" "$tree/run" "$tree/tmp"
	chmod 1777 "$tree/tmp"
	as_root ldconfig -r "$tree"
	# Without it Python compiles its library anew in every read-only sandbox, as on no real host.
	userland=$tree
	PYTHONHOME=$tree/usr in_tree usr/bin/python3.11 python3 -m compileall -q -s "$tree" \
		"$tree/usr/lib/python3.11" >/dev/null
}

userland() {
	wanted=$(sed 's/#.*//' "$here/packages")
	# shellcheck disable=SC2086 # words are meant
	packages=$(resolve $wanted)
	path=$VM_CACHE/userland-$(key_of "$packages")
	if [ ! -d "$path" ]; then
		say UNPACK "user land: $(echo "$packages" | wc -l) packages"
		rm -rf "$VM_CACHE/new"
		# shellcheck disable=SC2086
		userland_make "$VM_CACHE/new" $packages
		# Unpacking gave it the time of a package's folder, and prune goes by times.
		touch "$VM_CACHE/new"
		mv "$VM_CACHE/new" "$path"
		prune userland
	fi
	userland=$path
}

# ---- kernel --------------------------------------------------------------------------------------

# init, and the drivers of the root's disk for kernels that have them as modules. The last comes after
# the snapshot of the booted kernel (machine.sh), as it looks at the disks.
initrd_make() {
	dir=$1 release=$2
	order=$(for module in virtio_pci ext4 crc32c_generic virtio_blk; do
		in_tree usr/bin/kmod modprobe -d "$dir/tree" -S "$release" --show-depends "$module" ||
			say NOTE "kernel $release has no $module"
	done | sed -n 's/^insmod \(.*[^ ]\) *$/\1/p' | awk '!seen[$0]++')
	mkdir -p "$dir/ram/modules" "$dir/ram/modules.late"
	number=100
	echo "$order" | grep . | while IFS= read -r module; do
		case $module in
		*/virtio_blk.ko*) cp "$module" "$dir/ram/modules.late/" ;;
		*) cp "$module" "$dir/ram/modules/$number-${module##*/}" ;;
		esac
		number=$((number + 1))
	done
	cp "$init" "$dir/ram/init"
	(cd "$dir/ram" && find . | as_root cpio -o -H newc --quiet) >"$dir/initrd"
	rm -rf "$dir/ram"
}

# kernel_unpack VMLINUZ: what is packed in it, which QEMU starts at its PVH entry. Left to the guest,
# unpacking takes an emulated processor most of a second. The fields are those of Linux's boot protocol
# (Documentation/arch/x86/boot.rst): setup_sects, payload_offset, payload_length; the last four bytes
# of the payload are the length of what is in it.
kernel_unpack() {
	vmlinuz=$1
	field() {
		od -An -v -j "$1" -N "$2" -t "u$2" "$vmlinuz" | tr -d ' '
	}
	at=$((($(field 497 1) + 1) * 512 + $(field 584 4)))
	size=$(($(field 588 4) - 4))
	case $(od -An -v -j "$at" -N 4 -t x1 "$vmlinuz" | tr -d ' ') in
	02214c18) unpacker=lz4 ;;
	28b52ffd) unpacker=zstd ;;
	fd377a58) unpacker=xz ;;
	1f8b08*) unpacker=gzip ;;
	*) fail "$(basename "$vmlinuz") is packed in a way that is not known here" ;;
	esac
	need "$unpacker"
	tail -c "+$((at + 1))" "$vmlinuz" | head -c "$size" | "$unpacker" -dc
}

kernel_make() {
	dir=$1
	shift
	mkdir -p "$dir/tree"
	unpack "$dir/tree" "$@"
	release=$(basename "$dir"/tree/lib/modules/*)
	kernel_unpack "$dir/tree/boot/vmlinuz-$release" >"$dir/vmlinux"
	in_tree usr/bin/kmod depmod -b "$dir/tree" "$release"
	initrd_make "$dir" "$release"
	image_make "$dir/tree/lib/modules" "$dir/modules.img" 1G
	rm -rf "$dir/tree"
}

# kernel_package NAME: of the list
kernel_package() {
	awk -v name="$1" '$1 == name { print $2; found = 1 } END { exit !found }' "$here/kernels" ||
		fail "no kernel '$1' in vm-images/kernels, which has: $(kernel_names | tr '\n' ' ')"
}

# kernel NAME: needs the userland (depmod is its).
kernel() {
	packages=$(resolve "$(kernel_package "$1")")
	packages=$(echo "$packages" | grep '^linux-image-')
	path=$VM_CACHE/kernel-$1-$(key_of "$packages" "${init##*/}")
	if [ ! -d "$path" ]; then
		say UNPACK "kernel $1: $(echo "$packages" | tr '\n' ' ')"
		rm -rf "$VM_CACHE/new"
		# shellcheck disable=SC2086
		kernel_make "$VM_CACHE/new" $packages
		mv "$VM_CACHE/new" "$path"
		prune "kernel-$1"
	fi
	kernel=$path
}

kernel_names() {
	awk 'NF && $1 !~ /^#/ { print $1 }' "$here/kernels"
}

# ---- root ----------------------------------------------------------------------------------------

# image_make DIR IMAGE SIZE: sparse, so that the size costs nothing. No journal: images are never
# written to, guests write to a copy that ends with them.
image_make() {
	rm -f "$2"
	as_root mke2fs -q -t ext4 -O '^has_journal,^resize_inode' -m 0 \
		-E root_owner=0:0,lazy_itable_init=1 -d "$1" "$2" "$3" >/dev/null ||
		fail "making a file system of $3 failed: a larger VM_DISK=, or more space for the cache, may help"
}

# The shared libraries of the dynamic programs among the files named on standard input.
libraries_of() {
	while IFS= read -r file; do
		[ -n "$file" ] || continue
		[ "$(head -c 4 "$file" | tail -c 3)" = ELF ] || continue
		ldd "$file" 2>/dev/null || :
	done | awk '/not found/ { print "missing " $1; next }
		$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' | sort -u
}

# root LIST: the files and directories that LIST names, one a line, are in the guest at the same
# absolute paths, with the libraries that they link.
root() {
	files=$(while IFS= read -r path; do
		find "$(realpath -s "$path")" -xtype f
	done <"$1" | sort -u)
	libs=$(echo "$files" | libraries_of)
	case $libs in *missing*) fail "a library is missing here: ${libs##*missing }" ;; esac
	everything=$(printf '%s\n%s\n' "$files" "$libs" | { grep . || :; } | sort -u)
	sums=$(echo "$everything" | grep . | tr '\n' '\0' | xargs -0 -r sha256sum)
	image=$VM_CACHE/root-$(key_of "${userland##*/}" "$sums" "${init##*/}" "$VM_DISK").img
	if [ ! -f "$image" ]; then
		say IMAGE "root: $(echo "$everything" | grep -c .) files added"
		stage=$VM_CACHE/new
		rm -rf "$stage"
		cp -al "$userland" "$stage"
		cp "$init" "$stage/usr/sbin/init"
		echo "$everything" | while IFS= read -r file; do
			[ -n "$file" ] || continue
			mkdir -p "$stage${file%/*}"
			cp -L --remove-destination --preserve=mode "$file" "$stage$file"
		done
		image_make "$stage" "$VM_CACHE/new.img" "$VM_DISK"
		mv "$VM_CACHE/new.img" "$image"
		rm -rf "$stage"
		prune root 4
	fi
	root=$image
}
