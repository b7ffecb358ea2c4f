// SPDX-License-Identifier: GPL-2.0-only
// Small worlds by lot: rules of every shape, sockets in every state, links that may begin this or that.
#pragma once

#include <random>

#include "tests/faults/model/model_world.h"

namespace viscum {

/// `links`: the two backends that there are.
World random_world(std::uint32_t seed, const std::array<RuleBackend, 2>& links);

/// The same claims with other fates: admission, active version, closed.
std::vector<Rule> changed_rules(std::vector<Rule> rules, std::mt19937& dice);

/// A number below `limit`; whether one of `hundred` chances came; one of several.
inline std::uint32_t below(std::uint32_t limit, std::mt19937& dice) {
    return static_cast<std::uint32_t>(dice() % limit);
}
inline bool chance(std::uint32_t percent, std::mt19937& dice) {
    return below(100, dice) < percent;
}
template <class T>
const T& one_of(const std::vector<T>& all, std::mt19937& dice) {
    return all[dice() % all.size()];
}

/// An address within a prefix: its first, its last, or any.
IpAddress address_in(const IpPrefix& prefix, std::mt19937& dice);
/// Of the lab: addresses that the services own, clients, and hosts of the internet.
const std::vector<std::string>& owned_addresses(bool v4);
const std::vector<std::string>& client_addresses(bool v4);
const std::vector<std::string>& outside_addresses(bool v4);
IpAddress parsed(const std::string& address);

}  // namespace viscum
