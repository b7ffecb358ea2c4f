// SPDX-License-Identifier: GPL-2.0-only
// Claims that end at a time of day.
#include "base/wall_clock.h"
#include "tests/scene/scene.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

const std::string kPast = "2020-01-01T00:00:00Z";
const std::string kFuture = "2199-12-31T23:59:00Z";

/// The web service, whose claim of IPv4 ends.
ServiceFile web_until(const std::string& until) {
    ServiceFile file = web_service(until);
    file.claims = {cat("203.0.113.10 80 tcp ", until), "2001:db8:c::10 80"};
    return file;
}

/// A connection to the local service, whose claim ends soon, and has not ended yet.
struct Begun {
    KeptConnection connection;
    std::string until;
};

/// Nobody knows how long a deploy takes here: what comes too late is tried again with more time.
Begun begin_before_end(Scene& scene) {
    for (auto ahead = 4s; ahead < 300s; ahead *= 2) {
        const std::string until = format_wall_time(wall_now() + ahead);
        scene.deploy(web_until(until));
        auto connection = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb}));
        if (connection.get().who() == "local") {
            return {std::move(connection), until};
        }
    }
    FAIL("a deploy takes minutes");
    std::abort();
}

bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("until: a claim that ends takes no new flows, open ones go on, and the other claim serves") {
    Scene scene;
    const auto flow = scene.flow();
    Begun begun = begin_before_end(scene);
    CHECK(eventually(kLimit, [&] { return scene.status("web").claims.at(0).ended; }));
    CHECK(flow->wait_for("cloud", boot_now(), kLimit));

    const auto check = [&] {
        CHECK(scene.web() == "cloud");
        CHECK(scene.web(kWeb6) == "local");
        CHECK(begun.connection.get().who() == "local");
        const ServiceReport status = scene.status("web");
        CHECK(status.admission == "serve");
        CHECK(status.claims.at(0).admission == "drain");
        CHECK(status.claims.at(0).until == begun.until);
        CHECK(status.claims.at(0).ended);
        CHECK(status.claims.at(1).admission == "serve");
        CHECK(status.claims.at(1).until.empty());
    };
    check();
    CHECK(eventually(kLimit, [&] {
        return says(scene.ctl({"events", "web"}).out,
                    "its claim of 203.0.113.10:80/tcp ended, and new flows of it go to the cloud");
    }));
    CHECK(says(scene.ctl({"status", "web"}).out, cat(begun.until, " (ended)")));
    CHECK(says(scene.ctl({"list"}).out, "1 of 2 claims ended"));

    scene.viscumd().kill();
    CHECK(scene.web() == "cloud");
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.status("web").health == "healthy"; }));
    check();

    const FlowSummary seen = flow->stop();
    check_flow("a claim that ends", seen, resets_of_changes(1));
    CHECK(seen.local > 0);

    scene.deploy(web_until(kFuture));
    CHECK(scene.web() == "local");
    CHECK_FALSE(scene.status("web").claims.at(0).ended);
    { const auto closed = std::move(begun.connection); }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("until: a service that has ended is deployed, says so, and serves nobody, also after a restart of viscumd") {
    Scene scene;
    ServiceFile file = web_service();
    file.more += cat("until: ", kPast, "\n");
    const std::string why = cat("ended at ", kPast, ": new flows go to the cloud");
    CHECK(says(scene.deploy(file).out, why));
    const auto check = [&] {
        CHECK(scene.web() == "cloud");
        CHECK(scene.web(kWeb6) == "cloud");
        const ServiceReport status = scene.status("web");
        CHECK(status.admission == "drain");
        CHECK(status.health == "healthy");
        CHECK(status.reason == why);
    };
    check();
    CHECK(says(scene.ctl({"list"}).out, why));
    scene.viscumd().kill();
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.status("web").health == "healthy"; }));
    check();
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("until: what must not leave the site does not leave it when its claim has ended") {
    Scene scene;
    ServiceFile file = web_until(kPast);
    file.more += "on_failure: drop\n";
    scene.deploy(file);
    CHECK(scene.web(kWeb6) == "local");
    const HttpResult result = http_get(scene.bed().client(1), {.to = kWeb, .limit = std::chrono::milliseconds(500)});
    CHECK(result.outcome == Outcome::timed_out);
    scene.ctl({"remove", "web"});
    CHECK(scene.web() == "cloud");
    scene.check_no_leak();
}

}  // namespace viscum
