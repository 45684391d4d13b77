# SPDX-License-Identifier: MIT
# The beginning of what `cloche completion fish` prints; behind it come the program's tables.

function __cloche_at -d 'The line is at this verb, and at this command of it'
	set -l words (commandline -opc)
	test "$words[2]" = "$argv[1]"; or return 1
	set -q argv[2]; or return 0
	contains -- $argv[2] $words[3..]
end

function __cloche_bare -d 'No verb yet; no command of this verb yet'
	set -l words (commandline -opc)
	if set -q argv[1]
		test "$words[2]" = "$argv[1]"; or return 1
		for command in $argv[2..]
			contains -- $command $words[3..]; and return 1
		end
		return 0
	end
	test (count $words) -eq 1
end

function __cloche_images
	set -q CLOCHE_IMAGES; and set -l dir $CLOCHE_IMAGES; or set -l dir /var/lib/cloche/images
	for file in $dir/*.erofs
		string replace -r '.*/(.*)\.erofs$' '$1' -- $file
	end
end

function __cloche_functions
	cloche functions --json 2>/dev/null | string replace -rf '^{"name":"([^"]*)".*' '$1'
end

complete -c cloche -f
