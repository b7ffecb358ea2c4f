// SPDX-License-Identifier: GPL-2.0-only
#include "controller/bundle/reader.h"

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "controller/image/image.h"

namespace viscum {
namespace {

constexpr std::size_t kChunk = 64UL * 1024;
constexpr std::size_t kMaxLine = 128;
constexpr std::string_view kPart = "part ";

Error cut_short() {
    return bad_bundle("it ends too early");
}

}  // namespace

std::string BundleHead::digest() const {
    Sha256 hash;
    hash.add(manifest.data(), manifest.size());
    return hash.digits().substr(0, kImageDigits);
}

/// Bytes in the buffer, unless the input is at its end.
Status BundleReader::fill() {
    if (used_ < buffer_.size()) {
        return {};
    }
    buffer_.resize(kChunk);
    used_ = 0;
    const auto got = input_.read(buffer_.data(), buffer_.size());
    buffer_.resize(got ? *got : 0);
    return got ? Status() : Status(got.error());
}

/// Without its end; empty at the end of everything.
Result<std::string> BundleReader::line(std::size_t most) {
    std::string out;
    while (true) {
        if (auto filled = fill(); !filled) {
            return std::move(filled).error();
        }
        if (buffer_.empty()) {
            return out.empty() ? Result<std::string>(out) : cut_short();
        }
        const char c = buffer_[used_++];
        if (c == '\n') {
            return out.empty() ? bad_bundle("a line is missing") : Result<std::string>(std::move(out));
        }
        if (out.size() == most) {
            return bad_bundle("it is no bundle: a line is too long");
        }
        out += c;
    }
}

Result<std::string> BundleReader::exactly(std::size_t size) {
    std::string out;
    while (out.size() < size) {
        if (auto filled = fill(); !filled) {
            return std::move(filled).error();
        }
        if (buffer_.empty()) {
            return cut_short();
        }
        const auto count = std::min(size - out.size(), buffer_.size() - used_);
        out.append(buffer_, used_, count);
        used_ += count;
    }
    return out;
}

Result<BundleHead> BundleReader::head() {
    const auto first = line(kMaxLine);
    const auto lengths = first ? read_bundle_line(*first) : first.error();
    if (!lengths) {
        return lengths.error();
    }
    auto manifest = exactly(lengths->manifest);
    auto signatures = manifest ? exactly(lengths->signatures) : manifest.error();
    if (!signatures) {
        return std::move(signatures).error();
    }
    return BundleHead{std::move(*manifest), std::move(*signatures)};
}

Result<const BundlePart*> BundleReader::next(const BundleManifest& manifest) {
    if (current_ != nullptr) {
        if (auto passed = copy(-1); !passed) {
            return std::move(passed).error();
        }
    }
    const auto heading = line(kMaxLine);
    if (!heading || heading->empty()) {
        return heading ? Result<const BundlePart*>(nullptr) : heading.error();
    }
    const std::string_view path = heading->starts_with(kPart) ? std::string_view(*heading).substr(kPart.size()) : "";
    const auto found = std::ranges::find(manifest.parts, path, &BundlePart::path);
    if (found == manifest.parts.end() || std::ranges::find(seen_, &*found) != seen_.end()) {
        return bad_bundle("a part is none of the manifest's, or comes twice");
    }
    current_ = &*found;
    seen_.push_back(current_);
    return current_;
}

Status BundleReader::copy(int out) {
    const BundlePart& part = *std::exchange(current_, nullptr);
    Sha256 hash;
    for (std::uint64_t left = part.size; left > 0;) {
        if (auto filled = fill(); !filled) {
            return filled;
        }
        if (buffer_.empty()) {
            return cut_short();
        }
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer_.size() - used_));
        const std::string_view bytes = std::string_view(buffer_).substr(used_, count);
        hash.add(bytes.data(), bytes.size());
        if (out >= 0) {
            if (auto written = write_all(out, bytes); !written) {
                return written;
            }
        }
        used_ += count;
        left -= count;
    }
    return hash.digits() == part.sha256 ? Status()
                                        : bad_bundle(cat("'", part.path, "' is damaged: its checksum does not fit"));
}

Result<TrustedManifest> verify_head(const BundleHead& head, const std::vector<Ed25519Key>& trusted) {
    TrustedManifest out;
    if (!trusted.empty()) {
        const auto signers = signers_of(head.manifest, head.signatures);
        if (!signers) {
            return signers.error();
        }
        const auto known = std::ranges::find_first_of(*signers, trusted);
        if (known == signers->end()) {
            std::vector<std::string> names;
            for (const auto& signer : *signers) {
                names.push_back(fingerprint(signer));
            }
            return untrusted(names.empty()
                                 ? "it is not signed"
                                 : cat("it is signed by nobody who is trusted here, only by ", join(names, ", ")));
        }
        out.signer = *known;
    }
    auto manifest = decode_manifest(head.manifest);
    if (!manifest) {
        return std::move(manifest).error();
    }
    out.manifest = std::move(*manifest);
    return out;
}

}  // namespace viscum
