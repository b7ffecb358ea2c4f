// SPDX-License-Identifier: GPL-2.0-only
// Images made by a test: what a build tool would hand out (OCI image-spec v1.0), from entries of tar that the test
// lists. sha256sum, gzip and zstd do what they are named after.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace viscum {

struct TarEntry {
    std::string path;       // "bin/busybox"; whiteouts are entries like any other
    std::string content{};  // of a file; where a link leads
    char type = '0';        // POSIX ustar: '0' file, '1' hard link, '2' symbolic link, '5' directory
    mode_t mode = 0644;
    uid_t uid = 0;
    gid_t gid = 0;
};
/// POSIX.1-1988 ustar, paths of at most 100 bytes.
std::string make_tar(const std::vector<TarEntry>& entries);

enum class Packing { none, gzip, zstd };
Result<std::string> pack(const std::string& data, Packing packing);

struct TestImage {
    std::vector<std::vector<TarEntry>> layers;
    std::string config;  // JSON: the member "config" of the image's configuration
};

/// An image layout in `directory`, which is made; layers are packed.
Status write_image_layout(const TestImage& image, const std::string& directory, Packing layers);
/// What `docker save` writes, as one file, packed as a whole; `tag`: "plates:1".
Status write_docker_archive(const TestImage& image, const std::string& file, const std::string& tag, Packing whole);

}  // namespace viscum
