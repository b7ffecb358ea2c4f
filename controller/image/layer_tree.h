// SPDX-License-Identifier: GPL-2.0-only
// A directory into which the entries of a layer are put. Whatever their names and order are, nothing outside of it is
// reached: a path is walked by openat2(2) beneath the root and through no link, and the last name is only used by *at
// calls that do not follow.
//
// Whiteouts become what overlayfs (kernel >= 4.0) reads: a character device 0:0, and an attribute of directories that
// takes CAP_SYS_ADMIN, so that the caller says how to set it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace viscum {

constexpr std::size_t kMaxEntryDepth = 64;
constexpr std::size_t kMaxEntryPath = 4096;

/// The names in an entry's path from the root; none: the root itself. bad_image() for a path that is absolute, climbs,
/// or is too deep or too long. Pure.
Result<std::vector<std::string>> entry_path(const std::string& text);

class LayerTree {
public:
    using Path = std::vector<std::string>;
    struct Attributes {
        mode_t mode = 0;  // set-id bits are dropped
        uid_t uid = 0;
        gid_t gid = 0;
        std::int64_t modified = 0;  // seconds
    };
    /// Gets a directory of the tree.
    using MarkOpaque = std::function<Status(int directory)>;

    LayerTree(UniqueFd root, MarkOpaque mark) : root_(std::move(root)), mark_(std::move(mark)) {}

    /// An entry takes the place of one of the same name, but a directory keeps what is in it.
    Status add_directory(const Path& path, const Attributes& attributes);
    /// An empty file, to be written; finish_file() when that is done.
    Result<UniqueFd> add_file(const Path& path);
    static Status finish_file(const UniqueFd& file, const Attributes& attributes);
    Status add_symlink(const Path& path, const std::string& target, const Attributes& attributes);
    /// `target` must be in the tree, and no directory.
    Status add_hard_link(const Path& path, const Path& target);
    /// Hides what lower layers have at `path`, and nothing of this one.
    Status add_whiteout(const Path& path);
    /// Hides what lower layers have below `path`.
    Status add_opaque(const Path& path);

private:
    enum class Found : std::uint8_t { nothing, directory, whiteout, other };
    static Result<Found> look(int parent, const std::string& name);
    /// Makes room for an entry; says what was there.
    Result<Found> clear(int parent, const std::string& name);
    /// Valid until the next call.
    Result<int> directory(const Path& path, bool make);
    Result<UniqueFd> step(int parent, const std::string& name, bool make);
    Result<int> parent_of(const Path& path) { return directory(Path(path.begin(), path.end() - 1), true); }

    UniqueFd root_;
    MarkOpaque mark_;
    Path last_;  // the directory that was walked to last: most entries follow one of the same
    UniqueFd last_fd_;
};

}  // namespace viscum
