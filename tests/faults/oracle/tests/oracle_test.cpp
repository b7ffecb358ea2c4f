// SPDX-License-Identifier: GPL-2.0-only
// The oracles themselves: each finds what it is there for. An oracle that sees nothing would let everything pass.
#include "tests/faults/oracle/oracle.h"

#include <doctest/doctest.h>

#include "base/file.h"
#include "base/text.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

const Instance kInstance{"viscumtest"};
std::string service_text() {
    return web_service().text();
}

void write(const std::string& path, const std::string& bytes) {
    must(make_directory(path.substr(0, path.rfind('/')), 0755));
    must(write_file_atomically(path, bytes, 0644));
}

DiskState disk() {
    return must(read_disk_state(kInstance));
}

std::string state_file(int parity) {
    return cat(kInstance.state_dir(), "/state.", parity);
}

std::string service_file() {
    return cat(kInstance.services_dir(), "/web.yaml");
}

constexpr std::string_view kLog =
    "2026-01-31T12:00:00.000Z info web: up\n"
    "2026-01-31T12:00:00.100Z warning cannot write '/x': No space left on device\n"
    "and a second line of it\n"
    "2026-01-31T12:00:00.200Z warning cannot write '/x': No space left on device\n"
    "and a second line of it\n";

}  // namespace

TEST_CASE("STATE: the newer of two generations counts, and the old or the new one is no fault") {
    write(state_file(0), encode_state({.drained = {"web"}, .numbers = {}, .images = {}, .trials = {}}, 2));
    write(service_file(), service_text());
    const DiskState before = disk();
    CHECK(before.generation == 2);
    write(state_file(1), encode_state({}, 3));
    const DiskState after = disk();
    CHECK(after.generation == 3);
    CHECK_FALSE(before.same_as(after));
    CHECK(judge_state(before, before, after).empty());
    CHECK(judge_state(after, before, after).empty());
}

TEST_CASE("STATE: a third state, a torn generation, and a service file that is cut are each found") {
    write(state_file(0), encode_state({}, 2));
    write(service_file(), service_text());
    const DiskState before = disk();
    write(state_file(1), encode_state({.drained = {"other"}, .numbers = {}, .images = {}, .trials = {}}, 3));
    CHECK(judge_state(disk(), before, before).size() == 1);
    write(state_file(1), "viscum-state 1 3 ");
    CHECK(judge_state(disk(), before, before).size() == 1);
    must(remove_file(state_file(1)));
    write(service_file(), service_text().substr(0, service_text().size() / 2));
    CHECK(judge_state(disk(), before, before).size() == 2);
    must(remove_file(service_file()));
    CHECK(judge_state(disk(), before, before).size() == 1);
}

TEST_CASE("LOG: the cause, said in one line or again, and nothing else") {
    CHECK(log_lines(kLog).size() == 3);
    CHECK(judge_log(kLog, "No space left").empty());
    CHECK(judge_log(kLog, "Input/output error").size() == 2);
    CHECK(judge_log("", "No space left").size() == 1);
    CHECK(judge_log(cat(kLog, "2026-01-31T12:00:01.000Z error out of luck\n"), "No space left").size() == 1);
    CHECK(judge_log(cat(kLog, "2026-01-31T12:00:01.000Z error No space left, once more\n"), "No space left").size() ==
          1);
}

TEST_CASE("LEAK: a namespace, a device, a process and a file that came are found, and that one went") {
    const Snapshot before = must(take_snapshot());
    const NetNs made = must(NetNs::create("left-behind"));
    must(output_of({"ip", "link", "add", "left0", "type", "veth", "peer", "name", "left1"}));
    auto sleeper = std::make_unique<Program>(must(Program::start({.argv = {"sleep", "60"}})));
    write("/run/left-behind", "");
    const auto lines = join(difference(before, must(take_snapshot())), "\n");
    for (const char* found : {"left-behind", "left0", "process sleep", "file /run/left-behind"}) {
        CAPTURE(found);
        CHECK(lines.find(found) != std::string::npos);
    }
    const Snapshot later = must(take_snapshot());
    sleeper.reset();
    CHECK(eventually(kLimit, [&] {
        return difference(later, must(take_snapshot())) == std::vector<std::string>{"- process sleep"};
    }));
    must(output_of({"ip", "link", "del", "left0"}));
    must(remove_net_ns_name("left-behind"));
    must(remove_file("/run/left-behind"));
}

TEST_CASE("FLOW: a server that goes is a failure, and one that answers is none") {
    const auto bed = must(Bed::make({}));
    auto server =
        std::make_unique<Program>(must(start_server(must(nginx("cloud", "cloud", {"80"})), bed->cloud(), 80)));
    FlowClient well(bed->client(1), {.request = {.to = kWeb}});
    CHECK(well.wait_for("cloud", boot_now(), kLimit));
    const FlowSummary good = well.stop();
    CHECK(good.requests > 0);
    CHECK(good.failed + good.resets == 0);
    server.reset();
    FlowClient ill(bed->client(1), {.request = {.to = kWeb}});
    CHECK(eventually(kLimit, [&] { return !ill.records().empty(); }));
    CHECK(ill.stop().failed > 0);
}

}  // namespace viscum
