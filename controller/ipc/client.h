// SPDX-License-Identifier: GPL-2.0-only
// viscumctl's end of the control socket: blocking, one request at a time.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/unique_fd.h"
#include "controller/ipc/frame.h"

namespace viscum {

class Client {
public:
    /// errno_code ENOENT or ECONNREFUSED: no daemon runs; EACCES: not permitted; ETIMEDOUT: it does not answer.
    static Result<Client> connect(const std::string& socket_path);
    /// Sends `request`, hands every progress message to `progress`, returns the final one. errno_code ECONNRESET: the
    /// daemon went away meanwhile; ETIMEDOUT: see limit_silence.
    Result<Response> ask(const Request& request, const std::function<void(const Response&)>& progress);
    /// How long the daemon may be silent before ask() gives up; without it, for ever.
    Status limit_silence(std::chrono::milliseconds time);

private:
    explicit Client(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace viscum
