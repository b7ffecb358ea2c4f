// SPDX-License-Identifier: GPL-2.0-only
// A layer, from its compressed tar into a directory. Whatever the tar is: nothing outside of the directory changes, and
// no more is written than the budget has.
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

#include "base/text.h"
#include "controller/image/unpack.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kBytes = 1UL << 20;
constexpr std::uint64_t kEntries = 64;

class MemoryReader : public ByteReader {
public:
    explicit MemoryReader(std::string bytes) : bytes_(std::move(bytes)) {}
    Result<std::size_t> read(char* into, std::size_t size) override {
        const auto count = bytes_.copy(into, size, at_);
        at_ += count;
        return count;
    }

private:
    std::string bytes_;
    std::size_t at_ = 0;
};

/// Reads everything first, within what a small machine has: bombs are found by the budget, not by this.
Status unpack(const std::string& bytes, const std::string& directory, Budget& budget) {
    MemoryReader whole(bytes);
    const auto compression = compression_of(bytes);
    std::unique_ptr<Inflater> inflated;
    if (compression != Compression::none) {
        auto opened = Inflater::open(whole, compression);
        if (!opened) {
            return std::move(opened).error();
        }
        inflated = std::move(*opened);
    }
    HashingReader tar(inflated ? static_cast<ByteReader&>(*inflated) : whole, 8 * kBytes);
    UniqueFd root(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd space(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    LayerTree tree(std::move(root), [](int) { return Status(); });
    LeftOut left_out;
    return Unpacker(tree, space.get(), budget, left_out).unpack(tar);
}

void check_tree(const fs::path& directory) {
    std::uint64_t bytes = 0;
    std::uint64_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
        const auto status = entry.symlink_status();
        ++files;
        require((status.permissions() & (fs::perms::set_uid | fs::perms::set_gid)) == fs::perms::none,
                "nothing has a set-id bit");
        require(fs::is_regular_file(status) || fs::is_directory(status) || fs::is_symlink(status) ||
                    fs::is_character_file(status),
                "there are files, directories, links and whiteouts");
        bytes += fs::is_regular_file(status) && entry.hard_link_count() == 1 ? entry.file_size() : 0;
    }
    require(bytes <= kBytes, "no more bytes than the budget has");
    require(files <= kEntries * kMaxEntryDepth, "no more entries than the budget has");
}

}  // namespace

/// For root, whom nothing else would stop: in a mount namespace in which nothing can be written but what the fuzzer
/// works with (VISCUM_FUZZ_WRITABLE, separated by colons).
extern "C" int LLVMFuzzerInitialize(int*, char***) {
    const char* const writable = std::getenv("VISCUM_FUZZ_WRITABLE");
    if (geteuid() != 0) {
        return 0;
    }
    require(writable != nullptr, "root says by VISCUM_FUZZ_WRITABLE which directories may be written");
    require(unshare(CLONE_NEWNS) == 0, "the rest of the machine is out of reach");
    const auto set = [](const std::string& path, std::uint64_t on, std::uint64_t off, unsigned flags) {
        mount_attr attributes{};
        attributes.attr_set = on;
        attributes.attr_clr = off;
        return syscall(SYS_mount_setattr, AT_FDCWD, path.c_str(), flags, &attributes, sizeof attributes) == 0;
    };
    bool done = mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    const auto paths = split(writable, ':');
    for (const auto& path : paths) {
        done = done && mount(path.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) == 0;
    }
    done = done && set("/", MOUNT_ATTR_RDONLY, 0, AT_RECURSIVE);
    for (const auto& path : paths) {
        done = done && set(path, 0, MOUNT_ATTR_RDONLY, 0);
    }
    require(done, "the rest of the machine is out of reach");
    // The working directory is still the one that was mounted before.
    require(chdir("/") == 0 && access("/etc", W_OK) != 0, "the rest of the machine is out of reach");
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const fs::path place = fs::path(work_directory());
    const fs::path directory = place / "layer";
    fs::create_directory(directory);
    Budget budget{kBytes, kEntries};
    const auto done = unpack(std::string(text_of(data, size)), directory.string(), budget);
    require(done || !done.error().what.empty(), "a refusal says why");
    require(done || done.error().errno_code != EROFS, "nothing outside is written");
    require(budget.bytes <= kBytes && budget.entries <= kEntries, "a budget does not grow");
    check_tree(directory);
    fs::remove_all(directory);
    require(fs::is_empty(place), "nothing is beside the directory");
    return 0;
}
