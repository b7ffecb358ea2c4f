// SPDX-License-Identifier: GPL-2.0-only
// An instance is taken away as a whole.
#include "base/file.h"
#include "tests/scene/scene.h"

namespace viscum {

TEST_CASE("uninstall: viscumd --uninstall takes an instance away, and refuses while it is served") {
    Scene scene;
    scene.deploy(web_service());
    const Argv uninstall{cat(VISCUM_BIN_DIR, "/viscumd"), "--uninstall"};
    CHECK(run(uninstall, {.ns = &scene.bed().hotspot()}).status == 5);
    CHECK(scene.web() == "local");
    CHECK(scene.viscumd().stop() == 0);
    CHECK(scene.web() == "local");
    CHECK(run(uninstall, {.ns = &scene.bed().hotspot()}).status == 0);
    CHECK(scene.web() == "cloud");
    CHECK(must(net_ns_names("viscum-")).empty());
    CHECK(must(list_directory("/run/viscum")).empty());
    CHECK(must(list_directory("/sys/fs/bpf/viscum")).empty());
    CHECK(run(uninstall, {.ns = &scene.bed().hotspot()}).status == 0);
    // What was stored is served again.
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
    scene.ctl({"remove", "web"});
}

}  // namespace viscum
