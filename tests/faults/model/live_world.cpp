// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/model/live_world.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <doctest/doctest.h>

#include <algorithm>

#include "base/text.h"
#include "tests/faults/model/live_sockets.h"
#include "tests/faults/model/random_world.h"
#include "tests/support/bed.h"

namespace viscum {
namespace {

// More than a world's packets can begin, so that nothing is pushed out.
constexpr DatapathSizes kSizes{.rules = 32, .flows = 65'536, .fragments = 16'384};
// Of the link's bucket: far from its end, whatever else takes.
constexpr int kTokens = VS_NEW_FLOWS / 2;

bool is_covered(const World& world, const WorldSocket& wanted) {
    return std::any_of(world.sockets.begin(), world.sockets.end(), [&wanted](const WorldSocket& one) {
        const bool family = wanted.address.is_v4() ? one.any_v4 : one.any_v6;
        const bool address = one.any_v4 || one.any_v6 ? family : one.address == wanted.address;
        return one.kind == WorldSocket::Kind::listener && one.link == wanted.link && one.port == wanted.port &&
               address && !one.other_device;
    });
}

bool same_flow(const WorldSocket& a, const WorldSocket& b) {
    return a.tcp() && b.tcp() && a.has_peer() && b.has_peer() && a.link == b.link && a.address == b.address &&
           a.port == b.port && a.remote == b.remote && a.remote_port == b.remote_port;
}

void clear_map(int fd) {
    std::vector<std::uint8_t> key(64);
    while (bpf_map_get_next_key(fd, nullptr, key.data()) == 0) {
        bpf_map_delete_elem(fd, key.data());
    }
}

std::uint64_t hour_from_now() {
    return static_cast<std::uint64_t>(boot_now().count()) + 3'600'000'000'000ULL;
}

}  // namespace

LiveWorld::~LiveWorld() = default;

std::unique_ptr<LiveWorld> LiveWorld::make(std::uint32_t seed) {
    std::unique_ptr<LiveWorld> out(new LiveWorld());
    out->lab_ = Lab::make(kSizes);
    if (!out->lab_) {
        return nullptr;
    }
    out->world_ = random_world(seed, {out->lab_->backend(0), out->lab_->backend(1)});
    return out->set_up() && out->open_sockets() && out->reset(out->world_.rules) ? std::move(out) : nullptr;
}

bool LiveWorld::set_up() {
    const auto here = NetNs::current();
    if (!here || (world_.internet && !lab_->add_internet()) ||
        !ip_batch(*here, cat("link set lan0 mtu ", world_.lan_mtu, "\n")) ||
        (world_.bridge && !lab_->table().set_lan_device(lab_->lan_device(), world_.bridge))) {
        FAIL_CHECK("cannot set up the world");
        return false;
    }
    for (const int link : {0, 1}) {
        const auto at = static_cast<std::size_t>(link);
        const auto set = lab_->namespace_of(link).inside(
            [&] { return set_net_sysctl("ipv4/tcp_syncookies", world_.cookies[at] ? "2" : "1"); });
        if (!set || (world_.egress[at] && lab_->allow(world_.egress[at], link) < 0)) {
            FAIL_CHECK("cannot set up a link of the world");
            return false;
        }
        before_[at] = lab_->link_counters(link);
    }
    for (const char* name : {"vs_sources", "vs_fragments", "vs_outs"}) {
        memories_.emplace_back(bpf_obj_get(cat("/sys/fs/bpf/lab/v", VS_ABI, '/', name).c_str()));
        REQUIRE(memories_.back());
    }
    return true;
}

bool LiveWorld::open_sockets() {
    // Listeners first: handshakes need one.
    std::stable_partition(world_.sockets.begin(), world_.sockets.end(),
                          [](const WorldSocket& socket) { return socket.kind == WorldSocket::Kind::listener; });
    const auto wanted = std::exchange(world_.sockets, {});
    std::array<std::optional<LinkEnd>, 2> ends{LinkEnd::open(lab_->link_of(0)), LinkEnd::open(lab_->link_of(1))};
    if (!ends[0] || !ends[1]) {
        return false;
    }
    std::size_t handshakes[2] = {};
    std::size_t time_waits[2] = {};
    for (const auto& socket : wanted) {
        const auto link = static_cast<std::size_t>(socket.link);
        if (std::any_of(world_.sockets.begin(), world_.sockets.end(),
                        [&socket](const WorldSocket& other) { return same_flow(socket, other); })) {
            continue;
        }
        if (socket.kind == WorldSocket::Kind::handshake) {
            if (!is_covered(world_, socket)) {
                continue;
            }
            if (world_.cookies[link]) {
                const auto cookie = ends[link]->ask_cookie(socket);
                if (!cookie) {
                    return false;
                }
                cookies_.push_back(*cookie);
                continue;  // there is no socket until the handshake ends
            }
            if (!ends[link]->send_syn(socket)) {
                return false;
            }
            ++handshakes[link];
            world_.sockets.push_back(socket);
            continue;
        }
        UniqueFd fd = open_world_socket(lab_->namespace_of(socket.link), socket);
        if (!fd) {
            continue;
        }
        if (socket.kind == WorldSocket::Kind::time_wait) {
            fd.reset();
            if (!ends[link]->end_connection(socket)) {
                return false;
            }
            ++time_waits[link];
        } else {
            sockets_.push_back(std::move(fd));
        }
        world_.sockets.push_back(socket);
    }
    return wait_for_tcp_states(lab_->namespace_of(0), handshakes[0], time_waits[0]) &&
           wait_for_tcp_states(lab_->namespace_of(1), handshakes[1], time_waits[1]);
}

bool LiveWorld::reset(const std::vector<Rule>& rules) {
    for (const auto& map : memories_) {
        clear_map(map.get());
    }
    clear_map(lab_->datapath().flows.fd());
    Step lease;
    lease.kind = Step::Kind::lease;
    lease.lease = world_.lease;
    if (lab_->apply(rules) < 0 || !change(lease)) {
        return false;
    }
    for (const auto& rule : rules) {
        REQUIRE(clear_counters(lab_->datapath(), lab_->table().index_of(rule.key).value()));
    }
    tokens_ = {};
    before_ = {lab_->link_counters(0), lab_->link_counters(1)};
    last_ = read_verdicts_at_once();
    return true;
}

bool LiveWorld::change(const Step& change) {
    if (change.kind == Step::Kind::rules) {
        return lab_->apply(change.rules) >= 0;
    }
    return static_cast<bool>(
        lab_->table().set_lease(change.lease ? std::nullopt : std::optional(boot_now() - Millis(1))));
}

bool LiveWorld::prepare_token(const Step& packet) {
    const auto link = static_cast<std::size_t>(packet.link);
    if (packet.hook != Hook::service || !world_.egress[link]) {
        return true;
    }
    if (packet.no_token) {
        lab_->set_full_at(hour_from_now(), packet.link);
        tokens_[link] = 0;
    } else if (tokens_[link]-- <= 0) {
        lab_->set_full_at(0, packet.link);
        tokens_[link] = kTokens;
    }
    return true;
}

Verdicts LiveWorld::read_verdicts_at_once() const {
    const auto cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
    std::vector<std::uint64_t> values(cpus * VS_VERDICTS);
    std::vector<std::uint32_t> keys(VS_VERDICTS);
    std::uint32_t next = 0;
    std::uint32_t count = VS_VERDICTS;
    const int error = bpf_map_lookup_batch(lab_->datapath().verdicts.get(), nullptr, &next, keys.data(), values.data(),
                                           &count, nullptr);
    if ((error != 0 && error != -ENOENT) || count != VS_VERDICTS) {
        return lab_->verdicts();  // an older kernel: one by one
    }
    Verdicts out{};
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t cpu = 0; cpu < cpus; ++cpu) {
            out[keys[i]] += values[i * cpus + cpu];
        }
    }
    return out;
}

