// SPDX-License-Identifier: GPL-2.0-only
// viscumd gets no memory: it ends cleanly and says why, and the next one adopts all.
#include <algorithm>
#include <fstream>

#include "tests/faults/host/limits.h"
#include "tests/faults/oracle/oracle.h"
#include "tests/support/campaign.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
constexpr rlim_t kLeast = 2 * 1024 * 1024;
constexpr rlim_t kParts = 16;
constexpr int kSignalled = 128;

/// Address space of a process, in bytes.
rlim_t size_of(pid_t pid) {
    std::ifstream statm(cat("/proc/", pid, "/statm"));
    rlim_t pages = 0;
    statm >> pages;
    return pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
}

/// A service file that is long, and asks for nothing.
ServiceFile long_service(int number) {
    ServiceFile file = test_service(cat("long", number), {cat("203.0.113.", 100 + number, " 80")},
                                    {"long", "tcp", cat("203.0.113.", 100 + number), "80"});
    for (int line = 0; line < 2'000; ++line) {
        file.more += cat("# ", std::string(100, 'x'), "\n");
    }
    return file;
}

DiskState disk_of(Scene& scene) {
    return must(read_disk_state(scene.viscumd().instance()));
}

bool says(const std::string& log, const char* words) {
    return log.find(words) != std::string::npos;
}

struct Starts {
    int served = 0;
    int by_loader = 0;   // refused, or by an initialiser of a library
    int by_viscumd = 0;  // refused
    rlim_t least_served = RLIM_INFINITY;
    rlim_t most_refused = 0;
};

void start_with(Scene& scene, rlim_t limit, Starts& starts) {
    CAPTURE(limit);
    const LimitedStart start = start_limited(scene, {cat("--as=", limit, ":", limit), "memory"});
    CAPTURE(start.log);
    // Of yaml-cpp, say: it runs before main, and where there is no room for an exception either, the C++ library ends
    // the program. Nothing of ours can speak for it.
    const bool by_initialiser = says(start.log, "terminate called without an active exception");
    CHECK((start.status < kSignalled || by_initialiser));
    if (start.serves) {
        ++starts.served;
        starts.least_served = std::min(starts.least_served, limit);
        return;
    }
    starts.most_refused = std::max(starts.most_refused, limit);
    CHECK_FALSE(start.waits);
    CHECK(start.status != 0);
    const bool by_loader = by_initialiser || says(start.log, "error while loading shared libraries") ||
                           says(start.log, "cannot allocate TLS data structures");
    CHECK((by_loader || says(start.log, "out of memory") || says(start.log, "Cannot allocate memory")));
    ++(by_loader ? starts.by_loader : starts.by_viscumd);
}

}  // namespace

TEST_CASE("fault 14: a viscumd that is started with too little memory says so and ends, and disturbs nothing") {
    if (kSanitized) {
        return skip("sanitizers need more address space than any limit leaves");
    }
    Scene scene;
    scene.deploy(web_service());
    const DiskState disk = disk_of(scene);
    const auto flow = scene.flow();
    const rlim_t enough = size_of(scene.viscumd().pid()) * 2;
    scene.viscumd().kill();
    Starts starts;
    for (rlim_t limit = enough; limit > kLeast; limit = limit * (effort() == Effort::full ? 97 : 75) / 100) {
        start_with(scene, limit, starts);
    }
    // About the border it is viscumd that finds none left, not the loader.
    const auto [low, high] = std::minmax({starts.most_refused, starts.least_served});
    for (rlim_t part = 1; part < kParts; ++part) {
        start_with(scene, low + (high - low) * part / kParts, starts);
    }
    MESSAGE("served ", starts.served, ", refused by the loader ", starts.by_loader, ", by viscumd ", starts.by_viscumd);
    CHECK(starts.served > 0);
    CHECK(starts.by_viscumd > 0);
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.status("web").admission == "serve"; }));
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    check_flow("too little memory", flow->stop());
    CHECK(join(judge_state(disk_of(scene), disk, disk), "\n") == "");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 14: a viscumd whose memory runs out while it works ends with one line, and the next one adopts all") {
    if (kSanitized) {
        return skip("sanitizers need more address space than any limit leaves");
    }
    Scene scene;
    scene.deploy(web_service());
    const auto flow = scene.flow();
    const ServiceReport before = scene.status("web");
    const DiskState disk = disk_of(scene);
    limit_soft(scene.viscumd().pid(), RLIMIT_AS, size_of(scene.viscumd().pid()));
    const std::size_t said = scene.viscumd().log().size();
    Argv deploy = {"deploy"};
    for (int number = 0; number < 4; ++number) {
        deploy.push_back(long_service(number).write());
    }
    CHECK(scene.viscumd().ctl(deploy).status != 0);
    CHECK(eventually(kLimit, [&] { return !scene.viscumd().running(); }));
    CHECK(scene.viscumd().stop() == 1);
    CHECK(scene.viscumd().log().substr(said) ==
          "viscumd: out of memory; services and rules stay, until the lease ends\n");
    CHECK(scene.web() == "local");
    // Of a file that it had not come to the end of nothing stays.
    CHECK(join(judge_state(disk_of(scene), disk, disk), "\n") == "");
    must(scene.viscumd().start_again());
    CHECK(scene.status("web").pid == before.pid);
    check_flow("memory that ran out", flow->stop());
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
