# SPDX-License-Identifier: GPL-2.0-only
# procd's shell functions as far as the script here uses them: what they would send by ubus becomes a line of
# SANDBOX/ubus, "METHOD JSON". A file SANDBOX/running says that procd has the service running.
# shellcheck shell=dash

ubus_service() { printf '%s %s\n' "$1" "$2" >>"$SANDBOX/ubus"; }

# put KEY JSON: into the instance that is open.
put() { instance="$(printf '%s' "$instance" | jq -c --arg key "$1" --argjson value "$2" '.[$key] = $value')"; }

words() { jq -cn '$ARGS.positional' --args -- "$@"; }

procd_open_service() {
	service="$(jq -cn --arg name "$1" --arg script "$2" '{name: $name, script: $script, instances: {}, triggers: []}')"
	count=0
}

procd_open_instance() {
	instance='{}'
	count=$((count + 1))
}

procd_set_param() {
	local kind="$1"
	shift
	case "$kind" in
	env | data | limits) put "$kind" "$(words "$@" | jq -c 'map(capture("^(?<key>[^=]*)=?(?<value>.*)$")) | from_entries')" ;;
	command | netdev | file | respawn | watch | watchdog) put "$kind" "$(words "$@")" ;;
	nice | term_timeout) put "$kind" "$1" ;;
	reload_signal) put "$kind" "$(kill -l "$1")" ;;
	stdout | stderr | no_new_privs) put "$kind" "$([ "$1" = 1 ] && echo true || echo false)" ;;
	pidfile | user | group | seccomp | capabilities | facility) put "$kind" "$(words "$1" | jq -c '.[0]')" ;;
	esac
}

procd_close_instance() {
	service="$(printf '%s' "$service" | jq -c --arg name "instance$count" --argjson is "$instance" '.instances[$name] = $is')"
}

procd_add_reload_trigger() {
	service="$(printf '%s' "$service" | jq -c --arg package "$1" --arg script "/etc/init.d/$INIT_NAME" '.triggers += [
		["config.change", ["if", ["eq", "package", $package], ["run_script", $script, "reload"]], 1000]]')"
}

procd_close_service() {
	service_triggers
	ubus_service set "$service"
}

procd_running() { [ -e "$SANDBOX/running" ]; }

procd_kill() { ubus_service delete "$(jq -cn --arg name "$1" '{name: $name}')"; }

procd_send_signal() {
	ubus_service signal "$(jq -cn --arg name "$1" --argjson signal "$(kill -l "$3")" '{name: $name, signal: $signal}')"
}
