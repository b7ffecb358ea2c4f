// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/oci_image.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "base/file.h"
#include "base/text.h"
#include "tests/support/program.h"

namespace viscum {
namespace {

constexpr std::size_t kBlock = 512;

/// Of this machine, as Go has it.
std::string architecture() {
    const auto machine = output_of({"uname", "-m"});
    const std::string name = machine ? machine->substr(0, machine->find('\n')) : "";
    return name == "x86_64" ? "amd64" : name == "aarch64" ? "arm64" : name;
}

Result<std::string> sha256(const std::string& data) {
    auto sum = output_of({"sha256sum"}, {.input = data});
    return sum ? Result<std::string>(sum->substr(0, 64)) : sum;
}

template <std::size_t N>
void put_octal(std::array<char, kBlock>& header, std::size_t at, std::uint64_t value) {
    std::array<char, 24> text{};
    std::snprintf(text.data(), text.size(), "%0*llo", static_cast<int>(N - 1), static_cast<unsigned long long>(value));
    std::memcpy(header.data() + at, text.data(), N - 1);
}

void append_entry(const TarEntry& entry, std::string& tar) {
    std::array<char, kBlock> header{};
    const bool is_link = entry.type == '1' || entry.type == '2';
    const std::string content = entry.type == '0' ? entry.content : "";
    std::memcpy(header.data(), entry.path.data(), std::min<std::size_t>(entry.path.size(), 100));
    put_octal<8>(header, 100, entry.mode);
    put_octal<8>(header, 108, entry.uid);
    put_octal<8>(header, 116, entry.gid);
    put_octal<12>(header, 124, content.size());
    put_octal<12>(header, 136, 0);
    std::memset(header.data() + 148, ' ', 8);
    header[156] = entry.type;
    if (is_link) {
        std::memcpy(header.data() + 157, entry.content.data(), std::min<std::size_t>(entry.content.size(), 100));
    }
    std::memcpy(header.data() + 257, "ustar\00000", 8);
    std::uint64_t sum = 0;
    for (const char byte : header) {
        sum += static_cast<unsigned char>(byte);
    }
    put_octal<7>(header, 148, sum);
    header[154] = '\0';
    tar.append(header.data(), header.size());
    tar += content;
    tar.append((kBlock - content.size() % kBlock) % kBlock, '\0');
}

/// The configuration's text; `diff_ids` are the digests of the layers' tars.
std::string config_text(const TestImage& image, const std::vector<std::string>& diff_ids) {
    return cat(R"({"architecture":")", architecture(), R"(","os":"linux","config":)", image.config,
               R"(,"rootfs":{"type":"layers","diff_ids":["sha256:)", join(diff_ids, R"(","sha256:)"), R"("]}})");
}

std::string descriptor(const std::string& type, const std::string& digest, std::size_t size) {
    return cat(R"({"mediaType":")", type, R"(","digest":"sha256:)", digest, R"(","size":)", size, "}");
}

Result<std::string> write_blob(const std::string& directory, const std::string& data) {
    auto digest = sha256(data);
    if (!digest) {
        return digest;
    }
    if (auto wrote = write_file_atomically(cat(directory, "/blobs/sha256/", *digest), data, 0644); !wrote) {
        return std::move(wrote).error();
    }
    return digest;
}

Status make_directories(const std::string& directory) {
    for (const char* below : {"", "/blobs", "/blobs/sha256"}) {
        if (auto made = make_directory(directory + below, 0755); !made) {
            return made;
        }
    }
    return {};
}

}  // namespace

std::string make_tar(const std::vector<TarEntry>& entries) {
    std::string tar;
    for (const TarEntry& entry : entries) {
        append_entry(entry, tar);
    }
    tar.append(2 * kBlock, '\0');
    return tar;
}

Result<std::string> pack(const std::string& data, Packing packing) {
    switch (packing) {
        case Packing::gzip: return output_of({"gzip", "-1nc"}, {.input = data});
        case Packing::zstd: return output_of({"zstd", "-1qc"}, {.input = data});
        default: return data;
    }
}

Status write_image_layout(const TestImage& image, const std::string& directory, Packing layers) {
    if (auto made = make_directories(directory); !made) {
        return made;
    }
    std::vector<std::string> diff_ids;
    std::vector<std::string> descriptors;
    const std::string type = cat("application/vnd.oci.image.layer.v1.tar", layers == Packing::gzip   ? "+gzip"
                                                                           : layers == Packing::zstd ? "+zstd"
                                                                                                     : "");
    for (const auto& entries : image.layers) {
        const std::string tar = make_tar(entries);
        auto id = sha256(tar);
        auto packed = pack(tar, layers);
        if (!id || !packed) {
            return id ? packed.error() : id.error();
        }
        auto blob = write_blob(directory, *packed);
        if (!blob) {
            return std::move(blob).error();
        }
        diff_ids.push_back(*id);
        descriptors.push_back(descriptor(type, *blob, packed->size()));
    }
    const std::string config = config_text(image, diff_ids);
    const auto config_blob = write_blob(directory, config);
    if (!config_blob) {
        return config_blob.error();
    }
    const std::string manifest =
        cat(R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)",
            descriptor("application/vnd.oci.image.config.v1+json", *config_blob, config.size()), R"(,"layers":[)",
            join(descriptors, ","), "]}");
    const auto manifest_blob = write_blob(directory, manifest);
    if (!manifest_blob) {
        return manifest_blob.error();
    }
    const std::string index =
        cat(R"({"schemaVersion":2,"manifests":[)",
            descriptor("application/vnd.oci.image.manifest.v1+json", *manifest_blob, manifest.size()), "]}");
    if (auto wrote = write_file_atomically(directory + "/index.json", index, 0644); !wrote) {
        return wrote;
    }
    return write_file_atomically(directory + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})", 0644);
}

Status write_docker_archive(const TestImage& image, const std::string& file, const std::string& tag, Packing whole) {
    std::vector<std::string> diff_ids;
    std::vector<std::string> names;
    std::vector<TarEntry> members;
    for (const auto& entries : image.layers) {
        std::string tar = make_tar(entries);
        const auto id = sha256(tar);
        if (!id) {
            return id.error();
        }
        diff_ids.push_back(*id);
        names.push_back(*id + "/layer.tar");
        members.push_back({names.back(), std::move(tar)});
    }
    std::string config = config_text(image, diff_ids);
    const auto digest = sha256(config);
    if (!digest) {
        return digest.error();
    }
    members.push_back({*digest + ".json", std::move(config)});
    members.push_back({"manifest.json", cat(R"([{"Config":")", *digest, R"(.json","RepoTags":[")", tag,
                                            R"("],"Layers":[")", join(names, R"(",")"), R"("]}])")});
    const auto packed = pack(make_tar(members), whole);
    return packed ? write_file_atomically(file, *packed, 0644) : Status(packed.error());
}

}  // namespace viscum
