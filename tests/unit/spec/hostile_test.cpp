// SPDX-License-Identifier: GPL-2.0-only
// Texts that want to be expensive. Each is parsed in a child that is killed when it takes more than a second of
// processor time or 16 MB more of memory.
#include <doctest/doctest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <functional>
#include <new>
#include <vector>

#include "base/unique_fd.h"
#include "spec_texts.h"

using namespace viscum;
using namespace viscum::test;

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kMemoryLimit = false;  // its shadow memory is far beyond any limit
#else
constexpr bool kMemoryLimit = true;
#endif

constexpr rlim_t kGrowth = 16UL * 1024 * 1024;
constexpr std::size_t kFull = 256UL * 1024;

bool lower(__rlimit_resource_t resource, rlim_t soft) {
    rlimit limit{};
    if (getrlimit(resource, &limit) != 0) {
        return false;
    }
    limit.rlim_cur = std::min(soft, limit.rlim_max);
    return setrlimit(resource, &limit) == 0;
}

bool limit_this_process() {
    malloc_trim(0);
    std::ifstream statm("/proc/self/statm");
    rlim_t pages = 0;
    statm >> pages;
    const bool memory =
        !kMemoryLimit || (pages > 0 && lower(RLIMIT_AS, pages * static_cast<rlim_t>(getpagesize()) + kGrowth));
    return memory && lower(RLIMIT_CPU, 1) && lower(RLIMIT_CORE, 0);
}

/// Whether `work` says yes, in a child with the limits.
bool within_limits(const std::function<bool()>& work) {
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);  // not the test runner's
        try {
            _exit(limit_this_process() && work() ? 0 : 1);
        } catch (const std::bad_alloc&) {
            _exit(2);
        }
    }
    int status = -1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

bool refused_cheaply(const std::string& text) {
    return within_limits([&] { return std::holds_alternative<Diagnostics>(parse_service(text, "a")); });
}

std::string filled(std::string_view unit, std::string_view before = "", std::string_view behind = "") {
    return std::string(before) + repeated(unit, (kFull - before.size() - behind.size()) / unit.size()) +
           std::string(behind);
}

const std::string kTooMany = ": too many elements (more than 20000 indicators such as '[' and ':', and lines)";

}  // namespace

TEST_CASE("spec: the memory limit of these tests holds") {
    CHECK(within_limits([] { return std::vector<char>(8UL * 1024 * 1024).size() > 0; }));
    if (!kMemoryLimit) {
        MESSAGE("skipped: no memory limit under AddressSanitizer");
    } else {
        CHECK_FALSE(within_limits([] { return std::vector<char>(32UL * 1024 * 1024).size() > 0; }));
    }
}

