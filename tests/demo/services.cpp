// SPDX-License-Identifier: GPL-2.0-only
#include "tests/demo/services.h"

#include "base/text.h"
#include "tests/support/servers.h"
#include "tests/support/udp_client.h"
#include "tests/support/viscumd.h"

namespace viscum {
namespace {

std::string yaml_list(const Argv& words) {
    return cat("['", join(words, "', '"), "']");
}

/// Bytes as the `send` and `expect` of a UDP probe take them.
std::string escaped(const std::string& bytes) {
    std::string text;
    for (const char byte : bytes) {
        text += cat("\\x", hex(static_cast<unsigned char>(byte), 2));
    }
    return text;
}

}  // namespace

const Endpoint kWeb = Endpoint::of("203.0.113.10", 80);
const Endpoint kWeb6 = Endpoint::of("2001:db8:c::10", 80);
const Endpoint kDns = Endpoint::of("203.0.113.53", 53);
const Endpoint kSpeed = Endpoint::of("203.0.113.20", 5201);

std::string router_config() {
    return "viscum: 1\n"
           "lan: [br-lan]\n"
           "claimable: [203.0.113.0/24, '2001:db8:c::/64']\n";
}

Result<std::vector<Program>> start_cloud(const Bed& bed) {
    std::vector<Program> programs;
    const auto start = [&](const Result<Server>& server, std::uint16_t port) -> Status {
        if (!server) {
            return server.error();
        }
        auto program = start_server(*server, bed.cloud(), port);
        if (!program) {
            return std::move(program).error();
        }
        programs.push_back(std::move(*program));
        return {};
    };
    if (auto started = start(nginx("cloud", "cloud", {"80", "[::]:80"}), 80); !started) {
        return std::move(started).error();
    }
    if (auto started = start(dnsmasq("cloud", ""), 53); !started) {
        return std::move(started).error();
    }
    if (auto started = start(iperf3_server(kSpeed.address.text()), kSpeed.port); !started) {
        return std::move(started).error();
    }
    return programs;
}

Result<std::string> web_service_file() {
    const auto server = nginx("local", "local", {"80", "[::]:80"}, true);
    if (!server) {
        return server.error();
    }
    return write_service("web", cat("viscum: 1\n"
                                    "name: web\n"
                                    "intercept:\n"
                                    "  - { address: 203.0.113.10, port: 80 }\n"
                                    "  - { address: '2001:db8:c::10', port: 80 }\n"
                                    "run:\n"
                                    "  command: ",
                                    yaml_list(server->command),
                                    "\n"
                                    "  user: nobody\n"
                                    "health:\n"
                                    "  http: { port: 80, path: /healthz }\n"
                                    "  interval: 500ms\n"
                                    "  timeout: 300ms\n"
                                    "  fall: 2\n"));
}

Result<std::string> dns_service_file() {
    const auto server = dnsmasq("local", "");
    if (!server) {
        return server.error();
    }
    return write_service("dns", cat("viscum: 1\n"
                                    "name: dns\n"
                                    "intercept:\n"
                                    "  - { address: 203.0.113.53, port: 53, protocol: udp }\n"
                                    "  - { address: 203.0.113.53, port: 53, protocol: tcp }\n"
                                    "run:\n"
                                    "  command: ",
                                    yaml_list(server->command),
                                    "\n"
                                    "health:\n"
                                    "  udp: { port: 53, send: '",
                                    escaped(dns_txt_query("who.example")), "', expect: local }\n"));
}

Result<std::string> speed_service_file() {
    const auto server = iperf3_server("");
    if (!server) {
        return server.error();
    }
    return write_service("speed", cat("viscum: 1\n"
                                      "name: speed\n"
                                      "intercept:\n"
                                      "  - { address: 203.0.113.20, port: 5201, protocol: tcp }\n"
                                      "  - { address: 203.0.113.20, port: 5201, protocol: udp }\n"
                                      "run:\n"
                                      "  command: ",
                                      yaml_list(server->command),
                                      "\n"
                                      "  user: nobody\n"
                                      "health: { process: {} }\n"));
}

}  // namespace viscum
