// SPDX-License-Identifier: GPL-2.0-only
// One address for another, one to one: RFC 1624 over whole sums, as nobody writes it who must be quick.
#include <algorithm>

#include "tests/faults/model/verdict_model.h"

namespace viscum {
namespace {

constexpr std::size_t kEthernet = 14;

std::uint32_t sum_of(const IpAddress& address) {
    std::uint32_t sum = 0;
    for (int i = 0; i < address.width() / 8; i += 2) {
        sum += static_cast<std::uint32_t>(address.wire()[i] << 8 | address.wire()[i + 1]);
    }
    return sum;
}

/// The field holds the complement of a sum in which `from` becomes `to`.
void exchange_in_sum(Expectation* out, std::size_t at, const IpAddress& from, const IpAddress& to) {
    const std::uint32_t field = static_cast<std::uint32_t>(out->frame[at] << 8 | out->frame[at + 1]);
    const std::uint32_t value = (field + sum_of(from) + 0xffffU * 8 - sum_of(to) % 0xffff) % 0xffff;
    out->frame[at] = static_cast<std::uint8_t>(value >> 8);
    out->frame[at + 1] = static_cast<std::uint8_t>(value);
    out->checksums.push_back(at);
}

IpAddress address_at(const Bytes& frame, std::size_t at, bool v4) {
    IpAddress out;
    if (v4) {
        out.bytes[10] = out.bytes[11] = 0xff;
    }
    std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at), v4 ? 4 : 16, out.bytes.begin() + (v4 ? 12 : 0));
    return out;
}

void write_address(Bytes* frame, std::size_t at, const IpAddress& address) {
    std::copy_n(address.wire(), address.width() / 8, frame->begin() + static_cast<std::ptrdiff_t>(at));
}

}  // namespace

void exchange_address(Expectation* out, const PacketReading& reading, bool source, const IpAddress& to) {
    const std::size_t at = kEthernet + (reading.v4 ? (source ? 12U : 16U) : (source ? 8U : 24U));
    const IpAddress from = address_at(out->frame, at, reading.v4);
    if (reading.v4) {
        exchange_in_sum(out, kEthernet + 10, from, to);
    }
    if (reading.tcp()) {
        exchange_in_sum(out, reading.transport_at + 16, from, to);
    } else if (reading.udp()) {
        const std::size_t field = reading.transport_at + 6;
        if (out->frame[field] != 0 || out->frame[field + 1] != 0) {  // RFC 768: a zero says that there is none
            exchange_in_sum(out, field, from, to);
            out->checksums.pop_back();  // so a sum of zero is sent as all ones, and is exact
            if (out->frame[field] == 0 && out->frame[field + 1] == 0) {
                out->frame[field] = out->frame[field + 1] = 0xff;
            }
        }
    } else if (reading.icmp && !reading.v4) {
        exchange_in_sum(out, reading.transport_at + 2, from, to);
    }
    write_address(&out->frame, at, to);
}

void exchange_quoted(Expectation* out, const PacketReading& reading, const IpAddress& source,
                     const IpAddress& destination) {
    const std::size_t quoted = reading.transport_at + 8;
    for (const bool is_source : {true, false}) {
        const std::size_t at = quoted + (reading.v4 ? (is_source ? 12U : 16U) : (is_source ? 8U : 24U));
        const IpAddress from = address_at(out->frame, at, reading.v4);
        const IpAddress& to = is_source ? source : destination;
        // The quoted header's own checksum changes by as much as its addresses do, so ICMP's stays over IPv4.
        exchange_in_sum(out, reading.v4 ? quoted + 10 : reading.transport_at + 2, from, to);
        write_address(&out->frame, at, to);
    }
}

}  // namespace viscum
