// SPDX-License-Identifier: GPL-2.0-only
// The journal, as viscumctl reads it: any bytes, and events that were written, with a torn line before them.
#include "controller/ctl/events.h"

#include "base/text.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

std::vector<Event> read_in_pieces(std::string_view bytes, std::size_t piece) {
    std::vector<Event> events;
    EventReader reader([&events](Event event) { events.push_back(std::move(event)); });
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        reader.read(bytes.substr(at, piece));
    }
    return events;
}

/// What was read is written and read back; only a text that fills the line may lose its end.
void check(const Event& event) {
    require(!has_control(render_event(event, false)), "what is shown moves no terminal");
    const std::string line = event_line(event);
    require(line.size() <= kEventLineLimit, "a line is bounded");
    require(line.empty() || line.find('\n') == line.size() - 1, "an event is one line");
    const auto again = read_event(line);
    require(line.empty() || again, "what was written can be read");
    require(line.empty() ||
                (again->kind == event.kind && again->service == event.service && again->time_ms == event.time_ms &&
                 again->times == event.times && event.text.starts_with(again->text)),
            "what was read is read back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input(data, size);
    const std::size_t piece = input.byte() % 200U + 1;
    Event written;
    written.time_ms = input.number<std::int64_t>();
    written.times = input.number<std::uint16_t>() + 1U;
    written.since_ms = input.number<std::int64_t>();
    written.kind = "exited";
    written.service = input.chunk();
    written.text = input.chunk();
    const std::string line = event_line(written);
    const std::string torn = line.substr(0, input.byte());
    const std::string bytes = input.rest();
    const auto events = read_in_pieces(bytes, piece);
    require(events == read_in_pieces(bytes, 1), "it does not matter in which pieces it comes");
    for (const auto& event : events) {
        check(event);
    }
    if (!line.empty()) {
        const auto after = read_in_pieces(cat(bytes, torn, "\n", line), piece);
        require(!after.empty() && event_line(after.back()) == line, "a torn line costs nothing but itself");
    }
    return 0;
}
