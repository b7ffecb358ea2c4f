// SPDX-License-Identifier: GPL-2.0-only
// A value or an error. Failure is data here: one broken service must not unwind the others, and
// libbpf, libnl and libmnl call back through C frames that a throw must not cross.
#pragma once

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace viscum {

/// What went wrong. `errno_code` is a positive errno, or 0 where none applies; `what` is a sentence
/// without a final stop, the outermost context first: "cannot create veth for 'web': no such device".
struct Error {
    int errno_code = 0;
    std::string what;

    bool operator==(const Error&) const = default;

    /// The same error seen from further out: "CONTEXT: what".
    [[nodiscard]] Error in(std::string_view context) && { return {errno_code, std::string(context) + ": " + what}; }
    [[nodiscard]] Error in(std::string_view context) const& { return Error(*this).in(context); }
};

/// Libraries and the kernel return an errno as it is, or negative. Whatever number comes, this is none below 0.
inline int positive_errno(int code) {
    return code < 0 ? -std::max(code, -INT_MAX) : code;
}

/// The error for a failed call: "CONTEXT: strerror(code)". `code` may be negative.
inline Error errno_error(std::string_view context, int code = errno) {
    const int positive = positive_errno(code);
    return {positive, std::string(context) + ": " + std::strerror(positive)};
}

template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const { return held_.index() == 0; }
    /// Only to be called when the result holds a value.
    T& operator*() & { return *std::get_if<0>(&held_); }
    const T& operator*() const& { return *std::get_if<0>(&held_); }
    T&& operator*() && { return std::move(*std::get_if<0>(&held_)); }
    T* operator->() { return std::get_if<0>(&held_); }
    const T* operator->() const { return std::get_if<0>(&held_); }
    /// Only to be called when the result holds an error.
    const Error& error() const& { return *std::get_if<1>(&held_); }
    Error&& error() && { return std::move(*std::get_if<1>(&held_)); }

private:
    std::variant<T, Error> held_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    explicit operator bool() const { return !error_; }
    const Error& error() const& { return *error_; }
    Error&& error() && { return std::move(*error_); }

private:
    std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace viscum
