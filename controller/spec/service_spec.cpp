// SPDX-License-Identifier: GPL-2.0-only
#include "controller/spec/service_spec.h"

#include "base/text.h"

namespace viscum {

std::string PortRange::text() const {
    if (*this == PortRange{}) {
        return "any";
    }
    return is_single() ? std::to_string(first) : cat(first, '-', last);
}

std::string Claim::text() const {
    const bool brackets = !prefix.address.is_v4();
    return cat(brackets ? "[" : "", prefix.text(), brackets ? "]:" : ":", ports.text(),
               protocol == Protocol::tcp ? "/tcp" : "/udp");
}

}  // namespace viscum
