// SPDX-License-Identifier: GPL-2.0-only
// viscum-prober at work: what services answer to http and udp probes, and what it tells viscumd of it.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "base/unique_fd.h"
#include "controller/prober/probes.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

constexpr std::uint64_t kId = 42;
constexpr std::size_t kRead = 4096;

std::array<UniqueFd, 2> make_pair(int type) {
    std::array<int, 2> ends{};
    require(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0, "there are socket pairs");
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// The prober's parts that last: its table, and the channel, whose other end is viscumd's.
struct Prober {
    Prober() {
        auto ends = make_pair(SOCK_SEQPACKET);
        require(dup2(ends[1].get(), kProberChannel) == kProberChannel, "the channel has its number");
        viscumd = std::move(ends[0]);
        epoll.reset(epoll_create1(EPOLL_CLOEXEC));
        probes.open(epoll.get());
    }
    std::vector<ProberAnswer> answers() const {
        std::vector<ProberAnswer> all;
        ProberAnswer answer{};
        while (recv(viscumd.get(), &answer, sizeof answer, MSG_DONTWAIT) == sizeof answer) {
            all.push_back(answer);
        }
        return all;
    }
    UniqueFd viscumd;
    UniqueFd epoll;
    Probes probes;
};

struct Script {
    ProberKind kind = ProberKind::http;
    std::string expect;
    std::vector<std::string> pieces;  // what the service sends
    bool hangs_up = false;
};

Script read_script(Input input) {
    Script script;
    const auto flags = input.byte();
    script.kind = (flags & 1) != 0 ? ProberKind::udp : ProberKind::http;
    script.hangs_up = (flags & 2) != 0;
    script.expect = input.chunk();
    while (!input.empty() && script.pieces.size() < 64) {
        std::string piece = input.chunk();
        if ((flags & 4) != 0) {
            while (!piece.empty() && piece.size() < kRead / 2) {
                piece += std::string(piece);
            }
        }
        script.pieces.push_back(std::move(piece));
    }
    return script;
}

using Told = std::vector<std::pair<ProberCode, std::int32_t>>;

Told expected_http(const Script& script) {
    HttpStatusReader reader;
    for (const auto& piece : script.pieces) {
        switch (reader.feed(piece.data(), piece.size())) {
            case HttpStatusReader::State::more: break;
            case HttpStatusReader::State::done: return {{ProberCode::http_status, reader.status()}};
            case HttpStatusReader::State::not_http: return {{ProberCode::not_http, 0}};
            case HttpStatusReader::State::too_long: return {{ProberCode::http_too_long, 0}};
        }
    }
    return script.hangs_up ? Told{{ProberCode::closed_early, 0}} : Told{};
}

Told expected_udp(const Script& script) {
    Told told;
    std::size_t seen = 0;
    for (const auto& datagram : script.pieces) {
        if (datagram.find(script.expect) != std::string::npos) {
            told.emplace_back(ProberCode::udp_match, 0);
            return told;
        }
        seen += datagram.size() + 1;
        if (seen >= kProberMaxRead) {
            told.emplace_back(ProberCode::udp_mismatch, 0);
            return told;
        }
        if (told.empty()) {
            told.emplace_back(ProberCode::udp_mismatch_so_far, 0);
        }
    }
    return told;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Prober prober;
    const Script script = read_script(Input(data, size));
    const bool udp = script.kind == ProberKind::udp;
    auto ends = make_pair(udp ? SOCK_DGRAM : SOCK_STREAM);
    ProberQuestion question{};
    question.id = kId;
    question.limit_ms = 3'600'000;
    question.kind = script.kind;
    question.send_size = 4;
    question.expect_size = static_cast<std::uint16_t>(script.expect.size());
    const std::string bytes = "ping" + script.expect;
    prober.probes.begin(question, bytes.data(), ends[0].release());
    char asked[8];
    require(recv(ends[1].get(), asked, sizeof asked, 0) == 4, "the service is asked");
    for (const auto& piece : script.pieces) {
        if (!udp && piece.empty()) {
            continue;
        }
        if (send(ends[1].get(), piece.data(), piece.size(), MSG_NOSIGNAL) < 0) {
            break;  // it has what it needs, and hung up
        }
        prober.probes.ready(0);
    }
    if (script.hangs_up) {
        ends[1].reset();
        prober.probes.ready(0);
    }
    prober.probes.cancel(kId);

    Told told;
    for (const auto& answer : prober.answers()) {
        require(answer.id == kId, "an answer is about what was asked");
        // The service's end of a pair of datagram sockets hangs up by an error, which is none of its bytes.
        if (!(udp && answer.code == ProberCode::socket_error)) {
            told.emplace_back(answer.code, answer.number);
        }
    }
    require(told == (udp ? expected_udp(script) : expected_http(script)), "viscumd is told what the service answered");
    require(prober.probes.expire() == -1, "no probe is left");
    return 0;
}
