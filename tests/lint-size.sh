#!/bin/sh
# SPDX-License-Identifier: MIT
# No file has more than 700 lines, no function of C or shell more than 60, braces included.
#
# Tables are no function's lines: what a "= {" inside of one begins and further lines end. A table
# outside of functions counts in its file only. What fuzzing starts from is no text of ours.
#
#   lint-size.sh [ROOT]       checks a tree
#   lint-size.sh --self-test  checks that it would find what it is there to find
set -u

# shellcheck disable=SC2016 # of awk
check() {
	(cd "$1" && find Makefile README.md .ci bpf cli policies sandbox tests vm-images \
		-path tests/fuzz/corpus -prune -o -path '*/__pycache__' -prune -o -type f -print0 2>/dev/null |
		sort -z | xargs -r0 awk -v file_max=700 -v function_max=60 '
	function close_file() {
		if (lines > file_max)
			tell(file ":1: a file of " lines " lines, " file_max " are the most")
	}
	function tell(text) {
		print "lint-size: " text
		bad = 1
	}
	# How many braces are open behind this line; those in strings and characters are none.
	function braces(line) {
		gsub(/\\./, "", line)
		gsub(/"[^"]*"|\047[^\047]*\047/, "", line)
		return gsub(/\{/, "", line) - gsub(/\}/, "", line)
	}
	FNR == 1 {
		close_file()
		file = FILENAME
		inside = depth = 0
		c = file ~ /\.[ch]$/
		sh = file ~ /\.sh$|^\.ci\//
	}
	{ lines = FNR }
	!inside && ((c && /^\{/) || (sh && /^[a-z_]+\(\) [{(]$/)) {
		inside = 1
		start = FNR
		tables = depth = 0
		next
	}
	inside && (c ? /^\}/ : /^[})]/) {
		n = FNR - start + 1 - tables
		if (n > function_max)
			tell(file ":" start ": a function of " n " lines, " function_max " are the most")
		inside = 0
		next
	}
	# One line of it is no table: { 0 }.
	inside && c && (depth || (/ = \{/ && braces($0) > 0)) {
		tables++
		depth += braces($0)
	}
	END {
		close_file()
		exit bad
	}')
}

# expect ok|bad WHAT: what tmp/t has
expect() {
	if check "$tmp/t" >/dev/null; then got=ok; else got=bad; fi
	[ "$got" = "$1" ] && return
	echo "lint-size: $2 is taken as $got" >&2
	failed=1
}

# lines N TEXT
lines() {
	seq "$1" | sed "s|.*|$2|"
}

self_test() {
	tmp=$(mktemp -d) || exit 1
	trap 'rm -rf "$tmp"' EXIT
	failed=0
	mkdir -p "$tmp/t/cli"
	file=$tmp/t/cli/a.c
	lines 700 '/* */' >"$file"
	expect ok 'a file of 700 lines'
	lines 701 '/* */' >"$file"
	expect bad 'a file of 701 lines'
	{ echo 'int f(void)' && echo '{' && lines 58 '	x();' && echo '}'; } >"$file"
	expect ok 'a function of 60 lines'
	{ echo 'int f(void)' && echo '{' && lines 59 '	x();' && echo '}'; } >"$file"
	expect bad 'a function of 61 lines'
	{ echo 'int f(void)' && echo '{' && echo '	int t[] = {' && lines 90 '		"}",' && echo '	};' &&
		lines 55 '	x();' && echo '}'; } >"$file"
	expect ok 'a table in a function'
	{ echo 'int f(void)' && echo '{' && echo '	int t[] = { 1,' && lines 9 '		    { 2 },' &&
		echo '		    3 };' && lines 60 '	x();' && echo '}'; } >"$file"
	expect bad 'a long function behind its table'
	{ echo 'int f(void)' && echo '{' && lines 59 '	struct s s = { 0 };' && echo '}'; } >"$file"
	expect bad 'a function of variables set to nothing'
	{ echo 'static const int t[] = {' && lines 90 '	1,' && echo '};'; } >"$file"
	expect ok 'a table outside of functions'
	rm "$file"
	mkdir -p "$tmp/t/tests/fuzz/corpus/x"
	lines 900 x >"$tmp/t/tests/fuzz/corpus/x/y"
	expect ok 'a long corpus file'
	{ echo 'f() {' && lines 59 '	x' && echo '}'; } >"$tmp/t/tests/a.sh"
	expect bad 'a long function of the shell'
	return $failed
}

if [ "${1:-}" = --self-test ]; then
	self_test
else
	check "${1:-.}"
fi
