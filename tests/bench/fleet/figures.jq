# SPDX-License-Identifier: GPL-2.0-only
# Lines of "DEVICES  WHO  FIGURE  UNIT  VALUE" as tests/bench/measure/measurements.cpp writes a benchmark's file.

def median: sort | if length % 2 == 1 then .[(length - 1) / 2] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def short: . * 10000 | round / 10000;

[inputs | split("\t") | { at: (.[0] | tonumber), subject: .[1], figure: .[2], unit: .[3], value: (.[4] | tonumber) }] as $rows
| [$rows[] | select(.subject != "others")
   | { subject, figure, unit, at }] | reduce .[] as $one ([]; if index([$one]) then . else . + [$one] end)
| map(. as $one | [$rows[] | select({ subject, figure, unit, at } == $one).value] as $values
      | . + { median: ($values | median), min: ($values | min), max: ($values | max), values: $values })
| . as $series
| ([$series[].at] | min) as $few | ([$series[].at] | max) as $many
| [$rows[] | select(.subject == "others").value] as $others
# Of the medians: what a device takes among many, to what it takes among few. 1: as many times more as there are devices.
| def growth($subject; $figure):
    [$series[] | select(.subject == $subject and .figure == $figure)]
    | (map(select(.at == $many))[0].median / map(select(.at == $few))[0].median) as $ratio
    | { what: "\($figure), \($subject), with \($many) devices to \($few)", bound: "at most", wanted: 1.05, unit: "x",
        measured: $ratio, met: ($ratio <= 1.05) };
{
  name: "fleet",
  how: ("ansible-playbook \($ansible) with the example's 20 forks, and hotspots of tests/fleet on the same machine, each a system of its own, reached by SSH (dropbear) over a link of its own, \($rounds) fleets of each size. install: package and viscum.yaml on bare devices. Roll-outs: a service in the default's batches (one device, 10 %, 50 %, the rest), with viscum_settle at 1 s a batch; then the same file again. Bytes: of the device's link for SSH, with all headers. Ansible, peak: PSS of ansible-playbook, its forks and ssh; all, peak: what the machine has less than before there was a fleet, with devices, their services and Ansible; both looked at once a second. KB is 1,000 bytes."),
  quick: $quick,
  axis: "devices",
  machine: { processor: $processor, processors: $processors, kernel: $kernel, load: $load, date: $date },
  series: $series,
  targets: (if $few == $many then [] else
    [(["install", "first roll-out", "the same again"][] as $play | growth($play; ("time per device", "Ansible, processor time per device", "to a device", "from a device")))] end),
  notes: ["Controller and devices share the processors, and others' builds took their share of them. Others' work had \($others | min | short) to \($others | max | short) % of them before a fleet was made."]
}
