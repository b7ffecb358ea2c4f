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

enum class Of { heap, files };

/// Resident pages of this process (proc(5), statm).
std::size_t pages(Of what) {
    const auto text = read_file("/proc/self/statm", 4096);
    REQUIRE(text);
    const auto fields = split(*text, ' ');
    REQUIRE(fields.size() > 2);
    const std::size_t files = std::stoul(fields[2]);
    return what == Of::files ? files : std::stoul(fields[1]) - files;
}

}  // namespace

TEST_CASE("footprint: the pages of code that is not used any more are given back, and all goes on") {
    const std::size_t before = pages(Of::files);
    give_back_code();
    CHECK(pages(Of::files) < before);
    CHECK(cat("still ", 2, " be called") == "still 2 be called");
}

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)  // whose heap is another
TEST_CASE("footprint: freed memory below some that is in use is given back") {
    constexpr std::size_t kBlocks = 4'000;
    std::vector<std::unique_ptr<std::string>> blocks;
    for (std::size_t i = 0; i < kBlocks; ++i) {
        blocks.push_back(std::make_unique<std::string>(1'000, 'x'));
    }
    blocks.erase(blocks.begin(), blocks.end() - 1);
    const std::size_t before = pages(Of::heap);
    give_back_heap();
    CHECK(pages(Of::heap) + kBlocks / 8 < before);
}
#endif
