// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/exec.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "tests/unit/ctl/fixture.h"

using namespace viscum;

TEST_CASE("exec: a program is found along the path, a name with a slash as it is") {
    Desk desk;
    std::filesystem::create_directory(desk.dir + "/bin");
    const auto tool = desk.write("bin/tool", "");
    CHECK_FALSE(find_program("tool", desk.dir + "/none:" + desk.dir + "/bin"));
    chmod(tool.c_str(), 0755);
    CHECK(find_program("tool", desk.dir + "/none:" + desk.dir + "/bin") == tool);
    CHECK(find_program("./tool", "") == "./tool");
    CHECK_FALSE(find_program("", desk.dir + "/bin"));
    CHECK_FALSE(find_program("tool", ""));
}

TEST_CASE("exec: what keeps a command from running is told with the daemon's code") {
    Desk desk;
    CHECK(exec(desk.session(), "plates", {"true"}) == 3);
    desk.serve([](const Request& request) {
        CHECK(request.verb == "exec-info");
        if (request.service == "none") {
            return std::vector{refusal(Code::no_such_service, "no service 'none'")};
        }
        Response response = done("");
        if (request.service != "odd") {
            response.facts = {{"namespace", "viscum-unit-test-none"}, {"user", ""}};
        }
        return std::vector{response};
    });
    CHECK(exec(desk.session(), "none", {"true"}) == 6);
    CHECK(exec(desk.session(), "odd", {"true"}) == 1);
    desk.take(desk.err);
    CHECK(exec(desk.session(), "plates", {"true"}) == 1);
    CHECK(desk.take(desk.err).find("hint: see: viscumctl status plates\n") != std::string::npos);
}
