// SPDX-License-Identifier: GPL-2.0-only
#include "controller/sandbox/audit.h"

namespace viscum {

Audit audit_service(const ServiceSpec&, const std::optional<ProcessFacts>&, const std::vector<std::string>&) {
    return {};
}

}  // namespace viscum
