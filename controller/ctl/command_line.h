// SPDX-License-Identifier: GPL-2.0-only
// What may be said to viscumctl, and what was. CLI11 is known to command_line.cpp and viscumctl.cpp alone.
#pragma once

#include <string>
#include <vector>

#include "base/instance.h"
#include "controller/ctl/bundle.h"

namespace CLI {
class App;
}

namespace viscum {

/// What the command line says.
struct Arguments {
    std::string instance = Instance{}.name;
    bool json = false;
    std::vector<std::string> files;
    std::string config;  // a file in place of the router's own
    std::string service;
    std::string wait;
    std::string confirm;
    bool dry_run = false;
    bool all = false;
    bool follow = false;
    std::string lines = "100";
    std::string since;
    std::vector<std::string> command;
    std::string image;  // a file, or a name
    std::string image_name;
    std::string image_limit;
    bool force = false;
    std::string backup;  // a file
    bool exact = false;
    BundleMake bundle;
    std::vector<std::string> keys;
    std::string parts;
    bool allow_downgrade = false;
    std::string flow_source;
    std::string flow_destination;
    std::string days;
    bool csv = false;
    std::string role;
    std::string key;
};

/// The verbs with their options, each of which fills its place in `args`, which outlives `app`.
void add_verbs(CLI::App& app, Arguments& args);

}  // namespace viscum
