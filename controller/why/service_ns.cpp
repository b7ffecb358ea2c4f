// SPDX-License-Identifier: GPL-2.0-only
#include "controller/why/service_ns.h"

#include "base/text.h"
#include "netns/link.h"
#include "netns/sock_diag.h"

namespace viscum {

Result<NetNs> namespace_at(const NlSocket& socket, const Instance& instance, std::uint32_t nsid) {
    const auto names = net_ns_names(instance.name + "-");
    for (const auto& name : names ? *names : std::vector<std::string>()) {
        auto ns = NetNs::open(name);
        const auto id = ns ? known_net_ns_id(socket, *ns) : Result<std::optional<std::uint32_t>>(ns.error());
        if (id && *id == nsid) {
            return ns;
        }
    }
    return Error{ENOENT, cat("no namespace of ", instance.name, "'s has the number ", nsid)};
}

std::optional<bool> has_open(const Result<NetNs>& ns, const FlowQuery& query) {
    if (!ns) {
        return std::nullopt;
    }
    const SockDiag::Connection connection{{query.destination, query.port},
                                          {query.source, query.source_port.value_or(0)}};
    auto found = Result<bool>(Error{});
    const auto looked = ns->inside([&]() -> Status {
        const auto diag = SockDiag::open();
        found = diag ? diag->has_connection(connection) : Result<bool>(diag.error());
        return {};
    });
    return looked && found ? std::optional(*found) : std::nullopt;
}

std::optional<std::vector<Listening>> listening_for(const Result<NetNs>& ns, const FlowQuery& query) {
    auto found = ns ? listening_in(*ns, query.protocol == Protocol::udp) : Result<std::vector<Listening>>(ns.error());
    return found ? std::optional(*std::move(found)) : std::nullopt;
}

}  // namespace viscum
