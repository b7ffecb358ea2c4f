// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/why.h"

#include <unistd.h>

#include "base/text.h"
#include "controller/ctl/paint.h"
#include "controller/ctl/render.h"
#include "controller/ipc/json.h"
#include "controller/why/gather.h"

namespace viscum {
namespace {

Tone tone_of_outcome(const std::string& outcome) {
    return outcome == "served" ? Tone::good : outcome == "dropped" || outcome == "unknown" ? Tone::bad : Tone::fair;
}

/// In lines of at most 80 columns, under one fact's name.
std::string wrapped_fact(std::string_view name, const std::string& text) {
    constexpr std::size_t kColumns = 80 - 13;
    std::string out;
    std::string line;
    for (const auto& word : split_words(text)) {
        if (!line.empty() && width(line) + 1 + width(word) > kColumns) {
            out += fact(out.empty() ? name : "", line);
            line.clear();
        }
        line += line.empty() ? word : " " + word;
    }
    return out + fact(out.empty() ? name : "", line);
}

}  // namespace

template <class Io, FieldsOf<Remark> R>
void fields(Io& io, R& remark) {
    io.field("about", remark.about);
    io.field("says", remark.says);
}

std::string explanation_document(const FlowQuery& query, const Explanation& explanation) {
    JsonOut out;
    out.field("code", static_cast<std::uint64_t>(Code::done));
    out.field("source", query.source_text());
    out.field("destination", query.destination_text());
    out.field("outcome", explanation.outcome);
    out.field("verdict", explanation.verdict);
    out.field("service", explanation.service);
    out.field("claim", explanation.claim);
    out.field("says", explanation.says);
    out.field("because", explanation.because);
    out.field("next", explanation.next);
    return std::move(out).text() + "\n";
}

std::string render_explanation(const Explanation& explanation, bool colour) {
    std::string text = cat(paint(printable(explanation.says), tone_of_outcome(explanation.outcome), colour), "\n");
    std::string before;
    for (const Remark& remark : explanation.because) {
        text += wrapped_fact(remark.about == before ? "" : remark.about, printable(remark.says));
        before = remark.about;
    }
    for (const auto& command : explanation.next) {
        text += fact(&command == &explanation.next.front() ? "next" : "", printable(command));
    }
    return text;
}

int why(const Session& session, const std::string& source, const std::string& destination) {
    const auto query = parse_flow(source, destination);
    if (!query) {
        return fail(session.console, Code::invalid, query.error().what, "");
    }
    if (geteuid() != 0) {
        return fail(session.console, Code::refused, "only root can ask the datapath", "sudo viscumctl why ...");
    }
    Request request;
    request.verb = "status";
    const Response answer = ask(session, request);
    auto report = answer.code == Code::done ? daemon_report_from_json(answer.report) : std::nullopt;
    const std::string problem = report ? "" : answer.message;
    auto evidence = gather(Instance{session.instance}, *query, std::move(report));
    if (!evidence) {
        return fail(session.console, Code::failed, evidence.error().what, "");
    }
    evidence->daemon_problem = problem;
    const Explanation explanation = explain(*evidence);
    session.console.out(session.console.json ? explanation_document(*query, explanation)
                                             : render_explanation(explanation, session.console.colour));
    return 0;
}

}  // namespace viscum
