// SPDX-License-Identifier: GPL-2.0-only
// The best grade that this kernel has, or the one that viscum.yaml asks for.
#pragma once

#include <memory>

#include "base/instance.h"
#include "controller/spec/service_spec.h"
#include "controller/world/grade.h"
#include "tcprog/loader.h"

namespace viscum {

/// Tries what is asked for, feature by feature and never by version, and logs what there is to tell. Only a kernel that
/// cannot have the grade `socket` gets the next one: what may be otherwise tomorrow is an error.
Result<std::unique_ptr<Grade>> choose_grade(const Instance& instance, const RouterConfig& config, NewerTables newer);

}  // namespace viscum
