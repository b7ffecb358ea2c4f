// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/events.h"

#include <deque>
#include <limits>

#include "base/text.h"
#include "controller/ctl/follow.h"
#include "controller/ctl/paint.h"
#include "controller/ctl/render.h"
#include "controller/spec/service_spec.h"

namespace viscum {
namespace {

constexpr std::size_t kWhole = std::numeric_limits<std::size_t>::max();  // both generations are small
constexpr std::size_t kSecond = 19;                                      // "2026-01-02T03:04:05"

std::int64_t wall_ms() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<Millis>(now).count();
}

Tone tone_of_kind(std::string_view kind) {
    for (const std::string_view bad :
         {"exited", "failed", "not-started", "unhealthy", "held-down", "deploy-failed", "put-back-failed", "not-served",
          "lan-gone", "lan-trouble", "lease-ended", "lease-trouble", "config-refused", "deploy-refused"}) {
        if (kind == bad) {
            return Tone::bad;
        }
    }
    return kind == "cloud" || kind == "unconfirmed" || kind == "drained" ? Tone::fair
           : kind == "healthy" || kind == "local" || kind == "deployed"  ? Tone::good
                                                                         : Tone::plain;
}

std::string second_of(std::int64_t ms) {
    std::string text = utc_text(ms).substr(0, kSecond) + "Z";
    text[10] = ' ';
    return text;
}

}  // namespace

std::string render_event(const Event& event, bool colour) {
    const std::string times =
        event.times > 1 ? cat(" (", event.times, " times since ", second_of(event.since_ms), ")") : "";
    return cat(second_of(event.time_ms), "  ",
               paint(event.service.empty() ? "-" : printable(event.service), Tone::strong, colour), "  ",
               paint(printable(event.text), tone_of_kind(event.kind), colour), times);
}

void EventReader::read(std::string_view bytes) {
    for (const char byte : bytes) {
        if (byte != '\n') {
            too_long_ = too_long_ || line_.size() == kEventLineLimit;
            if (!too_long_) {
                line_ += byte;
            }
            continue;
        }
        auto event = too_long_ ? std::nullopt : read_event(line_);
        line_.clear();
        too_long_ = false;
        if (event) {
            out_(*std::move(event));
        }
    }
}

int events(const Session& session, const EventsOptions& options) {
    const Console& console = session.console;
    if (!options.service.empty() && !is_service_name(options.service)) {
        return fail(console, Code::no_such_service, cat("no service '", options.service, "'"), "see: viscumctl list");
    }
    const std::int64_t from = options.since ? wall_ms() - options.since->count() : 0;
    const auto show = [&console](const Event& event) {
        console.out(console.json ? event_line(event) : render_event(event, console.colour) + "\n");
    };
    std::deque<Event> past;
    bool live = false;
    EventReader reader([&](Event event) {
        if ((!options.service.empty() && event.service != options.service) || event.time_ms < from) {
            return;
        }
        if (live) {
            show(event);
            return;
        }
        past.push_back(std::move(event));
        if (past.size() > options.lines) {
            past.pop_front();
        }
    });
    FollowedFile file(session.events, [&reader](std::string_view bytes) { reader.read(bytes); });
    std::optional<DirectoryWatch> watch;
    if (options.follow) {
        // Before the first look, so that nothing is missed between.
        auto opened = DirectoryWatch::open(session.events.substr(0, session.events.rfind('/')));
        if (!opened) {
            return fail(console, Code::failed, opened.error().what, "viscumd makes it at its first start");
        }
        watch = *std::move(opened);
    }
    Status status = file.start(kWhole);
    for (const auto& event : past) {
        show(event);
    }
    live = true;
    while (status && watch && watch->wait()) {
        status = file.advance();
    }
    if (!status) {
        return fail(console, Code::failed, status.error().what, "");
    }
    if (past.empty() && !options.follow && !console.json) {
        console.err("no events\n");
    }
    return 0;
}

}  // namespace viscum
