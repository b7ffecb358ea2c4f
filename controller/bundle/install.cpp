// SPDX-License-Identifier: GPL-2.0-only
#include "controller/bundle/install.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "controller/bundle/record.h"
#include "controller/image/image.h"
#include "controller/image/store.h"

namespace viscum {
namespace {

constexpr std::string_view kImage = "image/";

std::string place_for_new(const Instance& instance) {
    return bundles_dir(instance) + "/new";
}

/// Of the image's parts, which may need a medium of their own: where the store is.
std::string place_for_image(const Instance& instance) {
    return image_store(instance) + "/bundle";
}

Status remove_tree(const std::string& path) {
    std::error_code failure;
    std::filesystem::remove_all(path, failure);
    return failure ? Status(errno_error(cat("cannot remove '", path, "'"), failure.value())) : Status();
}

Status clear(const Instance& instance) {
    auto removed = remove_tree(place_for_new(instance));
    auto image_removed = remove_tree(place_for_image(instance));
    return removed ? std::move(image_removed) : std::move(removed);
}

/// The store's layers are known by the first digits of their diff_id.
bool has_layer(const Instance& instance, const BundlePart& part) {
    return !part.layer.empty() && access(layer_path(instance, part.layer.substr(0, kImageDigits)).c_str(), F_OK) == 0;
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
    const std::string& known = (*last)->version;
    if (!is_bundle_version(known)) {
        return Error{EIO, cat("the record of which version of '", manifest.service,
                              "' came last is damaged: ", "--allow-downgrade writes it anew")};
    }
    const auto order = compare_versions(manifest.version, known);
    if (order < 0) {
        return untrusted(cat("version ", manifest.version, " of '", manifest.service, "' is older than ", known,
                             ", which came last"));
    }
    return order > 0 || digest == (*last)->digest
               ? Status()
               : Status(untrusted(cat("version ", manifest.version, " of '", manifest.service,
                                      "' came before, and was another one: a new one needs a new number")));
}

class Installer {
public:
    Installer(const Instance& instance, const BundleRequest& request)
        : instance_(instance), request_(request), new_(place_for_new(instance)), image_(place_for_image(instance)) {}

    Result<InstalledBundle> run(ByteReader& input) {
        BundleReader reader(input);
        const auto head = reader.head();
        auto trusted = head ? verify_head(*head, request_.trusted) : head.error();
        if (!trusted) {
            return std::move(trusted).error();
        }
        manifest_ = std::move(trusted->manifest);
        digest_ = head->digest();
        // Now that somebody is known to have signed it. The version that came last must not change behind the look.
        auto store = ImageStore::open(instance_);
        auto done =
            store ? check_version(instance_, manifest_, digest_, request_.allow_downgrade) : Status(store.error());
        if (!done) {
            return std::move(done).error();
        }
        done = stage(reader);
        done = done ? publish(*store) : std::move(done);
        (void)clear(instance_);
        if (!done) {
            return std::move(done).error();
        }
        return InstalledBundle{manifest_, digest_, trusted->signer ? fingerprint(*trusted->signer) : "",
                               bundle_path(instance_, digest_) + "/service.yaml"};
    }

private:
    [[nodiscard]] bool needed(const BundlePart& part) const { return !has_layer(instance_, part); }

    /// Where a part is put until all of them are there.
    [[nodiscard]] std::string place_of(const BundlePart& part) const {
        const bool image = part.path.starts_with(kImage);
        return image ? cat(image_, "/", part.path.substr(kImage.size())) : cat(new_, "/", part.path);
    }

