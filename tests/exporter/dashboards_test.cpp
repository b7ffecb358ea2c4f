// SPDX-License-Identifier: GPL-2.0-only
// What is built on the metrics: every one that a rule or a dashboard asks for is there, and promtool agrees with the
// rules.
#include <set>

#include "base/file.h"
#include "controller/ipc/json.h"
#include "tests/exporter/exporter.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr std::size_t kMost = 1024 * 1024;
constexpr const char* kRules = VISCUM_SOURCE_DIR "/packaging/prometheus/viscum.rules.yml";
constexpr const char* kDashboard = VISCUM_SOURCE_DIR "/packaging/grafana/viscum.json";

bool in_name(char letter) {
    return (letter >= 'a' && letter <= 'z') || letter == '_';
}

/// Every "viscum_…" in a text.
std::set<std::string> names_in(const std::string& text) {
    std::set<std::string> names;
    for (auto at = text.find("viscum_"); at != std::string::npos; at = text.find("viscum_", at + 1)) {
        auto end = at;
        while (end < text.size() && in_name(text[end])) {
            ++end;
        }
        if (at == 0 || !in_name(text[at - 1])) {
            names.insert(text.substr(at, end - at));
        }
    }
    return names;
}

/// What stands at the beginnings of lines of a text of metrics.
std::set<std::string> sample_names(const std::string& text) {
    std::set<std::string> names;
    for (const auto& line : split(text, '\n')) {
        if (!line.starts_with('#')) {
            names.insert(line.substr(0, line.find_first_of("{ ")));
        }
    }
    return names;
}

/// All texts named "expr", "query" or "definition" of a tree.
void queries(const JsonValue& value, std::string& out) {
    if (const auto* list = std::get_if<JsonValue::List>(&value.value)) {
        for (const auto& item : *list) {
            queries(item, out);
        }
    } else if (const auto* object = std::get_if<JsonValue::Object>(&value.value)) {
        for (const auto& member : *object) {
            const auto* text = std::get_if<std::string>(&member.value.value);
            if (text != nullptr && (member.name == "expr" || member.name == "query" || member.name == "definition")) {
                out += *text + "\n";
            }
            queries(member.value, out);
        }
    }
}

}  // namespace

TEST_CASE("dashboards: every metric that a rule or a dashboard asks for is one that the exporter writes") {
    const auto scene = scene_with_observers();
    scene->deploy(web_service());
    const Exporter exporter(*scene);
    // A count by reason is there once there is something to count.
    scene->kill_service("web");
    CHECK(scene->web() != "");
    const std::string kCloud = R"(viscum_claim_cloud_packets_total{service="web")";
    CHECK(eventually(kLimit, [&] {
        (void)scene->web();
        return exporter.get("/metrics").body.find(kCloud) != std::string::npos;
    }));
    CHECK(eventually(kLimit, [&] {
        return exporter.get("/metrics").body.find("viscum_service_probe_seconds{") != std::string::npos;
    }));
    const auto written = sample_names(exporter.get("/metrics").body);
    const auto rules = read_file(kRules, kMost);
    const auto dashboard = read_file(kDashboard, kMost);
    REQUIRE(rules);
    REQUIRE(dashboard);
    const auto tree = parse_json(*dashboard);
    REQUIRE_MESSAGE(tree, tree.error().what);
    std::string asked;
    queries(*tree, asked);
    CHECK(names_in(asked).size() > 10);
    CHECK(names_in(*rules).size() > 5);
    for (const auto& name : names_in(asked + *rules)) {
        CHECK_MESSAGE(written.contains(name), name);
    }
}

TEST_CASE("dashboards: promtool takes the rules, and each alert comes where its test says") {
    if (!run({"promtool", "--version"}).success()) {
        skip("promtool (Debian: prometheus) is not installed");
        return;
    }
    const RunOutput check = run({"promtool", "check", "rules", kRules});
    CHECK_MESSAGE(check.success(), check.out, check.err);
    const RunOutput test =
        run({"promtool", "test", "rules", VISCUM_SOURCE_DIR "/packaging/prometheus/viscum.rules.test.yml"});
    CHECK_MESSAGE(test.success(), test.out, test.err);
}

}  // namespace viscum
