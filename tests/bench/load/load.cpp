// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/load/load.h"

#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/text.h"
#include "tests/support/program.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kLongest = 128 * 1024;  // bytes of a segment before a device cuts it, and more
constexpr int kStreams = 8;

/// The first number behind `words` in `text`.
std::optional<double> number_after(const std::string& text, std::string_view words) {
    const std::size_t at = text.find(words);
    if (at == std::string::npos) {
        return std::nullopt;
    }
    const std::size_t digit = text.find_first_of("0123456789", at + words.size());
    return digit == std::string::npos ? std::nullopt : std::optional(std::strtod(text.c_str() + digit, nullptr));
}

/// The number in front of `words`: "6731 requests in".
std::optional<double> number_before(const std::string& text, std::string_view words) {
    const std::size_t end = text.find(words);
    if (end == std::string::npos) {
        return std::nullopt;
    }
    const std::size_t line = text.rfind('\n', end);
    return std::strtod(text.c_str() + (line == std::string::npos ? 0 : line + 1), nullptr);
}

Result<Loaded> run_wrk(bool close, const NetNs& ns, const Endpoint& to, Scale scale) {
    Argv argv = {"wrk", "--threads", "1", "--connections", "32", "--duration", "1s"};
    if (scale == Scale::quick) {
        argv.insert(argv.begin(), {"timeout", "--preserve-status", "--signal=INT", "0.2"});
    }
    if (close) {
        argv.insert(argv.end(), {"--header", "Connection: close"});
    }
    argv.push_back(cat("http://", to.text(), "/"));
    const auto said = output_of(argv, {.ns = &ns});
    if (!said) {
        return said.error();
    }
    const auto rate = number_after(*said, "Requests/sec:");
    const auto count = number_before(*said, " requests in ");
    if (!rate || !count || *count < 1 || said->find("Socket errors") != std::string::npos ||
        said->find("Non-2xx") != std::string::npos) {
        return Error{0, cat("wrk to ", to.text(), ": ", *said)};
    }
    const auto requests = static_cast<std::uint64_t>(*count);
    return Loaded{*rate, 0, close ? requests : 1, requests};
}

/// A server takes one test at a time, and may not have seen the end of the one before.
RunOutput run_iperf3(const Argv& argv, const NetNs& ns) {
    RunOutput output = run(argv, {.ns = &ns});
    for (int tries = 0; tries < 50 && output.out.find("the server is busy") != std::string::npos; ++tries) {
        std::this_thread::sleep_for(20ms);
        output = run(argv, {.ns = &ns});
    }
    return output;
}

Result<Loaded> measure_throughput(Load load, const NetNs& ns, const Endpoint& to, Scale scale) {
    const bool udp = load == Load::datagrams;
    Argv argv = {
        "iperf3", "--client", to.address.text(), "--port", std::to_string(to.port), "--json", "--connect-timeout",
        "2000"};
    if (udp) {
        argv.insert(argv.end(), {"--udp", "--bitrate", "0", "--length", "64"});
    }
    if (load == Load::streams) {
        argv.insert(argv.end(), {"--parallel", std::to_string(kStreams)});
    }
    if (scale == Scale::full) {
        argv.insert(argv.end(), {"--time", "1"});
    } else if (udp) {
        argv.insert(argv.end(), {"--blockcount", "30000"});
    } else {
        argv.insert(argv.end(), {"--bytes", "20M"});
    }
    const RunOutput output = run_iperf3(argv, ns);
    const auto report = nlohmann::json::parse(output.out, nullptr, false);
    const auto number = [&report](const std::string& pointer) {
        const nlohmann::json::json_pointer at(pointer);
        return report.contains(at) && report[at].is_number() ? report[at].get<double>() : 0.0;
    };
    const double sent = number("/end/sum_sent/bytes");
    const double received = number("/end/sum_received/bytes");
    if (report.is_discarded() || report.contains("error") || received <= 0 || sent <= 0) {
        return Error{0, cat("iperf3 to ", to.text(), " ended with ", output.status, ": ", output.out, output.err)};
    }
    if (udp) {
        const double arrived = number("/end/sum_received/packets") - number("/end/sum_received/lost_packets");
        const double seconds = number("/end/sum_received/seconds");
        return Loaded{seconds > 0 ? arrived / seconds : 0, 0, 1, static_cast<std::uint64_t>(arrived)};
    }
    return Loaded{number("/end/sum_received/bits_per_second") / 1e9, 0,
                  static_cast<std::uint64_t>(load == Load::streams ? kStreams : 1),
                  static_cast<std::uint64_t>(received) / kLongest};
}

Result<Loaded> measure_round_trips(bool udp, const NetNs& ns, const Endpoint& to) {
    // Quick as well: of less than a second it says nothing.
    Argv argv = {"sockperf", "ping-pong", "-i", to.address.text(), "-p",       std::to_string(to.port), "-t",
                 "1",        "-m",        "64", "--full-rtt",      "--mps=max"};
    if (!udp) {
        argv.emplace_back("--tcp");
    }
    const auto said = output_of(argv, {.ns = &ns});
    if (!said) {
        return said.error();
    }
    const auto median = number_after(*said, "percentile 50.000 =");
    const auto rare = number_after(*said, "percentile 99.000 =");
    const auto answers = number_after(*said, "ReceivedMessages=");
    if (!median || !rare || !answers || *answers < 1) {
        return Error{0, cat("sockperf to ", to.text(), ": ", *said)};
    }
    return Loaded{*median, *rare, 1, static_cast<std::uint64_t>(*answers)};
}

}  // namespace

const char* name_of(Load load) {
    switch (load) {
        case Load::connections: return "connections/s";
        case Load::requests: return "requests/s";
        case Load::one_stream: return "TCP, 1 stream";
        case Load::streams: return "TCP, 8 streams";
        case Load::datagrams: return "UDP packets/s";
        case Load::tcp_round_trip: return "TCP round trip";
        case Load::udp_round_trip: return "UDP round trip";
    }
    return "";
}

const char* unit_of(Load load) {
    return is_round_trip(load) ? "us" : load == Load::one_stream || load == Load::streams ? "Gbit/s" : "";
}

Result<Loaded> put_load(Load load, const NetNs& ns, const IpAddress& to, Scale scale) {
    switch (load) {
        case Load::connections: return run_wrk(true, ns, {to, kWebPort}, scale);
        case Load::requests: return run_wrk(false, ns, {to, kWebPort}, scale);
        case Load::one_stream:
        case Load::streams:
        case Load::datagrams: return measure_throughput(load, ns, {to, kSpeedPort}, scale);
        case Load::tcp_round_trip: return measure_round_trips(false, ns, {to, kEchoPort});
        case Load::udp_round_trip: return measure_round_trips(true, ns, {to, kEchoPort});
    }
    return Error{EINVAL, "no such load"};
}

Result<Server> echo_server(const std::string& address, bool udp) {
    auto program = installed_program("sockperf");
    if (!program) {
        return std::move(program).error();
    }
    Argv command = {*program, "server", "-i", address, "-p", std::to_string(kEchoPort)};
    if (!udp) {
        command.emplace_back("--tcp");
    }
    return Server{command, cat("/tmp/sockperf-", address, udp ? "-udp.log" : "-tcp.log")};
}

Result<std::string> installed_program(const std::string& name) {
    for (const char* directory : {"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"}) {
        if (access(cat(directory, name).c_str(), X_OK) == 0) {
            return cat(directory, name);
        }
    }
    return Error{ENOENT, cat(name, " is not installed")};
}

}  // namespace viscum
