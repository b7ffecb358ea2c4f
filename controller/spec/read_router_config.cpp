// SPDX-License-Identifier: GPL-2.0-only
#include <net/if.h>

#include <algorithm>

#include "base/text.h"
#include "controller/spec/fields.h"
#include "controller/spec/readers.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxPattern = 64;

/// A name that the kernel takes (dev_valid_name), or a pattern that can match one.
bool is_device(std::string_view text) {
    const bool pattern = text.find_first_of("*?[") != std::string_view::npos;
    const bool bytes = std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '/'; });
    return bytes && text.size() <= (pattern ? kMaxPattern : IFNAMSIZ - 1) && text != "." && text != ".." &&
           (pattern || text.find(':') == std::string_view::npos);
}

std::vector<std::string> read_lan(const YamlNode* node, Mistakes& mistakes) {
    constexpr std::string_view kHint = "lan: [br-lan], device names or patterns such as wlan*";
    std::vector<std::string> lan;
    for (const YamlNode* item : read_list(node, bounds::kMaxDevices, mistakes, kHint)) {
        const auto device = read_text(item, mistakes, kHint);
        if (!device) {
            continue;
        }
        if (!is_device(*device)) {
            mistakes.add(item->place, cat(quoted(*device), " is no device name"),
                         "at most 15 bytes, without '/' and ':'");
        } else if (std::find(lan.begin(), lan.end(), *device) != lan.end()) {
            mistakes.add(item->place, cat("device ", quoted(*device), " is there twice"));
        }
        lan.push_back(*device);
    }
    return lan;
}

std::vector<ClaimableSpec> read_claimable(const YamlNode* node, Mistakes& mistakes) {
    std::vector<ClaimableSpec> claimable;
    if (node == nullptr || (node->kind == YamlNode::Kind::list && node->children.empty())) {
        return claimable;
    }
    for (const YamlNode* item : read_list(node, bounds::kMaxClaimable, mistakes, "claimable: [203.0.113.0/24]")) {
        std::optional<IpPrefix> prefix;
        PortRange ports;
        if (item->kind == YamlNode::Kind::map) {
            const Fields fields(*item, {keys::names<keys::kClaimable>()}, mistakes);
            prefix = read_prefix(fields.require("address", "address: 203.0.113.0/24"), mistakes);
            ports = read_ports(fields.find("port"), mistakes).value_or(ports);
        } else {
            prefix = read_prefix(item, mistakes);
        }
        if (prefix) {
            claimable.push_back({*prefix, ports});
        }
    }
    return claimable;
}

std::optional<Millis> read_lease(const YamlNode* node, std::optional<Millis> otherwise, Mistakes& mistakes) {
    if (node != nullptr && node->kind == YamlNode::Kind::text && node->text == "off") {
        return std::nullopt;
    }
    const auto lease = read_duration(node, bounds::kLease, mistakes);
    return lease ? lease : otherwise;
}

TableSizes read_tables(const YamlNode* node, Mistakes& mistakes) {
    TableSizes tables;
    if (node == nullptr) {
        return tables;
    }
    const Fields fields(*node, {keys::names<keys::kTables>()}, mistakes);
    const auto size = [&](std::string_view key, const Range<int>& range) {
        return static_cast<std::uint32_t>(read_number(fields.find(key), range, mistakes).value_or(range.standard));
    };
    tables.rules = size("rules", bounds::kRules);
    tables.flows = size("flows", bounds::kFlows);
    tables.fragments = size("fragments", bounds::kFragments);
    return tables;
}

/// A line of a .pub file. Every such key begins alike: its type, in base64 (RFC 8709, 4).
std::vector<std::string> read_trust(const YamlNode* node, Mistakes& mistakes) {
    constexpr std::string_view kHint = "a line of ssh-keygen -t ed25519: ssh-ed25519 AAAAC3Nz... NAME";
    constexpr std::string_view kStart = "AAAAC3NzaC1lZDI1NTE5AAAAI";
    constexpr std::size_t kLength = 68;  // 51 bytes
    constexpr std::string_view kSigns = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::vector<std::string> trust;
    for (const YamlNode* item : read_list(node, bounds::kMaxTrusted, mistakes, kHint)) {
        const auto words = split_words(item->text);
        const bool key = words.size() >= 2 && words[0] == "ssh-ed25519" && words[1].starts_with(kStart) &&
                         words[1].size() == kLength && words[1].find_first_not_of(kSigns) == std::string::npos;
        if (key) {
            trust.push_back(cat(words[0], ' ', words[1]));
        } else if (read_text(item, mistakes, kHint)) {
            mistakes.add(item->place, cat(quoted(item->text), " is no key that can be trusted"), std::string(kHint));
        }
    }
    return trust;
}

/// What never is on the way of a packet to the Internet: RFC 1918, 2544, 6598, 3927 and 4193.
constexpr std::array<std::string_view, 7> kPrivate{"10.0.0.0/8",    "172.16.0.0/12",  "192.168.0.0/16", "198.18.0.0/15",
                                                   "100.64.0.0/10", "169.254.0.0/16", "fc00::/7"};

