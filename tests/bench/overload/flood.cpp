// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/overload/flood.h"

#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <thread>

#include "base/event_loop.h"
#include "base/text.h"
#include "tests/support/program.h"

namespace viscum {
namespace {

constexpr unsigned kSources = 32;
constexpr std::size_t kBatch = 32;
constexpr std::size_t kSockets = 16;
constexpr Millis kConnectedWithin{5'000};

/// An IPv4 header and a TCP header without options (RFC 791, RFC 9293).
struct Syn {
    iphdr ip{};
    tcphdr tcp{};
};
static_assert(sizeof(Syn) == 40);

std::string source(unsigned number) {
    return cat("10.77.9.", number + 1);
}

std::uint32_t sum_of(const void* bytes, std::size_t length) {
    std::uint32_t sum = 0;
    for (std::size_t at = 0; at + 1 < length; at += 2) {
        std::uint16_t word = 0;
        std::memcpy(&word, static_cast<const char*>(bytes) + at, sizeof word);
        sum += word;
    }
    return sum;
}

std::uint16_t folded(std::uint32_t sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~(sum + (sum >> 16)));
}

/// The kernel fills in the IPv4 header's checksum and id (raw(7)).
Syn syn_between(std::uint32_t from_be, std::uint16_t from_port, const Endpoint& to, std::uint32_t sequence) {
    Syn syn;
    syn.ip.version = 4;
    syn.ip.ihl = 5;
    syn.ip.tot_len = htons(sizeof syn);
    syn.ip.ttl = 64;
    syn.ip.protocol = IPPROTO_TCP;
    syn.ip.saddr = from_be;
    std::memcpy(&syn.ip.daddr, to.address.wire(), sizeof syn.ip.daddr);
    syn.tcp.source = htons(from_port);
    syn.tcp.dest = htons(to.port);
    syn.tcp.seq = htonl(sequence);
    syn.tcp.doff = 5;
    syn.tcp.syn = 1;
    syn.tcp.window = htons(64'240);
    const std::uint32_t pseudo =
        sum_of(&syn.ip.saddr, 8) + htons(IPPROTO_TCP) + htons(static_cast<std::uint16_t>(sizeof syn.tcp));
    syn.tcp.check = folded(pseudo + sum_of(&syn.tcp, sizeof syn.tcp));
    return syn;
}

/// Lets `sent` things be sent at a rate.
class Pace {
public:
    explicit Pace(std::uint64_t per_second) : per_second_(per_second) {}
    void wait(std::uint64_t sent) const {
        if (per_second_ > 0) {
            const auto due = start_ + std::chrono::nanoseconds(sent * 1'000'000'000 / per_second_);
            std::this_thread::sleep_for(std::max(due - boot_now(), std::chrono::nanoseconds(0)));
        }
    }

private:
    std::uint64_t per_second_;
    BootTime start_ = boot_now();
};

Status neighbours(const Bed& bed, const std::string& verb, const std::string& behind) {
    std::string lines;
    for (unsigned number = 0; number < kSources; ++number) {
        lines += cat("neighbour ", verb, " ", source(number), behind, " dev br-lan\n");
    }
    return ip_batch(bed.hotspot(), lines);
}

}  // namespace

Status FloodSources::add(const Bed& bed, int number) {
    const auto link = output_of({"ip", "-o", "link", "show", "dev", "eth0"}, {.ns = &bed.client(number)});
    if (!link) {
        return link.error();
    }
    constexpr std::string_view kMark = "link/ether ";
    const std::size_t at = link->find(kMark);
    if (at == std::string::npos) {
        return Error{ENODEV, "the client's device has no MAC address"};
    }
    return neighbours(bed, "replace", cat(" lladdr ", link->substr(at + kMark.size(), 17), " nud permanent"));
}

Status FloodSources::remove(const Bed& bed) {
    return neighbours(bed, "del", "");
}

Result<std::uint64_t> flood_with_syns(const NetNs& ns, const FloodOptions& options, const std::stop_token& stopped) {
    UniqueFd fd;
    auto opened = ns.inside([&fd]() -> Status {
        fd.reset(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
        return fd ? Status() : Status(errno_error("cannot open a raw socket"));
    });
    if (!opened) {
        return std::move(opened).error();
    }
    std::mt19937 dice(options.seed);
    const SocketAddress to = to_sockaddr(options.to);
    std::array<std::uint32_t, kSources> sources{};
    for (unsigned number = 0; number < kSources; ++number) {
        const IpAddress address = IpAddress::parse(source(number)).value_or(IpAddress{});
        std::memcpy(&sources.at(number), address.wire(), sizeof(std::uint32_t));
    }
    std::array<Syn, kBatch> syns{};
    std::array<iovec, kBatch> parts{};
    std::array<mmsghdr, kBatch> messages{};
    for (std::size_t at = 0; at < kBatch; ++at) {
        parts.at(at) = {&syns.at(at), sizeof(Syn)};
        messages.at(at).msg_hdr.msg_name = const_cast<sockaddr*>(to.get());  // sendmmsg(2) leaves it alone
        messages.at(at).msg_hdr.msg_namelen = to.length;
        messages.at(at).msg_hdr.msg_iov = &parts.at(at);
        messages.at(at).msg_hdr.msg_iovlen = 1;
    }
    const Pace pace(options.per_second);
    std::uint64_t sent = 0;
    while (sent < options.count && !stopped.stop_requested()) {
        const std::size_t batch = std::min<std::uint64_t>(kBatch, options.count - sent);
        for (std::size_t at = 0; at < batch; ++at) {
            const auto port = static_cast<std::uint16_t>(1024 + dice() % 64'000);
            syns.at(at) =
                syn_between(sources.at(dice() % kSources), port, options.to, static_cast<std::uint32_t>(dice()));
        }
        const int done = sendmmsg(fd.get(), messages.data(), static_cast<unsigned>(batch), 0);
        if (done < 0 && errno != ENOBUFS && errno != EINTR) {
            return errno_error("cannot send");
        }
        sent += static_cast<std::uint64_t>(std::max(done, 0));
        pace.wait(sent);
    }
    return sent;
}

Result<std::uint64_t> flood_with_datagrams(const NetNs& ns, const FloodOptions& options,
                                           const std::stop_token& stopped) {
    std::vector<UniqueFd> fds;
    const SocketAddress to = to_sockaddr(options.to);
    for (std::size_t number = 0; number < kSockets; ++number) {
        auto fd = open_socket(ns, SOCK_DGRAM, options.to, {});
        if (!fd) {
            return std::move(fd).error();
        }
        fds.push_back(std::move(*fd));
    }
    const Pace pace(options.per_second);
    constexpr std::string_view kText = "flood";
    std::uint64_t sent = 0;
    for (; sent < options.count && !stopped.stop_requested(); ++sent) {
        // What is not taken is as good as lost.
        (void)sendto(fds[sent % kSockets].get(), kText.data(), kText.size(), 0, to.get(), to.length);
        pace.wait(sent);
    }
    return sent;
}

HeldConnections HeldConnections::open(const NetNs& ns, const Endpoint& to, std::size_t count, const std::string& said,
                                      const std::stop_token& stopped) {
    HeldConnections held;
    const SocketAddress address = to_sockaddr(to);
    const BootTime deadline = boot_now() + kConnectedWithin;
    while (held.fds_.size() < count && !stopped.stop_requested() && boot_now() < deadline) {
        auto fd = open_socket(ns, SOCK_STREAM, to, {});
        if (!fd) {
            break;
        }
        const bool begun = connect(fd->get(), address.get(), address.length) == 0 || errno == EINPROGRESS;
        int code = begun && wait_for_socket(fd->get(), POLLOUT, deadline) ? 0 : ETIMEDOUT;
        socklen_t length = sizeof code;
        if (code == 0 && getsockopt(fd->get(), SOL_SOCKET, SO_ERROR, &code, &length) == 0 && code == 0) {
            (void)send(fd->get(), said.data(), said.size(), MSG_NOSIGNAL);
            held.fds_.push_back(std::move(*fd));
        }
    }
    return held;
}

void HeldConnections::say(const std::string& more) const {
    for (const UniqueFd& fd : fds_) {
        (void)send(fd.get(), more.data(), more.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

}  // namespace viscum
