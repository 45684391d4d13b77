# SPDX-License-Identifier: MIT
# The end of what `cloche completion zsh` prints; before it come _cloche_verbs and _cloche_at, made of
# the program's tables.

# _cloche_complete TOKEN...: words, and @kinds of things
_cloche_complete() {
	local token
	local -a words

	for token; do
		case $token in
		@file) _files ;;
		@dir) _files -/ ;;
		@image) words+=(${CLOCHE_IMAGES:-/var/lib/cloche/images}/*.erofs(N:t:r)) ;;
		@function)
			words+=(${(f)"$(cloche functions --json 2>/dev/null |
				sed -n 's/^{"name":"\([^"]*\)".*/\1/p')"})
			;;
		*) words+=($token) ;;
		esac
	done
	(( $#words )) && compadd -a words
}

_cloche() {
	local context state state_descr line curcontext=$curcontext
	typeset -A opt_args

	_arguments -C '(- *)'{-h,--help}'[help]' '(- *)--version[the version]' \
		'1: :_cloche_verbs' '*:: :->rest'
	[[ $state == rest ]] && _cloche_at $words[1]
}

if [[ $funcstack[1] == _cloche ]]; then
	_cloche "$@"
else
	compdef _cloche cloche
fi
