// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/viscumd.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "base/event_loop.h"
#include "base/file.h"
#include "base/text.h"

namespace viscum {
namespace {

constexpr Millis kReadyWithin{20'000};
constexpr std::size_t kLogLimit = 16 * 1024 * 1024;

/// Who listens there; 0: nobody, or one that has not accepted for long. A viscumd that was killed may have left its
/// socket for a moment to a child that is about to execute another program.
pid_t listener_at(const std::string& path) {
    const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ucred peer{};
    socklen_t size = sizeof peer;
    const bool known = fd && connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                       getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    return known ? peer.pid : 0;
}

std::string last_lines(const std::string& text) {
    constexpr std::size_t kShown = 2'000;
    return text.size() > kShown ? text.substr(text.size() - kShown) : text;
}

}  // namespace

Result<Viscumd> Viscumd::start(const NetNs& ns, const Options& options) {
    auto instance = Instance::parse(options.instance);
    if (!instance) {
        return std::move(instance).error();
    }
    Viscumd viscumd(ns, std::move(*instance), options);
    if (!options.config.empty()) {
        const std::string directory = "/etc/" + viscumd.instance_.name;
        if (auto made = make_directory(directory, 0755); !made) {
            return std::move(made).error();
        }
        if (auto wrote = write_file_atomically(viscumd.instance_.config_file(), options.config, 0644); !wrote) {
            return std::move(wrote).error();
        }
    }
    if (auto started = viscumd.start_again(); !started) {
        return std::move(started).error();
    }
    return viscumd;
}

Argv Viscumd::command_line(const Argv& more) const {
    Argv argv = wrapper_;
    argv.insert(argv.end(), {program_path_, "--instance", instance_.name, "--shim", VISCUM_BIN_DIR "/viscum-shim"});
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
}

Status Viscumd::start_again(const Argv& more) {
    auto program = Program::start({command_line(more), log_file(), ns_});
    if (!program) {
        return std::move(program).error();
    }
    program_ = std::move(*program);
    return wait_until_ready();
}

Status Viscumd::wait_until_ready() {
    const BootTime deadline = boot_now() + kReadyWithin;
    while (boot_now() < deadline) {
        const pid_t listener = listener_at(instance_.socket_path());
        const bool listens = listener == program_->pid() || (listener != 0 && !wrapper_.empty());
        // It listens before it has taken over what it keeps; the first answer comes after that.
        if (listens && ctl({"list"}).success()) {
            return {};
        }
        if (program_->ended_within(Millis(5))) {
            const int status = program_->stop(SIGKILL);
            return Error{0, cat("viscumd ended at its start with ", status, "; its log:\n", last_lines(log()))};
        }
    }
    return Error{ETIMEDOUT, cat("viscumd is not ready; its log:\n", last_lines(log()))};
}

RunOutput Viscumd::ctl(const Argv& arguments, std::chrono::milliseconds limit) const {
    Argv argv = {VISCUM_BIN_DIR "/viscumctl"};
    if (instance_.name != Instance().name) {
        argv.insert(argv.end(), {"--instance", instance_.name});
    }
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return run(argv, {.ns = ns_, .limit = limit});
}

std::string Viscumd::log() const {
    auto text = read_file(log_file(), kLogLimit);
    return text ? *text : text.error().what;
}

Result<std::string> write_service(const std::string& name, const std::string& yaml) {
    const std::string path = "/tmp/" + name + ".yaml";
    auto wrote = write_file_atomically(path, yaml, 0644);
    return wrote ? Result<std::string>(path) : Result<std::string>(std::move(wrote).error());
}

}  // namespace viscum
