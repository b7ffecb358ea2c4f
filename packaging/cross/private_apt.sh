# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# apt with lists and a cache of its own, for another processor, as any user. To be sourced:
#
#   private_apt DIRECTORY ARCHITECTURE RELEASE...   has its files in DIRECTORY, and knows nothing of the machine's; its own
#                                                   checks hold (signatures, hashes). Packages are of the first release
#                                                   unless they are asked for with "/RELEASE". Exports APT_CONFIG.
private_apt() {
    local apt=$1 architecture=$2 name
    shift 2
    mkdir -p "$apt"/{lists/partial,cache/archives/partial,state,etc}
    : > "$apt/state/status"
    cat > "$apt/apt.conf" <<CONF
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Default-Release "$1";
APT::Sandbox::User "root";
Dir::State "$apt/state";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/state/status";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/etc/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "-";
Acquire::Languages "none";
CONF
    for name in "$@"; do
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $name main"
    done | sort -u > "$apt/etc/sources.list"
    export APT_CONFIG=$apt/apt.conf
    apt-get -q update > "$apt/log" 2>&1 || { cat "$apt/log" >&2; return 1; }
}
