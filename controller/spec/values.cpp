// SPDX-License-Identifier: GPL-2.0-only
// The values of fields.h that have a grammar of their own.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "controller/spec/fields.h"

namespace viscum {
namespace {

constexpr std::string_view kPortHint = "a port is 1 to 65535";
constexpr std::string_view kPortsHint = "a port is 1 to 65535, FIRST-LAST, or any";
constexpr std::string_view kAddressHint = "an address or prefix, such as 203.0.113.10, 198.51.100.0/28 or 2001:db8::10";

/// Whether an IPv4 octet begins with a zero: some programs read it as octal, so nobody knows which address is meant.
bool has_padded_octet(std::string_view address) {
    const auto octets = split(address, '.');
    return octets.size() == 4 && std::any_of(octets.begin(), octets.end(), [](const std::string& octet) {
               return octet.size() > 1 && octet.front() == '0' &&
                      octet.find_first_not_of("0123456789") == std::string::npos;
           });
}

void explain_prefix(const std::string& text, const YamlNode& node, Mistakes& mistakes) {
    const auto slash = text.find('/');
    const auto head = text.substr(0, slash);
    const auto address = IpAddress::parse(head);
    if (!address) {
        const bool padded = has_padded_octet(head);
        mistakes.add(node.place, cat(quoted(head), padded ? " has a leading zero" : " is no IP address"),
                     padded ? "write 10, not 010" : std::string(kAddressHint));
        return;
    }
    const auto length = parse_decimal(text.substr(slash + 1), static_cast<std::uint64_t>(address->width()));
    if (!length) {
        mistakes.add(node.place, cat(quoted(text), " has no valid prefix length"),
                     cat("0 to ", address->width(), " for this family"));
        return;
    }
    mistakes.add(node.place, cat(quoted(text), " is no network: bits behind the prefix length are set"),
                 cat("the network is ", IpPrefix::around(*address, static_cast<int>(*length)).text()));
}

std::optional<int> hex_digit(char c) {
    const auto at = std::string_view("0123456789abcdef").find(c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c);
    return at == std::string_view::npos ? std::nullopt : std::optional<int>(static_cast<int>(at));
}

/// The byte of the escape that `text` begins with, and takes it off `text`.
std::optional<char> take_escape(std::string_view& text) {
    constexpr std::array<std::pair<char, char>, 5> kSimple{
        {{'r', '\r'}, {'n', '\n'}, {'t', '\t'}, {'0', '\0'}, {'\\', '\\'}}};
    for (const auto& [letter, byte] : kSimple) {
        if (text.size() >= 2 && text[1] == letter) {
            text.remove_prefix(2);
            return byte;
        }
    }
    if (text.size() >= 4 && text[1] == 'x') {
        const auto high = hex_digit(text[2]);
        const auto low = hex_digit(text[3]);
        if (high && low) {
            text.remove_prefix(4);
            return static_cast<char>(*high * 16 + *low);
        }
    }
    return std::nullopt;
}

/// Whether a text in UTF-8 holds control characters (C0, DEL, C1).
bool has_control(std::string_view text) {
    unsigned char before = 0;
    return std::any_of(text.begin(), text.end(), [&before](char c) {
        const auto byte = static_cast<unsigned char>(c);
        const bool c1 = before == 0xc2 && byte < 0xa0;
        before = byte;
        return byte < 0x20 || byte == 0x7f || c1;
    });
}

}  // namespace

std::optional<std::uint16_t> port_of(std::string_view text, const YamlNode& node, std::string_view hint,
                                     Mistakes& mistakes) {
    const auto value = parse_decimal(text, 65535);
    if (value && *value > 0) {
        return static_cast<std::uint16_t>(*value);
    }
    const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
    const auto significant = text.find_first_not_of('0');
    if (!digits) {
        mistakes.add(node.place, cat(quoted(text), " is no port"), std::string(hint));
    } else if (text.size() > 1 && text.front() == '0' && significant != std::string_view::npos) {
        mistakes.add(node.place, cat("port ", shown(text), " has a leading zero"),
                     cat("write ", shown(text.substr(significant))));
    } else {
        mistakes.add(node.place, cat("port ", shown(text), " is out of range"), std::string(hint));
    }
    return std::nullopt;
}

std::optional<std::uint16_t> read_port(const YamlNode* node, Mistakes& mistakes) {
    const auto text = read_text(node, mistakes, kPortHint);
    return text ? port_of(*text, *node, kPortHint, mistakes) : std::nullopt;
}

std::optional<PortRange> read_ports(const YamlNode* node, Mistakes& mistakes) {
    const auto text = read_text(node, mistakes, kPortsHint);
    if (!text) {
        return std::nullopt;
    }
    if (*text == "any") {
        return PortRange{};
    }
    const auto dash = text->find('-');
    const auto first = port_of(text->substr(0, dash), *node, kPortsHint, mistakes);
    if (!first || dash == std::string::npos) {
        return first ? std::optional<PortRange>(PortRange{*first, *first}) : std::nullopt;
    }
    const auto last = port_of(text->substr(dash + 1), *node, kPortsHint, mistakes);
    if (last && *last < *first) {
        mistakes.add(node->place, cat("port range ", *text, " ends before it begins"),
                     cat("write ", *last, '-', *first));
        return std::nullopt;
    }
    return last ? std::optional<PortRange>(PortRange{*first, *last}) : std::nullopt;
}

std::optional<IpPrefix> read_prefix(const YamlNode* node, Mistakes& mistakes) {
    const auto text = read_text(node, mistakes, kAddressHint);
    if (!text) {
        return std::nullopt;
    }
    return prefix_of(*text, *node, mistakes);
}

std::optional<IpPrefix> prefix_of(const std::string& text, const YamlNode& node, Mistakes& mistakes) {
    auto prefix = IpPrefix::parse(text);
    if (!prefix) {
        explain_prefix(text, node, mistakes);
    }
    return prefix;
}

std::optional<std::vector<std::string>> read_command(const YamlNode* node, bool by_path, Mistakes& mistakes) {
    constexpr std::string_view kHint = "a list of words: [/usr/sbin/nginx, -g, \"daemon off;\"]";
    std::vector<std::string> command;
    for (const YamlNode* item : read_list(node, bounds::kMaxWords, mistakes, kHint)) {
        const auto word = read_any_text(item, mistakes, kHint);
        if (!word) {
            return std::nullopt;
        }
        const bool absolute = word->size() > 1 && word->front() == '/' && word->back() != '/';
        const bool found = by_path && !word->empty() && word->find('/') == std::string::npos;
        if (command.empty() && !absolute && !found) {
            mistakes.add(item->place, cat("program ", quoted(*word), " is no absolute path"),
                         by_path ? "write /usr/sbin/nginx, or nginx to have it looked up in PATH"
                                 : "no shell and no PATH are involved: write /usr/sbin/nginx");
            return std::nullopt;
        }
        command.push_back(*word);
    }
    return command.empty() ? std::nullopt : std::optional(std::move(command));
}

bool is_within(std::string_view path, std::string_view directory) {
    return directory == "/" || path == directory ||
           (path.starts_with(directory) && path.substr(directory.size(), 1) == "/");
}

std::optional<std::string> read_path(const YamlNode* node, Mistakes& mistakes) {
    constexpr std::string_view kHint = "an absolute path without '.' and '..', such as /var/cache/nginx";
    constexpr std::size_t kMaxPath = 1024;
    constexpr std::size_t kMaxPart = 255;  // NAME_MAX
    auto path = read_text(node, mistakes, kHint);
    if (!path) {
        return std::nullopt;
    }
    bool fine = path->front() == '/' && path->size() <= kMaxPath && !has_control(*path);
    if (fine && *path != "/") {
        const auto parts = split(std::string_view(*path).substr(1), '/');
        fine = std::none_of(parts.begin(), parts.end(), [](const std::string& part) {
            return part.empty() || part == "." || part == ".." || part.size() > kMaxPart;
        });
    }
    if (!fine) {
        mistakes.add(node->place, cat(quoted(*path), " is no plain absolute path"), std::string(kHint));
        return std::nullopt;
    }
    return path;
}

std::optional<std::string> read_inner_path(const YamlNode* node, Mistakes& mistakes) {
    auto path = read_path(node, mistakes);
    if (!path) {
        return std::nullopt;
    }
    for (const std::string_view kernel : {"/proc", "/sys", "/dev"}) {
        if (is_within(*path, kernel)) {
            mistakes.add(node->place, cat(quoted(*path), " is the kernel's"),
                         cat("nothing in ", kernel, " can be replaced"));
            return std::nullopt;
        }
    }
    if (*path == "/") {
        mistakes.add(node->place, "'/' is the whole root", "name something below it");
        return std::nullopt;
    }
    return path;
}

std::optional<std::string> read_bytes(const YamlNode* node, std::size_t max, Mistakes& mistakes) {
    constexpr std::string_view kHint = "text with \\xNN, \\r, \\n, \\t, \\0 or \\\\";
    const auto text = read_any_text(node, mistakes, kHint);
    if (!text) {
        return std::nullopt;
    }
    if (node->double_quoted) {
        // There YAML decodes backslashes itself, and \xff becomes two bytes of UTF-8.
        mistakes.add(node->place,
                     cat(quoted(node->key), " is in double quotes, where \\xNN is a character, not a byte"),
                     "put it in single quotes");
        return std::nullopt;
    }
    std::string bytes;
    for (std::string_view rest = *text; !rest.empty();) {
        if (rest.front() != '\\') {
            bytes += rest.front();
            rest.remove_prefix(1);
        } else if (const auto byte = take_escape(rest)) {
            bytes += *byte;
        } else {
            mistakes.add(node->place, cat("unknown escape ", quoted(rest.substr(0, 4))), std::string(kHint));
            return std::nullopt;
        }
    }
    if (bytes.size() > max) {
        mistakes.add(node->place, cat(quoted(node->key), " is too long"), cat("at most ", max, " bytes"));
        return std::nullopt;
    }
    return bytes;
}

}  // namespace viscum
