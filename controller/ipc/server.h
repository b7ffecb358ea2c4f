// SPDX-License-Identifier: GPL-2.0-only
// viscumd's end of the control socket: a path socket (never abstract) of mode 0600 in a directory private to root.
// Peers other than root and the daemon's own user are refused by SO_PEERCRED; where the door is open to a group the
// mode is 0660, and peers of that group are let in. At most 16 clients: a further one takes the place of the oldest
// that waits for nothing, and is closed at once where all do. A client is closed when it sends no whole request for 10
// s after it connected or had its final answer, and when an answer comes while 256 KiB before it still wait to be read:
// so no more than that and one frame is ever kept.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "controller/ipc/frame.h"

namespace viscum {

using ClientId = std::uint64_t;

/// Who is let in, and how much a request may be.
struct Door {
    std::optional<gid_t> group{};  // beside root
    std::size_t longest_request = kMaxFrame;
};

class Server {
public:
    /// `on_request` gets each whole request; answers go through send(), now or later. `on_gone` tells that a client
    /// hung up with no final answer given to it; neither is ever called from inside send(). A request that cannot be
    /// decoded is answered here. A stale socket file is replaced: only one daemon of an instance gets here (it holds
    /// the instance's lock); anything else at `path` is an error. The server must not be destroyed inside its
    /// callbacks.
    static Result<std::unique_ptr<Server>> open(EventLoop& loop, const std::string& path,
                                                std::function<void(ClientId, const Request&)> on_request,
                                                std::function<void(ClientId)> on_gone,
                                                Millis idle = std::chrono::seconds(10), const Door& door = {});
    /// Hangs up on everyone, and removes the socket file if it is still this server's.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    /// Listens anew where the socket file is gone or another's; clients that are connected stay. Whether it had to.
    Result<bool> listen_again();
    /// After a final response the next request of this client is read. Unknown ids are accepted: the client is gone.
    /// A response longer than kMaxAnswer is replaced by an error.
    void send(ClientId client, const Response& response);

private:
    struct Client;
    Server(EventLoop& loop, UniqueFd listener, std::string path, const Door& door);
    void accept_clients();
    bool watch(ClientId id, const Client& client);
    Status watch_listener();
    [[nodiscard]] bool stands() const;
    bool make_room();
    void pause_accepting(int reason);
    void handle(ClientId id, std::uint32_t events);
    bool receive(ClientId id, Client& client);
    bool deliver(ClientId id, Client& client);
    static void flush(Client& client);
    void watch_for(const Client& client);
    void drop(ClientId id);
    void start_idle_timer(ClientId id, Client& client);

    EventLoop& loop_;
    UniqueFd listener_;
    std::string path_;
    Door door_;
    std::function<void(ClientId, const Request&)> on_request_;
    std::function<void(ClientId)> on_gone_;
    std::map<ClientId, std::unique_ptr<Client>> clients_;
    ClientId next_ = 1;
    Millis idle_{};
    EventLoop::TimerId resume_ = 0;  // accepting pauses while there are no descriptors
    ino_t inode_ = 0;                // of our socket file; 0: there is none
    dev_t device_ = 0;
    bool told_ = false;  // that clients wait
};

}  // namespace viscum
