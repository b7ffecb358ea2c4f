// SPDX-License-Identifier: GPL-2.0-only
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "base/unique_fd.h"

namespace viscum::fuzz {
namespace {

struct WorkDirectory {
    WorkDirectory() {
        const char* const base = std::getenv("TMPDIR");
        path = std::string(base != nullptr ? base : "/tmp") + "/viscum-fuzz-XXXXXX";
        require(mkdtemp(path.data()) != nullptr, "a directory to work in can be made");
    }
    ~WorkDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    std::string path;
};

}  // namespace

const std::string& work_directory() {
    static const WorkDirectory directory;
    return directory.path;
}

void write_whole(const std::string& path, std::string_view bytes) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    require(file && write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
            "a file to work with can be written");
}

std::string read_whole(const std::string& path) {
    std::string bytes;
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char part[8192];
    ssize_t got = 0;
    while (file && (got = read(file.get(), part, sizeof part)) > 0) {
        bytes.append(part, static_cast<std::size_t>(got));
    }
    return bytes;
}

}  // namespace viscum::fuzz
