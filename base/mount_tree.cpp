// SPDX-License-Identifier: GPL-2.0-only
#include "base/mount_tree.h"

#include <fcntl.h>
#include <linux/mount.h>  // musl's sys/mount.h has none of it, and glibc's does not go together with this one everywhere
#include <sys/syscall.h>
#include <unistd.h>

namespace viscum {

UniqueFd clone_read_only(int at, const std::string& path) {
    UniqueFd tree(static_cast<int>(
        syscall(SYS_open_tree, at, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)));
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    if (tree && syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) {
        return tree;
    }
    return {};
}

}  // namespace viscum
