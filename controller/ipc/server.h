// SPDX-License-Identifier: GPL-2.0-only
// viscumd's end of the control socket: a path socket (never abstract) of mode 0600 in a directory private to root.
// Peers other than root are refused by SO_PEERCRED. At most 16 clients; one that sends no whole request for 10 s, or does
// not read its answers (256 KiB wait at most), is closed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "controller/ipc/frame.h"

namespace viscum {

using ClientId = std::uint64_t;

class Server {
public:
    /// `on_request` gets each whole request; answers go through send(), now or later. `on_gone` tells that a client hung up
    /// with no final answer given to it. A stale socket file is replaced: only one daemon of an instance gets here (it holds
    /// the instance's lock).
    static Result<std::unique_ptr<Server>> open(EventLoop& loop, const std::string& path,
                                                std::function<void(ClientId, const Request&)> on_request,
                                                std::function<void(ClientId)> on_gone);
    ~Server();
    /// After a final response the next request of this client is read. Unknown ids are accepted: the client is gone.
    void send(ClientId client, const Response& response);

private:
    struct Client;
    Server(EventLoop& loop, UniqueFd listener, std::string path);
    EventLoop& loop_;
    UniqueFd listener_;
    std::string path_;
    std::function<void(ClientId, const Request&)> on_request_;
    std::function<void(ClientId)> on_gone_;
    std::map<ClientId, std::unique_ptr<Client>> clients_;
    ClientId next_ = 1;
};

}  // namespace viscum
