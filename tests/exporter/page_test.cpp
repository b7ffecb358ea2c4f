// SPDX-License-Identifier: GPL-2.0-only
// The status page in a browser beside a real viscumd: page.mjs looks, and stops and continues a real service.
#include <signal.h>

#include <cstdlib>

#include "base/file.h"
#include "tests/exporter/exporter.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr const char* kToken = "a-token-for-the-page-in-the-browser";

Program guarded_exporter(Scene& scene) {
    const std::string path = "/tmp/viscum-page-token";
    REQUIRE(write_file_atomically(path, cat(kToken, "\n"), 0640));
    return must(Program::start({.argv = {Exporter::kProgram, "--listen", "127.0.0.1:9478", "--token-file", path},
                                .ns = &scene.bed().hotspot()}));
}

}  // namespace

TEST_CASE("page: it shows a real fail-over, keeps still for those who want that, and takes hostile text as text") {
    const auto scene = scene_with_observers();
    scene->deploy(web_service());
    scene->deploy(test_service("echo", {"203.0.113.20 7000 udp"}, {"local", "udp", "203.0.113.20", "7000"}));
    const Exporter exporter(*scene);
    const Program guarded = guarded_exporter(*scene);
    const auto processes = scene->processes_of("web");
    REQUIRE_FALSE(processes.empty());
    setenv("VISCUM_BROWSER_DIR", VISCUM_BIN_DIR "/browser", 0);
    setenv("HOME", "/tmp", 1);
    const FlowClient traffic(scene->bed().client(2),
                             {.request = {.to = kWeb}, .pause = std::chrono::milliseconds(20), .most = 50'000});
    const RunOutput page =
        run({"node", VISCUM_SOURCE_DIR "/tests/exporter/page.mjs", "http://127.0.0.1:9477",
             std::to_string(processes.front()), "http://127.0.0.1:9478", kToken, std::to_string(exporter.pid())},
            {.ns = &scene->bed().hotspot(), .limit = Millis(180'000)});
    if (page.status == kSkipped || page.status == 127) {
        skip(page.status == 127 ? "there is no node" : page.out);
        return;
    }
    CHECK_MESSAGE(page.success(), page.out, page.err);
}

}  // namespace viscum
