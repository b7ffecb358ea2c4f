// SPDX-License-Identifier: GPL-2.0-only
// What an operator gives to viscum-image: a file, or standard input.
#pragma once

#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "controller/image/bytes.h"

namespace viscum {

/// A file from its start to its end, or a pipe. A pipe that says nothing for a minute is an error: somebody waits for
/// the store, and a connection that broke may never say so.
class StreamReader : public ByteReader {
public:
    /// "-": standard input.
    static Result<std::unique_ptr<StreamReader>> open(const std::string& file);
    Result<std::size_t> read(char* into, std::size_t size) override;

private:
    explicit StreamReader(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

/// Of such a file, for messages: "'plates.tar'", "standard input".
std::string shown(const std::string& file);

}  // namespace viscum
