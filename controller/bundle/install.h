// SPDX-License-Identifier: GPL-2.0-only
// How a bundle comes onto a device.
//
//   /var/lib/NAME/bundles/DIGEST/service.yaml   the service's file, with the line `bundle: DIGEST` at its end
//   /var/lib/NAME/bundles/DIGEST/files/         what its `files:` are taken from
//   /var/lib/NAME/bundles/versions/SERVICE      the version that came last, and its DIGEST
//   /var/lib/NAME/bundles/new/                  what is about to come; what stands here at the next time is removed
//
// Its image goes to the image store. All of it is under the store's lock. A bundle is whole or not there: two versions
// of a service have their files beside each other, so that the one before can come back as it was.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/instance.h"
#include "base/result.h"
#include "controller/bundle/reader.h"
#include "controller/image/unpack.h"

namespace viscum {

struct BundleRequest {
    std::vector<Ed25519Key> trusted;  // none: anybody's bundle is taken
    bool allow_downgrade = false;
    std::uint64_t max_bytes = kMaxImageBytes;  // of the image, unpacked
};

struct InstalledBundle {
    BundleManifest manifest;
    std::string digest;
    std::string signer;  // a fingerprint; empty: it was not asked for
    std::string file;    // of the service, for viscumd
};

/// EKEYREJECTED: not signed by somebody trusted, or older than what came last, or of its version and not the same.
/// EBADMSG: damaged, or a part is missing that is needed here. ENOSPC: it does not fit. Nothing was changed then. The
/// same bundle again changes nothing.
Result<InstalledBundle> install_bundle(const Instance& instance, ByteReader& bundle, const BundleRequest& request);

/// The paths of the parts that install_bundle() would need, of a bundle or its head alone; errors as there.
Result<std::vector<std::string>> lacking_parts(const Instance& instance, ByteReader& bundle,
                                               const BundleRequest& request);

struct BundleVersion {
    std::string service;
    std::string version;
    std::string digest;
};
/// What came last, by service. Needs no lock.
Result<std::vector<BundleVersion>> list_bundles(const Instance& instance);

/// Removes bundles that no service uses and that did not come last. Under the image store's lock.
Status prune_bundles(const Instance& instance, const std::set<std::string>& in_use);

}  // namespace viscum
