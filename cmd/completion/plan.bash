# Nothing that comes from a plan is ever expanded: no compgen -W for it.
_plan_offer() { # WORD...
	local word
	for word; do
		[[ $within$word == "$cur"* ]] && COMPREPLY+=("${within:${#ahead}}${word:$((${#ahead} > ${#within} ? ${#ahead} - ${#within} : 0))}")
	done
}
_plan_words() { _plan_offer "$@"; }
_plan_lines() { # ARGUMENT...: what `plan completion ARGUMENT...` prints, quoted for the shell
	local line
	while IFS= read -r line; do
		_plan_offer "$(printf %q "$line")"
	done < <(command "${COMP_WORDS[0]/#\~\//$HOME/}" completion "$@" 2>/dev/null)
}
_plan_files() { # [SUFFIX...]: all files without one; directories always
	local path suffix typed=${cur:${#within}}
	typed=${typed//\\/}
	local real=${typed/#\~\//$HOME/}
	while IFS= read -r path; do
		[[ -n $path ]] || continue
		if [[ -d $path ]]; then
			path+=/
		elif (($#)); then
			for suffix; do [[ $path == *"$suffix" ]] && break; done
			[[ $path == *"$suffix" ]] || continue
		fi
		[[ $real == "$typed" ]] || path="~/${path:$((${#HOME} + 1))}"
		local quoted
		printf -v quoted %q "$path"
		quoted=${quoted/#\\~/\~}
		COMPREPLY+=("${within:${#ahead}}$quoted")
		[[ $path == */ ]] && compopt -o nospace 2>/dev/null
	done < <(compgen -f -- "$real")
}
_plan_plans() { _plan_files .yaml .yml; }
_plan_file() { # the plan that is named already
	local i word
	for ((i = 2; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]//\\/}
		[[ ${COMP_WORDS[i - 1]} == --inputs || ${COMP_WORDS[i - 1]} == = ]] && continue
		[[ $word == *.yaml || $word == *.yml ]] && printf %s "${word/#\~\//$HOME/}" && return
	done
}
_plan_steps() {
	local file
	file=$(_plan_file)
	_plan_lines steps ${file:+"$file"}
}
_plan_modules() { _plan_lines modules; }
_plan_any() { # KIND...
	local kind
	for kind; do
		case $kind in
		plans) [[ -n $(_plan_file) ]] || _plan_plans ;;
		steps | modules) "_plan_$kind" ;;
		*) _plan_words "$kind" ;;
		esac
	done
}
_plan() {
	# The shell breaks words at = and : too; here a word is what stands between blanks.
	local cur=${COMP_LINE:0:COMP_POINT} prev=${COMP_WORDS[COMP_CWORD - 1]} ahead= within=
	while [[ $cur =~ ^([^\ \\]|\\.)*[\ ] ]]; do cur=${cur:${#BASH_REMATCH}}; done
	[[ $cur == *[=:]* && $COMP_WORDBREAKS == *[=:]* ]] && ahead=${cur%"${cur##*[=:]}"}
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		_plan_commands
		return
	fi
	local command=${COMP_WORDS[1]}
	if [[ $cur == --*=* ]]; then
		local option=${cur%%=*}
		within=$option=
		_plan_after_option "$command" "$option"
		return
	fi
	[[ $cur != -* && $prev == --* ]] && _plan_after_option "$command" "$prev" && return
	if [[ $cur == -* ]]; then
		_plan_options "$command"
		[[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
		return
	fi
	_plan_arguments "$command"
}
complete -F _plan plan
