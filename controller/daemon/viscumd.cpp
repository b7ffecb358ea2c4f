// SPDX-License-Identifier: GPL-2.0-only
// viscumd [--instance NAME] [--shim PATH] [--prober PATH]: runs in the foreground and logs on stderr, as procd and
// systemd want it.
#include "controller/daemon/viscumd.h"

#include <getopt.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>
#include <string_view>

#include "base/build_info.h"
#include "base/log.h"
#include "base/text.h"
#include "controller/daemon/cage.h"
#include "controller/daemon/daemon.h"

namespace viscum {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kRefused = 5;
constexpr const char* kHelp =
    "usage: viscumd [--instance NAME] [--shim PATH] [--prober PATH] [--discard-newer] [--uninstall]\n"
    "  --instance NAME  decides every path and name (default: viscum)\n"
    "  --shim PATH      viscum-shim (default: beside viscumd, or ../libexec/viscum/viscum-shim)\n"
    "  --prober PATH    viscum-prober (default: the same way)\n"
    "  --discard-newer  starts where a newer viscumd has left its tables, and gives them up: once, to go back to this\n"
    "                   version; counters and what is known of UDP flows are lost, TCP connections go on\n"
    "  --uninstall      takes all that the instance has on this machine away, but for its files in /etc and /var\n"
    "  --version, --help\n";

/// Beside viscumd, where an installation has it beside viscumd's directory, or where packages put it.
std::string find_program(const std::string& name) {
    char self[PATH_MAX] = {};
    const auto length = readlink("/proc/self/exe", self, sizeof self - 1);
    std::string dir(self, length > 0 ? static_cast<std::size_t>(length) : 0);
    dir = dir.substr(0, dir.rfind('/') + 1);
    for (const auto& path : {dir + name, cat(dir, "../libexec/viscum/", name)}) {
        if (access(path.c_str(), X_OK) == 0) {
            return path;
        }
    }
    return "/usr/libexec/viscum/" + name;
}

/// Without memory the next step cannot be known to be whole: a clean end, and the next viscumd adopts all. Needs none
/// itself.
[[noreturn]] void end_without_memory() {
    constexpr std::string_view kWords = "viscumd: out of memory; services and rules stay, until the lease ends\n";
    [[maybe_unused]] const auto ignored = write(STDERR_FILENO, kWords.data(), kWords.size());
    _exit(kFailed);
}

/// A reload may be asked for as soon as there is a process: it waits for who watches it, and does not end the program.
void hold_reload() {
    sigset_t hangup;
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    sigprocmask(SIG_BLOCK, &hangup, nullptr);
}

}  // namespace

int viscumd_main(int argc, char** argv) {
    hold_reload();
    std::set_new_handler(end_without_memory);
    const option options[] = {
        {"instance", required_argument, nullptr, 'i'}, {"shim", required_argument, nullptr, 's'},
        {"prober", required_argument, nullptr, 'p'},   {"discard-newer", no_argument, nullptr, 'd'},
        {"uninstall", no_argument, nullptr, 'u'},      {"version", no_argument, nullptr, 'v'},
        {"help", no_argument, nullptr, 'h'},           {nullptr, 0, nullptr, 0}};
    std::string name = "viscum";
    Programs programs{find_program("viscum-shim"), find_program("viscum-prober")};
    bool uninstall = false;
    auto newer = NewerTables::refuse;
    for (int c = 0; (c = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
        switch (c) {
            case 'i': name = optarg; break;
            case 's': programs.shim = optarg; break;
            case 'p': programs.prober = optarg; break;
            case 'd': newer = NewerTables::discard; break;
            case 'u': uninstall = true; break;
            case 'v': std::printf("viscumd %s\n", kVersion); return 0;
            case 'h': std::fputs(kHelp, stdout); return 0;
            default: std::fputs(kHelp, stderr); return kUsage;
        }
    }
    const auto instance = Instance::parse(name);
    if (!instance || optind != argc) {
        std::fputs(instance ? kHelp : cat("viscumd: ", instance.error().what, '\n').c_str(), stderr);
        return kUsage;
    }
    const auto fail = [](const Error& error) {
        log_error(error.what);
        const bool refused = error.errno_code == EBUSY || error.errno_code == EPROTO;
        return refused ? kRefused : error.errno_code == EINVAL ? kUsage : kFailed;
    };
    if (uninstall) {
        const auto status = Daemon::uninstall(*instance, newer);
        return status ? 0 : fail(status.error());
    }
    for (const auto& [option, path] : {std::pair("shim", programs.shim), std::pair("prober", programs.prober)}) {
        if (access(path.c_str(), X_OK) != 0) {
            return fail({EINVAL, cat("cannot run '", path, "': ", std::strerror(errno), "; --", option,
                                     " PATH says where viscum-", option, " is")});
        }
    }
    if (auto status = drop_privileges(); !status) {
        log_warn(cat("more privileges are kept than are needed: ", status.error().what));
    }
    auto daemon = Daemon::open(*instance, programs, newer);
    if (!daemon) {
        return fail(daemon.error());
    }
    const auto status = (*daemon)->run();
    return status ? 0 : fail(status.error());
}

}  // namespace viscum
