#!/bin/sh
# SPDX-License-Identifier: MIT
# One form of the model, in every order: check.sh DIR -DNAME=N,... CC
# DIR has the models and tables.pml; what comes of it is in a directory of its own there, in which
# "passed" says that nothing was found. A counterexample is told as spin tells it.
set -u

dir=$1/$(echo "$2" | tr -c 'A-Z0-9_\n' _) options=$(echo "$2" | tr , ' ') cc=$3
rm -rf "$dir"
mkdir -p "$dir" && cp "$1"/*.pml "$dir" && cd "$dir" || exit 1
# shellcheck disable=SC2086 # lists
spin -a $options daemon.pml >pan.out && $cc -o pan pan.c && ./pan -E -m1000000 >pan.out
if grep -q 'errors: 0' pan.out && ! grep -q 'not completed\|max search depth' pan.out; then
	sed -n "s/^ *\([0-9]*\) states, stored.*/  $2: \1 states/p" pan.out
	echo 1 >passed
	exit 0
fi
cat pan.out
[ ! -f daemon.pml.trail ] || spin -t -g -l daemon.pml | tail -60
exit 1
