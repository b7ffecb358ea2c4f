// SPDX-License-Identifier: GPL-2.0-only
// More than one's share of the machine, each within bounds of the attacker's own.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "base/unique_fd.h"
#include "tests/e2e/attacker/attack.h"

namespace viscum {
namespace {

constexpr std::size_t kMega = 1024 * 1024;
constexpr std::size_t kMostMemory = 10'240;  // MiB
constexpr std::size_t kMostDisk = 2'048;     // MiB
constexpr int kMostProcesses = 2'000;
constexpr int kMostDescriptors = 100'000;

Attempt fill_disk(const std::string& directory) {
    const std::string path = cat(directory, "/fill-", getpid());
    const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd) {
        return denied(errno);
    }
    const std::string block(kMega, 'x');
    std::size_t written = 0;
    while (written < kMostDisk && write(fd.get(), block.data(), block.size()) > 0) {
        ++written;
    }
    const int error = errno;
    unlink(path.c_str());
    return written < kMostDisk ? denied(error) : done(cat(written, " MiB"));
}

Attempt open_many() {
    int opened = 0;
    while (opened < kMostDescriptors && dup(0) >= 0) {
        ++opened;
    }
    return opened < kMostDescriptors ? denied(errno) : done(cat(opened, " descriptors"));
}

}  // namespace

Attempt eat_memory() {
    std::size_t eaten = 0;
    for (; eaten < kMostMemory; eaten += 16) {
        void* memory = mmap(nullptr, 16 * kMega, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            return denied(cat(strerrorname_np(errno), " after ", eaten, " MiB"));
        }
        std::memset(memory, 1, 16 * kMega);
    }
    return done(cat(eaten, " MiB"));
}

Attempt fork_bomb() {
    int forked = 0;
    pid_t pid = 0;
    while (forked < kMostProcesses && (pid = fork()) > 0) {
        ++forked;
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pause();
        _exit(0);
    }
    return pid < 0 ? denied(errno) : done(cat(forked, " processes"));
}

void add_resource_items(Items& items, const Knowledge& knowledge) {
    if (knowledge.harmless) {
        return;
    }
    constexpr std::chrono::seconds kLong{30};
    items.push_back({"open many", open_many, kLong});
    items.push_back({"fill /tmp", [] { return fill_disk("/tmp"); }, kLong});
    items.push_back({"fill /dev/shm", [] { return fill_disk("/dev/shm"); }, kLong});
    items.push_back({"fork bomb", fork_bomb, kLong});
    items.push_back({"eat memory", eat_memory, kLong});
}

}  // namespace viscum
