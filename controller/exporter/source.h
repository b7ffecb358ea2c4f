// SPDX-License-Identifier: GPL-2.0-only
// What viscumd says, asked over the socket for those who look: at most once a second whoever wants to know, and never
// waited for longer than kPatience.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "controller/ipc/frame.h"
#include "controller/ipc/report.h"

namespace viscum {

struct Snapshot {
    std::optional<DaemonReport> report;  // nullopt: viscumd is away
    std::string json;                    // the same, as viscumd wrote it
    std::string problem;                 // why it is away
};

class Source {
public:
    static constexpr Millis kFresh{1'000};
    static constexpr Millis kPatience{900};
    static constexpr std::size_t kMostWaiting = 33;

    struct Reader {
        std::function<bool()> there;  // whether anybody still wants it
        std::function<void(const Snapshot&)> take;
    };

    Source(EventLoop& loop, std::string socket_path) : loop_(loop), path_(std::move(socket_path)) {}
    ~Source();
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    /// A reader takes what is known: now where that is less than a second old, otherwise as soon as viscumd has
    /// answered or has not, if it is still there. It is not kept where kMostWaiting that are there wait already.
    void get(Reader reader);
    /// Questions to viscumd, since the start.
    [[nodiscard]] std::uint64_t asked() const { return asked_count_; }

private:
    void ask();
    Status send_question();
    void read_answer();
    void finish(Snapshot snapshot);
    void fail(std::string problem);

    EventLoop& loop_;
    std::string path_;
    Snapshot last_;
    std::optional<BootTime> asked_at_;
    std::vector<Reader> waiting_;
    UniqueFd fd_;
    std::unique_ptr<FrameReader> reader_;
    EventLoop::TimerId timer_ = 0;
    std::uint64_t asked_count_ = 0;
};

}  // namespace viscum
