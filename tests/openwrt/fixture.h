// SPDX-License-Identifier: GPL-2.0-only
// OpenWrt's scripts, run by busybox's shell in a directory that stands for a router, with stubs for what OpenWrt has.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/program.h"

namespace viscum::test {

/// The router's files below a directory of its own, which goes with this object. Paths are those of the router.
class Router {
public:
    Router();
    ~Router();
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;

    void write(const std::string& path, const std::string& text) const;
    void remove(const std::string& path) const;
    [[nodiscard]] bool exists(const std::string& path) const;
    /// Empty where there is no such file.
    [[nodiscard]] std::string read(const std::string& path) const;
    [[nodiscard]] std::string path(const std::string& path) const { return root_ + path; }
    /// Changes whenever the file is written or replaced.
    [[nodiscard]] std::string version(const std::string& path) const;

    /// /etc/config/viscum with one section 'main'.
    void configure(const std::string& options) const;
    /// An action of /etc/init.d/viscum; its exit status.
    [[nodiscard]] int init(const std::string& action) const;
    /// What was sent to procd since the last call of this: "set {...}", a line each.
    [[nodiscard]] std::vector<std::string> take_sent() const;
    /// Whether procd says that it has viscumd running.
    void set_running(bool running) const;

    /// Another script of the package, with the stubs in PATH.
    [[nodiscard]] RunOutput script(const Argv& argv, const std::string& input = {}) const;

private:
    std::string root_;
};

/// A file of the package's folder.
std::string package_file(const std::string& name);

}  // namespace viscum::test
