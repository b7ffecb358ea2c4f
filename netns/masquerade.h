// SPDX-License-Identifier: GPL-2.0-only
// One nftables table of our own: what leaves the router from an alias gets the address of the device that it leaves by
// (libnftnl; nf_tables and its NAT are needed only by services with `egress`).
//
//   table inet NAME {
//     chain leave { type nat hook postrouting priority srcnat; policy accept;
//       ip saddr V4 masquerade
//       ip6 saddr V6 masquerade
//     }
//   }
//
// A firewall that drops what is forwarded still does so: docs/limits.md.
#pragma once

#include <string>

#include "base/ip.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace viscum {

struct Masquerade {
    std::string table;  // the instance's name
    IpPrefix v4, v6;    // the aliases
    bool operator==(const Masquerade&) const = default;
};

/// Whether the table stands there exactly as make_masquerade makes it. In the caller's network namespace, as all here.
Result<bool> has_masquerade(const Masquerade& wanted);
/// In one transaction; a table of the name is replaced. Idempotent. errno_code EOPNOTSUPP where the kernel has no
/// nf_tables or no NAT.
Status make_masquerade(const Masquerade& wanted);
/// Idempotent: no such table is success.
Status remove_masquerade(const std::string& table);

/// Tells that somebody changed nftables' rules (NFNLGRP_NFTABLES).
class NftWatch {
public:
    static Result<NftWatch> open();
    [[nodiscard]] int fd() const { return fd_.get(); }
    /// Reads all that came; whether something did. Overflow counts.
    bool drain() const;

private:
    explicit NftWatch(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace viscum
