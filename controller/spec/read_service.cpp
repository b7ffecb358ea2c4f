// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>

#include "base/text.h"
#include "controller/spec/fields.h"
#include "controller/spec/readers.h"

namespace viscum {
namespace {

constexpr std::string_view kLowerDigits = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

std::string read_name(const YamlNode* node, Mistakes& mistakes) {
    constexpr std::string_view kHint = "1 to 32 of a-z, 0-9 and, within, '-'";
    const auto name = read_text(node, mistakes, kHint);
    if (!name) {
        return {};
    }
    if (!is_service_name(*name)) {
        mistakes.add(node->place, cat(quoted(*name), " is no valid name"), std::string(kHint));
    }
    return *name;
}

bool is_label(const std::string& label) {
    return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
           label.find_first_not_of(cat(kLowerDigits, '-')) == std::string::npos;
}

/// A host name (RFC 1123, 2.1), in small letters.
std::optional<std::string> read_host_name(const YamlNode* node, Mistakes& mistakes) {
    constexpr std::string_view kHint = "such as plates.example: labels of letters, digits and, within, '-'";
    auto name = read_text(node, mistakes, kHint);
    if (!name) {
        return std::nullopt;
    }
    std::transform(name->begin(), name->end(), name->begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const auto labels = split(*name, '.');
    const bool valid = name->size() <= 253 && std::all_of(labels.begin(), labels.end(), is_label) &&
                       labels.back().find_first_not_of("0123456789") != std::string::npos && *name != "localhost";
    if (!valid) {
        mistakes.add(node->place, cat(quoted(node->text), " is no host name"), std::string(kHint));
        return std::nullopt;
    }
    return name;
}

void read_claim_name(const YamlNode* node, const std::optional<IpPrefix>& prefix, std::vector<HostName>& names,
                     Mistakes& mistakes) {
    const auto name = read_host_name(node, mistakes);
    if (!name || !prefix) {
        return;
    }
    if (!prefix->is_single()) {
        mistakes.add(node->place, cat("a name for ", prefix->text()), "only a single address can have one");
        return;
    }
    const HostName host{*name, prefix->address};
    if (std::find(names.begin(), names.end(), host) == names.end()) {
        names.push_back(host);
    }
}

/// A claim as its item says it.
struct ClaimItem {
    Claim claim;
    std::optional<WallTime> until;
};

std::optional<ClaimItem> read_claim(const YamlNode& node, std::vector<HostName>& names, Mistakes& mistakes) {
    const Fields fields(node, {keys::names<keys::kClaim>()}, mistakes);
    const auto prefix = read_prefix(fields.require("address", "address: 203.0.113.10"), mistakes);
    const auto ports = read_ports(fields.find("port"), mistakes);
    const auto protocol = read_choice<bounds::kProtocol>(fields.find("protocol"), mistakes);
    read_claim_name(fields.find("name"), prefix, names, mistakes);
    const auto until = read_wall_time(fields.find("until"), mistakes);
    if (!prefix || (fields.has("port") && !ports)) {
        return std::nullopt;
    }
    return ClaimItem{{*prefix, ports.value_or(PortRange{}), protocol.value_or(bounds::kProtocol.standard)}, until};
}

/// `until`: of all of them.
void read_intercept(const YamlNode* node, std::optional<WallTime> until, ServiceSpec& spec, Mistakes& mistakes) {
    std::vector<Claim>& claims = spec.intercept;
    std::vector<Place> places;
    for (const YamlNode* item : read_list(node, bounds::kMaxClaims, mistakes,
                                          "intercept: [{ address: 203.0.113.10, port: 443, protocol: tcp }]")) {
        const auto read = read_claim(*item, spec.names, mistakes);
        if (!read) {
            continue;
        }
        const Claim* claim = &read->claim;
        const auto same = std::find_if(claims.begin(), claims.end(), [&](const Claim& other) {
            return other.prefix == claim->prefix && other.protocol == claim->protocol &&
                   other.ports.overlaps(claim->ports);
        });
        if (same != claims.end()) {
            const Place first = places[static_cast<std::size_t>(same - claims.begin())];
            mistakes.add(item->place, cat(claim->text(), " overlaps ", same->text()),
                         cat("that claim is at ", first.line, ':', first.column));
            continue;
        }
        claims.push_back(*claim);
        places.push_back(item->place);
        if (until || read->until) {
            spec.ends.push_back(
                {*claim, std::min(until.value_or(WallTime::max()), read->until.value_or(WallTime::max()))});
        }
    }
}

/// Which bundle its files are of: what `viscumctl bundle install` adds to a service's file.
std::string read_bundle(const YamlNode* node, Mistakes& mistakes) {
    constexpr std::string_view kHint = "viscumctl bundle install writes this line; leave it out";
    const auto digest = read_text(node, mistakes, kHint);
    if (digest && (digest->size() != bounds::kBundleDigits ||
                   digest->find_first_not_of("0123456789abcdef") != std::string::npos)) {
        mistakes.add(node->place, cat(quoted(*digest), " is no digest of a bundle"), std::string(kHint));
    }
    return digest.value_or("");
}

std::string read_user(const YamlNode* node, bool image, const SandboxSpec& sandbox, Mistakes& mistakes) {
    constexpr std::string_view kHint = "a user's name or number, or leave it out for an account of its own";
    const auto user = read_text(node, mistakes, kHint);
    if (!user) {
        return {};
    }
    const bool number = parse_decimal(*user, 4'294'967'294).has_value();  // the next one means "no user" to the kernel
    const bool name = user->size() <= bounds::kMaxUserName &&
                      cat(kLetters, '_').find(user->front()) != std::string::npos &&
                      user->find_first_not_of(cat(kLetters, "0123456789_.-")) == std::string::npos;
    if (!number && !name) {
        mistakes.add(node->place, cat(quoted(*user), " is no user"), std::string(kHint));
    } else if (*user == "root" || *user == "0") {
        if (sandbox.allow.count("root") == 0) {
            mistakes.add(node->place, "a service does not run as root",
                         "leave 'user' out for an account of its own, or write sandbox: { allow: [root] }");
        }
    } else if (image && !number) {
        mistakes.add(node->place, cat("user ", quoted(*user), " is a name, and names are the image's own"),
                     "write its number, or leave it out for the image's user");
    }
    return *user;
}

std::map<std::string, std::string> read_env(const YamlNode* node, Mistakes& mistakes) {
    std::map<std::string, std::string> env;
    if (node == nullptr || !expect_kind(*node, YamlNode::Kind::map, mistakes, "env: { NAME: value }")) {
        return env;
    }
    for (const auto& variable : node->children) {
        if (variable.key_refused) {
            continue;
        }
        if (env.size() == bounds::kMaxVariables) {
            mistakes.add(variable.key_place, "too many variables in 'env'", cat("at most ", bounds::kMaxVariables));
            break;
        }
        const auto& name = variable.key;
        const bool valid = !name.empty() && name.find_first_not_of(cat(kLetters, "0123456789_")) == std::string::npos &&
                           (name.front() < '0' || name.front() > '9');
        if (!valid) {
            mistakes.add(variable.key_place, cat(quoted(name), " is no name of an environment variable"),
                         "letters, digits and '_', no digit first");
            continue;
        }
        env.emplace(name, read_any_text(&variable, mistakes).value_or(""));
    }
    return env;
}

/// A name of the image store; a file beside the service file is named like one.
std::string read_image(const YamlNode* node, Mistakes& mistakes) {
    constexpr std::string_view kHint =
        "such as nginx:1.27 or plates.tar: letters, digits and ._/:@-, a letter or digit first";
    const auto image = read_text(node, mistakes, kHint);
    if (!image) {
        return {};
    }
    const std::string letters = cat(kLetters, "0123456789");
    const bool valid = image->size() <= bounds::kMaxImageName && letters.find(image->front()) != std::string::npos &&
                       image->find_first_not_of(cat(letters, "._/:@-")) == std::string::npos;
    if (!valid) {
        mistakes.add(node->place, cat(quoted(*image), " is no name of an image"), std::string(kHint));
    }
    return *image;
}

/// Where its root comes from.
void read_root(const Fields& fields, RunSpec& run, Mistakes& mistakes) {
    run.rootfs = read_inner_path(fields.find("rootfs"), mistakes).value_or("");
    const YamlNode* image = fields.find("image");
    run.image = read_image(image, mistakes);
    if (image != nullptr && fields.has("rootfs")) {
        mistakes.add(image->key_place, "'image' beside 'rootfs'", "one of the two, or none for the host's files");
    }
}

RunSpec read_run(const YamlNode* node, const SandboxSpec& sandbox, Mistakes& mistakes) {
    constexpr std::string_view kCommandHint = "command: [/usr/sbin/nginx, -g, \"daemon off;\"]";
    RunSpec run;
    if (node == nullptr) {
        return run;
    }
    const Fields fields(*node, {keys::names<keys::kRun>(), keys::names<keys::kService>(), "beside 'run'"}, mistakes);
    read_root(fields, run, mistakes);
    const bool image = fields.has("image");
    const YamlNode* command = image ? fields.find("command") : fields.require("command", kCommandHint);
    run.command = read_command(command, image || fields.has("rootfs"), mistakes).value_or(run.command);
    run.user = read_user(fields.find("user"), image, sandbox, mistakes);
    run.directory = read_path(fields.find("directory"), mistakes).value_or("");
    run.writable = read_writable(fields.find("writable"), mistakes);
    run.env = read_env(fields.find("env"), mistakes);
    run.stop_signal = read_choice<bounds::kStopSignal>(fields.find("stop_signal"), mistakes).value_or(run.stop_signal);
    run.stop_timeout =
        read_duration(fields.find("stop_timeout"), bounds::kStopTimeout, mistakes).value_or(run.stop_timeout);
    return run;
}

RestartSpec read_restart(const YamlNode* node, Mistakes& mistakes) {
    RestartSpec restart;
    if (node == nullptr) {
        return restart;
    }
    const Fields fields(*node, {keys::names<keys::kRestart>()}, mistakes);
    restart.policy = read_choice<bounds::kRestartPolicy>(fields.find("policy"), mistakes).value_or(restart.policy);
    restart.backoff = read_duration(fields.find("backoff"), bounds::kBackoff, mistakes).value_or(restart.backoff);
    const auto max = read_duration(fields.find("backoff_max"), bounds::kBackoffMax, mistakes);
    restart.backoff_max = max.value_or(std::max(restart.backoff_max, restart.backoff));
    if (restart.backoff_max < restart.backoff) {
        mistakes.add(fields.find("backoff_max")->place,
                     cat("'backoff_max' is shorter than 'backoff', ", format_duration(restart.backoff)));
    }
    return restart;
}

/// The names of origins stand in /etc/hosts.
void check_hosts(const YamlNode* files, const ServiceSpec& spec, Mistakes& mistakes) {
    const bool own = std::any_of(spec.files.begin(), spec.files.end(),
                                 [](const FileSpec& file) { return file.path == "/etc/hosts"; });
    if (own && spec.egress.origin) {
        mistakes.add(files->place, "a file '/etc/hosts' beside 'egress: origin', which writes it",
                     "give addresses a 'name' in 'intercept'");
    }
}

}  // namespace

void check_version(const YamlNode* version, Mistakes& mistakes) {
    const auto text = read_text(version, mistakes, "viscum: 1");
    if (text && *text != "1") {
        mistakes.add(version->place, cat("unknown format version ", quoted(*text)), "this program reads viscum: 1");
    }
}

ServiceSpec read_service(const YamlNode& root, Mistakes& mistakes) {
    ServiceSpec spec;
    const Fields fields(root, {keys::names<keys::kService>(), keys::names<keys::kRun>(), "within 'run'"}, mistakes);
    check_version(fields.require("viscum", "begin the file with viscum: 1"), mistakes);
    spec.name = read_name(fields.require("name", "name: web"), mistakes);
    const auto until = read_wall_time(fields.find("until"), mistakes);
    read_intercept(fields.require("intercept", "intercept: [{ address: 203.0.113.10, port: 443, protocol: tcp }]"),
                   until, spec, mistakes);
    spec.sandbox = read_sandbox(fields.find("sandbox"), mistakes);
    spec.run = read_run(fields.require("run", "run: { command: [/usr/sbin/nginx, -g, \"daemon off;\"] }"), spec.sandbox,
                        mistakes);
    check_allowances(fields.find("sandbox"), spec, mistakes);
    spec.limits = read_limits(fields.find("limits"), mistakes);
    spec.files = read_files(fields.find("files"), spec.run.writable, mistakes);
    spec.egress = read_egress(fields.find("egress"), spec.intercept, mistakes);
    check_hosts(fields.find("files"), spec, mistakes);
    const bool own_root = !spec.run.image.empty() || !spec.run.rootfs.empty();
    spec.health = read_health(fields.find("health"), spec.intercept, own_root, mistakes);
    spec.restart = read_restart(fields.find("restart"), mistakes);
    spec.on_failure = read_choice<bounds::kOnFailure>(fields.find("on_failure"), mistakes).value_or(spec.on_failure);
    spec.drain_timeout =
        read_duration(fields.find("drain_timeout"), bounds::kDrainTimeout, mistakes).value_or(spec.drain_timeout);
    spec.bundle = read_bundle(fields.find("bundle"), mistakes);
    return spec;
}

}  // namespace viscum
