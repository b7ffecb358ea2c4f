// SPDX-License-Identifier: GPL-2.0-only
#include "controller/bundle/write.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "controller/image/container.h"
#include "controller/image/resolve.h"
#include "controller/ipc/json.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxServiceFile = 256UL * 1024;
constexpr std::size_t kMaxConfig = 4UL * 1024 * 1024;
constexpr const char* kBlobs = "image/blobs/sha256/";

/// A file that is not there before it is whole.
class NewFile {
public:
    static Result<NewFile> open(const std::string& path) {
        NewFile file(path);
        file.fd_.reset(::open(file.temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
        return file.fd_ ? Result<NewFile>(std::move(file)) : errno_error(cat("cannot write '", path, "'"));
    }
    NewFile(NewFile&&) = default;
    NewFile& operator=(NewFile&&) = delete;
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    ~NewFile() {
        if (fd_) {
            unlink(temporary_.c_str());
        }
    }
    [[nodiscard]] int fd() const { return fd_.get(); }
    Status keep() {
        if (fsync(fd_.get()) != 0 || rename(temporary_.c_str(), path_.c_str()) != 0) {
            return errno_error(cat("cannot write '", path_, "'"));
        }
        fd_.reset();
        return {};
    }

private:
    explicit NewFile(const std::string& path) : path_(path), temporary_(path + ".new") {}
    std::string path_;
    std::string temporary_;
    UniqueFd fd_;
};

struct OpenFile {
    UniqueFd fd;
    std::uint64_t size = 0;
};

Result<OpenFile> open_file(const std::string& path) {
    OpenFile file{UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)), 0};
    struct stat info {};
    if (!file.fd || fstat(file.fd.get(), &info) != 0) {
        return errno_error(cat("cannot open '", path, "'"));
    }
    if (!S_ISREG(info.st_mode)) {
        return Error{EINVAL, cat("'", path, "' is no plain file")};
    }
    file.size = static_cast<std::uint64_t>(info.st_size);
    return file;
}

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
        if (auto written = write_bytes(out, bundle_line({text.size(), 0}) + text); !written) {
            return written;
        }
        for (const auto& part : manifest_.parts) {
            Sha256 hash;
            auto written = write_bytes(out, cat("part ", part.path, "\n"));
            if (written) {
                written = sources_.at(part.path)([&](std::string_view bytes) {
                    hash.add(bytes.data(), bytes.size());
                    return write_bytes(out, bytes);
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

/// The other parts of a bundle as they come, after another head.
Status copy_parts(BundleReader& reader, const BundleManifest& manifest, int out,
                  const std::function<bool(const BundlePart&)>& wanted) {
    while (true) {
        const auto part = reader.next(manifest);
        if (!part || *part == nullptr) {
            return part ? Status() : Status(part.error());
        }
        if (!wanted(**part)) {
            continue;
        }
        if (auto written = write_bytes(out, cat("part ", (*part)->path, "\n")); !written) {
            return written;
        }
        if (auto copied = reader.copy(out); !copied) {
            return copied;
        }
    }
}

/// A directory for a moment.
class Workshop {
public:
    static Result<Workshop> open() {
        const char* place = std::getenv("TMPDIR");
        std::string path = cat(place == nullptr || *place == '\0' ? "/tmp" : place, "/viscum-bundle-XXXXXX");
        return mkdtemp(path.data()) == nullptr ? Result<Workshop>(errno_error(cat("cannot make '", path, "'")))
                                               : Result<Workshop>(Workshop(std::move(path)));
    }
    Workshop(Workshop&& other) noexcept : path_(std::exchange(other.path_, "")) {}
    Workshop& operator=(Workshop&&) = delete;
    Workshop(const Workshop&) = delete;
    Workshop& operator=(const Workshop&) = delete;
    ~Workshop() {
        if (!path_.empty()) {
            (void)remove_directory(path_);
        }
    }
    [[nodiscard]] std::string at(const char* name) const { return cat(path_, "/", name); }

private:
    explicit Workshop(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

Status run_ssh_keygen(const std::string& key, const std::string& text_file) {
    const pid_t child = fork();
    if (child < 0) {
        return errno_error("cannot fork");
    }
    if (child == 0) {
        const std::string space(kSignatureNamespace);
        execlp("ssh-keygen", "ssh-keygen", "-q", "-Y", "sign", "-f", key.c_str(), "-n", space.c_str(),
               text_file.c_str(), nullptr);
        _exit(127);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        return Error{ENOENT, "ssh-keygen is what signs, and is not there: install OpenSSH's client"};
    }
    return status == 0 ? Status() : Status(Error{EINVAL, cat("ssh-keygen did not sign with '", key, "'")});
}

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

Status sign_bundle(const std::string& file, const std::string& key) {
    const auto bundle = open_file(file);
    if (!bundle) {
        return bundle.error();
    }
    FileReader input(bundle->fd.get(), 0, bundle->size);
    BundleReader reader(input);
    const auto head = reader.head();
    const auto manifest = head ? decode_manifest(head->manifest) : head.error();
    const auto workshop = manifest ? Workshop::open() : manifest.error();
    if (!workshop) {
        return workshop.error();
    }
    auto signature = write_file_atomically(workshop->at("manifest"), head->manifest, 0600);
    signature = signature ? run_ssh_keygen(key, workshop->at("manifest")) : std::move(signature);
    if (!signature) {
        return signature;
    }
    auto added = read_file(workshop->at("manifest.sig"), kMaxSignatures);
    if (!added) {
        return added.error();
    }
    // A key that no device can know is told now, and not there.
    const std::string signatures = head->signatures + *added;
    if (auto fits = signers_of(head->manifest, signatures); !fits || signatures.size() > kMaxSignatures) {
        return fits ? bad_bundle("it has too many signatures") : std::move(fits).error();
    }
    auto out = NewFile::open(file);
    if (!out) {
        return out.error();
    }
    auto written = write_bytes(
        out->fd(), cat(bundle_line({head->manifest.size(), signatures.size()}), head->manifest, signatures));
    if (written) {
        written = copy_parts(reader, *manifest, out->fd(), [](const BundlePart&) { return true; });
    }
    return written ? out->keep() : std::move(written);
}

Status write_thin(ByteReader& bundle, const std::vector<std::string>& paths, int out) {
    BundleReader reader(bundle);
    const auto head = reader.head();
    const auto manifest = head ? decode_manifest(head->manifest) : head.error();
    if (!manifest) {
        return manifest.error();
    }
    const auto line = bundle_line({head->manifest.size(), head->signatures.size()});
    if (auto written = write_bytes(out, cat(line, head->manifest, head->signatures)); !written) {
        return written;
    }
    return paths.empty() ? Status() : copy_parts(reader, *manifest, out, [&paths](const BundlePart& part) {
        return std::ranges::find(paths, part.path) != paths.end();
    });
}

Status write_bytes(int out, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto written = write(out, bytes.data(), bytes.size());
        if (written < 0 && errno != EINTR) {
            return errno_error("cannot write");
        }
        bytes.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
    return {};
}

std::string bundled_text(std::string_view text, std::string_view digest) {
    return cat(text, text.ends_with('\n') ? "" : "\n", "bundle: ", digest, "\n");
}

}  // namespace viscum
