// SPDX-License-Identifier: GPL-2.0-only
// Where an operator makes bundles: a directory with a key of OpenSSH's, gone at the end.
#pragma once

#include <string>

#include "tests/scene/scene.h"

namespace viscum {

class Workshop {
public:
    Workshop();
    ~Workshop();
    Workshop(const Workshop&) = delete;
    Workshop& operator=(const Workshop&) = delete;

    [[nodiscard]] std::string at(const std::string& name) const { return cat(path_, "/", name); }
    void put(const std::string& name, const std::string& bytes) const;
    /// Lines of viscum.yaml by which nobody but the key is trusted.
    [[nodiscard]] std::string trust() const;
    /// VERSION.bundle of the service file `service`; its path. `words` are further ones of viscumctl bundle make.
    [[nodiscard]] std::string make(const Scene& scene, const std::string& service, const std::string& version,
                                   const Argv& words) const;
    [[nodiscard]] Argv signed_by_key() const { return {"--key", at("key")}; }

private:
    std::string path_ = "/tmp/bundles";
};

/// Whether there is no ssh-keygen; the test says that it is skipped.
bool lacks_ssh_keygen();

}  // namespace viscum
