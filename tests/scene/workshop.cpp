// SPDX-License-Identifier: GPL-2.0-only
#include "tests/scene/workshop.h"

#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "tests/support/sandbox.h"

namespace viscum {

Workshop::Workshop() {
    must(make_directory(path_, 0755));
    const RunOutput made = run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ops", "-f", at("key")});
    REQUIRE_MESSAGE(made.success(), made.err);
}

Workshop::~Workshop() {
    std::filesystem::remove_all(path_);
}

void Workshop::put(const std::string& name, const std::string& bytes) const {
    must(write_file_atomically(at(name), bytes, 0644));
}

std::string Workshop::trust() const {
    constexpr std::size_t kMaxKey = 4096;
    return cat("trust: ['", split(must(read_file(at("key.pub"), kMaxKey)), '\n').front(), "']\n");
}

std::string Workshop::make(const Scene& scene, const std::string& service, const std::string& version,
                           const Argv& words) const {
    const std::string out = at(version + ".bundle");
    Argv all{"bundle", "make", at(service), version, "--out", out};
    all.insert(all.end(), words.begin(), words.end());
    scene.ctl(all);
    return out;
}

bool lacks_ssh_keygen() {
    const bool lacks = access("/usr/bin/ssh-keygen", X_OK) < 0;
    if (lacks) {
        skip("needs ssh-keygen");
    }
    return lacks;
}

}  // namespace viscum
