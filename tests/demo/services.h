// SPDX-License-Identifier: GPL-2.0-only
// The demonstration's three services: as the cloud runs them, and as the service files that put them on the hotspot.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "tests/support/bed.h"
#include "tests/support/endpoint.h"
#include "tests/support/program.h"

namespace viscum {

extern const Endpoint kWeb;
extern const Endpoint kWeb6;
extern const Endpoint kDns;
extern const Endpoint kSpeed;

/// The hotspot's viscum.yaml.
std::string router_config();

/// nginx, dnsmasq and iperf3 in the cloud's namespace.
Result<std::vector<Program>> start_cloud(const Bed& bed);

/// Writes a service file each and returns its path. They answer "local" where the cloud's twins answer "cloud".
Result<std::string> web_service_file();
Result<std::string> dns_service_file();
Result<std::string> speed_service_file();

/// How soon a web service that hangs is withdrawn: fall x interval + timeout of its file.
constexpr std::chrono::milliseconds kWithdrawnWithin{2 * 500 + 300};

}  // namespace viscum
