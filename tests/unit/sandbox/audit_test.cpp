// SPDX-License-Identifier: GPL-2.0-only
#include "controller/sandbox/audit.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "controller/spec/allowances.h"

using namespace viscum;

namespace {

Claim claim(const std::string& prefix, PortRange ports = {443, 443}) {
    return {IpPrefix::parse(prefix).value(), ports, Protocol::tcp};
}

/// As a service file makes it that says no more than it must.
ServiceSpec plain() {
    ServiceSpec spec;
    spec.name = "plates";
    spec.intercept = {claim("203.0.113.10")};
    spec.run.command = {"/usr/sbin/nginx"};
    return spec;
}

/// As the sandbox makes a process.
ProcessFacts caged() {
    ProcessFacts facts;
    facts.uid = facts.gid = 1'879'052'301;
    facts.no_new_privs = facts.seccomp = true;
    facts.open_files = 1024;
    return facts;
}

AuditItem item(const Audit& audit, const std::string& name) {
    const auto found = std::ranges::find(audit.items, name, &AuditItem::name);
    REQUIRE_MESSAGE(found != audit.items.end(), name);
    return *found;
}

bool says(const AuditItem& item, const std::string& words) {
    const bool found = item.text.find(words) != std::string::npos;
    CHECK_MESSAGE(found, item.name << ": " << item.text);
    return found;
}

}  // namespace

TEST_CASE("audit: a service that asks for nothing is OK, and near 0") {
    const auto audit = audit_service(plain(), caged(), {});
    CHECK(audit.word == "OK");
    CHECK(audit.score <= 0.5);
    CHECK(item(audit, "user").text == "runs as uid 1879052301, an account of its own");
    CHECK(item(audit, "egress").text ==
          "cannot reach the router, the LAN, other services or the internet: it only answers");
    // What is left: nobody limits its CPU time, nobody asks how it is, and it reads the router's files.
    for (const auto& [name, exposure] : {std::pair{"cpu", 2}, {"health", 1}, {"root-filesystem", 1}}) {
        CHECK(item(audit, name).exposure == exposure);
    }
    CHECK(std::ranges::count(audit.items, false, &AuditItem::ok) == 3);
}

TEST_CASE("audit: nothing is left to say against a service with all limits, an image and a probe that looks") {
    auto spec = plain();
    spec.run.image = "plates";
    spec.limits.cpu = {50, LimitsSpec::Source::file};
    spec.limits.memory = {64U << 20, LimitsSpec::Source::file};
    spec.health.probe = HttpProbe{};
    const auto audit = audit_service(spec, caged(), {});
    CHECK(audit.score == 0);
    CHECK(std::ranges::all_of(audit.items, &AuditItem::ok));
    CHECK(item(audit, "cpu").text == "at most 50% of one CPU");
    says(item(audit, "memory"), "at most 64M");
    says(item(audit, "root-filesystem"), "in memory, 32M at most");
}

TEST_CASE("audit: a process without any wall is as unsafe as the scale goes") {
    auto spec = plain();
    spec.intercept = {claim("198.51.100.0/24", PortRange{})};
    for (const auto& allowance : kAllowances) {
        spec.sandbox.allow.emplace(allowance.name);
    }
    spec.sandbox.allow.erase("writable-root");
    spec.limits.memory.source = spec.limits.pids.source = spec.limits.open_files.source = LimitsSpec::Source::none;
    spec.egress.internet = spec.egress.origin = true;
    spec.on_failure = OnFailure::keep;
    ProcessFacts facts;
    facts.capabilities = ~0ULL;
    facts.shared_namespaces = {"mnt", "pid", "ipc", "uts", "net", "cgroup"};
    facts.root_writable = facts.sees_sys = facts.sees_processes = facts.core_dumps = true;
    facts.devices = {"kmsg", "sda"};
    const auto audit = audit_service(spec, facts, {});
    CHECK(audit.score == 10.0);
    CHECK(audit.word == "UNSAFE");
    CHECK(item(audit, "devices").text == "has devices: kmsg, sda");
    for (const auto& judged : audit.items) {
        CAPTURE(judged.name);
        CHECK(judged.ok == (judged.exposure == 0));
        CHECK(std::ranges::count(audit.items, judged.name, &AuditItem::name) == 1);
        CHECK_FALSE(judged.text.empty());
    }
}

