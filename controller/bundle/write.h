// SPDX-License-Identifier: GPL-2.0-only
// Where bundles are made: on the operator's machine, without privilege. An image that is put into one is read here
// without a cage; the device reads it in one.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "controller/bundle/reader.h"

namespace viscum {

struct BundleOrder {
    std::string out;  // the file that is made
    std::string service;
    std::string version;
    std::string service_file;
    std::vector<std::pair<std::string, std::string>> files;  // names, and where they are
    std::string image_name;                                  // empty: none
    std::string image_file;
    std::string platform;  // "linux/arm/v7": of an image for several; empty: this machine's
};

/// The same order makes the same bytes. EBADMSG: what goes in is not valid. Nothing is left of a bundle that fails.
Result<BundleManifest> make_bundle(const BundleOrder& order);

/// One signature more, by ssh-keygen with the key in a file (a private one, or the public one of an agent's). It may
/// ask at the terminal. Parts and signatures that the bundle has are verified, though by nobody trusted. EEXIST: the
/// key has signed it.
Status sign_bundle(const std::string& file, const std::string& key);

/// The head, and of the parts those in `paths`, to `out`.
Status write_thin(ByteReader& bundle, const std::vector<std::string>& paths, int out);

}  // namespace viscum
