// SPDX-License-Identifier: GPL-2.0-only
// viscumctl, from its command line to its exit code.
#include "controller/ctl/viscumctl.h"

#include <sys/ioctl.h>
#include <syslog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "base/build_info.h"
#include "base/text.h"
#include "controller/ctl/backup.h"
#include "controller/ctl/command_line.h"
#include "controller/ctl/commands.h"
#include "controller/ctl/doctor.h"
#include "controller/ctl/events.h"
#include "controller/ctl/exec.h"
#include "controller/ctl/gate.h"
#include "controller/ctl/image.h"
#include "controller/ctl/image_program.h"
#include "controller/ctl/logs.h"
#include "controller/ctl/render.h"
#include "controller/ctl/savings.h"
#include "controller/ctl/watch.h"
#include "controller/ctl/why.h"

namespace viscum {
namespace {

constexpr std::uint64_t kMaxLogLines = 1'000'000'000;
constexpr std::size_t kMaxAddress = 64;  // of what sshd says of the client
constexpr int kUsage = static_cast<int>(Code::invalid);

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const auto written = write(fd, text.data(), text.size());
        if (written < 0 && errno != EINTR) {
            return false;
        }
        text.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
    return true;
}

bool shows_colours() {
    const char* no_colour = std::getenv("NO_COLOR");
    const char* terminal = std::getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0') &&
           (terminal == nullptr || std::string_view(terminal) != "dumb");
}

Console open_console(bool json, bool& broken) {
    Console console;
    console.out = [&broken](std::string_view text) { broken = !write_all(STDOUT_FILENO, text) || broken; };
    console.err = [](std::string_view text) { (void)write_all(STDERR_FILENO, text); };
    console.json = json;
    console.colour = shows_colours();
    console.live = isatty(STDERR_FILENO) == 1;
    winsize size{};
    if (console.live && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1) {
        console.columns = size.ws_col;
    }
    return console;
}

int run_image_verb(const std::string& verb, const Arguments& args, const Session& session) {
    if (verb == "import") {
        return image_import(session, args.image, args.image_name, args.image_limit);
    }
    if (verb == "prune") {
        return image_prune(session);
    }
    return verb == "list" ? image_list(session) : image_remove(session, args.image, args.force);
}

int run_bundle_verb(const std::string& verb, const Arguments& args, const DeployOptions& options,
                    const Session& session) {
    if (verb == "make") {
        return bundle_make(session, args.bundle);
    }
    if (verb == "sign") {
        return bundle_sign(session, args.image, args.bundle.key);
    }
    if (verb == "verify") {
        return bundle_verify(session, args.image, args.keys);
    }
    if (verb == "thin") {
        return bundle_thin(session, args.image, args.parts);
    }
    if (verb == "lacks") {
        return bundle_lacks(session, args.image, args.allow_downgrade);
    }
    return verb == "list" ? bundle_list(session) : bundle_install(session, args.image, args.allow_downgrade, options);
}

int run_events(const Arguments& args, const Session& session) {
    const auto lines = parse_decimal(args.lines, kMaxLogLines);
    const auto since = parse_duration(args.since);
    if (!lines) {
        return fail(session.console, Code::invalid, cat("'", args.lines, "' is no number of lines"), "");
    }
    if (!since && !args.since.empty()) {
        return fail(session.console, Code::invalid, cat("'", args.since, "' is no time"),
                    "write a number and ms, s, m or h, as in: 2h");
    }
    return events(session, {args.service, static_cast<std::size_t>(*lines), since, args.follow});
}

int run_verb(const CLI::App& chosen, const Arguments& args, const Session& session) {
    const std::string& verb = chosen.get_name();
    DeployOptions options;
    options.dry_run = args.dry_run;
    for (const auto& [text, time] : {std::pair(&args.wait, &options.wait), {&args.confirm, &options.confirm}}) {
        if (!text->empty() && !(*time = parse_duration(*text))) {
            return fail(session.console, Code::invalid, cat("'", *text, "' is no time"),
                        "write a number and ms, s, m or h, as in: 30s");
        }
    }
    if (verb == "image") {
        return run_image_verb(chosen.get_subcommands().front()->get_name(), args, session);
    }
    if (verb == "bundle") {
        return run_bundle_verb(chosen.get_subcommands().front()->get_name(), args, options, session);
    }
    if (verb == "deploy") {
        return deploy(session, args.files, options);
    }
    if (verb == "plan") {
        return plan(session, args.files);
    }
    if (verb == "validate") {
        return validate(session, args.files, args.config);
    }
    if (verb == "list") {
        return list(session);
    }
    if (verb == "status") {
        return status(session, args.service);
    }
    if (verb == "logs") {
        const auto lines = parse_decimal(args.lines, kMaxLogLines);
        return lines ? logs(session, args.service, args.follow, static_cast<std::size_t>(*lines),
                            isatty(STDOUT_FILENO) == 1)
                     : fail(session.console, Code::invalid, cat("'", args.lines, "' is no number of lines"), "");
    }
    if (verb == "events") {
        return run_events(args, session);
    }
    if (verb == "watch") {
        return watch(session);
    }
    if (verb == "exec") {
        return exec(session, args.service, args.command);
    }
    if (verb == "audit") {
        return audit(session, args.service);
    }
    if (verb == "savings") {
        return savings(session, args.service, args.days, args.csv);
    }
    if (verb == "doctor") {
        return doctor(session);
    }
    if (verb == "backup") {
        return backup(session, args.backup);
    }
    if (verb == "restore") {
        return restore(session, args.backup, {args.dry_run, args.exact});
    }
    if (verb == "why") {
        return why(session, args.flow_source, args.flow_destination);
    }
    if (verb == "version") {
        return version(session);
    }
    if (args.service.empty() && !args.all && (verb == "drain" || verb == "resume")) {
        return fail(session.console, Code::invalid, "which service?", cat("viscumctl ", verb, " NAME, or --all"));
    }
    return change(session, verb, args.service, options.wait);
}

// The first word that is no option, as far as that can be told without knowing the options.
std::string first_word(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "--instance") {
            ++i;
        } else if (!word.starts_with("-")) {
            return std::string(word);
        }
    }
    return "";
}

