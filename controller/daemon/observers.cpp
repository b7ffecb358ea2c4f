// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/observers.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "controller/daemon/answers.h"
#include "controller/ipc/observe.h"

namespace viscum {
namespace {

constexpr Millis kIdle{10'000};
constexpr std::size_t kLongestRequest = 4096;  // a verb
constexpr mode_t kDirectoryMode = 0750;

/// nullopt: there is none. An error is not the same: who cannot be asked now may know it all the while.
Result<std::optional<gid_t>> observers_group() {
    errno = 0;
    if (const group* entry = getgrnam(kObserverAccount); entry != nullptr) {
        return entry->gr_gid != 0 ? std::optional(entry->gr_gid) : std::nullopt;
    }
    // getpwnam(3): of all others some library says that it has found nothing.
    if (errno == EINTR || errno == EIO || errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ERANGE) {
        return errno_error(cat("cannot look up the group '", kObserverAccount, "'"));
    }
    return std::optional<gid_t>();
}

/// root's, to enter for the group alone. Whatever stood there before: nobody but root writes to /run.
Status make_observe_dir(const std::string& path, gid_t group) {
    struct stat info {};
    if (lstat(path.c_str(), &info) == 0 && info.st_mode == (S_IFDIR | kDirectoryMode) && info.st_uid == 0 &&
        info.st_gid == group) {
        return {};
    }
    if (auto status = make_directory(path, kDirectoryMode); !status) {
        return status;
    }
    if (lchown(path.c_str(), 0, group) != 0 || chmod(path.c_str(), kDirectoryMode) != 0) {
        return errno_error(cat("cannot give '", path, "' to its group"));
    }
    return {};
}

}  // namespace

Observers::Observers(EventLoop& loop, const Instance& instance, std::function<std::string()> report)
    : loop_(loop), instance_(instance), make_report_(std::move(report)) {}

/// As the group is now. Its number may be another account's by tomorrow: what was open by it goes, with its clients.
Status Observers::follow_group() {
    const auto group = observers_group();
    if (!group) {
        return group.error();
    }
    if (!*group) {
        server_.reset();
        return remove_directory(observe_dir(instance_));
    }
    if (server_ && **group == group_) {
        return put_back();
    }
    server_.reset();
    group_ = **group;
    return open();
}

Status Observers::open() {
    if (auto status = make_observe_dir(observe_dir(instance_), group_); !status) {
        return status;
    }
    auto server = Server::open(
        loop_, observe_socket(instance_), [this](ClientId client, const Request& request) { answer(client, request); },
        [](ClientId) {}, kIdle, {.group = group_, .longest_request = kLongestRequest});
    if (!server) {
        return std::move(server).error();
    }
    server_ = *std::move(server);
    return {};
}

Status Observers::put_back() {
    if (auto status = make_observe_dir(observe_dir(instance_), group_); !status) {
        return status;
    }
    const auto again = server_->listen_again();
    return again ? Status{} : Status{again.error()};
}

void Observers::look() {
    tell(follow_group());
}

void Observers::mend() {
    if (server_) {
        tell(put_back());
    }
}

void Observers::tell(const Status& status) {
    const std::string problem = status ? "" : status.error().what;
    if (problem != told_ && !problem.empty()) {
        log_warn(cat("nobody can look in from outside: ", problem));
    }
    told_ = problem;
}

void Observers::answer(ClientId client, const Request& request) {
    if (request.verb != "list" && request.verb != "status") {
        server_->send(client, failure(Code::refused, "who may look may change nothing: list and status alone",
                                      "root asks by viscumctl"));
        return;
    }
    const BootTime now = boot_now();
    if (report_.empty() || now - made_ >= kFresh) {
        report_ = make_report_();
        made_ = now;
    }
    Response response;
    response.report = report_;
    server_->send(client, response);
}

}  // namespace viscum
