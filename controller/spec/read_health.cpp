// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>

#include "base/text.h"
#include "controller/spec/fields.h"
#include "controller/spec/readers.h"

namespace viscum {
namespace {

using Probe = decltype(HealthSpec::probe);

constexpr std::array<std::string_view, 5> kProbes{"http", "tcp", "udp", "exec", "process"};

/// The first port that is claimed by itself.
std::optional<std::uint16_t> claimed_port(const std::vector<Claim>& claims, Protocol protocol) {
    const auto claim = std::find_if(claims.begin(), claims.end(), [&](const Claim& candidate) {
        return candidate.protocol == protocol && candidate.ports.is_single();
    });
    return claim == claims.end() ? std::nullopt : std::optional(claim->ports.first);
}

Probe default_probe(const std::vector<Claim>& claims) {
    const auto port = claimed_port(claims, Protocol::tcp);
    return port ? Probe(TcpProbe{*port}) : Probe(ProcessProbe{});
}

std::uint16_t read_probe_port(const Fields& fields, const std::vector<Claim>& claims, Protocol protocol,
                              Mistakes& mistakes) {
    const auto claimed = claimed_port(claims, protocol);
    const YamlNode* node =
        claimed ? fields.find("port") : fields.require("port", "no claim names a single port to probe");
    return read_port(node, mistakes).value_or(claimed.value_or(0));
}

/// What stands in the request line or a header: anything else could begin another header.
bool is_visible_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

HttpProbe read_http(const YamlNode& node, const std::vector<Claim>& claims, Mistakes& mistakes) {
    constexpr std::string_view kPathHint = "begins with '/', and is percent-encoded";
    constexpr std::string_view kHostHint = "a host name, with :PORT where needed";
    HttpProbe probe;
    const Fields fields(node, {keys::names<keys::kHttp>()}, mistakes);
    probe.port = read_probe_port(fields, claims, Protocol::tcp, mistakes);
    probe.path = read_text(fields.find("path"), mistakes, kPathHint).value_or(probe.path);
    if (probe.path.front() != '/' || probe.path.size() > bounds::kMaxHttpPath || !is_visible_ascii(probe.path)) {
        mistakes.add(fields.find("path")->place, cat("path ", quoted(probe.path), " is not valid"),
                     std::string(kPathHint));
    }
    probe.host = read_text(fields.find("host"), mistakes, kHostHint).value_or(probe.host);
    if (probe.host.size() > bounds::kMaxHttpHost || !is_visible_ascii(probe.host)) {
        mistakes.add(fields.find("host")->place, cat("host ", quoted(probe.host), " is not valid"),
                     std::string(kHostHint));
    }
    probe.expect = read_number(fields.find("expect"), bounds::kHttpExpect, mistakes).value_or(probe.expect);
    return probe;
}

TcpProbe read_tcp(const YamlNode& node, const std::vector<Claim>& claims, Mistakes& mistakes) {
    const Fields fields(node, {keys::names<keys::kTcp>()}, mistakes);
    return {read_probe_port(fields, claims, Protocol::tcp, mistakes)};
}

UdpProbe read_udp(const YamlNode& node, const std::vector<Claim>& claims, Mistakes& mistakes) {
    UdpProbe probe;
    const Fields fields(node, {keys::names<keys::kUdp>()}, mistakes);
    probe.port = read_probe_port(fields, claims, Protocol::udp, mistakes);
    probe.send = read_bytes(fields.find("send"), bounds::kMaxDatagram, mistakes).value_or("");
    probe.expect = read_bytes(fields.find("expect"), bounds::kMaxDatagram, mistakes).value_or("");
    return probe;
}

Probe read_probe(const Fields& fields, const std::vector<Claim>& claims, bool by_path, Mistakes& mistakes) {
    std::optional<std::string_view> kind;
    for (const auto candidate : kProbes) {
        if (!fields.has(candidate)) {
            continue;
        }
        const YamlNode* node = fields.find(candidate);
        if (kind && node != nullptr) {
            mistakes.add(node->key_place, cat("a second probe, ", quoted(candidate), " beside ", quoted(*kind)),
                         "one of http, tcp, udp, exec and process");
        }
        kind = kind.value_or(candidate);
    }
    const YamlNode* node = kind ? fields.find(*kind) : nullptr;
    if (node == nullptr) {
        return default_probe(claims);
    }
    if (*kind == "http") {
        return read_http(*node, claims, mistakes);
    }
    if (*kind == "tcp") {
        return read_tcp(*node, claims, mistakes);
    }
    if (*kind == "udp") {
        return read_udp(*node, claims, mistakes);
    }
    if (*kind == "exec") {
        return ExecProbe{read_command(node, by_path, mistakes).value_or(std::vector<std::string>{})};
    }
    const Fields none(*node, {keys::names<keys::kProcess>()}, mistakes);
    return ProcessProbe{};
}

}  // namespace

HealthSpec read_health(const YamlNode* node, const std::vector<Claim>& claims, bool by_path, Mistakes& mistakes) {
    HealthSpec health;
    health.probe = default_probe(claims);
    if (node == nullptr) {
        return health;
    }
    const Fields fields(*node, {keys::names<keys::kHealth>()}, mistakes);
    health.probe = read_probe(fields, claims, by_path, mistakes);
    health.interval = read_duration(fields.find("interval"), bounds::kInterval, mistakes).value_or(health.interval);
    // One probe at a time: the next one begins when this one is judged.
    const auto timeout = read_duration(fields.find("timeout"), bounds::kTimeout, mistakes);
    health.timeout = timeout.value_or(std::min(health.timeout, health.interval));
    if (health.timeout > health.interval) {
        mistakes.add(fields.find("timeout")->place,
                     cat("'timeout' is longer than 'interval', ", format_duration(health.interval)));
    }
    health.fall = read_number(fields.find("fall"), bounds::kFall, mistakes).value_or(health.fall);
    health.rise = read_number(fields.find("rise"), bounds::kRise, mistakes).value_or(health.rise);
    health.start_timeout =
        read_duration(fields.find("start_timeout"), bounds::kStartTimeout, mistakes).value_or(health.start_timeout);
    return health;
}

}  // namespace viscum
