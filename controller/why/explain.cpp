// SPDX-License-Identifier: GPL-2.0-only
#include "controller/why/explain.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace viscum {
namespace {

struct Sentence {
    std::string_view verdict;
    std::string_view says;
};

/// Of packets that no service gets.
constexpr std::array kRefusals{
    Sentence{"no-listener", "nothing listens there at this instant"},
    Sentence{"draining", "the service takes no new flows now"},
    Sentence{"not-admitted", "the service is not admitted"},
    Sentence{"lease-expired", "viscumd has not renewed its lease, so that new flows are not admitted"},
    Sentence{"cloud-flow", "this flow began with the cloud, and stays with it to its end"},
    Sentence{"other-host", "the frame is for another host of the LAN"},
    Sentence{"not-steered", "no filter of the classic grade takes it"},
};

/// Of what a service sends.
constexpr std::array kFences{
    Sentence{"fence-protocol", "it is neither TCP nor UDP"},
    Sentence{"fence-source", "it does not come from an address and port that the service serves"},
    Sentence{"fence-new-flow", "it answers nothing that came in"},
    Sentence{"fence-refusal", "it is the reset of a listener that has just gone"},
    Sentence{"fence-no-route", "the router has no way to the client"},
    Sentence{"fence-too-long", "it is longer than the way to the client takes"},
};

template <std::size_t size>
std::string sentence_of(const std::array<Sentence, size>& sentences, std::string_view verdict) {
    const auto found = std::ranges::find(sentences, verdict, &Sentence::verdict);
    return found == sentences.end() ? cat("the datapath says \"", verdict, "\"") : std::string(found->says);
}

const ServiceReport* service_of(const Evidence& evidence, const Ruling& ruling) {
    if (!evidence.daemon || !ruling.claim) {
        return nullptr;
    }
    const std::string claim = ruling.claim->text();
    for (const auto& service : evidence.daemon->services) {
        if (std::ranges::any_of(service.claims, [&](const auto& each) { return each.claim == claim; })) {
            return &service;
        }
    }
    return nullptr;
}

std::string time_text(std::int64_t millis) {
    if (millis < 1000) {
        return "less than 1s";
    }
    return format_duration(millis < 60'000 ? Millis(millis / 1000 * 1000) : Millis(millis / 60'000 * 60'000));
}

std::string onward_text(const NamedWay& onward) {
    switch (onward.way.kind) {
        case Way::Kind::forward:
            return cat("the router sends it on by ", onward.device,
                       onward.way.gateway ? cat(", to ", onward.way.gateway->text()) : "");
        case Way::Kind::local: return "the address is the router's own, so that it ends here";
        case Way::Kind::refused: return "a route of the router's forbids it (unreachable, blackhole or prohibit)";
        case Way::Kind::dropped:
            return "the router does not forward it: a rule or route for what comes in there forbids it, forwarding is "
                   "off, or it does not believe the source (rp_filter)";
        case Way::Kind::none: return "the router has no route for it, so that it reaches no cloud either";
    }
    return "";
}

/// Builds one explanation; each part adds what it knows.
class Account {
public:
    explicit Account(const Evidence& evidence) : evidence_(evidence) {}

    Explanation whole() {
        if (!is_seen()) {
            return std::move(out_);
        }
        way_in();
        if (!evidence_.begins) {
            unknown();
            return std::move(out_);
        }
        const bool is_open = has_socket() && evidence_.open != false;
        ruling_ = is_open ? *evidence_.goes_on : *evidence_.begins;
        service_ = service_of(evidence_, ruling_);
        out_.verdict = ruling_.verdict;
        out_.claim = ruling_.claim ? ruling_.claim->text() : "";
        out_.service = service_ == nullptr ? "" : service_->name;
        judge(is_open);
        steering();
        claim();
        admission();
        listener();
        answer();
        state();
        history();
        offload();
        onward();
        commands();
        return std::move(out_);
    }

private:
    void because(std::string about, std::string says) { out_.because.push_back({std::move(about), std::move(says)}); }
    [[nodiscard]] std::string flow() const {
        return cat(evidence_.query.source_text(), " to ", evidence_.query.destination_text());
    }
    [[nodiscard]] std::string owner() const {
        return service_ == nullptr ? "the service that claims it" : service_->name;
    }
    [[nodiscard]] bool is_served() const { return out_.outcome == "served"; }

    /// Of the very connection that is asked about; it may be what is left of one that is closed.
    [[nodiscard]] bool has_socket() const { return evidence_.goes_on && evidence_.goes_on->verdict == "served"; }

    /// Whether it passes a filter of ours at all.
    bool is_seen() {
        const auto unseen = [this](const std::string& why) {
            out_.outcome = "unseen";
            out_.says = cat("a packet from ", flow(), " is not looked at: ", why);
            onward();
            return false;
        };
        const auto& source = evidence_.query.source;
        if (evidence_.client.way.kind == Way::Kind::local) {
            return unseen(
                "the address is the router's own, and what the router itself sends comes in by no LAN device");
        }
        if (evidence_.client.way.kind != Way::Kind::forward) {
            return unseen(
                cat("the router has no way to ", source.text(), ", so that no client of it has this address"));
        }
        if (evidence_.filter_device.empty()) {
            out_.next.emplace_back("viscumctl doctor");
            if (evidence_.bridge && !evidence_.bridge->port.empty()) {
                return unseen(cat(source.text(), " is behind ", evidence_.bridge->port, ", a port of ",
                                  evidence_.bridge->bridge, ", ", why_unfiltered()));
            }
            return unseen(cat(source.text(), " is reached by ", evidence_.client.device, ", ", why_unfiltered()));
        }
        return true;
    }

    [[nodiscard]] std::string why_unfiltered() const {
        if (!evidence_.daemon) {
            return cat("on which no filter of ours is, and viscumd, which knows more, does not answer: ",
                       evidence_.daemon_problem);
        }
        const std::string port = evidence_.bridge ? evidence_.bridge->port : "";
        const auto& name = evidence_.client.device;
        const auto& lan = evidence_.daemon->lan;
        const auto found = std::ranges::find_if(lan, [&](const auto& each) {
            return port.empty() ? each.device == name || each.bridge == name : each.device == port;
        });
        if (found == lan.end()) {
            return "which is no device of `lan:` in viscum.yaml";
        }
        if (!found->problem.empty()) {
            return cat("which carries no filter of ours: ", found->problem);
        }
        return "which carries no filter of ours: there is one once a service is deployed";
    }

    void way_in() {
        const auto& bridge = evidence_.bridge;
        const auto& asked = evidence_.filter_device;
        if (!bridge) {
            because("way in", cat("it comes in by ", asked, ", which carries our filter"));
        } else if (!bridge->port.empty()) {
            because("way in",
                    cat("it comes in by ", bridge->bridge, " (its port ", asked, "), which carries our filter"));
        } else if (bridge->without.empty()) {
            because("way in", cat("it comes in by ", bridge->bridge, ", each of whose ports carries our filter"));
        } else {
            because("way in", cat("it comes in by ", bridge->bridge,
                                  "; by which port the router does not know now. The "
                                  "answer is that of ",
                                  asked, ", which carries our filter; on ", join(bridge->without, ", "),
                                  " is none, and what comes in there is not looked at"));
        }
        if (bridge && bridge->vlans) {
            because("way in", cat(bridge->bridge,
                                  " tells VLANs apart: the answer is for frames that its port gets "
                                  "untagged. Tagged ones go to the cloud; which this client's are is not known"));
        }
        for (const auto& lan : evidence_.daemon ? evidence_.daemon->lan : std::vector<LanReport>()) {
            if (lan.device == asked && !lan.problem.empty()) {
                because("way in", lan.problem);
            }
        }
    }

    void unknown() {
        out_.outcome = "unknown";
        out_.says = cat("the datapath cannot be asked about ", flow(), ": ", evidence_.not_asked);
        onward();
        out_.next.emplace_back("viscumctl doctor");
    }

    void judge(bool is_open) {
        const bool tcp = evidence_.query.protocol == Protocol::tcp;
        const std::string what = is_open ? "the connection " : tcp ? "a new connection from " : "a datagram from ";
        const std::string& verdict = ruling_.verdict;
        if (verdict == "served" && !is_open && evidence_.reply && evidence_.reply->verdict != "replied") {
            out_.outcome = "dropped";
            out_.says = cat(what, flow(), " reaches ", owner(),
                            " here, and its answer is dropped: ", sentence_of(kFences, evidence_.reply->verdict));
        } else if (verdict == "served") {
            out_.outcome = "served";
            out_.says = !is_open         ? cat(what, flow(), " is served here, by ", owner())
                        : evidence_.open ? cat(what, flow(), " is open here, with ", owner())
                                         : cat(what, flow(), " has a socket here, with ", owner(),
                                               ": whether it is open, or closed a moment ago, cannot be seen");
        } else if (verdict == "closed") {
            out_.outcome = "dropped";
            out_.says = cat(what, flow(), " is dropped: ", sentence_of(kRefusals, ruling_.refusal), ", and what ",
                            owner(), " claims must not leave the site (on_failure: drop)");
        } else if (verdict == "no-listener" && evidence_.by_headers) {
            out_.outcome = "dropped";
            out_.says = cat(what, flow(), tcp ? " is refused by " : " is lost with ", owner(), ": ",
                            sentence_of(kRefusals, verdict), ", and the classic grade cannot give it to the cloud");
        } else if (verdict == "not-steered" && !ruling_.claim) {
            out_.outcome = "unclaimed";
            out_.says = cat(what, flow(), " goes its usual way: no filter of the classic grade takes it");
        } else if (verdict == "unclaimed") {
            out_.outcome = "unclaimed";
            out_.says = cat(what, flow(), " goes its usual way: no service claims that address, port and protocol");
        } else {
            out_.outcome = "cloud";
            out_.says = cat(what, flow(), " goes to the cloud: ", sentence_of(kRefusals, verdict));
        }
        if (has_socket() && !is_open) {
            because("connection", cat("that of ", evidence_.query.source_text(),
                                      " is closed: what still comes of it goes to the service, a new one as told"));
        } else if (evidence_.goes_on && !is_open) {
            other_connection(*evidence_.goes_on);
        }
    }

    /// What becomes of one with the query's ports that is not open here. Before sockets are looked at nothing is known.
    void other_connection(const Ruling& middle) {
        const std::string none = cat("none of ", evidence_.query.source_text(), " is open here: what belongs to one ");
        if (middle.verdict == "cloud-flow") {
            because("connection", cat(none, "goes to the cloud, with which it began"));
        } else if (middle.verdict == "closed") {
            because("connection", cat(none, "is dropped, too (on_failure: drop)"));
        }
    }

    /// Why the classic grade leaves alone what is claimed.
    void steering() {
        if (ruling_.verdict == "not-steered" && ruling_.claim) {
            const auto& gateway = evidence_.client.way.gateway;
            because("way in", gateway ? cat("it is behind another router of the LAN, ", gateway->text(),
                                            ": the classic grade serves the LAN's own networks alone")
                                      : "the classic grade serves the router's own networks on the LAN alone, and as "
                                        "many claims as it has room for");
        }
    }

    void claim() {
        if (ruling_.claim) {
            because("claim", service_ == nullptr ? out_.claim : cat(out_.claim, ", by ", service_->name));
        }
    }

    /// Whether a new flow got as far as to where the lease counts, and it has not ended.
    [[nodiscard]] bool is_admitted() const {
        const auto& begins = *evidence_.begins;
        const auto& reason = begins.verdict == "closed" ? begins.refusal : begins.verdict;
        return reason == "served" || reason == "no-listener";
    }

    void admission() {
        if (!evidence_.daemon) {
            because("viscumd", cat(evidence_.daemon_problem, ": the datapath goes on as it was left"));
        } else if (ruling_.claim && is_admitted() && evidence_.daemon->lease_ms_left >= 0) {
            because("lease", cat("new flows are admitted for ", time_text(evidence_.daemon->lease_ms_left),
                                 " more, and viscumd renews that"));
        }
        if (service_ != nullptr && service_->drained) {
            because("admission", cat(service_->name, " was drained by an operator"));
        }
        for (const auto& claim : service_ == nullptr ? std::vector<ClaimReport>() : service_->claims) {
            if (claim.ended && claim.claim == out_.claim) {
                because("admission", cat("the claim ended at ", claim.until));
            }
        }
    }

    void listener() {
        if (!evidence_.listening || out_.outcome == "unclaimed") {
            return;
        }
        const Claim asked = evidence_.query.claim();
        const auto missing = claims_without_listener({asked}, *evidence_.listening);
        if (!missing.empty()) {
            because("listener", describe_missing(missing, *evidence_.listening));
            return;
        }
        for (const auto& socket : *evidence_.listening) {
            if (claims_without_listener({asked}, {socket}).empty()) {
                because("listener", cat(socket.text(), " in the service's namespace"));
            }
        }
    }

    void answer() {
        if (!is_served() || !evidence_.reply) {
            return;
        }
        if (evidence_.reply->verdict == "replied") {
            because("answer", cat("goes straight back", evidence_.back ? cat(" by ", evidence_.back->device) : "",
                                  ", past the router's firewall"));
        }
    }

    void state() {
        if (service_ == nullptr) {
            return;
        }
        std::string text = cat(service_->state, ", ", service_->health);
        if (service_->probe_us >= 0) {
            text += cat("; the last probe took ", service_->probe_us / 1000, ".", service_->probe_us / 100 % 10, " ms");
        }
        if (!service_->reason.empty()) {
            text += cat("; ", service_->reason);
        }
        if (!service_->last_exit.empty()) {
            text += cat("; the last end: ", service_->last_exit);
        }
        because("service", std::move(text));
    }

    void history() {
        if (service_ == nullptr || service_->given_back_ms_ago < 0) {
            return;
        }
        std::vector<std::string> causes;
        for (const auto& cause : service_->given_back) {
            if (cause.times != 0) {
                causes.push_back(cat(cause.cause, " (", cause.times, ")"));
            }
        }
        because("history",
                cat("since viscumd started, new flows were not served because of: ", join(causes, ", "),
                    "; the last time ", time_text(service_->given_back_ms_ago), " ago: ", service_->given_back_cause));
    }

    void offload() {
        for (const auto& table : evidence_.flow_tables) {
            because("offload", table.hardware
                                   ? cat("flow table ", table.name,
                                         " offloads to hardware: a flow that it has is seen by no filter")
                                   : cat("flow table ", table.name, " offloads in software, behind our filter"));
        }
    }

    void onward() {
        if (!is_served() && out_.outcome != "dropped") {
            because("onward", onward_text(evidence_.onward));
        }
    }

    void commands() {
        if (service_ == nullptr) {
            out_.next.emplace_back(out_.outcome == "unclaimed" ? "viscumctl list" : "viscumctl doctor");
            return;
        }
        if (is_served()) {
            return;
        }
        if (service_->drained) {
            out_.next.push_back(cat("viscumctl resume ", service_->name));
        }
        out_.next.push_back(cat("viscumctl status ", service_->name));
        if (ruling_.verdict == "no-listener" || ruling_.refusal == "no-listener") {
            out_.next.push_back(cat("viscumctl logs ", service_->name));
        }
    }

    const Evidence& evidence_;
    Ruling ruling_;
    const ServiceReport* service_ = nullptr;
    Explanation out_;
};

}  // namespace

Explanation explain(const Evidence& evidence) {
    return Account(evidence).whole();
}

}  // namespace viscum
