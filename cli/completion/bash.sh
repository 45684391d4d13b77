# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The end of what `cloche completion bash` prints; before it come _cloche_options, _cloche_value and
# _cloche_argument, made of the program's tables. Each sets REPLY, or is false where there is nothing.
# A place is a verb, or a verb and its command.

# _cloche_reply CUR TOKEN...: words, and @kinds of things
_cloche_reply()
{
	local cur=$1 token files='' file
	local -a words=()
	shift
	for token; do
		case $token in
		@file) files=-f ;;
		@dir) files=-d ;;
		@image)
			for file in "${CLOCHE_IMAGES:-/var/lib/cloche/images}"/*.erofs; do
				file=${file##*/}
				[[ $file == '*.erofs' ]] || words+=("${file%.erofs}")
			done
			;;
		@function)
			while read -r file; do
				words+=("$file")
			done < <(cloche functions --json 2>/dev/null |
				sed -n 's/^{"name":"\([^"]*\)".*/\1/p')
			;;
		@command) ;; # behind --
		*) words+=("$token") ;;
		esac
	done
	mapfile -t COMPREPLY < <(compgen -W "${words[*]}" -- "$cur")
	[[ -n $files ]] || return 0
	compopt -o filenames 2>/dev/null
	mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen "$files" -- "$cur")
}

# From this word on it is another program's command line.
_cloche_command()
{
	if declare -F _command_offset >/dev/null; then
		_command_offset "$1"
	elif (($1 == COMP_CWORD)); then
		mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
	else
		compopt -o default 2>/dev/null
	fi
}

# $REPLY is what an argument may be: a command's, where it is nothing else or -- has come.
_cloche_is_command()
{
	[[ $REPLY == @command || ( -n $1 && $REPLY == *@command ) ]]
}

_cloche()
{
	local cur=${COMP_WORDS[COMP_CWORD]} at='' option='' ended='' word i REPLY
	COMPREPLY=()

	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ -n $option ]]; then
			# Readline takes --net=none for three words.
			[[ $word == = ]] || option=
		elif [[ $word == -- ]]; then
			ended=1
		elif [[ $word == -* && -z $ended ]]; then
			_cloche_value "$at $word" && option=$word
		elif [[ -z $at ]]; then
			at=$word
		elif _cloche_options "$at $word"; then
			at="$at $word"
		elif _cloche_argument "$at" && _cloche_is_command "$ended"; then
			_cloche_command "$i"
			return
		fi
	done

	if [[ -n $option ]]; then
		_cloche_value "$at $option" || return 0
		[[ $cur != = ]] || cur=
	elif [[ $cur == -* && -z $ended ]]; then
		_cloche_options "$at" || return 0
	else
		_cloche_argument "$at" || return 0
	fi
	if [[ -z $option ]] && _cloche_is_command "$ended"; then
		_cloche_command "$COMP_CWORD"
		return
	fi
	# shellcheck disable=SC2086 # words
	_cloche_reply "$cur" $REPLY
}
complete -F _cloche cloche