IpPrefix read_alias(const YamlNode* node, const IpPrefix& standard, Mistakes& mistakes) {
    const auto prefix = read_prefix(node, mistakes);
    if (!prefix) {
        return standard;
    }
    const bool v4 = standard.address.is_v4();
    const bool known = std::any_of(kPrivate.begin(), kPrivate.end(), [&](std::string_view range) {
        const auto whole = IpPrefix::parse(range);
        return whole && whole->contains(*prefix);
    });
    if (prefix->address.is_v4() != v4 || prefix->length != standard.length) {
        mistakes.add(node->place,
                     cat(quoted(node->key), ": ", prefix->text(), " is no IPv", v4 ? '4' : '6', " prefix of ",
                         standard.length, " bits"),
                     cat("such as ", standard.text()));
    } else if (!known) {
        mistakes.add(node->place, cat(quoted(node->key), ": ", prefix->text(), " is no private network"),
                     v4 ? "of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 198.18.0.0/15, 100.64.0.0/10 or 169.254.0.0/16"
                        : "of fc00::/7");
    }
    return *prefix;
}

AliasRange read_aliases(const YamlNode* node, Mistakes& mistakes) {
    AliasRange aliases;
    if (node == nullptr) {
        return aliases;
    }
    const Fields fields(*node, {keys::names<keys::kAliases>()}, mistakes);
    aliases.v4 = read_alias(fields.find("v4"), aliases.v4, mistakes);
    aliases.v6 = read_alias(fields.find("v6"), aliases.v6, mistakes);
    return aliases;
}

constexpr std::size_t kDecimals = 4;  // of Price::kUnit

/// "4", "4.5" or "4.5000" as parts of Price::kUnit.
std::optional<std::uint64_t> parts_of(const std::string& number) {
    const auto point = number.find('.');
    const auto whole = parse_decimal(number.substr(0, point), Price::kMost / Price::kUnit);
    std::string rest = point == std::string::npos ? "0" : number.substr(point + 1);
    if (!whole || rest.empty() || rest.size() > kDecimals ||
        rest.find_first_not_of("0123456789") != std::string::npos) {
        return std::nullopt;
    }
    rest.resize(kDecimals, '0');
    std::uint64_t parts = *whole;
    for (const char digit : rest) {
        parts = parts * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    return parts <= Price::kMost ? std::optional(parts) : std::nullopt;
}

/// A number and, where it is to be told, the currency.
std::optional<Price> read_price(const YamlNode* node, Mistakes& mistakes) {
    constexpr std::string_view kHint = "as in 4.50 EUR: from 0 to 10000 with at most four decimals, then 1-8 letters";
    const auto text = read_text(node, mistakes, kHint);
    if (!text) {
        return std::nullopt;
    }
    const auto blank = text->find(' ');
    const auto parts = parts_of(text->substr(0, blank));
    const std::string currency = blank == std::string::npos ? "" : text->substr(blank + 1);
    const bool is_word = std::all_of(currency.begin(), currency.end(),
                                     [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); });
    if (!parts || !is_word || currency.size() > bounds::kMaxCurrency ||
        (blank != std::string::npos && currency.empty())) {
        mistakes.add(node->place, cat(quoted(node->key), ": ", quoted(*text), " is no price"), std::string(kHint));
        return std::nullopt;
    }
    return Price{*parts, currency};
}

}  // namespace

std::string Price::text() const {
    std::string decimals = std::to_string(kUnit + parts % kUnit).substr(1);
    while (decimals.size() > 2 && decimals.back() == '0') {
        decimals.pop_back();
    }
    return cat(parts / kUnit, '.', decimals, currency.empty() ? "" : " ", currency);
}

RouterConfig read_router_config(const YamlNode& root, Mistakes& mistakes) {
    RouterConfig config;
    const Fields fields(root, {keys::names<keys::kRouter>()}, mistakes);
    check_version(fields.find("viscum"), mistakes);
    config.lan = read_lan(fields.require("lan", "lan: [br-lan]"), mistakes);
    config.claimable = read_claimable(fields.find("claimable"), mistakes);
    config.lease = read_lease(fields.find("lease"), config.lease, mistakes);
    config.tables = read_tables(fields.find("tables"), mistakes);
    config.aliases = read_aliases(fields.find("aliases"), mistakes);
    config.datapath = read_choice<bounds::kDatapath>(fields.find("datapath"), mistakes).value_or(config.datapath);
    config.trust = read_trust(fields.find("trust"), mistakes);
    config.cost_per_gb = read_price(fields.find("cost_per_gb"), mistakes);
    config.metered = read_flag(fields.find("metered"), mistakes).value_or(config.metered);
    config.measure_cloud = read_flag(fields.find("measure_cloud"), mistakes).value_or(!config.metered);
    config.log_level = read_choice<bounds::kLogLevel>(fields.find("log_level"), mistakes).value_or(config.log_level);
    return config;
}

}  // namespace viscum
