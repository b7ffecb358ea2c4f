// SPDX-License-Identifier: GPL-2.0-only
// A directory of pins of a test's own, gone with the object, for tests that need maps and programs but no network.
#pragma once

#include <bpf/bpf.h>
#include <doctest/doctest.h>
#include <netinet/in.h>

#include <memory>
#include <string>

#include "tcprog/loader.h"
#include "tcprog/rule_table.h"

namespace viscum {

struct Pins {
    Pins() = default;
    ~Pins() { CHECK(remove_pins(dir)); }
    Pins(const Pins&) = delete;
    Pins& operator=(const Pins&) = delete;

    /// Fails the test where there is none.
    [[nodiscard]] std::unique_ptr<Datapath> open(const DatapathSizes& sizes = {
                                                     .rules = 16, .flows = 64, .fragments = 16}) const {
        auto datapath = open_datapath(dir, sizes);
        if (!datapath) {
            FAIL(datapath.error().what);
        }
        return std::move(*datapath);
    }

    std::string dir = "/sys/fs/bpf/pins";
};

inline Rule some_rule(const std::string& prefix, std::uint16_t first_port, std::uint16_t last_port,
                      const std::string& service = "web") {
    Rule rule;
    rule.key = {IpPrefix::parse(prefix).value(), first_port, last_port, IPPROTO_TCP};
    rule.service = service;
    rule.backend[0] = {3, 4};
    rule.admission = Admission::serve;
    return rule;
}
inline Rule some_rule(const std::string& prefix, std::uint16_t port, const std::string& service = "web") {
    return some_rule(prefix, port, port, service);
}

inline std::uint32_t id_of_map(int fd) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    REQUIRE(bpf_obj_get_info_by_fd(fd, &info, &size) == 0);
    return info.id;
}

}  // namespace viscum
