// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bpf/capture.h"

#include <optional>
#include <string_view>

namespace viscum {
namespace {

constexpr std::uint32_t kEthernet = 1;
constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr std::uint32_t kInterface = 1;
constexpr std::uint32_t kSimplePacket = 3;
constexpr std::uint32_t kEnhancedPacket = 6;

/// A file read front to back, in the byte order that it says it has.
class Reader {
public:
    explicit Reader(std::string_view rest, bool swapped = false) : rest_(rest), swapped_(swapped) {}
    void set_swapped(bool swapped) { swapped_ = swapped; }
    [[nodiscard]] bool swapped() const { return swapped_; }
    [[nodiscard]] std::string_view rest() const { return rest_; }
    std::optional<std::uint32_t> number(std::size_t size) {
        const auto bytes = take(size);
        if (!bytes) {
            return std::nullopt;
        }
        std::uint32_t out = 0;
        for (std::size_t i = 0; i < size; ++i) {
            out = out << 8 | static_cast<std::uint8_t>((*bytes)[swapped_ ? i : size - 1 - i]);
        }
        return out;
    }
    std::optional<std::string_view> take(std::size_t size) {
        if (size > rest_.size()) {
            return std::nullopt;
        }
        const auto out = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return out;
    }

private:
    std::string_view rest_;
    bool swapped_ = false;  // little-endian unless swapped
};

Bytes bytes_of(std::string_view text) {
    return {text.begin(), text.end()};
}

std::vector<Bytes> read_pcap(Reader reader, std::size_t limit) {
    std::vector<Bytes> out;
    const auto head = reader.take(16);
    const auto link = reader.number(4);
    if (!head || !link || (*link & 0xffff) != kEthernet) {
        return out;
    }
    while (out.size() < limit && reader.take(8)) {
        const auto length = reader.number(4);
        reader.take(4);
        const auto frame = length ? reader.take(*length) : std::nullopt;
        if (!frame) {
            break;
        }
        out.push_back(bytes_of(*frame));
    }
    return out;
}

/// The frame of a packet block, if its interface is Ethernet.
std::optional<Bytes> read_packet(Reader block, bool enhanced, const std::vector<bool>& ethernet) {
    const auto interface = enhanced ? block.number(4) : std::optional<std::uint32_t>(0);
    block.take(enhanced ? 8 : 0);
    const auto length = block.number(4);
    block.take(enhanced ? 4 : 0);
    if (!interface || !length || *interface >= ethernet.size() || !ethernet[*interface]) {
        return std::nullopt;
    }
    return bytes_of(block.rest().substr(0, *length));
}

std::vector<Bytes> read_pcapng(Reader reader, std::size_t limit) {
    std::vector<Bytes> out;
    std::vector<bool> ethernet;  // by interface
    while (out.size() < limit) {
        const auto here = reader.rest();
        const auto type = reader.number(4);
        if (type == kSectionHeader && here.size() >= 12) {
            reader.set_swapped(Reader(here.substr(8)).number(4) != 0x1a2b3c4d);
            ethernet.clear();
        }
        const auto length = reader.number(4);
        const auto body = length && *length >= 12 ? reader.take(*length - 12) : std::nullopt;
        if (!type || !body || !reader.take(4)) {
            break;
        }
        Reader block(*body, reader.swapped());
        if (type == kInterface) {
            ethernet.push_back(block.number(2) == kEthernet);
        } else if (type == kEnhancedPacket || type == kSimplePacket) {
            if (auto frame = read_packet(block, type == kEnhancedPacket, ethernet)) {
                out.push_back(std::move(*frame));
            }
        }
    }
    return out;
}

}  // namespace

std::vector<Bytes> read_capture(const std::string& file, std::size_t limit) {
    Reader reader(file);
    const auto magic = reader.number(4);
    if (magic == kSectionHeader) {
        return read_pcapng(Reader(file), limit);
    }
    if (magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1) {
        reader.set_swapped(true);
    } else if (magic != 0xa1b2c3d4 && magic != 0xa1b23c4d) {
        return {};
    }
    return read_pcap(reader, limit);
}

}  // namespace viscum
