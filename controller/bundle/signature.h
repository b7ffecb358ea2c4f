// SPDX-License-Identifier: GPL-2.0-only
// Whether somebody whom this device trusts signed a text: Ed25519 (RFC 8032) in OpenSSH's forms, so that the keys are
// those that operators keep already, in agents and on tokens, and `ssh-keygen -Y sign` is what signs. Pure.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace viscum {

/// The namespace of the signatures (PROTOCOL.sshsig of OpenSSH 8.1): what was signed for anything else is not taken.
constexpr std::string_view kSignatureNamespace = "viscum-bundle";

using Ed25519Key = std::array<unsigned char, 32>;

/// A line of a .pub file: "ssh-ed25519 BASE64 [COMMENT]". Keys of other kinds are errors, EINVAL.
Result<Ed25519Key> parse_public_key(std::string_view line);

/// As `ssh-keygen -l` shows it: "SHA256:" and 43 signs of base64.
std::string fingerprint(const Ed25519Key& key);

/// RFC 8032, 5.1.7, without malleable encodings; `signature` has any length.
bool verify_ed25519(const Ed25519Key& key, std::string_view message, std::string_view signature);

/// The keys by which `message` was signed, of armoured signatures, one after the other. A signature that does not fit
/// is an error, EBADMSG, whoever made it: nobody signs something else by mistake.
Result<std::vector<Ed25519Key>> signers_of(std::string_view message, std::string_view signatures);

}  // namespace viscum
