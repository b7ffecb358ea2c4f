// SPDX-License-Identifier: GPL-2.0-only
// Netlink that loses news and answers, refuses, or finds what it is to make: viscumd looks again and gets there.
#include <algorithm>
#include <random>

#include "base/file.h"
#include "tests/faults/network/faults.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

/// Messages that the kernel dropped for want of room in a socket of the hotspot's namespace (/proc/net/netlink).
std::uint64_t dropped(Scene& scene) {
    std::uint64_t sum = 0;
    for (const std::string& line : split(in_hotspot(scene, {"cat", "/proc/net/netlink"}), '\n')) {
        std::vector<std::string> words;
        for (std::string& word : split(line, ' ')) {
            if (!word.empty()) {
                words.push_back(std::move(word));
            }
        }
        sum += words.size() > 8 ? parse_decimal(words[8], UINT64_MAX).value_or(0) : 0;
    }
    return sum;
}

void storm(Scene& scene) {
    constexpr int kChanges = 3'000;
    std::string lines = "link add storm type bridge\n";
    for (int change = 0; change < kChanges; ++change) {
        lines += cat("link set storm mtu ", 1300 + change % 100, "\n");
    }
    must(ip_batch(scene.bed().hotspot(), lines + "link del storm\n"));
}

/// Not of the other device, whose client runs without pause.
void take_filter(Scene& scene) {
    in_hotspot(scene, {"tc", "qdisc", "del", "dev", "lan1", "clsact"});
}

}  // namespace

TEST_CASE("fault 23: news that do not fit are no news lost: everything is looked at again") {
    Scene scene;
    scene.deploy(web_service());
    const Snapshot before = must(take_snapshot());
    const std::uint64_t drops = dropped(scene);
    const std::string link = scene.status("web").link;
    const auto flow = steady_flow(scene);
    // While viscumd cannot read: the news of the removal are among those that are dropped.
    must(scene.viscumd().pause());
    storm(scene);
    CHECK(dropped(scene) > drops);
    take_filter(scene);
    in_hotspot(scene, {"ip", "link", "del", link});
    must(scene.viscumd().resume());
    CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
    CHECK(join(must(leaks_since(before, kBack, comes_and_goes)), "\n") == "");
    CHECK(join(complaints(scene), "\n") == "");
    check_flow("while news are dropped", flow->stop());
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 23: news of which not one can be read are followed by a look at everything") {
    if (!have_strace()) {
        return;
    }
    Scene scene;
    scene.deploy(web_service());
    const Snapshot before = must(take_snapshot());
    const auto flow = steady_flow(scene);
    {
        const Injection lost(scene.viscumd().pid(), "recvfrom:error=ENOBUFS:when=1+");
        take_filter(scene);
        CHECK(eventually(kLimit, [&] { return lost.injected() > 0 && served(scene.bed().client(1)); }));
    }
    CHECK(join(must(leaks_since(before, kBack, comes_and_goes)), "\n") == "");
    CHECK(join(complaints(scene), "\n") == "");
    check_flow("while news are lost", flow->stop());
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 24: a request of a deploy that is lost, refused or answered by nobody costs a retry at most") {
    if (!have_strace()) {
        return;
    }
    constexpr int kDeepest = 60;  // netlink requests of a deploy: some 40
    const std::size_t tries = effort() == Effort::full ? 400 : 10;
    // The last one is a request that the kernel never sees: its answer does not come.
    const std::vector<std::string> kinds = {"sendmsg:error=EBUSY",   "sendmsg:error=EEXIST", "sendmsg:error=ENOBUFS",
                                            "recvmsg:error=ENOBUFS", "recvmsg:error=EINTR",  "recvmsg:retval=0",
                                            "sendmsg:error=ENOMEM",  "sendmsg:retval=64"};
    Scene scene;
    const auto flow = steady_flow(scene);
    std::mt19937 dice(campaign_seed());
    MESSAGE("VISCUM_TEST_SEED=", campaign_seed());
    int failed = 0;
    std::size_t all_injected = 0;
    for (std::size_t time = 0; time < tries; ++time) {
        const std::string fault = cat(kinds[time % kinds.size()], ":when=", 1 + static_cast<int>(dice() % kDeepest));
        CAPTURE(fault);
        // A first version, and an update of it, in turn.
        if (time % 2 == 0 && time > 0) {
            scene.ctl({"remove", "web"});
        }
        const ServiceReport old = scene.status("web");
        const std::size_t logged = scene.viscumd().log().size();
        const DiskState before = disk(scene);
        std::size_t injected = 0;
        const ServiceFile file = web_service(std::to_string(time));
        const std::string path = file.write();
        RunOutput deployed;
        {
            const Injection lost(scene.viscumd().pid(), fault);
            deployed = scene.viscumd().ctl({"deploy", path});
            injected = lost.injected();
        }
        all_injected += injected;
        // Refused whole, with the old one in place, or done.
        CHECK((deployed.status == 0 || deployed.status == 1 || deployed.status == 4));
        CHECK((deployed.status == 0 || injected > 0));
        failed += deployed.status == 0 ? 0 : 1;
        check_deployed(scene, before, file, deployed.status == 0);
        const auto said = complaints(scene, logged);
        // Each request, and the deploy.
        CHECK_MESSAGE(said.size() <= injected + (deployed.status == 0 ? 0 : 1), join(said, "\n"));
        if (deployed.status != 0) {
            CHECK(eventually(kLimit, [&] {
                const ServiceReport now = scene.status("web");
                return now.pid == old.pid && now.admission == old.admission;
            }));
        }
        scene.deploy(file);
        CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
        CHECK(eventually(kLimit, [&] { return !scene.status("web").updating; }));
    }
    MESSAGE(tries, " deploys, ", all_injected, " requests that failed, ", failed, " deploys refused");
    CHECK(all_injected > 0);
    check_flow("through all of them", flow->stop());
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 24: what is there already, ours or not, is taken or told of, and never doubled") {
    Scene scene;
    scene.deploy(web_service());
    const std::string link = scene.status("web").link;
    const Snapshot before = must(take_snapshot());
    scene.viscumd().kill();
    // As if a viscumd had been killed in the middle, or another tool had been quicker.
    must(ip_batch(scene.bed().hotspot(), cat("link set ", link, " down\n")));
    in_hotspot(scene, {"ip", "-n", "viscum-web", "address", "del", "203.0.113.10/32", "dev", "eth0"});
    in_hotspot(scene, {"ip", "-n", "viscum-web", "route", "replace", "default", "dev", "eth0", "proto", "static"});
    in_hotspot(scene, {"tc", "filter", "del", "dev", link, "ingress"});
    must(scene.viscumd().start_again());
    CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
    const auto leaks = must(leaks_since(before, kBack, [](const std::string& line) {
        return is_descriptor(line) || comes_and_goes(line) || line.find("proto static") != std::string::npos;
    }));
    CHECK(join(leaks, "\n") == "");
    CHECK(join(complaints(scene), "\n") == "");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
