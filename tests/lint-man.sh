#!/bin/sh
# SPDX-License-Identifier: MIT
# Man pages and completions against the tables of options that the program goes by, as `cloche
# completion table` prints them: every option of a verb is in its page and in each shell's script, no
# page names one that there is not, every page that is referred to is there, and mandoc and the shells
# (those that are installed) find nothing wrong. cloche-report.5 has the fields that report.c writes.
#
#   lint-man.sh CLOCHE [DIR]       checks the pages of DIR (cli/man)
#   lint-man.sh --self-test CLOCHE checks that it would find what it is there to find
set -u

bad() {
	echo "lint-man: $1"
	failed=1
}

# "PAGE FLAG" for each .Fl: "-memory", "m".
flags() {
	awk '/^\./ {
		for (i = 1; i < NF; i++)
			if ($i == "Fl" || $i == ".Fl")
				print $(i + 1)
	}' "$1" | grep -vx -- - | sort -u
}

# The flags of a verb and its commands, as mdoc has them; of all verbs without one.
flags_of() {
	awk -F'\t' -v verb="${1-}" '$1 == "option" {
		split($2, place, " ")
		if (verb != "" && place[1] != verb)
			next
		if ($3 != "") print substr($3, 2)
		if ($4 != "") print substr($4, 2)
	}' "$tmp/table" | sort -u
}

# The verbs, or the commands of one.
words() {
	awk -F'\t' -v kind="$1" -v verb="${2-}" '
	$1 == kind { if (kind == "verb") print $2; else if ($2 == verb) print $3 }' "$tmp/table"
}

check_page() {
	page=$1
	name=$(basename "$page")
	mandoc -T lint -W warning "$page" || failed=1
	case $name in
	cloche-*.1)
		verb=${name#cloche-} verb=${verb%.1}
		flags_of "$verb" >"$tmp/known"
		[ -s "$tmp/known" ] || bad "$name: there is no verb '$verb'"
		flags "$page" >"$tmp/flags"
		for flag in $(comm -23 "$tmp/known" "$tmp/flags"); do
			bad "$name: has no 'Fl $flag'"
		done
		for command in $(words command "$verb"); do
			grep -qE "^\.(It )?Cm (.*[ |])?$command( |$)" "$page" ||
				bad "$name: has no 'Cm $command'"
		done
		;;
	*)
		{ flags_of && echo -version; } | sort -u >"$tmp/known"
		flags "$page" >"$tmp/flags"
		;;
	esac
	for flag in $(comm -13 "$tmp/known" "$tmp/flags"); do
		bad "$name: there is no option '-$flag'"
	done
	awk '$1 == ".Xr" && $2 ~ /^cloche/ { print $2 "." $3 }' "$page" | sort -u |
		while read -r other; do
			[ -e "$(dirname "$page")/$other" ] || echo "$other"
		done >"$tmp/missing"
	while read -r other; do bad "$name: refers to $other, which is not there"; done <"$tmp/missing"
}

# An option in a script: bash's and zsh's places are lines of `case`, fish's are conditions.
check_script() {
	shell=$1
	if ! "$cloche" completion "$shell" >"$tmp/script"; then
		bad "no completion for $shell"
		return
	fi
	if command -v "$shell" >/dev/null && ! "$shell" -n "$tmp/script"; then
		bad "$shell does not understand its completion"
	fi
	awk -F'\t' -v shell="$shell" -v script="$tmp/script" '
	BEGIN {
		while ((getline line <script) > 0) {
			if (shell == "fish") {
				if (match(line, /__cloche_at [^\047]*/)) {
					place = substr(line, RSTART + 12, RLENGTH - 12)
					text[place] = text[place] " " line " "
				}
				continue
			}
			if (match(line, /^\t\047[^\047]*\047\)/))
				place = substr(line, RSTART + 2, RLENGTH - 4)
			text[place] = text[place] " " line
		}
	}
	$1 == "command" { has_commands[$2] = 1 }
	$1 == "option" { place_of[++n] = $2; long[n] = $3; short[n] = $4 }
	END {
		for (i = 1; i <= n; i++) {
			p = place_of[i]
			if (p in has_commands && shell != "bash")
				continue
			want = long[i] ? long[i] : short[i]
			if (shell == "fish" && long[i])
				want = "-l " substr(long[i], 3)
			if (shell == "fish" && !long[i])
				want = "-s " substr(short[i], 2)
			if (text[p] !~ want "([^a-z-]|$)")
				print p " " (long[i] ? long[i] : short[i])
		}
	}' "$tmp/table" >"$tmp/missing"
	while read -r what; do bad "$shell's completion lacks '$what'"; done <"$tmp/missing"
}

