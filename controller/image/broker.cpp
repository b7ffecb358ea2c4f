// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/broker.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <memory>
#include <unordered_set>

#include "base/text.h"
#include "controller/image/image.h"
#include "controller/image/layer_tree.h"

namespace viscum {
namespace {

constexpr const char* kOpaque = "trusted.overlay.opaque";  // as overlayfs.rst has it

Status mark_opaque(const Message& request, dev_t device) {
    struct stat info {};
    if (request.descriptors.size() != 1 || fstat(request.descriptors.front().get(), &info) != 0 ||
        !S_ISDIR(info.st_mode) || info.st_dev != device) {
        return Error{EINVAL, "no directory of the image store"};
    }
    if (fsetxattr(request.descriptors.front().get(), kOpaque, "y", 1, 0) != 0) {
        return errno_error(
            "cannot mark a directory as opaque: the image store's file system must keep 'trusted' attributes, "
            "and be no overlay");
    }
    return {};
}

bool is_opaque(int directory) {
    char value = 0;
    return fgetxattr(directory, kOpaque, &value, 1) == 1 && value == 'y';
}

UniqueFd open_directory(int parent, const std::string& name) {
    return UniqueFd(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

/// What has been counted, and how deep.
struct Walk {
    std::uint64_t bytes = 0;
    std::unordered_set<ino_t> linked;
};

Status walk(UniqueFd directory, std::size_t depth, Walk& so_far);

Status count(int parent, const std::string& name, std::size_t depth, Walk& so_far) {  // NOLINT(misc-no-recursion)
    struct stat info {};
    if (fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno_error("cannot look at a file of the image store");
    }
    if (S_ISDIR(info.st_mode)) {
        return walk(open_directory(parent, name), depth + 1, so_far);
    }
    const bool whiteout = S_ISCHR(info.st_mode) && info.st_rdev == 0;
    if ((!S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode) && !whiteout) || (info.st_mode & (S_ISUID | S_ISGID)) != 0) {
        return Error{EIO, "a layer holds what it may not hold"};
    }
    if (S_ISREG(info.st_mode) && (info.st_nlink == 1 || so_far.linked.insert(info.st_ino).second)) {
        so_far.bytes += static_cast<std::uint64_t>(info.st_size);
    }
    return {};
}

Status walk(UniqueFd directory, std::size_t depth, Walk& so_far) {  // NOLINT(misc-no-recursion)
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(directory ? fdopendir(directory.get()) : nullptr, closedir);
    if (!dir || depth > kMaxEntryDepth) {
        return Error{EIO, "a layer is too deep, or cannot be read"};
    }
    const int inside = directory.release();
    while (const dirent* entry = readdir(dir.get())) {
        const std::string name(static_cast<const char*>(entry->d_name));
        if (name == "." || name == "..") {
            continue;
        }
        if (auto done = count(inside, name, depth, so_far); !done) {
            return done;
        }
    }
    return {};
}

Status send_accounts(int channel, const Message& request, const OpenLayer& open_layer) {
    std::vector<std::string> layers;
    for (auto& layer : split(request.text, '\n')) {
        if (!is_image_digest(layer) || layers.size() == kMaxLayers) {
            return Error{EINVAL, "no list of layers"};
        }
        layers.push_back(std::move(layer));
    }
    const UniqueFd passwd = find_in_layers(layers, open_layer, "etc", "passwd");
    const UniqueFd group = find_in_layers(layers, open_layer, "etc", "group");
    std::vector<int> descriptors;
    std::string which;
    if (passwd) {
        descriptors.push_back(passwd.get());
        which += 'p';
    }
    if (group) {
        descriptors.push_back(group.get());
        which += 'g';
    }
    return send_message(channel, 'k', which, descriptors);
}

}  // namespace

Status answer_request(int channel, const Message& request, dev_t device, const OpenLayer& open_layer) {
    if (request.kind == 'A') {
        return send_accounts(channel, request, open_layer);
    }
    if (request.kind != 'O') {
        return Error{EINVAL, "the unpacking process says what is not understood"};
    }
    const auto marked = mark_opaque(request, device);
    return marked ? send_message(channel, 'k', "") : send_message(channel, 'e', marked.error().what);
}

UniqueFd find_in_layers(const std::vector<std::string>& layers, const OpenLayer& open_layer, const std::string& folder,
                        const std::string& name) {
    for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
        const UniqueFd root = open_layer(*layer);
        struct stat info {};
        if (!root || fstatat(root.get(), folder.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        const UniqueFd directory = open_directory(root.get(), folder);
        if (!directory) {
            return {};  // a whiteout, a link or a file hides what is below
        }
        if (fstatat(directory.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
            constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
            return S_ISREG(info.st_mode) ? UniqueFd(openat(directory.get(), name.c_str(), kFlags)) : UniqueFd();
        }
        if (is_opaque(directory.get()) || is_opaque(root.get())) {
            return {};
        }
    }
    return {};
}

Result<std::uint64_t> layer_bytes(UniqueFd directory) {
    Walk so_far;
    if (auto done = walk(std::move(directory), 0, so_far); !done) {
        return std::move(done).error();
    }
    return so_far.bytes;
}

}  // namespace viscum
