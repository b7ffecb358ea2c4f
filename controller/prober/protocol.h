// SPDX-License-Identifier: GPL-2.0-only
// What viscumd and viscum-prober say to each other over a SOCK_SEQPACKET pair: one question or one answer a message, in
// the machine's own byte order. Both ends are of one build.
//
// A question about a probe carries its socket (SCM_RIGHTS), on which connect(2) was called, and is followed by the
// bytes to send and those to look for. An answer is a code and a number: not one byte that a service chose reaches
// viscumd.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace viscum {

enum class ProberKind : uint16_t {
    http = 1,    // send, and read the status of what comes back
    udp = 2,     // send, and look for the bytes in the datagrams that come back; none: any datagram will do
    cancel = 3,  // forget the probe of this id; no socket, no bytes, no answer
};

struct ProberQuestion {
    uint64_t id;        // never 0
    uint32_t limit_ms;  // from now on; after it the prober gives up without a word, since viscumd's own timer has told
    ProberKind kind;
    uint16_t send_size;
    uint16_t expect_size;
    uint16_t zero[3];
};
static_assert(sizeof(ProberQuestion) == 24);

enum class ProberCode : uint32_t {
    // About the prober itself, with id 0.
    ready = 1,           // the cage is shut; number: what this kernel could not do for it, of kProberLacks…
    cannot_execute = 2,  // number: errno
    cannot_cage = 3,     // number: errno
    // The end of a probe.
    http_status = 10,        // number: the status, 100 to 999
    not_http = 11,           // no HTTP/1 status line
    http_too_long = 12,      // no status in the first kProberMaxHttpHead bytes
    closed_early = 13,       // the connection ended before a status came
    udp_match = 14,          //
    udp_mismatch = 15,       // kProberMaxRead bytes came, and nothing of what is expected
    socket_error = 16,       // number: errno
    question_too_long = 17,  // it does not fit into the socket
    busy = 18,               // too many probes under way: not asked
    // Not the end.
    udp_mismatch_so_far = 20,  // once, with the first datagram that is not what is expected
    // Never sent: how viscumd's side says that a probe ended with the prober.
    lost = 30,
};

struct ProberAnswer {
    uint64_t id;
    ProberCode code;
    int32_t number;
};
static_assert(sizeof(ProberAnswer) == 16);

constexpr int32_t kProberLacksNamespaces = 1;
constexpr int32_t kProberLacksRoot = 2;  // it could not be shut into an empty directory
constexpr int32_t kProberLacksSeccomp = 4;

constexpr size_t kProberMaxProbes = 1000;    // RLIMIT_NOFILE is 1,024 nearly everywhere, and is never raised
constexpr size_t kProberMaxSend = 2048;      // a path of 1,024 bytes, a host of 255, and the rest of the request
constexpr size_t kProberMaxExpect = 1400;    // service_spec.h
constexpr size_t kProberMaxRead = 65536;     // of one probe
constexpr size_t kProberMaxHttpHead = 8192;  // of that, up to the status

/// Where the prober finds its end of the pair.
constexpr int kProberChannel = 0;

}  // namespace viscum
