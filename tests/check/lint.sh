#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The project's own rules, clang-format and clang-tidy. Usage: lint.sh BUILD_DIRECTORY [JOBS]
# Each rule has a sample that it must find, tried before the rule is used.
set -eu
cd "$(dirname "$0")/../.."
build=${1:-build}
jobs=${2:-2}
failed=0

complain() {
    echo "lint: $1" >&2
    failed=1
}

# sources PATTERN...: the files of the project, also those that are not yet committed.
sources() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
    if [ -f "$file" ]; then echo "$file"; fi
done; }

# The lines of the project without comments, in files of the same names.
code=$(mktemp -d)
trap 'rm -rf "$code"' EXIT
comment='(^|[^:"])\/\/.*'
sources | sed "s|^|$code/|; s|/[^/]*\$||" | sort -u | xargs -d '\n' mkdir -p
sources | xargs -d '\n' awk -v comment="$comment" -v to="$code/" \
    'FNR == 1 { close(out); out = to FILENAME } { sub(comment, ""); print > out }'

# rule REGEX SAMPLE REASON FILE...: no line of code may match; SAMPLE must.
rule() {
    local regex=$1 sample=$2
    search "$code" "$regex" "$(printf '%s\n' "$sample" | awk -v comment="$comment" '{ sub(comment, ""); print }')" "${@:3}"
}

# text_rule REGEX SAMPLE REASON FILE...: the same of all text, comments too.
text_rule() { search . "$@"; }

