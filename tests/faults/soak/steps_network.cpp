// SPDX-License-Identifier: GPL-2.0-only
// Rows 20, 21, 26: foreign tools take away what is ours, and devices come and go. viscumd puts it all back: only what
// is the router's own has an undo.
#include <algorithm>
#include <array>

#include "tests/faults/soak/steps.h"

namespace viscum {
namespace {

/// What viscumd repairs; it may be away until all is settled.
Fault repaired(Stage& stage, const std::string& what, const Argv& argv, std::vector<Allowance> allows) {
    if (!stage.command(argv)) {
        return not_begun(cat(what, " (not there)"));
    }
    return {what, std::move(allows), [] { return std::string(); }, true};
}

Fault flush_lan(Stage& stage, Dice& dice) {
    const auto number = 1 + below(dice, kUnlucky);
    const std::string device = cat("lan", number);
    const std::string client = cat("client", number);
    const Argv qdisc = {"tc", "qdisc", "del", "dev", device, "clsact"};
    const Argv filter = {"tc", "filter", "del", "dev", device, "ingress", "pref", "86"};
    const bool whole = below(dice, 2) == 0;
    // The cloud resets connections that it does not know.
    return repaired(stage, cat(whole ? "clsact of " : "our filter of ", device, " removed"), whole ? qdisc : filter,
                    {resets(client, 2), losses(client, 2)});
}

/// Who has no route asks in vain every 50 ms, until it is back after 1 s at most.
constexpr int kRefusedAtOnce = 20;

std::vector<Allowance> of_link(const std::string& service, bool may_reset) {
    std::vector<Allowance> allows = {losses(service, 2)};
    if (service == "net") {
        allows.push_back(losses("egress", kRefusedAtOnce));
    }
    if (may_reset) {
        allows.push_back(resets(service, 2));
    }
    add_egress(service, allows);
    return allows;
}

Fault flush_fence(Stage& stage, Dice& dice) {
    const std::string service = one_of(dice, kServices);
    return repaired(stage, cat("the fence of ", service, " removed"),
                    {"tc", "qdisc", "del", "dev", stage.known(service).link, "clsact"}, of_link(service, true));
}

Fault delete_link(Stage& stage, Dice& dice) {
    const std::string service = one_of(dice, kServices);
    return repaired(stage, cat("the link of ", service, " removed"), {"ip", "link", "del", stage.known(service).link},
                    of_link(service, true));
}

Fault delete_name(Stage& stage, Dice& dice) {
    const std::string service = one_of(dice, kServices);
    return repaired(stage, cat("the name of ", service, "'s namespace removed"),
                    {"ip", "netns", "del", stage.known(service).namespace_name}, {});
}

Fault flush_inside(Stage& stage, Dice& dice) {
    const std::string service = one_of(dice, kServices);
    const std::string ns = stage.known(service).namespace_name;
    const std::vector<std::pair<std::string, Argv>> flushes = {
        {"the addresses", {"address", "flush", "dev", "eth0"}},
        {"the IPv4 routes", {"route", "flush", "table", "main"}},
        {"the IPv6 routes", {"-6", "route", "flush", "table", "main"}},
        {"eth0, set down,", {"link", "set", "eth0", "down"}},
    };
    const auto& [what, words] = flushes[below(dice, flushes.size())];
    Argv argv = {"ip", "-n", ns};
    argv.insert(argv.end(), words.begin(), words.end());
    return repaired(stage, cat(what, " of ", service, "'s namespace flushed"), argv, of_link(service, false));
}

Fault set_link_down(Stage& stage, Dice& dice) {
    const std::string service = one_of(dice, kServices);
    return repaired(stage, cat("the link of ", service, " set down"),
                    {"ip", "link", "set", stage.known(service).link, "down"}, of_link(service, false));
}

Fault flush_nft(Stage& stage, Dice& dice) {
    const bool all = below(dice, 2) == 0;
    const Argv argv = all ? Argv{"nft", "flush", "ruleset"} : Argv{"nft", "flush", "table", "inet", "viscum"};
    return repaired(stage, join(argv, " "), argv, {resets("egress", 2), losses("egress", 2)});
}

Fault delete_alias_routes(Stage& stage, Dice&) {
    return repaired(stage, "the routes to net's alias removed",
                    {"ip", "-4", "route", "flush", "dev", stage.known("net").link}, {losses("egress", 2)});
}

std::vector<Allowance> of_port() {
    const std::string client = cat("client", kUnlucky);
    return {losses(client, 2)};  // TCP comes back by itself, unless its neighbour was forgotten meanwhile
}

/// By whichever name it has now: another fault may have renamed it.
bool set_port(Stage& stage, const Argv& words) {
    return std::ranges::any_of(std::array{"lan4", "uplift"}, [&](const char* name) {
        Argv argv{"ip", "link", "set", name};
        argv.insert(argv.end(), words.begin(), words.end());
        return stage.command(argv);
    });
}

Fault set_port_down(Stage& stage, Dice&) {
    if (!stage.command({"ip", "link", "set", "lan4", "down"})) {
        return not_begun("lan4 set down (not there)");
    }
    return {"lan4 set down", of_port(),
            [&stage] { return std::string(set_port(stage, {"up"}) ? "" : ": not set up again"); }};
}

Fault rename_port(Stage& stage, Dice&) {
    if (!stage.command({"ip", "link", "set", "lan4", "down"})) {
        return not_begun("lan4 renamed (not there)");
    }
    const bool done = stage.command({"ip", "link", "set", "lan4", "name", "uplift"});
    (void)stage.command({"ip", "link", "set", "uplift", "up"});
    return {cat("lan4 ", done ? "renamed" : "set down, and not renamed"), of_port(), [&stage, done] {
                const bool back = (!done || (stage.command({"ip", "link", "set", "uplift", "down"}) &&
                                             stage.command({"ip", "link", "set", "uplift", "name", "lan4"}))) &&
                                  stage.command({"ip", "link", "set", "lan4", "up"});
                return std::string(back ? "" : ": not renamed back");
            }};
}

Fault unplug_port(Stage& stage, Dice&) {
    if (!stage.command({"ip", "link", "set", "lan4", "nomaster"})) {
        return not_begun("lan4 taken out of its bridge (not there)");
    }
    auto allows = of_port();
    // When it is a port again the filter is on it a moment later: until then the cloud is asked, which resets.
    allows.push_back(resets(cat("client", kUnlucky), 2));
    return {"lan4 taken out of its bridge", allows, [&stage] {
                return std::string(set_port(stage, {"master", "br-lan"}) ? "" : ": not put back");
            }};
}

}  // namespace

const std::vector<Kind>& network_kinds() {
    static const std::vector<Kind> kKinds = {
        {"flush of a LAN device", Millis(0), flush_lan},
        {"flush of a fence", Millis(0), flush_fence},
        {"removal of a link", Millis(0), delete_link},
        {"removal of a namespace's name", Millis(0), delete_name},
        {"flush within a namespace", Millis(0), flush_inside},
        {"link set down", Millis(0), set_link_down},
        {"flush of nftables", Millis(0), flush_nft},
        {"flush of alias routes", Millis(0), delete_alias_routes},
        {"LAN port down", Millis(2'000), set_port_down},
        {"LAN port renamed", Millis(2'000), rename_port},
        {"LAN port out of its bridge", Millis(2'000), unplug_port},
    };
    return kKinds;
}

}  // namespace viscum
