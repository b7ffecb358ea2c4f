// SPDX-License-Identifier: GPL-2.0-only
// A tree to a value. What is wrong goes to `mistakes`; the value is then not to be used.
#pragma once

#include <vector>

#include "controller/spec/service_spec.h"
#include "controller/spec/yaml_tree.h"

namespace viscum {

ServiceSpec read_service(const YamlNode& root, Mistakes& mistakes);
/// `health` may be null; the probe, or its port, then follows from `claims`. `by_path`: the program of an exec probe
/// may be a name that is looked up.
HealthSpec read_health(const YamlNode* health, const std::vector<Claim>& claims, bool by_path, Mistakes& mistakes);
/// Here and below `node` may be null: nothing but defaults.
SandboxSpec read_sandbox(const YamlNode* node, Mistakes& mistakes);
/// Allowances that are harmless alone and not together, or not with `run.user`. `node` is null where there are none.
void check_allowances(const YamlNode* node, const ServiceSpec& spec, Mistakes& mistakes);
LimitsSpec read_limits(const YamlNode* node, Mistakes& mistakes);
std::vector<std::string> read_writable(const YamlNode* node, Mistakes& mistakes);
/// `writable` directories may hold a file, and none may hide one.
std::vector<FileSpec> read_files(const YamlNode* node, const std::vector<std::string>& writable, Mistakes& mistakes);
/// `claims` may not hold ports that flows of the service's own leave from, where it may begin any.
EgressSpec read_egress(const YamlNode* node, const std::vector<Claim>& claims, Mistakes& mistakes);
RouterConfig read_router_config(const YamlNode& root, Mistakes& mistakes);

/// `version` may be null.
void check_version(const YamlNode* version, Mistakes& mistakes);

}  // namespace viscum
