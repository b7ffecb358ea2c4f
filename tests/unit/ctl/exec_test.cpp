// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/exec.h"

#include <doctest/doctest.h>

#include "tests/unit/ctl/fixture.h"

using namespace viscum;

TEST_CASE("exec: what keeps a command from running is told with the daemon's code") {
    Desk desk;
    CHECK(exec(desk.session(), "plates", {"true"}) == 3);
    desk.serve([&desk](const Request& request) {
        CHECK(request.verb == "exec-info");
        if (request.service == "none") {
            return std::vector{refusal(Code::no_such_service, "no service 'none'")};
        }
        Response response = done("");
        if (request.service != "odd") {
            response.facts = {{"run_dir", desk.dir}, {"shim", "/no/such/shim"}};
        }
        return std::vector{response};
    });
    CHECK(exec(desk.session(), "none", {"true"}) == 6);
    CHECK(exec(desk.session(), "odd", {"true"}) == 1);
    desk.take(desk.err);
    CHECK(exec(desk.session(), "plates", {"true"}) == 1);
    const std::string said = desk.take(desk.err);
    CHECK(said.find("cannot run 'true': the service does not run") != std::string::npos);
    CHECK(said.find("hint: see: viscumctl status plates\n") != std::string::npos);
}
