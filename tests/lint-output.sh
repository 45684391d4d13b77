#!/bin/sh
# SPDX-License-Identifier: MIT
# All that cli/ says goes through the streams of cli/show.c, which make control characters visible:
# nothing writes to descriptors 1 and 2 beside them, and escape sequences are in show.c's table only.
#
#   lint-output.sh [ROOT]       checks a tree
#   lint-output.sh --self-test  checks that it would find what it is there to find
set -u

# show.c itself; the report's lines, whose JSON is escaped and whose REPORT line has no foreign text;
# a function's response, which is its own; a learnt profile, whose strings are escaped. Comments.
allowed='^cli/show\.c:|^cli/report_out\.c:.*file_write_all|^cli/invoke\.c:.*file_write_all\(STDOUT|^cli/policy_learn\.c:.*file_write_all|^[^:]*:[0-9]+: \* '

check() {
	found=$(cd "$1" && grep -nE '\\033|\\x1b|\\e\[|[^a-z_]v?dprintf\(|(write|write_all)\((1|2|STD(OUT|ERR)_FILENO)[^0-9]|json_dumpf?d?\([^,]*, ?std(out|err)|perror\(|psignal\(|[^a-z_]warnx?\(' \
		cli/*.c sandbox/*/*.c 2>/dev/null | grep -vE "$allowed")
	test -z "$found" && return 0
	printf '%s\n' "$found" >&2
	echo 'lint: say it by stdio; colours are show_style, JSON is show_json (cli/show.h)' >&2
	return 1
}

if [ "${1-}" = --self-test ]; then
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	mkdir "$tmp/cli"
	for line in 'printf("\033[1m")' ' dprintf(2, "x")' 'file_write_all(STDERR_FILENO, p, n)' \
		'json_dumpf(o, stdout, 0)' 'perror("x")' 'write(1, p, n)'; do
		printf '%s\n' "$line" >"$tmp/cli/a.c"
		if check "$tmp" 2>/dev/null; then
			echo "lint-output: did not find: $line" >&2
			exit 1
		fi
	done
	printf '%s\n' 'fprintf(stderr, "fine")' >"$tmp/cli/a.c"
	check "$tmp"
	exit
fi
check "${1:-.}"
