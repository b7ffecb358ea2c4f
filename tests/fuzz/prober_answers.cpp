// SPDX-License-Identifier: GPL-2.0-only
// viscumd with a prober that was taken over: it says anything, at any moment, and ends when it likes.
//
// The kernel is played here, by the linker's --wrap: no process is made, and the prober's end of the channel is ours.
#include <linux/sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdarg>
#include <map>
#include <set>

#include "controller/supervise/prober.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

struct Kernel {
    UniqueFd channel;  // the prober's end
    UniqueFd end;      // becomes readable when it ends, as a pidfd does
    bool runs = false;
};
Kernel kernel;

void end_prober() {
    const std::uint64_t one = 1;
    if (kernel.end) {
        require(write(kernel.end.get(), &one, sizeof one) == sizeof one, "its end can be told");
    }
    kernel.runs = false;
}

}  // namespace

extern "C" {
int __real_socketpair(int domain, int type, int protocol, int* ends);
int __wrap_socketpair(int domain, int type, int protocol, int* ends) {
    const int made = __real_socketpair(domain, type, protocol, ends);
    if (made == 0) {
        kernel.channel.reset(dup(ends[1]));
    }
    return made;
}

long __real_syscall(long number, ...);
// As the C library's own: it takes all that a call could have, whether it was given or not.
__attribute__((no_sanitize("address"))) long __wrap_syscall(long number, ...) {
    std::array<long, 6> arguments{};
    va_list list;
    va_start(list, number);
    for (long& argument : arguments) {
        argument = va_arg(list, long);
    }
    va_end(list);
    if (number == SYS_clone3) {
        const auto* how = reinterpret_cast<const clone_args*>(arguments[0]);
        const int pidfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        kernel.end.reset(dup(pidfd));
        kernel.runs = true;
        std::memcpy(reinterpret_cast<void*>(how->pidfd), &pidfd, sizeof pidfd);
        return 4242;
    }
    if (number == SYS_pidfd_send_signal) {
        end_prober();
        return 0;
    }
    return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}
}

namespace {

class Session {
public:
    explicit Session(Input input)
        : input_(std::move(input)),
          loop_(*EventLoop::open()),
          prober_(*loop_, {"/nowhere", 1, 1, [this](const auto& text) {
                               ++told_;
                               require(!has_control(text), "what is told is a line");
                           }}) {}

    void run() {
        for (int step = 0; step < 256 && !input_.empty(); ++step) {
            switch (input_.byte() % 9) {
                case 0:
                case 1: ask(); break;
                case 2:
                case 3: say(); break;
                case 4: babble(); break;
                case 5: turn(); break;
                case 6: cancel(); break;
                case 7: give_up(); break;
                case 8: end(); break;
            }
        }
        turn();
        require(heard_ <= 1 + 3 * asked_.size(), "a prober cannot keep viscumd busy");
    }

private:
    void ask() {
        const std::string send = input_.chunk();
        const std::string expect = input_.chunk();
        const auto kind = (send.size() & 1) != 0 ? ProberKind::udp : ProberKind::http;
        UniqueFd socket(eventfd(0, EFD_CLOEXEC));
        const Prober::Id next = last_ + 1;
        const auto id = prober_.ask(std::move(socket), {kind, send, expect, Millis(1000)},
                                    [this, next](const auto& answer) { heard(next, answer); });
        if (!id) {
            require(!id.error().what.empty(), "a refusal says why");
            return;
        }
        require(*id == next, "no id is used twice");
        last_ = next;
        asked_.insert(next);
        open_.insert(next);
    }
    void heard(Prober::Id id, const ProberAnswer& answer) {
        ++heard_;
        require(in_turn_, "answers come from the loop");
        require(open_.count(id) == 1 && answer.id == id, "an answer is to a question that is open");
        if (answer.code != ProberCode::udp_mismatch_so_far) {
            open_.erase(id);
        }
        if (input_.byte() % 4 == 0 && !open_.empty()) {
            const auto other = *open_.begin();
            open_.erase(other);
            prober_.cancel(other);
        }
    }
    void say() {
        ProberAnswer answer{};
        answer.id = input_.byte() % (last_ + 3);
        const auto code = input_.byte();
        answer.code = static_cast<ProberCode>(code < 240 ? code % 32U : input_.number<std::uint32_t>());
        answer.number = input_.number<std::int32_t>();
        write_to_viscumd({reinterpret_cast<const char*>(&answer), sizeof answer});
    }
    void babble() { write_to_viscumd(input_.chunk()); }
    static void write_to_viscumd(std::string_view bytes) {
        if (kernel.runs && kernel.channel) {
            [[maybe_unused]] const auto ignored =
                send(kernel.channel.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        }
    }
    void turn() {
        in_turn_ = true;
        loop_->after(Millis(0), [this] { loop_->stop(); });
        require(static_cast<bool>(loop_->run()), "the loop turns");
        in_turn_ = false;
    }
    void cancel() {
        const Prober::Id id = input_.byte() % (last_ + 2);
        open_.erase(id);
        prober_.cancel(id);
    }
    void give_up() {
        const Prober::Id id = input_.byte() % (last_ + 2);
        open_.erase(id);
        [[maybe_unused]] const bool was_read = prober_.give_up(id);
    }
    void end() {
        if ((input_.byte() & 1) != 0) {
            kernel.channel.reset();
        }
        end_prober();
    }

    Input input_;
    std::unique_ptr<EventLoop> loop_;
    std::set<Prober::Id> asked_;
    std::set<Prober::Id> open_;
    Prober::Id last_ = 0;
    std::size_t heard_ = 0;
    int told_ = 0;
    bool in_turn_ = false;
    Prober prober_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    kernel = {};
    Session(Input(data, size)).run();
    return 0;
}
