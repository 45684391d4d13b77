#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs Criterion programs one after the other and adds up what they found.
#
#   run.sh TIER PROGRAM...   one line a program, then "N passed, N failed, N skipped"
#   run.sh --total FILE      adds up the lines that tiers have left in FILE
#   run.sh --tell TIER PASSED FAILED SKIPPED
#                            says what a tier with a runner of its own has found
#
# A program's line ends with the seconds that it took. One that crashes as a whole, hangs, or holds
# no test counts as one failure; its output is shown only when something failed, and what failed is
# named again before the closing line. With COUNTS=FILE in the environment the counts go there as
# well, and the closing line names the tier, so that the caller can print the one that counts.
# TEST_LIMIT: seconds that one program may take. CLOCHE_MUST_RUN=1: a skip is a failure.
# AS_USER=NUMBER: the programs run as that user. EXCEPT=FILE: of what it lists, "PROGRAM SUITE::TEST
# REASON" a line, each must fail, and that is no failure; "!PROGRAM" and the like is not run.
set -u

total() {
	awk '{ p += $1; f += $3; s += $5 }
	     END { printf "%d passed, %d failed, %d skipped\n", p, f, s }' "$1"
}

# tell TIER PASSED FAILED SKIPPED: false when any failed
tell() {
	line="$2 passed, $3 failed, $4 skipped"
	if [ -n "${COUNTS:-}" ]; then
		echo "$line" >>"$COUNTS"
		line="$1: $line"
	fi
	echo "$line"
	[ "$3" = 0 ]
}

case $1 in
--total)
	total "$2"
	exit
	;;
--tell)
	shift
	tell "$@"
	exit
	;;
esac

tier=$1
shift
limit=${TEST_LIMIT:-300}
child=
tmp=$(mktemp -d "${TMPDIR:-/tmp}/cloche-tests-XXXXXX") || exit 1
# Whoever knows a name in it may go there: tests act as other users, too.
chmod 711 "$tmp"
trap 'rm -rf --one-file-system "$tmp"' EXIT
# timeout(1) forwards the signal to the program's whole group.
trap '[ -n "$child" ] && kill "$child" && wait "$child"; exit 130' INT TERM
as=${AS_USER:+setpriv --reuid=$AS_USER --regid=$AS_USER --clear-groups}
if [ -t 1 ]; then progress=1; else progress=; fi

# The counts of Criterion's JSON as three words; nothing when the program did not get to write it.
counts() {
	awk '/^  "(passed|failed|skipped)":/ { gsub(/[",:]/, ""); n[$1] = $2; got++ }
	     END { if (got == 3) print n["passed"], n["failed"], n["skipped"] }' "$1"
}

# "name: reason" of each skipped test.
skips() {
	awk -F'"' '/^          "name":/ { name = $4 }
		   /"status": "SKIPPED"/ { skipped = 1 }
		   skipped && /"messages":/ { print name ": " $4; skipped = 0 }' "$1"
}

# A pattern of Criterion's for all but what is not to be run; nothing where all is.
left_out() {
	[ -n "${EXCEPT:-}" ] && awk -v program="!$1" '$1 == program {
		sub("::", "/", $2)
		all = all (all ? "|" : "") $2
	}
	END { if (all) print "--filter=!(" all ")" }' "$EXCEPT"
}

# Sorts the program's failures into those that are as listed ($tmp/listed has all that should be)
# and those that are not, among these what is listed and passes. Sets failed, passed and note.
except() {
	failures "$tmp/json" | sort >"$tmp/bad"
	awk -v program="$1" '$1 == program { print $2 }' "$EXCEPT" | sort >"$tmp/listed"
	comm -23 "$tmp/bad" "$tmp/listed" >"$tmp/unlisted"
	comm -13 "$tmp/bad" "$tmp/listed" | sed 's/$/ is listed, and does not fail/' >"$tmp/mended"
	as_listed=$(comm -12 "$tmp/bad" "$tmp/listed" | wc -l)
	passed=$((passed - $(wc -l <"$tmp/mended")))
	failed=$(cat "$tmp/unlisted" "$tmp/mended" | wc -l)
	# What was left out Criterion counts as skipped.
	not_run=$(awk -v program="!$1" '$1 == program { n++ } END { print n + 0 }' "$EXCEPT")
	skipped=$((skipped - not_run))
	note=", $as_listed fail as listed, $not_run not run"
}