TEST_CASE("audit: what the process is counts, not what its file asks for, and the difference is told") {
    auto facts = caged();
    facts.uid = 0;
    facts.root_writable = true;
    const auto audit = audit_service(plain(), facts, {});
    CHECK(item(audit, "user").text == "runs as root, which its file does not ask for");
    CHECK(item(audit, "root-filesystem").exposure == 5);
    says(item(audit, "root-filesystem"), "which its file does not ask for");
    auto allowed = plain();
    allowed.sandbox.allow = {"root"};
    CHECK(item(audit_service(allowed, facts, {}), "user").text == "runs as root");
    CHECK(item(audit_service(allowed, caged(), {}), "user").ok);
}

TEST_CASE("audit: without a process the file is judged, and that is said") {
    const auto audit = audit_service(plain(), std::nullopt, {});
    says(item(audit, "process"), "does not run");
    CHECK(audit.word == "OK");
    CHECK(item(audit, "user").ok);
    auto spec = plain();
    spec.sandbox.allow = {"root", "cap_setuid", "sys"};
    const auto open = audit_service(spec, std::nullopt, {});
    CHECK_FALSE(item(open, "user").ok);
    CHECK_FALSE(item(open, "sys").ok);
    says(item(open, "capabilities"), "has cap_setuid");
}

TEST_CASE("audit: each wall that is missing takes the word OK away") {
    const auto word = [](auto change) {
        auto facts = caged();
        change(facts);
        return audit_service(plain(), facts, {}).word;
    };
    CHECK(word([](ProcessFacts& facts) { facts.uid = 0; }) == "MEDIUM");
    CHECK(word([](ProcessFacts& facts) { facts.capabilities = 1U << 21; }) == "MEDIUM");
    CHECK(word([](ProcessFacts& facts) { facts.no_new_privs = false; }) == "MEDIUM");
    CHECK(word([](ProcessFacts& facts) { facts.seccomp = false; }) == "MEDIUM");
    CHECK(word([](ProcessFacts& facts) { facts.shared_namespaces = {"net"}; }) == "MEDIUM");
    CHECK(word([](ProcessFacts& facts) { facts.shared_namespaces = {"uts"}; }) == "OK");
}

TEST_CASE("audit: capabilities are named, and those that no file can ask for weigh most") {
    auto spec = plain();
    spec.sandbox.allow = {"cap_chown", "cap_setuid"};
    auto facts = caged();
    facts.capabilities = 0x81;
    const auto asked = item(audit_service(spec, facts, {}), "capabilities");
    CHECK(asked.text == "has cap_chown, cap_setuid");
    CHECK(asked.exposure == 2);
    facts.capabilities |= std::uint64_t{1} << 21;  // CAP_SYS_ADMIN
    const auto more = item(audit_service(spec, facts, {}), "capabilities");
    CHECK(more.exposure == 10);
    says(more, "that amount to the router itself, which its file does not ask for");
}

TEST_CASE("audit: a limit that this machine cannot keep is none, and one that the file lifts neither") {
    const auto missing = audit_service(plain(), caged(), {"memory", "pids"});
    CHECK(item(missing, "memory").exposure == 4);
    says(item(missing, "memory"), "no limit is kept on this machine");
    says(item(missing, "pids"), "no limit is kept on this machine");
    says(item(missing, "cpu"), "no limit is asked for");
    auto spec = plain();
    spec.limits.pids.source = LimitsSpec::Source::none;
    spec.limits.open_files.source = LimitsSpec::Source::none;
    const auto lifted = audit_service(spec, caged(), {"pids"});
    says(item(lifted, "pids"), "no limit is asked for");
    CHECK_FALSE(item(lifted, "open-files").ok);
    auto facts = caged();
    facts.open_files = 4096;
    says(item(audit_service(plain(), facts, {}), "open-files"), "4096 files, more than its limit of 1024");
}

