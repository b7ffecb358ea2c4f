// SPDX-License-Identifier: GPL-2.0-only
// The plug-in that puts Viscum on ubus: what viscumctl is asked, and what the caller hears.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "tests/openwrt/fixture.h"

using namespace viscum;
using namespace viscum::test;
using nlohmann::json;

namespace {

class Plugin {
public:
    /// What comes back: always one object, or nothing at all.
    [[nodiscard]] json call_with(const std::string& method, const std::string& input) const {
        router.remove("/argv");
        const auto output = router.script({script_, "call", method}, input);
        CHECK(output.status == 0);
        auto answer = json::parse(output.out, nullptr, false);
        CHECK_MESSAGE(answer.is_object(), output.out);
        return answer;
    }
    [[nodiscard]] json call(const std::string& method, const json& input) const {
        return call_with(method, input.dump());
    }

    /// The words that viscumctl was called with; none: it was not.
    [[nodiscard]] std::string words() const {
        auto text = router.read("/argv");
        std::replace(text.begin(), text.end(), '\n', ' ');
        return text;
    }

    [[nodiscard]] json signatures() const { return json::parse(router.script({script_, "list"}).out); }

    const Router router;

private:
    const std::string script_ = package_file("files/rpcd-viscum");
};

}  // namespace

TEST_CASE("openwrt: rpcd hears each method and what it takes, and each is in one role") {
    const Plugin plugin;
    const auto signatures = plugin.signatures();
    CHECK(signatures["list"] == json::object());
    CHECK(signatures["deploy"] == json{{"text", "str"}, {"confirm", 32}});
    CHECK(signatures["plan"] == json{{"text", "str"}});
    CHECK(signatures["logs"] == json{{"name", "str"}, {"lines", 32}});
    const RunOutput acl = run({"cat", package_file("files/viscum.acl.json")});
    const auto roles = json::parse(acl.out)["viscum"];
    CHECK(roles["read"]["ubus"]["viscum"] == json{"list", "status", "logs", "version", "doctor", "audit"});
    std::multiset<std::string> granted;
    for (const auto* role : {"read", "write"}) {
        CHECK(roles[role]["uci"] == json::array({"viscum"}));
        for (const auto& method : roles[role]["ubus"]["viscum"]) {
            granted.insert(method.get<std::string>());
        }
    }
    std::multiset<std::string> known;
    for (const auto& item : signatures.items()) {
        known.insert(item.key());
    }
    CHECK(granted == known);
}

TEST_CASE("openwrt: a method is a verb of viscumctl, whose answer comes back as it is") {
    const Plugin plugin;
    const json said{{"code", 0}, {"message", "it's \"done\" \\ $(id)\nlo \xc3\xa9"}};
    plugin.router.write("/answer", said.dump() + "\n");
    const json plates{{"name", "plates-2"}};
    const std::vector<std::tuple<std::string, json, std::string>> cases{
        {"list", json::object(), "--json list "},
        {"version", json::object(), "--json version "},
        {"status", json::object(), "--json status "},
        {"status", plates, "--json status plates-2 "},
        {"doctor", json::object(), "--json doctor "},
        {"audit", plates, "--json audit plates-2 "},
        {"drain", plates, "--json drain plates-2 "},
        {"resume", plates, "--json resume plates-2 "},
        {"restart", plates, "--json restart plates-2 --wait 20s "},
        {"remove", plates, "--json remove plates-2 --wait 20s "},
        {"confirm", plates, "--json confirm plates-2 "},
        {"revert", plates, "--json revert plates-2 "},
        {"validate", json{{"text", "a"}}, "--json validate - "},
        {"plan", json{{"text", "a"}}, "--json plan - "},
        {"deploy", json{{"text", "a"}}, "--json deploy --wait 20s - "},
        {"deploy", json{{"text", "a"}, {"confirm", 300}}, "--json deploy --wait 20s --confirm 300s - "},
    };
    for (const auto& [method, input, words] : cases) {
        const std::string called = method;
        CAPTURE(called);
        CHECK(plugin.call(method, input) == said);
        CHECK(plugin.words() == words);
        // LuCI's calls carry the session.
        auto more = input;
        more["ubus_rpc_session"] = "0123456789abcdef";
        CHECK(plugin.call(method, more) == said);
        CHECK(plugin.words() == words);
    }
    CHECK(plugin.call_with("list", "") == said);
}

