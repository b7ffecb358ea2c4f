// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/servers.h"

#include <nlohmann/json.hpp>
#include <thread>

#include <algorithm>
#include <array>

#include "base/event_loop.h"
#include "base/file.h"
#include "base/text.h"
#include "netns/sock_diag.h"

namespace viscum {
namespace {

constexpr Millis kListensWithin{10'000};

/// Services get no PATH: their files name the program.
Result<std::string> find_program(const std::string& name) {
    for (const char* directory :
         {"/usr/sbin/", "/usr/bin/", "/usr/local/sbin/", "/usr/local/bin/", "/sbin/", "/bin/"}) {
        if (access(cat(directory, name).c_str(), X_OK) == 0) {
            return cat(directory, name);
        }
    }
    return Error{ENOENT, cat(name, " is not installed")};
}

}  // namespace

Result<Server> nginx(const std::string& name, const std::string& answer, const std::vector<std::string>& listen,
                     bool master) {
    auto program = find_program("nginx");
    if (!program) {
        return std::move(program).error();
    }
    const std::string directory = "/srv/nginx-" + name;
    if (auto made = make_directory(directory, 0755); !made) {
        return std::move(made).error();
    }
    std::string listens;
    for (const std::string& one : listen) {
        listens += cat("        listen ", one, ";\n");
    }
    std::string paths;
    for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
        paths += cat("    ", kind, "_temp_path /tmp/nginx-", name, "-", kind, ";\n");
    }
    const std::string config =
        cat("user root;\n"
            "master_process ",
            master ? "on" : "off",
            ";\n"

            "worker_processes 1;\n"
            "daemon off;\n"
            "pid /tmp/nginx-",
            name,
            ".pid;\n"
            "error_log stderr warn;\n"
            "events { worker_connections 512; }\n"
            "http {\n"
            "    access_log off;\n"
            "    default_type text/plain;\n"
            "    keepalive_requests 1000000;\n"
            "    keepalive_timeout 600s;\n",
            paths, "    server {\n", listens, "        location / { return 200 \"", answer,
            "\\n\"; }\n"
            "        location = /healthz { return 200 \"ok\\n\"; }\n"
            "        location = /big { root ",
            directory,
            "; }\n"
            "    }\n"
            "}\n");
    const std::string config_file = directory + "/nginx.conf";
    if (auto wrote = write_file_atomically(config_file, config, 0644); !wrote) {
        return std::move(wrote).error();
    }
    if (auto wrote = write_file_atomically(directory + "/big", std::string(1024 * 1024, '0'), 0644); !wrote) {
        return std::move(wrote).error();
    }
    // -e: before it reads the configuration nginx would open its built-in log file.
    return Server{{*program, "-e", "stderr", "-p", directory, "-c", config_file}, directory + "/log"};
}

Result<Server> dnsmasq(const std::string& answer, const std::string& address) {
    auto program = find_program("dnsmasq");
    if (!program) {
        return std::move(program).error();
    }
    Argv command = {*program,
                    "--keep-in-foreground",
                    "--conf-file=/dev/null",
                    "--no-resolv",
                    "--no-hosts",
                    "--user=root",
                    "--pid-file=",
                    "--log-facility=-",
                    "--cache-size=0",
                    "--txt-record=who.example," + answer};
    if (!address.empty()) {
        command.insert(command.end(), {"--listen-address=" + address, "--bind-interfaces"});
    }
    return Server{command, "/tmp/dnsmasq-" + answer + ".log"};
}

Result<Server> iperf3_server(const std::string& address) {
    auto program = find_program("iperf3");
    if (!program) {
        return std::move(program).error();
    }
    Argv command = {*program, "--server", "--forceflush"};
    if (!address.empty()) {
        command.insert(command.end(), {"--bind", address});
    }
    return Server{command, "/tmp/iperf3" + address + ".log"};
}

Result<Program> start_server(const Server& server, const NetNs& ns, std::uint16_t port) {
    auto program = Program::start({server.command, server.log_file, &ns});
    if (!program) {
        return program;
    }
    std::optional<SockDiag> sockets;
    auto opened = ns.inside([&sockets]() -> Status {
        auto diag = SockDiag::open();
        if (!diag) {
            return std::move(diag).error();
        }
        sockets = std::move(*diag);
        return {};
    });
    if (!opened) {
        return std::move(opened).error();
    }
    for (const BootTime deadline = boot_now() + kListensWithin; boot_now() < deadline;) {
        auto listeners = sockets->tcp_listeners();
        if (!listeners) {
            return std::move(listeners).error();
        }
        if (std::ranges::any_of(*listeners, [port](const auto& listener) { return listener.port == port; })) {
            return program;
        }
        if (program->ended_within(Millis(5))) {
            break;
        }
    }
    const auto log = read_file(server.log_file, 65'536);
    return Error{ETIMEDOUT, cat(server.command.front(), " does not listen on port ", port, ": ", log ? *log : "")};
}

Result<Speed> measure_speed(const NetNs& ns, const Endpoint& to, bool udp, int seconds) {
    Argv argv = {"iperf3",
                 "--client",
                 to.address.text(),
                 "--port",
                 std::to_string(to.port),
                 "--time",
                 std::to_string(seconds),
                 "--json",
                 "--connect-timeout",
                 "2000"};
    if (udp) {
        argv.insert(argv.end(), {"--udp", "--bitrate", "0", "--length", "1400"});
    }
    RunOutput output = run(argv, {.ns = &ns, .limit = std::chrono::seconds(seconds + 10)});
    // A server takes one test at a time, and may not have seen the end of the one before.
    for (int tries = 0; tries < 50 && output.out.find("the server is busy") != std::string::npos; ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        output = run(argv, {.ns = &ns, .limit = std::chrono::seconds(seconds + 10)});
    }
    const auto report = nlohmann::json::parse(output.out, nullptr, false);
    if (report.is_discarded() || !report.is_object()) {
        return Error{0, cat("iperf3 to ", to.text(), " ended with ", output.status, ": ", output.err)};
    }
    if (report.contains("error")) {
        return Error{0, cat("iperf3 to ", to.text(), ": ", report["error"].dump())};
    }
    const auto number = [&report](const std::string& pointer) {
        const nlohmann::json::json_pointer at(pointer);
        return report.contains(at) && report[at].is_number() ? report[at].get<double>() : 0.0;
    };
    if (udp) {
        const double lost = number("/end/sum/lost_percent");
        return Speed{number("/end/sum/bits_per_second") * (1 - lost / 100), lost};
    }
    return Speed{number("/end/sum_received/bits_per_second"), 0};
}

}  // namespace viscum
