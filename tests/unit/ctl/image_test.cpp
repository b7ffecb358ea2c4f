// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/image.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <sstream>

#include "base/text.h"
#include "tests/unit/ctl/fixture.h"

using namespace viscum;

namespace {

const std::string kDigest(40, 'a');

/// A viscum-image that keeps its arguments in DIR/asked, says something, and ends with `code`.
void install(const Desk& desk, int code, const std::string& says = "") {
    const auto path = desk.write(
        "viscum-image", cat("#!/bin/sh\nprintf '%s\\n' \"$*\" >> ", desk.dir, "/asked\n", says, "\nexit ", code, "\n"));
    chmod(path.c_str(), 0755);
}

std::string asked(Desk& desk) {
    std::ifstream file(desk.dir + "/asked");
    std::ostringstream text;
    text << file.rdbuf();
    std::filesystem::remove(desk.dir + "/asked");
    std::string kept = text.str();
    return desk.take(kept);
}

std::string with_image(const std::string& image) {
    std::string text = kPlates;
    return text.replace(text.find("command: [/usr/bin/plates]"), 26, "image: " + image);
}

std::vector<Response> one_image(const Request& request) {
    Response response = done(cat(request.verb, " ", request.files.size()));
    if (request.verb == "images") {
        response.details = {kDigest + " plates", kDigest + " maps"};
    }
    return {response};
}

}  // namespace

TEST_CASE("image: a verb runs viscum-image with our words, and its exit status is ours") {
    Desk desk;
    install(desk, 4);
    CHECK(image_import(desk.session(), "a b.tar", "", "") == 4);
    CHECK(asked(desk) == "--instance viscum import a b.tar\n");
    CHECK(image_import(desk.session(true), "-a.tar", "plates:1", "2G") == 4);
    CHECK(asked(desk) == "--instance viscum --json import ./-a.tar --name plates:1 --limit=2G\n");
    CHECK(image_list(desk.session(true)) == 4);
    CHECK(asked(desk) == "--instance viscum --json list\n");
    CHECK(image_import(desk.session(), "a.tar", "--json", "") == 2);
    CHECK(image_remove(desk.session(), "--in-use", true) == 2);
    CHECK(asked(desk).empty());
    install(desk, 0, "kill -9 $$");
    CHECK(image_list(desk.session()) == 128 + 9);
}

TEST_CASE("image: a program that is not there is named") {
    Desk desk;
    CHECK(image_list(desk.session()) == 1);
    CHECK(desk.take(desk.err) ==
          "viscumctl: cannot run 'DIR/viscum-image': No such file or directory\n"
          "  hint: viscum-image belongs to the installation\n");
}

TEST_CASE("image: what services use is told to viscum-image when an image is removed") {
    Desk desk;
    desk.serve(one_image);
    install(desk, 5);
    CHECK(image_remove(desk.session(), "plates:1", false) == 5);
    CHECK(asked(desk) == "--instance viscum remove plates:1 --in-use " + kDigest + "\n");
    CHECK(desk.take(desk.err) == "  aaaaaaaaaaaa is used by plates\n  aaaaaaaaaaaa is used by maps\n");
    CHECK(image_remove(desk.session(true), "plates:1", true) == 5);
    CHECK(asked(desk) == "--instance viscum --json remove plates:1 --in-use " + kDigest + "\n");
    CHECK(desk.err.empty());
}

TEST_CASE("image: without viscumd nobody knows what is used, and an image is removed by force only") {
    Desk desk;
    install(desk, 0);
    CHECK(image_remove(desk.session(), "plates:1", false) == 3);
    CHECK(desk.take(desk.err) ==
          "viscumctl: cannot know whether a service uses image 'plates:1': no viscumd runs for instance 'viscum'\n"
          "  hint: viscumctl image remove plates:1 --force removes it all the same\n");
    CHECK(asked(desk).empty());
    CHECK(image_remove(desk.session(), "plates:1", true) == 0);
    CHECK(asked(desk) == "--instance viscum remove plates:1\n");
}