# The strings of the calls that build the report's JSON are its names.
check_report() {
	awk 'BEGIN { RS = ";" }
	/json_pack\(|json_object_set_new\(/ {
		gsub(/\?[[:space:]]*"[^"]*"[[:space:]]*:[[:space:]]*"[^"]*"/, "") # one of two values
		while (match($0, /"[a-z][a-z0-9_]*"/)) {
			print substr($0, RSTART + 1, RLENGTH - 2)
			$0 = substr($0, RSTART + RLENGTH)
		}
	}' sandbox/run/report.c | sort -u >"$tmp/known"
	sed -n 's/^\.It Li \([^ ]*\) .*/\1/p' "$1/cloche-report.5" | tr . '\n' | tr -d '[]' |
		sort -u >"$tmp/fields"
	for field in $(comm -23 "$tmp/known" "$tmp/fields"); do
		bad "cloche-report.5: has no field '$field'"
	done
	for field in $(comm -13 "$tmp/known" "$tmp/fields"); do
		bad "cloche-report.5: there is no field '$field'"
	done
}

check_pages() {
	for verb in $(words verb); do
		[ -e "$1/cloche-$verb.1" ] || bad "$verb has no page"
		grep -q "^\.It Cm $verb\$" "$1/cloche.1" || bad "cloche.1 does not name $verb"
	done
	for page in "$1"/${only:-*.[1-9]}; do check_page "$page"; done
	check_report "$1"
}

check_scripts() {
	for shell in bash zsh fish; do check_script "$shell"; done
}

# check DIR PART...
check() {
	dir=$1
	shift
	failed=0
	"$cloche" completion table >"$tmp/table" || bad "no table"
	for part; do "$part" "$dir"; done
	return $failed
}

# Each line: a page, what sed makes of it. All of them must be found.
self_test() {
	real=$cloche
	while read -r file change; do
		only=$file
		rm -rf "$tmp/man" && cp -r cli/man "$tmp/man"
		sed -i "$change" "$tmp/man/$file"
		cmp -s "cli/man/$file" "$tmp/man/$file" && echo "lint-man: '$change' changes nothing" && return 1
		check "$tmp/man" check_pages >"$tmp/out" 2>&1 && echo "lint-man: did not find: $file $change" && return 1
	done <<-'END'
		cloche-run.1 s/Fl -memory/Fl -momory/
		cloche-run.1 s/^\.It Fl -keep-trace/.It keep-trace/
		cloche-run.1 s/Fl m , //
		cloche-tune.1 s/^\.Fl -etc ,//
		cloche-audit.1 s/Cm seal/Cm sael/
		cloche-policy.7 s/Fl -net/Fl -network/
		cloche.1 s/^\.It Cm doctor/.It Cm docter/
		cloche.1 s/^\.Xr cloche-report 5/.Xr cloche-raport 5/
		cloche-bill.1 s/^\.El$/.Ell/
		cloche-report.5 /rss_peak_bytes/d
		cloche-report.5 s/busy_ns/busi_ns/
	END
	only=
	# A program with an option more, and one whose scripts lack one.
	cloche=$tmp/other
	cat >"$cloche" <<-END
		#!/bin/sh
		"$real" "\$@"
		[ "\$2" != table ] || printf 'option\trun\t--new\t\t\t\tnew\n'
	END
	chmod +x "$cloche"
	check cli/man check_pages check_scripts >"$tmp/out" 2>&1 && echo "lint-man: did not find a new option" && return 1
	for word in 'run.*new' 'bash.*new' 'zsh.*new' 'fish.*new'; do
		grep -q "$word" "$tmp/out" || { echo "lint-man: new option: no '$word'" && return 1; }
	done
	return 0
}

only=
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
if [ "$1" = --self-test ]; then
	cloche=$2
	self_test >&2
else
	cloche=$1
	check "${2:-cli/man}" check_pages check_scripts >&2
fi
