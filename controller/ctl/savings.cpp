// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/savings.h"

#include "base/text.h"

namespace viscum {
namespace {

constexpr std::uint64_t kMostDays = 400;  // that are kept

}  // namespace

int savings(const Session& session, const std::string& service, const std::string& days, bool csv) {
    const Console& console = session.console;
    Request request;
    request.verb = "savings";
    request.service = service;
    if (!days.empty()) {
        const auto number = parse_decimal(days, kMostDays);
        if (!number || *number == 0) {
            return fail(console, Code::invalid, cat("'", days, "' is no number of days"),
                        cat("write a number from 1 to ", kMostDays));
        }
        request.days = static_cast<std::int64_t>(*number);
    }
    if (csv && console.json) {
        return fail(console, Code::invalid, "--csv and --json exclude each other", "");
    }
    const Response answer = ask(session, request);
    if (answer.code != Code::done) {
        return fail(console, answer);
    }
    const auto report = savings_report_from_json(answer.report);
    if (!report) {
        return fail(console, Code::failed, "viscumd's report cannot be read",
                    "viscumctl and viscumd must be of the same version");
    }
    console.out(csv ? csv_of(*report) : console.json ? answer.report + "\n" : render_savings(*report, console.colour));
    return 0;
}

}  // namespace viscum
