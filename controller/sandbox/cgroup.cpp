// SPDX-License-Identifier: GPL-2.0-only
#include "controller/sandbox/cgroup.h"

namespace viscum {

CgroupLayout read_cgroup_layout(const std::string&, const std::string&) { return {}; }
Result<Cgroups> Cgroups::open(const std::string& instance) { return Cgroups(instance, {}); }
std::vector<std::string> Cgroups::missing(const CgroupLimits&) const { return {}; }
Status Cgroups::make(const std::string&, const CgroupLimits&) const { return {}; }
std::vector<std::string> Cgroups::join_files(const std::string&) const { return {}; }
bool Cgroups::exists(const std::string&) const { return false; }
Status Cgroups::remove(const std::string&) const { return {}; }
CgroupEvents Cgroups::events(const std::string&) const { return {}; }
Result<std::vector<std::string>> Cgroups::names() const { return std::vector<std::string>{}; }

}  // namespace viscum
