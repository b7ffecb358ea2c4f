// SPDX-License-Identifier: GPL-2.0-only
#include "controller/world/linux_world.h"

#include <algorithm>

namespace viscum {
namespace {

constexpr Millis kKeepEach{1000};

}  // namespace

LinuxWorld::LinuxWorld(const Instance& instance, const AliasRange& aliases, NlSocket socket, NlWatch watch,
                       std::unique_ptr<Grade> grade)
    : instance_(instance),
      socket_(std::move(socket)),
      router_watch_(std::move(watch)),
      grade_(std::move(grade)),
      lan_(*grade_),
      masquerade_{instance.name, aliases.v4, aliases.v6} {}

Result<std::unique_ptr<LinuxWorld>> LinuxWorld::open(const Instance& instance, const RouterConfig& config,
                                                     std::unique_ptr<Grade> grade) {
    auto socket = NlSocket::open();
    if (!socket) {
        return std::move(socket).error();
    }
    auto watch = NlWatch::open(NlWatch::Groups::router);
    if (!watch) {
        return std::move(watch).error();
    }
    std::unique_ptr<LinuxWorld> world(
        new LinuxWorld(instance, config.aliases, std::move(*socket), std::move(*watch), std::move(grade)));
    world->lan_.set_patterns(config.lan);
    return world;
}

void LinuxWorld::set_lan(const std::vector<std::string>& patterns) {
    lan_.set_patterns(patterns);
    suspect_router();
}

int LinuxWorld::backend_watch_fd(const BackendKey& key) const {
    const auto found = backends_.find(key);
    return found == backends_.end() || !found->second.watch ? -1 : found->second.watch->fd();
}

bool LinuxWorld::drain_router_watch() {
    const auto news = router_watch_.drain();
    if (news.overflow) {
        suspect_router();
    }
    for (const auto device : news.devices) {
        suspect_device(device);
    }
    return news.overflow || !news.devices.empty();
}

/// What is no backend's may be the LAN's. 0 is a route, which may be any backend's.
void LinuxWorld::suspect_device(std::uint32_t device) {
    if (device == 0) {
        suspect_router();
        return;
    }
    const auto found = std::find_if(backends_.begin(), backends_.end(),
                                    [device](const auto& entry) { return number(entry.second.link.device) == device; });
    if (found != backends_.end()) {
        links_suspected_.add(found->first);
    } else if (!removed_links_.contains(device)) {
        suspect_router();
    }
}

bool LinuxWorld::drain_nft_watch() {
    const bool any = nft_watch_ && nft_watch_->drain();
    masquerade_suspected_ = masquerade_suspected_ || any;
    return any;
}

bool LinuxWorld::drain_backend_watch(const BackendKey& key) {
    const auto found = backends_.find(key);
    if (found == backends_.end() || !found->second.watch) {
        return false;
    }
    const auto news = found->second.watch->drain();
    const bool any = news.links || news.overflow;
    if (any) {
        suspect_backend(key);
    }
    return any;
}

void LinuxWorld::know(const BackendKey& key) {
    if (backends_.contains(key)) {
        return;
    }
    Backend backend;
    backend.service = key.service;
    backend.net_ns_name = net_ns_name(instance_.name, key.service, key.slot);
    backend.link_name = host_ifname(instance_.name, key.service, key.slot);
    backends_.emplace(key, std::move(backend));
    names_suspected_.add(key);
    links_suspected_.add(key);
}

Status LinuxWorld::adopt_net_ns(const BackendKey& key, pid_t process) {
    know(key);
    auto net_ns = NetNs::of_process(process);
    if (!net_ns) {
        return std::move(net_ns).error();
    }
    backends_.at(key).net_ns = std::move(*net_ns);
    names_suspected_.add(key);
    links_suspected_.add(key);
    return {};
}

void LinuxWorld::forget(const BackendKey& key) {
    const auto found = backends_.find(key);
    if (found == backends_.end()) {
        return;
    }
    if (const auto named = NetNs::open(found->second.net_ns_name); !named && named.error().errno_code == ENOENT) {
        // A plain file, if anything. What cannot be removed is found by create().
        [[maybe_unused]] const auto status = remove_net_ns_name(found->second.net_ns_name);
    }
    close_watch(found->second);
    backends_.erase(found);
}

void LinuxWorld::suspect_backend(const BackendKey& key) {
    if (const auto found = backends_.find(key); found != backends_.end()) {
        found->second.actual.addresses = false;
    }
}

void LinuxWorld::suspect_name(const std::string& net_ns) {
    const auto found = std::find_if(backends_.begin(), backends_.end(),
                                    [&](const auto& entry) { return entry.second.net_ns_name == net_ns; });
    if (found != backends_.end()) {
        names_suspected_.add(found->first);
    }
}

Status LinuxWorld::observe_name(Backend& backend) {
    auto named = NetNs::open(backend.net_ns_name);
    if (!named) {
        if (named.error().errno_code != ENOENT) {
            return std::move(named).error();
        }
        backend.actual.net_ns = false;  // what we hold open is named again by make_net_ns
        return {};
    }
    const ino_t inode = named->inode();
    if (!backend.net_ns) {
        backend.net_ns = std::move(*named);
    }
    backend.actual.net_ns = backend.net_ns->inode() == inode;
    return {};
}

Status LinuxWorld::observe_names() {
    for (auto& [key, backend] : backends_) {
        if (!names_suspected_.all() && !names_suspected_.few().contains(key)) {
            continue;
        }
        if (auto status = observe_name(backend); !status) {
            return status;
        }
    }
    names_suspected_.clear();
    return {};
}

Status LinuxWorld::observe_link(Backend& backend, const Link* named, const Link* numbered) {
    // Rules keep the number that is gone until there is a new one: packets are lost for a moment then, and not given to
    // the cloud, which would reset what runs.
    backend.actual.link = false;
    backend.actual.fence = false;
    backend.link_stands = false;
    if (!backend.net_ns) {
        return {};
    }
    const auto nsid = net_ns_id(socket_, *backend.net_ns);
    if (!nsid) {
        return nsid.error();
    }
    backend.link_stands = numbered != nullptr && numbered->peer_nsid == *nsid;
    if (named == nullptr || named->peer_nsid != *nsid) {
        return {};
    }
    const LinkEnd end{named->index, *nsid};
    if (backend.link != end) {
        written_.reset();
    }
    backend.link = end;
    backend.actual.link = named->up;
    backend.actual.addresses = backend.actual.addresses && backend.shape == grade_->link_shape(backend.service);
    const auto fenced = grade_->fenced(end);
    if (!fenced) {
        return fenced.error();
    }
    backend.actual.fence = *fenced;
    if (backend.actual.egress) {
        const auto in_place = egress_in_place(backend);
        if (!in_place) {
            return in_place.error();
        }
        if (!*in_place) {
            backend.actual.egress.reset();
        }
    }
    return {};
}

Status LinuxWorld::observe_few_links() {
    const auto none_is_no_error = [](const Result<Link>& link) {
        return link || link.error().errno_code == ENODEV ? Status{} : Status{link.error()};
    };
    for (const auto& key : links_suspected_.few()) {
        const auto found = backends_.find(key);
        if (found == backends_.end()) {
            continue;
        }
        Backend& backend = found->second;
        const auto named = find_link(socket_, backend.link_name);
        if (auto status = none_is_no_error(named); !status) {
            return status;
        }
        if (named && named->index == backend.link.device) {
            if (auto status = observe_link(backend, &*named, &*named); !status) {
                return status;
            }
            continue;
        }
        const auto numbered = number(backend.link.device) != 0 ? find_link(socket_, backend.link.device)
                                                               : Result<Link>(Error{ENODEV, "it had no number"});
        if (auto status = none_is_no_error(numbered); !status) {
            return status;
        }
        if (auto status = observe_link(backend, named ? &*named : nullptr, numbered ? &*numbered : nullptr); !status) {
            return status;
        }
    }
    return {};
}

Status LinuxWorld::observe_router() {
    const auto links = list_links(socket_);
    if (!links) {
        return links.error();
    }
    std::map<std::string_view, const Link*> by_name;
    std::map<IfIndex, const Link*> by_number;
    for (const auto& link : *links) {
        by_name[link.name] = &link;
        by_number[link.index] = &link;
    }
    const auto find_in = [](const auto& map, const auto& key) {
        const auto found = map.find(key);
        return found == map.end() ? nullptr : found->second;
    };
    std::set<std::string> own;
    for (const auto& [key, backend] : backends_) {
        own.insert(backend.link_name);
    }
    // First: the links of services may depend on what the LAN is like.
    if (auto status = lan_.observe(socket_, *links, own); !status) {
        return status;
    }
    for (auto& [key, backend] : backends_) {
        if (auto status =
                observe_link(backend, find_in(by_name, backend.link_name), find_in(by_number, backend.link.device));
            !status) {
            return status;
        }
    }
    grade_->retire(*links);
    if (auto status = forget_gone_links(); !status) {
        return status;
    }
    removed_links_.clear();
    return {};
}

Result<Actual> LinuxWorld::observe() {
    if (auto status = observe_names(); !status) {
        return std::move(status).error();
    }
    if (auto status = links_suspected_.all() ? observe_router() : observe_few_links(); !status) {
        return std::move(status).error();
    }
    links_suspected_.clear();
    if (masquerade_suspected_) {
        if (auto status = observe_masquerade(); !status) {
            return std::move(status).error();
        }
        masquerade_suspected_ = false;
    }
    forget_untranslated();
    grade_->tidy();
    if (written_ && boot_now() - flows_kept_at_ > kKeepEach) {
        if (auto status = keep_open_flows(*written_); !status) {
            return std::move(status).error();
        }
    }
    Actual actual;
    actual.masquerade = masquerade_there_;
    for (const auto& [key, backend] : backends_) {
        actual.backends.emplace_hint(actual.backends.end(), key, backend.actual);
    }
    actual.rules = written_;
    lan_.add_to(actual);
    return actual;
}

LinkedRule LinuxWorld::with_links(const WantedRule& wanted) const {
    LinkedRule rule{wanted, {}};
    for (int slot = 0; slot < 2; ++slot) {
        const auto found = backends_.find({wanted.service, slot});
        const auto place = static_cast<std::size_t>(slot);
        if (wanted.backend[place] && found != backends_.end() && number(found->second.link.device) != 0) {
            rule.links[place] = found->second.link;
        }
    }
    return rule;
}

Status LinuxWorld::write_rules(const std::vector<WantedRule>& rules) {
    std::vector<LinkedRule> table;
    table.reserve(rules.size());
    for (const auto& rule : rules) {
        table.push_back(with_links(rule));
    }
    if (auto kept = keep_open_flows(rules); !kept) {
        return kept;
    }
    if (auto written = grade_->write(table); !written) {
        written_.reset();  // it may have come half-way
        return written;
    }
    written_ = rules;
    return keep_open_flows(rules);  // those that began until the rules stood
}

Status LinuxWorld::execute(const Step& step, const Wanted& wanted) {
    using Kind = Step::Kind;
    switch (step.kind) {
        case Kind::prepare_lan: return lan_.prepare(step.device);
        case Kind::write_rules: return write_rules(wanted.rules);
        case Kind::attach_lan: return lan_.attach(step.device);
        case Kind::detach_lan: return lan_.detach(step.device);
        case Kind::make_masquerade: return make_masquerade();
        case Kind::remove_masquerade: return remove_masquerade();
        case Kind::launch:
        case Kind::end_process: return Error{EINVAL, "processes are not the world's"};
        default: break;
    }
    know(step.backend);
    Backend& backend = backends_.find(step.backend)->second;
    switch (step.kind) {
        case Kind::make_net_ns: return make_net_ns(backend);
        case Kind::make_link: return make_link(step.backend, backend);
        case Kind::set_addresses: return set_addresses(backend, wanted.backends.at(step.backend));
        case Kind::attach_fence: return attach_fence(backend, wanted.backends.at(step.backend));
        case Kind::set_egress: return set_egress(step.backend, backend, wanted.backends.at(step.backend));
        case Kind::remove_link: return remove_link(backend);
        case Kind::remove_net_ns: return remove_net_ns(backend);
        default: return {};
    }
}

bool LinuxWorld::has_name(const BackendKey& key) const {
    return static_cast<bool>(NetNs::open(net_ns_name(instance_.name, key.service, key.slot)));
}

const NetNs* LinuxWorld::net_ns(const BackendKey& key) const {
    const auto found = backends_.find(key);
    return found == backends_.end() || !found->second.net_ns ? nullptr : &*found->second.net_ns;
}

bool LinuxWorld::has_link(const BackendKey& key) const {
    const auto found = backends_.find(key);
    return found != backends_.end() && number(found->second.link.device) != 0;
}

}  // namespace viscum
