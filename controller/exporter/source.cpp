// SPDX-License-Identifier: GPL-2.0-only
#include "controller/exporter/source.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/text.h"

namespace viscum {

Source::~Source() {
    loop_.cancel(timer_);
    loop_.unwatch(fd_.get());
}

void Source::get(Reader reader) {
    if (!fd_ && asked_at_ && boot_now() - *asked_at_ < kFresh) {
        reader.take(last_);
        return;
    }
    if (waiting_.size() >= kMostWaiting) {
        std::erase_if(waiting_, [](const Reader& before) { return !before.there(); });
    }
    if (waiting_.size() < kMostWaiting) {
        waiting_.push_back(std::move(reader));
    }
    if (!fd_) {
        ask();
    }
}

void Source::ask() {
    asked_at_ = boot_now();
    ++asked_count_;
    if (auto status = send_question(); !status) {
        return fail(status.error().what);
    }
    reader_ = std::make_unique<FrameReader>(kMaxAnswer);
    if (auto status = loop_.watch(fd_.get(), Order::netlink, EPOLLIN, [this](std::uint32_t) { read_answer(); });
        !status) {
        return fail(status.error().what);
    }
    timer_ = loop_.after(kPatience, [this] { fail("viscumd does not answer"); });
}

/// Connecting to a path and a question of a few bytes either succeed at once or not at all.
Status Source::send_question() {
    const std::string context = cat("cannot connect to '", path_, "'");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.empty() || path_.size() >= sizeof address.sun_path) {
        return errno_error(context, ENAMETOOLONG);
    }
    path_.copy(address.sun_path, path_.size());
    // Bare: some C libraries make socketcall(2) of it, which the cage lets make no socket (cage.cpp).
    fd_.reset(static_cast<int>(syscall(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
    if (!fd_ || connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return errno_error(context);
    }
    Request request;
    request.verb = "status";
    const std::string bytes = encode(request);
    if (send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) {
        return errno_error("cannot ask viscumd");
    }
    return {};
}

void Source::read_answer() {
    char chunk[16384];
    const auto got = recv(fd_.get(), chunk, sizeof chunk, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM)) {
        return;
    }
    if (got <= 0) {
        return fail("viscumd hung up");
    }
    if (auto status = reader_->feed({chunk, static_cast<std::size_t>(got)}); !status) {
        return fail(status.error().what);
    }
    const auto json = reader_->next();
    if (!json) {
        return;
    }
    const auto response = decode_response(*json);
    if (!response || response->code != Code::done) {
        return fail(response ? response->message : response.error().what);
    }
    Snapshot snapshot;
    snapshot.report = daemon_report_from_json(response->report);
    if (!snapshot.report) {
        return fail("viscumd is of another version");
    }
    snapshot.json = response->report;
    finish(std::move(snapshot));
}

void Source::fail(std::string problem) {
    Snapshot away;
    away.problem = std::move(problem);
    finish(std::move(away));
}

void Source::finish(Snapshot snapshot) {
    loop_.cancel(timer_);
    loop_.unwatch(fd_.get());
    fd_.reset();
    reader_.reset();
    last_ = std::move(snapshot);
    const auto waiting = std::exchange(waiting_, {});
    for (const auto& reader : waiting) {
        if (reader.there()) {
            reader.take(last_);
        }
    }
}

}  // namespace viscum
