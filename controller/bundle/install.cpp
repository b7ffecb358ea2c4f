// SPDX-License-Identifier: GPL-2.0-only
#include "controller/bundle/install.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "controller/bundle/write.h"
#include "controller/image/image.h"
#include "controller/image/store.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxVersionFile = 256;
constexpr std::size_t kMaxServiceFile = 256UL * 1024;

std::string bundles_dir(const Instance& instance) {
    return instance.state_dir() + "/bundles";
}

Status remove_tree(const std::string& path) {
    std::error_code failure;
    std::filesystem::remove_all(path, failure);
    return failure ? Status(errno_error(cat("cannot remove '", path, "'"), failure.value())) : Status();
}

/// The store's layers are known by the first digits of their diff_id.
bool has_layer(const Instance& instance, const BundlePart& part) {
    return !part.layer.empty() && access(layer_path(instance, part.layer.substr(0, kImageDigits)).c_str(), F_OK) == 0;
}

Result<std::optional<BundleVersion>> last_version(const Instance& instance, const std::string& service) {
    const std::string path = cat(bundles_dir(instance), "/versions/", service);
    const auto text = read_file(path, kMaxVersionFile);
    if (!text) {
        return text.error().errno_code == ENOENT ? Result<std::optional<BundleVersion>>(std::nullopt) : text.error();
    }
    const auto words = split(text->substr(0, text->find('\n')), ' ');
    if (words.size() != 2 || !is_bundle_version(words[0]) || !is_image_digest(words[1])) {
        return Error{EIO, cat("'", path, "' is damaged; without it any version is taken")};
    }
    return std::optional(BundleVersion{service, words[0], words[1]});
}

/// Whether this version may come after the last one.
Status check_version(const Instance& instance, const BundleManifest& manifest, const std::string& digest,
                     bool allow_downgrade) {
    if (allow_downgrade) {
        return {};
    }
    const auto last = last_version(instance, manifest.service);
    if (!last || !*last) {
        return last ? Status() : Status(last.error());
    }
    const auto order = compare_versions(manifest.version, (*last)->version);
    if (order < 0) {
        return untrusted(cat("version ", manifest.version, " of '", manifest.service, "' is older than ",
                             (*last)->version, ", which came last"));
    }
    return order > 0 || digest == (*last)->digest
               ? Status()
               : Status(untrusted(cat("version ", manifest.version, " of '", manifest.service,
                                      "' came before, and was another one: a new one needs a new number")));
}

/// The manifest, when its bundle may come here.
Result<TrustedManifest> admit(const Instance& instance, const BundleHead& head, const BundleRequest& request) {
    auto trusted = verify_head(head, request.trusted);
    if (!trusted) {
        return trusted;
    }
    if (auto newer = check_version(instance, trusted->manifest, head.digest(), request.allow_downgrade); !newer) {
        return std::move(newer).error();
    }
    return trusted;
}

class Installer {
public:
    Installer(const Instance& instance, const BundleRequest& request)
        : instance_(instance), request_(request), new_(bundles_dir(instance) + "/new") {}

    Result<InstalledBundle> run(ByteReader& input) {
        BundleReader reader(input);
        const auto head = reader.head();
        if (!head) {
            return head.error();
        }
        // The lock first: the version that came last must not change behind the look at it.
        auto store = ImageStore::open(instance_);
        if (!store) {
            return std::move(store).error();
        }
        auto trusted = admit(instance_, *head, request_);
        if (!trusted) {
            return std::move(trusted).error();
        }
        manifest_ = std::move(trusted->manifest);
        digest_ = head->digest();
        auto done = stage(reader);
        done = done ? publish(*store) : std::move(done);
        (void)remove_tree(new_);
        if (!done) {
            return std::move(done).error();
        }
        return InstalledBundle{manifest_, digest_, trusted->signer ? fingerprint(*trusted->signer) : "",
                               cat(bundles_dir(instance_), "/", digest_, "/service.yaml")};
    }

private:
    [[nodiscard]] bool needed(const BundlePart& part) const { return !has_layer(instance_, part); }

