// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/start_command.h"

#include <unistd.h>

#include "base/instance.h"

namespace viscum {

std::string start_command(const std::string& instance, const std::string& root) {
    const auto runs = [&](const std::string& path) { return access((root + path).c_str(), X_OK) == 0; };
    const auto is_there = [&](const std::string& path) { return access((root + path).c_str(), F_OK) == 0; };
    if (const std::string script = "/etc/init.d/" + instance; runs(script)) {
        return script + " start";
    }
    if (instance != Instance{}.name) {
        return "viscumd --instance " + instance;
    }
    // The directory is how systemd says that it runs: sd_booted(3).
    const bool unit =
        is_there("/usr/lib/systemd/system/viscumd.service") || is_there("/etc/systemd/system/viscumd.service");
    return is_there("/run/systemd/system") && unit ? "systemctl start viscumd" : "viscumd";
}

}  // namespace viscum
