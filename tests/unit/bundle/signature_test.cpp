// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>
#include <sodium.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "controller/bundle/signature.h"
#include "controller/ipc/json.h"

using namespace viscum;

namespace {

// Made once with OpenSSH 9.2: ssh-keygen -t ed25519, and -Y sign of the text with -n viscum-bundle, and with -n file.
constexpr std::string_view kText = "what is signed\n";
const std::string kKey =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOH1EjjF4MA9XuhdaOLYFdUO"
    "EYZsxfkERW7cjBV+zer0";
constexpr std::string_view kFingerprint = "SHA256:wamJ4BHLPB12nkzRhRVoleoS/KilyQryGS6vQx4rPaU";
const std::string kSignature =
    "-----BEGIN SSH SIGNATURE-----\n"
    "U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg4fUSOMXgwD1e6F1o4tgV1Q4Rhm\n"
    "zF+QRFbtyMFX7N6vQAAAANdmlzY3VtLWJ1bmRsZQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtz\n"
    "c2gtZWQyNTUxOQAAAEBYLCN0OAZtTsXw/i/z6ZNQZdwJA756AUOvNv+Efw41/C3alHGFk8\n"
    "jNtI2GSSlNnKjEhtjQ76l8qLKQziVJ85QA\n"
    "-----END SSH SIGNATURE-----\n";
const std::string kForFiles =
    "-----BEGIN SSH SIGNATURE-----\n"
    "U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg4fUSOMXgwD1e6F1o4tgV1Q4Rhm\n"
    "zF+QRFbtyMFX7N6vQAAAAEZmlsZQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQyNTUx\n"
    "OQAAAECushTQQXsZZqVOc3V5G744an0ivtnZfLPujyOZ+IrDM2jApiwG9zWdAopVsvcNll\n"
    "G29XuqCjFB+9EAkAAojCIC\n"
    "-----END SSH SIGNATURE-----\n";

std::string bytes_of(const std::string& digits) {
    std::string out(digits.size() / 2, '\0');
    std::size_t length = 0;
    REQUIRE(sodium_hex2bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), digits.data(), digits.size(),
                           nullptr, &length, nullptr) == 0);
    return out;
}

std::string member(const JsonValue& object, std::string_view name) {
    const auto* found = object.member(name);
    const auto* text = found == nullptr ? nullptr : std::get_if<std::string>(&found->value);
    REQUIRE(text != nullptr);
    return *text;
}

const JsonValue::List& list(const JsonValue& object, std::string_view name) {
    const auto* found = object.member(name);
    const auto* items = found == nullptr ? nullptr : std::get_if<JsonValue::List>(&found->value);
    REQUIRE(items != nullptr);
    return *items;
}

}  // namespace

TEST_CASE("bundle: OpenSSH's keys and signatures are understood") {
    const auto key = parse_public_key(kKey);
    REQUIRE(key);
    CHECK(fingerprint(*key) == kFingerprint);
    CHECK(parse_public_key(cat(kKey, " a comment\n")));
    const auto signers = signers_of(kText, kSignature);
    REQUIRE_MESSAGE(signers, signers.error().what);
    CHECK(*signers == std::vector{*key});
    const auto twice = signers_of(kText, cat(kSignature, kSignature));
    REQUIRE(twice);
    CHECK(twice->size() == 2);
    CHECK(signers_of(kText, "")->empty());
}

TEST_CASE("bundle: a signature of another text, for another purpose or of another form is none") {
    CHECK_FALSE(signers_of("what is signed", kSignature));
    const auto other = signers_of(kText, kForFiles);
    REQUIRE_FALSE(other);
    CHECK(other.error().what.find("-n viscum-bundle") != std::string::npos);
    CHECK_FALSE(signers_of(kText, kSignature.substr(0, kSignature.size() - 1)));
    CHECK_FALSE(signers_of(kText, cat(kSignature, "\n")));
    CHECK_FALSE(signers_of(kText, cat("x", kSignature)));
    for (const char* line : {"", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAI",
                             "sk-ssh-ed25519@openssh.com AAAA"}) {
        CAPTURE(line);
        CHECK_FALSE(parse_public_key(line));
    }
}

TEST_CASE("bundle: no sign of a signature can be another one") {
    const auto start = kSignature.find('\n') + 1;
    const auto end = kSignature.find("-----END");
    for (std::size_t at = start; at < end; ++at) {
        std::string changed(kSignature);
        if (changed[at] == '\n') {
            continue;
        }
        changed[at] = changed[at] == 'A' ? 'B' : 'A';
        CAPTURE(at);
        CHECK_FALSE(signers_of(kText, changed));
    }
}

TEST_CASE("bundle: Ed25519 accepts what it should of Wycheproof's vectors, and nothing else") {
    const std::filesystem::path file = std::filesystem::path(VISCUM_SOURCE_DIR) / "../shared/corpora/ed25519_test.json";
    if (!std::filesystem::exists(file)) {
        MESSAGE("skipped: there is no ", file.string());
        return;
    }
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    const auto tree = parse_json(text.str());
    REQUIRE_MESSAGE(tree, tree.error().what);
    std::size_t valid = 0;
    std::size_t invalid = 0;
    for (const auto& group : list(*tree, "testGroups")) {
        const auto* public_key = group.member("publicKey");
        REQUIRE(public_key != nullptr);
        const std::string raw = bytes_of(member(*public_key, "pk"));
        Ed25519Key key{};
        REQUIRE(raw.size() == key.size());
        std::ranges::copy(raw, key.begin());
        for (const auto& test : list(group, "tests")) {
            const bool expected = member(test, "result") == "valid";
            CAPTURE(member(test, "comment"));
            CHECK(verify_ed25519(key, bytes_of(member(test, "msg")), bytes_of(member(test, "sig"))) == expected);
            ++(expected ? valid : invalid);
        }
    }
    CHECK(valid > 50);
    CHECK(invalid > 50);
}
