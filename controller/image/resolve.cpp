// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/resolve.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "controller/image/image.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxDocument = 4UL * 1024 * 1024;
constexpr std::size_t kMaxSmall = 64UL * 1024;
constexpr int kMaxNesting = 3;
constexpr std::size_t kDigits = 64;

std::string blob_name(const std::string& digest) {
    return "blobs/sha256/" + digest;
}

std::string sha256_of(const std::string& text) {
    Sha256 hash;
    hash.add(text.data(), text.size());
    return hash.digits();
}

Result<std::string> read_blob(Container& container, const Descriptor& descriptor, std::string_view what) {
    auto text = container.text(blob_name(descriptor.digest), kMaxDocument);
    if (!text) {
        return text.error().errno_code == ENOENT ? bad_image(cat("the ", what, " is missing"))
                                                 : std::move(text).error().in(cat("cannot read the ", what));
    }
    if (text->size() != descriptor.size || sha256_of(*text) != descriptor.digest) {
        return bad_image(cat("the ", what, " is damaged: its checksum or size is not what it should be"));
    }
    return text;
}

/// An absent document is an empty text.
Result<std::string> optional_text(Container& container, const std::string& name) {
    auto text = container.text(name, kMaxDocument);
    return text || text.error().errno_code != ENOENT ? std::move(text) : Result<std::string>(std::string());
}

/// The entries of an index that are images for this machine, the best first.
Result<Descriptor> choose(const std::vector<Descriptor>& all, const Platform& machine) {
    const auto rank = [&machine](const Descriptor& one) { return one.platform ? fitness(*one.platform, machine) : 1; };
    const Descriptor* best = nullptr;
    int equals = 0;
    std::vector<std::string> names;
    for (const auto& one : all) {
        if (one.platform && one.platform->os == "unknown") {
            continue;  // an attestation about another entry (BuildKit)
        }
        names.push_back(one.reference.empty() ? (one.platform ? one.platform->text() : one.digest) : one.reference);
        const int fits = rank(one);
        const int before = best == nullptr ? 0 : rank(*best);
        equals = fits > before ? 1 : fits == before && fits > 0 && one.digest != best->digest ? equals + 1 : equals;
        best = fits > before ? &one : best;
    }
    if (best == nullptr) {
        return bad_image(names.empty() ? "it holds no image"
                                       : cat("it holds no image for ", machine.text(), ", only: ", join(names, ", ")));
    }
    if (equals > 1) {
        return bad_image(cat("it holds several images: ", join(names, ", ")));
    }
    return *best;
}

std::string name_of(const Descriptor& top, const std::string& base_name) {
    if (!top.full_name.empty()) {
        return top.full_name;
    }
    if (top.reference.empty() || top.reference.find_first_of("/:") != std::string::npos) {
        return top.reference.empty() ? base_name : top.reference;
    }
    return cat(base_name, ":", top.reference);  // a tag alone
}

Status check_platform(const ImageConfig& config, const Platform& machine) {
    // Some builders state neither.
    const Platform stated = {config.platform.os.empty() ? machine.os : config.platform.os,
                             config.platform.architecture.empty() ? machine.architecture : config.platform.architecture,
                             config.platform.variant};
    return fitness(stated, machine) > 0
               ? Status()
               : bad_image(cat("it is an image for ", stated.text(), "; this machine is ", machine.text()));
}

Result<ImageSource> resolve_layout(Container& container, const std::string& index_text, const std::string& base_name,
                                   const Platform& machine) {
    auto index = read_index(index_text);
    auto chosen = index ? choose(*index, machine) : std::move(index).error();
    std::string name = chosen ? name_of(*chosen, base_name) : "";
    for (int depth = 0; chosen && chosen->is_index(); ++depth) {
        if (depth == kMaxNesting) {
            return bad_image("its indexes are nested too deep");
        }
        const auto text = read_blob(container, *chosen, "index");
        auto inner = text ? read_index(*text) : text.error();
        chosen = inner ? choose(*inner, machine) : std::move(inner).error();
    }
    if (!chosen) {
        return std::move(chosen).error();
    }
    const auto text = read_blob(container, *chosen, "manifest");
    auto manifest = text ? read_manifest(*text) : text.error();
    const auto config_text = manifest ? read_blob(container, manifest->config, "configuration") : manifest.error();
    auto config = config_text ? read_config(*config_text) : config_text.error();
    if (!config) {
        return std::move(config).error();
    }
    ImageSource made{
        std::move(name), manifest->config.digest, blob_name(manifest->config.digest), std::move(*config), {}};
    for (const auto& layer : manifest->layers) {
        const auto compression = layer_compression(layer.media_type);
        if (!compression) {
            return compression.error();
        }
        made.layers.push_back({blob_name(layer.digest), layer.digest, layer.size, 0, *compression, ""});
    }
    return made;
}

