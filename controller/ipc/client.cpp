// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ipc/client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/text.h"

namespace viscum {
namespace {

Error failed(const std::string& context) {
    if (errno == EAGAIN) {
        return Error{ETIMEDOUT, cat(context, ": viscumd does not answer")};
    }
    if (errno == EPIPE || errno == ECONNRESET) {
        return Error{ECONNRESET, cat(context, ": viscumd hung up")};
    }
    return errno_error(context);
}

Status send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return failed("cannot send the request");
        }
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return {};
}

Status limit(int fd, int option, std::chrono::milliseconds time) {
    const timeval value{.tv_sec = static_cast<time_t>(time.count() / 1000),
                        .tv_usec = static_cast<suseconds_t>(time.count() % 1000 * 1000)};
    if (setsockopt(fd, SOL_SOCKET, option, &value, sizeof value) != 0) {
        return errno_error("cannot limit the time of a socket");
    }
    return {};
}

}  // namespace

Result<Client> Client::connect(const std::string& socket_path, std::chrono::milliseconds patience) {
    const std::string context = cat("cannot connect to '", socket_path, "'");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_path.empty() || socket_path.size() >= sizeof address.sun_path) {
        return errno_error(context, ENAMETOOLONG);
    }
    socket_path.copy(address.sun_path, socket_path.size());
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) {
        return errno_error(context);
    }
    // A stopped daemon's queue fills up, and connect would wait for ever.
    if (auto status = limit(fd.get(), SO_SNDTIMEO, patience); !status) {
        return std::move(status).error().in(context);
    }
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return failed(context);
    }
    return Client(std::move(fd));
}

Status Client::limit_silence(std::chrono::milliseconds time) {
    return limit(fd_.get(), SO_RCVTIMEO, time);
}

Status Client::begin(const Request& request) {
    const std::string bytes = encode(request);
    if (bytes.size() > kMaxFrame + 4) {
        return Error{EMSGSIZE, cat("the request is too long: ", bytes.size(), " bytes, at most ", kMaxFrame)};
    }
    return send_all(fd_.get(), bytes);
}

Result<std::optional<Response>> Client::next(int flags) {
    char chunk[16384];
    while (true) {
        if (const auto json = reader_.next()) {
            auto response = decode_response(*json);
            return response ? Result<std::optional<Response>>(*std::move(response)) : std::move(response).error();
        }
        const auto got = recv(fd_.get(), chunk, sizeof chunk, flags);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == EAGAIN && (flags & MSG_DONTWAIT) != 0) {
            return std::optional<Response>();
        }
        if (got < 0) {
            return failed("cannot read the answer");
        }
        if (got == 0) {
            return Error{ECONNRESET, "cannot read the answer: viscumd hung up"};
        }
        if (auto status = reader_.feed({chunk, static_cast<std::size_t>(got)}); !status) {
            return std::move(status).error().in("cannot read the answer");
        }
    }
}

Result<std::optional<Response>> Client::take() {
    while (true) {
        auto response = next(MSG_DONTWAIT);
        if (!response || !*response || (*response)->final) {
            return response;
        }
    }
}

Result<Response> Client::ask(const Request& request, const std::function<void(const Response&)>& progress) {
    if (auto status = begin(request); !status) {
        return std::move(status).error();
    }
    while (true) {
        auto response = next(0);
        if (!response) {
            return std::move(response).error();
        }
        if ((*response)->final) {
            return **std::move(response);
        }
        progress(**response);
    }
}

}  // namespace viscum
