// SPDX-License-Identifier: GPL-2.0-only
#include "controller/doctor/trial.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "netns/link.h"
#include "netns/net_ns.h"
#include "tcprog/attach.h"
#include "tcprog/loader.h"

namespace viscum {
namespace {

constexpr const char* kPins = "/sys/fs/bpf/viscum-doctor";
constexpr std::size_t kMaxWhy = 4096;
constexpr DatapathSizes kSmall{16, 64, 64};

Trial refused(TrialStep step, const Error& error) {
    return {step, error.what};
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
    // Pins of its own, also where an instance has this name.
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700") != 0) {
        return refused(TrialStep::programs, errno_error("cannot mount a bpffs on /sys/fs/bpf"));
    }
    const auto datapath = open_datapath(kPins, kSmall);
    if (!datapath) {
        return refused(TrialStep::programs, datapath.error());
    }
    const auto attached = attach_filter(number(link->index), filter_handle("doctor"), (*datapath)->lan);
    return attached ? Trial() : refused(TrialStep::filter, attached.error());
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
        _exit(static_cast<int>(trial.failed));
    }
    if (child < 0) {
        return refused(TrialStep::net_ns, errno_error("cannot fork"));
    }
    to.reset();
    Trial trial{TrialStep::none, read_to_end(from.get(), kMaxWhy)};
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status)) {
        return {TrialStep::programs, cat("the trial ended by signal ", WTERMSIG(status))};
    }
    trial.failed = static_cast<TrialStep>(WEXITSTATUS(status));
    return trial;
}

}  // namespace viscum
