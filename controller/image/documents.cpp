// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/documents.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "controller/image/image.h"
#include "controller/ipc/json.h"

namespace viscum {
namespace {

constexpr std::string_view kSha256 = "sha256:";
constexpr std::size_t kDigits = 64;
constexpr std::size_t kMaxTexts = 48 * 1024;  // bytes of command and environment, so that the record stays small
constexpr std::size_t kMaxEnv = 200;

/// The first mistake stays; what is read after it is empty.
class Reader {
public:
    explicit Reader(std::string what) : what_(std::move(what)) {}

    const JsonValue::List& list(const JsonValue* object, std::string_view name) {
        static const JsonValue::List kNone;
        const auto* found = get<JsonValue::List>(object, name, "is no list");
        return found == nullptr ? kNone : *found;
    }
    std::string text(const JsonValue* object, std::string_view name) {
        const auto* found = get<std::string>(object, name, "is no text");
        return found == nullptr ? "" : plain(*found, name);
    }
    std::vector<std::string> texts(const JsonValue* object, std::string_view name) {
        std::vector<std::string> out;
        for (const auto& item : list(object, name)) {
            const auto* found = std::get_if<std::string>(&item.value);
            if (found == nullptr) {
                fail(cat("'", name, "' holds something else than texts"));
            } else {
                out.push_back(plain(*found, name));
            }
        }
        return out;
    }
    const JsonValue* object(const JsonValue* outer, std::string_view name) {
        return get<JsonValue::Object>(outer, name, "is no object") == nullptr ? nullptr : outer->member(name);
    }
    std::string digest(const std::string& text) {
        if (!text.starts_with(kSha256) || text.size() != kSha256.size() + kDigits ||
            text.find_first_not_of("0123456789abcdef", kSha256.size()) != std::string::npos) {
            fail(cat("'", text, "' is no SHA-256 digest"));
            return {};
        }
        return text.substr(kSha256.size());
    }
    Descriptor descriptor(const JsonValue& value) {
        Descriptor made;
        made.media_type = text(&value, "mediaType");
        made.digest = digest(text(&value, "digest"));
        const auto* size = get<std::uint64_t>(&value, "size", "is no size");
        if (size == nullptr) {
            fail("a descriptor without a size");
        } else {
            made.size = *size;
        }
        if (const auto* platform = object(&value, "platform")) {
            made.platform = read_platform(*platform);
        }
        if (const auto* notes = object(&value, "annotations")) {
            made.reference = text(notes, "org.opencontainers.image.ref.name");
            made.full_name = text(notes, "io.containerd.image.name");
        }
        return made;
    }
    Platform read_platform(const JsonValue& value) {
        return {text(&value, "os"), text(&value, "architecture"), text(&value, "variant")};
    }
    void fail(const std::string& why) {
        if (!error_) {
            error_ = bad_image(cat("the ", what_, " is not as it should be: ", why));
        }
    }
    template <class T>
    Result<T> result(T value) {
        return error_ ? Result<T>(*error_) : Result<T>(std::move(value));
    }

private:
    std::string plain(const std::string& text, std::string_view name) {
        if (text.find('\0') != std::string::npos) {
            fail(cat("'", name, "' holds a zero byte"));
        }
        return text;
    }
    /// What is null counts as missing, as Go writes it.
    template <class T>
    const T* get(const JsonValue* outer, std::string_view name, const char* mistake) {
        const auto* found = outer == nullptr ? nullptr : outer->member(name);
        if (found == nullptr || std::holds_alternative<std::monostate>(found->value)) {
            return nullptr;
        }
        const auto* held = std::get_if<T>(&found->value);
        if (held == nullptr) {
            fail(cat("'", name, "' ", mistake));
        }
        return held;
    }

