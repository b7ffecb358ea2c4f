// SPDX-License-Identifier: GPL-2.0-only
// A bundle as it comes, from a file or a pipe, once and from its start.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "controller/bundle/manifest.h"
#include "controller/bundle/signature.h"
#include "controller/image/bytes.h"

namespace viscum {

/// What stands in front of the parts, unread.
struct BundleHead {
    std::string manifest;
    std::string signatures;
    /// 40 digits of the manifest's SHA-256: what this version of the service is known by.
    [[nodiscard]] std::string digest() const;
};

class BundleReader {
public:
    /// `input` outlives it, at its start.
    explicit BundleReader(ByteReader& input) : input_(input) {}

    /// First, once. Errors are EBADMSG, or the input's own.
    Result<BundleHead> head();

    /// Then, again and again: which part comes; nullptr at the end. What is left of the part before is passed over. An
    /// error where it is none of `manifest`, or comes twice; `manifest` stays the same.
    Result<const BundlePart*> next(const BundleManifest& manifest);

    /// The part that came, to `out` (-1: nowhere), as far as the end. EBADMSG where it is not what the manifest says:
    /// it is written by then.
    Status copy(int out);

private:
    Result<std::string> line(std::size_t most);
    Result<std::string> exactly(std::size_t size);
    Status fill();

    ByteReader& input_;
    std::string buffer_;
    std::size_t used_ = 0;  // of the buffer
    const BundlePart* current_ = nullptr;
    std::vector<const BundlePart*> seen_;
};

/// The manifest of a head that one of the keys signed, or that anybody wrote where there are none. Untrusted:
/// EKEYREJECTED. `signer`: the key, where it is one of `trusted`.
struct TrustedManifest {
    BundleManifest manifest;
    std::optional<Ed25519Key> signer;
};
Result<TrustedManifest> verify_head(const BundleHead& head, const std::vector<Ed25519Key>& trusted);

}  // namespace viscum
