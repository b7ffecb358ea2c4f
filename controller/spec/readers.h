// SPDX-License-Identifier: GPL-2.0-only
// A tree to a value. What is wrong goes to `mistakes`; the value is then not to be used.
#pragma once

#include <vector>

#include "controller/spec/service_spec.h"
#include "controller/spec/yaml_tree.h"

namespace viscum {

ServiceSpec read_service(const YamlNode& root, Mistakes& mistakes);
/// `health` may be null; the probe, or its port, then follows from `claims`.
HealthSpec read_health(const YamlNode* health, const std::vector<Claim>& claims, Mistakes& mistakes);
RouterConfig read_router_config(const YamlNode& root, Mistakes& mistakes);

/// `version` may be null.
void check_version(const YamlNode* version, Mistakes& mistakes);

}  // namespace viscum
