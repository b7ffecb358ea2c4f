// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/http_client.h"

#include <poll.h>

#include <array>

#include "base/event_loop.h"
#include "base/text.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxResponse = 16 * 1024 * 1024;

struct Failure {
    Outcome outcome = Outcome::failed;
    std::string error;
};

/// A reset that answers a SYN is ECONNREFUSED; ECONNRESET says that the connection was there, if only for a moment.
Failure failure_of(int code) {
    const std::string text = std::strerror(code);
    switch (code) {
        case ECONNREFUSED: return {Outcome::refused, text};
        case ECONNRESET:
        case EPIPE: return {Outcome::reset, text};
        case ETIMEDOUT: return {Outcome::timed_out, text};
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EACCES:
        case EPERM: return {Outcome::unreachable, text};
        default: return {Outcome::failed, text};
    }
}

HttpResult failed(Failure failure) {
    HttpResult result;
    result.outcome = failure.outcome;
    result.error = std::move(failure.error);
    return result;
}

std::optional<Failure> connect_to(int fd, const Endpoint& to, BootTime deadline) {
    const SocketAddress address = to_sockaddr(to);
    if (connect(fd, address.get(), address.length) == 0) {
        return std::nullopt;
    }
    if (errno != EINPROGRESS) {
        return failure_of(errno);
    }
    if (!wait_for_socket(fd, POLLOUT, deadline)) {
        return Failure{Outcome::timed_out, "no connection in time"};
    }
    int code = 0;
    socklen_t length = sizeof code;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &length);
    if (code != 0) {
        return failure_of(code);
    }
    return std::nullopt;
}

/// The body's length by Content-Length, once the whole header is there.
struct Header {
    int status = 0;
    std::size_t body_at = 0;
    std::optional<std::uint64_t> length;
};

std::optional<Header> parse_header(const std::string& text) {
    const std::size_t end = text.find("\r\n\r\n");
    if (end == std::string::npos || text.size() < 12 || !text.starts_with("HTTP/1.")) {
        return std::nullopt;
    }
    Header header;
    header.status = static_cast<int>(parse_decimal(std::string_view(text).substr(9, 3), 999).value_or(0));
    header.body_at = end + 4;
    for (const std::string& line : split(std::string_view(text).substr(0, end), '\n')) {
        constexpr std::string_view kName = "Content-Length: ";
        if (line.starts_with(kName)) {
            const std::string value = line.substr(kName.size(), line.find('\r') - kName.size());
            header.length = parse_decimal(value, kMaxResponse);
        }
    }
    return header;
}

std::optional<HttpResult> whole_response(const std::string& text, bool ended) {
    const auto header = parse_header(text);
    if (!header) {
        return std::nullopt;
    }
    const std::size_t there = text.size() - header->body_at;
    if (header->length ? there < *header->length : !ended) {
        return std::nullopt;
    }
    HttpResult result;
    result.outcome = Outcome::answered;
    result.status = header->status;
    result.body = text.substr(header->body_at, header->length.value_or(there));
    return result;
}

HttpResult receive(int fd, bool to_the_end, BootTime deadline) {
    std::string text;
    std::array<char, 65'536> buffer{};
    while (text.size() < kMaxResponse) {
        if (!wait_for_socket(fd, POLLIN, deadline)) {
            return failed({Outcome::timed_out, "no answer in time"});
        }
        const ssize_t length = recv(fd, buffer.data(), buffer.size(), 0);
        if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
            continue;
        }
        if (length < 0) {
            return failed(failure_of(errno));
        }
        text.append(buffer.data(), static_cast<std::size_t>(length));
        auto result = whole_response(text, length == 0);
        if (result && (length == 0 || !to_the_end)) {
            return std::move(*result);
        }
        if (length == 0) {
            return failed({Outcome::closed, "the connection ended early"});
        }
    }
    return failed({Outcome::failed, "the answer is too long"});
}

HttpResult exchange(int fd, const HttpRequest& request, const char* version, BootTime deadline) {
    const std::string text = cat("GET ", request.path, " HTTP/", version, "\r\nHost: test.example\r\n\r\n");
    if (send(fd, text.data(), text.size(), MSG_NOSIGNAL) < 0) {
        return failed(failure_of(errno));
    }
    return receive(fd, request.to_the_end, deadline);
}

}  // namespace

const char* to_text(Outcome outcome) {
    switch (outcome) {
        case Outcome::answered: return "answered";
        case Outcome::refused: return "refused";
        case Outcome::reset: return "reset";
        case Outcome::closed: return "closed";
        case Outcome::timed_out: return "timed out";
        case Outcome::unreachable: return "unreachable";
        case Outcome::failed: return "failed";
    }
    return "?";
}

std::string HttpResult::who() const {
    if (outcome != Outcome::answered) {
        return to_text(outcome);
    }
    return body.substr(0, body.find_first_of("\r\n "));
}

HttpResult http_get(const NetNs& ns, const HttpRequest& request) {
    const BootTime start = boot_now();
    const BootTime deadline = start + request.limit;
    HttpResult result;
    auto fd = open_socket(ns, SOCK_STREAM, request.to, request.from);
    if (!fd) {
        result = failed({Outcome::failed, fd.error().what});
    } else if (auto failure = connect_to(fd->get(), request.to, deadline)) {
        result = failed(std::move(*failure));
    } else {
        result = exchange(fd->get(), request, "1.0", deadline);
    }
    result.took = boot_now() - start;
    return result;
}

Result<KeptConnection> KeptConnection::open(const NetNs& ns, const HttpRequest& request) {
    auto fd = open_socket(ns, SOCK_STREAM, request.to, request.from);
    if (!fd) {
        return std::move(fd).error();
    }
    if (auto failure = connect_to(fd->get(), request.to, boot_now() + request.limit)) {
        return Error{0, cat("cannot connect to ", request.to.text(), ": ", failure->error)};
    }
    return KeptConnection(std::move(*fd), request);
}

HttpResult KeptConnection::get() {
    const BootTime start = boot_now();
    HttpResult result = exchange(fd_.get(), request_, "1.1", start + request_.limit);
    result.took = boot_now() - start;
    return result;
}

}  // namespace viscum
