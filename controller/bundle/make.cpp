// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>

#include <algorithm>
#include <functional>
#include <map>

#include "base/file.h"
#include "base/text.h"
#include "controller/bundle/files.h"
#include "controller/bundle/write.h"
#include "controller/image/container.h"
#include "controller/image/resolve.h"
#include "controller/ipc/json.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxConfig = 4UL * 1024 * 1024;
constexpr const char* kBlobs = "image/blobs/sha256/";

std::string sha256_of(std::string_view text) {
    Sha256 hash;
    hash.add(text.data(), text.size());
    return hash.digits();
}

/// Passes everything of a reader to a function.
Status drain(ByteReader& reader, const std::function<Status(std::string_view)>& take) {
    std::string buffer(64UL * 1024, '\0');
    while (true) {
        const auto got = reader.read(buffer.data(), buffer.size());
        if (!got || *got == 0) {
            return got ? Status() : Status(got.error());
        }
        if (auto taken = take(std::string_view(buffer).substr(0, *got)); !taken) {
            return taken;
        }
    }
}

/// Collects the parts: what each is, and how its bytes are read when they are written.
class Maker {
public:
    explicit Maker(const BundleOrder& order) : order_(order) {
        manifest_.service = order.service;
        manifest_.version = order.version;
        manifest_.image = order.image_name;
    }

    Status collect() {
        auto text = read_file(order_.service_file, kMaxServiceFile);
        if (!text) {
            return std::move(text).error();
        }
        add_text("service.yaml", std::move(*text));
        for (const auto& [name, path] : order_.files) {
            if (auto added = add_file(cat("files/", name), path); !added) {
                return added;
            }
        }
        return order_.image_name.empty() ? Status() : add_image();
    }

    Status write(int out) {
        const std::string text = encode_manifest(manifest_);
        if (auto known = decode_manifest(text); !known || text.size() > kMaxManifest) {
            return known ? bad_bundle("it has too many parts") : std::move(known).error();
        }
        if (auto written = write_all(out, bundle_line({text.size(), 0}) + text); !written) {
            return written;
        }
        for (const auto& part : manifest_.parts) {
            Sha256 hash;
            auto written = write_all(out, cat("part ", part.path, "\n"));
            if (written) {
                written = sources_.at(part.path)([&](std::string_view bytes) {
                    hash.add(bytes.data(), bytes.size());
                    return write_all(out, bytes);
                });
            }
            if (!written) {
                return written;
            }
            if (hash.digits() != part.sha256) {
                return Error{EAGAIN, cat("'", part.path, "' changed while it was read")};
            }
        }
        return {};
    }

    [[nodiscard]] const BundleManifest& manifest() const { return manifest_; }

private:
    using Take = std::function<Status(std::string_view)>;
    using Source = std::function<Status(const Take&)>;

    void add_text(const std::string& path, std::string text) {
        manifest_.parts.push_back({path, text.size(), sha256_of(text), ""});
        sources_[path] = [text = std::move(text)](const Take& take) { return take(text); };
    }

    Status add(const std::string& path, const std::string& layer, const Source& source) {
        Sha256 hash;
        std::uint64_t size = 0;
        auto read = source([&](std::string_view bytes) {
            hash.add(bytes.data(), bytes.size());
            size += bytes.size();
            return Status();
        });
        if (read) {
            const std::string digest = hash.digits();
            const std::string full = path == kBlobs ? path + digest : path;
            manifest_.parts.push_back({full, size, digest, layer});
            sources_[full] = source;
        }
        return read;
    }

    Status add_file(const std::string& path, const std::string& from) {
        return add(path, "", [from](const Take& take) {
            const auto file = open_file(from);
            if (!file) {
                return Status(file.error());
            }
            FileReader reader(file->fd.get(), 0, file->size);
            return drain(reader, take);
        });
    }

