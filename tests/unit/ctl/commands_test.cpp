// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/commands.h"

#include <doctest/doctest.h>

#include "base/build_info.h"
#include "base/text.h"
#include "controller/ipc/report.h"
#include "tests/unit/ctl/fixture.h"

using namespace viscum;
using namespace std::chrono_literals;

namespace {

// Says what it was asked.
std::vector<Response> echo(const Request& request) {
    std::string text = cat(request.verb, " '", request.service, "' wait ", request.wait_ms);
    for (const auto& [name, content] : request.files) {
        text += cat(" ", name.substr(name.rfind('/') + 1), ":", content.size());
    }
    return {step("plates: starting"), step("plates: probing"), done(text)};
}

std::vector<Response> report_of(const Request& request) {
    DaemonReport report;
    report.instance = "viscum";
    report.version = "9.9.9";
    report.services.resize(2);
    report.services[0].name = "plates";
    report.services[1].name = "maps";
    if (!request.service.empty()) {
        std::erase_if(report.services, [&](const ServiceReport& one) { return one.name != request.service; });
        if (report.services.empty()) {
            return {refusal(Code::no_such_service, cat("no service '", request.service, "'"), "see: viscumctl list")};
        }
    }
    Response response;
    response.report = to_json(report);
    return {response};
}

}  // namespace

TEST_CASE("ctl: without a daemon every verb that needs one ends with 3 and says how to start it") {
    Desk desk;
    const auto file = desk.write("plates.yaml", kPlates);
    const auto session = desk.session();
    CHECK(list(session) == 3);
    CHECK(desk.take(desk.err) == "viscumctl: no viscumd runs for instance 'viscum'\n  hint: start it with: viscumd\n");
    CHECK(status(session, "plates") == 3);
    CHECK(deploy(session, {file}, {}) == 3);
    CHECK(plan(session, {}) == 3);
    CHECK(change(session, "remove", "plates", std::nullopt) == 3);
    CHECK(desk.out.empty());
    CHECK(list(desk.session(true)) == 3);
    CHECK(desk.take(desk.out) ==
          R"({"error":{"message":"no viscumd runs for instance 'viscum'","hint":"start it with: viscumd",)"
          R"("details":[],"diagnostics":[]},"code":3})"
          "\n");
}

TEST_CASE("ctl: version is answered without a daemon, and with one") {
    Desk desk;
    CHECK(version(desk.session()) == 0);
    CHECK(desk.take(desk.out) ==
          cat("viscumctl ", kVersion, "\nviscumd   unknown: no viscumd runs for instance 'viscum'\n"));
    CHECK(version(desk.session(true)) == 0);
    CHECK(desk.take(desk.out) == cat(R"({"viscumctl":")", kVersion, R"(","viscumd":null})", "\n"));
    desk.serve(report_of);
    CHECK(version(desk.session()) == 0);
    CHECK(desk.take(desk.out) == cat("viscumctl ", kVersion, "\nviscumd   9.9.9\n"));
    CHECK(version(desk.session(true)) == 0);
    CHECK(desk.take(desk.out) == cat(R"({"viscumctl":")", kVersion, R"(","viscumd":"9.9.9"})", "\n"));
}

TEST_CASE("ctl: deploy sends the files verbatim in one request, and shows progress on stderr") {
    Desk desk;
    desk.serve(echo);
    const auto plates = desk.write("plates.yaml", kPlates);
    const auto maps = desk.write("maps.yaml", cat("# a remark\n", kPlates));
    CHECK(deploy(desk.session(), {plates, maps}, {30s, 2min, false}) == 0);
    CHECK(desk.take(desk.out) == cat("deploy '' wait 30000 plates.yaml:", std::string(kPlates).size(),
                                     " maps.yaml:", std::string(kPlates).size() + 11, "\n"));
    CHECK(desk.take(desk.err) == "plates: starting\nplates: probing\n");
    CHECK(deploy(desk.session(), {plates}, {{}, {}, true}) == 0);
    CHECK(desk.take(desk.out).starts_with("plan '' wait -1 plates.yaml:"));
}

