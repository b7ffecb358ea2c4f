// SPDX-License-Identifier: GPL-2.0-only
// Service files as tests write them.
#pragma once

#include <string>
#include <vector>

#include "tests/support/program.h"

namespace viscum {

struct ServiceFile {
    std::string name;
    std::vector<std::string> claims;  // "203.0.113.10 80", "2001:db8::/64 8000-8100 udp", "203.0.113.10 80 tcp UNTIL"
    Argv command;
    std::string more{};  // further lines of YAML, verbatim

    [[nodiscard]] std::string text() const;
    /// Writes it below /tmp and returns the path.
    [[nodiscard]] std::string write() const;
};

/// nginx on port 80 of both families as "local" for kWeb and kWeb6. `version` only makes the file a different one.
ServiceFile web_service(const std::string& version = "1");

/// A health check that notices within two seconds, for the web service.
std::string quick_health();

/// A service of tests/e2e/server with this command line behind the program's name.
ServiceFile test_service(const std::string& name, std::vector<std::string> claims, Argv arguments);
Argv test_server(Argv arguments);

}  // namespace viscum
