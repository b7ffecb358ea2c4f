// SPDX-License-Identifier: GPL-2.0-only
// viscumctl's end of the control socket, one request at a time: ask() waits for the answer, begin() and take() do not.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "controller/ipc/frame.h"

namespace viscum {

class Client {
public:
    /// errno_code ENOENT or ECONNREFUSED: no daemon runs; EACCES: not permitted; ETIMEDOUT: it does not answer within
    /// `patience`, which also bounds how long a request may take on its way.
    static Result<Client> connect(const std::string& socket_path,
                                  std::chrono::milliseconds patience = std::chrono::seconds(10));
    /// Sends `request`, hands every progress message to `progress`, returns the final one. errno_code ECONNRESET: the
    /// daemon went away meanwhile; ETIMEDOUT: see limit_silence.
    Result<Response> ask(const Request& request, const std::function<void(const Response&)>& progress);
    /// Sends `request`. What it is answered comes by take(), whenever fd() can be read.
    Status begin(const Request& request);
    /// The final answer, as soon as all of it is there; never waits. Progress is passed over. Fails as ask() does.
    Result<std::optional<Response>> take();
    [[nodiscard]] int fd() const { return fd_.get(); }
    /// How long the daemon may be silent before ask() gives up; without it, for ever.
    Status limit_silence(std::chrono::milliseconds time);

private:
    explicit Client(UniqueFd fd) : fd_(std::move(fd)) {}
    /// The next message; nullopt: with MSG_DONTWAIT in `flags`, it is not whole yet.
    Result<std::optional<Response>> next(int flags);

    UniqueFd fd_;
    FrameReader reader_{kMaxAnswer};
};

}  // namespace viscum
