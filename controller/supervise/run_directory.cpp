// SPDX-License-Identifier: GPL-2.0-only
#include "controller/supervise/run_directory.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/text.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxEnvironment = 4UL << 20;

/// Not made durable: the run directory is on a tmpfs, and ends with the machine.
Status write_private(const std::string& path, std::string_view bytes) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) {
        return errno_error(cat("cannot open '", path, "'"));
    }
    while (!bytes.empty()) {
        const ssize_t written = write(file.get(), bytes.data(), bytes.size());
        if (written < 0) {
            return errno_error(cat("cannot write '", path, "'"));
        }
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

/// What DIR/exit says.
ExitStatus parse_exit(std::string_view text) {
    if (!text.empty() && text.back() == '\n') {
        text.remove_suffix(1);
    }
    const auto space = text.find(' ');
    const std::string_view kind = text.substr(0, space);
    const std::string_view rest = space == std::string_view::npos ? "" : text.substr(space + 1);
    if (kind == "failed" && !rest.empty()) {
        return {ExitStatus::Kind::failed, 0, std::string(rest)};
    }
    const auto value = parse_decimal(rest, 255);
    if (!value || (kind != "exited" && kind != "signaled")) {
        return {};
    }
    return {kind == "exited" ? ExitStatus::Kind::exited : ExitStatus::Kind::signaled, static_cast<int>(*value), ""};
}

}  // namespace

Result<pid_t> lock_holder(int fd, short type, off_t start) {
    struct flock whole {};
    whole.l_type = type;
    whole.l_whence = SEEK_SET;
    whole.l_start = start;
    whole.l_len = start == 0 ? 0 : 1;
    if (fcntl(fd, F_GETLK, &whole) != 0) {
        return errno_error("cannot ask for the lock's holder");
    }
    if (whole.l_type != F_UNLCK && whole.l_pid <= 0) {
        return Error{ESRCH, "the lock's holder is in a pid namespace that cannot be seen from here"};
    }
    return whole.l_type == F_UNLCK ? 0 : whole.l_pid;
}

Status prepare(const LaunchSpec& spec) {
    if (unlink(cat(spec.run_dir, "/exit").c_str()) != 0 && errno != ENOENT) {
        return errno_error(cat("cannot remove '", spec.run_dir, "/exit'"));
    }
    std::string env;
    for (const auto& variable : spec.env) {
        env += variable;
        env += '\0';
    }
    if (auto done = write_private(spec.run_dir + "/sandbox", spec.sandbox.words); !done) {
        return done;
    }
    if (auto done = write_private(spec.run_dir + "/seccomp", spec.sandbox.seccomp); !done) {
        return done;
    }
    return write_private(spec.run_dir + "/env", env);
}

Status sandbox_stands(const std::string& run_dir) {
    const std::string path = run_dir + "/lock";
    const UniqueFd lock(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!lock) {
        return errno_error(cat("cannot open '", path, "'"));
    }
    const auto holder = lock_holder(lock.get(), F_RDLCK, 1);
    if (!holder) {
        return holder.error();
    }
    return *holder == 0 ? Status() : Error{EAGAIN, "the service is still being started"};
}

Result<std::vector<std::string>> merge_environment(const EnterSpec& spec) {
    const auto text = read_file(spec.run_dir + "/env", kMaxEnvironment);
    if (!text) {
        return text.error();
    }
    std::vector<std::string> all;
    for (const auto& variable : split(*text, '\0')) {
        if (!variable.empty() && !spec.env.contains(variable.substr(0, variable.find('=')))) {
            all.push_back(variable);
        }
    }
    for (const auto& [name, value] : spec.env) {
        all.push_back(cat(name, "=", value));
    }
    return all;
}

std::optional<ExitStatus> last_exit(const std::string& run_dir) {
    const auto text = read_file(run_dir + "/exit", 4096);
    return text ? std::optional(parse_exit(*text)) : std::nullopt;
}

}  // namespace viscum