Seen LiveWorld::run(const Step& packet) {
    prepare_token(packet);
    Datapath& datapath = lab_->datapath();
    const BpfProgram& program = packet.hook == Hook::lan       ? datapath.lan
                                : packet.hook == Hook::service ? datapath.service
                                                               : datapath.vs_return;
    __sk_buff context{};
    context.ifindex = packet.hook == Hook::lan ? lab_->lan_device() : lab_->link_of(packet.link);
    if (packet.segments > 1) {
        context.gso_segs = packet.segments;
        context.gso_size = 1000;
    }
    Seen out;
    out.frame.resize(packet.frame.size() + 64);
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = packet.frame.data();
    options.data_size_in = static_cast<__u32>(packet.frame.size());
    options.data_out = out.frame.data();
    options.data_size_out = static_cast<__u32>(out.frame.size());
    options.ctx_in = &context;
    options.ctx_size_in = sizeof context;
    out.error = bpf_prog_test_run_opts(program.fd.get(), &options);
    if (out.error != 0) {
        return out;
    }
    out.action = static_cast<std::int32_t>(options.retval);
    out.frame.resize(options.data_size_out);
    const Verdicts now = read_verdicts_at_once();
    for (std::size_t i = 0; i < now.size(); ++i) {
        if (now[i] != last_[i]) {
            out.verdicts.emplace_back(i, now[i] - last_[i]);
        }
    }
    last_ = now;
    return out;
}

LinkCounters LiveWorld::link_counters(int link) const {
    LinkCounters out = lab_->link_counters(link);
    const LinkCounters& before = before_[static_cast<std::size_t>(link)];
    out.out -= before.out;
    out.out_bytes -= before.out_bytes;
    out.in -= before.in;
    out.in_bytes -= before.in_bytes;
    for (std::size_t i = 0; i < out.refused.size() && i < before.refused.size(); ++i) {
        out.refused[i].second -= before.refused[i].second;
    }
    return out;
}

std::optional<std::uint32_t> LiveWorld::index_of(const Rule& rule) const {
    return lab_->table().index_of(rule.key);
}

}  // namespace viscum
