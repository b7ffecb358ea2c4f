// SPDX-License-Identifier: GPL-2.0-only
// Answers of the kernel's route netlink: links, addresses, routes, and how an answer ends.
#include <linux/rtnetlink.h>

#include "netns/messages.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

void read_one(nlmsghdr* answer) {
    if (const auto seen = read_link(answer)) {
        require(seen->link.name.find('\0') == std::string::npos && seen->link.kind.find('\0') == std::string::npos,
                "a text ends at its NUL");
        require(seen->link.kind == "veth" || (!seen->link.peer_nsid && seen->peer == IfIndex{}),
                "only a veth has another end");
    }
    if (const auto address = read_device_address(answer)) {
        require(!address->address.text().empty(), "an address can be shown");
    }
    if (const auto route = read_own_route(answer)) {
        require(route->family == AF_INET || route->family == AF_INET6, "a route is of IPv4 or IPv6");
        require(route->destination.address.is_v4() == (route->family == AF_INET) || route->family == AF_INET6,
                "a route's destination is of its family");
    }
}

void read_datagram(std::string_view bytes, std::uint32_t sequence) {
    const Aligned datagram(bytes);
    bool interrupted = false;
    const auto end = read_answer(reinterpret_cast<unsigned char*>(datagram.data()), static_cast<int>(datagram.size()),
                                 sequence, interrupted, read_one);
    if (end && !*end) {
        require(end->error().errno_code > 0 && !end->error().what.empty(), "a refusal has an errno and says why");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = text_of(data, size);
    nlmsghdr first{};
    std::memcpy(&first, bytes.data(), std::min(size, sizeof first));
    read_datagram(bytes, first.nlmsg_seq);

    // The same as one message that is whole, so that its attributes are reached.
    first.nlmsg_len = static_cast<std::uint32_t>(std::max(size, sizeof first));
    std::string message(reinterpret_cast<const char*>(&first), sizeof first);
    message += size > sizeof first ? bytes.substr(sizeof first) : "";
    read_datagram(message, first.nlmsg_seq);
    return 0;
}
