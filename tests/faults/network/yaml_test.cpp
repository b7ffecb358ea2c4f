// SPDX-License-Identifier: GPL-2.0-only
// Service files that want to be expensive, through viscumctl and viscumd as they are.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "controller/ipc/client.h"
#include "tests/faults/network/faults.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

// Promised are 16 MiB, and 100 ms to read a file; a slow machine takes longer.
constexpr std::size_t kMostMemory = 32UL * 1024;  // KiB
constexpr double kMostMillis = 1'000;             // of the processor
constexpr const char* kSaid = "/tmp/viscumctl.said";

struct Cost {
    int status = -1;
    double milliseconds = 0;  // of the processor
    std::size_t kib = 0;      // at its peak
    std::string said;
};

/// viscumctl with its costs, which are the kernel's (wait4).
Cost cost_of(Scene& scene, const Argv& arguments) {
    std::vector<std::string> words = {VISCUM_BIN_DIR "/viscumctl"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    unlink(kSaid);
    pid_t child = -1;
    must(scene.bed().hotspot().inside([&]() -> Status {
        child = fork();
        if (child == 0) {
            const int out = open(kSaid, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
            dup2(out, STDOUT_FILENO);
            dup2(out, STDERR_FILENO);
            alarm(20);
            execv(argv[0], argv.data());
            _exit(127);
        }
        return child > 0 ? Status{} : Status{errno_error("cannot fork")};
    }));
    int status = 0;
    rusage used{};
    REQUIRE(wait4(child, &status, 0, &used) == child);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
    };
    Cost cost;
    cost.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    cost.milliseconds = seconds(used.ru_utime) + seconds(used.ru_stime);
    cost.kib = static_cast<std::size_t>(used.ru_maxrss);
    cost.said = must(read_file(kSaid, 1UL << 20));
    return cost;
}

std::string repeated(const std::string& unit, std::size_t times) {
    std::string out;
    for (std::size_t time = 0; time < times; ++time) {
        out += unit;
    }
    return out;
}

std::string alias_bomb() {
    std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
    for (int level = 1; level < 30; ++level) {
        const std::string one = cat("*a", level - 1);
        bomb += cat("a", level, ": &a", level, " [", one, repeated(", " + one, 8), "]\n");
    }
    return bomb;
}

/// What is wrong, and where the error must say it is.
struct Attack {
    std::string name;
    std::string text;
    std::string place;
};

std::vector<Attack> attacks() {
    const std::string head = "viscum: 1\nname: w\nintercept: [{ address: 203.0.113.20, port: 80, protocol: tcp }]\n";
    const std::string run = "run: { command: [/bin/true] }\n";
    const std::string limits = head + run + "limits: { pids: ";
    return {
        {"200,000 times [", std::string(200'000, '['), ":1:"},
        {"200,000 times {", std::string(200'000, '{'), ":1:"},
        {"100,000 times '- '", repeated("- ", 100'000), ":1:"},
        {"an alias bomb", alias_bomb(), ":1:"},
        {"a key twice", head + run + "name: v\n", ":5:1"},
        {"a tab", "viscum: 1\n\tname: w\n", ":2:"},
        {"a NUL", std::string("viscum: 1\nname: w\0b\n", 20), ":2:"},
        {"NO for a number", limits + "NO }\n", ":5:17"},
        {"an octal number", limits + "0o17 }\n", ":5:17"},
        {"an old octal number", limits + "017 }\n", ":5:17"},
        {"a sexagesimal number", limits + "12:34 }\n", ":5:17"},
        {"a number beyond all bounds", limits + repeated("9", 1'000) + " }\n", ":5:17"},
        {"bytes that are no UTF-8", head + "# \xff\xfe\n" + run, ":4:"},
        {"20,000 keys", head + repeated("a: 1\n", 20'000), ":9996:"},
        {"one line of 250 KiB", "name: " + std::string(250'000, 'a'), ":1:"},
        {"a quote that never ends", "name: \"" + std::string(250'000, ' '), ":1:"},
        {"250,000 line ends", std::string(250'000, '\n'), ":20001:"},
        {"nothing", "", ":1:1"},
        {"a tag of a type", "!!python/object:os.system {}\n", ":1:"},
        {"100 documents", repeated("---\nname: w\n", 100), ":3:1"},
    };
}

class Bill {
public:
    void add(const std::string& name, const Cost& cost) {
        CHECK_MESSAGE(cost.kib < kMostMemory, name, ": ", cost.kib, " KiB");
        CHECK_MESSAGE(cost.milliseconds < kMostMillis, name, ": ", cost.milliseconds, " ms");
        if (cost.milliseconds > slowest_.milliseconds) {
            slowest_ = cost;
            slowest_name_ = name;
        }
        if (cost.kib > largest_.kib) {
            largest_ = cost;
            largest_name_ = name;
        }
        ++count_;
    }
    void write(std::size_t daemon_kib) const {
        const std::string slowest = cat(static_cast<int>(slowest_.milliseconds + 1), " ms: ", slowest_name_);
        const std::string largest = cat(largest_.kib / 1024 + 1, " MiB: ", largest_name_);
        MESSAGE(count_, " runs; ", slowest, "; ", largest, "; viscumd at its peak ", daemon_kib, " KiB");
        must(record({.part = "control-and-yaml",
                     .title = "Service files that want to be expensive",
                     .repeat = "ctest -R 'fault 34'",
                     .values = {{"files and verbs tried", std::to_string(count_)},
                                {"the most processor time of viscumctl", slowest},
                                {"the most memory of viscumctl", largest},
                                {"viscumd's memory at its peak", cat(daemon_kib / 1024 + 1, " MiB")}}}));
    }

private:
    Cost slowest_;
    Cost largest_;
    std::string slowest_name_;
    std::string largest_name_;
    std::size_t count_ = 0;
};

std::size_t peak_of(pid_t pid) {
    const std::string text = must(read_file(cat("/proc/", pid, "/status"), 65'536));
    return std::strtoul(text.c_str() + text.find("VmHWM:") + 6, nullptr, 10);
}

}  // namespace

TEST_CASE("fault 34: files that want to be expensive are refused with their place, cheaply, and change nothing") {
    Scene scene;
    scene.deploy(web_service());
    const auto flow = steady_flow(scene);
    const Snapshot before = must(take_snapshot());
    const DiskState saved = disk(scene);
    Bill bill;
    for (const Attack& attack : attacks()) {
        CAPTURE(attack.name);
        const std::string path = must(write_service("hostile", attack.text));
        for (const std::string verb : {"validate", "deploy", "plan"}) {
            CAPTURE(verb);
            const Cost cost = cost_of(scene, {verb, path});
            CHECK(cost.status == 2);
            CHECK_MESSAGE(cost.said.find(path + attack.place) != std::string::npos, cost.said);
            CHECK(cost.said.size() < 100'000);
            bill.add(cat(verb, " of ", attack.name), cost);
        }
    }
    // What is not read at all: it is too long, or has no end.
    const UniqueFd large(open("/tmp/large.yaml", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(ftruncate(large.get(), 100'000'000) == 0);
    REQUIRE(mkfifo("/tmp/pipe.yaml", 0600) == 0);
    for (const std::string path : {"/tmp/large.yaml", "/dev/zero", "/tmp/pipe.yaml", "/tmp"}) {
        for (const std::string verb : {"validate", "deploy"}) {
            CAPTURE(path);
            CAPTURE(verb);
            const Cost cost = cost_of(scene, {verb, path});
            CHECK(cost.status == 2);
            CHECK(cost.said.find(path) != std::string::npos);
            bill.add(cat(verb, " of ", path), cost);
        }
    }
    unlink("/tmp/pipe.yaml");
    bill.write(peak_of(scene.viscumd().pid()));
    CHECK(join(must(leaks_since(before, kBack, comes_and_goes)), "\n") == "");
    check_state(scene, saved, saved);
    CHECK(join(complaints(scene), "\n") == "");
    const FlowSummary seen = flow->stop();
    check_flow("a client beside hostile files", seen);
    CHECK(seen.cloud == 0);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 34: viscumd itself refuses what viscumctl would not have sent") {
    Scene scene;
    scene.deploy(web_service());
    const auto flow = steady_flow(scene);
    const DiskState saved = disk(scene);
    const std::size_t peak = peak_of(scene.viscumd().pid());
    for (const Attack& attack : attacks()) {
        CAPTURE(attack.name);
        Request request;
        request.verb = "deploy";
        request.files = {{"hostile.yaml", attack.text}};
        auto client = must(Client::connect(scene.viscumd().instance().socket_path()));
        must(client.limit_silence(kLimit));
        const auto answer = client.ask(request, [](const Response&) {});
        REQUIRE_MESSAGE(answer, answer.error().what);
        // JSON has no such bytes: they are others by then, and stand in a comment.
        const bool harmless = attack.name == "bytes that are no UTF-8";
        CHECK(answer->code == (harmless ? Code::unhealthy : Code::invalid));
        CHECK(join(answer->details, "\n").size() + answer->message.size() < 100'000);
    }
    const std::size_t grown = peak_of(scene.viscumd().pid());
    MESSAGE("viscumd: ", peak, " KiB at its peak before, ", grown, " KiB after");
    CHECK(grown < kMostMemory);
    CHECK(eventually(kLimit, [&] { return scene.status("w").name.empty(); }));
    check_state(scene, saved, saved);
    const FlowSummary seen = flow->stop();
    check_flow("a client beside hostile requests", seen);
    CHECK(seen.cloud == 0);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
