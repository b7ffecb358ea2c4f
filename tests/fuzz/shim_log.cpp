// SPDX-License-Identifier: GPL-2.0-only
// A service's output, as viscum-shim logs it and as viscumctl shows it.
#include "controller/shim/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <list>

#include "base/text.h"
#include "controller/ctl/logs.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

constexpr std::size_t kStamp = 25;      // "2026-11-21T17:44:11.123Z "
constexpr std::size_t kMaxLine = 4096;  // of the service's
constexpr std::size_t kAtOnce = 128UL * 1024;

bool is_stamp(std::string_view text) {
    return text.size() == kStamp && text[4] == '-' && text[10] == 'T' && text[19] == '.' && text.substr(23) == "Z ";
}

/// The lines of a log, without their times. Pure.
std::string content_of(const std::string& log) {
    std::string content;
    require(log.empty() || log.back() == '\n', "a log ends with a line");
    for (const auto& line : split(log, '\n')) {
        if (!line.empty()) {
            require(is_stamp(std::string_view(line).substr(0, kStamp)), "a line begins with its time");
            content += line.substr(kStamp) + '\n';
        }
    }
    return content;
}

/// What a service wrote, in lines of at most 4 KiB.
std::string lines_of(std::string_view output) {
    std::string lines;
    std::size_t length = 0;
    for (const char c : output) {
        if (c != '\n' && length == kMaxLine) {
            lines += '\n';
            length = 0;
        }
        lines += c;
        length = c == '\n' ? 0 : length + 1;
    }
    return length > 0 ? lines + '\n' : lines;
}

/// The log keeps its descriptors until its process ends.
class Descriptors {
public:
    Descriptors() : first_(dup(STDERR_FILENO)) {
        if (first_ >= 0) {
            close_range(static_cast<unsigned>(first_), static_cast<unsigned>(first_), 0);
        }
    }
    ~Descriptors() { close_range(static_cast<unsigned>(first_), ~0U, 0); }
    Descriptors(const Descriptors&) = delete;
    Descriptors& operator=(const Descriptors&) = delete;

private:
    int first_;
};

void show(const std::string& log, LogWriter::Form form) {
    std::string shown;
    LogWriter writer(form, [&](std::string_view bytes) { shown += bytes; });
    for (std::size_t at = 0; at < log.size(); at += 1000) {
        writer.write(std::string_view(log).substr(at, 1000));
    }
    writer.finish();
    if (form == LogWriter::Form::verbatim) {
        require(shown == log, "what is copied is the same");
        return;
    }
    require(shown.empty() || shown.back() == '\n', "what is shown is lines");
    std::erase(shown, '\n');
    // In JSON U+007F stands for itself.
    std::replace(shown.begin(), shown.end(), '\x7f', form == LogWriter::Form::json ? ' ' : '\x7f');
    require(!has_control(shown), "what is shown moves no terminal");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string path = work_directory() + "/web.log";
    const std::string old = path + ".1";
    unlink(path.c_str());
    unlink(old.c_str());
    Input input(data, size);
    const std::uint64_t limit = 16384U << input.byte() % 4;
    std::string output;
    bool flooded = false;
    {
        const Descriptors descriptors;
        static Log log;
        log = {};
        std::string name = path;
        require(log.open(name.data(), limit), "a log can be opened");
        std::list<std::string> pieces;  // the log looks at what it was given last
        while (!input.empty() && output.size() < kAtOnce) {
            std::string& piece = pieces.emplace_back(input.chunk());
            for (int times = input.byte() % 12; times > 0 && !piece.empty(); --times) {
                piece += std::string(piece).substr(0, 4096);
            }
            log.feed(piece.data(), piece.size());
            output += piece;
            flooded = flooded || log.flooded();
            if ((piece.size() & 1) != 0) {
                log.flush();
            }
        }
        log.finish();
    }
    const std::string newer = read_whole(path);
    const std::string older = read_whole(old);
    require(newer.size() <= limit / 2 && older.size() <= limit / 2, "a log is bounded");
    const std::string logged = content_of(older) + content_of(newer);
    const std::string lines = lines_of(output);
    // What is dropped of a flood depends on time.
    require(flooded || lines.ends_with(logged), "a log is what the service wrote last");
    require(flooded || logged == lines || older.size() + 2 * 8192 > limit / 2,
            "nothing is lost before the log is full");
    for (const auto form : {LogWriter::Form::verbatim, LogWriter::Form::printable, LogWriter::Form::json}) {
        show(newer.substr(0, kMaxLine), form);
        show(output.substr(0, kMaxLine), form);
    }
    return 0;
}
