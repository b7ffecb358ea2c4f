// SPDX-License-Identifier: GPL-2.0-only
#include "controller/doctor/diagnose.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/text.h"

using namespace viscum;

namespace {

ServiceSpec service_of(const std::string& name, const std::vector<std::string>& claims) {
    ServiceSpec service;
    service.name = name;
    for (const std::string& claim : claims) {
        service.intercept.push_back({IpPrefix::parse(claim).value_or(IpPrefix{}), {80, 80}, Protocol::tcp});
    }
    return service;
}

ServiceReport report_of(const std::string& name, const std::string& admission, const std::string& reason) {
    ServiceReport report;
    report.name = name;
    report.state = "up";
    report.admission = admission;
    report.reason = reason;
    return report;
}

ClaimableSpec all_of(const std::string& prefix) {
    ClaimableSpec claimable;
    claimable.prefix = IpPrefix::parse(prefix).value_or(IpPrefix{});
    return claimable;
}

/// A router on which everything is as it should be.
Facts healthy() {
    Facts facts;
    facts.kernel = "6.6.73";
    facts.forwards_v4 = true;
    facts.forwards_v6 = true;
    facts.default_route = true;
    facts.config_file = "/etc/viscum/viscum.yaml";
    facts.has_config = true;
    facts.config.lan = {"br-lan", "phy*-ap0"};
    facts.config.claimable = {all_of("203.0.113.0/24")};
    facts.devices = {"lo", "br-lan", "phy0-ap0", "wan"};
    facts.own_networks = {*IpPrefix::parse("10.77.0.0/16")};
    facts.services = {service_of("web", {"203.0.113.10"})};
    DaemonReport daemon;
    daemon.version = "0.1.0";
    daemon.pid = 4711;
    daemon.lan = {{"lan1", "br-lan", true, ""}};
    daemon.services = {report_of("web", "serve", "")};
    facts.daemon = daemon;
    facts.spaces = {{"/etc", 100 << 20}};
    facts.memory_available = 100 << 20;
    facts.year = 2030;
    return facts;
}

/// All findings of a check that are not good.
std::vector<Finding> ill(const Facts& facts, const std::string& check) {
    std::vector<Finding> found = diagnose(facts).findings;
    std::erase_if(found, [&](const Finding& one) { return one.check != check || one.severity == Severity::good; });
    return found;
}

Finding only(const Facts& facts, const std::string& check) {
    const auto found = ill(facts, check);
    REQUIRE(found.size() == 1);
    CHECK_FALSE(found.front().mend.empty());
    return found.front();
}

bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("doctor: on a healthy router each check says so, in one line, and there is nothing to mend") {
    const Diagnosis diagnosis = diagnose(healthy());
    CHECK(diagnosis.grade == "socket");
    CHECK_FALSE(has_problem(diagnosis));
    std::vector<std::string> checks;
    for (const Finding& finding : diagnosis.findings) {
        CHECK_MESSAGE(finding.severity == Severity::good, finding.check, ": ", finding.what);
        CHECK(finding.mend.empty());
        checks.push_back(finding.check);
    }
    CHECK(checks == std::vector<std::string>{"kernel", "configuration", "viscumd", "lan", "services", "limits",
                                             "network", "room"});
}

TEST_CASE("doctor: what the kernel lacks is named, with the command of this system that brings it") {
    Facts facts = healthy();
    facts.trial = {TrialStep::veth, "cannot create veth 'doctor': Operation not supported"};
    facts.packages = Packages::opkg;
    CHECK(diagnose(facts).grade == "none");
    CHECK(has_problem(diagnose(facts)));
    Finding finding = only(facts, "kernel");
    CHECK(finding.severity == Severity::problem);
    CHECK(finding.what == "Linux 6.6.73: cannot create veth 'doctor': Operation not supported");
    CHECK(finding.mend == "opkg update && opkg install kmod-veth");
    facts.packages = Packages::apk;
    CHECK(only(facts, "kernel").mend == "apk update && apk add kmod-veth");
    facts.packages = Packages::none;
    CHECK(only(facts, "kernel").mend == "modprobe -a veth");
    facts.trial.failed = TrialStep::filter;
    CHECK(only(facts, "kernel").mend == "modprobe -a sch_ingress cls_bpf");
    facts.trial.failed = TrialStep::programs;
    CHECK(holds(only(facts, "kernel").mend, "5.10"));
    facts.trial.failed = TrialStep::net_ns;
    CHECK(holds(only(facts, "kernel").mend, "network namespaces"));
}

TEST_CASE("doctor: before the first service no device carries a filter, and that is no problem") {
    Facts facts = healthy();
    facts.services.clear();
    facts.daemon->services.clear();
    facts.daemon->lan = {{"lan1", "br-lan", false, ""}};
    CHECK(ill(facts, "lan").empty());
    facts.daemon->lan.front().problem = "another tool's TC filter has our priority";
    CHECK(only(facts, "lan").severity == Severity::problem);
    // One that is refused has no claim.
    facts.daemon->lan.front().problem.clear();
    facts.daemon->services = {report_of("web", "off", "this router refuses it")};
    facts.daemon->services.front().claims.clear();
    CHECK(ill(facts, "lan").empty());
    facts = healthy();
    facts.daemon->services.front().claims.emplace_back();
    facts.daemon->lan = {{"lan1", "br-lan", false, ""}};
    CHECK(only(facts, "lan").severity == Severity::problem);
}

TEST_CASE("doctor: where programs cannot be had the classic grade serves, and what it lacks is told") {
    Facts facts = healthy();
    facts.trial = {TrialStep::programs, "the kernel refuses the BPF programs"};
    facts.daemon->grade = "classic";
    facts.daemon->grade_reason = "the kernel refuses the BPF programs";
    CHECK(diagnose(facts).grade == "classic");
    CHECK_FALSE(has_problem(diagnose(facts)));
    CHECK(only(facts, "kernel").severity == Severity::warning);
    CHECK(holds(only(facts, "kernel").what, "no egress, no lease"));
    CHECK(holds(only(facts, "kernel").what, ": the kernel refuses the BPF programs"));
    facts.trial.classic = false;
    CHECK(diagnose(facts).grade == "none");
    CHECK(has_problem(diagnose(facts)));
    facts = healthy();
    facts.config.datapath = DatapathChoice::classic;
    facts.daemon.reset();
    CHECK(diagnose(facts).grade == "classic");
    CHECK(holds(only(facts, "kernel").mend, "take `datapath: classic` out of /etc/viscum/viscum.yaml"));
    facts.config.datapath = DatapathChoice::socket;
    facts.trial = {TrialStep::filter, "no cls_bpf"};
    CHECK(diagnose(facts).grade == "none");
}

TEST_CASE("doctor: without a valid configuration nothing is served") {
    Facts facts = healthy();
    facts.has_config = false;
    CHECK(only(facts, "configuration").what == "there is no /etc/viscum/viscum.yaml");
    facts = healthy();
    facts.config_mistakes = {{"/etc/viscum/viscum.yaml", 3, 1, "unknown key 'lann'", "did you mean 'lan'?"}};
    CHECK(only(facts, "configuration").what == "/etc/viscum/viscum.yaml:3:1: unknown key 'lann' (did you mean 'lan'?)");
    facts = healthy();
    facts.config.claimable.clear();
    CHECK(holds(ill(facts, "configuration").front().what, "`claimable:` is empty"));
    facts = healthy();
    facts.config.lan.clear();
    CHECK(holds(only(facts, "configuration").what, "`lan:` is empty"));
}

TEST_CASE("doctor: a viscumd that does not answer is a problem, with what to do") {
    Facts facts = healthy();
    facts.daemon.reset();
    facts.daemon_problem = "no viscumd runs for instance 'viscum'";
    facts.daemon_hint = "start it with: viscumd";
    CHECK(only(facts, "viscumd") ==
          Finding{"viscumd", Severity::problem, facts.daemon_problem, "start it with: viscumd"});
}

TEST_CASE("doctor: devices that are not there, or that carry no filter") {
    Facts facts = healthy();
    facts.config.lan = {"br-lan", "br-guest"};
    CHECK(only(facts, "lan").what == "no device is named 'br-guest'");
    facts = healthy();
    facts.daemon->lan = {{"lan1", "br-lan", false, "another tool's filter has our priority"}};
    CHECK(only(facts, "lan").what == "lan1: another tool's filter has our priority");
    facts.daemon->lan.front().attached = true;
    CHECK(only(facts, "lan").severity == Severity::warning);
}

TEST_CASE("doctor: a service that is not served, and one that the operator has drained") {
    Facts facts = healthy();
    facts.daemon->services = {report_of("web", "off", "its probe fails: connection refused")};
    Finding finding = only(facts, "services");
    CHECK(finding.severity == Severity::problem);
    CHECK(finding.what == "web: its probe fails: connection refused");
    CHECK(finding.mend == "viscumctl status web");
    facts.daemon->services.front().drained = true;
    finding = only(facts, "services");
    CHECK(finding.severity == Severity::warning);
    CHECK(finding.mend == "viscumctl resume web");
}

TEST_CASE("doctor: a claim that may not be, or never matches") {
    Facts facts = healthy();
    facts.services.push_back(service_of("far", {"198.51.100.7"}));
    CHECK(holds(only(facts, "services").what, "far: "));
    CHECK(only(facts, "services").severity == Severity::problem);
    facts = healthy();
    facts.config.claimable.push_back(all_of("10.77.0.0/16"));
    facts.services.push_back(service_of("near", {"10.77.0.9"}));
    CHECK(holds(only(facts, "services").what, "near: "));
    facts = healthy();
    facts.service_mistakes = {{"/etc/viscum/services/web.yaml", 1, 1, "no 'viscum:'", ""}};
    CHECK(holds(only(facts, "services").what, "/etc/viscum/services/web.yaml:1:1"));
}

TEST_CASE("doctor: clients with IPv6 pass a service by that claims IPv4 alone") {
    Facts facts = healthy();
    facts.lan_has_v6 = true;
    CHECK(holds(only(facts, "services").what, "web claims IPv4 alone"));
    CHECK_FALSE(has_problem(diagnose(facts)));
    facts.config.claimable.push_back(all_of("2001:db8::/32"));
    facts.services = {service_of("web", {"203.0.113.10", "2001:db8::10"})};
    CHECK(ill(facts, "services").empty());
}

TEST_CASE("doctor: what keeps a client from the cloud when it is not served") {
    Facts facts = healthy();
    facts.forwards_v4 = false;
    CHECK(only(facts, "network").mend == "sysctl -w net.ipv4.ip_forward=1");
    facts = healthy();
    facts.forwards_v6.reset();  // a kernel without IPv6
    CHECK(ill(facts, "network").empty());
    facts.default_route = false;
    CHECK(holds(only(facts, "network").what, "no default route"));
    facts = healthy();
    facts.flow_tables = {{"fw4 soft", false}, {"fw4 ft", true}};
    CHECK(holds(only(facts, "network").what, "flow table fw4 ft"));
}

TEST_CASE("doctor: limits, space, memory and clock are warnings") {
    Facts facts = healthy();
    facts.missing_limits = {"memory", "pids"};
    CHECK(holds(only(facts, "limits").what, "memory, pids"));
    facts.spaces.push_back({"/overlay", 1000});
    facts.memory_available = 3 << 20;
    facts.year = 1970;
    CHECK(ill(facts, "room").size() == 3);
    CHECK_FALSE(has_problem(diagnose(facts)));
}

TEST_CASE("doctor: what runs beside us and is no obstacle is said to be none") {
    Facts facts = healthy();
    facts.flow_tables = {{"fw4 ft", false}};
    facts.strict_reverse_path = true;
    facts.shaped = {"br-lan"};
    facts.tc_tools = {"bridger"};
    const Diagnosis diagnosis = diagnose(facts);
    CHECK(ill(facts, "network").empty());
    std::string said;
    for (const Finding& finding : diagnosis.findings) {
        said += finding.check == "network" ? finding.what + "\n" : "";
    }
    CHECK(said ==
          "packets that are not served are forwarded\n"
          "flow table fw4 ft offloads in software: our filters come before it\n"
          "rp_filter is strict: what is served here does not pass it\n"
          "SQM shapes br-lan: it takes our filters away at each of its restarts, and they are back within 1 s\n"
          "bridger runs: its filters come after ours\n");
}
