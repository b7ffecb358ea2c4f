// SPDX-License-Identifier: GPL-2.0-only
// The root filesystem of a service, by the instructions of RUN_DIR/sandbox.
//
// Two passes. Outside, while the host is still to be seen, everything is opened, copied or made on a private tmpfs, and
// the root is put together; then the root is pivoted into, and the host is gone. Inside, the parts are put in their
// places: whatever the root's own links say, nothing of the host can be named any more.
#pragma once

#include "controller/shim/mounts.h"
#include "controller/shim/words.h"

namespace viscum {

class Root {
public:
    /// To be called in mount and UTS namespaces of its own. The private tmpfs is mounted on `run_dir`, a path.
    bool make(const Words& words, const char* run_dir, Failure& failure);

private:
    bool build(const Words& words, const char* run_dir, Failure& failure);
    bool build_scratch(const Words& words, const char* run_dir, Failure& failure);
    bool build_root(const Words& words, Failure& failure);
    bool build_place(const Words& words, const Step& step, Failure& failure);
    bool build_file(const Step& step, const char* place, Failure& failure);
    bool overlay(const char* lower, const char* target, Failure& failure);
    bool lacks_places(const Words& words, const char* mount, Failure& failure) const;
    bool pivot(Failure& failure);
    bool arrange(const Step& step, Failure& failure);
    bool put_place(const Step& step, Failure& failure);
    bool put_new(const char* type, const char* options, const char* path, unsigned flags, Failure& failure);
    bool put_readonly(const char* path, Failure& failure);
    bool hide(const char* path, Failure& failure);
    bool explain(const char* path, Failure& failure) const;
    int open_place(const char* path, bool directory, Failure& failure);

    // All zero until make(), so that the program's file holds nothing of it.
    int root_ = 0;              // the new "/"
    int places_[kMaxPlaces]{};  // copies of mounts, in the order of the instructions
    size_t made_ = 0;
    size_t put_ = 0;
    bool changed_[kMaxPlaces]{};  // which of them are overlays, to be protected last
    size_t overlays_ = 0;
    int dev_ = 0;
    int empty_[2]{};  // a file and a directory that hide others
    bool empty_put_[2]{};
    bool writable_ = false;
    int no_overlay_ = 0;  // why the root, or a mount in it, is none where it had to be one
};

}  // namespace viscum
