// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ipc/server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "base/text.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxClients = 16;
constexpr std::size_t kMaxWaiting = 256 * 1024;  // bytes
constexpr int kAcceptsPerTurn = 32;
constexpr Millis kAcceptPause{250};

// Our socket file at `path`, of mode 0600 from its first instant on until it is the group's.
Result<UniqueFd> listen_at(const std::string& path, const std::optional<gid_t>& group) {
    const std::string context = cat("cannot listen on '", path, "'");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        return errno_error(context, ENAMETOOLONG);
    }
    path.copy(address.sun_path, path.size());
    struct stat info {};
    if (lstat(path.c_str(), &info) == 0) {
        if (!S_ISSOCK(info.st_mode)) {
            return errno_error(context, EEXIST);
        }
        if (unlink(path.c_str()) != 0 && errno != ENOENT) {
            return errno_error(context);
        }
    }
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // bind(2) gives the file the descriptor's mode, less the umask: unix(7) leaves it out, net/unix/af_unix.c has it.
    if (!fd || fchmod(fd.get(), S_IRUSR | S_IWUSR) != 0 ||
        bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        listen(fd.get(), static_cast<int>(kMaxClients)) != 0) {
        return errno_error(context);
    }
    if (group && (lchown(path.c_str(), static_cast<uid_t>(-1), *group) != 0 || chmod(path.c_str(), 0660) != 0)) {
        return errno_error(cat("cannot give '", path, "' to its group"));
    }
    return fd;
}

bool may_connect(int fd, const std::optional<gid_t>& group) {
    ucred peer{};
    socklen_t length = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid() || peer.gid == group);
}

Response failure(std::string message, std::string hint) {
    Response response;
    response.code = Code::failed;
    response.message = std::move(message);
    response.hint = std::move(hint);
    return response;
}

}  // namespace

struct Server::Client {
    explicit Client(std::size_t longest_request) : reader(longest_request) {}
    UniqueFd fd;
    FrameReader reader;
    std::string out;       // answers; empty once all of them are sent
    std::size_t sent = 0;  // of `out`
    EventLoop::TimerId idle_timer = 0;
    EventLoop::TimerId watch_timer = 0;  // where the kernel had no room to watch it
    bool busy = false;                   // a request of it has no final answer yet
    bool resume = false;                 // requests that came with the one before may wait in `reader`
};

Server::Server(EventLoop& loop, UniqueFd listener, std::string path, const Door& door)
    : loop_(loop), listener_(std::move(listener)), path_(std::move(path)), door_(door) {}

Result<std::unique_ptr<Server>> Server::open(EventLoop& loop, const std::string& path,
                                             std::function<void(ClientId, const Request&)> on_request,
                                             std::function<void(ClientId)> on_gone, Millis idle, const Door& door) {
    auto listener = listen_at(path, door.group);
    if (!listener) {
        return std::move(listener).error();
    }
    UniqueFd fd = *std::move(listener);
    std::unique_ptr<Server> server(new Server(loop, std::move(fd), path, door));
    server->on_request_ = std::move(on_request);
    server->on_gone_ = std::move(on_gone);
    server->idle_ = idle;
    if (auto status = server->watch_listener(); !status) {
        return std::move(status).error();
    }
    return server;
}

Status Server::watch_listener() {
    inode_ = 0;  // a socket that nobody watches is none
    if (auto status =
            loop_.watch(listener_.get(), Order::clients, EPOLLIN, [this](std::uint32_t) { accept_clients(); });
        !status) {
        return status;
    }
    struct stat info {};
    if (lstat(path_.c_str(), &info) == 0) {
        inode_ = info.st_ino;
        device_ = info.st_dev;
    }
    return {};
}

bool Server::stands() const {
    struct stat info {};
    return lstat(path_.c_str(), &info) == 0 && S_ISSOCK(info.st_mode) && info.st_ino == inode_ &&
           info.st_dev == device_;
}

Result<bool> Server::listen_again() {
    if (stands()) {
        return false;
    }
    auto listener = listen_at(path_, door_.group);
    if (!listener) {
        return std::move(listener).error();
    }
    loop_.cancel(resume_);
    loop_.unwatch(listener_.get());
    listener_ = *std::move(listener);
    if (auto status = watch_listener(); !status) {
        return std::move(status).error();
    }
    return true;
}

Server::~Server() {
    loop_.cancel(resume_);
    loop_.unwatch(listener_.get());
    on_gone_ = nullptr;
    while (!clients_.empty()) {
        drop(clients_.begin()->first);
    }
    if (stands()) {
        unlink(path_.c_str());
    }
}

void Server::accept_clients() {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
        UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!fd) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                pause_accepting(errno);
            }
            return;
        }
        told_ = false;
        if (!may_connect(fd.get(), door_.group) || (clients_.size() >= kMaxClients && !make_room())) {
            continue;
        }
        const ClientId id = next_++;
        auto client = std::make_unique<Client>(door_.longest_request);
        client->fd = std::move(fd);
        start_idle_timer(id, *client);
        Client& accepted = *clients_.emplace(id, std::move(client)).first->second;
        if (!watch(id, accepted)) {
            accepted.watch_timer = loop_.after(kAcceptPause, [this, id, &accepted] {
                if (!watch(id, accepted)) {
                    drop(id);
                }
            });
        }
    }
}

