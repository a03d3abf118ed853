# SPDX-License-Identifier: GPL-3.0-or-later
# Bash completion of vnctl, vnlab, vngen, vnimport and vnimage: commands, options, and the names that a running vned or lab
# knows. Source it, or put it into /etc/bash_completion.d.

_vne_names() { # of a JSON list on standard input
	grep -o '"name": "[A-Za-z0-9][A-Za-z0-9_-]*"' | cut -d '"' -f 4
}

_vnctl() {
	local word=${COMP_WORDS[COMP_CWORD]} command= i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-*) ;;
		*) command=${COMP_WORDS[i]}; break ;;
		esac
	done
	local words=
	case $word in
	-*)
		words='--config --server --server-key --key --output --timeout --help --version'
		case $command in
		submit | update) words+=' --wait' ;;
		audit) words+=' --probe --history --since' ;;
		events) words+=' --follow' ;;
		join) words+=' --expires' ;;
		log) words+=' --since --until' ;;
		usage) words+=' --since --until --by' ;;
		show) words+=' --history --routes' ;;
		esac
		;;
	*)
		case $command in
		'') words='submit plan update release drain undrain reload list show nodes links events audit backup exec console plane keys join log usage quota graph' ;;
		submit | plan | update | backup) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
		drain | undrain | join) words=$(vnctl --timeout 2s -o json nodes 2>/dev/null | _vne_names) ;;
		release | show | audit | graph) words=$(vnctl --timeout 2s -o json list 2>/dev/null | _vne_names) ;;
		keys) words='new show list allow revoke' ;;
		exec | console | plane)
			if ((COMP_CWORD == i + 1)); then
				words=$(vnctl --timeout 2s -o json list 2>/dev/null | _vne_names)
			elif ((COMP_CWORD == i + 2)); then
				words=$(vnctl --timeout 2s -o json show "${COMP_WORDS[i + 1]}" 2>/dev/null |
					sed 's/.*"routers": \[//; s/"links": \[.*//' | _vne_names)
			fi
			;;
		esac
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

_vnlab() {
	local word=${COMP_WORDS[COMP_CWORD]} words=
	case ${COMP_WORDS[1]} in
	up) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
	exec) words=$(vnlab status -o json 2>/dev/null | _vne_names) ;;
	kill | start | restart) words="vned $(vnlab status -o json 2>/dev/null | _vne_names)" ;;
	*) ((COMP_CWORD == 1)) && words='up status exec down kill start restart --help --version' ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

_vngen() {
	local word=${COMP_WORDS[COMP_CWORD]} words
	case $word in
	-*) words=$(vngen --help 2>/dev/null | grep -o -- '--[a-z][a-z-]*') ;;
	*) words='waxman gnp ba regular grid fat-tree near virne vineyard wx500 wx1000-big instance scale scale-near' ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

_vnimport() {
	local word=${COMP_WORDS[COMP_CWORD]} words=
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	--as) words='substrate request trace' ;;
	--from) words='gml sndlib sndlib-xml rspec latencies weights containerlab' ;;
	esac
	case $word in
	-*) words=$(vnimport --help 2>/dev/null | grep -o -- '--[a-z][a-z-]*') ;;
	esac
	if [ -n "$words" ]; then
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}

_vnimage() {
	local word=${COMP_WORDS[COMP_CWORD]}
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W 'build show --cache= --help --version' -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
	fi
}

complete -F _vngen vngen
complete -o filenames -F _vnimage vnimage
complete -o filenames -F _vnimport vnimport
complete -F _vnctl vnctl
complete -F _vnlab vnlab
