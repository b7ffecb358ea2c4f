// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/journal.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/text.h"

using namespace viscum;
using namespace std::chrono_literals;

namespace {

Event make(std::string kind, std::string text = "it is so", std::string service = "web") {
    Event event;
    event.kind = std::move(kind);
    event.service = std::move(service);
    event.text = std::move(text);
    event.time_ms = 1'000;
    return event;
}

struct Folder {
    Folder() {
        char name[] = "/tmp/viscum-journal-XXXXXX";
        path = cat(mkdtemp(name), "/events");
    }
    ~Folder() { std::filesystem::remove_all(std::filesystem::path(path).parent_path()); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::string text(const char* suffix = "") const {
        const auto read = read_file(path + suffix, 1'000'000);
        return read ? *read : "nothing";
    }
    std::string path;
};

ServiceNow service(bool healthy, bool served) {
    ServiceNow now;
    now.state = RunState::up;
    now.starts = 1;
    now.process = true;
    now.healthy = healthy;
    now.served = served;
    now.end = [] { return "killed by SIGKILL"; };
    now.why = [] { return "no answer within 1s"; };
    return now;
}

std::string told(const std::vector<Event>& events) {
    std::vector<std::string> lines;
    for (const auto& event : events) {
        lines.push_back(cat(event.kind, '(', event.service, "): ", event.text));
    }
    return join(lines, "\n");
}

std::string told(Story& story, const ServiceNow& now, BootTime at) {
    return told(story.look({{"web", now}}, at));
}

}  // namespace

TEST_CASE("event: a line is read back as it was, whatever bytes it holds") {
    Event event = make("unhealthy", "\x1b[2J\n\"\\\t\x7f\xff and \xc3\xa9");
    event.time_ms = 1'767'323'045'678;
    CHECK(utc_text(event.time_ms) == "2026-01-02T03:04:05.678Z");
    const std::string line = event_line(event);
    CHECK(line.find('\n') == line.size() - 1);
    CHECK(line.find('\x1b') == std::string::npos);
    const auto back = read_event(line);
    REQUIRE(back);
    CHECK(back->text == "\x1b[2J\n\"\\\t\x7f\xef\xbf\xbd and \xc3\xa9");
    event.text = "plain";
    event.times = 37;
    event.since_ms = 1'767'300'000'000;
    CHECK(read_event(event_line(event)) == event);
}

TEST_CASE("event: a long text is cut between characters, and what is no event is none") {
    std::string long_text;
    while (long_text.size() < 5'000) {
        long_text += "\x01\xc3\xa9";
    }
    const std::string line = event_line(make("exited", long_text));
    CHECK(line.size() <= kEventLineLimit);
    CHECK(line.size() > kEventLineLimit - 64);
    REQUIRE(read_event(line));
    CHECK(read_event(line)->text.find("\xef\xbf\xbd") == std::string::npos);
    CHECK(long_text.starts_with(read_event(line)->text));
    CHECK(event_line(make(std::string(2'000, 'k'))).empty());
    const std::string whole = event_line(make("exited"));
    for (std::size_t size = 0; size + 1 < whole.size(); ++size) {
        CHECK_FALSE(read_event(whole.substr(0, size)));
    }
    CHECK_FALSE(read_event(R"({"time":"2026-02-30T03:04:05.678Z","kind":"a","service":"","text":""})"));
    CHECK_FALSE(read_event(R"({"time":"2026-02-03T03:04:05.678Z","kind":"","service":"","text":""})"));
    CHECK_FALSE(read_event(R"({"time":"2026-02-03T03:04:05.678Z","kind":"a","service":1,"text":""})"));
    CHECK(read_event(R"({"time":"2026-02-03T03:04:05.678Z","kind":"a","service":"","text":"","new":[1]})"));
}

TEST_CASE("folding: the first few go through, then one in a while stands for all since") {
    Folding folding({2, 100ms});
    CHECK(folding.take(make("exited", "1"), 0ms)->text == "1");
    CHECK(folding.take(make("exited", "2"), 1ms)->text == "2");
    CHECK_FALSE(folding.take(make("exited", "3"), 2ms));
    CHECK_FALSE(folding.take(make("exited", "4"), 3ms));
    CHECK(folding.take(make("healthy", "other kinds have their own"), 3ms));
    CHECK(folding.take(make("exited", "other services have their own", "dns"), 3ms));
    CHECK(folding.next_due() == BootTime(100ms));
    CHECK(folding.due(99ms).empty());
    auto due = folding.due(100ms);
    REQUIRE(due.size() == 1);
    CHECK(due[0].text == "4");
    CHECK(due[0].times == 2);
    CHECK_FALSE(folding.next_due());
    CHECK_FALSE(folding.take(make("exited", "5"), 150ms));
    Event last = make("exited", "6");
    last.time_ms = 9'000;
    const auto six = folding.take(last, 200ms);
    REQUIRE(six);
    CHECK(six->times == 2);
    CHECK(six->since_ms == 1'000);
    CHECK(six->time_ms == 9'000);
    CHECK(folding.take(make("exited", "7"), 1s)->times == 1);
    CHECK(folding.take(make("exited", "8"), 1s));
    CHECK_FALSE(folding.take(make("exited", "9"), 1s));
    CHECK(folding.all().size() == 1);
    CHECK(folding.all().empty());
}

TEST_CASE("folding: a service that flaps all day writes a bounded number of lines") {
    Folding folding({4, 600s});
    std::uint64_t written = 0;
    std::uint64_t happened = 0;
    for (BootTime now = 0s; now < 24h; now += 1s) {
        for (const auto& event : folding.due(now)) {
            ++written;
            happened += event.times;
        }
        if (const auto event = folding.take(make("exited"), now)) {
            ++written;
            happened += event->times;
        }
    }
    for (const auto& event : folding.all()) {
        happened += event.times;
    }
    CHECK(written <= 4 + 144);
    CHECK(happened == 86'400);
}

TEST_CASE("story: nothing at the first look, and nothing where nothing changes") {
    Story story;
    CHECK(told(story, service(true, true), 1s) == "");
    CHECK(told(story, service(true, true), 2s) == "");
}

TEST_CASE("story: a process that ends, what becomes of its flows, and how long that took") {
    Story story;
    CHECK(told(story, service(true, true), 1s) == "");
    ServiceNow now = service(false, false);
    now.process = false;
    now.state = RunState::backoff;
    now.sign = FirstSign::Sign{10s, FirstSign::Cause::exited};
    CHECK(told(story, now, 10s + 3'100us) ==
          "exited(web): its process ended: killed by SIGKILL; it is started again after a pause\n"
          "cloud(web): its new flows go to the cloud: its process ended, and 3.1 ms later the rules stood");
    now.process = true;
    now.starts = 2;
    now.state = RunState::starting;
    CHECK(told(story, now, 11s) == "");
    now = service(true, true);
    now.starts = 2;
    CHECK(told(story, now, 12s) ==
          "healthy(web): it is started again, and healthy again, after 2.0 s\n"
          "local(web): its new flows are served here again, after 1.9 s");
    // So fast that no look came between.
    now.starts = 3;
    CHECK(told(story, now, 13s).starts_with("exited(web): its process ended: killed by SIGKILL"));
}

TEST_CASE("story: probes that fail, a hold-down, and an end for good") {
    Story story;
    story.look({{"web", service(true, true)}}, 1s);
    ServiceNow now = service(false, false);
    now.sign = FirstSign::Sign{4s, FirstSign::Cause::unhealthy};
    now.on_failure = OnFailure::drop;
    CHECK(told(story, now, 5s) ==
          "unhealthy(web): it is unhealthy: no answer within 1s\n"
          "cloud(web): its new flows are dropped: its probes failed, and 1.0 s later the rules stood");
    now = service(true, false);
    now.held_down = true;
    CHECK(
        told(story, now, 6s) ==
        "healthy(web): it is healthy again, after 2.0 s\n"
        "held-down(web): it went down too often, and is held down: its new flows go to the cloud for a while even when "
        "it is healthy");
    now = service(false, false);
    now.process = false;
    now.state = RunState::failed;
    CHECK(told(story, now, 7s) ==
          "failed(web): its process ended: killed by SIGKILL; its file asks for no other start");
}

TEST_CASE("story: what cannot be started, what is drained, and what goes") {
    Story story;
    story.look({{"web", service(true, true)}}, 1s);
    ServiceNow now = service(true, false);
    now.drained = true;
    CHECK(told(story, now, 2s) == "cloud(web): its new flows go to the cloud: it is drained");
    now.removed = true;
    now.state = RunState::stopping;
    CHECK(told(story, now, 3s) == "");
    now.process = false;
    CHECK(told(story, now, 4s) == "");
    CHECK(told(story.look(std::map<std::string, ServiceNow>{}, 5s)) == "gone(web): nothing of it is left here");
    now = service(false, false);
    now.process = false;
    now.state = RunState::preparing;
    now.starts = 0;
    CHECK(told(story, now, 6s) == "");
    now.state = RunState::backoff;
    CHECK(told(story, now, 7s) == "not-started(web): it cannot be started, and is tried again: no answer within 1s");
}

TEST_CASE("story: another version's run is none of this one's") {
    Story story;
    story.look({{"web", service(true, true)}}, 1s);
    ServiceNow now = service(true, true);
    now.slot = 1;
    now.starts = 5;
    CHECK(told(story, now, 2s) == "");
}

TEST_CASE("story: LAN devices come, go, and get their filter back") {
    Story story;
    const LanDevice plain{"lan1", "", true, "", true};
    story.look(std::vector<LanDevice>{plain});
    CHECK(told(story.look(std::vector<LanDevice>{plain, {"wlan0", "br-lan", true, "", true}})) ==
          "lan-attached(): wlan0: its packets are looked at, as a port of br-lan");
    Step attach{Step::Kind::attach_lan, {}, "lan1"};
    story.did(attach);
    CHECK(told(story.look(std::vector<LanDevice>{plain})) ==
          "lan-mended(): lan1: the filter was put back: another tool had removed it\n"
          "lan-gone(): wlan0: the device is gone, or 'lan:' does not name it any more");
    CHECK(told(story.look(std::vector<LanDevice>{{"lan1", "", false, "it has no room", true}})) ==
          "lan-trouble(): lan1: it has no room");
    story.did(attach);
    CHECK(told(story.look(std::vector<LanDevice>{plain})) == "lan-attached(): lan1: its packets are looked at");
}

TEST_CASE("story: a link that another tool removed is told, and one that is made first is not") {
    Story story;
    const Step link{Step::Kind::make_link, {"web", 0}, ""};
    story.did(link);
    story.look({{"web", service(true, true)}}, 1s);
    CHECK(told(story, service(true, true), 2s) == "");
    story.did(link);
    CHECK(told(story, service(true, true), 3s) == "mended(web): its link was made again: another tool had removed it");
}

TEST_CASE("journal: a torn line is ended, and nothing else is lost") {
    const Folder folder;
    REQUIRE(append_lines(folder.path, "one\n", true));
    std::ofstream(folder.path, std::ios::app) << "to";
    REQUIRE(append_lines(folder.path, "two\n", false));
    CHECK(folder.text() == "one\nto\ntwo\n");
}

TEST_CASE("journal: two generations, each bounded") {
    const Folder folder;
    const std::string line = std::string(999, 'x') + "\n";
    for (int i = 0; i < 200; ++i) {
        REQUIRE(append_lines(folder.path, line, false));
    }
    CHECK(folder.text().size() <= kJournalLimit);
    CHECK(folder.text(".1").size() <= kJournalLimit);
    CHECK(folder.text(".1").size() > kJournalLimit - 1001);
}

TEST_CASE("journal: what is no file of ours is an error, and no wait") {
    const Folder folder;
    std::filesystem::create_directory(folder.path);
    CHECK_FALSE(append_lines(folder.path, "one\n", false));
    std::filesystem::remove(folder.path);
    REQUIRE(mkfifo(folder.path.c_str(), 0600) == 0);
    CHECK_FALSE(append_lines(folder.path, "one\n", false));
    std::filesystem::remove(folder.path);
    CHECK(symlink("/dev/null", folder.path.c_str()) == 0);
    CHECK_FALSE(append_lines(folder.path, "one\n", false));
}

TEST_CASE("journal: a full disk leaves no half of a line behind") {
    const Folder folder;
    REQUIRE(append_lines(folder.path, "one\n", false));
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const auto old = std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit = before;
    limit.rlim_cur = 10;
    setrlimit(RLIMIT_FSIZE, &limit);
    const auto status = append_lines(folder.path, "two, which is longer\n", false);
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, old);
    CHECK_FALSE(status);
    CHECK(folder.text() == "one\n");
    CHECK(append_lines(folder.path, "three\n", false));
}

TEST_CASE("journal: a viscumd that ended without a word is known by its last one") {
    const Folder folder;
    CHECK_FALSE(ended_without_word(folder.path));
    REQUIRE(append_lines(folder.path, event_line(make("started", "", "")), false));
    CHECK(ended_without_word(folder.path));
    REQUIRE(append_lines(folder.path, event_line(make("exited")) + "{\"torn\n", false));
    CHECK(ended_without_word(folder.path));
    REQUIRE(append_lines(folder.path, event_line(make("stopped", "", "")), false));
    std::filesystem::rename(folder.path, folder.path + ".1");
    REQUIRE(append_lines(folder.path, event_line(make("started", "", "web")), false));
    CHECK_FALSE(ended_without_word(folder.path));
}
