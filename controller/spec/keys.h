// SPDX-License-Identifier: GPL-2.0-only
// Every key of a service file and of viscum.yaml, a table for each map. The parser knows keys by their tables, and the
// documents' tables are made of the same ones (tests/docs/keys.cpp), so that none of the two has a key more. What only
// the documents need is referred to by nothing in the programs, and is in none of them.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <type_traits>
#include <variant>

#include "controller/spec/bounds.h"

namespace viscum::keys {

/// What a member says in each of a list's items, with blanks between: one text, for pointers to many would cost more
/// than the words.
template <const auto& kList, auto kMember>
inline constexpr auto kJoined = [] {
    constexpr std::size_t kSize = [] {
        std::size_t size = 0;
        for (const auto& item : kList) {
            size += (item.*kMember).size() + 1;
        }
        return size;
    }();
    std::array<char, kSize> text{};
    auto* end = text.data();
    for (const auto& item : kList) {
        end = std::ranges::copy(item.*kMember, end).out;
        *end++ = ' ';
    }
    return text;
}();
template <const auto& kList, auto kMember>
constexpr std::string_view joined() {
    const auto& text = kJoined<kList, kMember>;
    return {text.data(), text.empty() ? 0 : text.size() - 1};
}

/// One of some words.
struct Words {
    std::string_view all;
    std::string_view standard;
};
template <const auto& kChoices>
constexpr Words words_of() {
    using Item = typename std::remove_cvref_t<decltype(kChoices)>::Item;
    const auto standard = std::ranges::find(kChoices, kChoices.standard, &Item::value);
    return {joined<kChoices, &Item::word>(), standard->word};
}

/// What stands for {} in a row: in `value` the bounds, in `standard` the default. An int is a most.
using Bounds = std::variant<std::monostate, int, Range<int>, Range<Millis>, Range<Bytes>, Words, std::string_view>;

struct Key {
    std::string_view name;
    std::string_view what;      // it is for
    std::string_view value;     // it may hold
    Bounds bounds;              // of the value
    std::string_view standard;  // what counts where it is absent
    std::string_view example;   // as it stands in the file
};

/// The names of a table's keys, for the parser.
template <const auto& kTable>
constexpr std::string_view names() {
    return joined<kTable, &Key::name>();
}

inline constexpr auto kService = std::to_array<Key>({
    {"viscum", "the version of this format", "`1`", {}, "required", "viscum: 1"},
    {"name", "what it is called", "1-{} of `a-z`, `0-9` and, within, `-`", bounds::kMaxName, "required",
     "name: plates"},
    {"intercept", "what it takes over", "list of 1-{} [claims](#intercept)", bounds::kMaxClaims, "required", ""},
    {"run", "what is run", "map, see [run](#run)", {}, "required", ""},
    {"sandbox", "what it is let off of", "map, see [sandbox](#sandbox)", {}, "nothing", ""},
    {"limits", "how much it may use", "map, see [limits](#limits)", {}, "", ""},
    {"files", "what is put into its root", "list of at most {} [files](#files)", bounds::kMaxFiles, "none", ""},
    {"egress", "what it may begin by itself", "word or list, see [egress](#egress)", {}, "`none`", "egress: origin"},
    {"health", "how its health is known", "map, see [health](#health)", {}, "", ""},
    {"restart", "when it is started again", "map, see [restart](#restart)", {}, "", ""},
    {"on_failure", "what becomes of traffic that it cannot serve, see [on_failure](#on_failure)", "{}",
     words_of<bounds::kOnFailure>(), "{}", "on_failure: drop"},
    {"drain_timeout", "how long its open connections may go on when it is to end", "duration, {}",
     bounds::kDrainTimeout, "{}", "drain_timeout: 2m"},
    {"until",
     "when all that it takes over ends, see [until](#until)",
     "[time](#values) with its offset",
     {},
     "never",
     "until: 2026-12-31T23:59:00Z"},
    {"bundle", "the [bundle](bundles.md) that its files are of, which adds this line: do not write it",
     "{} hexadecimal digits", bounds::kBundleDigits, "none", ""},
});

inline constexpr auto kClaim = std::to_array<Key>({
    {"address",
     "to which clients send",
     "address or prefix, IPv4 or IPv6, no bit set behind the prefix length",
     {},
     "required",
     "address: \"2001:db8::10\""},
    {"port", "to which they send", "port of {}, range, or `any`", bounds::kPort, "`any`", "port: 8000-8100"},
    {"protocol", "by which", "{}", words_of<bounds::kProtocol>(), "{}", "protocol: udp"},
    {"name",
     "by which clients know the address",
     "host name (RFC 1123); of a single address only",
     {},
     "none",
     "name: plates.example"},
    {"until",
     "when this claim ends, see [until](#until)",
     "[time](#values) with its offset",
     {},
     "never",
     "until: 2026-12-31T23:59:00+01:00"},
});

inline constexpr auto kRun = std::to_array<Key>({
    {"command", "the program and its arguments", "list of 1-{} words, the first an absolute path", bounds::kMaxWords,
     "required; with an image, what the image starts", "command: [/usr/bin/iperf3, --server]"},
    {"user", "the account that it runs as", "name of at most {} bytes, or number, 0-4294967294", bounds::kMaxUserName,
     "the image's, or an account of its own", "user: www-data"},
    {"env", "its environment variables", "map of text; at most {} names of letters, digits and `_`",
     bounds::kMaxVariables, "empty", "env: { LOG_LEVEL: info }"},
    {"directory", "where it starts", "absolute path", {}, "the image's, or `/`", "directory: /srv"},
    {"rootfs",
     "a directory of the host that is its root",
     "absolute path; not beside `image`",
     {},
     "the host's files",
     "rootfs: /srv/plates"},
    {"image", "an [image](#images) that is its root",
     "at most {} of letters, digits and `._/:@-`, a letter or digit first", bounds::kMaxImageName, "none",
     "image: plates.tar"},
    {"writable", "directories that it may write, empty at each start",
     "list of at most {} absolute paths, none in `/proc`, `/sys` or `/dev`", bounds::kMaxWritable, "none",
     "writable: [/var/cache/nginx]"},
    {"stop_signal", "what tells it to end", "{}", words_of<bounds::kStopSignal>(), "{}, or the image's",
     "stop_signal: QUIT"},
    {"stop_timeout", "after which it is killed then", "duration, {}", bounds::kStopTimeout, "{}", "stop_timeout: 30s"},
});

inline constexpr auto kSandbox = std::to_array<Key>({
    {"allow", "what it may do beside, see [The sandbox](#the-sandbox)", "list of at most {} names",
     bounds::kMaxAllowances, "nothing", "allow: [root, cap_setuid]"},
});

inline constexpr auto kLimits = std::to_array<Key>({
    {"memory", "memory", "size, {}, or `none`", bounds::kMemory, "half of the machine's", "memory: 64M"},
    {"cpu", "processor time, as a percentage of one CPU", "{} and `%`, or `none`", bounds::kCpu, "none", "cpu: 50%"},
    {"pids", "processes and threads", "number, {}, or `none`", bounds::kPids, "{}", "pids: 32"},
    {"open_files", "open files of one process", "number, {}", bounds::kOpenFiles, "{}", "open_files: 256"},
    {"tmp", "what lies in the directories that it may write", "size, {}, not above `memory`", bounds::kTmp,
     "{}, or half of `memory` where that is less", "tmp: 16M"},
    {"required", "whether the service is refused where a limit cannot be kept", "{}", words_of<bounds::kFlag>(), "{}",
     "required: false"},
});

inline constexpr auto kFile = std::to_array<Key>({
    {"path", "where it stands", "absolute path, none twice, none below another", {}, "required", "path: /etc/app.conf"},
    {"text", "what it holds", "text, within the bounds of this file", {}, "", "text: \"debug = no\""},
    {"file", "or a file of `/etc/NAME/files` that holds it, at most 1 MiB",
     "name of 1-{} letters, digits and `._-`, no `.` first", bounds::kMaxFileName, "", "file: nginx.conf"},
    {"secret", "or one of `/etc/NAME/secrets`", "the same", {}, "", "secret: key.pem"},
});

inline constexpr auto kHealth = std::to_array<Key>({
    {"http", "a request that has to be answered", "map, see [http](#http)", {}, "", "http: { path: /healthz }"},
    {"tcp",
     "a connection that has to be made",
     "map, see [tcp](#tcp)",
     {},
     "where a single TCP port is claimed",
     "tcp: { port: 443 }"},
    {"udp", "a datagram that has to be answered", "map, see [udp](#udp)", {}, "", "udp: { send: ping }"},
    {"exec",
     "a program that has to exit with 0",
     "list of words, as `command` of [run](#run)",
     {},
     "",
     "exec: [/usr/bin/check, --fast]"},
    {"process",
     "nothing is asked: it has to run",
     "an empty map",
     {},
     "where no single TCP port is claimed",
     "process: {}"},
    {"interval", "from one probe to the next", "duration, {}", bounds::kInterval, "{}", "interval: 500ms"},
    {"timeout", "after which a probe has failed", "duration, {}, not above `interval`", bounds::kTimeout,
     "{}, or `interval` where that is shorter", "timeout: 300ms"},
    {"fall", "failures in a row that take it down", "number, {}", bounds::kFall, "{}", "fall: 2"},
    {"rise", "successes in a row that bring it up", "number, {}", bounds::kRise, "{}", "rise: 3"},
    {"start_timeout", "after which one that is not up is started again", "duration, {}", bounds::kStartTimeout, "{}",
     "start_timeout: 2m"},
});

inline constexpr auto kHttp = std::to_array<Key>({
    {"port", "that is asked", "port", {}, "the first single TCP port that is claimed", "port: 8080"},
    {"path", "what is asked for", "`/` and more, at most {} visible ASCII characters", bounds::kMaxHttpPath, "`/`",
     "path: /healthz"},
    {"host", "the `Host` header", "at most {} visible ASCII characters", bounds::kMaxHttpHost, "the probed address",
     "host: www.example"},
    {"expect", "the status that is a success", "number, {}", bounds::kHttpExpect, "{}", "expect: 204"},
});

inline constexpr auto kTcp = std::to_array<Key>({
    {"port", "that is connected to", "port", {}, "the first single TCP port that is claimed", "port: 8443"},
});

inline constexpr auto kUdp = std::to_array<Key>({
    {"port", "that is asked", "port", {}, "the first single UDP port that is claimed", "port: 53"},
    {"send", "what is sent", "at most {} [bytes](#values)", bounds::kMaxDatagram, "an empty datagram",
     "send: '\\x00\\x01ping'"},
    {"expect", "what the answer has to contain", "at most {} [bytes](#values)", bounds::kMaxDatagram,
     "any answer is a success", "expect: pong"},
});

inline constexpr std::array<Key, 0> kProcess{};

inline constexpr auto kRestart = std::to_array<Key>({
    {"policy", "whether it is started again when it ended", "{}", words_of<bounds::kRestartPolicy>(), "{}",
     "policy: on-failure"},
    {"backoff", "the pause before that", "duration, {}", bounds::kBackoff, "{}", "backoff: 1s"},
    {"backoff_max", "up to which the pause doubles", "duration, {}, not below `backoff`", bounds::kBackoffMax,
     "{}, or `backoff` where that is longer", "backoff_max: 5m"},
});

// viscum.yaml
inline constexpr auto kRouter = std::to_array<Key>({
    {"viscum", "the version of this format", "`1`", {}, "`1`", "viscum: 1"},
    {"lan", "on which clients are, see [lan](#lan)", "list of 1-{} device names and patterns", bounds::kMaxDevices,
     "required", "lan: [br-lan]"},
    {"claimable", "what services may take over, see [claimable](#claimable)", "list of at most {}",
     bounds::kMaxClaimable, "nothing", "claimable: [203.0.113.0/24]"},
    {"lease", "how long services are served without viscumd, see [lease](#lease)", "duration, {}, or `off`",
     bounds::kLease, "{}", "lease: 2m"},
    {"tables", "how much the kernel's tables hold", "map, see [tables](#tables)", {}, "", ""},
    {"aliases", "addresses for what services begin", "map, see [aliases](#aliases)", {}, "", ""},
    {"datapath", "how packets are directed, see [datapath](#datapath)", "{}", words_of<bounds::kDatapath>(), "{}",
     "datapath: classic"},
    {"trust", "who signs what may be deployed, see [trust](#trust)", "list of at most {} public keys",
     bounds::kMaxTrusted, "whoever deploys is trusted", ""},
    {"cost_per_gb", "what the uplink costs, see [cost_per_gb](#cost_per_gb)",
     "a number from 0 to {}, and a currency of at most 8 letters", bounds::kMostCost, "nothing is said of money",
     "cost_per_gb: 4.50 EUR"},
    {"metered", "whether the uplink is paid by what goes over it, see [metered](#metered-measure_cloud)", "{}",
     words_of<bounds::kFlag>(), "`false`", "metered: true"},
    {"measure_cloud", "whether the way to the cloud is measured, see [metered](#metered-measure_cloud)", "{}",
     words_of<bounds::kFlag>(), "`true`, where `metered` is not", "measure_cloud: false"},
    {"log_level", "what is logged", "{}", words_of<bounds::kLogLevel>(), "{}", "log_level: warn"},
});

inline constexpr auto kClaimable = std::to_array<Key>({
    {"address", "what may be claimed", "address or prefix, IPv4 or IPv6", {}, "required", "address: 198.51.100.7"},
    {"port", "of which ports", "port of {}, range, or `any`", bounds::kPort, "`any`", "port: 443"},
});

inline constexpr auto kTables = std::to_array<Key>({
    {"rules", "the claims of all services, those of a version that drains included", "number, {}", bounds::kRules, "{}",
     "rules: 512"},
    {"flows", "UDP flows under way, and TCP flows given back to the cloud", "number, {}", bounds::kFlows, "{}",
     "flows: 16384"},
    {"fragments", "fragmented datagrams under way", "number, {}", bounds::kFragments, "{}", "fragments: 1024"},
});

inline constexpr auto kAliases = std::to_array<Key>({
    {"v4", "of IPv4", "private prefix of 16 bits", bounds::kAliasV4, "`{}`", "v4: 10.99.0.0/16"},
    {"v6", "of IPv6", "prefix of 64 bits within `fc00::/7`", bounds::kAliasV6, "`{}`", "v6: \"fd00:1::/64\""},
});

/// All of them, by the name that a document gives a table's place.
struct Table {
    std::string_view name;
    std::span<const Key> keys;
};
inline constexpr auto kServiceFile = std::to_array<Table>({
    {"service", kService},
    {"intercept", kClaim},
    {"run", kRun},
    {"sandbox", kSandbox},
    {"limits", kLimits},
    {"files", kFile},
    {"health", kHealth},
    {"http", kHttp},
    {"tcp", kTcp},
    {"udp", kUdp},
    {"restart", kRestart},
});
inline constexpr auto kConfiguration = std::to_array<Table>({
    {"viscum.yaml", kRouter},
    {"claimable", kClaimable},
    {"tables", kTables},
    {"aliases", kAliases},
});

}  // namespace viscum::keys
