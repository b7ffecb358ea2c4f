// SPDX-License-Identifier: GPL-2.0-only
// One backend's steps: its namespace, its link, its addresses and its fence are made, mended and taken down.
#include <algorithm>

#include "base/text.h"
#include "controller/world/linux_world.h"

namespace viscum {
namespace {

constexpr const char* kServiceDevice = "eth0";
constexpr int kAddressRounds = 3;  // against a tool that goes on; its news wait for the next pass

/// What a service's namespace needs beside its addresses. Keys that a kernel lacks (no IPv6) are passed over.
Status prepare_sysctls() {
    for (const auto& [key, value] :
         {std::pair("ipv4/ip_unprivileged_port_start", "0"), std::pair("ipv6/conf/all/accept_ra", "0"),
          std::pair("ipv6/conf/default/accept_ra", "0"), std::pair("ipv4/conf/all/rp_filter", "0"),
          std::pair("ipv4/conf/default/rp_filter", "0"),
          // EgressSpec::kOwnPorts: what a service begins leaves from no port that it claims.
          std::pair("ipv4/ip_local_port_range", "32768\t60999")}) {
        if (auto status = set_net_sysctl(key, value); !status && status.error().errno_code != ENOENT) {
            return status;
        }
    }
    return {};
}

bool owns_v6_prefix(const WantedBackend& wanted) {
    return std::any_of(wanted.prefixes.begin(), wanted.prefixes.end(),
                       [](const auto& prefix) { return !prefix.address.is_v4(); });
}

}  // namespace

Status LinuxWorld::make_net_ns(Backend& backend) {
    if (backend.net_ns) {
        if (auto status = backend.net_ns->keep_name(backend.net_ns_name); !status) {
            return status;
        }
    } else {
        auto made = NetNs::create(backend.net_ns_name);
        if (!made) {
            return std::move(made).error();
        }
        backend.net_ns = std::move(*made);
    }
    backend.actual.net_ns = true;
    return {};
}

/// To be called inside the backend's namespace.
Status LinuxWorld::open_watch(Backend& backend) {
    if (backend.watch) {
        return {};
    }
    auto watch = NlWatch::open(NlWatch::Groups::service);
    if (!watch) {
        return std::move(watch).error();
    }
    backend.watch = std::move(*watch);
    return {};
}

Status LinuxWorld::make_link(const BackendKey& key, Backend& backend) {
    const auto shape = grade_->link_shape(key.service);
    const VethSpec spec{backend.link_name, kServiceDevice, shape.mac, lan_.mtu(), shape.arp};
    auto link = create_veth(socket_, spec, *backend.net_ns);
    if (!link && link.error().errno_code == EEXIST && keep_link_name(socket_, spec, *backend.net_ns)) {
        link = create_veth(socket_, spec, *backend.net_ns);
    }
    if (!link) {
        if (!backend.link_stands && number(backend.link.device) != 0) {
            backend.link = LinkEnd{};  // gone, and not to be had: the cloud serves meanwhile
            written_.reset();
        }
        return link.error();
    }
    const auto nsid = net_ns_id(socket_, *backend.net_ns);
    if (!nsid) {
        return nsid.error();
    }
    auto prepared = backend.net_ns->inside([&]() -> Status {
        if (auto watched = open_watch(backend); !watched) {
            return watched;
        }
        const auto inside = NlSocket::open();
        return inside ? prepare_peer(*inside, spec) : Status{inside.error()};
    });
    if (!prepared) {
        return prepared;
    }
    // A number that was another link's may have an entry still.
    if (auto cleared = grade_->clear(link->index); !cleared) {
        return cleared;
    }
    backend.link = {link->index, *nsid};
    backend.link_stands = true;
    backend.actual.link = true;
    backend.actual.addresses = false;
    backend.actual.fence = false;
    backend.actual.egress.reset();
    written_.reset();
    return {};
}

/// Not with the link: a viscumd that is killed between the two finds the link and would not come here again.
Status LinuxWorld::set_sysctls(const Backend& backend, const WantedBackend& wanted, const Grade::LinkShape& shape) {
    // bpf_fib_lookup, which finds the way to the client, refuses a device that does not forward.
    for (const char* family : {"ipv4", "ipv6"}) {
        auto status =
            set_net_sysctl(cat(family, "/conf/", backend.link_name, "/forwarding"), shape.forwards ? "1" : "0");
        if (!status && status.error().errno_code != ENOENT) {
            return status;
        }
    }
    return backend.net_ns->inside([&]() -> Status {
        // An IPv6 address that is ours by a `local` route alone cannot be bound otherwise.
        if (owns_v6_prefix(wanted)) {
            if (auto status = set_net_sysctl("ipv6/ip_nonlocal_bind", "1"); !status) {
                return status;
            }
        }
        return prepare_sysctls();
    });
}

/// Our own writes are no news. But another tool's may be among them, so what is there is looked at once more after they
/// were read.
Status LinuxWorld::write_addresses(const NlSocket& inside, IfIndex device, Backend& backend,
                                   const OwnedAddresses& owned) {
    for (int round = 0; round < kAddressRounds; ++round) {
        backend.watch->drain();
        const auto written = apply_addresses(inside, device, owned);
        if (!written) {
            return written.error();
        }
        if (*written == 0) {
            break;
        }
    }
    return {};
}

Status LinuxWorld::set_addresses(Backend& backend, const WantedBackend& wanted) {
    const auto shape = grade_->link_shape(backend.service);
    if (auto status = set_sysctls(backend, wanted, shape); !status) {
        return status;
    }
    bool end_is_there = true;
    // A backend that was adopted has its watch from here on.
    auto status = backend.net_ns->inside([&]() -> Status {
        if (auto watched = open_watch(backend); !watched) {
            return watched;
        }
        const auto inside = NlSocket::open();
        if (!inside) {
            return inside.error();
        }
        const auto device = find_link(*inside, kServiceDevice);
        if (!device) {
            end_is_there = device.error().errno_code != ENODEV;
            return device.error();
        }
        const VethSpec spec{{}, kServiceDevice, shape.mac, device->mtu, shape.arp};
        if (auto prepared = prepare_peer(*inside, spec); !prepared) {
            return prepared;
        }
        OwnedAddresses owned{wanted.addresses, wanted.prefixes};
        if (shape.solicits && owns_v6_prefix(wanted)) {
            owned.single.push_back(*shape.solicits);
        }
        return write_addresses(*inside, device->index, backend, owned);
    });
    if (!end_is_there) {
        // Another tool renamed or moved the service's end, which goes with ours: both are made again.
        backend.actual.link = false;
        backend.link_stands = false;
        if (auto gone = delete_link(socket_, backend.link_name); !gone) {
            return gone;
        }
    }
    backend.actual.addresses = static_cast<bool>(status);
    backend.shape = shape;
    return status;
}

Status LinuxWorld::attach_fence(Backend& backend, const WantedBackend& wanted) {
    auto fenced = grade_->fence(backend.link, wanted);
    backend.actual.fence = static_cast<bool>(fenced);
    return fenced;
}

Status LinuxWorld::remove_link(Backend& backend) {
    // Its number may be given to another link one day.
    if (auto cleared = grade_->clear(backend.link.device); !cleared) {
        return cleared;
    }
    backend.actual.egress.reset();
    if (auto status = delete_link(socket_, backend.link_name); !status) {
        return status;
    }
    removed_links_.insert(number(backend.link.device));
    backend.link = LinkEnd{};
    backend.actual.link = false;
    return {};
}

void LinuxWorld::close_watch(Backend& backend) {
    if (backend.watch && before_closing_) {
        before_closing_(backend.watch->fd());
    }
    backend.watch.reset();
}

Status LinuxWorld::remove_net_ns(Backend& backend) {
    if (auto status = remove_net_ns_name(backend.net_ns_name); !status) {
        return status;
    }
    close_watch(backend);
    backend.net_ns.reset();
    backend.actual.net_ns = false;
    return {};
}

}  // namespace viscum
