_plan_program() { # ARGUMENT...: what `plan completion ARGUMENT...` prints, a line each
	command ${(Q)~plan_program} completion "$@" 2>/dev/null
}
_plan_file() { # the plan that is named already
	local i
	for ((i = 2; i < CURRENT; i++)); do
		[[ $words[i-1] == --inputs ]] && continue
		if [[ $words[i] != -* && $words[i] == *.(yaml|yml) ]]; then
			print -r -- ${(Q)words[i]/#\~\//$HOME/}
			return
		fi
	done
}
_plan_lines() { # TAG ARGUMENT...
	local -a list
	list=("${(@f)$(_plan_program "${@[2,-1]}")}")
	[[ -n $list ]] && compadd -J $1 -a list
}
_plan_steps() {
	local file=$(_plan_file)
	_plan_lines steps steps ${file:+$file}
}
_plan_modules() { _plan_lines modules modules }
_plan_plans() { _files -g '*.(yaml|yml)(-.)' }
_plan_any() { # KIND...
	local kind
	for kind; do
		case $kind in
		plans) [[ -n $(_plan_file) ]] || _plan_plans ;;
		steps|modules) _plan_$kind ;;
		*) compadd -- $kind ;;
		esac
	done
}
_plan() {
	setopt local_options extended_glob
	local plan_program=$words[1]
	if ((CURRENT == 2)); then
		_plan_commands
		return
	fi
	shift words
	((CURRENT--))
	_plan_command
}
if [[ $funcstack[1] == _plan ]]; then
	_plan "$@"
else
	compdef _plan plan
fi
