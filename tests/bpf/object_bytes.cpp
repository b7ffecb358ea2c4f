// SPDX-License-Identifier: GPL-2.0-only
// The programs that are tested: those that viscumd carries, or those of a file that VISCUM_TEST_BPF_OBJECT names, as
// they come out of OpenWrt's way of compiling them. In place of tcprog/object_bytes.cpp.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "tcprog/object.h"

extern "C" const char viscum_bpf_object[];
extern "C" const char viscum_bpf_object_end[];

namespace viscum {
namespace {

std::string read_given() {
    const char* const path = std::getenv("VISCUM_TEST_BPF_OBJECT");
    if (path == nullptr) {
        return {};
    }
    std::ifstream file(path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (bytes.empty()) {
        std::fprintf(stderr, "there is nothing in %s\n", path);
        std::exit(2);
    }
    return bytes;
}

// Read before main(), whose sandbox has a /tmp of its own.
const std::string given = read_given();

}  // namespace

std::string_view object_bytes() {
    if (!given.empty()) {
        return given;
    }
    return {viscum_bpf_object, static_cast<std::size_t>(viscum_bpf_object_end - viscum_bpf_object)};
}

}  // namespace viscum
