#!/bin/sh
# SPDX-License-Identifier: MIT
# The live tests once more, by a user without rights: each `cloche run` in them goes through a daemon.
#
#   daemon.sh CLOCHE HELPERS EXCEPT PROGRAM...
#
# All of a program's run is that user's: the folders that it makes, what it binds, what it reads. So what
# of it takes root's rights cannot be the same; EXCEPT lists that, with the reasons (tests/run.sh).
set -u

user=1000
cloche=$1 helpers=$2 except=$3
shift 3
dir=$(mktemp -d "${TMPDIR:-/tmp}/cloche-daemon-XXXXXX") || exit 1
daemon=
trap '[ -n "$daemon" ] && kill "$daemon" 2>/dev/null && wait "$daemon"; rm -rf --one-file-system "$dir"' EXIT
trap 'exit 130' INT TERM

# Where the user may reach them: the build may be in somebody's home.
chmod 755 "$dir"
mkdir "$dir/helpers" "$dir/tests"
cp "$cloche" "${cloche}d" "$dir" && cp "$helpers"/* "$dir/helpers" && cp "$@" "$dir/tests" || exit 1
chmod -R a+rX "$dir"
# Of one test's contexts none is for the next: they say which of theirs are cold. Several of them may
# trace at a time.
cat >"$dir/conf" <<END
control: $dir/control
state: $dir/state
grace: 100ms
idle_expiry: 0s
per_owner: {traces: 16}
END

mkfifo "$dir/said"
"$dir/cloche" serve --config "$dir/conf" 2>"$dir/said" &
daemon=$!
exec 3<"$dir/said"
read -r line <&3
case $line in
*ready) ;;
*)
	echo "daemon.sh: $line" >&2
	exit 1
	;;
esac
cat <&3 >&2 &

for program; do
	shift
	set -- "$@" "$dir/tests/$(basename "$program")"
done
CLOCHE=$dir/cloche HELPERS=$dir/helpers CLOCHE_CONTROL=$dir/control AS_USER=$user EXCEPT=$except \
	sh "$(dirname "$0")/run.sh" daemon "$@"
status=$?

# And it ends, and leaves nothing.
kill "$daemon"
wait "$daemon"
ended=$?
daemon=
if [ "$ended" != 0 ]; then
	echo "daemon.sh: the daemon's exit status is $ended" >&2
	status=1
fi
exit $status
