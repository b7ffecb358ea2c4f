// SPDX-License-Identifier: GPL-2.0-only
// What becomes of a service's output.
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <regex>

#include "base/file.h"
#include "base/text.h"
#include "tests/root/supervise/fixture.h"

namespace viscum {
namespace {

std::uint64_t size_of(const std::string& path) {
    struct stat info {};
    return stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

TEST_CASE("log: every line has its time in front") {
    Run run({"/bin/sh", "-c", "echo one; echo two >&2; printf three"});
    std::time_t now = std::time(nullptr);
    CHECK(run.words() == "one\ntwo\nthree\n");
    const std::regex line("(\\d{4}-\\d\\d-\\d\\d)T\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z (one|two|three)");
    for (const auto& text : split(run.log().substr(0, run.log().size() - 1), '\n')) {
        CHECK_MESSAGE(std::regex_match(text, line), text);
        std::tm stamp{};
        REQUIRE(strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &stamp) != nullptr);
        const std::time_t written = timegm(&stamp);
        CHECK(written >= now);
        CHECK(written <= now + 10);
    }
}

TEST_CASE("log: a line without end is split at 4 KiB") {
    Run run({"/bin/sh", "-c", "head -c 10000 /dev/zero | tr '\\0' x"});
    run.words();
    const auto lines = split(run.said(), '\n');
    REQUIRE(lines.size() == 4);
    CHECK(lines[0].size() == 4096);
    CHECK(lines[1].size() == 4096);
    CHECK(lines[2].size() == 10000 - 2 * 4096);
    CHECK(lines[3].empty());
}

TEST_CASE("log: a line of exactly 4 KiB is one line") {
    Run run({"/bin/sh", "-c", "head -c 4096 /dev/zero | tr '\\0' x; echo; echo next"});
    CHECK(run.words() == std::string(4096, 'x') + "\nnext\n");
}

TEST_CASE("log: any bytes are kept as they are") {
    Run run({"/usr/bin/printf", "a\\000b\\377\\033[1m\\r\\n\\n\\nz\\n"});
    CHECK(run.words() == std::string("a\0b\377\033[1m\r\n\n\nz\n", 14));
}

TEST_CASE("log: it never passes its bound, and keeps the newest") {
    Run run({"/bin/sh", "-c", "i=0; while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); done"});
    run.spec.log_bytes = 32 * 1024;
    SUBCASE("short lines") {
        CHECK(run.words().ends_with("line 3998\nline 3999\n"));
    }
    SUBCASE("a line without end") {
        run.spec.command = {"/bin/sh", "-c", "head -c 200000 /dev/zero | tr '\\0' x; echo; echo last"};
        CHECK(run.words().ends_with("x\nlast\n"));
    }
    CHECK(size_of(run.spec.log_file) <= 16 * 1024);
    CHECK(size_of(run.spec.log_file + ".1") <= 16 * 1024);
    CHECK(size_of(run.spec.log_file) + size_of(run.spec.log_file + ".1") > 12 * 1024);
    CHECK(must(list_directory(run.spec.run_dir + "/log")).size() == 2);
}

TEST_CASE("log: a new run goes on behind the old one") {
    Run run({"/bin/echo", "again"});
    run.words();
    CHECK(run.words() == "again\nagain\n");
}

TEST_CASE("log: two versions of a service share it") {
    Run first({"/bin/sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo first $i; i=$((i+1)); done"});
    Run second({"/bin/sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo second $i; i=$((i+1)); done"});
    first.spec.log_bytes = second.spec.log_bytes = 32 * 1024;
    second.spec.log_file = first.spec.log_file;
    Process one = first.launch();
    Process two = second.launch();
    CHECK(first.finish(one).success());
    CHECK(second.finish(two).success());
    const std::regex whole("(first|second) \\d+");
    for (const auto& line : split(first.said(), '\n')) {
        CHECK_MESSAGE((line.empty() || std::regex_match(line, whole)), line);
    }
    CHECK(size_of(first.spec.log_file) <= 16 * 1024);
    CHECK(size_of(first.spec.log_file + ".1") <= 16 * 1024);
}

TEST_CASE("log: a full disk drops and counts, and does not hold the service up") {
    // Far more than the pipe holds, so that the shim has met the full disk when the service is through.
    Run run({"/bin/sh", "-c",
             "i=0; while [ $i -lt 4000 ]; do echo line $i of the log; i=$((i+1)); done; echo written > /tmp/mark;"
             "while [ -e /tmp/mark ]; do sleep 0.01; done; echo room again"});
    const std::string dir = run.spec.run_dir + "/log";
    run.spec.log_bytes = 8UL << 20;
    REQUIRE(mount("tmpfs", dir.c_str(), "tmpfs", 0, "size=1M") == 0);
    REQUIRE(write_file_atomically(dir + "/filler", std::string((1UL << 20) - (16UL << 10), 'x'), 0600));
    Process process = run.launch();
    std::string mark;
    REQUIRE(eventually([&] {
        mark = path_inside(process, "/tmp/mark");
        return access(mark.c_str(), F_OK) == 0;
    }));
    REQUIRE(remove_file(dir + "/filler"));
    REQUIRE(remove_file(mark));
    CHECK(run.finish(process).success());
    const std::string said = run.said();
    CAPTURE(said.substr(said.size() - 200));
    CHECK(std::regex_search(said, std::regex("\nviscum-shim: [1-9]\\d{4,} bytes dropped\n")));
    CHECK(said.ends_with("\nroom again\n"));
    CHECK(said.starts_with("line 0 of the log\n"));
    REQUIRE(umount2(dir.c_str(), MNT_DETACH) == 0);
}

/// The number in a run's directory that says how many bytes were dropped.
std::uint64_t dropped(const Run& run) {
    const auto text = read_file(run.spec.run_dir + "/dropped", 64);
    return text ? parse_decimal(text->substr(0, text->find('\n')), UINT64_MAX).value_or(0) : 0;
}

/// What the log says of floods: bytes dropped, summed up, and the log without these lines.
std::pair<std::uint64_t, std::string> without_notices(const std::string& said) {
    const std::regex notice("\\[viscum: ([1-9]\\d*) bytes dropped, more than 64K a second\\]");
    std::uint64_t sum = 0;
    std::string rest;
    for (const auto& line : split(said, '\n')) {
        std::smatch match;
        if (std::regex_match(line, match, notice)) {
            sum += parse_decimal(match.str(1), UINT64_MAX).value_or(0);
        } else {
            rest += line + "\n";
        }
    }
    rest.pop_back();
    return {sum, rest};
}

TEST_CASE("log: a flood is cut short, counted, and keeps its beginning and its end") {
    Run run({"/bin/sh", "-c", "echo first; yes 0123456 | head -c 20000000; echo last words"});
    run.spec.log_bytes = 8UL << 20;
    const std::string said = run.words();
    const auto [sum, rest] = without_notices(said);
    CHECK(rest.starts_with("first\n0123456\n"));
    CHECK(rest.ends_with("0123456\nlast words\n"));
    CHECK(sum > 15'000'000);
    CHECK(sum == dropped(run));
    CHECK(rest.size() + sum == 20'000'000 + std::string("first\nlast words\n").size());
    for (const auto& line : split(rest, '\n')) {
        CHECK_MESSAGE((line.empty() || line == "0123456" || line == "first" || line == "last words"), line);
    }
}

TEST_CASE("log: a flood without lines is cut short as well") {
    Run run({"/bin/sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' x"});
    run.spec.log_bytes = 8UL << 20;
    const auto [sum, rest] = without_notices(run.words());
    CHECK(sum > 15'000'000);
    CHECK(sum == dropped(run));
    CHECK(static_cast<std::uint64_t>(std::ranges::count(rest, 'x')) + sum == 20'000'000);
}

TEST_CASE("log: what comes after a flood is written again") {
    Run run({"/bin/sh", "-c",
             "yes flood | head -c 5000000; while [ ! -e /tmp/mark ]; do echo calm; sleep 0.05; done; echo done"});
    Process process = run.launch();
    const bool written = eventually([&] { return run.said().ends_with("calm\ncalm\n"); });
    CHECK(dropped(run) > 4'000'000);
    REQUIRE(write_file_atomically(path_inside(process, "/tmp/mark"), "", 0600));
    CHECK(run.finish(process).success());
    CHECK(written);
    const std::string said = run.said();
    CHECK(std::regex_search(
        said, std::regex("flood\n\\[viscum: [1-9]\\d{6} bytes dropped, more than 64K a second\\]\ncalm\n")));
    CHECK(said.ends_with("calm\ndone\n"));
}

TEST_CASE("log: what a run has dropped adds up over its processes") {
    Run run({"/bin/sh", "-c", "yes flood | head -c 5000000"});
    run.words();
    const auto once = dropped(run);
    CHECK(once > 4'000'000);
    run.words();
    CHECK(dropped(run) > once + 4'000'000);
}

TEST_CASE("log: a service that says little drops nothing") {
    Run run({"/bin/sh", "-c", "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done"});
    run.words();
    CHECK(access((run.spec.run_dir + "/dropped").c_str(), F_OK) != 0);
}

TEST_CASE("log: the service starts even where no log can be made") {
    Run run({"/bin/sh", "-c", "exit 8"});
    REQUIRE(make_directory(run.spec.log_file, 0755));
    CHECK(run.launch_and_finish() == ExitStatus{ExitStatus::Kind::exited, 8, ""});
}

TEST_CASE("log: what orphans go on printing does not delay the end") {
    Run run({"/bin/sh", "-c", "yes & sleep 0.05; exit 3"});
    CHECK(run.launch_and_finish() == ExitStatus{ExitStatus::Kind::exited, 3, ""});
}

TEST_CASE("log: a service that is not root may open its output by name") {
    Run run({"/bin/sh", "-c", "echo out > /dev/stdout; echo err >> /dev/stderr"});
    run.as("nobody");
    CHECK(run.words() == "out\nerr\n");
}

TEST_CASE("log: an orphan that keeps the pipe open does not delay the end") {
    Run run({"/bin/sh", "-c", "echo last; sleep 454545 & exit 2"});
    CHECK(run.launch_and_finish() == ExitStatus{ExitStatus::Kind::exited, 2, ""});
    CHECK(run.said() == "last\n");
}

TEST_CASE("log: a service that closes its output runs on") {
    Run run({"/bin/sh", "-c", "echo said; exec >&- 2>&-; sleep 0.05; exit 1"});
    CHECK(run.launch_and_finish() == ExitStatus{ExitStatus::Kind::exited, 1, ""});
    CHECK(run.said() == "said\n");
}

TEST_CASE("log: an idle shim does not wake up") {
    Run run({"/bin/sleep", "1000"});
    SUBCASE("before anything was said") {}
    SUBCASE("after a flood") {
        run.spec.command = {"/bin/sh", "-c", "yes flood | head -c 5000000; exec sleep 1000"};
    }
    const Process process = run.launch();
    const auto wake_ups = [&] { return status_of(process.pid(), "voluntary_ctxt_switches"); };
    REQUIRE(eventually([&] {
        const auto children = children_of(process.pid());
        return children.size() == 1 && status_of(children[0], "Name") == "sleep" &&
               status_of(children[0], "State").starts_with("S") && status_of(process.pid(), "State").starts_with("S");
    }));
    eventually([n = 0]() mutable { return ++n == 10; });  // what is under way ends
    const auto before = wake_ups();
    eventually([n = 0]() mutable { return ++n == 40; });  // 200 ms
    CHECK(wake_ups() == before);
}

}  // namespace
}  // namespace viscum
