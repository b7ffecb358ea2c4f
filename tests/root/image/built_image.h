// SPDX-License-Identifier: GPL-2.0-only
// Images and tars as tests need them, well-formed or not: every byte is the test's choice.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "controller/image/bytes.h"

namespace viscum {

/// ustar, entry by entry.
class TarText {
public:
    struct Options {
        unsigned mode = 0644;
        unsigned uid = 0;
        unsigned gid = 0;
        std::string link{};
        std::uint64_t stated_size = UINT64_MAX;  // the content's own
    };
    TarText& add(char type, std::string_view name, std::string_view content, const Options& options);
    TarText& file(std::string_view name, std::string_view content = "") { return add('0', name, content, {}); }
    TarText& directory(std::string_view name) { return add('5', name, "", {.mode = 0755}); }
    TarText& symlink(std::string_view name, const std::string& target) { return add('2', name, "", {.link = target}); }
    TarText& hard_link(std::string_view name, const std::string& target) {
        return add('1', name, "", {.link = target});
    }
    /// A name or an attribute for the next entry (POSIX pax).
    TarText& pax(std::string_view key, std::string_view value);
    [[nodiscard]] std::string text() const { return text_ + std::string(1024, '\0'); }
    [[nodiscard]] std::string without_end() const { return text_; }

private:
    std::string text_;
};

std::string compressed(std::string_view bytes, Compression compression);
std::string sha256_of(std::string_view bytes);

using Files = std::map<std::string, std::string>;  // by path

struct BuiltLayer {
    std::string tar;
    Compression compression = Compression::none;
    std::string media_type{};  // empty: what it is
};

struct BuiltImage {
    std::vector<BuiltLayer> layers;
    std::string config = R"({"Entrypoint":["/bin/busybox"]})";  // the member "config" of the configuration
    std::string architecture{};                                 // empty: this machine's
    std::string reference = "v1";
};

/// An OCI layout.
Files oci_layout(const BuiltImage& image);
/// What `docker save` wrote before its version 25.
Files docker_save(const BuiltImage& image, const std::string& name);

std::string tar_of(const Files& files);
void write_files(const Files& files, const std::string& directory);
void write_file(const std::string& path, std::string_view bytes);

}  // namespace viscum
