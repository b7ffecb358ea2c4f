# SPDX-License-Identifier: GPL-2.0-only
# OpenWrt's config_* as far as the scripts here use them. The syntax of a UCI file is words, quoted as a shell has it:
# the shell reads it, with `config`, `option` and `list` as commands, as it does with what `uci export` says.
# shellcheck shell=dash

config_set() { eval "CONFIG_$1_$2=\$3"; }

package() { :; }

config() {
	section="$2"
	config_set "$section" TYPE "$1"
}

option() { config_set "$section" "$1" "$2"; }

list() {
	local length
	config_get length "$section" "$1_LENGTH" 0
	length=$((length + 1))
	lists="$lists CONFIG_${section}_$1_LENGTH"
	config_set "$section" "$1_LENGTH" "$length"
	config_set "$section" "$1_ITEM$length" "$2"
}

# False where uci(1) would have nothing to say. Lists begin anew.
lists=""
config_load() {
	local name
	[ -r "$SANDBOX/etc/config/$1" ] || return 1
	for name in $lists; do
		unset "$name"
	done
	lists=""
	# shellcheck disable=SC1090  # written by the test
	. "$SANDBOX/etc/config/$1"
}

config_get() { eval "$1=\${CONFIG_$2_$3:-\$4}"; }

config_get_bool() {
	local word
	config_get word "$2" "$3" ""
	case "$word" in
	1 | on | true | yes | enabled) word=1 ;;
	0 | off | false | no | disabled) word=0 ;;
	*) word="$4" ;;
	esac
	eval "$1=\$word"
}

config_list_foreach() {
	local of="$1" name="$2" call="$3" length at=1 item
	config_get length "$of" "${name}_LENGTH" 0
	while [ "$at" -le "$length" ]; do
		config_get item "$of" "${name}_ITEM$at" ""
		"$call" "$item"
		at=$((at + 1))
	done
}
