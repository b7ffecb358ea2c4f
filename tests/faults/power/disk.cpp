// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/power/disk.h"

#include <sys/mount.h>

#include "base/file.h"
#include "base/text.h"
#include "tests/support/program.h"

namespace viscum {
namespace {

// Smaller ones have no journal.
constexpr const char* kSize = "4M";

std::string mount_point(const Instance& instance) {
    return "/tmp/disk-of-" + instance.name;
}

}  // namespace

Status make_disk(const std::string& file) {
    if (auto made = output_of({"truncate", "-s", kSize, file}); !made) {
        return std::move(made).error();
    }
    auto made = output_of({"mkfs.ext4", "-q", "-F", "-b", "1024", "-J", "size=1", file});
    return made ? Status() : Status(std::move(made).error());
}

Result<std::unique_ptr<Disk>> Disk::mount(const std::string& file, const Instance& instance) {
    std::unique_ptr<Disk> disk(new Disk(instance));
    if (auto done = disk->attach(file); !done) {
        return std::move(done).error();
    }
    return disk;
}

Status Disk::attach(const std::string& file) {
    const std::string at = mount_point(instance_);
    if (auto made = make_directory(at, 0700); !made) {
        return made;
    }
    // The options that save an application that does not sync are off: no allocation at a rename, and the journal is
    // written when it is asked for.
    auto mounted = output_of({"mount", "-o", "loop,noauto_da_alloc,commit=60", file, at});
    if (!mounted) {
        return std::move(mounted).error();
    }
    attached_ = true;
    for (const auto& [part, target] :
         {std::pair(at + "/etc", "/etc/" + instance_.name), std::pair(at + "/lib", instance_.state_dir())}) {
        for (const auto& directory : {part, target}) {
            if (auto made = make_directory(directory, 0755); !made) {
                return made;
            }
        }
        if (::mount(part.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0) {
            return errno_error(cat("cannot mount on ", target));
        }
    }
    return {};
}

Disk::~Disk() {
    umount2(("/etc/" + instance_.name).c_str(), 0);
    umount2(instance_.state_dir().c_str(), 0);
    if (attached_) {
        umount2(mount_point(instance_).c_str(), 0);
    }
}

}  // namespace viscum
