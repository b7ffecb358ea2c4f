// SPDX-License-Identifier: GPL-2.0-only
#include "tests/e2e/packets.h"

#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netpacket/packet.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <sstream>

#include "base/event_loop.h"
#include "base/text.h"
#include "tests/support/program.h"

namespace viscum {
namespace {

constexpr std::uint16_t kEthPAll = 0x0003;  // linux/if_ether.h

std::uint16_t checksum(const std::string& bytes) {
    std::uint32_t sum = 0;
    for (std::size_t index = 0; index + 1 < bytes.size(); index += 2) {
        sum += static_cast<unsigned char>(bytes[index]) * 256U + static_cast<unsigned char>(bytes[index + 1]);
    }
    while (sum > 0xffff) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<std::uint16_t>(~sum);
}

/// Type, code, checksum (the kernel's for ICMPv6), identifier and sequence number.
std::string echo_request(bool v4) {
    std::string packet("\x08\0\0\0VS\0\x01", 8);
    packet[0] = static_cast<char>(v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST);
    const std::uint16_t sum = v4 ? checksum(packet) : 0;
    packet[2] = static_cast<char>(sum >> 8);
    packet[3] = static_cast<char>(sum & 0xff);
    return packet;
}

UniqueFd socket_in(const NetNs& ns, int family, int type, int protocol) {
    UniqueFd fd;
    (void)ns.inside([&]() -> Status {
        fd.reset(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
        return {};
    });
    return fd;
}

std::vector<std::string> words_of(const std::string& line) {
    std::istringstream stream(line);
    return {std::istream_iterator<std::string>(stream), std::istream_iterator<std::string>()};
}

}  // namespace

bool ping(const NetNs& ns, const IpAddress& to, std::chrono::milliseconds limit) {
    const bool v4 = to.is_v4();
    const UniqueFd fd = socket_in(ns, v4 ? AF_INET : AF_INET6, SOCK_RAW, v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
    const SocketAddress address = to_sockaddr({to, 0});
    const std::string request = echo_request(v4);
    if (!fd || sendto(fd.get(), request.data(), request.size(), 0, address.get(), address.length) < 0) {
        return false;
    }
    const BootTime deadline = boot_now() + limit;
    std::array<char, 1500> buffer{};
    while (wait_for_socket(fd.get(), POLLIN, deadline)) {
        const ssize_t size = recv(fd.get(), buffer.data(), buffer.size(), 0);
        const std::size_t header = v4 ? 20 : 0;  // a raw IPv4 socket shows the IP header
        const auto reply = v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
        if (size > static_cast<ssize_t>(header) && static_cast<unsigned char>(buffer[header]) == reply) {
            return true;
        }
    }
    return false;
}

Result<FrameSocket> FrameSocket::open(const NetNs& ns, const std::string& device) {
    UniqueFd fd = socket_in(ns, AF_PACKET, SOCK_RAW, htons(kEthPAll));
    if (!fd) {
        return errno_error("cannot open a packet socket");
    }
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(kEthPAll);
    (void)ns.inside([&]() -> Status {
        address.sll_ifindex = static_cast<int>(if_nametoindex(device.c_str()));
        return {};
    });
    socklen_t length = sizeof address;
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
        getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) < 0) {
        return errno_error(cat("cannot bind a packet socket to ", device));
    }
    return FrameSocket(std::move(fd), std::string(reinterpret_cast<const char*>(address.sll_addr), 6));
}

Status FrameSocket::send(const std::string& frame) const {
    return ::send(fd_.get(), frame.data(), frame.size(), 0) < 0 ? Status(errno_error("cannot send a frame")) : Status();
}

bool FrameSocket::receives(const std::string& bytes, std::chrono::milliseconds limit) const {
    const BootTime deadline = boot_now() + limit;
    std::array<char, 2048> buffer{};
    while (wait_for_socket(fd_.get(), POLLIN, deadline)) {
        const ssize_t size = recv(fd_.get(), buffer.data(), buffer.size(), 0);
        if (size > 0 &&
            std::string_view(buffer.data(), static_cast<std::size_t>(size)).find(bytes) != std::string::npos) {
            return true;
        }
    }
    return false;
}

std::uint64_t kernel_counter(const NetNs& ns, const std::string& file, const std::string& name) {
    const auto text = output_of({"cat", "/proc/net/" + file}, {.ns = &ns});
    const auto wanted = words_of(name);
    std::vector<std::string> names;
    for (const std::string& line : text ? split(*text, '\n') : std::vector<std::string>()) {
        auto words = words_of(line);
        if (wanted.size() == 1 && words.size() == 2 && words[0] == name) {
            return parse_decimal(words[1], UINT64_MAX).value_or(0);
        }
        if (wanted.size() == 2 && !words.empty() && words[0] == wanted[0]) {
            const auto found = std::ranges::find(names, wanted[1]);
            if (found != names.end()) {
                return parse_decimal(words[static_cast<std::size_t>(found - names.begin())], UINT64_MAX).value_or(0);
            }
            names = std::move(words);
        }
    }
    return 0;
}

}  // namespace viscum
