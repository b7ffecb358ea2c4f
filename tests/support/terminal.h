// SPDX-License-Identifier: GPL-2.0-only
// Somebody at a terminal, a pty, who has begun a program there.
#pragma once

#include <sys/types.h>
#include <termios.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "tests/support/program.h"

namespace viscum {

class Operator {
public:
    struct Window {
        unsigned short rows = 24;
        unsigned short columns = 80;
    };
    /// The program, by its path, in a session of its own with the terminal as the controlling one; it is killed with
    /// the calling thread.
    static Result<Operator> start(const Argv& argv, const std::map<std::string, std::string>& environment = {},
                                  Window window = {24, 80});
    Operator(Operator&& other) noexcept;
    Operator& operator=(Operator&&) = delete;
    ~Operator();

    [[nodiscard]] pid_t pid() const { return pid_; }  // 0 once end() has seen its end
    Status resize(Window window) const;
    Status type(const std::string& text) const;
    Status signal(int number) const;
    /// Writes to the terminal until it takes no more: as where nobody has read from it for long. Whoever calls
    /// nothing but ended() from then on reads nothing from it.
    Status fill() const;

    /// Whether this comes up on the screen, or stood there.
    bool sees(const std::string& text);
    /// Whether it comes up from now on.
    bool sees_anew(const std::string& text);
    /// The exit status, -1 of one that a signal ended; nullopt: it does not end.
    std::optional<int> end();
    /// Whether it ends though nobody reads from the terminal; its status is end()'s to tell.
    [[nodiscard]] bool ended() const;

    [[nodiscard]] bool raw() const;
    /// Whether the terminal is set as it was before.
    [[nodiscard]] bool restored() const;
    /// What another program at this terminal reads now.
    [[nodiscard]] std::string own_input() const;
    /// All that was written to the terminal, as far as it was read: by sees(), sees_anew() and end().
    [[nodiscard]] const std::string& screen() const { return screen_; }

private:
    Operator() = default;
    [[noreturn]] void begin(const Argv& argv, const std::map<std::string, std::string>& environment) const;
    void look();
    bool looks_until(const std::function<bool()>& condition);

    UniqueFd desk_;      // what he types and sees
    UniqueFd terminal_;  // the side that programs have
    UniqueFd pidfd_;
    termios before_{};
    int flags_ = 0;  // of the open file that the program has, too
    pid_t pid_ = 0;
    std::string screen_;
};

}  // namespace viscum