TEST_CASE("spec: deep nesting is refused") {
    CHECK(refused_cheaply(repeated("[", 200'000)));
    CHECK(service_says(repeated("[", 200'000)) == "web.yaml:1:20001" + kTooMany);
    CHECK(refused_cheaply(repeated("{", 200'000)));
    CHECK(service_says(repeated("{", 200'000)) == "web.yaml:1:20001" + kTooMany);
    CHECK(refused_cheaply(repeated("- ", 100'000)));
    CHECK(service_says(repeated("- ", 100'000)) == "web.yaml:1:40001" + kTooMany);
    CHECK(refused_cheaply(repeated("? ", 100'000)));
    for (const std::string unit : {"[", "{", "- ", "? ", "{a: ", "[{a: ", ": ", "- - [", "\"\": {"}) {
        CHECK(refused_cheaply(repeated(unit, 20'000 / unit.size())));
    }
    CHECK(service_says(repeated("- ", 100)) == "web.yaml:1:33: nested too deep (at most 16 levels)");
    CHECK(says("x: " + repeated("[", 100) + repeated("]", 100)) ==
          "web.yaml:5:19: nested too deep (at most 16 levels)");
    CHECK(says("x: " + repeated("{a: ", 100) + repeated("}", 100)) ==
          "web.yaml:5:64: nested too deep (at most 16 levels)");
}

TEST_CASE("spec: an alias bomb is refused and never unfolded") {
    std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 30; ++i) {
        const std::string one = "*a" + std::to_string(i - 1);
        bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + one + repeated(", " + one, 8) + "]\n";
    }
    CHECK(refused_cheaply(bomb));
    CHECK(service_says(bomb).find("web.yaml:1:5: an anchor (anchors and aliases are not supported") !=
          std::string::npos);
}

TEST_CASE("spec: texts of the full length are refused cheaply") {
    for (
        const std::string unit :
        {"a",      "a ",           "a\n",     "\n",       " ",   "#",   "# ",    "\"",    "'",     "''",   "\"\\n",
         "a: 1\n", "- a\n",        "a,",      "\"\",",    "[],", "{},", "a:",    "a: b,", ":",     ":\n",  "&a ",
         "*a ",    "*a,",          "!",       "!a ",      "|\n", ">\n", "---\n", "...\n", "a #\n", "%a\n", "%TAG a b\n",
         "-",      "- ",           "?",       "? ",       ",",   "]",   "}",     "\t",    "\r\n",  "\\",   "@",
         "`",      "\xe2\x82\xac", "<<: x\n", "name: a\n"}) {
        CAPTURE(unit);
        CHECK(refused_cheaply(filled(unit)));
        CHECK(refused_cheaply(filled(unit, "[")));
    }
    for (const std::string unit : {"a", " ", "\\n", "\\x41", "''", "aaaaaaaaaaaaaaa\n "}) {
        CAPTURE(unit);
        CHECK(refused_cheaply(filled(unit, "a: \"", "\"")));
        CHECK(refused_cheaply(filled(unit, "a: '", "'")));
        CHECK(refused_cheaply(filled(unit, "- |\n ")));
    }
}

TEST_CASE("spec: texts right below the bound of indicators are refused cheaply") {
    for (const std::string unit :
         {"a,", "aaaaaaaaaaaa,", "\"\",", "[],", "a: b,", "&a b,", "a #bbbbbb\n", ": ,", "[a],"}) {
        const auto indicators = std::count_if(unit.begin(), unit.end(), [](char c) {
            return std::string_view("[]{},:?&*!|>'\"#\n").find(c) != std::string_view::npos;
        });
        const std::string text = repeated(unit, 19'900 / static_cast<std::size_t>(indicators));
        CAPTURE(unit);
        CHECK(refused_cheaply("[" + text));
        CHECK(refused_cheaply("a: {" + text + "}"));
    }
}

TEST_CASE("spec: thousands of mistakes cost no more than twenty") {
    std::string unknown;
    std::string variables = kService.substr(0, kService.rfind("run:")) + "run:\n  env:\n";
    for (int i = 0; i < 9'000; ++i) {
        unknown += "nam" + std::to_string(i) + ": x\n";
        variables += "    1" + std::to_string(i) + ": x\n";
    }
    CHECK(refused_cheaply(unknown));
    CHECK(refused_cheaply(variables));
    CHECK(refused_cheaply(repeated("name: x\n", 9'000)));
    CHECK(refused_cheaply("intercept: [" + repeated("{a: b},", 4'900) + "]"));
    CHECK(refused_cheaply(kService + "sandbox: { allow: [" + repeated("cap_x,", 19'000) + "] }"));
    CHECK(refused_cheaply(kService + "egress: [" + repeated("'[::1]:x',", 4'500) + "]"));
    CHECK(refused_cheaply(kService + "files: [" + repeated("{path: /a/b},", 4'000) + "]"));
    CHECK(refused_cheaply(kService + "limits: { memory: " + repeated("9", 200'000) + "K }"));
    CHECK(refused_cheaply("run: { writable: [" + repeated("/a/", 60'000) + "] }"));
    CHECK(within_limits([] {
        const auto text = "lan: [" + repeated("a/b,", 19'000) + "]";
        return std::holds_alternative<Diagnostics>(parse_router_config(text, "a"));
    }));
    CHECK(refused_cheaply(repeated("k", 100'000) + ": [" + repeated("[a],", 4'900) + "]"));
}

TEST_CASE("spec: a text that is too long is refused unread") {
    CHECK(service_says(kService + std::string(kFull, '#')) == "web.yaml:1:1: the file is longer than 262144 bytes");
    CHECK(service_says(kService + "#" + std::string(kFull - kService.size() - 1, 'c')) == "accepted");
}

TEST_CASE("spec: only a regular file of bounded length is read") {
    char path[] = "/tmp/viscum-spec-XXXXXX";
    const UniqueFd fd(mkstemp(static_cast<char*>(path)));
    REQUIRE(fd);
    const std::string name(static_cast<char*>(path));
    REQUIRE(ftruncate(fd.get(), 100'000'000) == 0);
    const auto large = read_spec_file(name);
    REQUIRE_FALSE(large);
    CHECK(large.error() == Error{EFBIG, "'" + name + "' is longer than 262144 bytes"});

    REQUIRE(ftruncate(fd.get(), 0) == 0);
    REQUIRE(pwrite(fd.get(), kService.data(), kService.size(), 0) == static_cast<ssize_t>(kService.size()));
    const auto text = read_spec_file(name);
    REQUIRE(text);
    CHECK(*text == kService);
    REQUIRE(unlink(name.c_str()) == 0);

    const auto gone = read_spec_file(name);
    REQUIRE_FALSE(gone);
    CHECK(gone.error() == Error{ENOENT, "cannot open '" + name + "': No such file or directory"});
    for (const std::string other : {"/dev/zero", "/tmp"}) {
        const auto refused = read_spec_file(other);
        REQUIRE_FALSE(refused);
        CHECK(refused.error() == Error{EINVAL, "'" + other + "' is no regular file"});
    }
}

TEST_CASE("spec: '-' is standard input, as bounded as a file") {
    const auto from_pipe = [](const std::string& text) {
        int ends[2] = {-1, -1};
        REQUIRE(pipe(static_cast<int*>(ends)) == 0);
        UniqueFd from(ends[0]);
        UniqueFd to(ends[1]);
        const UniqueFd saved(dup(STDIN_FILENO));
        const pid_t writer = fork();
        if (writer == 0) {
            from.reset();
            _exit(write(to.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1);
        }
        to.reset();
        dup2(from.get(), STDIN_FILENO);
        auto result = read_spec_file("-");
        dup2(saved.get(), STDIN_FILENO);
        from.reset();  // a writer that has more to say is told so
        int status = 0;
        waitpid(writer, &status, 0);
        return result;
    };
    const auto text = from_pipe(kService);
    REQUIRE(text);
    CHECK(*text == kService);
    const auto large = from_pipe(std::string(1'000'000, '#'));
    REQUIRE_FALSE(large);
    CHECK(large.error() == Error{EFBIG, "standard input is longer than 262144 bytes"});
}
