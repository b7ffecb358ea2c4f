// SPDX-License-Identifier: GPL-2.0-only
// viscum-image: images and bundles. Run by viscumctl, and by hand.
#include <sodium.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/build_info.h"
#include "base/text.h"
#include "controller/image/arguments.h"
#include "controller/image/backup_verbs.h"
#include "controller/image/bundle_verbs.h"
#include "controller/image/image_verbs.h"
#include "controller/image/say.h"

namespace {

using namespace viscum;

constexpr std::string_view kUsage =
    "Usage: viscum-image [--instance NAME] [--json] VERB\n"
    "  import FILE [--name NAME] [--limit SIZE]   add an image: an OCI layout (a directory or a tar), or what\n"
    "                                             'docker save' wrote; SIZE is 512M, 2G, ...: unpacked, at most\n"
    "  list                                       one line per image\n"
    "  remove NAME [--in-use DIGEST]...           remove an image, and what no other image needs\n"
    "  prune [--in-use DIGEST]...                 remove images without a name, and bundles\n"
    "  bundle-make FILE OUT ...                   the verbs of 'viscumctl bundle', which says what they take:\n"
    "  bundle-sign, -verify, -thin, -lacks, -install FILE ..., bundle-list\n"
    "  backup OUT [--drained SERVICE]...          the instance's configuration and services, as one tar\n"
    "  backup-stage FILE DIR                      read and verify such a tar, and put what it holds into DIR\n"
    "Exit codes: 0 done, 2 usage or invalid image or bundle, 5 refused, 6 no such image, 1 anything else.\n";

/// Without a device's store.
template <int (*action)(const Arguments&)>
int alone(const Arguments& args, const Instance&) {
    return action(args);
}

struct Verb {
    std::string_view name;
    std::size_t operands;
    int (*run)(const Arguments&, const Instance&);
};

constexpr std::array kVerbs{
    Verb{"import", 1, import_image},       Verb{"list", 0, list_all},
    Verb{"remove", 1, remove_image},       Verb{"prune", 0, prune_all},
    Verb{"bundle-make", 2, alone<make>},   Verb{"bundle-sign", 1, alone<sign>},
    Verb{"bundle-thin", 1, alone<thin>},   Verb{"bundle-verify", 1, alone<verify>},
    Verb{"bundle-lacks", 1, lacks},        Verb{"bundle-install", 1, install},
    Verb{"bundle-list", 0, versions},      Verb{"backup", 1, backup},
    Verb{"backup-stage", 2, alone<stage>},
};

std::string all_verbs() {
    std::vector<std::string> names;
    for (const auto& verb : kVerbs) {
        names.emplace_back(verb.name);
    }
    return cat("verbs are: ", join(names, ", "));
}

int run(const std::vector<std::string>& words) {
    Arguments args;
    // Known before a mistake is met, so that it is told in the form that was asked for.
    args.json = std::ranges::find(words, "--json") != words.end();
    if (sodium_init() < 0) {
        return fail(args, Exit::failed, "cannot start libsodium", "");
    }
    if (const auto mistake = read_arguments(words, args); !mistake.empty()) {
        return fail(args, Exit::invalid, mistake, "see: viscum-image --help");
    }
    if (args.help || args.version) {
        write_out(STDOUT_FILENO, args.help ? std::string(kUsage) : cat("viscum-image ", kVersion, "\n"));
        return 0;
    }
    const std::string name = args.words.empty() ? "" : args.words.front();
    const auto* const verb = std::ranges::find(kVerbs, name, &Verb::name);
    if (verb == kVerbs.end()) {
        return fail(args, Exit::invalid, name.empty() ? "no verb" : cat("there is no verb '", name, "'"), all_verbs());
    }
    if (args.words.size() != verb->operands + 1) {
        constexpr std::array<std::string_view, 3> kCounts = {"no argument", "one argument", "two arguments"};
        return fail(args, Exit::invalid, cat("'", name, "' takes ", kCounts[verb->operands]), all_verbs());
    }
    if (name == "import") {
        args.request.file = args.words[1];
    }
    const auto instance = Instance::parse(args.instance);
    return instance ? verb->run(args, *instance) : fail(args, Exit::invalid, instance.error().what, "");
}

}  // namespace

int main(int argc, char** argv) {
    return run({argv + 1, argv + argc});
}
