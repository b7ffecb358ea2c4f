// SPDX-License-Identifier: GPL-2.0-only
#include "tests/root/image/fixture.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"

namespace viscum {

StoreFixture::StoreFixture(const std::string& mount_options) {
    REQUIRE(make_directory(root_, 0755));
    REQUIRE(mount("tmpfs", root_.c_str(), "tmpfs", 0, mount_options.c_str()) == 0);
    std::filesystem::create_directories(place(""));
    REQUIRE(mount("tmpfs", place("").c_str(), "tmpfs", 0, "size=512m") == 0);
}

StoreFixture::~StoreFixture() {
    for (const auto& path : shown_) {
        umount2(path.c_str(), MNT_DETACH);
        rmdir(path.c_str());
    }
    umount2(place("").c_str(), MNT_DETACH);
    umount2(root_.c_str(), MNT_DETACH);
}

RunOutput StoreFixture::image(const std::vector<std::string>& words) const {
    return image_below({}, words);
}

RunOutput StoreFixture::image_below(std::vector<std::string> words, const std::vector<std::string>& more) const {
    words.insert(words.end(), {VISCUM_BIN_DIR "/viscum-image", "--instance", instance_.name});
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
}

std::string StoreFixture::put(const std::string& name, std::string_view bytes) const {
    write_file(place(name), bytes);
    return place(name);
}

std::vector<std::string> StoreFixture::contents() const {
    std::vector<std::string> found;
    for (const char* part : {"layers", "manifests", "names", "new"}) {
        const auto names = list_directory(cat(store(), "/", part));
        REQUIRE(names);
        for (const auto& name : *names) {
            found.push_back(cat(part, "/", name));
        }
    }
    return found;
}

std::string StoreFixture::show(const Image& image) {
    std::string lower;
    for (const auto& layer : image.layers) {
        lower = cat(layer_path(instance_, layer), lower.empty() ? "" : ":", lower);
    }
    const std::string path = cat("/tmp/shown", shown_.size());
    REQUIRE(make_directory(path, 0755));
    REQUIRE(make_directory("/tmp/empty", 0755));
    REQUIRE(mount("overlay", path.c_str(), "overlay", MS_RDONLY, cat("lowerdir=", lower, ":/tmp/empty").c_str()) == 0);
    shown_.push_back(path);
    return path;
}

std::string text_of(const std::string& path) {
    constexpr std::size_t kLimit = 16UL << 20;
    const auto text = read_file(path, kLimit);
    REQUIRE_MESSAGE(text, path);
    return *text;
}

bool exists(const std::string& path) {
    struct stat info {};
    return lstat(path.c_str(), &info) == 0;
}

}  // namespace viscum
