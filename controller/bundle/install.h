// SPDX-License-Identifier: GPL-2.0-only
// How a bundle comes onto a device, and goes again: what is there is in record.h, its image in the image store.
//
// A bundle is whole or not there: two versions of a service have their files beside each other, so that the one before
// can come back as it was. All changes are under the image store's lock.
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
/// EBADMSG: damaged, or a part is missing that is needed here. ENOSPC: it does not fit. No bundle and no version was
/// changed then; where the medium fails after the image was added, that stays, and goes with prune_bundles(). The same
/// bundle again changes nothing, but puts back what was damaged of it.
///
/// Nobody else may change the image store while the parts come.
Result<InstalledBundle> install_bundle(const Instance& instance, ByteReader& bundle, const BundleRequest& request);

/// The paths of the parts that install_bundle() would need, of a bundle or its head alone; errors as there.
Result<std::vector<std::string>> lacking_parts(const Instance& instance, ByteReader& bundle,
                                               const BundleRequest& request);

/// Removes bundles that no service uses and that did not come last, and the names of their images. Under the image
/// store's lock, and before ImageStore::prune().
Status prune_bundles(const Instance& instance, const std::set<std::string>& in_use);

}  // namespace viscum
