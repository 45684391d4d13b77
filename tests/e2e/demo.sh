#!/bin/sh
# SPDX-License-Identifier: MIT
# The main job on a real input, then what happens to functions that misbehave. Every status and
# verdict that is shown is compared with the one that it must be: exit 0 means that all agreed.
#
#   CLOCHE, HELPERS   the program and the folder of test helpers (build/cloche, build/helpers)
#   DEMO_INPUT        the text that the functions read (the GPL, which Debian always has)
set -eu
cd "$(dirname "$0")/../.."

cloche=${CLOCHE:-build/cloche}
helpers=${HELPERS:-build/helpers}
input=${DEMO_INPUT:-/usr/share/common-licenses/GPL-3}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/cloche-demo-XXXXXX")
trap 'as_root rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
ledger=$tmp/ledger # these runs are not the host's own
shown=0 wrong=0

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
	esc=$(printf '\033')
	bold="${esc}[1m" dim="${esc}[2m" green="${esc}[32m" red="${esc}[31m" plain="${esc}[0m"
else
	bold='' dim='' green='' red='' plain=''
fi

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		CLOCHE_LEDGER=$ledger "$@"
	else
		sudo CLOCHE_LEDGER="$ledger" "$@"
	fi
}

# The words of a command, as they could be typed.
typed() {
	line=
	for word; do
		case $word in
		*[!A-Za-z0-9_./:=,+-]*) line="$line '$word'" ;;
		*) line="$line $word" ;;
		esac
	done
	printf '%s' "${line# }"
}

complain() {
	printf '   %s%s%s\n' "$red" "$1" "$plain"
	wrong=$((wrong + 1))
}

# show TITLE STATUS VERDICT WHY OPTION... -- COMMAND...: one run, as typed, with what came of it.
show() {
	title=$1 status=$2 verdict=$3 why=$4
	shift 4
	shown=$((shown + 1))
	printf '\n%s%s. %s%s\n   %s$ %s run %s%s%s\n' "$bold" "$shown" "$title" "$plain" "$dim" \
		"$cloche" "$(typed "$@")" "$([ "$stdin" = /dev/null ] || echo " <$stdin")" "$plain"

	rm -f "$tmp/report"
	got=0
	as_root "$cloche" run --report "$tmp/report" "$@" <"$stdin" >"$tmp/out" 2>"$tmp/err" ||
		got=$?
	sed 's/^/   /' "$tmp/out" "$tmp/err"
	found=$(as_root sed -n 's/.*"verdict":"\([a-z_]*\)".*/\1/p' "$tmp/report" 2>/dev/null) || :

	[ "$got" != "$status" ] || [ "$found" != "$verdict" ] ||
		printf '   %sexit status %s, verdict %s%s: %s\n' \
			"$green" "$got" "$found" "$plain" "$why"
	[ "$got" = "$status" ] || complain "exit status $got instead of $status"
	[ "$found" = "$verdict" ] || complain "verdict '$found' instead of '$verdict'"
	grep -q '^REPORT RequestId: ' "$tmp/err" || complain "no REPORT line"
}

# expect WHAT TEXT: the last run's standard output is this line.
expect() {
	[ "$(cat "$tmp/out")" = "$2" ] || complain "$1: expected $2"
}

[ -x "$cloche" ] || { echo "demo: no program '$cloche': build it with 'make'" >&2; exit 1; }
[ -r "$input" ] || { echo "demo: cannot read '$input': set DEMO_INPUT to a text" >&2; exit 1; }
case $(uname -m) in
x86_64) mount=165 ;;
*) mount=40 ;; # all younger architectures number calls alike
esac

printf '%sTwo functions, one real input: %s%s\n' "$bold" "$input" "$plain"
stdin=$input
show 'Python: a text in, its statistics out' 0 ok \
	'its own status; the REPORT line says what it took and what it is billed for' \
	-m 256M -t 10s -b tests/e2e/demo/stats.py:/var/task/stats.py -- \
	python3 /var/task/stats.py
python=$(cat "$tmp/out")
[ -n "$python" ] || complain 'no answer'

show 'The same in C: a static binary, in a sixteenth of the memory' 0 ok \
	'the same answer, to the byte' \
	-m 16M -b "$helpers/wordstat:/var/task/wordstat" -- /var/task/wordstat
expect 'the two answers differ' "$python"

printf '\n%sFour that misbehave%s\n' "$bold" "$plain"
stdin=/dev/null
show 'A busy loop of ten seconds, with a limit of half a second' 124 timeout \
	'124 is the wall-clock limit, as with timeout(1)' \
	-t 500ms -b "$helpers/burn:/var/task/burn" -- /var/task/burn

show 'A gigabyte, with a limit of 64 MiB' 137 oom \
	"137 is out of memory, by the kernel's own count: no other cause is called oom" \
	-m 64M --cpu 1 -t 60s -- python3 -c 'b"x" * (1 << 30)'

show 'A fork bomb, with a limit of 32 processes' 124 timeout \
	'forks past the limit were refused, and at the deadline all of them died at once' \
	-t 500ms --pids 32 -b "$helpers/forkbomb:/var/task/forkbomb" -- /var/task/forkbomb

show 'A system call that is not allowed: mount' 0 ok \
	'the call was answered EPERM by the policy; the function lived on and said so' \
	-b "$helpers/try-syscall:/var/task/try-syscall" -- /var/task/try-syscall "$mount"
expect 'the policy answered something else' EPERM

printf '\n%sWhat it cost, from the ledger%s\n   %s$ %s bill --by verdict%s\n' "$bold" "$plain" "$dim" \
	"$cloche" "$plain"
as_root "$cloche" bill --by verdict | sed 's/^/   /'
printf '   %s$ %s audit verify%s\n' "$dim" "$cloche" "$plain"
as_root "$cloche" audit verify >"$tmp/out" || complain 'the ledger is not intact'
sed 's/^/   /' "$tmp/out"
grep -q "($shown invocations)" "$tmp/out" || complain "the ledger does not hold $shown invocations"

if [ "$wrong" -gt 0 ]; then
	printf "\n%sdemo: %s differences in %s runs%s; 'cloche doctor' says what this host lacks\n" \
		"$red" "$wrong" "$shown" "$plain" >&2
	exit 1
fi
printf '\n%sAll %s ended as they must.%s More: README.md, %s run --help\n' \
	"$bold" "$shown" "$plain" "$cloche"
