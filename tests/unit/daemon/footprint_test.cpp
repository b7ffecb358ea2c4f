// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/footprint.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/text.h"

using namespace viscum;

namespace {

/// Resident pages of this process that are of no file (proc(5), statm).
std::size_t heap_pages() {
    const auto text = read_file("/proc/self/statm", 4096);
    REQUIRE(text);
    const auto fields = split(*text, ' ');
    REQUIRE(fields.size() > 2);
    return std::stoul(fields[1]) - std::stoul(fields[2]);
}

}  // namespace

TEST_CASE("footprint: freed memory below some that is in use is given back") {
#if !defined(__GLIBC__) || defined(__SANITIZE_ADDRESS__)
    MESSAGE("SKIPPED: the heap is not glibc's");
    return;
#endif
    constexpr std::size_t kBlocks = 4'000;
    std::vector<std::unique_ptr<std::string>> blocks;
    for (std::size_t i = 0; i < kBlocks; ++i) {
        blocks.push_back(std::make_unique<std::string>(1'000, 'x'));
    }
    blocks.erase(blocks.begin(), blocks.end() - 1);
    const std::size_t before = heap_pages();
    give_back_memory();
    CHECK(heap_pages() + kBlocks / 8 < before);
}
