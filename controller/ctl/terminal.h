// SPDX-License-Identifier: GPL-2.0-only
// The operator's terminal, as a command sees it that is not trusted: never itself, but a pty in its place. A process
// that outlives the command keeps the pty only, and reads neither what is typed afterwards nor writes to the screen.
// What the command writes goes to the operator's terminal as it is, escape sequences and all, as with ssh(1).
#pragma once

#include <poll.h>
#include <termios.h>

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace viscum {

class Terminal {
public:
    using Streams = std::array<int, 3>;  // standard input, output, error; -1: /dev/null
    using Polled = std::array<pollfd, 2>;

    /// `operators` are borrowed. Input is taken from a terminal only where output goes to one as well: what is typed
    /// into `... | less` is the pager's. Nothing is opened where output and error are no terminals.
    static Result<std::unique_ptr<Terminal>> open(const Streams& operators);
    ~Terminal() { finish(); }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    /// For the command: the pty in the place of each terminal, all others as they are; -1 for what is not open, and for
    /// input that is not taken. The pty has the window's size and the settings of the operator's terminal.
    [[nodiscard]] const Streams& streams() const { return streams_; }
    /// Makes the operator's terminal raw where input is taken from it, and hands the window's size on. May be repeated:
    /// after a change of the window, and after we were stopped.
    void attach();
    /// What to poll for. copy() is to be called with the answer, and moves at most 4 KiB in either direction.
    [[nodiscard]] Polled wanted() const;
    void copy(const Polled& ready);
    /// Once the command has ended: writes what it wrote last, up to 64 KiB, hangs the pty up and restores the
    /// operator's terminal. May be repeated; the destructor does it too.
    void finish();

private:
    /// One direction; what was read is held until it can be written.
    struct Flow {
        int from = -1;
        int to = -1;
        std::string held{};
    };
    Terminal() = default;
    Status open_pty(int like, bool takes_input);
    void hand_size_on() const;
    /// False where either side is gone.
    static bool advance(Flow& flow);
    static pollfd next(const Flow& flow);
    void drain();
    void hang_up();

    Streams streams_{};
    UniqueFd master_;
    UniqueFd slave_;  // kept, so that a command that closes its own for a while is no hang-up
    int screen_ = -1;
    Flow input_;
    Flow output_;
    std::optional<termios> before_;  // of input_'s terminal, while that is raw
    int raw_ = -1;
};

}  // namespace viscum
