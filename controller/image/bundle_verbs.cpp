// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/bundle_verbs.h"

#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "controller/bundle/record.h"
#include "controller/image/say.h"
#include "controller/image/stream_reader.h"
#include "controller/ipc/json.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxPartsFile = 64UL * 1024;

std::uint64_t size_of(const BundleManifest& manifest) {
    std::uint64_t bytes = 0;
    for (const auto& part : manifest.parts) {
        bytes += part.size;
    }
    return bytes;
}

/// What a bundle is, with what a verb has to add.
int tell(const Arguments& args, const std::string& done, const BundleManifest& manifest, const std::string& digest,
         const std::string& signer, const std::string& file) {
    if (args.json) {
        JsonOut out;
        out.field("service", manifest.service);
        out.field("version", manifest.version);
        out.field("image", manifest.image);
        out.field("parts", static_cast<std::uint64_t>(manifest.parts.size()));
        out.field("bytes", size_of(manifest));
        out.field("digest", digest);
        out.field("signer", signer);
        out.field("file", file);
        JsonOut document;
        document.member("bundle", std::move(out).text());
        write_out(STDOUT_FILENO, std::move(document).text() + "\n");
        return 0;
    }
    write_out(STDOUT_FILENO, cat(done, " ", manifest.service, " ", manifest.version, ": ", manifest.parts.size(),
                                 manifest.parts.size() == 1 ? " part, " : " parts, ", size_text(size_of(manifest)),
                                 signer.empty() ? "" : cat(", signed by ", signer), "\n"));
    return 0;
}

/// Reads a bundle to its end.
Result<TrustedManifest> verify_all(ByteReader& input, const std::vector<Ed25519Key>& trusted) {
    BundleReader reader(input);
    const auto head = reader.head();
    auto verified = head ? verify_head(*head, trusted) : head.error();
    std::size_t parts = 0;
    while (verified) {
        const auto part = reader.next(verified->manifest);
        if (!part || *part == nullptr) {
            return !part ? part.error()
                   : parts == verified->manifest.parts.size()
                       ? std::move(verified)
                       : bad_bundle(cat("it has ", parts, " of ", verified->manifest.parts.size(), " parts"));
        }
        ++parts;
        if (auto intact = reader.copy(-1); !intact) {
            return std::move(intact).error();
        }
    }
    return verified;
}

}  // namespace

int make(const Arguments& args) {
    // Before a bundle that is there is replaced by one that is not signed.
    if (!args.key.empty() && access(args.key.c_str(), R_OK) != 0) {
        return fail(args, errno_error(cat("no bundle was made: cannot read the key '", args.key, "'")));
    }
    BundleOrder order = args.bundle;
    order.service_file = args.words[1];
    order.out = args.words[2];
    const auto made = make_bundle(order);
    if (!made) {
        return fail(args, made.error().in("no bundle was made"));
    }
    if (!args.key.empty()) {
        if (const auto done = sign_bundle(order.out, args.key); !done) {
            return fail(args, done.error().in(cat(shown(order.out), " was made, and not signed")));
        }
    }
    return tell(args, args.key.empty() ? "made, unsigned:" : "made and signed", *made, "", "", order.out);
}

int sign(const Arguments& args) {
    const std::string& file = args.words[1];
    if (args.key.empty()) {
        return fail(args, Exit::invalid, "no key to sign with", "--key FILE: as ssh-keygen -t ed25519 makes it");
    }
    if (const auto done = sign_bundle(file, args.key); !done) {
        return fail(args, done.error().in(cat("cannot sign ", shown(file))));
    }
    if (args.json) {
        write_out(STDOUT_FILENO, "{}\n");
    } else {
        write_out(STDOUT_FILENO, cat("signed ", printable(file), "\n"));
    }
    return 0;
}

int thin(const Arguments& args) {
    auto paths = args.parts.empty() ? Result<std::string>(std::string()) : read_file(args.parts, kMaxPartsFile);
    auto input = paths ? StreamReader::open(args.words[1]) : paths.error();
    if (!input) {
        return fail(args, input.error());
    }
    auto lines = split(*paths, '\n');
    std::erase(lines, "");
    const auto done = write_thin(**input, lines, STDOUT_FILENO);
    return done ? 0 : fail(args, done.error().in(shown(args.words[1])));
}

int verify(const Arguments& args) {
    if (args.arrival.trusted.empty()) {
        return fail(args, Exit::refused, "no key to verify with",
                    "'trust:' of viscum.yaml lists them, or --trust FILE names one");
    }
    const auto input = StreamReader::open(args.words[1]);
    const auto verified = input ? verify_all(**input, args.arrival.trusted) : input.error();
    if (!verified) {
        return fail(args, verified.error().in(shown(args.words[1])));
    }
    return tell(args, "good:", verified->manifest, "", verified->signer ? fingerprint(*verified->signer) : "",
                args.words[1]);
}

int lacks(const Arguments& args, const Instance& instance) {
    const auto input = StreamReader::open(args.words[1]);
    const auto paths = input ? lacking_parts(instance, **input, args.arrival) : input.error();
    if (!paths) {
        return fail(args, paths.error().in(shown(args.words[1])));
    }
    if (args.json) {
        JsonOut out;
        out.field("parts", *paths);
        write_out(STDOUT_FILENO, std::move(out).text() + "\n");
    } else {
        write_out(STDOUT_FILENO, join(*paths, "\n") + "\n");
    }
    return 0;
}

int install(const Arguments& args, const Instance& instance) {
    const auto input = StreamReader::open(args.words[1]);
    const auto installed = input ? install_bundle(instance, **input, args.arrival) : input.error();
    if (!installed) {
        return fail(args, installed.error().in(cat("nothing was installed: ", shown(args.words[1]))));
    }
    return tell(args, "installed", installed->manifest, installed->digest, installed->signer, installed->file);
}

int versions(const Arguments& args, const Instance& instance) {
    const auto all = list_bundles(instance);
    if (!all) {
        return fail(args, all.error());
    }
    std::string items;
    std::string text = all->empty() ? "no bundles\n" : "";
    for (const auto& one : *all) {
        JsonOut out;
        out.field("service", one.service);
        out.field("version", one.version);
        out.field("digest", one.digest);
        items += cat(items.empty() ? "" : ",", std::move(out).text());
        text += cat(one.service, " ", one.version.empty() ? "damaged" : one.version, " ",
                    one.digest.substr(0, kShortDigest), "\n");
    }
    JsonOut document;
    document.member("bundles", cat("[", items, "]"));
    write_out(STDOUT_FILENO, args.json ? std::move(document).text() + "\n" : text);
    return 0;
}

}  // namespace viscum