TEST_CASE("image: what has no name is removed only where viscumd knows what is used") {
    Desk desk;
    install(desk, 0);
    CHECK(image_prune(desk.session()) == 3);
    CHECK(desk.take(desk.err) ==
          "viscumctl: cannot know which images services use: no viscumd runs for instance 'viscum'\n"
          "  hint: start it with: viscumd\n");
    desk.serve(one_image);
    CHECK(image_prune(desk.session()) == 0);
    CHECK(asked(desk) == "--instance viscum prune --in-use " + kDigest + "\n");
}

TEST_CASE("image: an answer that names no digests removes nothing") {
    Desk desk;
    desk.serve([](const Request&) {
        Response response = done("");
        response.details = {"--force plates"};
        return std::vector{response};
    });
    install(desk, 0);
    CHECK(image_remove(desk.session(), "plates:1", false) == 1);
    CHECK(asked(desk).empty());
}

TEST_CASE("image: what a service file calls its image is a file only where there is one") {
    Desk desk;
    std::filesystem::create_directories(desk.dir + "/sub/layout");
    std::filesystem::create_directories(desk.dir + "/nginx");
    desk.write("sub/plates.tar", "");
    desk.write("sub/layout/oci-layout", "{}");
    const std::string file = desk.dir + "/web.yaml";
    CHECK(image_file("sub/plates.tar", file) == desk.dir + "/sub/plates.tar");
    CHECK(image_file("plates.tar", desk.dir + "/sub/web.yaml") == desk.dir + "/sub/plates.tar");
    CHECK(image_file("sub/layout", file) == desk.dir + "/sub/layout");
    CHECK(image_file("nginx", file) == std::nullopt);
    CHECK(image_file("plates.tar", file) == std::nullopt);
    CHECK(image_file("library/nginx:1.27", file) == std::nullopt);
    CHECK(image_file("", file) == std::nullopt);
}

TEST_CASE("image: deploy imports what lies beside the service file, under the name that stands there") {
    Desk desk;
    desk.serve(one_image);
    install(desk, 0, "echo noise; echo noise >&2");
    desk.write("plates.tar", "");
    const auto file = desk.write("web.yaml", with_image("plates.tar"));
    CHECK(deploy(desk.session(), {file}, {}) == 0);
    CHECK(asked(desk) == cat("--instance viscum import DIR/plates.tar --name plates.tar\n"
                             "--instance viscum prune --in-use ",
                             kDigest, "\n"));
    CHECK(desk.take(desk.out) == "deploy 1\n");
    CHECK(desk.take(desk.err) == "importing DIR/plates.tar\n");
    CHECK(deploy(desk.session(), {file}, {{}, {}, true}) == 0);
    CHECK(asked(desk).empty());
    const auto named = desk.write("named.yaml", with_image("nginx:1"));
    CHECK(deploy(desk.session(), {named}, {}) == 0);
    CHECK(asked(desk).empty());
}

TEST_CASE("image: what cannot be imported is not deployed, and says why") {
    Desk desk;
    desk.serve(one_image);
    install(desk, 2, "echo 'viscum-image: layer 2: no gzip' >&2");
    desk.write("plates.tar", "");
    const auto file = desk.write("web.yaml", with_image("plates.tar"));
    CHECK(deploy(desk.session(), {file}, {}) == 2);
    CHECK(desk.take(desk.err) ==
          "importing DIR/plates.tar\n"
          "viscumctl: nothing was deployed: cannot import image 'plates.tar'\n"
          "  viscum-image: layer 2: no gzip\n");
    CHECK(desk.out.empty());
    install(desk, 77, "head -c 100000 /dev/zero | tr '\\0' x");
    CHECK(deploy(desk.session(true), {file}, {}) == 1);
    CHECK(desk.take(desk.out).size() < 5000);
}
