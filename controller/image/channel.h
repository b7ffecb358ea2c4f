// SPDX-License-Identifier: GPL-2.0-only
// What the caged child and its parent say to each other: messages with a kind, a text and descriptors, over a socket
// that keeps their borders (SOCK_SEQPACKET).
//
//   child to parent                                       answer
//   'O' a directory's descriptor: mark it opaque          'k', or 'e' and why not
//   'A' layers, the lowest first, a line each:            'k' and for each of passwd and group that is there a letter
//       the accounts of the image that they make          'p' or 'g', and its descriptor
//   'R' name, what was left out, record, NUL between      none: the end
//   'E' errno, NUL, what failed                           none: the end
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace viscum {

struct Message {
    char kind = 0;
    std::string text;
    std::vector<UniqueFd> descriptors;
};

Status send_message(int socket, char kind, std::string_view text, const std::vector<int>& descriptors = {});
/// None at the end. A message longer than kMaxMessage is an error.
Result<std::optional<Message>> receive_message(int socket);

constexpr std::size_t kMaxMessage = 80UL * 1024;

}  // namespace viscum
