#!/bin/sh
# SPDX-License-Identifier: MIT
# Who may include whom: a list of rooms (folders of sandbox/) and of those each may look into, beside
# itself. sandbox/README.md says what they are. Nothing outside tests/ includes tests/.
#
#   lint-includes.sh [ROOT]       checks a tree
#   lint-includes.sh --self-test  checks that it would find what it is there to find
set -u

# A DAG: a room comes after all that it may include. "bpf" are the headers that programs and readers share.
edges='
base:
host:    base bpf
policy:  base
image:   base host
launch:  base host policy image
meter:   base bpf host
trace:   base bpf host policy meter
ledger:  base
run:     base bpf host policy image launch meter trace ledger
pool:    base
runtime: base
function: base image launch policy runtime
serve:   base host policy image launch meter trace ledger run pool runtime function
cli:     base bpf host policy image launch meter trace ledger run pool runtime function serve
'

check() {
	(cd "$1" && find sandbox cli bpf -name '*.[ch]' 2>/dev/null | sort |
		xargs -r grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]') |
		awk -v edges="$edges" '
	BEGIN {
		n = split(edges, line, "\n")
		for (i = 1; i <= n; i++) {
			m = split(line[i], word, "[: ]+")
			if (!word[1])
				continue
			room[word[1]] = 1
			for (j = 2; j <= m; j++) {
				if (word[j] && word[j] != "bpf" && !(word[j] in room)) {
					print "lint-includes: the list: " word[1] " before " word[j]
					bad = 1
				}
				may[word[1], word[j]] = 1
			}
		}
	}
	{
		# FILE:LINE:#include "TARGET"
		split($0, at, ":")
		file = at[1]
		target = $0
		sub(/^[^<"]*[<"]/, "", target)
		sub(/[>"].*/, "", target)
		quoted = $0 ~ /include[[:space:]]*"/
		split(file, dir, "/")
		from = dir[1] == "sandbox" ? dir[2] : dir[1]
		parts = split(target, to_dir, "/")
		if (to_dir[1] == "sandbox") to = to_dir[2]; else to = parts > 1 ? to_dir[1] : ""
		if (target ~ /(^|\/)\.\.\//)
			why = "climbs out with .."
		else if (dir[1] == "sandbox" && !(from in room))
			why = "sandbox/" from " is no room that is known here"
		else if (quoted && to == "tests")
			why = "only tests include tests"
		else if (quoted && to in room && from == "bpf")
			why = "BPF programs stand alone"
		else if (quoted && (to in room || to == "bpf") && to != from && !((from, to) in may))
			why = from " may not look into " to
		else
			next
		printf "%s:%s: includes \"%s\": %s\n", file, at[2], target, why
		bad = 1
	}
	END { exit bad }'
}

# Each line: the file, what it includes, whether that is in order.
self_test() {
	tmp=$(mktemp -d) || exit 1
	trap 'rm -rf "$tmp"' EXIT
	failed=0
	while read -r file target want; do
		rm -rf "$tmp/t" && mkdir -p "$tmp/t/$(dirname "$file")"
		echo "#include \"$target\"" >"$tmp/t/$file"
		if check "$tmp/t" >/dev/null; then got=ok; else got=bad; fi
		[ "$got" = "$want" ] && continue
		echo "lint-includes: $file including $target is taken as $got" >&2
		failed=1
	done <<-END
		sandbox/base/a.c base/b.h ok
		sandbox/base/a.c launch/b.h bad
		sandbox/base/a.h sandbox/launch/b.h bad
		sandbox/host/a.c bpf/b.h ok
		sandbox/policy/a.c host/b.h bad
		sandbox/policy/a.c bpf/b.h bad
		sandbox/launch/a.c base/b.h ok
		sandbox/launch/a.c launch/b.h ok
		sandbox/launch/a.c policy/b.h ok
		sandbox/launch/a.c meter/b.h bad
		sandbox/launch/a.c cli/b.h bad
		sandbox/launch/a.c ../meter/b.h bad
		sandbox/meter/a.c bpf/b.h ok
		sandbox/meter/a.c meter.skel.h ok
		sandbox/meter/a.c launch/b.h bad
		sandbox/trace/a.c meter/b.h ok
		sandbox/meter/a.c trace/b.h bad
		sandbox/ledger/a.c meter/b.h bad
		sandbox/run/a.c ledger/b.h ok
		sandbox/serve/a.c run/b.h ok
		sandbox/run/a.c serve/b.h bad
		sandbox/serve/a.c pool/b.h ok
		sandbox/pool/a.c launch/b.h bad
		sandbox/runtime/a.c launch/b.h bad
		sandbox/serve/a.c runtime/b.h ok
		sandbox/other/a.c base/b.h bad
		sandbox/run/a.c tests/lib/b.h bad
		cli/a.c run/b.h ok
		cli/a.c cli/b.h ok
		bpf/a.h meter/b.h bad
	END
	return $failed
}

if [ "${1:-}" = --self-test ]; then
	self_test
else
	check "${1:-.}"
fi
