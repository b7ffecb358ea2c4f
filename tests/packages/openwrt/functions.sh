# SPDX-License-Identifier: GPL-2.0-only
# /lib/functions.sh as far as packages' scripts use it: in the order in which OpenWrt's does it.
# shellcheck shell=dash

# Sets name and list: of the package whose script runs. opkg's are named after it, apk's say it.
find_package() {
	name="${pkgname:-$(basename "${1%.*}")}"
	list="$IPKG_INSTROOT/usr/lib/opkg/info/$name.list"
	[ ! -f "$IPKG_INSTROOT/lib/apk/packages/$name.list" ] || list="$IPKG_INSTROOT/lib/apk/packages/$name.list"
}

# The package's own part, where opkg has it: in a shell of its own, which it may end.
own_part() {
	local file="$IPKG_INSTROOT/usr/lib/opkg/info/$name.$1-pkg"
	[ -f "$file" ] || return 0
	# shellcheck disable=SC1090  # the package's
	(. "$file")
}

init_scripts() { grep -s '^/etc/init.d/' "$list"; }

default_postinst() {
	local name list file code
	find_package "$1"
	[ ! -e "$IPKG_INSTROOT/usr/lib/opkg/info/$name.list" ] || add_group_and_user "$1"
	if [ -z "$IPKG_INSTROOT" ]; then
		for file in $(grep -s '^/etc/uci-defaults/' "$list"); do
			# shellcheck disable=SC1090
			([ -f "$file" ] && cd "${file%/*}" && . "$file") && rm -f "$file"
		done
	fi
	own_part postinst
	code=$?
	for file in $(init_scripts); do
		if [ -n "$IPKG_INSTROOT" ]; then
			/bin/sh "$IPKG_INSTROOT/etc/rc.common" "$IPKG_INSTROOT$file" enable
		else
			[ "$PKG_UPGRADE" = 1 ] || "$file" enable
			"$file" start
		fi
	done
	return "$code"
}

default_prerm() {
	local name list file code
	find_package "$1"
	own_part prerm
	code=$?
	for file in $(init_scripts); do
		if [ -n "$IPKG_INSTROOT" ]; then
			/bin/sh "$IPKG_INSTROOT/etc/rc.common" "$IPKG_INSTROOT$file" disable
		else
			[ "$PKG_UPGRADE" = 1 ] || "$file" disable
			"$file" stop
		fi
	done
	return "$code"
}

# Of one account with its group, both with numbers: as many as a package here has.
add_group_and_user() {
	local name list users user group
	find_package "$1"
	users="$(sed -n 's/^Require-User: *//p' "$IPKG_INSTROOT/usr/lib/opkg/info/$name.control" 2>/dev/null)"
	[ ! -f "$IPKG_INSTROOT/lib/apk/packages/$name.rusers" ] || users="$(cat "$IPKG_INSTROOT/lib/apk/packages/$name.rusers")"
	[ -n "$users" ] || return 0
	user="${users%%:*}" group="${users#*:}"
	grep -qs "^${group%=*}:" "$IPKG_INSTROOT/etc/group" ||
		echo "${group%=*}:x:${group#*=}:${user%=*}" >>"$IPKG_INSTROOT/etc/group"
	grep -qs "^${user%=*}:" "$IPKG_INSTROOT/etc/passwd" ||
		echo "${user%=*}:x:${user#*=}:${group#*=}:${user%=*}:/var/run/${user%=*}:/bin/false" >>"$IPKG_INSTROOT/etc/passwd"
}
