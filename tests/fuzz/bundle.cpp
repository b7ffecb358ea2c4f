// SPDX-License-Identifier: GPL-2.0-only
// A bundle: its head, its signatures and its parts, as they are read of whoever sends them.
#include "controller/bundle/reader.h"
#include "controller/image/image.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

/// As much at a time as the input's first byte says, so that every field comes in pieces.
class PiecesReader : public ByteReader {
public:
    PiecesReader(std::string_view text, std::size_t piece) : left_(text), piece_(piece) {}
    Result<std::size_t> read(char* into, std::size_t size) override {
        const std::size_t count = std::min({size, piece_, left_.size()});
        std::copy_n(left_.data(), count, into);
        left_.remove_prefix(count);
        return count;
    }

private:
    std::string_view left_;
    std::size_t piece_;
};

void check_manifest(const BundleManifest& manifest, const std::string& text) {
    require(encode_manifest(manifest) == text, "a manifest has one form");
    require(!manifest.service.empty() && manifest.service.find('/') == std::string::npos,
            "a service's name is no path");
    require(compare_versions(manifest.version, manifest.version) == 0, "a version is its own equal");
    for (const auto& part : manifest.parts) {
        require(is_part_path(part.path) && part.path.find("..") == std::string::npos && part.path.front() != '/',
                "a part stays where parts are");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input(data, size);
    const std::size_t piece = input.byte() + std::size_t{1};
    const std::string text = input.rest();
    const auto signers = signers_of("", text);
    require(signers ? signers->empty() == text.empty() : signers.error().errno_code == EBADMSG,
            "nobody is known to have signed, or it is said why");

    PiecesReader pieces(text, piece);
    BundleReader reader(pieces);
    const auto head = reader.head();
    if (!head) {
        require(head.error().errno_code == EBADMSG && !head.error().what.empty(), "a refusal says why");
        return 0;
    }
    require(is_image_digest(head->digest()), "a bundle has a digest");
    Ed25519Key nobody{};
    require(!verify_head(*head, {nobody}), "what nobody signed is not taken");
    const auto read = verify_head(*head, {});
    if (!read) {
        require(read.error().errno_code == EBADMSG && !read.error().what.empty(), "a refusal says why");
        return 0;
    }
    check_manifest(read->manifest, head->manifest);
    for (std::size_t parts = 0;; ++parts) {
        const auto part = reader.next(read->manifest);
        if (!part || *part == nullptr) {
            break;
        }
        require(parts < read->manifest.parts.size(), "no part comes twice");
        if (parts % 2 == 0 && !reader.copy(-1)) {
            break;
        }
    }
    return 0;
}
