// SPDX-License-Identifier: GPL-2.0-only
#include "controller/doctor/observe.h"

#include <fnmatch.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <map>

#include "base/file.h"
#include "base/text.h"
#include "controller/doctor/trial.h"
#include "controller/sandbox/cgroup.h"
#include "netns/addr.h"
#include "netns/link.h"

namespace viscum {
namespace {

constexpr std::size_t kSmallFile = 64 * 1024;

Packages packages_of_system() {
    if (access("/etc/openwrt_release", F_OK) != 0) {
        return Packages::none;
    }
    return access("/usr/bin/apk", X_OK) == 0 ? Packages::apk : Packages::opkg;
}

std::optional<bool> switched_on(const std::string& path) {
    const auto text = read_file(path, kSmallFile);
    return text && !text->empty() ? std::optional(text->front() != '0') : std::nullopt;
}

/// sqm-scripts keep a file "DEVICE.state" for each device that they shape.
std::vector<std::string> shaped_devices() {
    constexpr std::string_view kState = ".state";
    std::vector<std::string> devices;
    const auto names = list_directory("/var/run/sqm");
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
        if (name.ends_with(kState)) {
            devices.push_back(name.substr(0, name.size() - kState.size()));
        }
    }
    return devices;
}

/// Those of OpenWrt that filter where we do.
std::vector<std::string> tc_tools_that_run() {
    std::vector<std::string> tools;
    const auto names = list_directory("/proc");
    for (const std::string& pid : names ? *names : std::vector<std::string>()) {
        const bool is_pid = pid.find_first_not_of("0123456789") == std::string::npos;
        const auto name = is_pid ? read_file(cat("/proc/", pid, "/comm"), kSmallFile) : Result<std::string>("");
        for (const char* tool : {"bridger", "qosify"}) {
            if (name && *name == cat(tool, "\n")) {
                tools.emplace_back(tool);
            }
        }
    }
    return tools;
}

/// A line of zeros in the table's destination and mask, or prefix; /proc/net/route and ipv6_route, proc(5).
bool has_default_route() {
    const auto v4 = read_file("/proc/net/route", kSmallFile);
    for (const std::string& line : v4 ? split(*v4, '\n') : std::vector<std::string>()) {
        const auto fields = split(line, '\t');
        if (fields.size() > 7 && fields[1] == "00000000" && fields[7] == "00000000") {
            return true;
        }
    }
    const auto v6 = read_file("/proc/net/ipv6_route", kSmallFile);
    for (const std::string& line : v6 ? split(*v6, '\n') : std::vector<std::string>()) {
        // The kernel keeps an unreachable one on lo.
        if (line.starts_with("00000000000000000000000000000000 00 ") && !line.ends_with(" lo")) {
            return true;
        }
    }
    return false;
}

std::uint64_t available_memory() {
    const auto text = read_file("/proc/meminfo", kSmallFile);
    const std::size_t at = text ? text->find("MemAvailable:") : std::string::npos;
    const std::size_t digit = at == std::string::npos ? at : text->find_first_of("0123456789", at);
    if (digit == std::string::npos) {
        return 0;
    }
    return parse_decimal(text->substr(digit, text->find(' ', digit) - digit), UINT64_MAX / 1024).value_or(0) * 1024;
}

/// Of a directory, or where there is none of the nearest above it.
FreeSpace free_space(std::string path) {
    struct statvfs room {};
    while (statvfs(path.c_str(), &room) != 0 && path.size() > 1) {
        path = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
    }
    return {path, std::uint64_t{room.f_bavail} * room.f_frsize};
}

int year_now() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    return parts.tm_year + 1900;
}

void read_files(const Instance& instance, Facts& facts) {
    facts.config_file = instance.config_file();
    const auto text = read_spec_file(facts.config_file);
    facts.has_config = text || text.error().errno_code != ENOENT;
    if (text) {
        auto parsed = parse_router_config(*text, facts.config_file);
        if (auto* mistakes = std::get_if<Diagnostics>(&parsed)) {
            facts.config_mistakes = std::move(*mistakes);
        } else {
            facts.config = std::get<RouterConfig>(std::move(parsed));
        }
    } else if (facts.has_config) {
        facts.config_mistakes.push_back({facts.config_file, 0, 0, text.error().what, ""});
    }
    const auto names = list_directory(instance.services_dir());
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
        if (!name.ends_with(".yaml")) {
            continue;
        }
        const std::string path = cat(instance.services_dir(), "/", name);
        const auto service = read_spec_file(path);
        if (!service) {
            facts.service_mistakes.push_back({path, 0, 0, service.error().what, ""});
            continue;
        }
        auto parsed = parse_service(*service, path);
        if (auto* mistakes = std::get_if<Diagnostics>(&parsed)) {
            std::ranges::move(*mistakes, std::back_inserter(facts.service_mistakes));
        } else {
            facts.services.push_back(std::get<ServiceSpec>(std::move(parsed)));
        }
    }
}

bool is_global_v6(const IpAddress& address) {
    return !address.is_v4() && (address.bytes[0] & 0xe0) == 0x20;  // 2000::/3 (RFC 4291, 2.4)
}

void look_at_devices(Facts& facts) {
    const auto socket = NlSocket::open();
    const auto links = socket ? list_links(*socket) : Result<std::vector<Link>>(socket.error());
    const auto addresses = socket ? list_addresses(*socket) : Result<std::vector<DeviceAddress>>(socket.error());
    std::map<IfIndex, std::string> names;
    for (const Link& link : links ? *links : std::vector<Link>()) {
        facts.devices.push_back(link.name);
        names[link.index] = link.name;
    }
    for (const DeviceAddress& item : addresses ? *addresses : std::vector<DeviceAddress>()) {
        facts.own_networks.push_back(IpPrefix::around(item.address, item.length));
        const std::string& device = names[item.device];
        const bool of_lan = std::ranges::any_of(
            facts.config.lan, [&](const auto& pattern) { return fnmatch(pattern.c_str(), device.c_str(), 0) == 0; });
        facts.lan_has_v6 = facts.lan_has_v6 || (of_lan && is_global_v6(item.address));
    }
}

}  // namespace

Facts observe(const Instance& instance) {
    Facts facts;
    facts.packages = packages_of_system();
    const auto kernel = read_file("/proc/sys/kernel/osrelease", kSmallFile);
    facts.kernel = kernel ? kernel->substr(0, kernel->find('\n')) : "";
    facts.trial = try_network();
    if (const auto groups = Cgroups::open(instance.name)) {
        facts.missing_limits = groups->missing({1, 1, 1});
    }
    facts.forwards_v4 = switched_on("/proc/sys/net/ipv4/ip_forward");
    facts.forwards_v6 = switched_on("/proc/sys/net/ipv6/conf/all/forwarding");
    facts.default_route = has_default_route();
    if (auto tables = list_flow_tables()) {
        facts.flow_tables = std::move(*tables);
    }
    const auto reverse_path = read_file("/proc/sys/net/ipv4/conf/all/rp_filter", kSmallFile);
    facts.strict_reverse_path = reverse_path && *reverse_path == "1\n";
    facts.shaped = shaped_devices();
    facts.tc_tools = tc_tools_that_run();
    read_files(instance, facts);
    look_at_devices(facts);
    for (const auto& path : {std::string("/etc"), instance.state_dir(), std::string("/run")}) {
        facts.spaces.push_back(free_space(path));
    }
    facts.memory_available = available_memory();
    facts.year = year_now();
    return facts;
}

}  // namespace viscum