TEST_CASE("openwrt: the text of a service file reaches viscumctl byte for byte") {
    const Plugin plugin;
    plugin.router.write("/answer", "{}\n");
    std::string text = "name: x # it's \"$(id)\" `id` \\n %s ; | &\n\ttab: '\xc3\xa9'\n-n\n--\n";
    for (int i = 0; i < 3000; ++i) {
        text += "# a line to make it long\n";
    }
    for (const auto* method : {"validate", "plan", "deploy"}) {
        plugin.router.remove("/stdin");
        (void)plugin.call(method, json{{"text", text}});
        CHECK(plugin.router.read("/stdin") == text);
    }
    CHECK(plugin.words() == "--json deploy --wait 20s - ");
}

TEST_CASE("openwrt: the lines of a log are one object") {
    const Plugin plugin;
    plugin.router.write("/answer", "");
    CHECK(plugin.call("logs", json{{"name", "web"}}) == json{{"lines", json::array()}});
    CHECK(plugin.words() == "--json logs web -n 100 ");
    plugin.router.write("/answer", "{\"time\":\"\",\"text\":\"a\"}\n{\"time\":\"\",\"text\":\"b\\\\,\"}\n");
    CHECK(plugin.call("logs", json{{"name", "web"}, {"lines", 2}}) ==
          json{{"lines", {{{"time", ""}, {"text", "a"}}, {{"time", ""}, {"text", "b\\,"}}}}});
    CHECK(plugin.words() == "--json logs web -n 2 ");
}

TEST_CASE("openwrt: no argument of a call becomes an option, another word or a command") {
    const Plugin plugin;
    plugin.router.write("/answer", "{}\n");
    const auto refused = [&](const std::string& method, const std::string& input) {
        CAPTURE(method);
        CAPTURE(input);
        const auto answer = plugin.call_with(method, input);
        CHECK(answer["code"] == 2);
        CHECK(answer["error"]["message"].is_string());
        CHECK(plugin.words().empty());
    };
    const json long_name(std::string(33, 'a'));
    const std::vector<json> names{"",
                                  "-h",
                                  "--instance",
                                  "-",
                                  "a b",
                                  "a\nb",
                                  "../a",
                                  "a;id",
                                  "$(id)",
                                  "`id`",
                                  "a*",
                                  "A",
                                  "\xc3\xa9",
                                  "a\"b",
                                  "a\\nb",
                                  "a=b",
                                  "a.b",
                                  "'",
                                  "a\t",
                                  "a\x01",
                                  json::array({"a"}),
                                  json::object(),
                                  1,
                                  true,
                                  nullptr,
                                  1.5,
                                  long_name,
                                  "a,b"};
    for (const auto& name : names) {
        // All of them take a name by the same function.
        refused("restart", json{{"name", name}}.dump());
    }
    for (const auto* method : {"logs", "audit", "remove", "drain", "resume", "confirm", "revert"}) {
        refused(method, R"({"name":"-a"})");
        refused(method, "{}");
    }
    refused("status", R"({"name":"-a"})");
    for (const auto* lines : {"0", "-1", "1001", "1e9", "1.5", "\"5\"", "\"-f\"", "[1]", "{}", "true", "\"1 -f\""}) {
        refused("logs", std::string(R"({"name":"a","lines":)") + lines + "}");
    }
    for (const auto* text : {"1", "[\"a\"]", "{\"name\":\"a\"}", "true", "null"}) {
        for (const auto* method : {"validate", "plan", "deploy"}) {
            refused(method, std::string(R"({"text":)") + text + "}");
        }
    }
    refused("deploy", "{}");
    for (const auto* seconds : {"0", "-1", "10000", "1.5", "\"5\"", "\"5s -\"", "[1]", "{}", "true"}) {
        refused("deploy", std::string(R"({"text":"a","confirm":)") + seconds + "}");
    }
    for (const auto* input : {"{", "[]", "null", "\"a\"", "1", "a", "{\"name\":", "\x01"}) {
        refused("status", input);
    }
    for (const auto* method : {"exec", "image", "--help", "", "list list", "plan ", "deploy --dry-run", "*"}) {
        refused(method, "{}");
    }
}

TEST_CASE("openwrt: a failure is an object with viscumctl's code") {
    const Plugin plugin;
    const json said{{"error", {{"message", "there is no service 'web'"}}}, {"code", 6}};
    plugin.router.write("/answer", said.dump() + "\n");
    plugin.router.write("/code", "6");
    for (const auto* method : {"status", "logs", "drain"}) {
        CHECK(plugin.call(method, json{{"name", "web"}}) == said);
    }
    // It ended without a word.
    plugin.router.write("/answer", "");
    plugin.router.write("/code", "137");
    for (const auto* method : {"status", "logs", "drain"}) {
        const auto answer = plugin.call(method, json{{"name", "web"}});
        CHECK(answer["code"] == 137);
        CHECK(answer["error"]["message"] == "viscumctl ended with 137 and without an answer");
        CHECK(answer["error"]["diagnostics"] == json::array());
    }
}
