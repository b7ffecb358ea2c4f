// SPDX-License-Identifier: GPL-2.0-only
// Each service of an instance has a number of its own, kept in the state: its user id and its aliases follow from it.
// Pure.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace viscum {

/// The number of `name`: the one that it has, or the first free one from a hash of the name on, so that it is mostly
/// the same also where the state was lost. nullopt: all are taken.
std::optional<std::uint32_t> number_of(const std::map<std::string, std::uint32_t>& taken, const std::string& name);

/// The user and group id of a service that names none: 4,096 for each instance, from 1,879,048,192 on, above those
/// that distributions and systemd give away (systemd.io/UIDS-GIDS).
uid_t service_uid(const std::string& instance, std::uint32_t number);
/// Whether the id lies in the range of any instance: nobody else may be given it.
bool is_service_uid(uid_t uid);
/// The prober's: the last one of the instance.
uid_t prober_uid(const std::string& instance);

}  // namespace viscum
