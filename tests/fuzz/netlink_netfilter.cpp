// SPDX-License-Identifier: GPL-2.0-only
// Answers that come by libmnl: sockets, tracked flows, the end of a transaction of nftables. Not what stands in a
// table: libnftnl reads that, and ends the process itself where an attribute has another size than it should.
#include <linux/inet_diag.h>

#include "netns/messages.h"
#include "netns/mnl_dump.h"
#include "netns/wire.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

void read_datagram(std::string_view bytes, std::uint32_t sequence) {
    const Aligned datagram(bytes);
    NftStanding standing("viscum");
    int messages = 0;
    const auto end = read_part(datagram.data(), static_cast<int>(datagram.size()), sequence, [&](nlmsghdr* answer) {
        ++messages;
        standing.add_table(answer);
        standing.add_chain(answer);
        standing.add_rule(answer);
        if (const auto flow = read_flow(answer, Transport::tcp)) {
            require(!flow->source.text().empty() && !flow->destination.text().empty(), "a flow can be shown");
        }
        if (const auto source = read_untranslated_source(answer)) {
            require(!source->text().empty(), "a source can be shown");
        }
        if (const auto* socket = read_socket(answer)) {
            require(!address_from_wire(socket->idiag_family, socket->id.idiag_src).text().empty(),
                    "a socket's address can be shown");
        }
    });
    require(standing.rules.size() <= 3, "a table's rules are bounded");
    require(standing.tables <= messages && standing.chains <= messages, "a message tells of one thing");
    if (end && !*end) {
        require(end->error().errno_code > 0, "a refusal has an errno");
    }
    int refused = 0;
    read_batch_answers(datagram.data(), static_cast<int>(datagram.size()), sequence, refused);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = text_of(data, size);
    nlmsghdr first{};
    std::memcpy(&first, bytes.data(), std::min(size, sizeof first));
    read_datagram(bytes, first.nlmsg_seq);

    first.nlmsg_len = static_cast<std::uint32_t>(std::max(size, sizeof first));
    std::string message(reinterpret_cast<const char*>(&first), sizeof first);
    message += size > sizeof first ? bytes.substr(sizeof first) : "";
    read_datagram(message, first.nlmsg_seq);
    return 0;
}
