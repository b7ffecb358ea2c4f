// SPDX-License-Identifier: GPL-2.0-only
// viscumd gets no memory: it ends cleanly and says why, and the next one adopts all.
#include <fstream>

#include "tests/faults/host/limits.h"
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

}  // namespace

TEST_CASE("fault 14: a viscumd that is started with too little memory says so and ends, and disturbs nothing") {
    if (kSanitized) {
        return skip("sanitizers need more address space than any limit leaves");
    }
    Scene scene;
    scene.deploy(web_service());
    const auto flow = scene.flow();
    const rlim_t enough = size_of(scene.viscumd().pid()) * 2;
    scene.viscumd().kill();
    int served = 0;
    int refused = 0;
    for (rlim_t limit = enough; limit > kLeast; limit = limit * (effort() == Effort::full ? 97 : 75) / 100) {
        CAPTURE(limit);
        const LimitedStart start = start_limited(scene, cat("--as=", limit, ":", limit));
        CAPTURE(start.log);
        CHECK(start.status < kSignalled);
        if (!start.serves) {
            CHECK(start.status != 0);
            CHECK_FALSE(start.log.empty());
        }
        ++(start.serves ? served : refused);
    }
    CHECK(served > 0);
    CHECK(refused > 0);
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.status("web").admission == "serve"; }));
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    check_flow("too little memory", flow->stop());
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
    must(scene.viscumd().start_again());
    CHECK(scene.status("web").pid == before.pid);
    check_flow("memory that ran out", flow->stop());
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
