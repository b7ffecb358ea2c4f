// SPDX-License-Identifier: GPL-2.0-only
#include "controller/exporter/access.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "base/unique_fd.h"

namespace viscum {
namespace {

constexpr std::string_view kBearer = "bearer ";

bool is_v4(const std::string& text) {
    in_addr ignored{};
    return inet_pton(AF_INET, text.c_str(), &ignored) == 1;
}

bool is_v6(const std::string& text) {
    in6_addr ignored{};
    return inet_pton(AF_INET6, text.c_str(), &ignored) == 1;
}

Error no_address(const std::string& text) {
    return {EINVAL, cat("'", text, "' is no address and port, such as 127.0.0.1:9477 or [::1]:9477")};
}

}  // namespace

Result<ListenAddress> ListenAddress::parse(const std::string& text) {
    const auto colon = text.rfind(':');
    if (colon == std::string::npos) {
        return no_address(text);
    }
    const auto port = parse_decimal(text.substr(colon + 1), 65'535).value_or(0);
    if (port == 0) {
        return no_address(text);
    }
    std::string host = text.substr(0, colon);
    ListenAddress out;
    if (in_addr v4{}; inet_pton(AF_INET, host.c_str(), &v4) == 1) {
        auto* address = reinterpret_cast<sockaddr_in*>(&out.address);
        address->sin_family = AF_INET;
        address->sin_port = htons(static_cast<std::uint16_t>(port));
        address->sin_addr = v4;
        out.length = sizeof *address;
        out.loopback = (ntohl(v4.s_addr) >> 24) == 127;
        return out;
    }
    if (host.empty()) {
        host = "[::]";
    }
    in6_addr v6{};
    if (host.size() < 4 || host.front() != '[' || host.back() != ']' ||
        inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6) != 1) {
        return no_address(text);
    }
    auto* address = reinterpret_cast<sockaddr_in6*>(&out.address);
    address->sin6_family = AF_INET6;
    address->sin6_port = htons(static_cast<std::uint16_t>(port));
    address->sin6_addr = v6;
    out.length = sizeof *address;
    out.loopback = IN6_IS_ADDR_LOOPBACK(&v6);
    return out;
}

Result<std::string> read_token(const std::string& path) {
    const std::string context = cat("cannot read the token in '", path, "'");
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info {};
    if (!fd || fstat(fd.get(), &info) != 0) {
        return errno_error(context);
    }
    if (!S_ISREG(info.st_mode) || (info.st_mode & S_IRWXO) != 0) {
        return Error{EINVAL, cat("'", path, "' is to be a file that others cannot read: chmod o= it")};
    }
    std::string text(kLongestToken + 2, '\0');
    const auto got = read(fd.get(), text.data(), text.size());
    if (got < 0) {
        return errno_error(context);
    }
    text.resize(static_cast<std::size_t>(got));
    if (text.ends_with('\n')) {
        text.pop_back();
    }
    const bool visible = std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
    if (!visible || text.size() < kShortestToken || text.size() > kLongestToken) {
        return Error{EINVAL, cat("'", path, "' is to hold one line of ", kShortestToken, " to ", kLongestToken,
                                 " letters, digits and marks: openssl rand -hex 32 makes one")};
    }
    return text;
}

bool same_secret(std::string_view a, std::string_view b) {
    // volatile: a compiler that sees that one difference decides would stop there.
    volatile unsigned char difference = a.size() == b.size() ? 0 : 1;
    for (std::size_t i = 0; i < a.size() && !b.empty(); ++i) {
        difference = static_cast<unsigned char>(difference | static_cast<unsigned char>(a[i] ^ b[i % b.size()]));
    }
    return difference == 0;
}

bool shows_token(const HttpRequest& request, const std::string& token) {
    const std::string_view shown = request.authorization;
    const auto scheme = shown.substr(0, kBearer.size());
    const bool bearer = std::equal(scheme.begin(), scheme.end(), kBearer.begin(), kBearer.end(),
                                   [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x - 'A' + 'a' : x) == y; });
    return bearer && same_secret(shown.substr(kBearer.size()), token);
}

bool is_own_host(std::string_view host) {
    if (host.empty() || host == "localhost" || host == "localhost.") {
        return true;
    }
    const std::string text(host);
    if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
        return is_v6(text.substr(1, text.size() - 2));
    }
    return is_v4(text);
}

}  // namespace viscum
