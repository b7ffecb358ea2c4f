// SPDX-License-Identifier: GPL-2.0-only
// viscumctl doctor on a real hotspot.
#include <doctest/doctest.h>

#include <algorithm>

#include "base/text.h"
#include "controller/ipc/json.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

struct Found {
    std::string check;
    std::string severity;
    std::string what;
    std::string mend;
};

template <class Io, FieldsOf<Found> F>
void fields(Io& io, F& found) {
    io.field("check", found.check);
    io.field("severity", found.severity);
    io.field("what", found.what);
    io.field("mend", found.mend);
}

struct Diagnosed {
    std::uint64_t code = 0;
    std::string grade;
    std::vector<Found> findings;
};

Diagnosed doctor(const Scene& scene, int expected) {
    const RunOutput output = scene.ctl({"doctor", "--json"}, expected);
    const auto json = parse_json(output.out);
    REQUIRE_MESSAGE(json, output.out);
    JsonIn in(*json);
    Diagnosed diagnosed;
    in.field("code", diagnosed.code);
    in.field("grade", diagnosed.grade);
    in.field("findings", diagnosed.findings);
    REQUIRE(in.status());
    CHECK(diagnosed.code == static_cast<std::uint64_t>(expected));
    return diagnosed;
}

/// Of the first finding of a check.
Found of(const Diagnosed& diagnosed, const std::string& check) {
    const auto found = std::ranges::find(diagnosed.findings, check, &Found::check);
    return found == diagnosed.findings.end() ? Found{} : *found;
}

}  // namespace

TEST_CASE("doctor: finds nothing on a hotspot that serves, and leaves nothing behind") {
    Scene scene;
    scene.deploy(web_service());
    const Diagnosed diagnosed = doctor(scene, 0);
    CHECK(diagnosed.grade == "socket");
    for (const Found& found : diagnosed.findings) {
        CHECK_MESSAGE(found.severity != "problem", found.check, ": ", found.what);
    }
    CHECK(of(diagnosed, "kernel").severity == "good");
    CHECK(of(diagnosed, "viscumd").severity == "good");
    CHECK(of(diagnosed, "lan").severity == "good");
    CHECK(scene.web() == "local");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("doctor: names what keeps a service from being served, and is exit code 1") {
    Scene scene;
    scene.write_config("lan: [br-lan, br-guest]\n");
    const Diagnosed diagnosed = doctor(scene, 1);
    CHECK(of(diagnosed, "lan").what == "no device is named 'br-guest'");
    const std::string text = scene.ctl({"doctor"}, 1).out;
    CHECK(text.find("problem  lan            no device is named 'br-guest'\n") != std::string::npos);
}

TEST_CASE("doctor: says what it can see where no viscumd runs") {
    Scene scene;
    scene.viscumd().stop();
    const Diagnosed diagnosed = doctor(scene, 1);
    CHECK(of(diagnosed, "viscumd").what == "no viscumd runs for instance 'viscum'");
    CHECK(of(diagnosed, "viscumd").mend == "start it with: viscumd");
    CHECK(of(diagnosed, "kernel").severity == "good");
}

}  // namespace viscum
