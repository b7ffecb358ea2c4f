#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# systemctl where systemd does not run: does with viscumd what the unit says, and writes down what it was asked for. What
# needs no running systemd is done by the true one.
end() {
    pid=$(cat /run/viscumd.pid 2> /dev/null) || return 0
    kill "$pid" 2> /dev/null
    while [ -e "/proc/$pid" ]; do sleep 0.1; done
    rm -f /run/viscumd.pid
}

# The limit is generous: a slow machine.
begin() {
    setsid /usr/sbin/viscumd >> /tmp/viscumd.log 2>&1 < /dev/null &
    echo $! > /run/viscumd.pid
    tries=600
    until viscumctl list > /dev/null 2>&1 || [ "$tries" -eq 0 ]; do
        tries=$((tries - 1))
        sleep 0.1
    done
}

verb=''
for word; do
    case $word in -*) ;; *) verb=$word && break ;; esac
done
# The exporter is run by hand.
case $verb:$* in
    start:*viscum-exporter* | stop:*viscum-exporter* | restart:*viscum-exporter*) exit 0 ;;
esac
case $verb in
    start | stop | restart | reload) echo "$verb" >> /run/systemctl.asked ;;
esac
case $verb in
    start) [ -e /run/viscumd.pid ] || begin ;;
    stop) end ;;
    restart) end && begin ;;
    reload) kill -HUP "$(cat /run/viscumd.pid)" ;;
    is-active) [ -e /run/viscumd.pid ] ;;
    daemon-reload) ;;
    *) exec /usr/bin/systemctl.true "$@" ;;
esac
