// SPDX-License-Identifier: GPL-2.0-only
// A service file, from its text to what viscum-shim is told.
#include <set>

#include "base/text.h"
#include "controller/sandbox/sandbox.h"
#include "controller/shim/words.h"
#include "controller/spec/parse.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/places.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

void check_claims_of(const ServiceSpec& spec) {
    require(!spec.intercept.empty() && spec.intercept.size() <= 256, "a service has 1 to 256 claims");
    for (std::size_t i = 0; i < spec.intercept.size(); ++i) {
        const Claim& one = spec.intercept[i];
        require(IpPrefix::parse(one.prefix.text()) == one.prefix, "a claim's prefix is read back");
        require(one.ports.first >= 1 && one.ports.first <= one.ports.last, "a claim's ports are a range");
        for (std::size_t j = 0; j < i; ++j) {
            const Claim& other = spec.intercept[j];
            require(one.prefix != other.prefix || one.protocol != other.protocol || !one.ports.overlaps(other.ports),
                    "no two claims take the same packets");
        }
    }
}

void check_values(const ServiceSpec& spec) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    require(!spec.name.empty() && spec.name.size() <= 32 && std::all_of(spec.name.begin(), spec.name.end(), letter) &&
                spec.name.front() != '-' && spec.name.back() != '-',
            "a service has a name");
    check_claims_of(spec);
    require(!spec.run.command.empty() || !spec.run.image.empty(), "a service runs something");
    require(spec.run.rootfs.empty() || spec.run.image.empty(), "a service has one root");
    for (const auto& word : spec.run.command) {
        require(word.find('\0') == std::string::npos, "no word of a command holds a NUL");
    }
    for (const auto& [name, value] : spec.run.env) {
        require(!name.empty() && name.find_first_of(std::string("=\0", 2)) == std::string::npos &&
                    value.find('\0') == std::string::npos,
                "a variable has a name that execve takes");
    }
    std::set<std::string> paths;
    for (const auto& file : spec.files) {
        require(file.path.starts_with('/') && paths.insert(file.path).second, "a file has a path of its own");
        const auto parts = split(file.path, '/');
        require(std::find(parts.begin(), parts.end(), "..") == parts.end(), "no path climbs");
    }
    require(spec.files.size() <= 64 && spec.egress.targets.size() <= bounds::kMaxTargets, "lists are bounded");
    for (const auto& end : spec.ends) {
        require(std::find(spec.intercept.begin(), spec.intercept.end(), end.claim) != spec.intercept.end() &&
                    parse_wall_time(format_wall_time(end.at)) == end.at,
                "what ends is claimed, and its end can be written");
    }
    require(spec.health.fall >= 1 && spec.health.rise >= 1 && spec.health.interval.count() > 0 &&
                spec.health.timeout.count() > 0,
            "a service is looked at");
    require(spec.restart.backoff <= spec.restart.backoff_max, "a pause does not shrink");
}

/// What viscumd writes for the shim, the shim reads.
void check_sandbox(const ServiceSpec& spec) {
    SandboxInput input;
    input.spec = &spec;
    input.instance = "viscum";
    input.identity = {1000, 1000, {4, 24}, "web", "/"};
    if (!spec.run.image.empty()) {
        input.layers = {"/var/lib/viscum/images/layers/0", "/var/lib/viscum/images/layers/1"};
    }
    input.host_mounts = {{"/home", "ext4"}};
    input.cgroup_files = {"/sys/fs/cgroup/viscum/web.0/cgroup.procs"};
    input.memory_limit = spec.limits.memory.any() ? spec.limits.memory.value : 0;
    input.seccomp = "filter";
    const auto sandbox = make_sandbox(input);
    if (!sandbox) {
        require(!sandbox.error().what.empty(), "a refusal says why");
        return;
    }
    const std::string words = sandbox->words;
    MappedFile file;
    file.bytes = words.data();
    file.length = words.size();
    Words read;
    Failure failure;
    require(words.size() > kMaxSandboxBytes || read.take(file, failure), "the shim understands what viscumd writes");
    require(describe(*sandbox).size() > 3, "a sandbox is described");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = text_of(data, size);
    const auto parsed = parse_service(text, "web.yaml");
    if (const auto* mistakes = std::get_if<Diagnostics>(&parsed)) {
        check_places(text, *mistakes);
        return 0;
    }
    const auto& spec = std::get<ServiceSpec>(parsed);
    check_values(spec);
    check_sandbox(spec);
    return 0;
}
