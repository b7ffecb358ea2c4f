// SPDX-License-Identifier: GPL-2.0-only
// The answers that requests get, in few words.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "base/text.h"
#include "controller/ipc/frame.h"

namespace viscum {

inline Response progress(std::string message) {
    Response response;
    response.final = false;
    response.message = std::move(message);
    return response;
}

inline Response done(std::string message, bool changed) {
    Response response;
    response.message = std::move(message);
    response.changed = changed;
    return response;
}

inline Response failure(Code code, std::string message, std::string hint) {
    Response response;
    response.code = code;
    response.message = std::move(message);
    response.hint = std::move(hint);
    return response;
}

inline constexpr const char* kImageHint = "'viscumctl image import FILE' puts an image into the store";

inline std::string confirm_hint(const std::string& name, std::chrono::milliseconds left) {
    const auto rounded = std::chrono::ceil<std::chrono::seconds>(left);
    return cat("in ", format_duration(rounded), " this version goes again, unless: viscumctl confirm ", name);
}

inline Response no_such_service(const std::string& name) {
    return failure(Code::no_such_service, cat("no service '", name, "' is deployed"),
                   "'viscumctl list' shows the ones that are");
}

}  // namespace viscum
