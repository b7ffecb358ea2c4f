// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/doctor.h"

#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "controller/ctl/paint.h"
#include "controller/ctl/render.h"
#include "controller/doctor/observe.h"
#include "controller/ipc/json.h"
#include "controller/ipc/report.h"

namespace viscum {
namespace {

const char* word_of(Severity severity) {
    switch (severity) {
        case Severity::good: return "good";
        case Severity::warning: return "warning";
        case Severity::problem: return "problem";
    }
    return "";
}

Tone tone_of(Severity severity) {
    switch (severity) {
        case Severity::good: return Tone::good;
        case Severity::warning: return Tone::fair;
        case Severity::problem: return Tone::bad;
    }
    return Tone::plain;
}

}  // namespace

template <class Io, FieldsOf<Finding> F>
void fields(Io& io, F& finding) {
    io.field("check", finding.check);
    io.field("severity", std::string(word_of(finding.severity)));
    io.field("what", finding.what);
    io.field("mend", finding.mend);
}

std::string diagnosis_document(const Diagnosis& diagnosis) {
    JsonOut out;
    out.field("code", static_cast<std::uint64_t>(has_problem(diagnosis) ? Code::failed : Code::done));
    out.field("grade", diagnosis.grade);
    out.field("findings", diagnosis.findings);
    return std::move(out).text() + "\n";
}

std::string render_diagnosis(const Diagnosis& diagnosis, bool colour) {
    constexpr std::size_t kWord = 9;
    constexpr std::size_t kCheck = 15;
    const auto filled = [](std::string_view word, std::size_t columns) {
        return std::string(columns - std::min(columns, word.size()), ' ');
    };
    std::string text;
    for (const Finding& finding : diagnosis.findings) {
        const std::string word = word_of(finding.severity);
        text += cat(paint(word, tone_of(finding.severity), colour), filled(word, kWord), finding.check,
                    filled(finding.check, kCheck), printable(finding.what), "\n");
        if (!finding.mend.empty()) {
            text += cat(std::string(kWord + kCheck, ' '), "mend: ", printable(finding.mend), "\n");
        }
    }
    const auto count = [&](Severity severity) {
        return static_cast<std::uint64_t>(std::ranges::count(diagnosis.findings, severity, &Finding::severity));
    };
    return text + cat("grade ", diagnosis.grade, ": ", counted(count(Severity::problem), "problem", "problems"), ", ",
                      counted(count(Severity::warning), "warning", "warnings"), "\n");
}

int doctor(const Session& session) {
    if (geteuid() != 0) {
        return fail(session.console, Code::refused, "only root can look at all that there is", "sudo viscumctl doctor");
    }
    Facts facts = observe(Instance{session.instance});
    Request request;
    request.verb = "status";
    const Response answer = ask(session, request);
    facts.daemon = answer.code == Code::done ? daemon_report_from_json(answer.report) : std::nullopt;
    facts.daemon_problem = answer.code == Code::done ? "viscumd answers with what is no report" : answer.message;
    facts.daemon_hint = answer.hint;
    const Diagnosis diagnosis = diagnose(facts);
    session.console.out(session.console.json ? diagnosis_document(diagnosis)
                                             : render_diagnosis(diagnosis, session.console.colour));
    return static_cast<int>(has_problem(diagnosis) ? Code::failed : Code::done);
}

}  // namespace viscum
