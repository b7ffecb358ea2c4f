// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/launch.h"

#include <doctest/doctest.h>

#include "controller/daemon/numbers.h"

using namespace viscum;

namespace {

Image image() {
    Image out;
    out.digest = std::string(40, 'a');
    out.command = {"/entrypoint.sh", "serve"};
    out.env = {{"PATH", "/usr/bin"}, {"MODE", "image"}};
    out.directory = "/app";
    out.stop_signal = "QUIT";
    return out;
}

}  // namespace

TEST_CASE("launch: what the file leaves open comes from the image") {
    RunSpec run;
    run.env = {{"MODE", "file"}};
    const RunSpec whole = complete_run(run, image());
    CHECK(whole.command == std::vector<std::string>{"/entrypoint.sh", "serve"});
    CHECK(whole.env == std::map<std::string, std::string>{{"PATH", "/usr/bin"}, {"MODE", "file"}});
    CHECK(whole.directory == "/app");
    CHECK(whole.stop_signal == "QUIT");
}

TEST_CASE("launch: what the file says wins over the image") {
    RunSpec run;
    run.command = {"/bin/other"};
    run.directory = "/srv";
    run.stop_signal = "INT";
    const RunSpec whole = complete_run(run, image());
    CHECK(whole.command == std::vector<std::string>{"/bin/other"});
    CHECK(whole.directory == "/srv");
    CHECK(whole.stop_signal == "INT");
}

TEST_CASE("launch: a service that names no user is somebody of its own") {
    const auto identity = identity_of({}, {"viscum"}, {5, {}});
    REQUIRE(identity);
    CHECK(identity->uid == service_uid("viscum", 5));
    CHECK(identity->gid == identity->uid);
    CHECK(identity->groups.empty());
}

TEST_CASE("launch: an image's user counts unless it is root") {
    RunIdentity own{5, image()};
    own.image->uid = 101;
    own.image->gid = 102;
    CHECK(identity_of({}, {"viscum"}, own)->uid == 101);
    CHECK(identity_of({}, {"viscum"}, own)->gid == 102);
    own.image->uid = 0;
    own.image->gid = 0;
    CHECK(identity_of({}, {"viscum"}, own)->uid == service_uid("viscum", 5));
    own.image->uid.reset();
    CHECK(identity_of({}, {"viscum"}, own)->uid == service_uid("viscum", 5));
}

TEST_CASE("launch: nobody is given an account that is a service's own") {
    RunSpec run;
    run.user = std::to_string(service_uid("viscum", 7));
    CHECK_FALSE(identity_of(run, {"viscum"}, {5, {}}));
    run.user = std::to_string(prober_uid("edge"));
    CHECK_FALSE(identity_of(run, {"viscum"}, {5, image()}));
    RunIdentity own{5, image()};
    own.image->uid = service_uid("viscum", 7);
    CHECK_FALSE(identity_of({}, {"viscum"}, own));
}

TEST_CASE("launch: a number in an image has nothing of the host's account of that number") {
    RunSpec run;
    run.user = "0";
    const auto identity = identity_of(run, {"viscum"}, {5, image()});
    REQUIRE(identity);
    CHECK(identity->uid == 0);
    CHECK(identity->home == "/");
    CHECK(identity->name.empty());
    CHECK(identity->groups.empty());
}

TEST_CASE("launch: limits that the file does not state are kept, and asked for by nobody") {
    LimitsSpec limits;
    CHECK(group_limits(limits, 1000) == CgroupLimits{500, {}, 512});
    CHECK(stated_limits(limits) == CgroupLimits{});
    limits.memory = {64, LimitsSpec::Source::file};
    limits.pids = {0, LimitsSpec::Source::none};
    CHECK(group_limits(limits, 1000) == CgroupLimits{64, {}, {}});
    CHECK(stated_limits(limits) == CgroupLimits{64, {}, {}});
}
