// SPDX-License-Identifier: GPL-2.0-only
// What is as it should be is left alone.
#include <algorithm>
#include <regex>

#include "base/file.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

/// Everything that iproute2 is told about a namespace's network, between two marks.
class Monitor {
public:
    Monitor(const NetNs& ns, const std::string& name) : ns_(ns), log_(cat("/tmp/monitor-", name)) {
        for (const Argv& argv :
             {Argv{"ip", "monitor", "link", "address", "route", "rule", "nsid"}, Argv{"tc", "monitor"}}) {
            programs_.push_back(must(Program::start({.argv = argv, .log_file = log_, .ns = &ns})));
        }
        // A mark that was made before both listen is repeated.
        CHECK(eventually(kLimit, [this] {
            mark("add");
            mark("del");
            return both_marks(0);
        }));
        CHECK(eventually(kLimit, [this, size = std::size_t{1}]() mutable {
            return std::exchange(size, text().size()) == text().size();
        }));
        from_ = text().size();
    }

    /// What came since the start but for the marks.
    std::string news() {
        mark("add");
        mark("del");
        CHECK(eventually(kLimit, [this] { return both_marks(from_); }));
        std::string out;
        for (const std::string& line : split(text().substr(from_), '\n')) {
            const bool is_mark = line.find(" dev lo ") != std::string::npos || line.find(kMark) != std::string::npos;
            out += line.empty() || is_mark ? "" : line + "\n";
        }
        return out;
    }

private:
    static constexpr const char* kMark = "192.0.2.200";

    void mark(const std::string& verb) {
        (void)output_of({"ip", "route", verb, "blackhole", kMark}, {.ns = &ns_});
        (void)output_of({"tc", "qdisc", verb, "dev", "lo", "clsact"}, {.ns = &ns_});
    }
    [[nodiscard]] bool both_marks(std::size_t from) const {
        const std::string all = text();
        return all.find(cat("Deleted blackhole ", kMark), from) != std::string::npos &&
               all.find("deleted qdisc clsact", from) != std::string::npos;
    }
    [[nodiscard]] std::string text() const {
        const auto bytes = read_file(log_, 1024 * 1024);
        return bytes ? *bytes : "";
    }

    const NetNs& ns_;
    std::string log_;
    std::vector<Program> programs_;
    std::size_t from_ = 0;
};

/// What the kernel has, numbers included.
Snapshot state_of_kernel(const Scene& scene, const NetNs& hotspot, const NetNs& service) {
    std::string out = cat("namespace ", service.inode(), " shim ", scene.status("web").pid, "\n");
    for (const NetNs* ns : {&hotspot, &service}) {
        out += must(output_of({"ip", "-o", "link", "show"}, {.ns = ns}));
        out += must(output_of({"ip", "-o", "address", "show"}, {.ns = ns}));
        out += must(output_of({"ip", "route", "show", "table", "all"}, {.ns = ns}));
    }
    for (const char* device : {"lan1", "lan2"}) {
        out += must(output_of({"tc", "filter", "show", "dev", device, "ingress"}, {.ns = &hotspot}));
    }
    out += must(output_of({"tc", "filter", "show", "dev", scene.status("web").link, "ingress"}, {.ns = &hotspot}));
    // A bridge learns that it is up some time after it is.
    Snapshot lines = split(std::regex_replace(out, std::regex(" state \\S+"), ""), '\n');
    std::ranges::sort(lines);
    return lines;
}

}  // namespace

TEST_CASE("idempotence: the same file deployed again changes nothing, and says so") {
    Scene scene;
    scene.deploy(web_service());
    CHECK(scene.web() == "local");
    const NetNs service = must(NetNs::open("viscum-web"));
    const Snapshot before = state_of_kernel(scene, scene.bed().hotspot(), service);
    {
        Monitor in_hotspot(scene.bed().hotspot(), "hotspot");
        Monitor in_service(service, "service");
        for (int time = 0; time < 3; ++time) {
            CHECK(scene.deploy(web_service()).out.find("nothing to do") != std::string::npos);
        }
        // Not at once: the monitor's own marks make viscumd look at the namespace again, which is a step.
        CHECK(eventually(kLimit, [&] { return scene.ctl({"plan", web_service().write()}).out == "nothing to do\n"; }));
        CHECK(scene.web() == "local");
        CHECK(in_hotspot.news() == "");
        CHECK(in_service.news() == "");
    }
    CHECK(join(difference(before, state_of_kernel(scene, scene.bed().hotspot(), service)), "\n") == "");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("idempotence: a viscumd that starts again writes nothing to the network") {
    Scene scene;
    scene.deploy(web_service());
    const NetNs service = must(NetNs::open("viscum-web"));
    const Snapshot before = state_of_kernel(scene, scene.bed().hotspot(), service);
    {
        Monitor in_hotspot(scene.bed().hotspot(), "hotspot");
        Monitor in_service(service, "service");
        scene.viscumd().kill();
        must(scene.viscumd().start_again());
        CHECK(eventually(kLimit, [&] { return scene.status("web").health == "healthy"; }));
        CHECK(in_hotspot.news() == "");
        CHECK(in_service.news() == "");
    }
    CHECK(join(difference(before, state_of_kernel(scene, scene.bed().hotspot(), service)), "\n") == "");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
