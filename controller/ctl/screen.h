// SPDX-License-Identifier: GPL-2.0-only
// The operator's terminal while `viscumctl watch` has it. Nothing here waits for it: one that takes no more, as behind
// a link that is dead, must not keep its program from ending.
#pragma once

#include <termios.h>

#include <optional>
#include <string>
#include <utility>

namespace viscum {

/// Standard input and output: another screen, no cursor, no wrapping, keys as they are pressed, and no write that waits
/// (nor a read, where both are one). All of it is as before at the end; a terminal that takes nothing for half a second
/// then keeps the other screen, and gets everything else back.
class Screen {
public:
    /// nullopt where they are no terminal.
    static std::optional<Screen> open();
    Screen(Screen&& other) noexcept
        : before_(other.before_), flags_(std::exchange(other.flags_, -1)), left_(std::move(other.left_)) {}
    Screen& operator=(Screen&&) = delete;
    ~Screen();

    /// Whether something is still to be written, once standard output takes it (POLLOUT): advance() does.
    [[nodiscard]] bool busy() const { return !left_.empty(); }
    /// Writes behind what is left as much as goes. False where nobody looks any more.
    bool write(const std::string& bytes);
    bool advance();

private:
    Screen() = default;
    termios before_{};
    int flags_ = -1;  // of standard output, as they were; -1: nothing is to be put back
    std::string left_;
};

}  // namespace viscum
