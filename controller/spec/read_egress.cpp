// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <set>

#include "base/text.h"
#include "controller/spec/check.h"
#include "controller/spec/fields.h"
#include "controller/spec/readers.h"

namespace viscum {
namespace {

constexpr std::string_view kEgressHint = "none, internet, origin, or a list such as [origin, 192.0.2.53:53/udp]";
constexpr std::string_view kTargetHint = "ADDRESS:PORT/PROTOCOL, such as 192.0.2.53:53/udp or \"[2001:db8::1]:443\"";

/// "ADDRESS:PORT/PROTOCOL" in its parts; the address without brackets.
struct TargetText {
    std::string prefix;
    std::string port;
    std::string protocol;
};

std::optional<TargetText> split_target(const std::string& text) {
    const bool brackets = text.front() == '[';
    const auto end = text.find(brackets ? ']' : ':');
    const auto colon = brackets && end != std::string::npos ? end + 1 : end;
    if (end == std::string::npos || text.substr(colon, 1) != ":") {
        return std::nullopt;
    }
    const std::string behind = text.substr(colon + 1);
    const auto slash = behind.find('/');
    return TargetText{brackets ? text.substr(1, end - 1) : text.substr(0, end), behind.substr(0, slash),
                      slash == std::string::npos ? "tcp" : behind.substr(slash + 1)};
}

std::optional<PortRange> target_ports(const std::string& text, const YamlNode& node, Mistakes& mistakes) {
    if (text == "any") {
        return PortRange{};
    }
    if (text.find('-') != std::string::npos) {
        mistakes.add(node.place, cat("port range ", quoted(text), " in 'egress'"), "one port, or any");
        return std::nullopt;
    }
    const auto port = port_of(text, node, "a port is 1 to 65535, or any", mistakes);
    return port ? std::optional(PortRange{*port, *port}) : std::nullopt;
}

std::optional<EgressTarget> read_target(const std::string& text, const YamlNode& node, Mistakes& mistakes) {
    const auto parts = split_target(text);
    if (!parts) {
        mistakes.add(node.place, cat(quoted(text), " is no egress"), std::string(kTargetHint));
        return std::nullopt;
    }
    if (parts->port.find(':') != std::string::npos || parts->prefix.empty()) {
        mistakes.add(node.place, cat(quoted(text), " is no egress"),
                     "put an IPv6 address in brackets, and all in quotes");
        return std::nullopt;
    }
    const auto prefix = prefix_of(parts->prefix, node, mistakes);
    const auto ports = target_ports(parts->port, node, mistakes);
    const bool udp = parts->protocol == "udp";
    if (!udp && parts->protocol != "tcp") {
        mistakes.add(node.place, cat("unknown protocol ", quoted(parts->protocol)), "tcp or udp");
        return std::nullopt;
    }
    return prefix && ports ? std::optional(EgressTarget{*prefix, *ports, udp ? Protocol::udp : Protocol::tcp})
                           : std::nullopt;
}

void check_target(const EgressTarget& target, const YamlNode& node, const std::vector<Claim>& claims,
                  Mistakes& mistakes) {
    if (const auto* special = special_range_around(target.prefix)) {
        mistakes.add(node.place, cat(target.text(), " is ", special->what, ", which nothing is sent to"));
    }
    const bool own = std::any_of(claims.begin(), claims.end(),
                                 [&](const Claim& claim) { return claim.prefix.contains(target.prefix); });
    if (own) {
        mistakes.add(node.place, cat(target.text(), " is the service's own: it would speak to itself"),
                     "egress: origin reaches the real one");
    }
}

/// One word or target of `egress`.
void read_item(const YamlNode& node, const std::string& text, const std::vector<Claim>& claims, EgressSpec& egress,
               Mistakes& mistakes) {
    if (text == "internet" || text == "origin") {
        bool& flag = text == "origin" ? egress.origin : egress.internet;
        if (flag) {
            mistakes.add(node.place, cat(quoted(text), " is there twice"));
        }
        flag = true;
        return;
    }
    const auto target = read_target(text, node, mistakes);
    if (!target) {
        return;
    }
    if (std::find(egress.targets.begin(), egress.targets.end(), *target) != egress.targets.end()) {
        mistakes.add(node.place, cat(target->text(), " is there twice"));
    }
    check_target(*target, node, claims, mistakes);
    egress.targets.push_back(*target);
}

void check_origin(const YamlNode& node, const std::vector<Claim>& claims, Mistakes& mistakes) {
    const std::string hint = cat("claim up to ", bounds::kMaxOrigins, " addresses one by one");
    std::set<IpAddress> origins;
    for (const auto& claim : claims) {
        if (!claim.prefix.is_single()) {
            mistakes.add(node.place, cat("'origin' needs single addresses, and ", claim.text(), " is a prefix"), hint);
            return;
        }
        origins.insert(claim.prefix.address);
    }
    if (origins.size() > bounds::kMaxOrigins) {
        mistakes.add(node.place, cat("'origin' with ", origins.size(), " claimed addresses"), hint);
    }
}

void check_own_ports(const YamlNode& node, const std::vector<Claim>& claims, Mistakes& mistakes) {
    const auto taken = std::find_if(claims.begin(), claims.end(),
                                    [](const Claim& claim) { return claim.ports.overlaps(EgressSpec::kOwnPorts); });
    if (taken != claims.end()) {
        mistakes.add(node.place,
                     cat("'egress' needs ports ", EgressSpec::kOwnPorts.text(),
                         " for flows that the service begins, and ", taken->text(), " claims them"),
                     "claim the ports that it serves, or write egress: none");
    }
}

}  // namespace

EgressSpec read_egress(const YamlNode* node, const std::vector<Claim>& claims, Mistakes& mistakes) {
    EgressSpec egress;
    if (node == nullptr) {
        return egress;
    }
    if (node->kind == YamlNode::Kind::list) {
        for (const YamlNode* item :
             read_list(node, bounds::kMaxTargets, mistakes, "egress: none, or [origin, 192.0.2.53:53/udp]")) {
            const auto text = read_text(item, mistakes, kTargetHint);
            if (text && *text == "none") {
                mistakes.add(item->place, "'none' in a list", "egress: none");
            } else if (text) {
                read_item(*item, *text, claims, egress, mistakes);
            }
        }
    } else if (const auto word = read_text(node, mistakes, kEgressHint); word && *word != "none") {
        if (*word == "internet" || *word == "origin") {
            read_item(*node, *word, claims, egress, mistakes);
        } else {
            mistakes.add(node->place, cat("'egress': unknown value ", quoted(*word)), std::string(kEgressHint));
        }
    }
    if (egress.origin) {
        check_origin(*node, claims, mistakes);
    }
    if (egress.any()) {
        check_own_ports(*node, claims, mistakes);
    }
    return egress;
}

}  // namespace viscum
