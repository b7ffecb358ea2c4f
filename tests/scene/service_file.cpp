// SPDX-License-Identifier: GPL-2.0-only
#include "tests/scene/service_file.h"

#include "base/text.h"
#include "tests/scene/scene.h"

namespace viscum {

std::string ServiceFile::text() const {
    std::string out = cat("viscum: 1\nname: ", name, "\nintercept:\n");
    for (const std::string& claim : claims) {
        const auto words = split(claim, ' ');
        out += cat("  - { address: '", words[0], "', port: ", words[1],
                   ", protocol: ", words.size() > 2 ? words[2] : "tcp",
                   words.size() > 3 ? cat(", until: ", words[3]) : "", " }\n");
    }
    out += cat("run:\n  command: ['", join(command, "', '"), "']\n", more);
    return out;
}

std::string ServiceFile::write() const {
    return must(write_service(name, text()));
}

ServiceFile web_service(const std::string& version) {
    const Server server = must(nginx("local", "local", {"80", "[::]:80"}));
    return {"web", {"203.0.113.10 80", "2001:db8:c::10 80"}, server.command, cat(quick_health(), "# ", version, "\n")};
}

std::string quick_health() {
    return "health: { http: { port: 80, path: /healthz }, interval: 500ms, timeout: 500ms, fall: 2 }\n"
           "restart: { backoff: 10ms, backoff_max: 100ms }\n";
}

ServiceFile test_service(const std::string& name, std::vector<std::string> claims, Argv arguments) {
    return {name, std::move(claims), test_server(std::move(arguments))};
}

Argv test_server(Argv arguments) {
    arguments.insert(arguments.begin(), "/srv/bin/viscum-test-server");
    return arguments;
}

}  // namespace viscum
