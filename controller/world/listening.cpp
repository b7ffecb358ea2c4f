// SPDX-License-Identifier: GPL-2.0-only
#include "controller/world/listening.h"

#include <algorithm>

#include "base/text.h"
#include "netns/sock_diag.h"

namespace viscum {
namespace {

constexpr std::size_t kMostNamed = 4;

bool takes(const Listening& socket, const Claim& claim) {
    const bool any = socket.address == IpAddress{} && !(socket.v6_only && claim.prefix.address.is_v4());
    const bool any_v4 = socket.address == IpAddress::parse("0.0.0.0");
    const bool here = any || (any_v4 && claim.prefix.address.is_v4()) || claim.prefix.contains(socket.address);
    return here && socket.protocol == claim.protocol && claim.ports.first <= socket.port &&
           socket.port <= claim.ports.last;
}

/// "a, b and 3 more".
template <class Thing>
std::string list_of(const std::vector<Thing>& things) {
    std::vector<std::string> texts;
    for (std::size_t index = 0; index < std::min(things.size(), kMostNamed); ++index) {
        texts.push_back(things[index].text());
    }
    const auto more = things.size() - texts.size();
    return cat(join(texts, ", "), more == 0 ? "" : cat(" and ", more, " more"));
}

}  // namespace

std::string Listening::text() const {
    const std::string host = address.is_v4() ? address.text() : cat('[', address.text(), ']');
    return cat(host, ':', port, protocol == Protocol::tcp ? "/tcp" : "/udp", v6_only ? " (IPv6 alone)" : "",
               bound ? " (bound to a device)" : "");
}

Result<std::vector<Listening>> listening_in(const NetNs& ns, bool udp) {
    std::vector<Listening> found;
    const auto status = ns.inside([&]() -> Status {
        const auto diag = SockDiag::open();
        if (!diag) {
            return diag.error();
        }
        for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
            if (protocol == Protocol::udp && !udp) {
                continue;
            }
            const auto sockets = protocol == Protocol::tcp ? diag->tcp_listeners() : diag->udp_listeners();
            if (!sockets) {
                return sockets.error();
            }
            for (const auto& socket : *sockets) {
                found.push_back({socket.address, socket.port, protocol, socket.v6_only, socket.bound});
            }
        }
        return {};
    });
    if (!status) {
        return status.error();
    }
    // Several processes may share an address.
    std::ranges::sort(found);
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

std::vector<Claim> claims_without_listener(const std::vector<Claim>& claims, const std::vector<Listening>& listening) {
    std::vector<Claim> missing;
    for (const Claim& claim : claims) {
        if (std::ranges::none_of(listening, [&](const Listening& socket) { return takes(socket, claim); })) {
            missing.push_back(claim);
        }
    }
    return missing;
}

std::string describe_missing(const std::vector<Claim>& missing, const std::vector<Listening>& listening) {
    if (missing.empty()) {
        return {};
    }
    return cat("no listener on ", list_of(missing), ": it listens on ",
               listening.empty() ? "nothing" : cat(list_of(listening), " only"));
}

}  // namespace viscum
