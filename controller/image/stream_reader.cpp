// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/stream_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/text.h"

namespace viscum {
namespace {

constexpr int kSilence = 60'000;  // ms

}  // namespace

Result<std::unique_ptr<StreamReader>> StreamReader::open(const std::string& file) {
    UniqueFd fd(file == "-" ? dup(STDIN_FILENO) : ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    return fd ? Result<std::unique_ptr<StreamReader>>(std::unique_ptr<StreamReader>(new StreamReader(std::move(fd))))
              : errno_error(cat("cannot open '", file, "'"));
}

Result<std::size_t> StreamReader::read(char* into, std::size_t size) {
    while (true) {
        pollfd waits{fd_.get(), POLLIN, 0};
        if (poll(&waits, 1, kSilence) == 0) {
            return Error{ETIMEDOUT, "nothing has come for a minute"};
        }
        const auto got = ::read(fd_.get(), into, size);
        if (got >= 0) {
            return static_cast<std::size_t>(got);
        }
        if (errno != EINTR) {
            return errno_error("cannot read it");
        }
    }
}

std::string shown(const std::string& file) {
    return file == "-" ? "standard input" : cat("'", file, "'");
}

}  // namespace viscum