# "suite::test" of each that failed or crashed.
failures() {
	awk -F'"' '/^      "name":/ { suite = $4 }
		   /^          "name":/ { name = $4 }
		   /"status": "(FAILED|ERRORED)"/ { print suite "::" name }' "$1"
}

for program; do
	name=$tier/$(basename "$program")
	passed=0 failed=0 skipped=0 note=
	rm -rf "$tmp/json" "$tmp/work" "$tmp/unlisted" "$tmp/mended"
	mkdir "$tmp/work"
	if [ -n "$as" ]; then
		: >"$tmp/json"
		chown "$AS_USER:$AS_USER" "$tmp/work" "$tmp/json"
	fi
	[ -n "$progress" ] && printf '  %-30s ...\r' "$name"

	begun=$(date +%s)
	# Runs under test are recorded, but not in this host's own ledger.
	# shellcheck disable=SC2086,SC2046 # words
	TMPDIR=$tmp/work CLOCHE_LEDGER=$tmp/work/ledger timeout -k 5 "$limit" $as "$program" -j2 $(left_out "$(basename "$program")") \
		--json="$tmp/json" >"$tmp/out" 2>&1 </dev/null &
	child=$!
	wait "$child"
	status=$?
	child=

	found=
	[ -f "$tmp/json" ] && found=$(counts "$tmp/json")
	if [ -n "$found" ]; then
		read -r passed failed skipped <<-END
			$found
		END
	fi
	if [ -n "${EXCEPT:-}" ] && [ -n "$found" ] && [ "$status" -lt 124 ]; then
		except "$(basename "$program")"
	elif [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
		failed=$((failed + 1)) note=", not done after $limit s"
	elif [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
		failed=1 note=", exit status $status"
	elif [ "$((passed + failed + skipped))" -eq 0 ]; then
		failed=1 note=", no test in it"
	elif [ "${CLOCHE_MUST_RUN:-}" = 1 ] && [ "$skipped" -gt 0 ]; then
		failed=$((failed + skipped)) skipped=0 note=", skips are failures here"
	fi
	printf '  %-30s %s passed, %s failed, %s skipped, %d s%s\n' \
		"$name" "$passed" "$failed" "$skipped" $(($(date +%s) - begun)) "$note"
	[ -f "$tmp/json" ] && skips "$tmp/json" | sed 's/^/    skipped /'
	sed -n 's/^note: /    note: /p' "$tmp/out"
	if [ "$failed" -gt 0 ]; then
		sed 's/^/    /' "$tmp/out"
		tests=
		[ -f "$tmp/json" ] && tests=$(failures "$tmp/json")
		[ -n "${EXCEPT:-}" ] && [ -f "$tmp/unlisted" ] && tests=$(cat "$tmp/unlisted" "$tmp/mended")
		echo "${tests:-${note#, }}" | sed "s|^|  failed: $name: |" >>"$tmp/failed"
		# What Criterion and the program say of it.
		sed -n -E '/^\[(----|ERR )\] *[^ ]/ s/^/  failed:   /p' "$tmp/out" | cut -c 1-300 |
			head -n 16 >>"$tmp/failed"
	fi
	echo "$passed passed $failed failed $skipped skipped" >>"$tmp/counts"
done

touch "$tmp/counts" "$tmp/failed"
cat "$tmp/failed"
# shellcheck disable=SC2046 # three words
tell "$tier" $(total "$tmp/counts" | tr -dc '0-9 ')
