// SPDX-License-Identifier: GPL-2.0-only
// `viscumctl bundle`: a service with its files and its image in one file, signed. viscum-image makes and reads it; what
// is YAML is read here. See controller/bundle/manifest.h for the format.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/ctl/commands.h"

namespace viscum {

struct BundleMake {
    std::string service_file;
    std::string version;
    std::string out;       // empty: NAME-VERSION.bundle, here
    std::string files;     // the directory that `files:` are taken from; empty: the service file's own
    std::string image;     // a file or directory; empty: what `image:` names beside the service file
    std::string platform;  // "linux/arm/v7"; empty: this machine's
    std::string key;       // to sign with; empty: it is not signed
};

/// On the operator's machine: neither viscumd nor root is needed.
int bundle_make(const Session& session, const BundleMake& make);
int bundle_sign(const Session& session, const std::string& file, const std::string& key);
/// `keys`: .pub files; none: those of `trust:`.
int bundle_verify(const Session& session, const std::string& file, const std::vector<std::string>& keys);
/// To stdout: what a device asks for first, and then, with `parts`, what it lacked.
int bundle_thin(const Session& session, const std::string& file, const std::string& parts);

/// On the device; `file` "-": standard input.
int bundle_lacks(const Session& session, const std::string& file, bool allow_downgrade);
/// Verified, unpacked, and deployed.
int bundle_install(const Session& session, const std::string& file, bool allow_downgrade, const DeployOptions& options);
int bundle_list(const Session& session);

/// Why a service file that no bundle brought is refused here: `trust:` names who is to sign. nullopt: it is not.
std::optional<Response> refuse_unsigned(const Session& session);

}  // namespace viscum