bool asks_for_json(int argc, char** argv) {
    for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
        if (std::string_view(argv[i]) == "--json") {
            return true;
        }
    }
    return false;
}

int usage_error(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv, const Console& console) {
    const std::string word = first_word(argc, argv);
    std::vector<std::string> names;
    for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
        names.push_back(sub->get_name());
    }
    if (word.empty()) {
        return fail(console, Code::invalid, "no verb", cat("verbs are: ", join(names, ", ")));
    }
    if (std::find(names.begin(), names.end(), word) == names.end()) {
        const auto near = nearest(word, {names.begin(), names.end()});
        return fail(console, Code::invalid, cat("there is no verb '", word, "'"),
                    near ? cat("did you mean: viscumctl ", *near) : cat("verbs are: ", join(names, ", ")));
    }
    std::string hint = cat("see: viscumctl ", word, " --help");
    if (word == "exec") {
        hint = "as in: viscumctl exec NAME -- COMMAND ARGUMENT...";
    } else if (word == "image") {
        hint = "as in: viscumctl image import FILE, image list, image remove NAME, image prune";
    } else if (word == "bundle") {
        hint = "verbs are: make, sign, verify, thin, lacks, install, list";
    }
    return fail(console, Code::invalid, error.what(), hint);
}

/// What is asked for through a gate, in words for run(), and what the log says of it. Nothing is done where it fails.
Result<GatedCommand> pass_gate(const Arguments& args) {
    const auto role = gate_role(args.role);
    if (!role || !is_key_name(args.key)) {
        return Error{EINVAL, role ? "--key: letters, digits and ._@- make a name" : "--role is observe or deploy"};
    }
    const char* asked = std::getenv("SSH_ORIGINAL_COMMAND");
    const char* client = std::getenv("SSH_CLIENT");
    auto command = admit_command(*role, asked == nullptr ? "" : asked);
    const std::string from = printable(client == nullptr ? "?" : std::string_view(client).substr(0, kMaxAddress));
    openlog("viscumctl", LOG_PID, LOG_AUTHPRIV);
    if (!command) {
        syslog(LOG_WARNING, "key %s from %s: refused: %s", args.key.c_str(), from.c_str(),
               command.error().what.c_str());
    } else if (command->writes) {
        syslog(LOG_NOTICE, "key %s from %s: %s", args.key.c_str(), from.c_str(), join(command->words, " ").c_str());
    }
    return command;
}

int run(int argc, char** argv, const std::string& key = "");

int run_gate(const Arguments& args, const Console& console) {
    auto command = pass_gate(args);
    if (!command) {
        const bool usage = command.error().errno_code == EINVAL;
        return fail(console, usage ? Code::invalid : Code::refused, command.error().what, "");
    }
    std::string program = "viscumctl";
    std::string option = "--instance";
    std::string instance = args.instance;
    std::vector<char*> words{program.data(), option.data(), instance.data()};
    for (auto& word : command->words) {
        words.push_back(word.data());
    }
    const int count = static_cast<int>(words.size());
    words.push_back(nullptr);
    return run(count, words.data(), args.key);
}

int run(int argc, char** argv, const std::string& key) {
    bool broken = false;
    Arguments args;
    CLI::App app("Serve cloud addresses on this hotspot", "viscumctl");
    app.add_option("--instance", args.instance, "The daemon's instance")->type_name("NAME")->capture_default_str();
    app.add_flag("--json", args.json, "Answer in JSON, also errors: see docs/json.md");
    app.set_version_flag("--version", cat("viscumctl ", kVersion));
    app.require_subcommand(1);
    app.get_formatter()->column_width(26);
    app.footer(
        "Examples:\n"
        "  viscumctl deploy plates.yaml     run a service, and serve its addresses here\n"
        "  viscumctl status plates          what it serves, and why not\n"
        "  viscumctl drain plates           let its new flows go to the cloud\n"
        "  viscumctl VERB --help            more on a verb\n\n"
        "Exit codes: 0 done, 2 usage or invalid file, 3 no daemon, 4 not healthy in time,\n"
        "5 refused, 6 no such service, 1 anything else.");
    add_verbs(app, args);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
            return app.exit(error);  // --help, --version
        }
        return usage_error(app, error, argc, argv, open_console(asks_for_json(argc, argv), broken));
    }
    const Console console = open_console(args.json, broken);
    const auto instance = Instance::parse(args.instance);
    if (!instance) {
        return fail(console, Code::invalid, instance.error().what, "");
    }
    Session session(*instance, find_image_program(), console);
    session.by = key;
    const auto* verb = app.get_subcommands().front();
    if (verb->get_name() == "gate") {
        return run_gate(args, console);
    }
    const int code = run_verb(*verb, args, session);
    return broken && code == 0 ? static_cast<int>(Code::failed) : code;
}

}  // namespace

int viscumctl_main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const CLI::Error& error) {
        (void)write_all(STDERR_FILENO, cat("viscumctl: ", error.what(), "\n"));
        return kUsage;
    }
}

}  // namespace viscum
