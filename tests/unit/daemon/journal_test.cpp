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

std::vector<Event> events_in(const Folder& folder) {
    std::vector<Event> events;
    for (const char* suffix : {".1", ""}) {
        for (const auto& line : split(folder.text(suffix), '\n')) {
            if (auto event = read_event(line)) {
                events.push_back(*std::move(event));
            }
        }
    }
    return events;
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

TEST_CASE("journal: more lines at once than a generation holds leave each of them bounded, and the last ones whole") {
    const Folder folder;
    REQUIRE(append_lines(folder.path, "before\n", false));
    std::string lines;
    for (int i = 0; i < 300; ++i) {
        lines += std::string(999, static_cast<char>('a' + i % 26)) + "\n";
    }
    REQUIRE(append_lines(folder.path, lines, true));
    CHECK(folder.text().size() <= kJournalLimit);
    CHECK(folder.text(".1").size() <= kJournalLimit);
    CHECK(lines.ends_with(folder.text(".1") + folder.text()));
    CHECK(folder.text(".1").size() > kJournalLimit - 1001);
    CHECK_FALSE(append_lines(folder.path, std::string(kJournalLimit, 'x'), false));
}

TEST_CASE("journal: a viscumd that ended without a word is known by its last one") {
    const Folder folder;
    auto loop = EventLoop::open();
    REQUIRE(loop);
    const auto ended_without_word = [&] {
        return Journal(**loop, folder.path, folder.path + ".start").ended_without_word();
    };
    CHECK_FALSE(ended_without_word());
    REQUIRE(append_lines(folder.path, event_line(make("started", "", "")), false));
    CHECK(ended_without_word());
    REQUIRE(append_lines(folder.path, event_line(make("exited")) + "{\"torn\n", false));
    CHECK(ended_without_word());
    REQUIRE(append_lines(folder.path, event_line(make("stopped", "", "")), false));
    std::filesystem::rename(folder.path, folder.path + ".1");
    REQUIRE(append_lines(folder.path, event_line(make("started", "", "web")), false));
    CHECK_FALSE(ended_without_word());
}

TEST_CASE("journal: hundreds of services that start or are drained at once leave the history before") {
    const Folder folder;
    auto loop = EventLoop::open();
    REQUIRE(loop);
    std::string history;
    while (history.size() < kJournalLimit) {
        history += event_line(make("unhealthy"));
    }
    REQUIRE(append_lines(folder.path, history, false));
    std::vector<std::string> names;
    for (int i = 0; i < 800; ++i) {
        names.push_back(cat("service-with-a-name-", i));
    }
    Journal journal(**loop, folder.path, folder.path + ".start");
    for (const char* kind : {"up", "local"}) {
        for (const auto& name : names) {
            journal.note(kind, name, "it is so, and the sentence is about as long as they are");
        }
    }
    journal.begin_request("ops");
    for (const auto& name : names) {
        journal.note("drained", name, "drained: new flows go to the cloud until it is resumed");
    }
    journal.end_request();
    const std::string drain = events_in(folder).back().text;
    CHECK(drain.starts_with("800 services (service-with-a-name-0, service-with-a-name-1, "));
    CHECK(drain.ends_with(" and 792 more): drained: new flows go to the cloud until it is resumed"));
    journal.finish("it ended");
    std::map<std::string, std::uint64_t> counts;
    std::size_t lines = 0;
    for (const auto& event : events_in(folder)) {
        counts[event.kind] += event.times;
        lines += event.kind == "unhealthy" ? 0U : 1U;
    }
    CHECK(counts["up"] == 800);
    CHECK(counts["local"] == 800);
    CHECK(counts["drained"] == 800);
    CHECK(counts["stopped"] == 1);
    CHECK(counts["unhealthy"] * event_line(make("unhealthy")).size() == history.size());
    CHECK(lines == 2 * 17 + 2);
}

TEST_CASE("journal: a few services at once have a line each") {
    const Folder folder;
    auto loop = EventLoop::open();
    REQUIRE(loop);
    Journal journal(**loop, folder.path, folder.path + ".start");
    journal.begin_request("");
    for (int i = 0; i < 16; ++i) {
        journal.note("drained", cat("s", i), "drained");
        journal.note("cloud", cat("s", i), "its new flows go to the cloud");
    }
    journal.end_request();
    CHECK(events_in(folder).size() == 32);
    CHECK(events_in(folder).back().service == "s15");
}

TEST_CASE("journal: a viscumd that is started again and again writes a few lines, and none of its starts is lost") {
    const Folder folder;
    auto loop = EventLoop::open();
    REQUIRE(loop);
    const auto start = [&] {
        auto journal = std::make_unique<Journal>(**loop, folder.path, folder.path + ".start");
        journal->tell_start("viscumd started");
        journal->note("not-served", "web", "its file stands and it is not served");
        return journal;
    };
    for (int i = 0; i < 100; ++i) {
        start();  // and ends without a word
    }
    CHECK(events_in(folder).size() == 1 + 4 + 4);
    start()->finish("it ended");
    std::uint64_t starts = 0;
    for (const auto& event : events_in(folder)) {
        starts += event.kind == "started" ? event.times : 0;
    }
    CHECK(starts == 101);
    CHECK(events_in(folder).back().kind == "stopped");
    CHECK_FALSE(std::filesystem::exists(folder.path + ".start"));
    // One that follows an end in order is told at once.
    start();
    CHECK(events_in(folder).back().text == "viscumd started");
    CHECK(events_in(folder).back().times == 1);
}

TEST_CASE("journal: where the file is another viscumd's nothing is written") {
    const Folder folder;
    auto loop = EventLoop::open();
    REQUIRE(loop);
    Journal journal(**loop, folder.path, folder.path + ".start");
    journal.note("exited", "web", "one");
    journal.give_up();
    journal.note("exited", "web", "two");
    journal.finish("it ended");
    CHECK(events_in(folder).size() == 1);
}
