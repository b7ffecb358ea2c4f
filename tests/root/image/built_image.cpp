// SPDX-License-Identifier: GPL-2.0-only
#include "tests/root/image/built_image.h"

#include <archive.h>
#include <archive_entry.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "controller/image/documents.h"

namespace viscum {
namespace {

constexpr std::size_t kBlock = 512;

void put(std::string& header, std::size_t at, std::size_t size, std::string_view text) {
    header.replace(at, std::min(size, text.size()), text.substr(0, size));
}

void put_octal(std::string& header, std::size_t at, std::size_t size, std::uint64_t number) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%0*llo", static_cast<int>(size) - 1,
                  static_cast<unsigned long long>(number));
    put(header, at, size - 1, text.data());
}

std::string descriptor(std::string_view type, std::string_view bytes, std::string_view more = "") {
    return cat(R"({"mediaType":")", type, R"(","digest":"sha256:)", sha256_of(bytes), R"(","size":)", bytes.size(),
               more, "}");
}

std::string blob(std::string_view bytes) {
    return "blobs/sha256/" + sha256_of(bytes);
}

std::string configuration(const BuiltImage& image) {
    std::string ids;
    for (const auto& layer : image.layers) {
        ids += cat(ids.empty() ? "" : ",", R"("sha256:)", sha256_of(layer.tar), "\"");
    }
    return cat(R"({"os":"linux","architecture":")",
               image.architecture.empty() ? this_machine().architecture : image.architecture, R"(","config":)",
               image.config, R"(,"rootfs":{"type":"layers","diff_ids":[)", ids, "]}}");
}

std::string media_type(const BuiltLayer& layer) {
    constexpr std::array kEndings = {"", "+gzip", "+zstd"};
    return layer.media_type.empty()
               ? cat("application/vnd.oci.image.layer.v1.tar", kEndings.at(static_cast<std::size_t>(layer.compression)))
               : layer.media_type;
}

}  // namespace

TarText& TarText::add(char type, std::string_view name, std::string_view content, const Options& options) {
    std::string header(kBlock, '\0');
    put(header, 0, 100, name);
    put_octal(header, 100, 8, options.mode);
    put_octal(header, 108, 8, options.uid);
    put_octal(header, 116, 8, options.gid);
    put_octal(header, 124, 12, options.stated_size == UINT64_MAX ? content.size() : options.stated_size);
    put_octal(header, 136, 12, 1'700'000'000);
    put(header, 148, 8, "        ");
    header[156] = type;
    put(header, 157, 100, options.link);
    put(header, 257, 8, std::string_view("ustar\00000", 8));
    put_octal(header, 329, 8, type == '3' ? 1 : 0);
    put_octal(header, 337, 8, type == '3' ? 3 : 0);
    unsigned sum = 0;
    for (const char c : header) {
        sum += static_cast<unsigned char>(c);
    }
    put_octal(header, 148, 7, sum);
    text_ += header;
    text_ += content;
    text_.append((kBlock - content.size() % kBlock) % kBlock, '\0');
    return *this;
}

TarText& TarText::pax(std::string_view key, std::string_view value) {
    const std::string record = cat(" ", key, "=", value, "\n");
    std::size_t length = record.size() + 1;
    while (std::to_string(length).size() + record.size() != length) {
        ++length;
    }
    return add('x', "pax", std::to_string(length) + record, {});
}

std::string compressed(std::string_view bytes, Compression compression) {
    if (compression == Compression::none) {
        return std::string(bytes);
    }
    std::string out;
    archive* writer = archive_write_new();
    archive_write_add_filter(writer, compression == Compression::gzip ? ARCHIVE_FILTER_GZIP : ARCHIVE_FILTER_ZSTD);
    archive_write_set_format_raw(writer);
    archive_write_set_bytes_in_last_block(writer, 1);
    const auto take = [](archive*, void* data, const void* buffer, std::size_t size) {
        static_cast<std::string*>(data)->append(static_cast<const char*>(buffer), size);
        return static_cast<la_ssize_t>(size);
    };
    archive_write_open2(writer, &out, nullptr, take, nullptr, nullptr);
    archive_entry* entry = archive_entry_new();
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_write_header(writer, entry);
    archive_write_data(writer, bytes.data(), bytes.size());
    archive_entry_free(entry);
    archive_write_free(writer);
    return out;
}

std::string sha256_of(std::string_view bytes) {
    Sha256 hash;
    hash.add(bytes.data(), bytes.size());
    return hash.digits();
}

Files oci_layout(const BuiltImage& image) {
    Files files;
    std::string layers;
    for (const auto& layer : image.layers) {
        const auto bytes = compressed(layer.tar, layer.compression);
        layers += cat(layers.empty() ? "" : ",", descriptor(media_type(layer), bytes));
        files[blob(bytes)] = bytes;
    }
    const auto config = configuration(image);
    files[blob(config)] = config;
    const auto manifest =
        cat(R"({"schemaVersion":2,"config":)", descriptor("application/vnd.oci.image.config.v1+json", config),
            R"(,"layers":[)", layers, "]}");
    files[blob(manifest)] = manifest;
    const auto notes = image.reference.empty()
                           ? ""
                           : cat(R"(,"annotations":{"org.opencontainers.image.ref.name":")", image.reference, "\"}");
    files["index.json"] = cat(R"({"schemaVersion":2,"manifests":[)",
                              descriptor("application/vnd.oci.image.manifest.v1+json", manifest, notes), "]}");
    files["oci-layout"] = R"({"imageLayoutVersion":"1.0.0"})";
    return files;
}

Files docker_save(const BuiltImage& image, const std::string& name) {
    Files files;
    std::string layers;
    for (const auto& layer : image.layers) {
        const auto path = sha256_of(layer.tar).substr(0, 12) + "/layer.tar";
        files[path] = layer.tar;
        layers += cat(layers.empty() ? "" : ",", "\"", path, "\"");
    }
    const auto config = configuration(image);
    const auto config_path = sha256_of(config) + ".json";
    files[config_path] = config;
    files["manifest.json"] =
        cat(R"([{"Config":")", config_path, R"(","RepoTags":[")", name, R"("],"Layers":[)", layers, "]}]");
    return files;
}

std::string tar_of(const Files& files) {
    TarText tar;
    for (const auto& [path, bytes] : files) {
        tar.file(path, bytes);
    }
    return tar.text();
}

void write_file(const std::string& path, std::string_view bytes) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
}

void write_files(const Files& files, const std::string& directory) {
    for (const auto& [path, bytes] : files) {
        write_file(cat(directory, "/", path), bytes);
    }
}

}  // namespace viscum
