// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>

#include "base/file.h"
#include "base/text.h"

namespace viscum {
namespace {

constexpr mode_t kPrivate = 0700;
constexpr unsigned kLockSeconds = 10;

/// The signal only ends the wait.
Status take_lock(int fd) {
    struct sigaction act {};
    struct sigaction before {};
    act.sa_handler = [](int) {};
    sigaction(SIGALRM, &act, &before);
    alarm(kLockSeconds);
    const int taken = flock(fd, LOCK_EX);
    const int why = errno;
    alarm(0);
    sigaction(SIGALRM, &before, nullptr);
    if (taken == 0) {
        return {};
    }
    return why == EINTR ? Error{EBUSY, "the image store is being changed by another command"}
                        : errno_error("cannot lock the image store", why);
}

/// The names of links and the digests that they lead to.
Result<std::map<std::string, std::string>> read_names(const std::string& path) {
    const auto files = list_directory(path);
    if (!files) {
        return files.error();
    }
    std::map<std::string, std::string> all;
    for (const auto& file : *files) {
        const auto name = image_name_of(file);
        const auto digest = name ? read_image_link(cat(path, "/", file)) : Error{EBADMSG, ""};
        if (digest) {
            all[*name] = *digest;
        }
    }
    return all;
}

}  // namespace

Result<std::vector<ListedImage>> list_images(const Instance& instance) {
    const std::string store = image_store(instance);
    const auto names = read_names(store + "/names");
    const auto records = list_directory(store + "/manifests");
    if (!names || !records) {
        return names ? records.error() : names.error();
    }
    const auto read = [&store](const std::string& digest) {
        const auto image = read_image_record(cat(store, "/manifests/", digest), digest);
        return image ? std::optional(*image) : std::nullopt;
    };
    std::vector<ListedImage> all;
    std::set<std::string> named;
    for (const auto& [name, digest] : *names) {
        all.push_back({name, digest, read(digest)});
        named.insert(digest);
    }
    for (const auto& digest : *records) {
        if (is_image_digest(digest) && !named.contains(digest)) {
            all.push_back({"", digest, read(digest)});
        }
    }
    return all;
}

Result<ImageStore> ImageStore::open(const Instance& instance) {
    const std::string path = image_store(instance);
    const std::string state = instance.state_dir();
    for (const auto& [parent, mode] : {std::pair(state.substr(0, state.rfind('/')), 0755U), std::pair(state, 0750U)}) {
        if (auto made = make_directory(parent, mode); !made) {
            return std::move(made).error();
        }
    }
    for (const char* part : {"", "/layers", "/manifests", "/names", "/new"}) {
        if (auto made = make_directory(path + part, kPrivate); !made) {
            return std::move(made).error();
        }
    }
    const std::string lock_file = path + "/lock";
    UniqueFd lock(::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock) {
        return errno_error(cat("cannot open '", lock_file, "'"));
    }
    if (auto taken = take_lock(lock.get()); !taken) {
        return std::move(taken).error();
    }
    ImageStore store(path, std::move(lock));
    if (auto done = store.clear_new(); !done) {
        return std::move(done).error();
    }
    if (auto done = store.remove_loose_layers(); !done) {
        return std::move(done).error();
    }
    return store;
}

// Whoever wrote there is dead: it held the lock. What it wrote is removed by descriptors, and no link is followed.
Status ImageStore::clear_new() const {
    const auto names = list_directory(at("new"));
    if (!names) {
        return names.error();
    }
    for (const auto& name : *names) {
        std::error_code failure;
        std::filesystem::remove_all(cat(at("new"), "/", name), failure);
        if (failure) {
            return errno_error(cat("cannot remove '", at("new"), "/", name, "'"), failure.value());
        }
    }
    return {};
}

Result<std::set<std::string>> ImageStore::used_layers() const {
    const auto records = list_directory(at("manifests"));
    if (!records) {
        return records.error();
    }
    std::set<std::string> used;
    for (const auto& digest : *records) {
        const std::string path = cat(at("manifests"), "/", digest);
        if (!is_image_digest(digest)) {
            if (auto removed = remove_file(path); !removed) {  // a record that was being written
                return std::move(removed).error();
            }
            continue;
        }
        const auto image = read_image_record(path, digest);
        if (!image) {
            return image.error();
        }
        used.insert(image->layers.begin(), image->layers.end());
    }
    return used;
}

Status ImageStore::remove_loose_layers() const {
    const auto used = used_layers();
    const auto layers = list_directory(at("layers"));
    if (!layers) {
        return layers.error();
    }
    if (!used) {
        // Which layers a damaged record means is not known, so they all stay until it is removed.
        return used.error().errno_code == EBADMSG ? Status() : used.error();
    }
    bool moved = false;
    for (const auto& layer : *layers) {
        if (used->contains(layer)) {
            continue;
        }
        // First out of sight: half a layer must not stand where whole ones do.
        if (rename(cat(at("layers"), "/", layer).c_str(), cat(at("new"), "/", layer).c_str()) != 0) {
            return errno_error(cat("cannot remove layer '", layer, "'"));
        }
        moved = true;
    }
    if (!moved) {
        return {};
    }
    auto synced = sync_directory(at("layers"));
    return synced ? clear_new() : std::move(synced);
}

Status ImageStore::set_name(const std::string& name, const std::string& digest) const {
    const std::string fresh = at("new/name");
    const std::string link = cat(at("names"), "/", image_name_file(name));
    if (symlink(cat("../manifests/", digest).c_str(), fresh.c_str()) != 0 || rename(fresh.c_str(), link.c_str()) != 0) {
        return errno_error(cat("cannot set the name '", name, "'"));
    }
    return sync_directory(at("names"));
}

Status ImageStore::prune(const std::set<std::string>& in_use) {
    const auto names = read_names(at("names"));
    const auto records = list_directory(at("manifests"));
    if (!names || !records) {
        return names ? records.error() : names.error();
    }
    std::set<std::string> kept = in_use;
    for (const auto& [name, digest] : *names) {
        kept.insert(digest);
    }
    for (const auto& digest : *records) {
        if (kept.contains(digest)) {
            continue;
        }
        if (auto removed = remove_file(cat(at("manifests"), "/", digest)); !removed) {
            return removed;
        }
    }
    return remove_loose_layers();
}

Status ImageStore::remove(const std::string& reference, const std::set<std::string>& in_use) {
    const auto names = read_names(at("names"));
    if (!names) {
        return names.error();
    }
    const bool by_digest = is_image_digest(reference);
    const std::string name = names->contains(reference) ? reference : reference + ":latest";
    const auto named = names->find(name);
    const std::string digest = by_digest ? reference : named == names->end() ? "" : named->second;
    if (digest.empty() || (by_digest && access(cat(at("manifests"), "/", digest).c_str(), F_OK) != 0)) {
        return Error{ENOENT, cat("there is no image '", reference, "'")};
    }
    if (in_use.contains(digest)) {
        return Error{EBUSY, cat("image '", reference, "' is in use")};
    }
    for (const auto& [other, target] : *names) {
        if (target != digest || (!by_digest && other != name)) {
            continue;
        }
        if (auto removed = remove_file(cat(at("names"), "/", image_name_file(other))); !removed) {
            return removed;
        }
    }
    return prune(in_use);
}

}  // namespace viscum
