// SPDX-License-Identifier: GPL-2.0-only
// viscum-image's command line. CLI11 would be a quarter of the program.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/instance.h"
#include "controller/bundle/install.h"
#include "controller/bundle/write.h"
#include "controller/image/store.h"

namespace viscum {

struct Arguments {
    std::string instance = Instance{}.name;
    bool json = false;
    bool help = false;
    bool version = false;
    std::vector<std::string> words;  // the verb and what it is about
    ImportRequest request;
    std::set<std::string> in_use;
    BundleOrder bundle;
    BundleRequest arrival;
    std::string key;                   // to sign with
    std::vector<std::string> drained;  // services, for a backup
    std::string parts;                 // a file with their paths
};

/// Why the command line is not understood; empty: it is.
std::string read_arguments(const std::vector<std::string>& words, Arguments& args);

}  // namespace viscum