TEST_CASE("audit: whom a service may reach is said in words") {
    auto spec = plain();
    const EgressTarget dns{IpPrefix::parse("192.0.2.53").value(), {53, 53}, Protocol::udp};
    spec.egress.targets = {dns};
    spec.egress.origin = true;
    auto audit = audit_service(spec, caged(), {});
    CHECK(item(audit, "egress").text == "may reach " + dns.text() + " and nothing else");
    CHECK(item(audit, "egress").exposure == 2);
    CHECK_FALSE(item(audit, "origin").ok);
    spec.egress.targets.assign(9, dns);
    says(item(audit_service(spec, caged(), {}), "egress"), " and 5 more and nothing else");
    spec.egress.internet = true;
    audit = audit_service(spec, caged(), {});
    CHECK(item(audit, "egress").exposure == 5);
    says(item(audit, "egress"), "may reach the internet");
    auto facts = caged();
    facts.shared_namespaces = {"net"};
    says(item(audit_service(plain(), facts, {}), "egress"), "whatever the router reaches");
}

TEST_CASE("audit: claims are counted, each address once") {
    auto spec = plain();
    spec.intercept = {claim("203.0.113.10"), claim("203.0.113.10", {80, 80}), claim("198.51.100.0/28")};
    const auto few = item(audit_service(spec, caged(), {}), "claims");
    CHECK(few.ok);
    CHECK(few.text == "answers in the cloud's place for 203.0.113.10:443/tcp and 2 more; addresses: 17");
    spec.intercept = {claim("2001:db8::/64")};
    const auto many = item(audit_service(spec, caged(), {}), "claims");
    CHECK_FALSE(many.ok);
    says(many, "2^32 or more");
    spec.intercept = {claim("203.0.113.10", PortRange{})};
    says(item(audit_service(spec, caged(), {}), "claims"), "all ports");
}

TEST_CASE("audit: a probe that no wrong answer can fail is blind") {
    auto spec = plain();
    const auto health = [&](auto probe) {
        spec.health.probe = probe;
        return item(audit_service(spec, caged(), {}), "health").ok;
    };
    CHECK_FALSE(health(ProcessProbe{}));
    CHECK_FALSE(health(TcpProbe{443}));
    CHECK_FALSE(health(UdpProbe{53, "x", ""}));
    CHECK(health(UdpProbe{53, "x", "y"}));
    CHECK(health(HttpProbe{}));
    CHECK(health(ExecProbe{{"/bin/true"}}));
}

TEST_CASE("audit: every allowance shows, as an item of its own or in what the process is") {
    const auto before = audit_service(plain(), std::nullopt, {});
    for (const auto& allowance : kAllowances) {
        auto spec = plain();
        spec.sandbox.allow = {std::string(allowance.name)};
        const auto audit = audit_service(spec, std::nullopt, {});
        CAPTURE(allowance.name);
        CHECK(audit.score > before.score);
    }
    auto spec = plain();
    spec.sandbox.allow = {"bpf"};
    CHECK(item(audit_service(spec, caged(), {}), "allow-bpf").text == "may load BPF programs");
}

TEST_CASE("audit: secrets are counted and never shown") {
    auto spec = plain();
    spec.files = {{"/run/key", FileSpec::Source::secret, "tls.key"}, {"/etc/motd", FileSpec::Source::text, "hello"}};
    const auto files = item(audit_service(spec, caged(), {}), "files");
    CHECK(files.ok);
    CHECK(files.text == "is given files: 1, secrets that it alone reads: 1; cannot change them");
}
