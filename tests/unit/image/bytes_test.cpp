// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/unique_fd.h"
#include "controller/image/bytes.h"

using namespace viscum;

namespace {

constexpr std::uint64_t kFourGigabytes = std::uint64_t{1} << 32;
constexpr std::string_view kText = "behind";

/// kText behind 4 GB and 3 bytes of nothing, of which no page is kept.
UniqueFd long_file() {
    UniqueFd file(memfd_create("long", MFD_CLOEXEC));
    REQUIRE(file);
    REQUIRE(pwrite(file.get(), kText.data(), kText.size(), static_cast<off_t>(kFourGigabytes + 3)) ==
            static_cast<ssize_t>(kText.size()));
    return file;
}

/// Endless, and fills nothing: only how much is asked for counts.
class Endless : public ByteReader {
public:
    Result<std::size_t> read(char*, std::size_t size) override {
        most_ = std::max(most_, size);
        return size;
    }
    std::size_t most_ = 0;
};

}  // namespace

TEST_CASE("image bytes: what lies behind 4 GB of a file is read, and its length is counted") {
    const auto file = long_file();
    FileReader reader(file.get(), 0, kFourGigabytes + 3 + kText.size());
    const auto passed = reader.skip(kFourGigabytes + 3);
    REQUIRE(passed);
    CHECK(*passed == kFourGigabytes + 3);
    std::array<char, 64> bytes{};
    const auto got = reader.read(bytes.data(), bytes.size());
    REQUIRE(got);
    CHECK(std::string_view(bytes.data(), *got) == kText);
    CHECK(*reader.read(bytes.data(), bytes.size()) == 0);
}

TEST_CASE("image bytes: 4 GB that are left are not taken for none") {
    const auto file = long_file();
    FileReader reader(file.get(), 0, kFourGigabytes);
    std::array<char, 64> bytes{};
    CHECK(*reader.read(bytes.data(), bytes.size()) == bytes.size());

    Endless endless;
    PartReader part(endless, kFourGigabytes);
    CHECK(*part.read(bytes.data(), bytes.size()) == bytes.size());
}

TEST_CASE("image bytes: 4 GB are passed over in pieces that memory holds") {
    Endless endless;
    const auto passed = endless.skip(kFourGigabytes + 1);
    REQUIRE(passed);
    CHECK(*passed == kFourGigabytes + 1);
    CHECK(endless.most_ > 1);
    CHECK(endless.most_ <= 1024 * 1024);
}
