// SPDX-License-Identifier: GPL-2.0-only
#include "controller/bundle/signature.h"

#include <sodium.h>

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "controller/bundle/manifest.h"

namespace viscum {
namespace {

constexpr std::string_view kType = "ssh-ed25519";
constexpr std::string_view kMagic = "SSHSIG";
constexpr std::string_view kBegin = "-----BEGIN SSH SIGNATURE-----\n";
constexpr std::string_view kEnd = "-----END SSH SIGNATURE-----\n";
constexpr std::size_t kMaxSigners = 16;

const unsigned char* bytes(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

/// With padding; line ends are passed over.
std::optional<std::string> from_base64(std::string_view text) {
    std::string out(text.size(), '\0');
    std::size_t length = 0;
    if (sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(), text.size(), "\n",
                          &length, nullptr, sodium_base64_VARIANT_ORIGINAL) != 0) {
        return std::nullopt;
    }
    out.resize(length);
    return out;
}

/// The fields of RFC 4251, 5, one after the other. Behind one that is not whole there is none.
class Wire {
public:
    explicit Wire(std::string_view text) : rest_(text) {}

    std::optional<std::uint32_t> number() {
        const auto four = raw(4);
        std::uint32_t value = 0;
        for (const char c : four.value_or("")) {
            value = value << 8 | static_cast<unsigned char>(c);
        }
        return four ? std::optional(value) : std::nullopt;
    }
    std::optional<std::string_view> string() {
        const auto length = number();
        return length ? raw(*length) : std::nullopt;
    }
    std::optional<std::string_view> raw(std::size_t length) {
        if (broken_ || length > rest_.size()) {
            broken_ = true;
            return std::nullopt;
        }
        const auto value = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return value;
    }
    [[nodiscard]] bool at_end() const { return rest_.empty() && !broken_; }

private:
    std::string_view rest_;
    bool broken_ = false;
};

std::string wire_string(std::string_view text) {
    const auto length = static_cast<std::uint32_t>(text.size());
    std::string out;
    for (int shift = 24; shift >= 0; shift -= 8) {
        out += static_cast<char>(length >> shift & 0xffU);
    }
    return out.append(text);
}

/// What is in a blob of the type: the key, or the signature.
std::optional<std::string_view> typed_blob(std::string_view blob) {
    Wire wire(blob);
    const auto type = wire.string();
    const auto value = wire.string();
    return type == kType && value && wire.at_end() ? value : std::nullopt;
}

std::optional<Ed25519Key> key_of(std::string_view blob) {
    const auto value = typed_blob(blob);
    Ed25519Key key{};
    if (!value || value->size() != key.size()) {
        return std::nullopt;
    }
    std::copy_n(bytes(*value), key.size(), key.begin());
    return key;
}

std::optional<std::string> digest_of(std::string_view algorithm, std::string_view message) {
    std::string out;
    if (algorithm == "sha512") {
        out.resize(crypto_hash_sha512_BYTES);
        crypto_hash_sha512(reinterpret_cast<unsigned char*>(out.data()), bytes(message), message.size());
    } else if (algorithm == "sha256") {
        out.resize(crypto_hash_sha256_BYTES);
        crypto_hash_sha256(reinterpret_cast<unsigned char*>(out.data()), bytes(message), message.size());
    } else {
        return std::nullopt;
    }
    return out;
}

/// One signature without its armour (PROTOCOL.sshsig, 2 and 3).
Result<Ed25519Key> signer_of(std::string_view message, std::string_view blob) {
    Wire wire(blob);
    const auto magic = wire.raw(kMagic.size());
    const auto version = wire.number();
    const auto key_blob = wire.string();
    const auto space = wire.string();
    const auto reserved = wire.string();
    const auto algorithm = wire.string();
    const auto signature_blob = wire.string();
    if (magic != kMagic || version != 1U || !signature_blob || !wire.at_end()) {
        return bad_bundle("a signature is damaged");
    }
    const auto key = key_of(*key_blob);
    const auto signature = typed_blob(*signature_blob);
    if (!key || !signature) {
        return bad_bundle("a signature is not by a key of the kind ssh-ed25519");
    }
    if (*space != kSignatureNamespace) {
        return bad_bundle(cat("a signature is not for bundles: it needs -n ", kSignatureNamespace));
    }
    const auto digest = digest_of(*algorithm, message);
    if (!digest) {
        return bad_bundle("a signature has a checksum of an unknown kind");
    }
    const std::string text =
        cat(kMagic, wire_string(*space), wire_string(*reserved), wire_string(*algorithm), wire_string(*digest));
    if (!verify_ed25519(*key, text, *signature)) {
        return bad_bundle(cat("the signature of ", fingerprint(*key), " does not fit: the bundle was changed"));
    }
    return *key;
}

}  // namespace

Result<Ed25519Key> parse_public_key(std::string_view line) {
    while (line.ends_with('\n') || line.ends_with('\r') || line.ends_with(' ')) {
        line.remove_suffix(1);
    }
    const auto words = split(line, ' ');
    if (words.size() < 2 || words[0] != kType) {
        return Error{EINVAL, "it is no public key of the kind ssh-ed25519"};
    }
    const auto blob = from_base64(words[1]);
    const auto key = blob ? key_of(*blob) : std::nullopt;
    if (!key) {
        return Error{EINVAL, "the public key is damaged"};
    }
    return *key;
}

std::string fingerprint(const Ed25519Key& key) {
    const std::string blob =
        cat(wire_string(kType), wire_string({reinterpret_cast<const char*>(key.data()), key.size()}));
    std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
    crypto_hash_sha256(digest.data(), bytes(blob), blob.size());
    constexpr auto kVariant = sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
    std::array<char, sodium_base64_ENCODED_LEN(crypto_hash_sha256_BYTES, kVariant)> text{};
    sodium_bin2base64(text.data(), text.size(), digest.data(), digest.size(), kVariant);
    return cat("SHA256:", text.data());
}

bool verify_ed25519(const Ed25519Key& key, std::string_view message, std::string_view signature) {
    return signature.size() == crypto_sign_BYTES &&
           crypto_sign_verify_detached(bytes(signature), bytes(message), message.size(), key.data()) == 0;
}

Result<std::vector<Ed25519Key>> signers_of(std::string_view message, std::string_view signatures) {
    std::vector<Ed25519Key> signers;
    while (!signatures.empty()) {
        const auto end = signatures.find(kEnd);
        if (!signatures.starts_with(kBegin) || end == std::string_view::npos || signers.size() == kMaxSigners) {
            return bad_bundle("the signatures are damaged, or too many");
        }
        const auto blob = from_base64(signatures.substr(kBegin.size(), end - kBegin.size()));
        const auto signer = blob ? signer_of(message, *blob) : bad_bundle("a signature is damaged");
        if (!signer) {
            return signer.error();
        }
        signers.push_back(*signer);
        signatures.remove_prefix(end + kEnd.size());
    }
    return signers;
}

}  // namespace viscum
