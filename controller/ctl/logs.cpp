// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/logs.h"

#include <algorithm>

#include "base/text.h"
#include "controller/ctl/follow.h"
#include "controller/ctl/render.h"
#include "controller/ipc/json.h"
#include "controller/spec/service_spec.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxLine = 64 * 1024;  // a longer one is written in pieces
constexpr std::string_view kStamp = "dddd-dd-ddTdd:dd:dd.dddZ ";

bool has_stamp(std::string_view line) {
    return line.size() >= kStamp.size() &&
           std::equal(kStamp.begin(), kStamp.end(), line.begin(),
                      [](char wanted, char is) { return wanted == 'd' ? is >= '0' && is <= '9' : wanted == is; });
}

Status show(const Session& session, const std::string& path, bool follow, std::size_t lines, LogWriter::Form form) {
    LogWriter writer(form, session.console.out);
    FollowedFile reader(path, [&writer](std::string_view bytes) { writer.write(bytes); });
    if (!follow) {
        auto status = reader.start(lines);
        writer.finish();
        return status;
    }
    // Before the first look, so that nothing is missed between.
    const auto watch = DirectoryWatch::open(session.logs);
    if (!watch) {
        return watch.error();
    }
    Status status = reader.start(lines);
    while (status && watch->wait()) {
        status = reader.advance();
    }
    return status;
}

}  // namespace

void LogWriter::write(std::string_view bytes) {
    if (form_ == Form::verbatim) {
        out_(bytes);
        return;
    }
    for (const char byte : bytes) {
        if (byte == '\n' || line_.size() == kMaxLine) {
            end_line();
        }
        if (byte != '\n') {
            line_ += byte;
        }
    }
}

void LogWriter::finish() {
    if (!line_.empty()) {
        end_line();
    }
}

void LogWriter::end_line() {
    if (form_ == Form::printable) {
        out_(printable(line_) + "\n");
    } else {
        const std::size_t stamp = has_stamp(line_) ? kStamp.size() : 0;
        JsonOut object;
        object.field("time", stamp == 0 ? std::string() : line_.substr(0, stamp - 1));
        object.field("text", line_.substr(stamp));
        out_(std::move(object).text() + "\n");
    }
    line_.clear();
}

int logs(const Session& session, const std::string& service, bool follow, std::size_t lines, bool plain) {
    const Console& console = session.console;
    const std::string path = cat(session.logs, "/", service, ".log");
    if (!is_service_name(service)) {
        return fail(console, Code::no_such_service, cat("no service '", service, "'"), "see: viscumctl list");
    }
    Request request;
    request.verb = "status";
    request.service = service;
    const Response known = ask(session, request);
    if (known.code == Code::refused) {
        return fail(console, known);
    }
    // A service that never got healthy is gone, and its log is all there is to see.
    if (known.code != Code::done && !is_file(path) && !is_file(path + ".1")) {
        if (known.code == Code::no_such_service) {
            return fail(console, known);
        }
        return fail(console, Code::no_such_service, cat("no service '", service, "'"),
                    cat(known.message, ", and there is no log of that name in ", session.logs));
    }
    const auto form = console.json ? LogWriter::Form::json
                      : plain      ? LogWriter::Form::printable
                                   : LogWriter::Form::verbatim;
    if (const auto status = show(session, path, follow, lines, form); !status) {
        return fail(console, Code::failed, status.error().what, "");
    }
    return 0;
}

}  // namespace viscum
