// SPDX-License-Identifier: GPL-2.0-only
// viscumctl's end of the control socket: blocking, one request at a time.
#pragma once

#include <functional>
#include <string>

#include "base/unique_fd.h"
#include "controller/ipc/frame.h"

namespace viscum {

class Client {
public:
    /// errno_code ENOENT or ECONNREFUSED: no daemon runs.
    static Result<Client> connect(const std::string& socket_path);
    /// Sends `request`, hands every progress message to `progress`, returns the final one. errno_code ECONNRESET: the
    /// daemon went away meanwhile.
    Result<Response> ask(const Request& request, const std::function<void(const Response&)>& progress);

private:
    explicit Client(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace viscum
