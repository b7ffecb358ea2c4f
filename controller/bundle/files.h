// SPDX-License-Identifier: GPL-2.0-only
// The files of whoever makes bundles.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace viscum {

/// A file that is not there before it is whole.
class NewFile {
public:
    static Result<NewFile> open(const std::string& path, mode_t mode = 0644);
    NewFile(NewFile&&) = default;
    NewFile& operator=(NewFile&&) = delete;
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    ~NewFile();
    [[nodiscard]] int fd() const { return fd_.get(); }
    Status keep();

private:
    explicit NewFile(const std::string& path) : path_(path), temporary_(path + ".new") {}
    std::string path_;
    std::string temporary_;
    UniqueFd fd_;
};

struct OpenFile {
    UniqueFd fd;
    std::uint64_t size = 0;
};
/// A plain file, to be read.
Result<OpenFile> open_file(const std::string& path);

}  // namespace viscum
