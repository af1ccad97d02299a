# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Completion for akamai-prof and akamai-direct-prof: what -help lists is what there is.
_akamai_prof() {
	local word=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} command=()
	if [ "${program##*/}" = akamai-prof ]; then
		if [ "$COMP_CWORD" -eq 1 ]; then
			mapfile -t COMPREPLY < <(compgen -W "compare experiment inflate record report simulate doctor help version -prog" -- "$word")
			return
		fi
		command=("${COMP_WORDS[1]}")
	fi
	case $word in
	-*)
		mapfile -t COMPREPLY < <(compgen -W \
			"$("$program" "${command[@]}" -help 2>/dev/null | sed -nE 's/^  (--?[a-z0-9-]+).*/\1/p')" -- "$word")
		;;
	*) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	esac
}
complete -o filenames -F _akamai_prof akamai-prof akamai-direct-prof
