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
constexpr Folding::Pace kMany{16, Millis(60'000)};   // services at once
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

/// Of a service of which other claims go on: what happens to one without any is told elsewhere.
std::vector<std::string> ended_claims(const ServiceSpec& spec) {
    std::vector<std::string> ended;
    if (spec.ends.empty()) {
        return ended;
    }
    const WallTime now = wall_now();
    for (const auto& end : spec.ends) {
        if (end.at <= now && !all_ended(spec, now)) {
            ended.push_back(end.claim.text());
        }
    }
    return ended;
}

/// The whole lines at the beginning that have no more than `room` bytes.
std::size_t lines_within(std::string_view lines, std::size_t room) {
    if (lines.size() <= room) {
        return lines.size();
    }
    const auto end = room == 0 ? std::string_view::npos : lines.rfind('\n', room - 1);
    return end == std::string_view::npos ? 0 : end + 1;
}

/// How many bytes were appended: as many lines as the generation takes.
Result<std::size_t> append_to_generation(const std::string& path, std::string_view lines, bool durable) {
    UniqueFd file;
    struct stat info {};
    std::size_t size = 0;
    for (int turn = 0; turn < 2; ++turn) {
        file = open_journal(path, O_RDWR | O_APPEND | O_CREAT);
        if (!file || fstat(file.get(), &info) != 0) {
            return errno_error("open");
        }
        if (!S_ISREG(info.st_mode)) {
            return Error{EINVAL, "it is no regular file"};
        }
        const std::size_t used = static_cast<std::size_t>(info.st_size) + 1;
        size = lines_within(lines, kJournalLimit - std::min(used, kJournalLimit));
        if (size > 0) {
            break;
        }
        if (info.st_size == 0) {
            return Error{EMSGSIZE, "a line is too long"};
        }
        if (rename(path.c_str(), (path + ".1").c_str()) != 0) {
            return errno_error("rename");
        }
    }
    const std::string bytes = cat(ends_a_line(file.get(), info.st_size) ? "" : "\n", lines.substr(0, size));
    if (auto status = write_all(file.get(), bytes); !status) {
        // What is half there would be a line that nobody can read.
        [[maybe_unused]] const int cut = ftruncate(file.get(), info.st_size);
        return std::move(status).error();
    }
    if (durable && fdatasync(file.get()) != 0) {
        return errno_error("fdatasync");
    }
    // The name of a new file is the directory's.
    if (info.st_size == 0) {
        if (auto status = sync_directory(path.substr(0, path.rfind('/'))); !status) {
            return std::move(status).error();
        }
    }
    return size;
}

}  // namespace

Status append_lines(const std::string& path, std::string_view lines, bool durable) {
    while (!lines.empty()) {
        auto appended = append_to_generation(path, lines, durable);
        if (!appended) {
            return std::move(appended).error().in(cat("cannot write '", path, "'"));
        }
        lines.remove_prefix(*appended);
    }
    return {};
}

std::string with_key(const std::string& key) {
    return key.empty() ? "" : cat(" with the key '", key, "'");
}

Journal::Journal(EventLoop& loop, std::string path, std::string start_file)
    : loop_(loop),
      path_(std::move(path)),
      start_file_(std::move(start_file)),
      folding_(kHappens),
      asked_(kAsked),
      crowd_(kMany),
      clock_offset_ms_(clock_offset()) {
    recall();
}

/// A viscumd that is started again and again tells the same at each start: it is to go on where the last one was.
void Journal::recall() {
    const BootTime now = boot_now();
    const std::int64_t today = wall_ms();
    for (const auto& file : {path_ + ".1", path_}) {
        const auto text = read_file(file, 2 * kJournalLimit);
        for (const auto& line : text ? split(*text, '\n') : std::vector<std::string>()) {
            const auto event = read_event(line);
            if (!event) {
                continue;
            }
            const bool start = event->service.empty() && event->kind == "started";
            const bool again = start && without_word_;
            if (start || (event->service.empty() && event->kind == "stopped")) {
                without_word_ = start;
            }
            // Of a clock that was ahead it is not known how long ago that was.
            const Millis age(today - event->time_ms);
            if (age < Millis(0) || age > kHappens.burst * kHappens.every || is_asked(event->kind) ||
                (start && !again)) {
                continue;
            }
            folding_.remember(event->service, event->kind, now - age);
            crowd_.remember(event->kind, now - age);
        }
    }
    const auto line = read_file(start_file_, kEventLineLimit);
    if (auto held = line ? read_event(line->substr(0, line->find('\n'))) : std::nullopt; held) {
        folding_.hold(*std::move(held));
        start_kept_ = without_word_ = true;
    }
}

void Journal::tell_start(const std::string& text) {
    Event event;
    event.kind = "started";
    event.text = text;
    if (without_word_) {
        event.text += "; the one before ended without a word";
        take(std::move(event));
        keep_start();
        return;
    }
    event.time_ms = wall_ms();
    write({event}, false);
}

/// In memory, so that a start each second costs no flash.
void Journal::keep_start() {
    const Event* held = folding_.held("", "started");
    if (held == nullptr) {
        if (std::exchange(start_kept_, false)) {
            unlink(start_file_.c_str());
        }
        return;
    }
    // Where that fails there are some more than it says.
    start_kept_ = static_cast<bool>(write_file_atomically(start_file_, event_line(*held), kMode));
}

void Journal::finish(const std::string& text) {
    std::vector<Event> last;
    const auto add = [&last](std::vector<Event> events) { std::ranges::move(events, std::back_inserter(last)); };
    for (auto& event : folding_.all()) {
        if (event.service.empty()) {
            last.push_back(std::move(event));
        } else if (auto now = crowd_.take(std::move(event), boot_now())) {
            last.push_back(*std::move(now));
        }
    }
    add(crowd_.all());
    add(asked_.all());
    std::ranges::stable_sort(last, {}, &Event::time_ms);
    Event event;
    event.time_ms = wall_ms();
    event.kind = "stopped";
    event.text = text;
    last.push_back(std::move(event));
    write(last, false);
    keep_start();
}

void Journal::note(const std::string& kind, const std::string& service, const std::string& text) {
    Event event;
    event.kind = kind;
    event.service = service;
    event.text = text;
    take(std::move(event));
}

void Journal::look_at_clock() {
    const std::int64_t step = clock_offset() - clock_offset_ms_;
    clock_offset_ms_ += step;  // it also drifts
    if (step > kClockStep || step < -kClockStep) {
        note("clock", "",
             cat("the clock was set ", step > 0 ? "forward" : "back", " by ",
                 took_text(Millis(step > 0 ? step : -step)), ": the times before are off by that"));
    }
}

void Journal::take(Event event) {
    look_at_clock();
    event.time_ms = wall_ms();
    const bool asked = is_asked(event.kind);
    if (auto now = (asked ? asked_ : folding_).take(std::move(event), boot_now())) {
        pass(*std::move(now), asked);
    }
    await_held();
}

void Journal::pass(Event event, bool asked) {
    if (asked || event.service.empty()) {
        keep(std::move(event), asked);
    } else if (auto now = crowd_.take(std::move(event), boot_now())) {
        keep(*std::move(now), false);
    }
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
    write(gather(of_request_, kMany.burst), true);
    of_request_.clear();
}

void Journal::look(const Services& services, const World& world, const Failovers& failovers) {
    std::map<std::string, ServiceNow> seen;
    for (const auto& [name, service] : services.all()) {
        ServiceNow& now = seen[name];
        now.slot = service.primary;
        now.drained = service.drained;
        now.removed = service.removed;
        now.served = !service.removed && failovers.serves(name);
        if (const Run* run = service.current()) {
            now.state = run->state();
            now.starts = run->starts();
            now.process = run->has_process();
            now.healthy = run->healthy();
            now.held_down = run->view().held_down;
            now.sign = run->first_sign();
            now.on_failure = run->spec().on_failure;
            now.ended = ended_claims(run->spec());
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
    if (lines.empty() || given_up_) {
        return;
    }
    const auto status = append_lines(path_, lines, durable);
    if (!status && !told_) {
        log_warn(cat("what happens is not written down: ", status.error().what));
    }
    told_ = !status;
}

void Journal::write_due() {
    const BootTime now = boot_now();
    std::vector<Event> events = crowd_.due(now);
    for (auto& event : folding_.due(now)) {
        if (event.service.empty()) {
            events.push_back(std::move(event));
        } else if (auto passed = crowd_.take(std::move(event), now)) {
            events.push_back(*std::move(passed));
        }
    }
    write(events, false);
    write(asked_.due(now), false);
    if (start_kept_) {
        keep_start();
    }
}

void Journal::await_held() {
    loop_.cancel(timer_);
    timer_ = 0;
    std::optional<BootTime> next;
    for (const auto& due : {folding_.next_due(), asked_.next_due(), crowd_.next_due()}) {
        next = due && (!next || *due < *next) ? due : next;
    }
    if (next) {
        timer_ = loop_.at(*next, [this] {
            timer_ = 0;
            write_due();
            await_held();
        });
    }
}

}  // namespace viscum