# search DIRECTORY REGEX SAMPLE REASON FILE...
search() {
    local directory=$1 regex=$2 sample=$3 reason=$4
    shift 4
    printf '%s\n' "$sample" | grep -qE -- "$regex" ||
        complain "the rule '$reason' does not find its sample: $sample"
    if [ $# -gt 0 ] && (cd "$directory" && grep -nHE -- "$regex" "$@" >&2); then
        complain "$reason"
    fi
}

# without PATTERN: the lines of standard input that do not match.
without() { grep -vE -- "$1" || true; }

mapfile -t all < <(sources '*.cpp' '*.h' '*.c')
mapfile -t headers < <(sources '*.h')
mapfile -t product < <(sources base netns tcprog controller | grep -E '\.(cpp|h|c)$')
# A word that does not go on to the left: not a member, not a part of a longer name.
word='(^|[^[:alnum:]_.>:])(::)?'

rule "${word}(system|popen)\(" 'int r = system("ls");' 'no system(), no popen(): argv and exec' "${all[@]}"
rule 'sh", *"-c"|[^[:alnum:]]sh -c' '{"/bin/sh", "-c", text}' 'no shell' "${product[@]}"
rule '(^|[^[:alnum:]_])throw( |;)' '    throw Error{};' 'failure is a Result, not an exception' "${all[@]}"
rule 'catch *\(\.\.\.\)' '} catch (...) {' 'no catch (...)' "${all[@]}"
# The small programs are C in all but name: they link no C++ runtime.
mapfile -t files < <(printf '%s\n' "${all[@]}" | without '^(base/unique_fd\.h|controller/(shim|prober)/.*)$')
rule "${word}close\([^)]" '    ::close(fd);' 'UniqueFd closes descriptors, nothing else' "${files[@]}"
rule "${word}(u?sleep|nanosleep|clock_nanosleep)\(|sleep_(for|until)" 'std::this_thread::sleep_for(1s);' \
    'the product never sleeps' "${product[@]}"
rule 'std::(j?thread|async)|pthread_create|<thread>' '#include <thread>' 'one thread' "${product[@]}"
rule '^ *using namespace' 'using namespace std;' 'no using namespace in a header' "${headers[@]}"
mapfile -t files < <(printf '%s\n' "${all[@]}" |
    without '^(netns/net_ns|controller/supervise/process|controller/shim/enter|tests/support/(program|syscall_tracer))\.cpp$')
rule "${word}setns\(" 'setns(fd, CLONE_NEWNET);' 'setns only in net_ns.cpp and in a forked child' "${files[@]}"
rule '(utsname|LINUX_VERSION_CODE|uname\()' 'struct utsname name;' 'features are probed, not versions' "${product[@]}"
rule '(class|struct) [[:alnum:]]*(Manager|Helper|Util)' 'class LinkManager {' 'a type says what it is' "${all[@]}"
rule '__sync_fetch_and|__atomic_|vmlinux\.h|bpf_core_read' '__sync_fetch_and_add(&x, 1);' \
    'no BPF atomics (ARM32), no CO-RE' $(sources 'tcprog/*.bpf.*')

# Who may include whom.
inside() { sources "$1" | grep -E '\.(cpp|h|c)$'; }
rule '#include "(netns|tcprog|controller/(supervise|world|daemon))/' '#include "netns/link.h"' \
    'plan is pure: it sees base and spec' $(inside controller/plan)
rule '#include "(netns|tcprog|controller/(plan|supervise|world|daemon|ipc))/' '#include "controller/plan/plan.h"' \
    'spec sees base only' $(inside controller/spec)
rule '#include "(netns|tcprog|controller)/' '#include "netns/link.h"' 'base depends on nothing of ours' $(inside base)
rule '#include "(tcprog|controller)/' '#include "tcprog/abi.h"' 'netns sees base only' $(inside netns)
rule '#include "(netns|controller)/' '#include "netns/link.h"' 'tcprog sees base only' $(inside tcprog)
mapfile -t files < <(printf '%s\n' "${product[@]}" | without '^controller/(daemon/|main\.cpp$)')
rule '#include "controller/daemon/' '#include "controller/daemon/daemon.h"' 'nothing sees daemon' "${files[@]}"
rule '#include "\.\.?/' '#include "../x.h"' 'includes are written from the root' "${all[@]}"
mapfile -t files < <(printf '%s\n' "${product[@]}" | without '^controller/spec/')
rule '#include <yaml-cpp' '#include <yaml-cpp/yaml.h>' 'yaml-cpp is known to spec only' "${files[@]}"
mapfile -t files < <(printf '%s\n' "${product[@]}" | without '^controller/(ipc|image)/')
rule '#include <nlohmann' '#include <nlohmann/json.hpp>' 'nlohmann-json is known to ipc and image only' "${files[@]}"
mapfile -t files < <(printf '%s\n' "${product[@]}" | without '^controller/ctl/(viscumctl|command_line)\.cpp$')
rule '#include <CLI' '#include <CLI/CLI.hpp>' 'CLI11 is known to viscumctl only' "${files[@]}"

# All text of the project.
mapfile -t text < <(sources | grep -vE '\.(png|svg|tar|gz|bin|pcap)$|^LICENSE|^tests/check/lint\.sh$')
unfinished='TO''DO|FIX''ME|XX''X|HA''CK'
text_rule "(^|[^[:alnum:]])($unfinished)([^[:alnum:]]|\$)" "$(printf '// TO%s: later' DO)" 'nothing is left for later' "${text[@]}"
text_rule '(^|[^[:alnum:]_.])/(home|work)/[a-z]' '// see /home/me' "no path of somebody's machine" "${text[@]}"
# Commands of the documentation find the tables of this layout.
abi=$(sed -n 's/^#define VS_ABI \([0-9]*\)$/\1/p' tcprog/abi.h)
mapfile -t pages < <(sources README.md 'docs/*.md' | without '^docs/adr/')
text_rule "/fs/bpf/[[:alnum:]]+/v([^N$abi]|$abi[0-9])" '/sys/fs/bpf/NAME/v99/' "the tables are those of layout $abi" "${pages[@]}"
mapfile -t files < <(sources '*.cpp' '*.h' '*.c' '*.S' '*.sh' '*.py' '.github/*' '*CMakeLists.txt' 'Makefile' '.ci/run')
for file in "${files[@]}"; do
    head -n 2 "$file" | grep -q 'SPDX-License-Identifier: ' || complain "$file has no SPDX line at its top"
done

# Each row of the fault matrix that the report lists without an excuse has a test of that name.
rows() { sed -nE 's/^ *Row\{([0-9]+), "[^"]*"\},$/\1/p' "$@"; }
tested() { grep -hoE '"fault [0-9, ]+: ' "$@" | grep -oE '[0-9]+'; }
[ "$(printf '    Row{7, "a fork bomb"},\n    Row{8, "x", "y"},\n' | rows)" = 7 ] &&
    [ "$(printf '    "fault 7, 12: it"\n' | tested | tr '\n' ' ')" = '7 12 ' ] ||
    complain 'rows of the fault matrix are not found where they are'
untested=$(comm -23 <(rows tests/faults/report/main.cpp | sort -u) <(tested $(sources 'tests/*_test.cpp' tests/fleet/CMakeLists.txt) | sort -u))
[ -z "$untested" ] || complain "rows of the fault matrix without a test: $(echo $untested)"

clang-format --dry-run -Werror "${all[@]}" || complain 'not as clang-format has it: clang-format -i FILE'

# The small programs are built with options that only GCC knows.
mapfile -t files < <(printf '%s\n' "${product[@]}" | grep -E '\.cpp$' | without '^controller/(shim|prober)/')
printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "$jobs" clang-tidy -p "$build" --quiet 2> /dev/null ||
    complain 'clang-tidy has something to say'
clang-tidy --quiet controller/shim/*.cpp controller/prober/*.cpp -- -I. -std=c++20 -fno-exceptions -fno-rtti 2> /dev/null ||
    complain 'clang-tidy has something to say about the small programs'

[ "$failed" -eq 0 ] && echo "lint: ${#all[@]} files are as they should be"
exit "$failed"
