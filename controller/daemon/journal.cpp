// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace viscum {
namespace {

constexpr Folding::Pace kHappens{4, Millis(600'000)};
constexpr Folding::Pace kAsked{30, Millis(60'000)};  // a script that asks in a loop
constexpr std::int64_t kClockStep = 5'000;           // less is what a clock does by itself
constexpr mode_t kMode = 0640;

std::int64_t clock_ms(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<std::int64_t>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000;
}

std::int64_t wall_ms() {
    return clock_ms(CLOCK_REALTIME);
}

std::int64_t clock_offset() {
    return wall_ms() - clock_ms(CLOCK_BOOTTIME);
}

bool is_asked(const std::string& kind) {
    constexpr std::array kKinds{"deployed", "deploy-failed", "deploy-refused", "removed",   "drained",
                                "resumed",  "restarted",     "trial",          "confirmed", "reverted",
                                "put-back", "config",        "config-refused"};
    return std::ranges::find(kKinds, kind) != kKinds.end();
}

/// Non-blocking, so that a FIFO in the place of the file cannot hold us up.
UniqueFd open_journal(const std::string& path, int flags) {
    return UniqueFd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, kMode));
}

bool ends_a_line(int fd, off_t size) {
    char last = '\n';
    return size == 0 || pread(fd, &last, 1, size - 1) != 1 || last == '\n';
}

}  // namespace

Status append_lines(const std::string& path, const std::string& lines, bool durable) {
    const std::string context = cat("cannot write '", path, "'");
    UniqueFd file;
    struct stat info {};
    for (int turn = 0; turn < 2; ++turn) {
        file = open_journal(path, O_RDWR | O_APPEND | O_CREAT);
        if (!file || fstat(file.get(), &info) != 0) {
            return errno_error(context);
        }
        if (!S_ISREG(info.st_mode)) {
            return Error{EINVAL, cat(context, ": it is no regular file")};
        }
        if (info.st_size == 0 || static_cast<std::size_t>(info.st_size) + lines.size() + 1 <= kJournalLimit) {
            break;
        }
        if (rename(path.c_str(), (path + ".1").c_str()) != 0) {
            return errno_error(context);
        }
    }
    const std::string bytes = cat(ends_a_line(file.get(), info.st_size) ? "" : "\n", lines);
    if (auto status = write_all(file.get(), bytes); !status) {
        // What is half there would be a line that nobody can read.
        [[maybe_unused]] const int cut = ftruncate(file.get(), info.st_size);
        return std::move(status).error().in(context);
    }
    if (durable && fdatasync(file.get()) != 0) {
        return errno_error(context);
    }
    // The name of a new file is the directory's.
    return info.st_size == 0 ? sync_directory(path.substr(0, path.rfind('/'))) : Status{};
}

bool ended_without_word(const std::string& path) {
    for (const auto& file : {path, path + ".1"}) {
        const auto text = read_file(file, 2 * kJournalLimit);
        if (!text) {
            continue;
        }
        auto lines = split(*text, '\n');
        std::reverse(lines.begin(), lines.end());
        for (const auto& line : lines) {
            const auto event = read_event(line);
            if (event && event->service.empty() && (event->kind == "started" || event->kind == "stopped")) {
                return event->kind == "started";
            }
        }
    }
    return false;
}

std::string with_key(const std::string& key) {
    return key.empty() ? "" : cat(" with the key '", key, "'");
}

Journal::Journal(EventLoop& loop, std::string path)
    : loop_(loop), path_(std::move(path)), folding_(kHappens), asked_(kAsked), clock_offset_ms_(clock_offset()) {}

Journal::~Journal() {
    loop_.cancel(timer_);
    std::vector<Event> held = folding_.all();
    for (auto& event : asked_.all()) {
        held.push_back(std::move(event));
    }
    write(held, false);
}

void Journal::note(const std::string& kind, const std::string& service, const std::string& text) {
    Event event;
    event.kind = kind;
    event.service = service;
    event.text = text;
    take(std::move(event));
}

void Journal::take(Event event) {
    const std::int64_t step = clock_offset() - clock_offset_ms_;
    if (step > kClockStep || step < -kClockStep) {
        clock_offset_ms_ += step;
        note("clock", "",
             cat("the clock was set ", step > 0 ? "forward" : "back", " by ",
                 took_text(Millis(step > 0 ? step : -step)), ": the times before are off by that"));
    }
    clock_offset_ms_ = clock_offset();  // it also drifts
    event.time_ms = wall_ms();
    const bool asked = is_asked(event.kind);
    if (auto now = (asked ? asked_ : folding_).take(std::move(event), boot_now())) {
        keep(*std::move(now), asked);
    }
    await_held();
}

/// A thousand services that are drained at once are one write, and one wait for the medium.
void Journal::keep(Event event, bool asked) {
    if (in_request_) {
        of_request_.push_back(std::move(event));
    } else {
        write({std::move(event)}, asked);
    }
}

void Journal::begin_request(const std::string& key) {
    key_ = key;
    in_request_ = true;
}

void Journal::end_request() {
    key_.clear();
    in_request_ = false;
    write(of_request_, true);
    of_request_.clear();
}

void Journal::look(const Services& services, const World& world) {
    std::map<std::string, ServiceNow> seen;
    for (const auto& [name, service] : services.all()) {
        ServiceNow& now = seen[name];
        now.slot = service.primary;
        now.drained = service.drained;
        now.removed = service.removed;
        now.served = std::ranges::any_of(service.runs, [](const auto& run) { return run && run->gets_new_flows(); });
        if (const Run* run = service.current()) {
            now.state = run->state();
            now.starts = run->starts();
            now.process = run->has_process();
            now.healthy = run->healthy();
            now.held_down = run->view().held_down;
            now.sign = run->first_sign();
            now.on_failure = run->spec().on_failure;
            now.end = [run] { return run->describe_end(); };
            now.why = [run] {
                const auto end = all_ended(run->spec(), wall_now());
                const auto reason = run->reason();
                return reason.empty() && end ? cat("what it claims ended at ", format_wall_time(*end)) : reason;
            };
        } else {
            now.end = now.why = [] { return std::string(); };
        }
    }
    for (auto& event : story_.look(world.lan_devices())) {
        take(std::move(event));
    }
    for (auto& event : story_.look(seen, boot_now())) {
        take(std::move(event));
    }
    for (auto& event : story_.look(services.unserved())) {
        take(std::move(event));
    }
}

void Journal::write(const std::vector<Event>& events, bool durable) {
    std::string lines;
    for (const auto& event : events) {
        lines += event_line(event);
    }
    if (lines.empty()) {
        return;
    }
    const auto status = append_lines(path_, lines, durable);
    if (!status && !told_) {
        log_warn(cat("what happens is not written down: ", status.error().what));
    }
    told_ = !status;
}

void Journal::await_held() {
    loop_.cancel(timer_);
    timer_ = 0;
    std::optional<BootTime> next;
    for (const auto& due : {folding_.next_due(), asked_.next_due()}) {
        next = due && (!next || *due < *next) ? due : next;
    }
    if (next) {
        timer_ = loop_.at(*next, [this] {
            timer_ = 0;
            const BootTime now = boot_now();
            write(folding_.due(now), false);
            write(asked_.due(now), false);
            await_held();
        });
    }
}

}  // namespace viscum