TEST_CASE("ctl: progress is written over itself on a terminal, and is not there with --json") {
    Desk desk;
    desk.serve(echo);
    auto session = desk.session();
    session.console.live = true;
    session.console.columns = 10;
    CHECK(change(session, "drain", "plates", std::nullopt) == 0);
    CHECK(desk.take(desk.err) == "\r\x1b[Kplates: s\r\x1b[Kplates: p\r\x1b[K");
    CHECK(desk.take(desk.out) == "drain 'plates' wait -1\n");
    session.console.json = true;
    CHECK(change(session, "restart", "plates", 5s) == 0);
    CHECK(desk.err.empty());
    CHECK(desk.take(desk.out) ==
          R"({"code":0,"changed":true,"message":"restart 'plates' wait 5000","hint":"","details":[],"facts":{}})"
          "\n");
}

TEST_CASE("ctl: the daemon's refusal is the exit code, with its details and its hint") {
    Desk desk;
    desk.serve([](const Request&) {
        Response response = refusal(Code::refused, "a: healthy\nb: two claim the same", "remove one of them");
        response.details = {"203.0.113.10:443/tcp of 'a' and \x1b[31m'b'"};
        return std::vector{response};
    });
    CHECK(change(desk.session(), "resume", "plates", std::nullopt) == 5);
    CHECK(desk.take(desk.err) ==
          "viscumctl: a: healthy\n"
          "viscumctl: b: two claim the same\n"
          "  203.0.113.10:443/tcp of 'a' and ?[31m'b'\n"
          "  hint: remove one of them\n");
    CHECK(change(desk.session(true), "resume", "plates", std::nullopt) == 5);
    CHECK(desk.take(desk.out) ==
          R"({"error":{"message":"a: healthy\nb: two claim the same","hint":"remove one of them",)"
          R"("details":["203.0.113.10:443/tcp of 'a' and \u001b[31m'b'"],"diagnostics":[]},"code":5})"
          "\n");
}

TEST_CASE("ctl: several services are told line by line, a plan step by step, and an empty plan as nothing to do") {
    Desk desk;
    desk.serve([](const Request& request) {
        Response response;
        if (request.verb != "plan") {
            response.message = "plates: healthy after 10 ms\nmaps: nothing to do";
        } else if (!request.files.empty()) {
            response.details = {"make the namespace of plates", "start plates"};
        }
        return std::vector{response};
    });
    const auto file = desk.write("plates.yaml", kPlates);
    CHECK(deploy(desk.session(), {file}, {}) == 0);
    CHECK(desk.take(desk.out) == "plates: healthy after 10 ms\nmaps: nothing to do\n");
    desk.out.clear();
    CHECK(plan(desk.session(), {file}) == 0);
    CHECK(desk.take(desk.out) == "make the namespace of plates\nstart plates\n");
    CHECK(plan(desk.session(), {}) == 0);
    CHECK(desk.take(desk.out) == "nothing to do\n");
}

TEST_CASE("ctl: an invalid file reaches no daemon, and each mistake has its line") {
    Desk desk;
    desk.serve(echo);
    const auto fine = desk.write("fine.yaml", kPlates);
    const auto wrong = desk.write("wrong.yaml", "viscum: 1\nname: plates\nport: 80\n");
    for (const bool dry_run : {false, true}) {
        CHECK(deploy(desk.session(), {fine, wrong, desk.dir + "/none.yaml"}, {{}, {}, dry_run}) == 2);
        const auto err = desk.take(desk.err);
        CHECK(err.find("DIR/wrong.yaml:3:1: ") != std::string::npos);
        CHECK(err.find("DIR/none.yaml: cannot open 'DIR/none.yaml'") != std::string::npos);
        CHECK(err.find("2 of 3 files are invalid\n") != std::string::npos);
        CHECK(desk.out.empty());
    }
    CHECK(plan(desk.session(true), {wrong}) == 2);
    const auto out = desk.take(desk.out);
    INFO(out);
    CHECK(out.starts_with(R"({"error":{"message":"the file is invalid","hint":"","details":[],"diagnostics":[{)"));
    CHECK(out.find(R"({"file":"DIR/wrong.yaml","line":3,"column":1,"what":")") != std::string::npos);
    CHECK(out.ends_with("\"code\":2}\n"));
}

TEST_CASE("ctl: list and status show the daemon's report, as a table or as it came") {
    Desk desk;
    desk.serve(report_of);
    CHECK(list(desk.session()) == 0);
    CHECK(desk.take(desk.out).starts_with("NAME    STATE"));
    CHECK(status(desk.session(), "") == 0);
    CHECK(desk.take(desk.out).starts_with("viscumd 9.9.9, instance 'viscum'"));
    CHECK(status(desk.session(), "maps") == 0);
    CHECK(desk.take(desk.out).starts_with("maps: "));
    CHECK(list(desk.session(true)) == 0);
    CHECK(daemon_report_from_json(desk.take(desk.out))->services.size() == 2);
    CHECK(status(desk.session(true), "maps") == 0);
    CHECK(service_report_from_json(desk.take(desk.out))->name == "maps");
    CHECK(status(desk.session(), "none") == 6);
    CHECK(desk.take(desk.err) == "viscumctl: no service 'none'\n  hint: see: viscumctl list\n");
}

TEST_CASE("ctl: an audit is shown as a table or as it came, and ends with 0 whatever the score") {
    Desk desk;
    desk.serve([](const Request& request) {
        if (request.verb != "audit" || request.service == "none") {
            return std::vector{refusal(Code::no_such_service, "no service 'none'")};
        }
        AuditReport report;
        report.service = request.service;
        report.running = true;
        report.score = 99;
        report.word = "UNSAFE";
        report.items.push_back({"user", false, 9, "root"});
        Response response;
        response.report = request.service == "odd" ? "{}" : to_json(report);
        return std::vector{response};
    });
    CHECK(audit(desk.session(), "plates") == 0);
    CHECK(desk.take(desk.out) == "  !!  user   0.9  root\n\nplates: exposure 9.9 of 10, UNSAFE\n");
    CHECK(audit(desk.session(true), "plates") == 0);
    CHECK(desk.take(desk.out) == R"({"service":"plates","running":true,"score":99,"word":"UNSAFE","items":[)"
                                 R"({"name":"user","ok":false,"exposure":9,"text":"root"}]})"
                                 "\n");
    CHECK(audit(desk.session(), "none") == 6);
    CHECK(audit(desk.session(), "odd") == 1);
}

TEST_CASE("ctl: a report that cannot be read is told, not shown") {
    Desk desk;
    desk.serve([](const Request&) { return std::vector{done("fine")}; });
    CHECK(list(desk.session()) == 1);
    CHECK(status(desk.session(true), "") == 1);
    CHECK(desk.take(desk.out).find("viscumd's report cannot be read") != std::string::npos);
}

TEST_CASE("ctl: validate works alone, and checks claims where the configuration can be read") {
    Desk desk;
    const auto file = desk.write("plates.yaml", kPlates);
    CHECK(validate(desk.session(), {file}) == 0);
    CHECK(desk.take(desk.out) == "DIR/plates.yaml: valid: service 'plates', 1 claim\n");
    CHECK(desk.take(desk.err).starts_with("claims are not checked: cannot open 'DIR/viscum.yaml'"));
    CHECK(validate(desk.session(true), {file}) == 0);
    CHECK(desk.take(desk.out) == "{\"code\":0,\"services\":[\"plates\"],\"claims_checked\":false,\"warnings\":[]}\n");

    desk.write("viscum.yaml", "viscum: 1\nlan: [br-lan]\nclaimable: [203.0.113.0/24]\n");
    CHECK(validate(desk.session(true), {file}) == 0);
    CHECK(desk.take(desk.out) == "{\"code\":0,\"services\":[\"plates\"],\"claims_checked\":true,\"warnings\":[]}\n");
    CHECK(desk.err.empty());

    desk.write("viscum.yaml", "viscum: 1\nlan: [br-lan]\nclaimable: [198.51.100.0/24]\n");
    CHECK(validate(desk.session(), {file}) == 5);
    const auto err = desk.take(desk.err);
    CHECK(err.starts_with("viscumctl: not claimable\n  DIR/plates.yaml: 203.0.113.10:443/tcp "));
    CHECK(err.ends_with("  hint: 'claimable:' of DIR/viscum.yaml lists what services may take over\n"));

    desk.write("viscum.yaml", "viscum: 1\nlane: [br-lan]\n");
    CHECK(validate(desk.session(), {file}) == 2);
    CHECK(desk.take(desk.err).find("DIR/viscum.yaml:2:1: ") != std::string::npos);

    // Another configuration, by itself or with files; then it has to be there.
    const auto other = desk.write("other.yaml", "viscum: 1\nlan: [br-lan]\nclaimable: [203.0.113.0/24]\n");
    CHECK(validate(desk.session(), {}, other) == 0);
    CHECK(desk.take(desk.out) == "DIR/other.yaml: valid\n");
    CHECK(validate(desk.session(true), {file}, other) == 0);
    CHECK(desk.take(desk.out) == "{\"code\":0,\"services\":[\"plates\"],\"claims_checked\":true,\"warnings\":[]}\n");
    CHECK(desk.err.empty());
    desk.write("other.yaml", "viscum: 1\nlan: [br-lan]\nclaimable: [999.0.0.0/8]\n");
    CHECK(validate(desk.session(), {}, other) == 2);
    CHECK(desk.take(desk.err).starts_with("DIR/other.yaml:3:13: "));
    CHECK(validate(desk.session(), {}, other + ".gone") == 2);
    CHECK(desk.take(desk.err).find("cannot open 'DIR/other.yaml.gone'") != std::string::npos);
    CHECK(validate(desk.session(), {}) == 2);
    CHECK(desk.take(desk.err).find("there is nothing to check") != std::string::npos);
    CHECK(desk.out.empty());
}

TEST_CASE("ctl: validate warns of what has ended, with its place, and calls the file valid") {
    Desk desk;
    desk.write("viscum.yaml", "viscum: 1\nlan: [br-lan]\nclaimable: [203.0.113.0/24]\n");
    const std::string file = desk.write("plates.yaml",
                                        "viscum: 1\nname: plates\nuntil: 2999-01-01T00:00:00Z\nintercept:\n"
                                        "  - { address: 203.0.113.1, port: 80, until: 2999-01-01T00:00:00Z }\n"
                                        "  - { address: 203.0.113.2, port: 80, until: 2020-01-01T00:00:00Z }\n"
                                        "run: { command: [/bin/true] }\n");
    CHECK(validate(desk.session(), {file}) == 0);
    CHECK(desk.take(desk.out) == "DIR/plates.yaml: valid: service 'plates', 2 claims\n");
    CHECK(desk.take(desk.err) ==
          "DIR/plates.yaml:6:46: warning: 'until' is over (no new flows are taken from then on)\n");
    CHECK(validate(desk.session(true), {file}) == 0);
    CHECK(desk.take(desk.out) ==
          R"({"code":0,"services":["plates"],"claims_checked":true,"warnings":[{"file":"DIR/plates.yaml",)"
          R"("line":6,"column":46,"what":"'until' is over","hint":"no new flows are taken from then on"}]})"
          "\n");
    CHECK(desk.err.empty());
    const std::string all = desk.write("all.yaml",
                                       "viscum: 1\nname: all\nuntil: 2020-01-01T00:00:00Z\n"
                                       "intercept: [{ address: 203.0.113.1, port: 80 }]\n"
                                       "run: { command: [/bin/true] }\n");
    CHECK(validate(desk.session(), {all}) == 0);
    CHECK(desk.take(desk.err).starts_with("DIR/all.yaml:3:8: warning: 'until' is over"));
}

TEST_CASE("ctl: validate finds claims of two files that are in each other's way") {
    Desk desk;
    const auto plates = desk.write("plates.yaml", kPlates);
    std::string other = kPlates;
    const auto maps = desk.write("maps.yaml", other.replace(other.find("plates"), 6, "maps"));
    desk.write("viscum.yaml", "viscum: 1\nlan: [br-lan]\nclaimable: [203.0.113.0/24]\n");
    CHECK(validate(desk.session(), {plates, maps}) == 5);
    const auto err = desk.take(desk.err);
    CHECK(err.find("'plates'") != std::string::npos);
    CHECK(err.find("'maps'") != std::string::npos);
}

TEST_CASE("ctl: a service's name has small letters, digits and dashes, nothing that a path would") {
    for (const auto* fine : {"a", "plates", "a-1", "0"}) {
        CHECK(is_service_name(fine));
    }
    for (const auto* wrong : {"", ".", "..", "a/b", "-a", "a-", "A", "a b", "abcdefghijklmnopqrstuvwxyzabcdefg"}) {
        CHECK_FALSE(is_service_name(wrong));
    }
}
