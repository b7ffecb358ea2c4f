// SPDX-License-Identifier: GPL-2.0-only
// Texts of others, and damaged ones of our own: refused with a place, or accepted, and nothing else.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "spec_texts.h"

using namespace viscum;
using namespace viscum::test;

namespace {

const std::string kValid = R"(viscum: 1
name: web
intercept:
  - { address: 203.0.113.10, port: 443 }
  - address: "2001:db8::/64"
    port: 80-90
    protocol: udp
run: { command: [/bin/web, -g, "off;"], env: { A: b } }
health: { udp: { port: 53, send: '\x00\n' }, interval: 2s } # one
sandbox: { allow: [root, cap_kill] }
limits: { memory: 64M, cpu: 50%, pids: none }
files: [{ path: /etc/a, text: "b" }, { path: /etc/c, secret: c }]
egress: [internet, 192.0.2.53:53/udp, "[2001:db8:1::1]:443"]
)";

template <class T>
bool answered(const Parsed<T>& parsed) {
    const auto* found = std::get_if<Diagnostics>(&parsed);
    if (found == nullptr) {
        return true;
    }
    bool placed = !found->empty() && found->size() <= 20;
    for (const auto& diagnostic : *found) {
        placed = placed && diagnostic.line > 0 && diagnostic.column > 0 && !diagnostic.what.empty();
    }
    return placed;
}

bool answered(std::string_view text) {
    return answered(parse_service(text, "a")) && answered(parse_router_config(text, "a"));
}

std::string contents(const std::filesystem::path& path) {
    std::ifstream stream(path);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

/// The texts under "yaml: |" of a file of the suite.
std::vector<std::string> embedded(const std::string& text) {
    std::vector<std::string> found;
    std::istringstream lines(text);
    bool inside = false;
    for (std::string line; std::getline(lines, line);) {
        if (line.substr(0, 9) == "  yaml: |") {
            inside = true;
            found.emplace_back();
        } else if (inside && (line.empty() || line.substr(0, 4) == "    ")) {
            found.back() += line.substr(std::min<std::size_t>(4, line.size())) + "\n";
        } else {
            inside = false;
        }
    }
    return found;
}

/// The blocks of a document that are YAML.
std::vector<std::string> yaml_blocks(const std::string& text) {
    std::vector<std::string> found;
    std::istringstream lines(text);
    bool inside = false;
    for (std::string line; std::getline(lines, line);) {
        if (line.substr(0, 3) == "```") {
            inside = line == "```yaml";
            if (inside) {
                found.emplace_back();
            }
        } else if (inside) {
            found.back() += line + "\n";
        }
    }
    return found;
}

/// `block` with what it leaves out of the lines of `whole`, each of which is one key.
std::string completed(const std::string& block, const std::string& whole) {
    std::string text = block;
    std::istringstream lines(whole);
    for (std::string line; std::getline(lines, line);) {
        const std::string key = line.substr(0, line.find(':') + 1);
        if (("\n" + block).find("\n" + key) == std::string::npos) {
            text += line + "\n";
        }
    }
    return text;
}

}  // namespace

TEST_CASE("spec: every file of the YAML test suite is refused with a place, or accepted") {
    const std::filesystem::path suite = std::filesystem::path(VISCUM_SOURCE_DIR) / "../shared/corpora/yaml-test-suite";
    if (!std::filesystem::is_directory(suite)) {
        MESSAGE("skipped: there is no ", suite.string());
        return;
    }
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(suite)) {
        const std::string text = contents(entry.path());
        CAPTURE(entry.path().string());
        CHECK(answered(text));
        for (const auto& inner : embedded(text)) {
            CHECK(answered(inner));
            CHECK(answered(kService + "x:\n" + inner));
        }
        ++files;
    }
    CHECK(files > 0);
}

TEST_CASE("spec: every truncation of a valid file is refused with a place, or accepted") {
    REQUIRE(service_says(kValid) == "accepted");
    for (std::size_t length = 0; length < kValid.size(); ++length) {
        CAPTURE(length);
        CHECK(answered(std::string_view(kValid).substr(0, length)));
    }
}

TEST_CASE("spec: every flipped bit and every other sign in a valid file is refused with a place, or accepted") {
    for (std::size_t at = 0; at < kValid.size(); ++at) {
        std::string text = kValid;
        CAPTURE(at);
        bool all = true;
        for (int bit = 0; bit < 8; ++bit) {
            text[at] = static_cast<char>(kValid[at] ^ (1 << bit));
            all = answered(parse_service(text, "a")) && all;
        }
        for (const char sign : {'[', '{', '"', '\n', '\t', '&', '?', '-'}) {
            text[at] = sign;
            all = answered(parse_service(text, "a")) && all;
        }
        CHECK(all);
    }
}

TEST_CASE("spec: the examples are valid") {
    const auto examples = std::filesystem::path(VISCUM_SOURCE_DIR) / "examples";
    std::set<std::string> folders;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(examples)) {
        if (entry.path().extension() != ".yaml") {
            continue;
        }
        CAPTURE(entry.path());
        const auto text = read_spec_file(entry.path().string());
        REQUIRE(text);
        CHECK(service_says(*text) == "accepted");
        const std::string folder = entry.path().parent_path().filename();
        const bool is_main = entry.path().filename() == "service.yaml";
        CHECK((service_of(*text).name == folder || !is_main));
        folders.insert(folder);
    }
    for (const std::string name : {"broker", "cache", "dns", "filter", "nginx", "offline", "plates", "speedtest"}) {
        CHECK_MESSAGE(folders.contains(name), name);
    }
}

TEST_CASE("spec: what the documents show is valid") {
    const auto docs = std::filesystem::path(VISCUM_SOURCE_DIR) / "docs";
    const auto services = yaml_blocks(contents(docs / "service-file.md"));
    CHECK(services.size() > 10);
    for (const auto& block : services) {
        CAPTURE(block);
        CHECK(service_says(completed(block, kService)) == "accepted");
    }
    const auto routers = yaml_blocks(contents(docs / "configuration.md"));
    CHECK(routers.size() > 3);
    for (const auto& block : routers) {
        CAPTURE(block);
        if (block.find("lan: [eth1,") == std::string::npos) {  // two ways to write one key
            CHECK(router_says(completed(block, "lan: [br-lan]\n")) == "accepted");
        }
    }
}
