// SPDX-License-Identifier: GPL-2.0-only
// The control socket's messages: a 4-byte length in network byte order, then that many bytes of JSON.
// Nothing throws out of it, whatever the bytes are.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace viscum {

constexpr std::size_t kMaxFrame = 1024 * 1024;  // bytes of a request; a longer length closes the connection
/// Of an answer: the status of a service with one claim takes about 700.
constexpr std::size_t kMaxAnswer = 16 * kMaxFrame;

/// The exit codes of viscumctl, carried in every answer.
enum class Code : std::uint8_t {
    done = 0,
    failed = 1,
    invalid = 2,  // usage, or an invalid file
    no_daemon = 3,
    unhealthy = 4,  // did not become healthy in time; the version before is back
    refused = 5,    // conflict, not claimable, not permitted
    no_such_service = 6,
};

struct Request {
    // deploy, confirm, revert, remove, list, status, drain, resume, restart, exec-info, plan, version, audit, images,
    // savings
    std::string verb;
    std::string service;                                     // "": all (list, status, confirm, revert, drain, resume)
    std::vector<std::pair<std::string, std::string>> files;  // deploy, plan: (name for diagnostics, text)
    std::int64_t wait_ms = -1;     // deploy, restart, remove: how long to wait; -1: the default
    std::int64_t confirm_ms = -1;  // deploy: after which the version before comes back, unless confirmed; -1: never
    std::int64_t days = -1;        // savings: how many, today among them; -1: the default
    std::string by;                // who asked, where that was not root in person; for the log
    bool operator==(const Request&) const = default;
};

/// Any number of progress messages, then one that is final.
struct Response {
    bool final = true;
    Code code = Code::done;
    bool changed = false;              // whether the request changed anything
    std::string message;               // progress, or what was done, or the error
    std::string hint;                  // what to do next; may be empty
    std::vector<std::string> details;  // diagnostics, the steps of a plan; images: "DIGEST SERVICE" of those in use
    std::string report;                // JSON (list, status, version: DaemonReport; audit: AuditReport, savings:
                                       // SavingsReport); may be empty
    std::map<std::string, std::string> facts;  // exec-info: "run_dir", "shim"; deploy: "ms_to_healthy"
    bool operator==(const Response&) const = default;
};

/// With the length in front; whoever sends it checks it against its limit. Text that is not UTF-8 has U+FFFD in the
/// places of its invalid bytes.
std::string encode(const Request& request);
std::string encode(const Response& response);
/// Every field must be there and of its type; a request may have no other field.
Result<Request> decode_request(std::string_view json);
Result<Response> decode_response(std::string_view json);

/// Cuts a byte stream into frames of at most `limit` bytes. Never ahead of what was received.
class FrameReader {
public:
    explicit FrameReader(std::size_t limit = kMaxFrame) : limit_(limit) {}
    /// An error (a length of 0 or above the limit) is final. A length behind a whole frame is judged by the first feed
    /// after that frame was taken; "" will do.
    Status feed(std::string_view bytes);
    /// The next whole frame's JSON, if there is one.
    std::optional<std::string> next();

private:
    std::size_t limit_;
    std::string buffer_;
    bool broken_ = false;
};

}  // namespace viscum
