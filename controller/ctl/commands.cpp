// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/commands.h"

#include <unistd.h>

#include <variant>

#include "base/build_info.h"
#include "base/file.h"
#include "base/text.h"
#include "controller/ctl/bundle.h"
#include "controller/ctl/image.h"
#include "controller/ctl/render.h"
#include "controller/ipc/client.h"
#include "controller/ipc/json.h"
#include "controller/ipc/report.h"
#include "controller/spec/check.h"

namespace viscum {
namespace {

constexpr Millis kAnswerLimit{15'000};  // of verbs that the daemon answers at once

Response failure(Code code, std::string what, std::string hint) {
    Response response;
    response.code = code;
    response.message = std::move(what);
    response.hint = std::move(hint);
    return response;
}

Response explain(const Session& session, const Error& error) {
    const std::string log_hint = "its log says why; see then: viscumctl status";
    switch (error.errno_code) {
        case ENOENT:
        case ECONNREFUSED:
            return failure(Code::no_daemon, cat("no viscumd runs for instance '", session.instance, "'"),
                           cat("start it with: ", session.start));
        case EACCES:
        case EPERM: return failure(Code::refused, error.what, "only root may talk to viscumd");
        case ETIMEDOUT: return failure(Code::failed, error.what, "it may be stopped or overloaded");
        case ECONNRESET: return failure(Code::failed, error.what, log_hint);
        case EMSGSIZE: return failure(Code::invalid, error.what, "send fewer files at a time");
        case EBADMSG: return failure(Code::failed, error.what, "viscumctl and viscumd must be of the same version");
        default: return failure(Code::failed, error.what, "");
    }
}

bool is_answered_at_once(const std::string& verb) {
    return verb == "list" || verb == "status" || verb == "plan" || verb == "version" || verb == "exec-info" ||
           verb == "audit" || verb == "images" || verb == "savings";
}

Request request_for(std::string verb, std::string service = "") {
    Request request;
    request.verb = std::move(verb);
    request.service = std::move(service);
    return request;
}

struct SpecFile {
    std::string path;
    std::string text;
    ServiceSpec spec;
};

struct SpecFiles {
    std::vector<SpecFile> files;
    Diagnostics mistakes;
    std::size_t broken = 0;
};

SpecFiles read_specs(const std::vector<std::string>& paths) {
    SpecFiles out;
    for (const auto& path : paths) {
        auto text = read_spec_file(path);
        if (!text) {
            out.mistakes.push_back({path, 0, 0, text.error().what, ""});
            ++out.broken;
            continue;
        }
        auto parsed = parse_service(*text, path);
        if (auto* mistakes = std::get_if<Diagnostics>(&parsed)) {
            out.mistakes.insert(out.mistakes.end(), mistakes->begin(), mistakes->end());
            ++out.broken;
        } else {
            out.files.push_back({path, *std::move(text), std::get<ServiceSpec>(std::move(parsed))});
        }
    }
    return out;
}

std::string count_of_broken(const SpecFiles& read, std::size_t count) {
    return count == 1 ? "the file is invalid" : cat(read.broken, " of ", count, " files are invalid");
}

// The result of a verb that is not a report.
std::string answer_document(const Response& answer) {
    JsonOut out;
    out.field("code", static_cast<std::uint64_t>(answer.code));
    out.field("changed", answer.changed);
    out.field("message", answer.message);
    out.field("hint", answer.hint);
    out.field("details", answer.details);
    out.field("facts", answer.facts);
    return std::move(out).text() + "\n";
}

int finish(const Session& session, const Response& answer) {
    const Console& console = session.console;
    if (answer.code != Code::done) {
        return fail(console, answer);
    }
    if (console.json) {
        console.out(answer_document(answer));
        return 0;
    }
    // The steps of a plan; else a message, with a line per service where there are several.
    for (const auto& line : answer.details.empty() ? split(answer.message, '\n') : answer.details) {
        console.out(printable(line) + "\n");
    }
    if (!answer.hint.empty()) {
        console.err(cat("  hint: ", printable(answer.hint), "\n"));
    }
    return 0;
}

int show_plan(const Session& session, const std::vector<std::string>& paths, const SpecFiles& read) {
    if (!read.mistakes.empty()) {
        return fail(session.console, read.mistakes, count_of_broken(read, paths.size()));
    }
    Request request = request_for("plan");
    for (const auto& file : read.files) {
        request.files.emplace_back(file.path, file.text);
    }
    Response answer = ask(session, request);
    if (answer.code == Code::done && answer.details.empty() && answer.message.empty()) {
        answer.message = "nothing to do";
    }
    return finish(session, answer);
}

// The report of a `list` or `status`, or why there is none.
std::variant<DaemonReport, Response> ask_report(const Session& session, const Request& request) {
    const Response answer = ask(session, request);
    if (answer.code != Code::done) {
        return answer;
    }
    if (auto report = daemon_report_from_json(answer.report)) {
        return *std::move(report);
    }
    return failure(Code::failed, "viscumd's report cannot be read",
                   "viscumctl and viscumd must be of the same version");
}

// The configuration that claims are checked against. nullopt: it cannot be read, so they are not.
Result<Parsed<RouterConfig>> read_config(const std::string& file) {
    auto text = read_file(file, kMaxConfig);
    if (!text) {
        return std::move(text).error();
    }
    return parse_router_config(*text, file);
}

std::vector<std::string> refused_claims(const std::vector<SpecFile>& files, const RouterConfig& config) {
    std::vector<std::string> refused;
    std::vector<ServiceSpec> before;
    for (const auto& file : files) {
        for (const auto& sentence : check_claims(file.spec, config, {}, before)) {
            refused.push_back(cat(file.path, ": ", sentence));
        }
        before.push_back(file.spec);
    }
    return refused;
}

/// What keeps an image that a file brings along from being imported; nothing where all are.
std::optional<Response> import_images(const Session& session, const std::vector<SpecFile>& files) {
    for (const auto& file : files) {
        const auto path = image_file(file.spec.run.image, file.path);
        if (!path) {
            continue;
        }
        Response answer = import_quietly(session, *path, file.spec.run.image);
        if (answer.code != Code::done) {
            answer.message = cat("nothing was deployed: ", answer.message);
            return answer;
        }
    }
    return std::nullopt;
}

int refuse_broken(const Session& session, const SpecFiles& read, std::size_t files) {
    return fail(session.console, read.mistakes, cat("nothing was deployed: ", count_of_broken(read, files)));
}

int send(const Session& session, SpecFiles read, const DeployOptions& options) {
    Request request = request_for("deploy");
    for (auto& file : read.files) {
        request.files.emplace_back(std::move(file.path), std::move(file.text));
    }
    request.wait_ms = options.wait ? options.wait->count() : -1;
    request.confirm_ms = options.confirm ? options.confirm->count() : -1;
    return finish(session, ask(session, request));
}

}  // namespace

Response ask(const Session& session, const Request& request) {
    auto client = Client::connect(session.socket);
    if (!client) {
        return explain(session, client.error());
    }
    if (is_answered_at_once(request.verb)) {
        if (const auto limited = client->limit_silence(kAnswerLimit); !limited) {
            return explain(session, limited.error());
        }
    }
    Request signed_request = request;
    signed_request.by = session.by;
    const auto answer =
        client->ask(signed_request, [&](const Response& step) { show_progress(session.console, step.message); });
    end_progress(session.console);
    return answer ? *answer : explain(session, answer.error());
}

int deploy(const Session& session, const std::vector<std::string>& paths, const DeployOptions& options) {
    if (options.dry_run) {
        return plan(session, paths);
    }
    if (const auto refused = refuse_unsigned(session)) {
        return fail(session.console, *refused);
    }
    SpecFiles read = read_specs(paths);
    if (!read.mistakes.empty()) {
        return refuse_broken(session, read, paths.size());
    }
    const bool imports = std::any_of(read.files.begin(), read.files.end(), [](const SpecFile& file) {
        return image_file(file.spec.run.image, file.path).has_value();
    });
    if (const auto problem = import_images(session, read.files)) {
        return fail(session.console, *problem);
    }
    const int code = send(session, std::move(read), options);
    if (imports) {
        prune_quietly(session);
    }
    return code;
}

int deploy_bundled(const Session& session, const std::string& path, const DeployOptions& options) {
    SpecFiles read = read_specs({path});
    return read.mistakes.empty() ? send(session, std::move(read), options) : refuse_broken(session, read, 1);
}

int plan(const Session& session, const std::vector<std::string>& paths) {
    return show_plan(session, paths, read_specs(paths));
}

int change(const Session& session, const std::string& verb, const std::string& service, std::optional<Millis> wait) {
    Request request = request_for(verb, service);
    request.wait_ms = wait ? wait->count() : -1;
    return finish(session, ask(session, request));
}

int list(const Session& session) {
    const auto answer = ask_report(session, request_for("list"));
    if (const auto* problem = std::get_if<Response>(&answer)) {
        return fail(session.console, *problem);
    }
    const auto& report = std::get<DaemonReport>(answer);
    session.console.out(session.console.json ? to_json(report) + "\n"
                                             : render_list(report.services, session.console.colour));
    return 0;
}

int status(const Session& session, const std::string& service) {
    const Console& console = session.console;
    const auto answer = ask_report(session, request_for("status", service));
    if (const auto* problem = std::get_if<Response>(&answer)) {
        return fail(console, *problem);
    }
    const auto& report = std::get<DaemonReport>(answer);
    if (service.empty()) {
        console.out(console.json ? to_json(report) + "\n" : render_daemon(report, console.colour));
        return 0;
    }
    if (report.services.empty()) {
        return fail(console, Code::no_such_service, cat("no service '", service, "'"), "see: viscumctl list");
    }
    const ServiceReport& one = report.services.front();
    console.out(console.json ? to_json(one) + "\n" : render_service(one, console.colour));
    return 0;
}

int audit(const Session& session, const std::string& service) {
    const Console& console = session.console;
    const Response answer = ask(session, request_for("audit", service));
    if (answer.code != Code::done) {
        return fail(console, answer);
    }
    const auto report = audit_report_from_json(answer.report);
    if (!report) {
        return fail(console, Code::failed, "viscumd's report cannot be read",
                    "viscumctl and viscumd must be of the same version");
    }
    console.out(console.json ? answer.report + "\n" : render_audit(*report, console.colour));
    return 0;
}

int validate(const Session& session, const std::vector<std::string>& paths, const std::string& other_config) {
    const Console& console = session.console;
    if (paths.empty() && other_config.empty()) {
        return fail(console, Code::invalid, "there is nothing to check", "name a service file, or --config FILE");
    }
    const SpecFiles read = read_specs(paths);
    if (!read.mistakes.empty()) {
        return fail(console, read.mistakes, count_of_broken(read, paths.size()));
    }
    const std::string& config_file = other_config.empty() ? session.config : other_config;
    const auto config = read_config(config_file);
    if (!config && !other_config.empty()) {
        return fail(console, Code::invalid, config.error().what, "");
    }
    if (!config && !console.json) {
        console.err(cat("claims are not checked: ", config.error().what, "\n"));
    }
    if (config) {
        if (const auto* mistakes = std::get_if<Diagnostics>(&*config)) {
            return fail(console, *mistakes, "the router's configuration is invalid");
        }
        if (!other_config.empty() && !console.json) {
            console.out(cat(config_file, ": valid\n"));
        }
        Response refused = failure(Code::refused, "not claimable",
                                   cat("'claimable:' of ", config_file, " lists what services may take over"));
        refused.details = refused_claims(read.files, std::get<RouterConfig>(*config));
        if (!refused.details.empty()) {
            return fail(console, refused);
        }
    }
    std::vector<std::string> names;
    Diagnostics warnings;
    for (const auto& file : read.files) {
        names.push_back(file.spec.name);
        const auto ended = ended_claims(file.text, file.path, wall_now());
        warnings.insert(warnings.end(), ended.begin(), ended.end());
        if (!console.json) {
            console.out(cat(file.path, ": valid: service '", file.spec.name, "', ", file.spec.intercept.size(),
                            file.spec.intercept.size() == 1 ? " claim\n" : " claims\n"));
        }
    }
    warn(console, warnings);
    if (console.json) {
        JsonOut out;
        out.field("code", std::uint64_t{0});
        out.field("services", names);
        out.field("claims_checked", static_cast<bool>(config));
        out.field("warnings", warnings);
        console.out(std::move(out).text() + "\n");
    }
    return 0;
}

int version(const Session& session) {
    const auto answer = ask_report(session, request_for("version"));
    const auto* report = std::get_if<DaemonReport>(&answer);
    if (session.console.json) {
        JsonOut out;
        out.field("viscumctl", std::string(kVersion));
        out.member("viscumd", report != nullptr ? json_quote(report->version) : "null");
        session.console.out(std::move(out).text() + "\n");
        return 0;
    }
    session.console.out(cat("viscumctl ", kVersion, "\n"));
    if (report != nullptr) {
        session.console.out(cat("viscumd   ", printable(report->version), "\n"));
    } else {
        session.console.out(cat("viscumd   unknown: ", printable(std::get<Response>(answer).message), "\n"));
    }
    return 0;
}

}  // namespace viscum
