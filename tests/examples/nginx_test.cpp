// SPDX-License-Identifier: GPL-2.0-only
#include "tests/examples/example.h"

namespace viscum {

TEST_CASE("nginx: a web server answers for its addresses, and the cloud when it is gone") {
    Example example("nginx");
    example.install("nginx.conf");
    example.deploy();
    Scene& scene = example.scene();
    CHECK(scene.web(kWeb) == "served");
    CHECK(scene.web(kWeb6) == "served");
    scene.ctl({"remove", "nginx"});
    CHECK(scene.web(kWeb) == "cloud");
    example.end({});
}

}  // namespace viscum
