// SPDX-License-Identifier: GPL-2.0-only
#include "tests/scene/scene.h"

#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "tests/support/process_tree.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr Millis kPollInterval{5};
constexpr const char* kShim = "viscum-shim";

/// What stays by design: the operator's wishes, and clsact, which is not ours alone. And what went by itself: viscumd's
/// end of the connection that asked whether it listens.
bool stays(const std::string& line) {
    return is_state_of_viscumd(line) || line.starts_with("+ hotspot: qdisc clsact on lan") ||
           line == "- descriptor of viscumd: socket";
}

/// The grade that is forced on every scene: VISCUM_DATAPATH, for the same tests of another grade.
std::string datapath_line() {
    const char* grade = std::getenv("VISCUM_DATAPATH");
    return grade == nullptr ? "" : cat("datapath: ", grade, "\n");
}

/// The classic grade needs LAN devices of one MAC, and connection tracking to know which connections the cloud has.
BedOptions bed_for_grade(BedOptions options) {
    if (!datapath_line().empty()) {
        options.firewall = options.one_mac = true;
    }
    return options;
}

std::string config_with(const std::string& lines) {
    const bool says = lines.find("datapath:") != std::string::npos;
    return cat("viscum: 1\nclaimable: [203.0.113.0/24, 198.51.100.0/24, '2001:db8:c::/64']\n",
               says ? "" : datapath_line(), lines);
}

std::vector<pid_t> shims() {
    auto all = descendants(1);
    std::erase_if(all, [](pid_t pid) {
        const auto name = read_file(cat("/proc/", pid, "/comm"), 64);
        return !name || *name != cat(kShim, "\n");
    });
    return all;
}

void remove_all(const std::string& parent) {
    const auto names = list_directory(parent);
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
        if (name.starts_with("viscum")) {
            std::error_code ignored;
            std::filesystem::remove_all(cat(parent, "/", name), ignored);
        }
    }
}

}  // namespace

const Endpoint kWeb = Endpoint::of("203.0.113.10", 80);
const Endpoint kWeb6 = Endpoint::of("2001:db8:c::10", 80);
const Endpoint kDns = Endpoint::of("203.0.113.53", 53);

bool eventually(Millis limit, const std::function<bool()>& condition) {
    for (const BootTime deadline = boot_now() + limit; !condition();) {
        if (boot_now() >= deadline) {
            return false;
        }
        std::this_thread::sleep_for(kPollInterval);
    }
    return true;
}

Scene::Scene(const Options& options) : bed_(must(Bed::make(bed_for_grade(options.bed)))) {
    viscumd_ =
        std::make_unique<Viscumd>(must(Viscumd::start(bed_->hotspot(), {.config = config_with(options.config_lines)})));
    start_in_cloud(nginx("cloud", "cloud", {"80", "[::]:80"}), 80);
}

Scene::~Scene() {
    end_all({"/etc", "/run", "/var/lib", "/sys/fs/bpf", "/tmp"});
}

void Scene::end_all(const std::vector<std::string>& directories) {
    if (viscumd_) {
        viscumd_->kill();
    }
    for (const pid_t shim : shims()) {
        kill(shim, SIGKILL);
    }
    (void)eventually(kLimit, [] { return shims().empty(); });
    const auto names = net_ns_names("viscum");
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
        (void)remove_net_ns_name(name);
    }
    for (const std::string& parent : directories) {
        remove_all(parent);
    }
}

void Scene::reboot() {
    end_all({"/run", "/sys/fs/bpf"});
    for (const std::string& device : bed_->lan_devices()) {
        (void)output_of({"tc", "qdisc", "del", "dev", device, "clsact"}, {.ns = &bed_->hotspot()});
    }
    must(viscumd_->start_again());
}

void Scene::write_config(const std::string& lines) const {
    must(write_file_atomically(viscumd_->instance().config_file(), config_with(lines), 0644));
}

void Scene::start_in_cloud(const Result<Server>& server, std::uint16_t port) {
    REQUIRE_MESSAGE(server, server.error().what);
    cloud_.push_back(must(start_server(*server, bed_->cloud(), port)));
    before_ = must(take_snapshot());
}

std::string Scene::web(const Endpoint& to, int client) const {
    return http_get(bed_->client(client), {.to = to}).who();
}

std::string Scene::echo(const Endpoint& to, int client) const {
    const UdpResult result = udp_query(bed_->client(client), {.to = to, .payload = "x"});
    return result.answered ? result.reply.substr(0, result.reply.find(' ')) : result.error;
}

std::unique_ptr<FlowClient> Scene::flow(const Endpoint& to, int client) const {
    return std::make_unique<FlowClient>(
        bed_->client(client),
        FlowClient::Options{.request = {.to = to, .limit = 10s}, .pause = 200us, .most = 3'000'000});
}

RunOutput Scene::ctl(const Argv& arguments, int expected) const {
    RunOutput output = viscumd_->ctl(arguments);
    const bool as_expected = output.status == expected;
    CHECK_MESSAGE(as_expected, "viscumctl ", join(arguments, " "), " ended with ", output.status, ":\n", output.out,
                  output.err, as_expected ? "" : viscumd_->log());
    return output;
}

RunOutput Scene::deploy(const ServiceFile& file, int expected) const {
    return ctl({"deploy", file.write()}, expected);
}

DaemonReport Scene::report() const {
    const auto report = daemon_report_from_json(viscumd_->ctl({"status", "--json"}).out);
    return report ? *report : DaemonReport{};
}

ServiceReport Scene::status(const std::string& service) const {
    const DaemonReport all = report();
    const auto found = std::ranges::find(all.services, service, &ServiceReport::name);
    return found == all.services.end() ? ServiceReport{} : *found;
}

std::vector<pid_t> Scene::processes_of(const std::string& service) const {
    const auto shim = static_cast<pid_t>(status(service).pid);
    return shim > 0 ? descendants(shim) : std::vector<pid_t>();
}

void Scene::kill_service(const std::string& service) const {
    const auto processes = processes_of(service);
    REQUIRE_FALSE(processes.empty());
    REQUIRE(kill(processes.front(), SIGKILL) == 0);
    CHECK(eventually(kLimit, [&] { return parent_of(processes.front()) == 0; }));
}

void Scene::signal_service(const std::string& service, int number) const {
    const auto processes = processes_of(service);
    REQUIRE_FALSE(processes.empty());
    for (const pid_t process : processes) {
        REQUIRE(kill(process, number) == 0);
    }
}

void Scene::check_no_leak() {
    const auto leaks = must(leaks_since(before_, kLimit, stays));
    CHECK_MESSAGE(leaks.empty(), join(leaks, "\n"), "\n", viscumd_->log());
}

bool is_probe(const std::string& line) {
    return line.ends_with(" descriptor of viscumd: socket") || line.ends_with(" descriptor of viscum-prober: socket");
}

void check_flow(const std::string& what, const FlowSummary& summary, std::size_t resets) {
    MESSAGE(what, ": ", summary.text());
    CHECK(summary.requests > 0);
    CHECK_FALSE(summary.ended_early);
    CHECK(summary.failed == 0);
    CHECK(summary.resets <= resets);
}

std::size_t resets_of_changes(std::size_t changes) {
    return datapath_line().empty() ? 0 : changes;
}

}  // namespace viscum