    std::string what_;
    std::optional<Error> error_;
};

Result<JsonValue> parse(const std::string& text, std::string_view what) {
    auto tree = parse_json(text);
    return tree ? std::move(tree) : bad_image(cat("the ", what, " is not as it should be: ", tree.error().what));
}

std::string stop_signal(std::string_view text) {
    struct Signal {
        std::string_view name;
        std::string_view number;
    };
    constexpr std::array kSignals = {Signal{"TERM", "15"}, Signal{"QUIT", "3"},  Signal{"INT", "2"},
                                     Signal{"HUP", "1"},   Signal{"USR1", "10"}, Signal{"USR2", "12"}};
    if (text.starts_with("SIG")) {
        text.remove_prefix(3);
    }
    for (const auto& signal : kSignals) {
        if (text == signal.name || text == signal.number) {
            return std::string(signal.name);
        }
    }
    return {};
}

void read_env(Reader& reader, const std::vector<std::string>& lines, ImageConfig& config) {
    std::size_t bytes = 0;
    for (const auto& word : config.command) {
        bytes += word.size() + 1;
    }
    for (const auto& line : lines) {
        const auto equals = line.find('=');
        if (equals == 0 || equals == std::string::npos) {
            reader.fail(cat("'", line, "' is no environment variable"));
            return;
        }
        config.env[line.substr(0, equals)] = line.substr(equals + 1);
        bytes += line.size();
    }
    if (bytes > kMaxTexts || config.env.size() > kMaxEnv) {
        reader.fail(
            cat("command and environment are longer than ", kMaxTexts, " bytes, or more than ", kMaxEnv, " variables"));
    }
}

int arm_version(const Platform& platform) {
    return platform.variant == "v5" ? 5 : platform.variant == "v6" ? 6 : platform.variant == "v8" ? 8 : 7;
}

}  // namespace

std::string Platform::text() const {
    return cat(os.empty() ? "?" : os, "/", architecture.empty() ? "?" : architecture, variant.empty() ? "" : "/",
               variant);
}

Platform this_machine() {
#if defined(__x86_64__)
    return {"linux", "amd64", ""};
#elif defined(__i386__)
    return {"linux", "386", ""};
#elif defined(__aarch64__)
    return {"linux", "arm64", "v8"};
#elif defined(__arm__)
    return {"linux", "arm", cat("v", __ARM_ARCH > 7 ? 7 : __ARM_ARCH)};
#elif defined(__mips64)
    return {"linux", __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? "mips64" : "mips64le", ""};
#elif defined(__mips__)
    return {"linux", __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? "mips" : "mipsle", ""};
#elif defined(__powerpc64__)
    return {"linux", __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? "ppc64" : "ppc64le", ""};
#elif defined(__riscv) && __riscv_xlen == 64
    return {"linux", "riscv64", ""};
#elif defined(__loongarch64)
    return {"linux", "loong64", ""};
#elif defined(__s390x__)
    return {"linux", "s390x", ""};
#else
#error "a name of this architecture, as Go has it"
#endif
}

int fitness(const Platform& platform, const Platform& machine) {
    constexpr int kSame = 100;
    if (platform.os != machine.os || platform.architecture != machine.architecture) {
        return 0;
    }
    if (platform.architecture == "arm") {
        const int version = arm_version(platform);
        return version <= arm_version(machine) ? kSame + version : 0;
    }
    // amd64/v3 and the like need a newer processor than all of the kind have.
    return platform.variant.empty() || platform.variant == machine.variant || platform.variant == "v1" ? kSame : 0;
}

bool Descriptor::is_index() const {
    return media_type == "application/vnd.oci.image.index.v1+json" ||
           media_type == "application/vnd.docker.distribution.manifest.list.v2+json";
}

Result<std::vector<Descriptor>> read_index(const std::string& text) {
    const auto tree = parse(text, "index");
    if (!tree) {
        return tree.error();
    }
    Reader reader("index");
    std::vector<Descriptor> all;
    for (const auto& item : reader.list(&*tree, "manifests")) {
        all.push_back(reader.descriptor(item));
    }
    // A text that may be read as both means different images to different readers (CVE-2021-41190).
    if (tree->member("layers") != nullptr || tree->member("config") != nullptr) {
        reader.fail("it is a manifest as well");
    }
    return reader.result(std::move(all));
}

Result<ImageManifest> read_manifest(const std::string& text) {
    const auto tree = parse(text, "manifest");
    if (!tree) {
        return tree.error();
    }
    Reader reader("manifest");
    ImageManifest made;
    if (const auto* config = reader.object(&*tree, "config")) {
        made.config = reader.descriptor(*config);
        if (made.config.media_type != "application/vnd.oci.image.config.v1+json" &&
            made.config.media_type != "application/vnd.docker.container.image.v1+json") {
            reader.fail(cat("'", made.config.media_type, "' is no image"));
        }
    } else {
        reader.fail("it has no configuration");
    }
    for (const auto& item : reader.list(&*tree, "layers")) {
        made.layers.push_back(reader.descriptor(item));
    }
    if (tree->member("manifests") != nullptr) {
        reader.fail("it is an index as well");
    }
    return reader.result(std::move(made));
}

Result<Compression> layer_compression(const std::string& media_type) {
    struct Type {
        std::string_view name;
        Compression compression;
    };
    constexpr std::array kTypes = {
        Type{"application/vnd.oci.image.layer.v1.tar", Compression::none},
        Type{"application/vnd.oci.image.layer.v1.tar+gzip", Compression::gzip},
        Type{"application/vnd.oci.image.layer.v1.tar+zstd", Compression::zstd},
        Type{"application/vnd.docker.image.rootfs.diff.tar", Compression::none},
        Type{"application/vnd.docker.image.rootfs.diff.tar.gzip", Compression::gzip},
        Type{"application/vnd.docker.image.rootfs.diff.tar.zstd", Compression::zstd},
    };
    for (const auto& type : kTypes) {
        if (type.name == media_type) {
            return type.compression;
        }
    }
    return bad_image(cat("a layer is of a kind that is not understood: '", media_type, "'"));
}

Result<ImageConfig> read_config(const std::string& text) {
    const auto tree = parse(text, "configuration");
    if (!tree) {
        return tree.error();
    }
    Reader reader("configuration");
    ImageConfig made;
    made.platform = reader.read_platform(*tree);
    const auto* rootfs = reader.object(&*tree, "rootfs");
    for (const auto& id : reader.texts(rootfs, "diff_ids")) {
        made.diff_ids.push_back(reader.digest(id));
    }
    if (made.diff_ids.empty() || made.diff_ids.size() > kMaxLayers) {
        reader.fail(cat("it has no layers, or more than ", kMaxLayers));
    }
    const auto* config = reader.object(&*tree, "config");
    made.command = reader.texts(config, "Entrypoint");
    const auto arguments = reader.texts(config, "Cmd");
    made.command.insert(made.command.end(), arguments.begin(), arguments.end());
    read_env(reader, reader.texts(config, "Env"), made);
    made.user = reader.text(config, "User");
    made.stop_signal = stop_signal(reader.text(config, "StopSignal"));
    const auto directory = reader.text(config, "WorkingDir");
    made.directory = directory.starts_with('/') ? directory : "/" + directory;
    const auto parts = split(made.directory, '/');
    if (std::ranges::find(parts, "..") != parts.end() || made.directory.size() > kMaxTexts / 16) {
        reader.fail("the working directory is no plain path");
    }
    return reader.result(std::move(made));
}

Result<std::vector<SavedImage>> read_saved(const std::string& text) {
    const auto tree = parse(text, "manifest.json");
    if (!tree) {
        return tree.error();
    }
    Reader reader("manifest.json");
    std::vector<SavedImage> all;
    const auto* list = std::get_if<JsonValue::List>(&tree->value);
    if (list == nullptr) {
        reader.fail("it is no list");
    }
    for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
        const JsonValue& item = (*list)[i];
        all.push_back({reader.text(&item, "Config"), reader.texts(&item, "RepoTags"), reader.texts(&item, "Layers")});
    }
    return reader.result(std::move(all));
}

Status check_layout(const std::string& text) {
    const auto tree = parse(text, "file 'oci-layout'");
    if (!tree) {
        return tree.error();
    }
    Reader reader("file 'oci-layout'");
    const auto version = reader.text(&*tree, "imageLayoutVersion");
    if (!version.starts_with("1.")) {
        reader.fail(cat("version '", version, "' is not known"));
    }
    const auto done = reader.result(true);
    return done ? Status() : done.error();
}

}  // namespace viscum
