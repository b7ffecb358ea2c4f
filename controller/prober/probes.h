// SPDX-License-Identifier: GPL-2.0-only
// The probes under way: a table of fixed size over one epoll instance.
#pragma once

#include "controller/prober/http_status.h"
#include "controller/prober/protocol.h"

namespace viscum {

/// Static, all zeros at first: memory that no probe has used is not there. Slots are given out from the lowest on, so
/// few are ever touched.
class Probes {
public:
    void open(int epoll) { epoll_ = epoll; }
    /// Begins the probe on `fd`, which it closes in the end; `bytes` are those to send and to look for.
    void begin(const ProberQuestion& question, const char* bytes, int fd);
    void cancel(uint64_t id);
    /// Slot `index` is ready for something: what epoll reported, or no longer.
    void ready(size_t index);
    /// Gives up the probes whose time is over. Returns how long it may take until the next, in ms; -1: there is none.
    int expire();

private:
    enum class Phase : uint8_t { connecting, waiting, draining };
    struct Slot {
        int fd = 0;  // 0: free; the channel has that number
        Phase phase = Phase::connecting;
        bool told = false;  // of the first datagram that was not what is expected
        ProberKind kind = {};
        uint16_t send_size = 0;
        uint16_t expect_size = 0;
        uint32_t seen = 0;
        uint64_t id = 0;
        uint64_t deadline_ms = 0;
        HttpStatusReader reader;
    };

    void send_question(size_t index, const char* bytes, bool again);
    void read_http(Slot& slot);
    void read_udp(size_t index);
    void end(Slot& slot);
    void end(Slot& slot, ProberCode code, int number = 0);
    void watch(size_t index, int operation, uint32_t events);

    int epoll_ = 0;
    size_t top_ = 0;  // behind the highest slot in use
    Slot slots_[kProberMaxProbes] = {};
    // Apart from the slots: most probes never need it, as their question is sent at once.
    char questions_[kProberMaxProbes][kProberMaxSend + kProberMaxExpect] = {};
    char buffer_[kProberMaxRead] = {};
};

}  // namespace viscum
