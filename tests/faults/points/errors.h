// SPDX-License-Identifier: GPL-2.0-only
// Which errors a kernel under pressure gives for which system call.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace viscum {

/// errnos; empty for a call that cannot fail, or whose failure says nothing (close), or where an error is no answer
/// that a kernel gives to a program that is right.
const std::vector<int>& errors_that_fit(std::string_view call);

/// "ENOMEM", and back; 0: no such name.
std::string error_name(int error);
int error_number(std::string_view name);

}  // namespace viscum
