#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs the fuzzers, two at a time. Usage: run.sh BUILD_DIRECTORY long|short [NAME...]
#
# long:  each for FUZZ_SECONDS (300), with a seed that is told (FUZZ_SEED repeats it); the corpus is kept and grows.
# short: each a fixed number of executions of a fixed seed, from the same inputs.
#
# BUILD_DIRECTORY/fuzz/ has bin/, corpus/NAME/, findings/ (inputs) and log/NAME; figures go to
# BUILD_DIRECTORY/figures/fuzz.json. Ends with 1 where something was found.
set -eu
source=$(cd "$(dirname "$0")" && pwd)
build=$(mkdir -p "$1/fuzz" && cd "$1/fuzz" && pwd)
mode=$2
shift 2
[ "$mode" = long ] || [ "$mode" = short ] || { echo "usage: run.sh BUILD_DIRECTORY long|short [NAME...]" >&2; exit 2; }
export LC_ALL=C

# Each: its name, the longest input in bytes, executions of a short run, a folder of ../shared/corpora (further seeds,
# where they are).
fuzzers='
service_file      4096    25000 yaml-test-suite
router_config     2048    30000 yaml-test-suite
ipc_request       4096   100000 json-test-suite
ipc_answer        4096    70000 json-test-suite
http_status      10000    50000 http-responses
probe_replies    10000    40000 http-responses
prober_answers    2048    40000 -
state_file        2048    30000 -
savings_file      2048    30000 -
netlink_route     2048   300000 -
netlink_netfilter 2048   300000 -
image_documents   4096    25000 json-test-suite
image_accounts    2048    60000 -
image_file       10240    50000 tar
image_layer      10240    20000 tar
bundle            4096   100000 -
backup_archive    4096     5000 -
shim_words        2048   150000 -
shim_log          4096     1500 -
events            2048    25000 -
run_files         5000    40000 -
proc_texts        4096    15000 -
values             256   150000 -
exporter_request  9000   100000 -
gate_command      1100   100000 -
'
seconds=${FUZZ_SECONDS:-300}
seed=1
[ "$mode" = short ] || seed=${FUZZ_SEED:-$((RANDOM * 32768 + RANDOM + 1))}

work=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)/viscum-fuzz-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$build/corpus" "$build/findings" "$build/log" "$build/../figures"

# run NAME LONGEST EXECUTIONS SHARED: one fuzzer, into its log.
run() {
    local name=$1 corpus options=(-runs="$3") most=64
    # zstd's largest window has 128 MiB: in viscum-image, the limit of the cage refuses it (controller/image/cage.cpp).
    [[ $name != image_* ]] || most=160
    mkdir -p "$work/$name/tmp" "$build/corpus/$name"
    corpus=$build/corpus/$name
    if [ "$mode" = short ]; then
        corpus=$work/$name/corpus
        mkdir -p "$corpus"
    else
        options=(-max_total_time="$seconds")
    fi
    local given=("$source/seeds/$name")
    [ ! -d "$source/../../../shared/corpora/$4" ] || given+=("$source/../../../shared/corpora/$4")
    # One allocation of so many MiB, or 512 MiB in all, or 25 s for one input, are findings.
    TMPDIR=$work/$name/tmp VISCUM_FUZZ_WRITABLE=$work/$name:$build \
        ASAN_OPTIONS=quarantine_size_mb=16 UBSAN_OPTIONS=print_stacktrace=1 \
        "$build/bin/fuzz_$name" "${options[@]}" -seed="$seed" -max_len="$2" -dict="$source/$name.dict" \
        -rss_limit_mb=512 -malloc_limit_mb="$most" -timeout=25 -report_slow_units=25 -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$build/findings/$name-" "$corpus" "${given[@]}" > "$build/log/$name" 2>&1 ||
        echo "found" > "$work/$name.found"
}

chosen() { [ "$#" -eq 1 ] || [[ " ${*:2} " == *" $1 "* ]]; }

names=()
while read -r name longest executions shared; do
    [ -n "$name" ] && chosen "$name" "$@" || continue
    names+=("$name")
    while [ "$(jobs -pr | wc -l)" -ge 2 ]; do wait -n || true; done
    run "$name" "$longest" "$executions" "$shared" &
done <<< "$fuzzers"
wait

with_commas() { sed -E ':a; s/^([0-9]+)([0-9]{3})/\1,\2/; ta' <<< "$1"; }
# last NAME WORD: the number behind the last WORD in its log.
last() { grep -oE "$2 *[0-9]+" "$build/log/$1" | tail -n 1 | grep -oE '[0-9]+$' || echo 0; }

found=0
values=()
printf '%-18s %14s %9s %9s %7s  %s\n' fuzzer executions features corpus MiB findings
for name in "${names[@]}"; do
    executions=$(last "$name" 'stat::number_of_executed_units:')
    # A fuzzer that ends by a finding tells no statistics.
    [ "$executions" -gt 0 ] || executions=$(grep -oE '^#[0-9]+' "$build/log/$name" | tail -n 1 | tr -d '#' || echo 0)
    findings=0
    if [ -e "$work/$name.found" ]; then
        findings=1
        found=$((found + 1))
    fi
    printf '%-18s %14s %9s %9s %7s  %s\n' "$name" "$(with_commas "${executions:-0}")" "$(last "$name" 'ft:')" \
        "$(last "$name" 'corp:')" "$(last "$name" 'stat::peak_rss_mb:')" "$findings"
    values+=("[\"$name\", \"$(with_commas "${executions:-0}") executions, $findings findings\"]")
done

command="make fuzz FUZZ_SEED=$seed FUZZ_SECONDS=$seconds"
[ "$mode" = long ] || command='make fuzz-short'
{
    printf '{\n  "title": "Fuzzers (libFuzzer, ASan, UBSan)",\n  "full": %s,\n  "seed": %s,\n  "repeat": "%s",\n' \
        "$([ "$mode" = long ] && echo true || echo false)" "$seed" "$command"
    printf '  "values": [\n'
    printf '    %s,\n' "${values[@]}" | sed '$ s/,$//'
    printf '  ]\n}\n'
} > "$build/../figures/fuzz.json.new"
# Some of them are not all.
[ $# -gt 0 ] || mv "$build/../figures/fuzz.json.new" "$build/../figures/fuzz.json"
rm -f "$build/../figures/fuzz.json.new"

for name in "${names[@]}"; do
    if [ -e "$work/$name.found" ]; then
        echo "$name: $build/log/$name ends with:"
        grep -E 'ERROR|SUMMARY|runtime error|does not hold|Test unit written' "$build/log/$name" ||
            tail -n 5 "$build/log/$name"
    fi
done
[ "$found" -eq 0 ] || { echo "$found fuzzers found something: see tests/fuzz/README.md"; exit 1; }
