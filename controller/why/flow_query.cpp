// SPDX-License-Identifier: GPL-2.0-only
#include "controller/why/flow_query.h"

#include "base/text.h"

namespace viscum {
namespace {

constexpr const char* kForm = "as in: viscumctl why 192.168.1.23 203.0.113.10:443/tcp";

Error mistake(std::string what) {
    return Error{EINVAL, std::move(what)};
}

std::string endpoint_text(const IpAddress& address, std::uint16_t port) {
    return address.is_v4() ? cat(address.text(), ':', port) : cat('[', address.text(), "]:", port);
}

struct Parts {
    std::string_view address;
    std::optional<std::string_view> port;
};

/// An IPv6 address with a port stands in brackets, as in a URL (RFC 3986, 3.2.2). What is neither stays in the address.
Parts split_endpoint(std::string_view text) {
    const std::size_t close = text.find(']');
    if (text.starts_with('[') && close != std::string_view::npos) {
        const auto rest = text.substr(close + 1);
        return rest.empty()            ? Parts{text.substr(1, close - 1), std::nullopt}
               : rest.starts_with(':') ? Parts{text.substr(1, close - 1), rest.substr(1)}
                                       : Parts{text, std::nullopt};
    }
    const std::size_t colon = text.find(':');
    const bool one = colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos;
    return one ? Parts{text.substr(0, colon), text.substr(colon + 1)} : Parts{text, std::nullopt};
}

Result<IpAddress> address_of(std::string_view text) {
    const auto address = IpAddress::parse(text);
    return address ? Result<IpAddress>(*address) : mistake(cat("'", text, "' is no address: ", kForm));
}

Result<std::uint16_t> port_of(std::string_view text) {
    const auto port = parse_decimal(text, 65535);
    return port && *port != 0 ? Result<std::uint16_t>(static_cast<std::uint16_t>(*port))
                              : mistake(cat("'", text, "' is no port: 1 to 65535"));
}

/// Why nothing that a router forwards comes from this address; empty: it may.
std::string_view not_a_client(const IpAddress& address) {
    const std::uint8_t* const wire = address.wire();
    if (address.is_v4()) {
        return address == IpAddress::parse("0.0.0.0")           ? "stands for no host"
               : address == IpAddress::parse("255.255.255.255") ? "stands for all hosts"
               : wire[0] == 127                                 ? "is a loopback address"
               : (wire[0] & 0xf0) == 0xe0                       ? "is a multicast address"
                                                                : "";
    }
    if (address == IpAddress{}) {
        return "stands for no host";
    }
    if (address == IpAddress::parse("::1")) {
        return "is a loopback address";
    }
    return wire[0] == 0xff                               ? "is a multicast address"
           : wire[0] == 0xfe && (wire[1] & 0xc0) == 0x80 ? "is link-local, and no router forwards it: name the "
                                                           "client's global address"
                                                         : "";
}

Status read_source(std::string_view text, FlowQuery& query) {
    const Parts parts = split_endpoint(text);
    const auto address = address_of(parts.address);
    if (!address) {
        return address.error();
    }
    if (const auto why = not_a_client(*address); !why.empty()) {
        return mistake(cat("'", address->text(), "' is no client's: it ", why));
    }
    query.source = *address;
    if (parts.port) {
        const auto port = port_of(*parts.port);
        if (!port) {
            return port.error();
        }
        query.source_port = *port;
    }
    return {};
}

Status read_destination(std::string_view text, FlowQuery& query) {
    const std::size_t slash = text.find('/');
    const auto protocol = slash == std::string_view::npos ? "tcp" : text.substr(slash + 1);  // as in service files
    if (protocol != "tcp" && protocol != "udp") {
        return mistake(cat("'", protocol, "' is no protocol that services have: tcp or udp, ", kForm));
    }
    query.protocol = protocol == "tcp" ? Protocol::tcp : Protocol::udp;
    const Parts parts = split_endpoint(text.substr(0, slash));
    const auto address = address_of(parts.address);
    if (!address) {
        return address.error();
    }
    query.destination = *address;
    if (!parts.port) {
        return mistake(cat("'", text, "' has no port: ", kForm));
    }
    const auto port = port_of(*parts.port);
    if (!port) {
        return port.error();
    }
    query.port = *port;
    return {};
}

}  // namespace

std::string FlowQuery::source_text() const {
    return source_port ? endpoint_text(source, *source_port) : source.text();
}

std::string FlowQuery::destination_text() const {
    return cat(endpoint_text(destination, port), protocol == Protocol::tcp ? "/tcp" : "/udp");
}

Result<FlowQuery> parse_flow(std::string_view source, std::string_view destination) {
    FlowQuery query;
    if (auto status = read_source(source, query); !status) {
        return std::move(status).error();
    }
    if (auto status = read_destination(destination, query); !status) {
        return std::move(status).error();
    }
    if (query.source.is_v4() != query.destination.is_v4()) {
        return mistake("one address is IPv4 and the other IPv6: no packet has both");
    }
    return query;
}

}  // namespace viscum
