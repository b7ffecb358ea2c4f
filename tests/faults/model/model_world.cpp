// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/model/model_world.h"

#include "base/text.h"

namespace viscum {
namespace {

const char* admission_text(Admission admission) {
    return admission == Admission::serve ? "serve" : admission == Admission::drain ? "drain" : "off";
}

const char* kind_text(WorldSocket::Kind kind) {
    switch (kind) {
        case WorldSocket::Kind::listener: return "TCP listener";
        case WorldSocket::Kind::handshake: return "TCP handshake";
        case WorldSocket::Kind::established: return "TCP established";
        case WorldSocket::Kind::time_wait: return "TCP time-wait";
        case WorldSocket::Kind::datagram: return "UDP bound";
        case WorldSocket::Kind::connected: break;
    }
    return "UDP connected";
}

}  // namespace

std::string describe(const Rule& rule) {
    const auto backend = [](const RuleBackend& one) { return one.ifindex == 0 ? "none" : cat("if", one.ifindex); };
    return cat(rule.key.prefix.text(), " ports ", rule.key.first_port, '-', rule.key.last_port, " protocol ",
               int{rule.key.protocol}, ": ", admission_text(rule.admission), rule.closed ? ", closed" : "",
               rule.several_addresses ? ", several" : "", ", backends ", backend(rule.backend[0]), ' ',
               backend(rule.backend[1]), ", active ", int{rule.active});
}

std::string describe(const WorldSocket& socket) {
    const std::string wildcard = socket.any_v4 && socket.any_v6 ? "any" : socket.any_v4 ? "0.0.0.0" : "::";
    std::string out = cat("link ", socket.link, ": ", kind_text(socket.kind), ' ',
                          socket.any_v4 || socket.any_v6 ? wildcard : socket.address.text(), " port ", socket.port);
    if (socket.has_peer()) {
        out += cat(" peer ", socket.remote.text(), " port ", socket.remote_port);
    }
    return out + (socket.other_device ? ", on lo" : "");
}

std::string describe(int link, const LinkEgress& egress) {
    std::string out = cat("link ", link, ":");
    const auto add = [&out](const char* name, const LinkAlias& alias) {
        out += cat(' ', name, ' ', alias.owned.text(), "=", alias.alias.text());
    };
    for (const auto& own : {egress.v4, egress.v6}) {
        if (own) {
            add("own", *own);
        }
    }
    for (const auto& origin : egress.origins) {
        add("origin", origin);
    }
    for (const auto& target : egress.targets) {
        out += cat(" target ", target.prefix.text(), " port ", target.port, " protocol ", int{target.protocol});
    }
    return out + (egress.internet ? " internet" : "");
}

std::string describe(const Step& step) {
    if (step.kind == Step::Kind::lease) {
        return step.lease ? "the lease is valid" : "the lease ends";
    }
    if (step.kind == Step::Kind::rules) {
        std::string out = "the rules become";
        for (const auto& rule : step.rules) {
            out += cat("\n      ", describe(rule));
        }
        return out;
    }
    const std::string hook = step.hook == Hook::lan       ? "vs_lan"
                             : step.hook == Hook::service ? "vs_service"
                                                          : "vs_return";
    return cat(hook, step.hook == Hook::lan ? "" : cat(" link ", step.link),
               step.segments > 1 ? cat(" segments ", step.segments) : "", step.no_token ? " no token" : "", ": ",
               hex_dump(step.frame));
}

}  // namespace viscum
