// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>

#include "base/text.h"
#include "controller/spec/fields.h"
#include "controller/spec/readers.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMaxClaims = 256;
constexpr std::size_t kMaxVariables = 256;
constexpr std::string_view kLowerDigits = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

std::string read_name(const YamlNode* node, Mistakes& mistakes) {
    constexpr std::string_view kHint = "1 to 32 of a-z, 0-9 and, within, '-'";
    const auto name = read_text(node, mistakes, kHint);
    if (!name) {
        return {};
    }
    const bool valid = name->size() <= 32 && name->find_first_not_of(cat(kLowerDigits, '-')) == std::string::npos &&
                       name->front() != '-' && name->back() != '-';
    if (!valid) {
        mistakes.add(node->place, cat(quoted(*name), " is no valid name"), std::string(kHint));
    }
    return *name;
}

std::optional<Claim> read_claim(const YamlNode& node, Mistakes& mistakes) {
    const Fields fields(node, {{"address", "port", "protocol"}}, mistakes);
    const auto prefix = read_prefix(fields.require("address", "address: 203.0.113.10"), mistakes);
    const auto ports = read_ports(fields.find("port"), mistakes);
    const auto protocol =
        read_choice<Protocol>(fields.find("protocol"), {{"tcp", Protocol::tcp}, {"udp", Protocol::udp}}, mistakes);
    if (!prefix || (fields.has("port") && !ports)) {
        return std::nullopt;
    }
    return Claim{*prefix, ports.value_or(PortRange{}), protocol.value_or(Protocol::tcp)};
}

std::vector<Claim> read_intercept(const YamlNode* node, Mistakes& mistakes) {
    std::vector<Claim> claims;
    std::vector<Place> places;
    for (const YamlNode* item :
         read_list(node, kMaxClaims, mistakes, "intercept: [{ address: 203.0.113.10, port: 443, protocol: tcp }]")) {
        const auto claim = read_claim(*item, mistakes);
        if (!claim) {
            continue;
        }
        const auto same = std::find_if(claims.begin(), claims.end(), [&](const Claim& other) {
            return other.prefix == claim->prefix && other.protocol == claim->protocol &&
                   other.ports.overlaps(claim->ports);
        });
        if (same != claims.end()) {
            const Place first = places[static_cast<std::size_t>(same - claims.begin())];
            mistakes.add(item->place, cat(claim->text(), " overlaps ", same->text()),
                         cat("that claim is at ", first.line, ':', first.column));
            continue;
        }
        claims.push_back(*claim);
        places.push_back(item->place);
    }
    return claims;
}

