#!/bin/sh
# SPDX-License-Identifier: MIT
# The rules of the house that a machine can check. usage: house.sh RULE SOURCE PLAN BUILD
set -u
rule=$1 plan=$3
cd "$2" || exit 1
sources=$(find cmd engine steps tests -name '*.c' -o -name '*.h' | sort)

complain() {
	[ -z "$2" ] && return 0
	echo "$1:"
	echo "$2"
	return 1
}

includes() { # DIRECTORY FORBIDDEN-PREFIXES
	find "$1" -name '*.[ch]' -exec grep -nE "^#include \"($2)" {} +
}

case $rule in
directions)
	complain "engine/base includes nothing above it" \
		"$(includes engine/base 'cmd/|steps/|engine/[^b]|engine/b[^a]')" &&
	complain "engine includes neither cmd nor steps" "$(includes engine 'cmd/|steps/')" &&
	complain "steps does not include cmd" "$(includes steps 'cmd/')" &&
	complain "engine knows no provider's library" \
		"$(find engine -name '*.[ch]' -exec grep -nE '#include <(curl|libpq|git2|ldns|microhttpd)' {} +)"
	;;
licence)
	complain "the first line is the licence" "$(for file in $sources; do
		head -n 1 "$file" | grep -q 'SPDX-License-Identifier: MIT' || echo "$file"
	done)"
	;;
sizes)
	complain "no file above 500 lines" "$(for file in $sources; do
		lines=$(wc -l <"$file")
		[ "$lines" -le 500 ] || echo "$file: $lines"
	done)" &&
	complain "no function above 80 lines" "$(for file in $sources; do
		awk -v file="$file" '/^[a-zA-Z_].*\)$/ {name = $0} /^\{/ {start = NR}
			/^\}/ {if (start && NR - start > 80) print file ": " name; start = 0}' "$file"
	done)"
	;;
words)
	# The pattern is written so that it does not find itself.
	complain "nothing is left open in the tree" \
		"$(grep -rnE '\b(TO''DO|FIX''ME|XX''X)\b|not imple''mented' cmd engine steps plans tests CMakeLists.txt README.md)"
	complain "no merge is half done" \
		"$(grep -rnE '^(<{7}|>{7}) ' cmd engine steps plans schemas tests CMakeLists.txt README.md)"
	;;
schemas)
	"$plan" schema | cmp - schemas/plan.schema.json && "$plan" schema --steps | cmp - schemas/steps.md &&
		"$plan" schema --journal | cmp - schemas/journal.schema.json &&
		"$plan" schema --diff | cmp - schemas/diff.schema.json ||
		{ echo "write them anew: plan schema >schemas/plan.schema.json; plan schema --steps >schemas/steps.md;" \
			"plan schema --journal >schemas/journal.schema.json; plan schema --diff >schemas/diff.schema.json"; exit 1; }
	;;
shell_free)
	complain "no shell is ever started" "$(nm -D --undefined-only "$plan" | grep -wE 'system|popen')"
	;;
format)
	# Releases of clang-format differ; Debian 12 has 14.
	clang-format --version 2>/dev/null | grep -q 'version 14\.' ||
		{ echo "SKIP: apt-get install clang-format (14)"; exit 77; }
	# shellcheck disable=SC2086 # a list of files
	clang-format --dry-run -Werror $sources
	;;
tidy)
	# One file a time: clang-tidy 14 takes va_lists of a second one for uninitialised.
	clang-tidy --version 2>/dev/null | grep -q 'version 14\.' ||
		{ echo "SKIP: apt-get install clang-tidy (14)"; exit 77; }
	# The analyzer looks deep only at the level of a release: that takes five times as long.
	mode=shallow
	[ "${PLAN_LEVEL:-}" != release ] || mode=deep
	found=$(find cmd engine steps -name '*.c' | xargs -P 2 -n 1 clang-tidy -p "$4" --quiet \
		--extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg="mode=$mode" 2>/dev/null |
		grep -E '(warning|error): ')
	complain "clang-tidy is content" "$(echo "$found" | sort -u)"
	;;
cppcheck)
	command -v cppcheck >/dev/null || { echo "SKIP: apt-get install cppcheck"; exit 77; }
	cppcheck -q -j 2 --enable=warning,portability,performance --inline-suppr --std=c11 -I. -D_GNU_SOURCE \
		'-DPLAN_VERSION="0"' --include=tests/house/cppcheck.h --suppress=missingIncludeSystem \
		--error-exitcode=1 cmd engine steps
	;;
*)
	echo "no such rule: $rule"
	exit 1
	;;
esac
