// SPDX-License-Identifier: GPL-2.0-only
// viscumctl's verbs. Each writes its result or its error to the console and returns the exit code (`Code` of frame.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/instance.h"
#include "controller/ctl/console.h"
#include "controller/ctl/start_command.h"

namespace viscum {

/// Whom a verb speaks to, where it looks, and how it answers. Tests put the paths elsewhere.
struct Session {
    Session(const Instance& of, std::string images, Console with)
        : instance(of.name),
          socket(of.socket_path()),
          config(of.config_file()),
          logs(of.log_dir()),
          events(of.events_file()),
          image_program(std::move(images)),
          start(start_command(of.name)),
          console(std::move(with)) {}
    std::string instance;
    std::string socket;
    std::string config;
    std::string logs;
    std::string events;
    std::string image_program;  // viscum-image
    std::string start;          // what starts the viscumd that does not run
    std::string by;             // the name of the key that asks; empty: root in person
    Console console;
};

constexpr std::size_t kMaxConfig = 256UL * 1024;  // bytes of viscum.yaml

struct DeployOptions {
    std::optional<Millis> wait;
    std::optional<Millis> confirm;  // the version before comes back after this time, unless it is confirmed
    bool dry_run = false;
};

/// All files in one request: the daemon takes all or none. No invalid file gets that far. An `image:` that is a file
/// beside its service file is imported first, under the name that stands there.
/// Refused where `trust:` asks for signed bundles; only a dry run is not.
int deploy(const Session& session, const std::vector<std::string>& paths, const DeployOptions& options);
/// The file that a verified bundle brought. Its image is in the store already: what has its name beside the file is
/// none.
int deploy_bundled(const Session& session, const std::string& path, const DeployOptions& options);
/// What a deploy of these files would do; without files, what the daemon is about to do.
int plan(const Session& session, const std::vector<std::string>& paths);
/// `verb`: remove, restart, drain or resume (service "": all), confirm or revert (service "": all on trial).
int change(const Session& session, const std::string& verb, const std::string& service, std::optional<Millis> wait);
int list(const Session& session);
/// `service` "": the daemon and all services.
int status(const Session& session, const std::string& service);
/// What a service can do, and how much that is.
int audit(const Session& session, const std::string& service);
/// Without the daemon: each file by itself, and against `claimable` where the configuration can be read. `other_config`
/// is checked in its place; empty: none.
int validate(const Session& session, const std::vector<std::string>& paths, const std::string& other_config = "");
/// That no daemon runs is no error.
int version(const Session& session);

/// Asks the daemon. What keeps it from answering is an answer as well, with its code and a hint.
Response ask(const Session& session, const Request& request);

}  // namespace viscum
