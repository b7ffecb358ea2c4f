// SPDX-License-Identifier: GPL-2.0-only
// Texts of /proc: mountinfo, status, limits.
#include "base/text.h"
#include "controller/sandbox/audit.h"
#include "controller/sandbox/cgroup.h"
#include "controller/sandbox/sandbox.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

void check_mounts(const std::string& text) {
    const auto mounts = read_host_mounts(text);
    for (std::size_t i = 0; i < mounts.size(); ++i) {
        require(i == 0 || mounts[i - 1].path < mounts[i].path, "mounts are sorted, none twice");
        for (const std::string closed : {"/proc", "/sys", "/dev", "/run"}) {
            require(mounts[i].path != closed && !mounts[i].path.starts_with(closed + "/"),
                    "nothing of the kernel's is a mount of the host's files");
        }
        require(mounts[i].type != "proc" && mounts[i].type != "sysfs", "no kernel interface holds files");
    }
    ProcessFacts facts;
    add_mounts(text, facts);
    const auto layout = read_cgroup_layout(text, text);
    for (const auto& where : {layout.memory, layout.cpu, layout.pids}) {
        require(!where || text.find("cgroup") != std::string::npos, "a controller is in a hierarchy");
    }
}

/// A thread's name is the one thing in it that a service chooses; the kernel escapes its newlines.
void check_status(std::string name) {
    std::replace(name.begin(), name.end(), '\n', ' ');
    const std::string rest =
        "\nUmask:\t0022\nUid:\t1000\t1000\t1000\t1000\nGid:\t1001\t1001\t1001\t1001\nCapInh:\t0000000000000000\n"
        "CapPrm:\t0000000000000400\nCapEff:\t0000000000000400\nCapBnd:\t0000000000000400\nCapAmb:\t0000000000000000\n"
        "NoNewPrivs:\t1\nSeccomp:\t2\n";
    ProcessFacts facts;
    add_status("Name:\t" + name + rest, facts);
    require(
        facts.uid == 1000 && facts.gid == 1001 && facts.capabilities == 0x400 && facts.no_new_privs && facts.seccomp,
        "a thread's name changes nothing");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(text_of(data, size));
    check_mounts(text);
    check_status(text.substr(0, 64));
    ProcessFacts facts;
    add_status(text, facts);
    add_limits(text, false, facts);
    add_limits(text, true, facts);
    return 0;
}
