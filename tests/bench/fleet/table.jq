# SPDX-License-Identifier: GPL-2.0-only
# What figures.jq made, for a terminal: a row for each play and number of devices.

def text: if . >= 100 then round elif . >= 10 then . * 10 | round / 10 else . * 100 | round / 100 end | tostring;
def padded($width): (" " * ([$width - length, 0] | max)) // "" | . ;
def left($width): . + padded($width);
def right($width): padded($width) + .;

.series as $series
| ([$series[].figure] | reduce .[] as $one ([]; if index($one) then . else . + [$one] end)) as $figures
| ([$series[] | { subject, at }] | reduce .[] as $one ([]; if index([$one]) then . else . + [$one] end)) as $rows
| ("fleet" + if .quick then " (quick: the figures say nothing)" else "" end),
  "  \(.machine.processors) processors, load \(.machine.load); medians",
  ("  " + ("" | left(16)) + ("devices" | right(8))
   + ([$figures[] as $figure | ($figure + (first($series[] | select(.figure == $figure).unit) | if . == "" then "" else " (\(.))" end)) | "  " + right(12)] | join(""))),
  ($rows[] as $row | "  " + ($row.subject | left(16)) + ($row.at | tostring | right(8))
   + ([$figures[] as $figure
       | ([$series[] | select(.subject == $row.subject and .at == $row.at and .figure == $figure).median | text][0] // "")
       | "  " + right(($figure + first($series[] | select(.figure == $figure).unit) | length) + 3)] | join(""))),
  (.notes[] | "  note: \(.)"),
  (.targets[] | "  target: \(.what): \(.measured | text) x, wanted at most \(.wanted) x\(if .met then "" else ": MISSED" end)")
