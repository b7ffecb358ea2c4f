// SPDX-License-Identifier: GPL-2.0-only
#include "tests/openwrt/fixture.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/text.h"

namespace viscum::test {
namespace {

const std::string kSource = VISCUM_SOURCE_DIR;
const std::string kStubs = kSource + "/tests/openwrt/stubs";
constexpr const char* kUbus = "/ubus";
constexpr const char* kRunning = "/running";

std::string contents(const std::string& path) {
    std::ifstream stream(path);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

}  // namespace

Router::Router() {
    char name[] = "/tmp/viscum-openwrt-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    root_ = name;
    std::filesystem::create_directories(root_ + "/etc/config");
    std::filesystem::create_symlink(VISCUM_BIN_DIR "/viscumctl", root_ + "/viscumctl");
}

Router::~Router() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
}

void Router::write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
}

void Router::remove(const std::string& path) const {
    std::filesystem::remove_all(root_ + path);
}

bool Router::exists(const std::string& path) const {
    return std::filesystem::exists(std::filesystem::symlink_status(root_ + path));
}

std::string Router::read(const std::string& path) const {
    return contents(root_ + path);
}

std::string Router::version(const std::string& path) const {
    struct stat info {};
    REQUIRE(stat((root_ + path).c_str(), &info) == 0);
    return cat(info.st_ino, ' ', info.st_mtim.tv_sec, '.', info.st_mtim.tv_nsec);
}

void Router::configure(const std::string& options) const {
    write("/etc/config/viscum", "config viscum 'main'\n" + options);
}

int Router::init(const std::string& action) const {
    const auto script = package_file("files/viscum.init");
    const auto output = run({"busybox", "ash", kStubs + "/rc.common", root_, script, action});
    CHECK_MESSAGE(output.err.empty(), output.err);
    return output.status;
}

std::vector<std::string> Router::take_sent() const {
    std::vector<std::string> sent;
    std::istringstream lines(read(kUbus));
    for (std::string line; std::getline(lines, line);) {
        sent.push_back(line);
    }
    remove(kUbus);
    return sent;
}

void Router::set_running(bool running) const {
    if (running) {
        write(kRunning, "");
    } else {
        remove(kRunning);
    }
}

RunOutput Router::script(const Argv& argv, const std::string& input) const {
    const char* path = std::getenv("PATH");
    Argv whole{"env", "SANDBOX=" + root_, cat("PATH=", kStubs, "/bin:", path != nullptr ? path : "/usr/bin:/bin"),
               "busybox", "ash"};
    whole.insert(whole.end(), argv.begin(), argv.end());
    RunOptions options;
    options.input = input;
    return run(whole, options);
}

std::string package_file(const std::string& name) {
    return cat(kSource, "/openwrt/viscum/", name);
}

}  // namespace viscum::test
