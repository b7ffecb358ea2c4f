// SPDX-License-Identifier: GPL-2.0-only
// What is written between two marks of a document. All around them is people's. Pure.
//
//   <!-- begin NAME -->
//   …
//   <!-- end NAME -->
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace viscum {

/// The names of all marks, in the order of the document. Each stands on a line of its own, has an end, and begins once;
/// an error names the one that does not.
Result<std::vector<std::string>> marks_of(const std::string& document);

/// The document with new text between the marks; those without a section stay as they are. A section without marks is
/// an error that names it.
Result<std::string> fill(const std::string& document, const std::map<std::string, std::string>& sections);

}  // namespace viscum
