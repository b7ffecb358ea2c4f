// SPDX-License-Identifier: GPL-2.0-only
// What the keys of a service file and of viscum.yaml may hold, and what counts where the file says nothing. The values
// (service_spec.h), the parser and, by keys.h, the documents go by these.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace viscum {

using Millis = std::chrono::milliseconds;
using Bytes = std::uint64_t;

enum class Protocol : std::uint8_t { tcp = 6, udp = 17 };  // IANA protocol numbers

enum class RestartPolicy : std::uint8_t { always, on_failure, never };

/// What becomes of traffic that the local copy cannot serve: to the cloud; dropped (what must not leave the site); or
/// to the cloud only when nothing listens, health being ignored.
enum class OnFailure : std::uint8_t { cloud, drop, keep };

/// How packets are directed; see docs/adr/0015.
enum class DatapathChoice : std::uint8_t {
    any,      // the best that this kernel has
    socket,   // BPF programs, or no start
    classic,  // u32 and mirred, also where there are programs
};

/// From `min` to `max`, both of them possible.
template <class T>
struct Range {
    T min;
    T max;
    T standard{};
};

/// One of some words.
template <class T>
struct Choice {
    std::string_view word;
    T value;
};
template <class T, std::size_t N>
struct Choices {
    using Item = Choice<T>;
    T standard;
    std::array<Item, N> all;
    [[nodiscard]] constexpr auto begin() const { return all.begin(); }
    [[nodiscard]] constexpr auto end() const { return all.end(); }
};

namespace bounds {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

inline constexpr Bytes kKilo = 1024;
inline constexpr Bytes kMega = 1024 * kKilo;
inline constexpr Bytes kTera = 1024 * 1024 * kMega;

// A service.
inline constexpr int kMaxName = 32;
inline constexpr Choices<OnFailure, 3> kOnFailure{
    OnFailure::cloud, {{{"cloud", OnFailure::cloud}, {"drop", OnFailure::drop}, {"keep", OnFailure::keep}}}};
inline constexpr Range<Millis> kDrainTimeout{Millis(0), hours(24), seconds(30)};
inline constexpr int kBundleDigits = 40;

inline constexpr int kMaxClaims = 256;
inline constexpr Choices<Protocol, 2> kProtocol{Protocol::tcp, {{{"tcp", Protocol::tcp}, {"udp", Protocol::udp}}}};
inline constexpr Range<int> kPort{1, 65'535};

inline constexpr int kMaxWords = 256;  // of a command
inline constexpr int kMaxUserName = 32;
inline constexpr int kMaxVariables = 256;
inline constexpr int kMaxImageName = 255;
inline constexpr int kMaxWritable = 16;
inline constexpr Choices<std::string_view, 6> kStopSignal{
    "TERM", {{{"TERM", "TERM"}, {"QUIT", "QUIT"}, {"INT", "INT"}, {"HUP", "HUP"}, {"USR1", "USR1"}, {"USR2", "USR2"}}}};
inline constexpr Range<Millis> kStopTimeout{Millis(0), minutes(10), seconds(10)};

inline constexpr int kMaxAllowances = 32;

inline constexpr Range<Bytes> kMemory{4 * kMega, kTera};
inline constexpr Range<int> kCpu{1, 6400};             // hundredths of one CPU
inline constexpr Range<int> kPids{1, 4'194'304, 512};  // PID_MAX_LIMIT
inline constexpr Range<int> kOpenFiles{16, 1'048'576, 1024};
inline constexpr Range<Bytes> kTmp{64 * kKilo, kTera, 32 * kMega};
inline constexpr Choices<bool, 2> kFlag{true, {{{"true", true}, {"false", false}}}};

inline constexpr int kMaxFiles = 64;
inline constexpr int kMaxFileName = 64;

inline constexpr int kMaxTargets = 64;  // of `egress`
inline constexpr int kMaxOrigins = 6;

inline constexpr Range<Millis> kInterval{Millis(100), hours(1), seconds(2)};
inline constexpr Range<Millis> kTimeout{Millis(10), hours(1), seconds(1)};
inline constexpr Range<int> kFall{1, 100, 3};
inline constexpr Range<int> kRise{1, 100, 2};
inline constexpr Range<Millis> kStartTimeout{Millis(100), hours(1), seconds(30)};
inline constexpr std::string_view kHttpPath = "/";
inline constexpr int kMaxHttpPath = 1024;
inline constexpr int kMaxHttpHost = 255;
inline constexpr Range<int> kHttpExpect{100, 599, 200};
inline constexpr int kMaxDatagram = 1400;  // fits into one frame

inline constexpr Choices<RestartPolicy, 3> kRestartPolicy{
    RestartPolicy::always,
    {{{"always", RestartPolicy::always}, {"on-failure", RestartPolicy::on_failure}, {"never", RestartPolicy::never}}}};
inline constexpr Range<Millis> kBackoff{Millis(10), hours(1), Millis(200)};
inline constexpr Range<Millis> kBackoffMax{Millis(10), hours(24), seconds(30)};

// viscum.yaml.
inline constexpr int kMaxDevices = 64;
inline constexpr int kMaxClaimable = 1024;
inline constexpr Range<Millis> kLease{seconds(1), hours(24), seconds(30)};
inline constexpr Range<int> kRules{16, 65'536, 256};
inline constexpr Range<int> kFlows{64, 1'048'576, 4096};
inline constexpr Range<int> kFragments{64, 65'536, 256};
inline constexpr std::string_view kAliasV4 = "198.19.0.0/16";  // of RFC 2544
inline constexpr std::string_view kAliasV6 = "fd76:6973:6375:6d::/64";
inline constexpr Choices<DatapathChoice, 3> kDatapath{
    DatapathChoice::any,
    {{{"auto", DatapathChoice::any}, {"socket", DatapathChoice::socket}, {"classic", DatapathChoice::classic}}}};
inline constexpr int kMaxTrusted = 16;
inline constexpr int kMostCost = 10'000;  // of a gigabyte
inline constexpr int kMaxCurrency = 8;
inline constexpr Choices<std::string_view, 4> kLogLevel{
    "info", {{{"debug", "debug"}, {"info", "info"}, {"warn", "warn"}, {"error", "error"}}}};

}  // namespace bounds
}  // namespace viscum