    Status stage(BundleReader& reader) {
        if (auto removed = remove_tree(new_); !removed) {
            return removed;
        }
        for (const char* part : {"/files", "/image/blobs/sha256"}) {
            if (auto made = make_directory(new_ + part, 0700); !made) {
                return made;
            }
        }
        const UniqueFd directory(open(new_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        std::uint64_t bytes = 0;
        for (const auto& part : manifest_.parts) {
            bytes += needed(part) ? std::min(part.size, UINT64_MAX - bytes) : 0;
        }
        if (auto space = check_space(directory.get(), bytes); !space) {
            return space;
        }
        std::set<std::string> staged;
        while (true) {
            const auto part = reader.next(manifest_);
            if (!part) {
                return part.error();
            }
            if (*part == nullptr) {
                break;
            }
            if (!needed(**part)) {
                continue;
            }
            const UniqueFd out(openat(directory.get(), (*part)->path.c_str(),
                                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
            if (!out) {
                return errno_error("cannot write a bundle's part");
            }
            if (auto copied = reader.copy(out.get()); !copied) {
                return copied;
            }
            staged.insert((*part)->path);
        }
        const auto missing = std::ranges::find_if(
            manifest_.parts, [&](const BundlePart& part) { return needed(part) && !staged.contains(part.path); });
        return missing == manifest_.parts.end()
                   ? Status()
                   : Status(bad_bundle(cat("'", missing->path, "' is missing, and this device does not have it")));
    }

    Status publish(ImageStore& store) {
        if (!manifest_.image.empty()) {
            if (auto added = store.add({cat(new_, "/image"), manifest_.image, request_.max_bytes}); !added) {
                return std::move(added).error();
            }
        }
        auto done = remove_tree(new_ + "/image");
        const std::string file = new_ + "/service.yaml";
        const auto text = done ? read_file(file, kMaxServiceFile) : done.error();
        if (!text) {
            return text.error();
        }
        done = write_file_atomically(file, bundled_text(*text, digest_), 0644);
        const std::string place = cat(bundles_dir(instance_), "/", digest_);
        if (done && access(place.c_str(), F_OK) != 0) {
            const UniqueFd directory(open(new_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
            // What is renamed must be on the medium before its name is.
            if (!directory || syncfs(directory.get()) != 0 || rename(new_.c_str(), place.c_str()) != 0) {
                return errno_error(cat("cannot add bundle '", digest_, "'"));
            }
            done = sync_directory(bundles_dir(instance_));
        }
        const std::string versions = bundles_dir(instance_) + "/versions";
        done = done ? make_directory(versions, 0700) : std::move(done);
        return done ? write_file_atomically(cat(versions, "/", manifest_.service),
                                            cat(manifest_.version, " ", digest_, "\n"), 0600)
                    : std::move(done);
    }

    const Instance& instance_;
    const BundleRequest& request_;
    std::string new_;
    BundleManifest manifest_;
    std::string digest_;
};

}  // namespace

Result<InstalledBundle> install_bundle(const Instance& instance, ByteReader& bundle, const BundleRequest& request) {
    return Installer(instance, request).run(bundle);
}

Result<std::vector<std::string>> lacking_parts(const Instance& instance, ByteReader& bundle,
                                               const BundleRequest& request) {
    BundleReader reader(bundle);
    const auto head = reader.head();
    const auto trusted = head ? admit(instance, *head, request) : head.error();
    if (!trusted) {
        return trusted.error();
    }
    std::vector<std::string> paths;
    for (const auto& part : trusted->manifest.parts) {
        if (!has_layer(instance, part)) {
            paths.push_back(part.path);
        }
    }
    return paths;
}

Result<std::vector<BundleVersion>> list_bundles(const Instance& instance) {
    const auto services = list_directory(bundles_dir(instance) + "/versions");
    if (!services) {
        return services.error();
    }
    std::vector<BundleVersion> all;
    for (const auto& service : *services) {
        const auto last = last_version(instance, service);
        if (!last) {
            return last.error();
        }
        if (*last) {
            all.push_back(**last);
        }
    }
    return all;
}

Status prune_bundles(const Instance& instance, const std::set<std::string>& in_use) {
    const auto bundles = list_directory(bundles_dir(instance));
    const auto last = list_bundles(instance);
    if (!bundles || !last) {
        return bundles ? last.error() : bundles.error();
    }
    std::set<std::string> kept = in_use;
    for (const auto& one : *last) {
        kept.insert(one.digest);
    }
    for (const auto& name : *bundles) {
        if ((!is_image_digest(name) || kept.contains(name)) && name != "new") {
            continue;
        }
        if (auto removed = remove_tree(cat(bundles_dir(instance), "/", name)); !removed) {
            return removed;
        }
    }
    return {};
}

}  // namespace viscum
