// SPDX-License-Identifier: GPL-2.0-only
// An image store of its own for each test, in memory, and viscum-image upon it.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/instance.h"
#include "controller/image/image.h"
#include "tests/root/image/built_image.h"
#include "tests/support/program.h"

namespace viscum {

class StoreFixture {
public:
    explicit StoreFixture(const std::string& mount_options = "size=256m");
    StoreFixture(const StoreFixture&) = delete;
    StoreFixture& operator=(const StoreFixture&) = delete;
    ~StoreFixture();

    /// viscum-image --instance img WORDS...
    [[nodiscard]] RunOutput image(const std::vector<std::string>& words) const;
    /// The same below another program: its words come first.
    [[nodiscard]] RunOutput image_below(std::vector<std::string> words, const std::vector<std::string>& more) const;
    /// Where tests put what is imported.
    [[nodiscard]] std::string place(const std::string& name) const { return cat_path("/in/", name); }
    /// A file there with these bytes; its path.
    [[nodiscard]] std::string put(const std::string& name, std::string_view bytes) const;
    [[nodiscard]] Result<Image> find(const std::string& reference) const { return find_image(instance_, reference); }
    [[nodiscard]] const Instance& instance() const { return instance_; }
    [[nodiscard]] std::string store() const { return image_store(instance_); }
    /// The files in the store, but for its own directories and its lock.
    [[nodiscard]] std::vector<std::string> contents() const;
    /// Mounts an image's layers as a service sees them; the directory, which stands until the fixture goes.
    std::string show(const Image& image);

private:
    [[nodiscard]] std::string cat_path(const char* folder, const std::string& name) const {
        return root_ + folder + name;
    }
    Instance instance_{"img"};
    std::string root_ = "/var/lib/img";
    std::vector<std::string> shown_;
};

/// What a file holds.
std::string text_of(const std::string& path);
bool exists(const std::string& path);

}  // namespace viscum
