// SPDX-License-Identifier: GPL-2.0-only
// The fields of a map, and values out of single nodes. Every function here reports what is wrong with its node and
// returns nothing then; a null pointer, a field that is absent, gives nothing in silence. So defaults read as
// read_number(fields.find("fall"), bounds::kFall, mistakes).value_or(spec.fall).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/spec/keys.h"
#include "controller/spec/service_spec.h"
#include "controller/spec/yaml_tree.h"

namespace viscum {

inline constexpr std::size_t kMaxText = 16UL * 1024;  // of one value; exec(3) takes at most 128 KiB a word

/// One map, whose keys are all known.
class Fields {
public:
    struct Keys {
        std::string_view known;        // with blanks between: keys::names()
        std::string_view misplaced{};  // known keys of another map, ...
        std::string_view where{};      // ... and which: "within 'run'"
    };

    /// Reports a node that is no map, unknown keys and keys without value.
    Fields(const YamlNode& map, const Keys& keys, Mistakes& mistakes);

    /// Null where the key is absent or was reported already.
    [[nodiscard]] const YamlNode* find(std::string_view key) const;
    /// Reports an absent key.
    [[nodiscard]] const YamlNode* require(std::string_view key, std::string_view hint) const;
    [[nodiscard]] bool has(std::string_view key) const;
    [[nodiscard]] bool is_map() const { return map_.kind == YamlNode::Kind::map; }

private:
    [[nodiscard]] const YamlNode* child(std::string_view key) const;

    const YamlNode& map_;
    Mistakes& mistakes_;
};

/// Reports another kind than `kind`; a null and a refused node are of no kind.
bool expect_kind(const YamlNode& node, YamlNode::Kind kind, Mistakes& mistakes, std::string_view hint = {});

/// The items of a list of at most `max`.
std::vector<const YamlNode*> read_list(const YamlNode* node, std::size_t max, Mistakes& mistakes,
                                       std::string_view hint);

/// Not empty, without NUL, at most kMaxText bytes.
std::optional<std::string> read_text(const YamlNode* node, Mistakes& mistakes, std::string_view hint = {});
/// At most `max` bytes without NUL; may be empty.
std::optional<std::string> read_any_text(const YamlNode* node, Mistakes& mistakes, std::string_view hint = {},
                                         std::size_t max = kMaxText);

std::optional<int> read_number(const YamlNode* node, const Range<int>& range, Mistakes& mistakes);
/// A number and K, M or G (powers of 1024), in bytes.
std::optional<Bytes> read_size(const YamlNode* node, const Range<Bytes>& range, Mistakes& mistakes);
std::optional<bool> read_flag(const YamlNode* node, Mistakes& mistakes);
std::optional<Millis> read_duration(const YamlNode* node, const Range<Millis>& range, Mistakes& mistakes);

/// One of `words`, which have blanks between.
std::optional<std::size_t> read_choice_index(const YamlNode* node, std::string_view words, Mistakes& mistakes);
/// One of the choices of bounds.h.
template <const auto& kChoices>
auto read_choice(const YamlNode* node, Mistakes& mistakes) {
    static constexpr auto kValues = [] {
        std::array<decltype(kChoices.standard), kChoices.all.size()> values{};
        std::ranges::transform(kChoices.all, values.begin(), [](const auto& choice) { return choice.value; });
        return values;
    }();
    const auto index = read_choice_index(node, keys::words_of<kChoices>().all, mistakes);
    return index ? std::optional(kValues[*index]) : std::nullopt;
}

/// A moment, with its offset from UTC.
std::optional<WallTime> read_wall_time(const YamlNode* node, Mistakes& mistakes);
std::optional<std::uint16_t> read_port(const YamlNode* node, Mistakes& mistakes);
/// N, FIRST-LAST or any.
std::optional<PortRange> read_ports(const YamlNode* node, Mistakes& mistakes);
std::optional<IpPrefix> read_prefix(const YamlNode* node, Mistakes& mistakes);
/// The prefix or port in `text`, which is a part of `node`.
std::optional<IpPrefix> prefix_of(const std::string& text, const YamlNode& node, Mistakes& mistakes);
std::optional<std::uint16_t> port_of(std::string_view text, const YamlNode& node, std::string_view hint,
                                     Mistakes& mistakes);
/// 1-256 words, the first an absolute path, or, with `by_path`, a name without '/'.
std::optional<std::vector<std::string>> read_command(const YamlNode* node, bool by_path, Mistakes& mistakes);
/// Absolute, without "." and "..", empty parts and control characters; at most 1024 bytes. "/" is one.
std::optional<std::string> read_path(const YamlNode* node, Mistakes& mistakes);
/// The same, for what is put into a service's root: not "/", and not in /proc, /sys or /dev.
std::optional<std::string> read_inner_path(const YamlNode* node, Mistakes& mistakes);
/// Whether `path` is `directory` or below it.
bool is_within(std::string_view path, std::string_view directory);
/// Raw bytes, at most `max`: text with the escapes \xNN, \r, \n, \t, \0 and \\.
std::optional<std::string> read_bytes(const YamlNode* node, std::size_t max, Mistakes& mistakes);

}  // namespace viscum
