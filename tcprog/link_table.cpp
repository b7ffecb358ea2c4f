// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/link_table.h"

namespace viscum {

LinkTable LinkTable::adopt(const Datapath& datapath) { return LinkTable(datapath); }
Result<int> LinkTable::apply(std::uint32_t, const std::optional<LinkEgress>&) { return 0; }
std::vector<std::uint32_t> LinkTable::links() const { return {}; }
LinkCounters LinkTable::counters(std::uint32_t) const { return {}; }

}  // namespace viscum