std::string read_user(const YamlNode* node, Mistakes& mistakes) {
    constexpr std::string_view kHint = "a user's name or number, or leave it out for root";
    const auto user = read_text(node, mistakes, kHint);
    if (!user) {
        return {};
    }
    const bool number = parse_decimal(*user, 4'294'967'294).has_value();  // the next one means "no user" to the kernel
    const bool name = user->size() <= 32 && cat(kLetters, '_').find(user->front()) != std::string::npos &&
                      user->find_first_not_of(cat(kLetters, "0123456789_.-")) == std::string::npos;
    if (!number && !name) {
        mistakes.add(node->place, cat(quoted(*user), " is no user"), std::string(kHint));
    }
    return *user;
}

std::map<std::string, std::string> read_env(const YamlNode* node, Mistakes& mistakes) {
    std::map<std::string, std::string> env;
    if (node == nullptr || !expect_kind(*node, YamlNode::Kind::map, mistakes, "env: { NAME: value }")) {
        return env;
    }
    for (const auto& variable : node->children) {
        if (variable.key_refused) {
            continue;
        }
        if (env.size() == kMaxVariables) {
            mistakes.add(variable.key_place, "too many variables in 'env'", cat("at most ", kMaxVariables));
            break;
        }
        const auto& name = variable.key;
        const bool valid = !name.empty() && name.find_first_not_of(cat(kLetters, "0123456789_")) == std::string::npos &&
                           (name.front() < '0' || name.front() > '9');
        if (!valid) {
            mistakes.add(variable.key_place, cat(quoted(name), " is no name of an environment variable"),
                         "letters, digits and '_', no digit first");
            continue;
        }
        env.emplace(name, read_any_text(&variable, mistakes).value_or(""));
    }
    return env;
}

RunSpec read_run(const YamlNode* node, Mistakes& mistakes) {
    RunSpec run;
    if (node == nullptr) {
        return run;
    }
    const Fields fields(
        *node,
        {{"command", "user", "env", "stop_signal", "stop_timeout"}, {"rootfs", "image", "sandbox", "files", "limits"}},
        mistakes);
    run.command = read_command(fields.require("command", "command: [/usr/sbin/nginx, -g, \"daemon off;\"]"), mistakes)
                      .value_or(run.command);
    run.user = read_user(fields.find("user"), mistakes);
    run.env = read_env(fields.find("env"), mistakes);
    const Choices<std::string> signals{{"TERM", "TERM"}, {"QUIT", "QUIT"}, {"INT", "INT"},
                                       {"HUP", "HUP"},   {"USR1", "USR1"}, {"USR2", "USR2"}};
    run.stop_signal = read_choice(fields.find("stop_signal"), signals, mistakes).value_or(run.stop_signal);
    run.stop_timeout = read_duration(fields.find("stop_timeout"), 0ms, 10min, mistakes).value_or(run.stop_timeout);
    return run;
}

RestartSpec read_restart(const YamlNode* node, Mistakes& mistakes) {
    RestartSpec restart;
    if (node == nullptr) {
        return restart;
    }
    const Fields fields(*node, {{"policy", "backoff", "backoff_max"}}, mistakes);
    const Choices<RestartPolicy> policies{
        {"always", RestartPolicy::always}, {"on-failure", RestartPolicy::on_failure}, {"never", RestartPolicy::never}};
    restart.policy = read_choice(fields.find("policy"), policies, mistakes).value_or(restart.policy);
    restart.backoff = read_duration(fields.find("backoff"), 10ms, 1h, mistakes).value_or(restart.backoff);
    const auto max = read_duration(fields.find("backoff_max"), 10ms, 24h, mistakes);
    restart.backoff_max = max.value_or(std::max(restart.backoff_max, restart.backoff));
    if (restart.backoff_max < restart.backoff) {
        mistakes.add(fields.find("backoff_max")->place,
                     cat("'backoff_max' is shorter than 'backoff', ", format_duration(restart.backoff)));
    }
    return restart;
}

void check_egress(const YamlNode* node, Mistakes& mistakes) {
    if (node != nullptr && node->text != "none") {
        mistakes.add(node->place, "'egress' other than none is not supported by this version", "leave it out");
    }
}

}  // namespace

void check_version(const YamlNode* version, Mistakes& mistakes) {
    const auto text = read_text(version, mistakes, "viscum: 1");
    if (text && *text != "1") {
        mistakes.add(version->place, cat("unknown format version ", quoted(*text)), "this program reads viscum: 1");
    }
}

ServiceSpec read_service(const YamlNode& root, Mistakes& mistakes) {
    ServiceSpec spec;
    const Fields fields(
        root,
        {{"viscum", "name", "intercept", "run", "health", "restart", "on_failure", "egress", "drain_timeout"},
         {"limits", "rootfs", "image", "sandbox", "files"}},
        mistakes);
    check_version(fields.require("viscum", "begin the file with viscum: 1"), mistakes);
    spec.name = read_name(fields.require("name", "name: web"), mistakes);
    spec.intercept = read_intercept(
        fields.require("intercept", "intercept: [{ address: 203.0.113.10, port: 443, protocol: tcp }]"), mistakes);
    spec.run = read_run(fields.require("run", "run: { command: [/usr/sbin/nginx, -g, \"daemon off;\"] }"), mistakes);
    spec.health = read_health(fields.find("health"), spec.intercept, mistakes);
    spec.restart = read_restart(fields.find("restart"), mistakes);
    const Choices<OnFailure> choices{{"cloud", OnFailure::cloud}, {"drop", OnFailure::drop}, {"keep", OnFailure::keep}};
    spec.on_failure = read_choice(fields.find("on_failure"), choices, mistakes).value_or(spec.on_failure);
    spec.drain_timeout = read_duration(fields.find("drain_timeout"), 0ms, 24h, mistakes).value_or(spec.drain_timeout);
    check_egress(fields.find("egress"), mistakes);
    return spec;
}

}  // namespace viscum
