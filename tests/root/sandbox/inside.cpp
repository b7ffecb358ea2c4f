// SPDX-License-Identifier: GPL-2.0-only
#include "tests/root/sandbox/inside.h"

#include <sys/stat.h>

#include <filesystem>

#include "base/file.h"
#include "base/text.h"

namespace viscum {
namespace {

int directories = 0;

}  // namespace

Inside::Inside(const std::string& script) : Run({"/bin/sh", "-c", script}) {
    service.sandbox.allow.clear();
    input.identity = {kOwnUid, kOwnUid, {}, "", "/"};
    with({});
}

std::string Inside::say(const std::string& script) {
    spec.command = {"/bin/sh", "-c", script};
    (void)remove_file(spec.log_file);
    const ExitStatus end = launch_and_finish();
    return said() + (end.kind == ExitStatus::Kind::failed ? end.text : "");
}

void put(const std::string& path, const std::string& content, mode_t mode) {
    REQUIRE(make_directory(path.substr(0, path.rfind('/')), 0755));
    REQUIRE(write_file_atomically(path, content, mode));
    REQUIRE(chmod(path.c_str(), mode) == 0);
}

std::string new_directory() {
    auto path = cat("/run/roots/", ++directories);
    REQUIRE(make_directory(path, 0755));
    return path;
}

void copy_program(const std::string& root, const std::string& program) {
    const auto copy = [&root](const std::string& path) {
        REQUIRE(make_directory(root + path.substr(0, path.rfind('/')), 0755));
        std::filesystem::copy_file(path, root + path, std::filesystem::copy_options::skip_existing);
    };
    copy(program);
    for (const auto& line : split(must(output_of({"ldd", program})), '\n')) {
        const auto begin = line.find('/');
        if (begin != std::string::npos) {
            copy(line.substr(begin, line.find(' ', begin) - begin));
        }
    }
}

}  // namespace viscum