/// "0123….json" and "blobs/sha256/0123…" tell the digest.
std::string stated_digest(const std::string& member) {
    auto name = member.substr(member.rfind('/') + 1);
    name = name.substr(0, name.find('.'));
    const bool hex = name.find_first_not_of("0123456789abcdef") == std::string::npos;
    return hex && name.size() == kDigits ? name : "";
}

Result<Compression> sniff(Container& container, const std::string& member) {
    auto reader = container.read(member);
    if (!reader) {
        return std::move(reader).error();
    }
    std::array<char, 4> start{};
    const auto got = (*reader)->read(start.data(), start.size());
    return got ? Result<Compression>(compression_of({start.data(), *got})) : got.error();
}

Result<ImageSource> resolve_saved(Container& container, const SavedImage& saved, const std::string& base_name) {
    const auto member = member_name(saved.config);
    const auto text =
        member ? container.text(*member, kMaxDocument) : bad_image("manifest.json names no configuration");
    auto config = text ? read_config(*text) : text.error();
    if (!config) {
        return std::move(config).error();
    }
    const std::string digest = sha256_of(*text);
    if (const auto stated = stated_digest(*member); !stated.empty() && stated != digest) {
        return bad_image("the configuration is damaged: its checksum is not what it should be");
    }
    ImageSource made{saved.names.empty() ? base_name : saved.names.front(), digest, *member, std::move(*config), {}};
    for (const auto& path : saved.layers) {
        const auto layer = member_name(path);
        const auto found = layer ? container.find(*layer) : bad_image("manifest.json names no layer");
        if (!found && found.error().errno_code == ENOENT) {
            return bad_image(cat("layer '", path, "' is missing"));
        }
        const auto compression = found ? sniff(container, *layer) : found.error();
        if (!compression) {
            return compression.error();
        }
        made.layers.push_back({*layer, "", found->size, 0, *compression, ""});
    }
    return made;
}

/// What both forms have in common: each layer has its place and its diff_id.
Result<ImageSource> complete(Container& container, ImageSource image, const Platform& machine) {
    if (auto fits = check_platform(image.config, machine); !fits) {
        return std::move(fits).error();
    }
    if (image.layers.size() != image.config.diff_ids.size()) {
        return bad_image(
            cat("it has ", image.layers.size(), " layers, its configuration says ", image.config.diff_ids.size()));
    }
    for (std::size_t i = 0; i < image.layers.size(); ++i) {
        LayerSource& layer = image.layers[i];
        layer.diff_id = image.config.diff_ids[i];
        const auto found = container.find(layer.member);
        // A layer that the store has is not needed here, so it is missed only where it is read.
        if (found && found->size != layer.size) {
            return bad_image(cat("layer ", i + 1, " is damaged: its size is not what it should be"));
        }
        layer.offset = found ? found->offset : 0;
    }
    return image;
}

}  // namespace

Result<ImageSource> resolve_image(Container& container, const std::string& base_name, const Platform& machine) {
    const auto layout = container.text("oci-layout", kMaxSmall);
    if (!layout && layout.error().errno_code != ENOENT) {
        return layout.error();
    }
    if (auto known = layout ? check_layout(*layout) : Status(); !known) {
        return std::move(known).error();
    }
    const auto index = optional_text(container, "index.json");
    const auto saved_text = index ? optional_text(container, "manifest.json") : index.error();
    if (!saved_text) {
        return saved_text.error();
    }
    if (index->empty() && saved_text->empty()) {
        return bad_image("no image: neither 'index.json' nor 'manifest.json' is in it");
    }
    std::vector<SavedImage> saved;
    if (!saved_text->empty()) {
        auto read = read_saved(*saved_text);
        if (!read) {
            return std::move(read).error();
        }
        saved = std::move(*read);
    }
    if (index->empty() && saved.size() != 1) {
        return bad_image(saved.empty() ? "it holds no image" : cat("it holds several images: ", saved.size()));
    }
    auto image = index->empty() ? resolve_saved(container, saved.front(), base_name)
                                : resolve_layout(container, *index, base_name, machine);
    if (!image) {
        return image;
    }
    if (!index->empty() && saved.size() == 1 && !saved.front().names.empty()) {
        image->name = saved.front().names.front();
    }
    return complete(container, std::move(*image), machine);
}

}  // namespace viscum
