// SPDX-License-Identifier: GPL-2.0-only
// What is done with a bundle that was made: it is signed, and thinned out.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "base/file.h"
#include "base/text.h"
#include "controller/bundle/files.h"
#include "controller/bundle/write.h"

namespace viscum {
namespace {

/// The other parts of a bundle as they come, after another head.
Status copy_parts(BundleReader& reader, const BundleManifest& manifest, int out,
                  const std::function<bool(const BundlePart&)>& wanted) {
    while (true) {
        const auto part = reader.next(manifest);
        if (!part || *part == nullptr) {
            return part ? Status() : Status(part.error());
        }
        if (!wanted(**part)) {
            continue;
        }
        if (auto written = write_all(out, cat("part ", (*part)->path, "\n")); !written) {
            return written;
        }
        if (auto copied = reader.copy(out); !copied) {
            return copied;
        }
    }
}

/// A directory for a moment.
class Workshop {
public:
    static Result<Workshop> open() {
        const char* place = std::getenv("TMPDIR");
        std::string path = cat(place == nullptr || *place == '\0' ? "/tmp" : place, "/viscum-bundle-XXXXXX");
        return mkdtemp(path.data()) == nullptr ? Result<Workshop>(errno_error(cat("cannot make '", path, "'")))
                                               : Result<Workshop>(Workshop(std::move(path)));
    }
    Workshop(Workshop&& other) noexcept : path_(std::exchange(other.path_, "")) {}
    Workshop& operator=(Workshop&&) = delete;
    Workshop(const Workshop&) = delete;
    Workshop& operator=(const Workshop&) = delete;
    ~Workshop() {
        if (!path_.empty()) {
            (void)remove_directory(path_);
        }
    }
    [[nodiscard]] std::string at(const char* name) const { return cat(path_, "/", name); }

private:
    explicit Workshop(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

Status run_ssh_keygen(const std::string& key, const std::string& text_file) {
    const pid_t child = fork();
    if (child < 0) {
        return errno_error("cannot fork");
    }
    if (child == 0) {
        const std::string space(kSignatureNamespace);
        execlp("ssh-keygen", "ssh-keygen", "-q", "-Y", "sign", "-f", key.c_str(), "-n", space.c_str(),
               text_file.c_str(), nullptr);
        _exit(127);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        return Error{ENOENT, "ssh-keygen is what signs, and is not there: install OpenSSH's client"};
    }
    return status == 0 ? Status() : Status(Error{EINVAL, cat("ssh-keygen did not sign with '", key, "'")});
}

}  // namespace

Status sign_bundle(const std::string& file, const std::string& key) {
    const auto bundle = open_file(file);
    if (!bundle) {
        return bundle.error();
    }
    FileReader input(bundle->fd.get(), 0, bundle->size);
    BundleReader reader(input);
    const auto head = reader.head();
    const auto manifest = head ? decode_manifest(head->manifest) : head.error();
    const auto workshop = manifest ? Workshop::open() : manifest.error();
    if (!workshop) {
        return workshop.error();
    }
    auto signature = write_file_atomically(workshop->at("manifest"), head->manifest, 0600);
    signature = signature ? run_ssh_keygen(key, workshop->at("manifest")) : std::move(signature);
    if (!signature) {
        return signature;
    }
    auto added = read_file(workshop->at("manifest.sig"), kMaxSignatures);
    if (!added) {
        return added.error();
    }
    // A key that no device can know is told now, and not there.
    const std::string signatures = head->signatures + *added;
    const auto signers = signers_of(head->manifest, signatures);
    if (!signers || signatures.size() > kMaxSignatures) {
        return signers ? bad_bundle("it has too many signatures") : signers.error();
    }
    if (std::ranges::count(*signers, signers->back()) > 1) {
        return Error{EEXIST, cat(fingerprint(signers->back()), " has signed it")};
    }
    auto out = NewFile::open(file);
    if (!out) {
        return out.error();
    }
    auto written =
        write_all(out->fd(), cat(bundle_line({head->manifest.size(), signatures.size()}), head->manifest, signatures));
    if (written) {
        written = copy_parts(reader, *manifest, out->fd(), [](const BundlePart&) { return true; });
    }
    return written ? out->keep() : std::move(written);
}

Status write_thin(ByteReader& bundle, const std::vector<std::string>& paths, int out) {
    BundleReader reader(bundle);
    const auto head = reader.head();
    const auto manifest = head ? decode_manifest(head->manifest) : head.error();
    if (!manifest) {
        return manifest.error();
    }
    const auto line = bundle_line({head->manifest.size(), head->signatures.size()});
    if (auto written = write_all(out, cat(line, head->manifest, head->signatures)); !written) {
        return written;
    }
    return paths.empty() ? Status() : copy_parts(reader, *manifest, out, [&paths](const BundlePart& part) {
        return std::ranges::find(paths, part.path) != paths.end();
    });
}

}  // namespace viscum