    /// Whether what is needed fits, on the one medium or the two.
    [[nodiscard]] Status check_room() const {
        for (const auto& [place, image] : {std::pair(&new_, false), std::pair(&image_, true)}) {
            std::uint64_t bytes = 0;
            for (const auto& part : manifest_.parts) {
                const bool counts = part.path.starts_with(kImage) == image && needed(part);
                bytes += counts ? std::min(part.size, UINT64_MAX - bytes) : 0;
            }
            const UniqueFd directory(open(place->c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
            if (auto room = check_space(directory.get(), bytes); !room) {
                return room;
            }
        }
        return {};
    }

    Status stage(BundleReader& reader) {
        auto made = clear(instance_);
        for (const auto& place : {new_ + "/files", bundles_dir(instance_) + "/versions", image_ + "/blobs/sha256"}) {
            made = made ? make_directory(place, 0700) : std::move(made);
        }
        made = made ? sync_directory(bundles_dir(instance_)) : std::move(made);
        made = made ? check_room() : std::move(made);
        return made ? take_parts(reader) : std::move(made);
    }

    Status take_parts(BundleReader& reader) {
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
            const UniqueFd out(
                open(place_of(**part).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
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
        const std::string file = new_ + "/service.yaml";
        const auto text = read_file(file, kMaxServiceFile);
        auto done = text ? write_file_atomically(file, bundled_text(*text, digest_), 0644) : Status(text.error());
        done = done ? write_file_atomically(new_ + "/version", manifest_.version + "\n", 0644) : std::move(done);
        done = done ? publish_image(store) : std::move(done);
        done = done ? publish_files() : std::move(done);
        return done ? write_file_atomically(cat(bundles_dir(instance_), "/versions/", manifest_.service),
                                            cat(manifest_.version, " ", digest_, "\n"), 0600)
                    : std::move(done);
    }

    Status publish_image(ImageStore& store) {
        if (manifest_.image.empty()) {
            return {};
        }
        const auto added = store.add({image_, manifest_.image, request_.max_bytes});
        return added
                   ? write_file_atomically(new_ + "/image", cat(manifest_.image, " ", added->image.digest, "\n"), 0644)
                   : Status(added.error());
    }

    /// Also over the same bundle: of that, something may have been damaged.
    Status publish_files() {
        const UniqueFd directory(open(new_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        // What is renamed must be on the medium before its name is.
        if (!directory || syncfs(directory.get()) != 0) {
            return errno_error("cannot write a bundle to its medium");
        }
        const std::string place = bundle_path(instance_, digest_);
        const bool there = access(place.c_str(), F_OK) == 0;
        // By its number: musl has no function for it.
        const unsigned how = there ? RENAME_EXCHANGE : 0;
        if (syscall(SYS_renameat2, AT_FDCWD, new_.c_str(), AT_FDCWD, place.c_str(), how) != 0) {
            return errno_error(cat("cannot add bundle '", digest_, "'"));
        }
        return sync_directory(bundles_dir(instance_));
    }

    const Instance& instance_;
    const BundleRequest& request_;
    std::string new_;
    std::string image_;
    BundleManifest manifest_;
    std::string digest_;
};

/// Takes the name away from an image that a bundle brought, where it is still that image's and no bundle in `kept`
/// wants it.
Status remove_image_name(const Instance& instance, const std::string& bundle, const std::set<std::string>& kept) {
    const auto image = bundle_image(instance, bundle);
    if (!image || !*image) {
        return image ? Status() : Status(image.error());
    }
    for (const auto& other : kept) {
        const auto wanted = bundle_image(instance, other);
        if (!wanted || (*wanted && (*wanted)->name == (*image)->name)) {
            return {};
        }
    }
    const std::string link = cat(image_store(instance), "/names/", image_name_file((*image)->name));
    const auto target = read_image_link(link);
    return target && *target == (*image)->digest ? remove_file(link) : Status();
}

}  // namespace

Result<InstalledBundle> install_bundle(const Instance& instance, ByteReader& bundle, const BundleRequest& request) {
    return Installer(instance, request).run(bundle);
}

Result<std::vector<std::string>> lacking_parts(const Instance& instance, ByteReader& bundle,
                                               const BundleRequest& request) {
    BundleReader reader(bundle);
    const auto head = reader.head();
    const auto trusted = head ? verify_head(*head, request.trusted) : head.error();
    auto known = trusted ? check_version(instance, trusted->manifest, head->digest(), request.allow_downgrade)
                         : Status(trusted.error());
    if (!known) {
        return std::move(known).error();
    }
    std::vector<std::string> paths;
    for (const auto& part : trusted->manifest.parts) {
        if (!has_layer(instance, part)) {
            paths.push_back(part.path);
        }
    }
    return paths;
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
    auto done = clear(instance);
    for (const auto& name : *bundles) {
        if (!done || !is_image_digest(name) || kept.contains(name)) {
            continue;
        }
        done = remove_image_name(instance, name, kept);
        // First out of sight: half a bundle must not stand where whole ones do.
        if (done && rename(bundle_path(instance, name).c_str(), place_for_new(instance).c_str()) != 0) {
            done = errno_error(cat("cannot remove bundle '", name, "'"));
        }
        done = done ? sync_directory(bundles_dir(instance)) : std::move(done);
        done = done ? clear(instance) : std::move(done);
    }
    return done;
}

}  // namespace viscum
