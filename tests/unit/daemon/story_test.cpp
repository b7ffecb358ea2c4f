// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/story.h"

#include <doctest/doctest.h>

#include "base/text.h"

using namespace viscum;
using namespace std::chrono_literals;

namespace {

ServiceNow service(bool healthy, bool served) {
    ServiceNow now;
    now.state = RunState::up;
    now.starts = 1;
    now.process = true;
    now.healthy = healthy;
    now.served = served;
    now.end = [] { return "killed by SIGKILL"; };
    now.why = [] { return "no answer within 1s"; };
    return now;
}

std::string told(const std::vector<Event>& events) {
    std::vector<std::string> lines;
    for (const auto& event : events) {
        lines.push_back(cat(event.kind, '(', event.service, "): ", event.text));
    }
    return join(lines, "\n");
}

std::string told(Story& story, const ServiceNow& now, BootTime at) {
    return told(story.look({{"web", now}}, at));
}

}  // namespace

TEST_CASE("story: nothing at the first look, and nothing where nothing changes") {
    Story story;
    CHECK(told(story, service(true, true), 1s) == "");
    CHECK(told(story, service(true, true), 2s) == "");
}

TEST_CASE("story: a process that ends, what becomes of its flows, and how long that took") {
    Story story;
    CHECK(told(story, service(true, true), 1s) == "");
    ServiceNow now = service(false, false);
    now.process = false;
    now.state = RunState::backoff;
    now.sign = FirstSign::Sign{10s, FirstSign::Cause::exited};
    CHECK(told(story, now, 10s + 3'100us) ==
          "exited(web): its process ended: killed by SIGKILL; it is started again after a pause\n"
          "cloud(web): its new flows go to the cloud: its process ended, and 3.1 ms later the rules stood");
    now.process = true;
    now.starts = 2;
    now.state = RunState::starting;
    CHECK(told(story, now, 11s) == "");
    now = service(true, true);
    now.starts = 2;
    CHECK(told(story, now, 12s) ==
          "healthy(web): it is started again, and healthy again, after 2.0 s\n"
          "local(web): its new flows are served here again, after 1.9 s");
    // So fast that no look came between.
    now.starts = 3;
    CHECK(told(story, now, 13s).starts_with("exited(web): its process ended: killed by SIGKILL"));
}

TEST_CASE("story: probes that fail, a hold-down, and an end for good") {
    Story story;
    story.look({{"web", service(true, true)}}, 1s);
    ServiceNow now = service(false, false);
    now.sign = FirstSign::Sign{4s, FirstSign::Cause::unhealthy};
    now.on_failure = OnFailure::drop;
    CHECK(told(story, now, 5s) ==
          "unhealthy(web): it is unhealthy: no answer within 1s\n"
          "cloud(web): its new flows are dropped: its probes failed, and 1.0 s later the rules stood");
    now = service(true, false);
    now.held_down = true;
    CHECK(
        told(story, now, 6s) ==
        "healthy(web): it is healthy again, after 2.0 s\n"
        "held-down(web): it went down too often, and is held down: its new flows go to the cloud for a while even when "
        "it is healthy");
    now = service(false, false);
    now.process = false;
    now.state = RunState::failed;
    CHECK(told(story, now, 7s) ==
          "failed(web): its process ended: killed by SIGKILL; its file asks for no other start");
}

TEST_CASE("story: what cannot be started, what is drained, and what goes") {
    Story story;
    story.look({{"web", service(true, true)}}, 1s);
    ServiceNow now = service(true, false);
    now.drained = true;
    CHECK(told(story, now, 2s) == "cloud(web): its new flows go to the cloud: it is drained");
    now.removed = true;
    now.state = RunState::stopping;
    CHECK(told(story, now, 3s) == "");
    now.process = false;
    CHECK(told(story, now, 4s) == "");
    CHECK(told(story.look(std::map<std::string, ServiceNow>{}, 5s)) == "gone(web): nothing of it is left here");
    now = service(false, false);
    now.process = false;
    now.state = RunState::preparing;
    now.starts = 0;
    CHECK(told(story, now, 6s) == "");
    now.state = RunState::backoff;
    CHECK(told(story, now, 7s) == "not-started(web): it cannot be started, and is tried again: no answer within 1s");
}

TEST_CASE("story: another version's run is none of this one's") {
    Story story;
    story.look({{"web", service(true, true)}}, 1s);
    ServiceNow now = service(true, true);
    now.slot = 1;
    now.starts = 5;
    CHECK(told(story, now, 2s) == "");
}

TEST_CASE("story: LAN devices come, go, and get their filter back") {
    Story story;
    const LanDevice plain{"lan1", "", true, "", true};
    story.look(std::vector<LanDevice>{plain});
    CHECK(told(story.look(std::vector<LanDevice>{plain, {"wlan0", "br-lan", true, "", true}})) ==
          "lan-attached(): wlan0: its packets are looked at, as a port of br-lan");
    Step attach{Step::Kind::attach_lan, {}, "lan1"};
    story.did(attach);
    CHECK(told(story.look(std::vector<LanDevice>{plain})) ==
          "lan-mended(): lan1: the filter was put back: another tool had removed it\n"
          "lan-gone(): wlan0: the device is gone, or 'lan:' does not name it any more");
    CHECK(told(story.look(std::vector<LanDevice>{{"lan1", "", false, "it has no room", true}})) ==
          "lan-trouble(): lan1: it has no room");
    story.did(attach);
    CHECK(told(story.look(std::vector<LanDevice>{plain})) == "lan-attached(): lan1: its packets are looked at");
}

TEST_CASE("story: a link that another tool removed is told, and one that is made first is not") {
    Story story;
    const Step link{Step::Kind::make_link, {"web", 0}, ""};
    story.did(link);
    story.look({{"web", service(true, true)}}, 1s);
    CHECK(told(story, service(true, true), 2s) == "");
    story.did(link);
    CHECK(told(story, service(true, true), 3s) == "mended(web): its link was made again: another tool had removed it");
}

TEST_CASE("story: one of several claims that ends is told once, and not where another version brings it along") {
    Story story;
    ServiceNow now = service(true, true);
    CHECK(told(story, now, 1s) == "");
    now.ended = {"203.0.113.10:80/tcp"};
    CHECK(told(story, now, 2s) ==
          "claim-ended(web): its claim of 203.0.113.10:80/tcp ended, and new flows of it go to the cloud");
    CHECK(told(story, now, 3s) == "");
    now.ended.emplace_back("[2001:db8::10]:80/tcp");
    CHECK(told(story, now, 4s).find("its claim of [2001:db8::10]:80/tcp ended") != std::string::npos);
    now.slot = 1;
    now.ended.emplace_back("203.0.113.10:443/tcp");
    CHECK(told(story, now, 5s) == "");
}
