// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/gate.h"

#include <doctest/doctest.h>

#include "base/text.h"

using namespace viscum;

namespace {

std::string said(GateRole role, std::string_view command) {
    const auto admitted = admit_command(role, command);
    return admitted ? cat(admitted->writes ? "writes: " : "looks: ", join(admitted->words, "|"))
                    : admitted.error().what;
}

bool admits(GateRole role, std::string_view command) {
    return static_cast<bool>(admit_command(role, command));
}

}  // namespace

TEST_CASE("gate: a role says its verbs, with their options, and standard input for every file") {
    const auto observe = GateRole::observe;
    const auto deploy = GateRole::deploy;
    CHECK(said(observe, "status") == "looks: status");
    CHECK(said(observe, "viscumctl --json status plates") == "looks: --json|status|plates");
    CHECK(said(observe, "events plates --since 2h -n 20 -f") == "looks: events|plates|--since|2h|-n|20|-f");
    CHECK(said(observe, "events") == "looks: events");
    CHECK(said(observe, "  logs  plates -n 20  --json") == "looks: logs|plates|-n|20|--json");
    CHECK(said(observe, "validate -") == "looks: validate|-");
    CHECK(said(observe, "plan") == "looks: plan");
    CHECK(said(observe, "why 10.77.0.10 203.0.113.10:443/tcp") == "looks: why|10.77.0.10|203.0.113.10:443/tcp");
    CHECK(said(observe, "why [2001:db8::1]:9 [2001:db8:c::10]:443") ==
          "looks: why|[2001:db8::1]:9|[2001:db8:c::10]:443");
    CHECK(said(deploy, "deploy - --wait 5s --confirm 2m") == "writes: deploy|-|--wait|5s|--confirm|2m");
    CHECK(said(deploy, "confirm") == "writes: confirm");
    CHECK(said(deploy, "remove plates --wait 1s") == "writes: remove|plates|--wait|1s");
    for (const char* verb :
         {"deploy -", "confirm", "revert", "drain a", "drain --all", "resume a", "restart a", "remove a"}) {
        CHECK_FALSE(admits(observe, verb));
        CHECK(admits(deploy, verb));
    }
}

TEST_CASE("gate: what is not a role's is refused, and said in printable text") {
    const auto deploy = GateRole::deploy;
    CHECK(said(deploy, "").starts_with("this key may say: list, status, "));
    CHECK(said(GateRole::observe, "") ==
          "this key may say: list, status, logs, events, audit, savings, doctor, why, plan, validate, version, bundle "
          "list");
    for (const char* command : {
             "exec plates -- sh",
             "image import /etc/passwd",
             "gate --role deploy --key x",
             "sh",
             "deploy /etc/shadow",
             "deploy - -",
             "deploy",
             "deploy -- -",
             "validate ../x",
             "--instance other status",
             "status --instance other",
             "status --instance=other",
             "status a b",
             "status ../../etc",
             "status -a",
             "list x",
             "remove",
             "why",
             "why 10.77.0.10",
             "why a b",
             "why 10.77.0.10 203.0.113.10:443/tcp x",
             "remove a --wait",
             "remove a --wait=1s",
             "remove a --wait soon",
             "events a b",
             "events --since",
             "events --since soon",
             "logs a -n -1",
             "logs a -n 10001",
             "logs a -fn5",
             "status; reboot",
             "status\nreboot",
             "status `id`",
             "status $(id)",
             "status 'a'",
             "status\ta",
             "--json",
             "--help",
         }) {
        CAPTURE(command);
        CHECK_FALSE(admits(deploy, command));
    }
    CHECK(said(deploy, "x\x1b[31m'y") == "'x?[31m?y' is refused: " + said(deploy, ""));
    CHECK_FALSE(admits(deploy, std::string(2000, ' ') + "list"));
}

TEST_CASE("gate: no byte in the place of another lets a word through that is none of the verb's") {
    const std::string command = "restart plates --wait 1s";
    for (std::size_t at = 0; at < command.size(); ++at) {
        for (int byte = 0; byte < 256; ++byte) {
            std::string changed = command;
            changed[at] = static_cast<char>(byte);
            const auto admitted = admit_command(GateRole::deploy, changed);
            if (!admitted) {
                continue;
            }
            for (const auto& word : admitted->words) {
                for (const char c : word) {
                    const bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
                    CHECK(fine);
                }
            }
        }
    }
}

TEST_CASE("gate: names of keys are words") {
    CHECK(is_key_name("ops@noc-1.example_net"));
    for (const char* name : {"", "a b", "a\nb", "a'b", "\xc3\xa4"}) {
        CHECK_FALSE(is_key_name(name));
    }
    CHECK_FALSE(is_key_name(std::string(65, 'a')));
}
