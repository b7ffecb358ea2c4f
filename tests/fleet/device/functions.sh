# SPDX-License-Identifier: GPL-2.0-only
# /lib/functions.sh of a simulated hotspot: what the package's scripts use of it. Of UCI it has one answer to each question.
# shellcheck shell=dash

config_load() { [ -e "/etc/config/$1" ]; }
config_get() { eval "$1="; }
config_get_bool() { eval "$1=1"; }
config_list_foreach() { [ "$2" != lan ] || "$3" br-lan; }

init_scripts() { grep '^/etc/init.d/' "/usr/lib/opkg/info/$(basename "${1%.*}").list"; }

default_postinst() {
	local file
	for file in $(init_scripts "$1"); do
		[ "$PKG_UPGRADE" = 1 ] || "$file" enable
		"$file" start
	done
}

default_prerm() {
	local file
	for file in $(init_scripts "$1"); do
		[ "$PKG_UPGRADE" = 1 ] || "$file" disable
		"$file" stop
	done
}
