// SPDX-License-Identifier: GPL-2.0-only
// Who may read: addresses, names and tokens. Pure, but for reading the token's file.
#pragma once

#include <netinet/in.h>

#include <string>
#include <string_view>

#include "base/result.h"
#include "controller/exporter/http_request.h"

namespace viscum {

/// "127.0.0.1:9477", "[::1]:9477", "0.0.0.0:9477", ":9477" (all addresses of both families).
struct ListenAddress {
    sockaddr_storage address{};
    socklen_t length = 0;
    bool loopback = false;

    static Result<ListenAddress> parse(const std::string& text);
};

constexpr std::size_t kShortestToken = 16;
constexpr std::size_t kLongestToken = 512;

/// The token in `path`: one line of visible ASCII, of a file that others than its owner and group cannot read.
Result<std::string> read_token(const std::string& path);

/// Takes as long for every text of one length, wherever it differs.
bool same_secret(std::string_view a, std::string_view b);

/// Whether the request shows `token`, as "Bearer TOKEN".
bool shows_token(const HttpRequest& request, const std::string& token);

/// Whether `host` is an address or this machine's own name for itself. A page of somebody else's whose name was made to
/// lead here (DNS rebinding) comes with that name. Empty is a program of HTTP/1.0, which no browser speaks.
bool is_own_host(std::string_view host);

}  // namespace viscum
