// SPDX-License-Identifier: GPL-2.0-only
#include "tests/examples/example.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iomanip>
#include <sstream>

#include "base/file.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr const char* kFiles = "/etc/viscum/files";

}  // namespace

Example::Example(std::string name, const Scene::Options& options) : name_(std::move(name)), scene_(options) {}

std::string Example::path(const std::string& file) const {
    return cat(VISCUM_SOURCE_DIR, "/examples/", name_, "/", file);
}

void Example::install(const std::string& file) const {
    must(make_directory(kFiles, 0755));
    const auto bytes = must(read_file(path(file), 1024 * 1024));
    must(write_file_atomically(cat(kFiles, "/", file), bytes, 0644));
}

void Example::deploy(const std::string& file) const {
    scene_.ctl({"deploy", path(file), "--wait", "30s"});
}

void Example::uplink_down() {
    must(ip_batch(scene_.bed().hotspot(), "link set wan down\n"));
}

void Example::uplink_up() {
    must(ip_batch(scene_.bed().hotspot(),
                  "link set wan up\n"
                  "address replace 2001:db8:1::1/64 dev wan nodad\n"
                  "route replace default via 192.0.2.2\n"
                  "route replace default via 2001:db8:1::2\n"));
}

void Example::slow_uplink(const std::string& rate) {
    slowed_ = true;
    for (const NetNs* ns : {&scene_.bed().hotspot(), &scene_.bed().cloud()}) {
        must(output_of(
            {"tc", "qdisc", "replace", "dev", "wan", "root", "tbf", "rate", rate, "burst", "32kb", "latency", "100ms"},
            {.ns = ns}));
    }
}

void Example::end(const std::vector<std::string>& services) {
    for (const std::string& service : services) {
        scene_.ctl({"remove", service, "--wait", "5s"});
    }
    for (const NetNs* ns : {&scene_.bed().hotspot(), &scene_.bed().cloud()}) {
        if (slowed_) {
            must(output_of({"tc", "qdisc", "del", "dev", "wan", "root"}, {.ns = ns}));
        }
    }
    std::filesystem::remove_all(kFiles);
    scene_.check_no_leak();
}

std::string exchange(const NetNs& ns, const Endpoint& to, const std::string& request, Millis limit) {
    const UniqueFd fd = must(open_socket(ns, SOCK_STREAM, to, {}));
    const SocketAddress address = to_sockaddr(to);
    const BootTime deadline = boot_now() + limit;
    (void)connect(fd.get(), address.get(), address.length);
    std::string text;
    if (!wait_for_socket(fd.get(), POLLOUT, deadline) ||
        send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
        return text;
    }
    std::array<char, 65'536> buffer{};
    while (wait_for_socket(fd.get(), POLLIN, deadline)) {
        const ssize_t size = recv(fd.get(), buffer.data(), buffer.size(), 0);
        if (size <= 0) {
            break;
        }
        text.append(buffer.data(), static_cast<std::size_t>(size));
    }
    return text;
}

std::string lacks(const std::vector<std::string>& programs) {
    constexpr std::array kDirectories = {"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"};
    for (const std::string& program : programs) {
        const bool there = std::ranges::any_of(
            kDirectories, [&](const char* directory) { return access(cat(directory, program).c_str(), X_OK) == 0; });
        if (!there) {
            skip(cat("there is no ", program));
            return program;
        }
    }
    return "";
}

std::string amount(std::uint64_t bytes) {
    if (bytes < 10'000) {
        return bytes == 0 ? "nothing" : cat(bytes, " bytes");
    }
    const bool mega = bytes >= 1'000'000;
    std::ostringstream text;
    text << std::fixed << std::setprecision(mega ? 1 : 0) << static_cast<double>(bytes) / (mega ? 1e6 : 1e3)
         << (mega ? " MB" : " kB");
    return text.str();
}

}  // namespace viscum
