// SPDX-License-Identifier: GPL-2.0-only
#include "controller/doctor/trial.h"

#include <fcntl.h>
#include <linux/if_ether.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "classic/u32.h"
#include "netns/link.h"
#include "netns/net_ns.h"
#include "tcprog/attach.h"
#include "tcprog/loader.h"

namespace viscum {
namespace {

constexpr const char* kPins = "/sys/fs/bpf/viscum-doctor";
constexpr std::size_t kMaxWhy = 4096;
constexpr DatapathSizes kSmall{16, 64, 64};

constexpr int kClassic = 0x10;  // of an exit status: beside the step

Trial refused(TrialStep step, const Error& error) {
    return {step, error.what, false};
}

/// A filter of each kind that the grade `classic` has.
bool takes_u32(const NlSocket& socket, IfIndex link) {
    return static_cast<bool>(apply_u32(socket, link, 1,
                                       {{1, ETH_P_IP, {{0, 0, 0}}, 0, U32Action::mirror, link},
                                        {2, ETH_P_IP, {{0, 0, 0}}, 0, U32Action::redirect, link}}));
}

/// What BPF programs need, on a link that stands.
Trial try_programs(IfIndex link) {
    // Pins of its own, also where an instance has this name.
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700") != 0) {
        return refused(TrialStep::programs, errno_error("cannot mount a bpffs on /sys/fs/bpf"));
    }
    const auto datapath = open_datapath(kPins, kSmall);
    if (!datapath) {
        return refused(TrialStep::programs, datapath.error());
    }
    const auto attached = attach_filter(number(link), filter_handle("doctor"), (*datapath)->lan);
    return attached ? Trial() : refused(TrialStep::filter, attached.error());
}

Trial try_here() {
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
        return refused(TrialStep::net_ns, errno_error("cannot make a namespace"));
    }
    const auto ns = NetNs::current();
    const auto socket = NlSocket::open();
    if (!ns || !socket) {
        return refused(TrialStep::net_ns, ns ? socket.error() : ns.error());
    }
    const auto link =
        create_veth(*socket, {.name = "doctor", .peer_name = "eth0", .peer_mac = {2, 0, 0, 0, 0, 1}}, *ns);
    if (!link) {
        return refused(TrialStep::veth, link.error());
    }
    Trial trial = try_programs(link->index);
    trial.classic = takes_u32(*socket, link->index);
    return trial;
}

}  // namespace

Trial try_network() {
    int ends[2] = {-1, -1};
    if (pipe2(static_cast<int*>(ends), O_CLOEXEC) != 0) {
        return refused(TrialStep::net_ns, errno_error("cannot make a pipe"));
    }
    const UniqueFd from(ends[0]);
    UniqueFd to(ends[1]);
    const pid_t child = fork();
    if (child == 0) {
        const Trial trial = try_here();
        [[maybe_unused]] const auto ignored = write(to.get(), trial.why.data(), trial.why.size());
        _exit(static_cast<int>(trial.failed) | (trial.classic ? kClassic : 0));
    }
    if (child < 0) {
        return refused(TrialStep::net_ns, errno_error("cannot fork"));
    }
    to.reset();
    Trial trial{TrialStep::none, read_to_end(from.get(), kMaxWhy), true};
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status)) {
        return {TrialStep::programs, cat("the trial ended by signal ", WTERMSIG(status)), false};
    }
    trial.failed = static_cast<TrialStep>(WEXITSTATUS(status) & ~kClassic);
    trial.classic = (WEXITSTATUS(status) & kClassic) != 0;
    return trial;
}

}  // namespace viscum
