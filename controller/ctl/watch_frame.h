// SPDX-License-Identifier: GPL-2.0-only
// What `viscumctl watch` shows: a frame as a function of two reports, events and the terminal's size. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "controller/ipc/event.h"
#include "controller/ipc/report.h"

namespace viscum {

struct WatchView {
    std::size_t rows = 24;
    std::size_t columns = 80;
    bool colour = false;
    std::size_t top = 0;                   // the first service that is shown; kept within what there is
    std::optional<DaemonReport> before{};  // for what is told by the second
    std::optional<DaemonReport> now{};     // the last that came
    Millis between{0};                     // of the two
    std::string problem{};                 // why none comes; empty: it does
    std::vector<Event> events{};           // the youngest last
};

/// The frame's lines, `rows` of them, none wider than `columns`. No byte of a text moves the terminal.
std::vector<std::string> watch_lines(const WatchView& view);
/// `top` as it can be: the last page is full where there are services enough.
std::size_t watch_top(const WatchView& view);
/// How many services a page has.
std::size_t watch_page(const WatchView& view);
/// Lines as one write for a terminal: each is written over what was there, so that nothing flickers.
std::string watch_frame(const std::vector<std::string>& lines);

enum class WatchKey { quit, up, down, page_up, page_down, first, last };
/// The keys in what was typed. The beginning of an escape sequence stays in `typed` for the next call.
std::vector<WatchKey> watch_keys(std::string& typed);

}  // namespace viscum
