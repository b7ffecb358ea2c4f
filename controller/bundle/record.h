// SPDX-License-Identifier: GPL-2.0-only
// What stands on a device of the bundles that came, as viscumd reads it too; install.h writes it.
//
//   /var/lib/NAME/bundles/DIGEST/service.yaml   the service's file, with the line `bundle: DIGEST` at its end
//   /var/lib/NAME/bundles/DIGEST/files/         what its `files:` are taken from
//   /var/lib/NAME/bundles/DIGEST/image          where it brought one: the image's name and digest
//   /var/lib/NAME/bundles/DIGEST/version        its version
//   /var/lib/NAME/bundles/versions/SERVICE      the version that came last, and its DIGEST
//   /var/lib/NAME/bundles/new/                  what is about to come or to go; what stands here next time is removed
//
// DIGEST: 40 digits of the manifest's SHA-256.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instance.h"
#include "base/result.h"

namespace viscum {

std::string bundles_dir(const Instance& instance);
std::string bundle_path(const Instance& instance, const std::string& digest);

struct BundleVersion {
    std::string service;
    std::string version;
    std::string digest;  // empty, as is the version: the record is damaged
};
/// What came last of a service; nullopt: nothing did.
Result<std::optional<BundleVersion>> last_version(const Instance& instance, const std::string& service);
/// Of all services, by name.
Result<std::vector<BundleVersion>> list_bundles(const Instance& instance);

struct BundleImage {
    std::string name;
    std::string digest;
};
/// The image that a bundle brought; nullopt: it brought none.
Result<std::optional<BundleImage>> bundle_image(const Instance& instance, const std::string& digest);

/// The version of a bundle that is there; "?" where that cannot be read.
std::string bundle_version(const Instance& instance, const std::string& digest);

/// What a bundle makes of a service's file: the text, and a line that says from where its `files:` come. And that line
/// of a file, read back: a digest, or "".
std::string bundled_text(std::string_view text, std::string_view digest);
std::string bundle_of(std::string_view text);

}  // namespace viscum
