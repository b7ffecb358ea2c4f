// SPDX-License-Identifier: GPL-2.0-only
// A disk of its own for an instance's /etc and /var/lib: ext4 on a file, mounted through a loop device that goes with
// its mount. The file, copied at an instant, is what a power cut at that instant leaves: what was not written to it is
// lost.
#pragma once

#include <memory>
#include <string>

#include "base/instance.h"
#include "base/result.h"

namespace viscum {

/// ext4 in a file, empty.
Status make_disk(const std::string& file);

class Disk {
public:
    /// Mounts `file` with an ext4 in it, its journal replayed, as the instance's /etc/NAME and /var/lib/NAME.
    static Result<std::unique_ptr<Disk>> mount(const std::string& file, const Instance& instance);
    ~Disk();
    Disk(const Disk&) = delete;
    Disk& operator=(const Disk&) = delete;

private:
    explicit Disk(Instance instance) : instance_(std::move(instance)) {}
    Status attach(const std::string& file);

    Instance instance_;
    bool attached_ = false;
};

}  // namespace viscum