bool Server::watch(ClientId id, const Client& client) {
    return static_cast<bool>(loop_.watch(client.fd.get(), Order::clients, EPOLLIN,
                                         [this, id](std::uint32_t events) { handle(id, events); }));
}

// Who has been here longest of those that have asked for nothing; without such, of those that do not read their answer.
bool Server::make_room() {
    auto goes = std::ranges::find_if(
        clients_, [](const auto& entry) { return !entry.second->busy && entry.second->out.empty(); });
    if (goes == clients_.end()) {
        goes = std::ranges::find_if(clients_, [](const auto& entry) { return !entry.second->busy; });
    }
    if (goes == clients_.end()) {
        return false;
    }
    drop(goes->first);
    return true;
}

// The listener stays readable while accept fails: without a pause the loop would spin.
void Server::pause_accepting(int reason) {
    if (!std::exchange(told_, true)) {
        log_warn(errno_error("requests have to wait", reason).what);
    }
    if (loop_.rewatch(listener_.get(), 0)) {
        resume_ = loop_.after(kAcceptPause, [this] { (void)loop_.rewatch(listener_.get(), EPOLLIN); });
    }
}

void Server::handle(ClientId id, std::uint32_t events) {
    const auto found = clients_.find(id);
    if (found == clients_.end()) {
        return;
    }
    Client& client = *found->second;
    const bool hung_up = (events & (EPOLLHUP | EPOLLERR)) != 0;
    // A client may hang up right behind its request, which counts; one that waits for an answer has gone.
    if (hung_up && (client.busy || !client.out.empty())) {
        return drop(id);
    }
    flush(client);
    if (!client.busy && client.out.empty()) {
        if (client.resume) {
            client.resume = false;
            if (!deliver(id, client)) {
                return;
            }
        }
        if (!client.busy && ((events & EPOLLIN) != 0 || hung_up) && !receive(id, client)) {
            return;
        }
    }
    watch_for(client);
}

// False when the client is not there any more.
bool Server::receive(ClientId id, Client& client) {
    char chunk[16384];
    const auto got = recv(client.fd.get(), chunk, sizeof chunk, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM)) {
        return true;  // what it has sent is still there
    }
    if (got <= 0 || !client.reader.feed({chunk, static_cast<std::size_t>(got)})) {
        drop(id);
        return false;
    }
    return deliver(id, client);
}

// Hands out the next whole request, if there is one. False when the client is not there any more.
bool Server::deliver(ClientId id, Client& client) {
    const auto json = client.reader.next();
    if (!client.reader.feed({})) {
        drop(id);
        return false;
    }
    if (!json) {
        return true;
    }
    loop_.cancel(client.idle_timer);
    client.busy = true;
    if (const auto request = decode_request(*json)) {
        on_request_(id, *request);
    } else {
        send(id, failure(request.error().what, "viscumctl and viscumd must be of the same version"));
    }
    return true;
}

void Server::send(ClientId id, const Response& response) {
    const auto found = clients_.find(id);
    if (found == clients_.end()) {
        return;
    }
    Client& client = *found->second;
    if (client.out.size() - client.sent > kMaxWaiting) {
        // Shows up as EPOLLHUP in the next turn, so that nobody's on_gone runs inside his own send().
        shutdown(client.fd.get(), SHUT_RDWR);
    } else {
        std::string bytes = encode(response);
        if (bytes.size() > kMaxAnswer + 4) {
            Response shorter = failure(cat("the answer is too long: ", bytes.size(), " bytes"), "");
            shorter.final = response.final;
            bytes = encode(shorter);
        }
        client.out += bytes;
    }
    if (response.final) {
        client.busy = false;
        client.resume = true;
        start_idle_timer(id, client);
    }
    flush(client);
    watch_for(client);
}

void Server::flush(Client& client) {
    while (client.sent < client.out.size()) {
        const auto left = std::string_view(client.out).substr(client.sent);
        const auto sent = ::send(client.fd.get(), left.data(), left.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ENOMEM) {
                shutdown(client.fd.get(), SHUT_RDWR);
            }
            return;
        }
        client.sent += static_cast<std::size_t>(sent);
    }
    client.out.clear();
    client.sent = 0;
}

// While a request runs only its end is waited for (EPOLLHUP always is): what a client sends ahead stays in the kernel.
void Server::watch_for(const Client& client) {
    const std::uint32_t out = !client.out.empty() || client.resume ? EPOLLOUT : 0U;
    const std::uint32_t in = !client.busy && client.out.empty() ? EPOLLIN : 0U;
    (void)loop_.rewatch(client.fd.get(), out | in);
}

void Server::drop(ClientId id) {
    const auto found = clients_.find(id);
    const auto client = std::move(found->second);
    clients_.erase(found);
    loop_.cancel(client->idle_timer);
    loop_.cancel(client->watch_timer);
    loop_.unwatch(client->fd.get());
    if (client->busy && on_gone_) {
        on_gone_(id);
    }
}

void Server::start_idle_timer(ClientId id, Client& client) {
    loop_.cancel(client.idle_timer);
    client.idle_timer = loop_.after(idle_, [this, id] {
        if (clients_.contains(id)) {
            drop(id);
        }
    });
}

}  // namespace viscum
