// SPDX-License-Identifier: GPL-2.0-only
#include "controller/prober/probes.h"

#include <sys/epoll.h>

#include <errno.h>
#include <string.h>

#include "controller/prober/calls.h"

namespace viscum {
namespace {

constexpr size_t kHttpRead = 4096;  // at once: others wait
/// How long a connection whose status is told stays open for the rest of the answer. Closing a socket that holds unread
/// bytes sends a reset, which services log as an error; nearly all send the rest in the same instant.
constexpr uint64_t kRestOfAnswerMs = 10;

// What viscumd has no room for is let go: then it has not looked for long, and its own timer has the word.
void answer(uint64_t id, ProberCode code, int number) {
    const ProberAnswer message{id, code, number};
    transmit(kProberChannel, &message, sizeof message);
}

bool is_later(int code) {
    return code == EAGAIN || code == EINTR;
}

}  // namespace

void Probes::begin(const ProberQuestion& question, const char* bytes, int fd) {
    size_t index = 0;
    while (index < kProberMaxProbes && slots_[index].fd != 0) {
        ++index;
    }
    if (fd < 0 || index == kProberMaxProbes) {
        if (fd >= 0) {
            close_descriptor(fd);
        }
        answer(question.id, ProberCode::busy, 0);
        return;
    }
    top_ = index < top_ ? top_ : index + 1;
    Slot& slot = slots_[index];
    slot = {};
    slot.fd = fd;
    slot.kind = question.kind;
    slot.send_size = question.send_size;
    slot.expect_size = question.expect_size;
    slot.id = question.id;
    slot.deadline_ms = now_ms() + question.limit_ms;
    memcpy(questions_[index] + kProberMaxSend, bytes + question.send_size, question.expect_size);
    send_question(index, bytes, false);
}

/// The send buffer of a fresh socket holds it; what does not fit there is no question for a health probe.
void Probes::send_question(size_t index, const char* bytes, bool again) {
    Slot& slot = slots_[index];
    const ssize_t sent = transmit(slot.fd, bytes, slot.send_size);
    if (sent < 0 && is_later(errno)) {  // not yet connected
        if (!again) {
            memcpy(questions_[index], bytes, slot.send_size);
            watch(index, EPOLL_CTL_ADD, EPOLLOUT);
        }
    } else if (sent < 0) {
        end(slot, ProberCode::socket_error, errno);
    } else if (sent != slot.send_size) {
        end(slot, ProberCode::question_too_long);
    } else {
        slot.phase = Phase::waiting;
        watch(index, again ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, EPOLLIN);
    }
}

void Probes::watch(size_t index, int operation, uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = index;
    if (syscall(SYS_epoll_ctl, epoll_, operation, slots_[index].fd, &event) != 0) {
        end(slots_[index], ProberCode::busy);
    }
}

void Probes::cancel(uint64_t id) {
    for (size_t i = 0; i < top_; ++i) {
        if (slots_[i].fd != 0 && slots_[i].id == id) {
            end(slots_[i]);
            return;
        }
    }
}

void Probes::ready(size_t index) {
    if (index >= top_ || slots_[index].fd == 0) {
        return;  // it ended in this turn
    }
    Slot& slot = slots_[index];
    if (slot.phase == Phase::connecting) {
        send_question(index, questions_[index], true);
    } else if (slot.kind == ProberKind::http) {
        read_http(slot);
    } else {
        read_udp(index);
    }
}

void Probes::read_http(Slot& slot) {
    const size_t left = kProberMaxRead - slot.seen;
    const ssize_t got = receive(slot.fd, buffer_, left < kHttpRead ? left : kHttpRead);
    if (got < 0 && is_later(errno)) {
        return;
    }
    if (got <= 0 && slot.phase == Phase::draining) {
        end(slot);
        return;
    }
    if (got <= 0) {
        got < 0 ? end(slot, ProberCode::socket_error, errno) : end(slot, ProberCode::closed_early);
        return;
    }
    slot.seen += static_cast<uint32_t>(got);
    if (slot.phase == Phase::waiting) {
        using State = HttpStatusReader::State;
        const State state = slot.reader.feed(buffer_, static_cast<size_t>(got));
        if (state == State::not_http || state == State::too_long) {
            end(slot, state == State::not_http ? ProberCode::not_http : ProberCode::http_too_long);
            return;
        }
        if (state == State::done) {
            answer(slot.id, ProberCode::http_status, slot.reader.status());
            const uint64_t rest = now_ms() + kRestOfAnswerMs;
            slot.deadline_ms = rest < slot.deadline_ms ? rest : slot.deadline_ms;
            slot.phase = Phase::draining;
        }
    }
    if (slot.seen == kProberMaxRead) {
        end(slot);  // its status is told: the reader gives up long before
    }
}

void Probes::read_udp(size_t index) {
    Slot& slot = slots_[index];
    const ssize_t got = receive(slot.fd, buffer_, sizeof buffer_);
    if (got < 0) {
        if (!is_later(errno)) {
            end(slot, ProberCode::socket_error, errno);
        }
        return;
    }
    const char* expected = questions_[index] + kProberMaxSend;
    if (memmem(buffer_, static_cast<size_t>(got), expected, slot.expect_size) != nullptr) {
        end(slot, ProberCode::udp_match);
        return;
    }
    slot.seen += static_cast<uint32_t>(got) + 1;  // empty ones count as well
    if (slot.seen >= kProberMaxRead) {
        end(slot, ProberCode::udp_mismatch);
    } else if (!slot.told) {
        slot.told = true;
        answer(slot.id, ProberCode::udp_mismatch_so_far, 0);
    }
}

void Probes::end(Slot& slot) {
    // Not by its closing alone: viscumd may still hold the same socket for a moment.
    epoll_event ignored{};
    syscall(SYS_epoll_ctl, epoll_, EPOLL_CTL_DEL, slot.fd, &ignored);
    close_descriptor(slot.fd);
    slot.fd = 0;
    while (top_ > 0 && slots_[top_ - 1].fd == 0) {
        --top_;
    }
}

void Probes::end(Slot& slot, ProberCode code, int number) {
    answer(slot.id, code, number);
    end(slot);
}

int Probes::expire() {
    if (top_ == 0) {
        return -1;
    }
    const uint64_t now = now_ms();
    uint64_t first = UINT64_MAX;
    for (size_t i = top_; i-- > 0;) {
        Slot& slot = slots_[i];
        if (slot.fd == 0) {
            continue;
        }
        if (slot.deadline_ms <= now) {
            end(slot);
        } else if (slot.deadline_ms < first) {
            first = slot.deadline_ms;
        }
    }
    constexpr uint64_t kLongest = 60'000;
    return top_ == 0 ? -1 : static_cast<int>(first - now < kLongest ? first - now : kLongest);
}

}  // namespace viscum
