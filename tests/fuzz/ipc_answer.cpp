// SPDX-License-Identifier: GPL-2.0-only
// What viscumctl reads back: answers, and the reports in them.
#include "controller/ipc/frame.h"
#include "controller/ipc/report.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/json_text.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

template <class Report>
void check_report(const std::optional<Report>& report, std::optional<Report> (*read)(const std::string&)) {
    if (report) {
        require(read(to_json(*report)) == *report, "a report is read back as it was written");
    }
}

void check_reports(const std::string& text) {
    check_report(daemon_report_from_json(text), daemon_report_from_json);
    check_report(service_report_from_json(text), service_report_from_json);
    check_report(audit_report_from_json(text), audit_report_from_json);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(text_of(data, size));
    check_reports(text);
    const auto answer = decode_response(text);
    if (!answer) {
        require(!answer.error().what.empty(), "a refusal says why");
        return 0;
    }
    check_reports(answer->report);
    FrameReader reader(kMaxAnswer);
    require(static_cast<bool>(reader.feed(encode(*answer))), "an answer is a frame");
    const auto json = reader.next();
    const auto again = json ? decode_response(*json) : Result<Response>(Error{});
    require(again && *again == *answer, "an answer is read back as it was written");
    return 0;
}
