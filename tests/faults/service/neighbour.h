// SPDX-License-Identifier: GPL-2.0-only
// What the tests of services that go wrong have in common: the service that goes wrong, one beside it that must not
// notice, and the oracles over both.
#pragma once

#include <string>
#include <vector>

#include "tests/faults/oracle/oracle.h"
#include "tests/scene/scene.h"

namespace viscum {

/// Of "moody" and "greedy"; kWeb is the neighbour's.
extern const Endpoint kBad;  // 203.0.113.20:80

/// tests/faults/service/moody as "moody" for kBad, with these lines of YAML.
ServiceFile moody_service(const std::string& more, bool litter = false);
/// How it behaves from the next connection on.
void set_mood(const std::string& mood);
/// An HTTP probe that notices within a second, as a line of YAML.
std::string eager_probe(const std::string& kind = "http: { port: 80, path: /healthz }");

/// tests/e2e/attacker as "greedy" for kBad, obeying what a path asks for.
ServiceFile greedy_service(const std::string& more);
/// Says "greedy" what to do. It may not live to answer.
void ask(Scene& scene, const std::string& path);

/// viscumd's service "web" with a client without pause, while this object lives.
class Neighbour {
public:
    /// Its probe is patient: a machine that is busy is no fault of viscumd's.
    explicit Neighbour(Scene& scene);
    /// FLOW: all that its client asked was answered, and by it alone. STATE: what viscumd keeps can be read.
    void check();

private:
    Scene& scene_;
    std::unique_ptr<FlowClient> flow_;
};

/// Removes these services. LEAK: no control group of theirs stays, nor anything else.
void check_end(Scene& scene, const std::vector<std::string>& services);

/// The groups of the instance, in all hierarchies that are to be seen.
std::vector<std::string> groups();
/// Whether limits of memory and processes can be kept here; else the test is skipped.
bool can_limit(Scene& scene);

/// Its new flows are given to the cloud within kLimit.
bool becomes_unhealthy(const Scene& scene, const std::string& service);
/// Whether it holds `what`; shown where it does not.
bool mentions(const std::string& text, const std::string& what);
/// LOG: the cause, in one line, and nothing else.
void check_log(Scene& scene, const std::string& cause);

}  // namespace viscum
