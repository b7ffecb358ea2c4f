// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include "base/text.h"
#include "tests/bench/report/document.h"
#include "tests/bench/report/figures.h"
#include "tests/bench/report/plot.h"
#include "tests/bench/report/section.h"

namespace viscum {
namespace {

Measurements measured(const std::string& name, double value, Scale scale = Scale::full) {
    Measurements all(name, "What was done.", scale);
    all.add("viscum", "time", "ms", value);
    all.add("viscum", "time", "ms", value + 2);
    all.add("peer", "time", "ms", 10);
    all.add("peer", "requests/s", "", 12'345);
    all.expect(Target::Bound::at_most, "viscum", "time", 5);
    return all;
}

/// The benchmarks of one set of figures, by way of their files.
std::vector<Benchmark> read_back(const std::vector<Measurements>& all) {
    std::map<std::string, std::string> files;
    for (std::size_t i = 0; i < all.size(); ++i) {
        files.emplace(cat(i, ".json"), all[i].json());
    }
    const auto merged = merge_figures("", files);
    REQUIRE(merged);
    auto read = read_figures(*merged);
    REQUIRE_MESSAGE(read, (read ? "" : read.error().what));
    return *std::move(read);
}

bool holds(const std::string& text, const std::string& part) {
    const bool found = text.find(part) != std::string::npos;
    if (!found) {
        MESSAGE("\"", part, "\" is not in:\n", text);
    }
    return found;
}

}  // namespace

TEST_CASE("report: what a benchmark wrote is read back as it was") {
    Measurements all = measured("size", 3);
    all.axis("services");
    all.add("viscum", "memory", "KiB", 5, 100);
    all.note("no podman");
    const auto read = read_back({all});
    REQUIRE(read.size() == 1);
    const Benchmark& one = read[0];
    CHECK(one.name == "size");
    CHECK(one.how == "What was done.");
    CHECK(one.axis == "services");
    CHECK_FALSE(one.quick);
    CHECK(one.machine.processors > 0);
    CHECK(one.machine.kernel != "");
    CHECK(one.subjects() == std::vector<std::string>{"viscum", "peer"});
    CHECK(one.figures() == std::vector<std::string>{"time", "requests/s", "memory"});
    CHECK(one.unit_of("time") == "ms");
    REQUIRE(one.find("viscum", "time", {}) != nullptr);
    CHECK(one.find("viscum", "time", {})->values == std::vector<double>{3, 5});
    REQUIRE(one.find("viscum", "memory", 100) != nullptr);
    CHECK(one.find("viscum", "memory", {}) == nullptr);
    REQUIRE(one.targets.size() == 1);
    CHECK(one.targets[0].met());
    CHECK(one.targets[0].wanted == 5);
    CHECK(one.notes == std::vector<std::string>{"no podman"});
}

TEST_CASE("report: new figures take the place of the same benchmark's, and others stay") {
    const auto first = merge_figures("", {{"a", measured("path", 1).json()}, {"b", measured("idle", 2).json()}});
    REQUIRE(first);
    const auto second = merge_figures(*first, {{"a", measured("path", 7).json()}, {"c", measured("a", 3).json()}});
    REQUIRE(second);
    const auto all = read_figures(*second);
    REQUIRE(all);
    REQUIRE(all->size() == 3);
    CHECK((*all)[0].name == "a");
    CHECK((*all)[1].name == "idle");
    CHECK((*all)[1].find("viscum", "time", {})->values[0] == 2);
    CHECK((*all)[2].name == "path");
    CHECK((*all)[2].find("viscum", "time", {})->values[0] == 7);
}

TEST_CASE("report: nothing new changes no byte of what is kept") {
    const auto first = merge_figures("", {{"a", measured("path", 1.25).json()}, {"b", measured("idle", 0.1).json()}});
    REQUIRE(first);
    const auto second = merge_figures(*first, {});
    REQUIRE(second);
    CHECK(*second == *first);
}

TEST_CASE("report: a file that no benchmark wrote is refused by its name") {
    for (const std::string text : {"", "{", "[]", "{}", R"({"name": "path"})", R"({"name": 1})"}) {
        const auto merged = merge_figures("", {{"build/bench/odd.json", text}});
        REQUIRE_FALSE(merged);
        CHECK(holds(merged.error().what, "build/bench/odd.json is not a benchmark's file"));
    }
    std::string wrong = measured("path", 1).json();
    const std::size_t at = wrong.find("at most");
    wrong.replace(at, 7, "at best");
    CHECK_FALSE(merge_figures("", {{"odd.json", wrong}}));
    CHECK_FALSE(merge_figures("[1]", {}));
    CHECK_FALSE(merge_figures("", {{"odd.json", measured("../path", 1).json()}}));
}

TEST_CASE("report: figures of quick runs are refused, with their names") {
    CHECK(refuse_quick(read_back({measured("path", 1), measured("idle", 1)})));
    const Status refused = refuse_quick(
        read_back({measured("path", 1, Scale::quick), measured("idle", 1), measured("size", 1, Scale::quick)}));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().what == "quick figures say nothing: path, size");
}

TEST_CASE("report: what people wrote around the marks stays as it is") {
    const std::string before = "# Title\n\nintro  \n<!-- begin a -->\nold\n\nold\n<!-- end a -->\nbetween\n";
    const std::string after = "<!-- begin b -->\n<!-- end b -->\nend without a line end";
    const auto filled = fill(before + after, {{"a", "new\nlines"}, {"b", "more"}});
    REQUIRE(filled);
    CHECK(*filled ==
          "# Title\n\nintro  \n<!-- begin a -->\nnew\nlines\n<!-- end a -->\nbetween\n"
          "<!-- begin b -->\nmore\n<!-- end b -->\nend without a line end");
    const auto again = fill(*filled, {{"a", "new\nlines"}, {"b", "more"}});
    REQUIRE(again);
    CHECK(*again == *filled);
}

TEST_CASE("report: marks without new figures keep what stands between them") {
    const std::string document = "<!-- begin a -->\nkept\n<!-- end a -->\n<!-- begin b -->\nold\n<!-- end b -->\n";
    const auto filled = fill(document, {{"b", "new"}});
    REQUIRE(filled);
    CHECK(*filled == "<!-- begin a -->\nkept\n<!-- end a -->\n<!-- begin b -->\nnew\n<!-- end b -->\n");
}

TEST_CASE("report: a benchmark without marks is named") {
    const auto filled = fill("<!-- begin a -->\n<!-- end a -->\n", {{"a", "x"}, {"path", "y"}});
    REQUIRE_FALSE(filled);
    CHECK(filled.error().what == "there is no '<!-- begin path -->' with its end");
}

TEST_CASE("report: marks that do not pair are named") {
    const auto refusal = [](const std::string& document) {
        const auto marks = marks_of(document);
        return marks ? "" : marks.error().what;
    };
    CHECK(refusal("<!-- begin a -->\n") == "'a' begins and has no end");
    CHECK(refusal("<!-- begin a -->\n<!-- begin b -->\n<!-- end b -->\n") == "'a' begins and has no end");
    CHECK(refusal("<!-- end a -->\n") == "'a' ends and has not begun");
    CHECK(refusal("<!-- begin a -->\n<!-- end b -->\n") == "'b' ends and has not begun");
    CHECK(refusal("<!-- begin a -->\n<!-- end a -->\n<!-- begin a -->\n<!-- end a -->\n") == "'a' begins twice");
    CHECK(refusal("a line that tells of <!-- begin a --> is no mark\n") == "");
}

TEST_CASE("report: a table has subjects in rows and figures with units in columns; one value needs no range") {
    const auto all = read_back({measured("path", 3)});
    CHECK(table_of(all[0]) ==
          "|  | time (ms) | requests/s |\n"
          "|---|---:|---:|\n"
          "| **viscum** | 4.00 (3.00 – 5.00) |  |\n"
          "| peer | 10.0 | 12,345 |\n");
}

TEST_CASE("report: where figures depend on a number, each subject has a row for each, ascending") {
    Measurements all("transit", "how", Scale::full);
    all.axis("rules");
    for (const double at : {100.0, 0.0, 1'000.0}) {
        all.add("viscum", "ns", "", at + 1, at);
        all.add("nft | ipset", "ns", "", at + 2, at);
    }
    CHECK(table_of(read_back({all})[0]) ==
          "|  | rules | ns |\n"
          "|---|---:|---:|\n"
          "| **viscum** | 0 | 1.00 |\n"
          "| **viscum** | 100 | 101 |\n"
          "| **viscum** | 1,000 | 1,001 |\n"
          "| nft \\| ipset | 0 | 2.00 |\n"
          "| nft \\| ipset | 100 | 102 |\n"
          "| nft \\| ipset | 1,000 | 1,002 |\n");
}

TEST_CASE("report: a section tells the conditions, the figures, the pictures, the targets and the notes") {
    Measurements all = measured("path", 3);
    all.expect(Target::Bound::at_least, "peer", "requests/s", 20'000);
    all.note("no haproxy");
    all.note("podman said:\nno");
    Benchmark one = read_back({all})[0];
    one.machine = {"A processor", 2, "6.1.0-18-amd64", 1.5, "2025-02-03"};
    const std::string text = section_of(one, {{"benchmarks/path-time.svg", "time in ms by subject"}});
    CHECK(
        text.starts_with("*A processor, 2 processors, Linux 6.1.0, 2025-02-03, load 1.50. "
                         "Medians (least – most) of 1 to 2 rounds.*\n\nWhat was done.\n\n|  | time (ms) |"));
    CHECK(holds(text,
                "<details>\n<summary>The same in pictures</summary>\n\n"
                "![time in ms by subject](benchmarks/path-time.svg)\n\n</details>\n"));
    CHECK(holds(text, "| time, viscum | 4.00 ms | at most 5.00 ms | met |\n"));
    CHECK(holds(text, "| requests/s, peer | 12,345 | at least 20,000 | **missed** |\n"));
    CHECK(text.ends_with("\n\n- no haproxy\n- podman said: no"));
    CHECK(text.find("quick") == std::string::npos);
    one.quick = true;
    CHECK(section_of(one, {}).starts_with("**A quick run, which shows that it works: its figures say nothing.**\n\n"));
}

TEST_CASE("report: all targets stand in one table, counted") {
    const std::string text = targets_of(read_back({measured("path", 3), measured("idle", 9)}));
    CHECK(text ==
          "1 of 2 targets are met.\n\n| benchmark | target | measured | wanted | |\n|---|---|---:|---:|---|\n"
          "| idle | time, viscum | 10.0 ms | at most 5.00 ms | **missed** |\n"
          "| path | time, viscum | 4.00 ms | at most 5.00 ms | met |");
    CHECK(holds(targets_of(read_back({measured("path", 3, Scale::quick)})), "its figures say nothing"));
}

TEST_CASE("report: a figure that several subjects share is drawn as bars, ours apart from the others") {
    const auto plots = plots_of(read_back({measured("path", 3)})[0]);
    REQUIRE(plots.size() == 1);  // requests/s has one subject
    CHECK(plots[0].file == "path-time.svg");
    CHECK(plots[0].text == "time in ms by subject");
    CHECK(holds(plots[0].script, "$others << END\n1 10 10 10 \"10.0\"\nEND\n"));
    CHECK(holds(plots[0].script, "$ours << END\n0 4 3 5 \"4.00\"\nEND\n"));
    CHECK(holds(plots[0].script, "set ytics ('viscum' 0, 'peer' 1)"));
    CHECK(holds(plots[0].script, "background '#ffffff'"));
}

TEST_CASE("report: a figure that depends on a number is drawn as lines over its logarithm, with a place for 0") {
    Measurements all("transit", "how", Scale::full);
    all.axis("rules");
    for (const double at : {0.0, 1.0, 1'000.0}) {
        all.add("viscum", "ns", "", at + 1, at);
    }
    all.add("nothing", "ns", "", 1);
    const auto plots = plots_of(read_back({all})[0]);
    REQUIRE(plots.size() == 1);
    CHECK(plots[0].text == "ns over rules");
    CHECK(holds(plots[0].script, "set logscale x\n"));
    CHECK(holds(plots[0].script, "set xtics ('0' 0.1, '1' 1, '1,000' 1000)"));
    CHECK(holds(plots[0].script, "$s0 << END\n0.1 1 1 1\n1 2 2 2\n1000 1001 1001 1001\nEND\n"));
    CHECK(holds(plots[0].script, "$s1 << END\n0.1 1 1 1\n1000 1 1 1\nEND\n"));
}

TEST_CASE("report: ours begin with a word of their own") {
    CHECK(is_ours("viscum"));
    CHECK(is_ours("viscum, a directory"));
    CHECK_FALSE(is_ours("viscumd runs"));
    CHECK_FALSE(is_ours("viscum-shim"));
    CHECK_FALSE(is_ours("in the router"));
    CHECK_FALSE(is_ours(""));
}

TEST_CASE("report: a name with a quote stays one text of the script") {
    Measurements all("launch", "how", Scale::full);
    all.add("viscum, the host's files", "time", "ms", 1);
    all.add("it's'", "time", "ms", 2);
    const auto plots = plots_of(read_back({all})[0]);
    REQUIRE(plots.size() == 1);
    CHECK(holds(plots[0].script, "('viscum, the host''s files' 0, 'it''s''' 1)"));
}

TEST_CASE("report: an axis has round numbers, from 0 and not beyond the most") {
    CHECK(ticks_to(5) == std::vector<double>{0, 1, 2, 3, 4, 5});
    CHECK(ticks_to(7) == std::vector<double>{0, 2, 4, 6});
    CHECK(ticks_to(1'234) == std::vector<double>{0, 500, 1'000});
    CHECK(ticks_to(10) == std::vector<double>{0, 2, 4, 6, 8, 10});
    CHECK(slug("New connections/s (IPv4)") == "new-connections-s-ipv4");
}

}  // namespace viscum