    Status add_image() {
        UniqueFd fd(open(order_.image_file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
        if (!fd) {
            return errno_error(cat("cannot open '", order_.image_file, "'"));
        }
        auto container = Container::open(std::move(fd));
        if (!container) {
            return std::move(container).error().in(order_.image_file);
        }
        container_ = std::move(*container);
        auto added = add_image_of(*container_);
        return added ? Status() : Status(std::move(added).error().in(order_.image_file));
    }

    Status add_image_of(Container& container) {
        const auto platform = order_.platform.empty() ? this_machine() : platform_of(order_.platform);
        const auto image = resolve_image(container, "image", platform);
        auto config = image ? container.text(image->config_member, kMaxConfig) : image.error();
        if (!config) {
            return std::move(config).error();
        }
        std::string layers;
        for (const auto& layer : image->layers) {
            const auto descriptor = add_layer(container, layer);
            if (!descriptor) {
                return descriptor.error();
            }
            layers += cat(layers.empty() ? "" : ",", *descriptor);
        }
        JsonOut manifest;
        manifest.member("schemaVersion", "2");
        manifest.field("mediaType", std::string("application/vnd.oci.image.manifest.v1+json"));
        manifest.member("config", add_blob("application/vnd.oci.image.config.v1+json", std::move(*config)));
        manifest.member("layers", cat("[", layers, "]"));
        const auto descriptor = add_blob("application/vnd.oci.image.manifest.v1+json", std::move(manifest).text());
        add_text("image/index.json", cat(R"({"schemaVersion":2,"manifests":[)", descriptor, "]}"));
        add_text("image/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
        return {};
    }

    /// Its descriptor (OCI image-spec 1.1).
    static std::string descriptor_of(const std::string& media_type, const std::string& digest, std::uint64_t size) {
        JsonOut out;
        out.field("mediaType", media_type);
        out.field("digest", cat("sha256:", digest));
        out.field("size", size);
        return std::move(out).text();
    }

    std::string add_blob(const std::string& media_type, std::string text) {
        const std::string digest = sha256_of(text);
        const auto size = text.size();
        add_text(kBlobs + digest, std::move(text));
        return descriptor_of(media_type, digest, size);
    }

    Result<std::string> add_layer(Container& container, const LayerSource& layer) {
        const std::string media_type =
            cat("application/vnd.oci.image.layer.v1.tar", layer.compression == Compression::gzip   ? "+gzip"
                                                          : layer.compression == Compression::zstd ? "+zstd"
                                                                                                   : "");
        auto known = std::ranges::find(manifest_.parts, layer.diff_id, &BundlePart::layer);
        if (known == manifest_.parts.end()) {
            const auto added = add(kBlobs, layer.diff_id, [&container, member = layer.member](const Take& take) {
                const auto reader = container.read(member);
                return reader ? drain(**reader, take) : Status(reader.error());
            });
            if (!added) {
                return added.error();
            }
            known = std::prev(manifest_.parts.end());
        }
        if (!layer.digest.empty() && known->sha256 != layer.digest) {
            return bad_image("a layer is damaged: its checksum is not what it should be");
        }
        return descriptor_of(media_type, known->sha256, known->size);
    }

    static Platform platform_of(const std::string& text) {
        auto words = split(text, '/');
        words.resize(3);
        return {words[0], words[1], words[2]};
    }

    const BundleOrder& order_;
    BundleManifest manifest_;
    std::map<std::string, Source> sources_;
    std::unique_ptr<Container> container_;
};

}  // namespace

Result<BundleManifest> make_bundle(const BundleOrder& order) {
    Maker maker(order);
    if (auto collected = maker.collect(); !collected) {
        return std::move(collected).error();
    }
    auto out = NewFile::open(order.out);
    if (!out) {
        return std::move(out).error();
    }
    if (auto written = maker.write(out->fd()); !written) {
        return std::move(written).error();
    }
    auto kept = out->keep();
    return kept ? Result<BundleManifest>(maker.manifest()) : std::move(kept).error();
}

}  // namespace viscum
