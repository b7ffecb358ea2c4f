// SPDX-License-Identifier: GPL-2.0-only
// The file that is imported, as a set of named members: a directory, or a tar that may be compressed as a whole.
//
// Nothing of it is copied to disk. Of a compressed tar the members are found by reading it again, so that to read them
// in the order of their offsets is one pass.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "controller/image/bytes.h"

namespace viscum {

class Container {
public:
    /// A member of a directory is opened beneath it, wherever links lead.
    static Result<std::unique_ptr<Container>> open(UniqueFd file);

    struct Member {
        std::uint64_t offset = 0;  // for the order in which to read
        std::uint64_t size = 0;
    };
    /// errno_code ENOENT where there is none.
    Result<Member> find(const std::string& name);
    /// One at a time: it is valid until the next call.
    Result<ByteReader*> read(const std::string& name);
    /// A whole member of at most `limit` bytes.
    Result<std::string> text(const std::string& name, std::size_t limit);

private:
    struct Place {
        Member member;
        std::string link;  // of a link: to which member
    };
    Container() = default;
    Status index();
    Status restart();
    Status add(const std::string& name, const Place& place);
    Result<UniqueFd> open_beneath(const std::string& name) const;
    [[nodiscard]] const Place* resolve(const std::string& name) const;

    UniqueFd file_;
    bool directory_ = false;
    Compression compression_ = Compression::none;
    std::uint64_t size_ = 0;
    std::map<std::string, Place> places_;
    UniqueFd member_fd_;
    std::unique_ptr<ByteReader> raw_;       // the file from its start, of a compressed one
    std::unique_ptr<ByteReader> inflated_;  // goes before raw_
    std::uint64_t position_ = 0;            // in inflated_
    std::unique_ptr<ByteReader> current_;   // goes before both
};

/// "./a//b/../c" as "a/c"; nothing where it leaves the container. Pure.
std::optional<std::string> member_name(const std::string& path);

}  // namespace viscum
