// SPDX-License-Identifier: GPL-2.0-only
// viscum-oracle: judges by hand what a fault left on a machine. Reads only, but for its own connections.
//   viscum-oracle leak save FILE            what there is now
//   viscum-oracle leak since FILE           what came and went since
//   viscum-oracle flow ADDRESS PORT         a client without pause; --seconds, --netns
//   viscum-oracle state                     what is on disk; --instance
//   viscum-oracle log FILE [CAUSE]          the warnings and errors of viscumd's log; exactly the one that is expected
// Exit status: 0 nothing is wrong, 1 something is, 2 usage or failure.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include "base/event_loop.h"
#include "base/file.h"
#include "base/text.h"
#include "tests/faults/oracle/oracle.h"
#include "tests/support/flow_client.h"
#include "tests/support/leak.h"

namespace viscum {
namespace {

constexpr int kWrong = 1;
constexpr int kFailure = 2;
constexpr std::size_t kFileLimit = 64 * 1024 * 1024;

struct Arguments {
    std::string file;
    std::string address;
    std::uint16_t port = 80;
    int seconds = 10;
    std::string net_ns;
    std::string instance = "viscum";
    std::string cause;
};

int fail(const Error& error) {
    std::cerr << "viscum-oracle: " << error.what << "\n";
    return kFailure;
}

int tell(const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
        std::cout << line << "\n";
    }
    return lines.empty() ? 0 : kWrong;
}

int save_leak(const Arguments& given) {
    const auto snapshot = take_snapshot();
    if (!snapshot) {
        return fail(snapshot.error());
    }
    const auto wrote = write_file_atomically(given.file, join(*snapshot, "\n"), 0600);
    return wrote ? 0 : fail(wrote.error());
}

int leak_since(const Arguments& given) {
    const auto text = read_file(given.file, kFileLimit);
    if (!text) {
        return fail(text.error());
    }
    const auto lines = leaks_since(split(*text, '\n'), Millis(0));
    return lines ? tell(*lines) : fail(lines.error());
}

int flow(const Arguments& given) {
    const auto address = IpAddress::parse(given.address);
    auto ns = given.net_ns.empty() ? NetNs::current() : NetNs::open(given.net_ns);
    if (!address || !ns) {
        return fail(address ? ns.error() : Error{EINVAL, cat("'", given.address, "' is no address")});
    }
    FlowClient client(*ns, {.request = {.to = {*address, given.port}}});
    (void)client.wait_for("", boot_now(), std::chrono::seconds(given.seconds));
    const FlowSummary summary = client.stop();
    std::cout << summary.text() << "\n";
    return summary.failed + summary.resets == 0 && summary.requests > 0 ? 0 : kWrong;
}

int state(const Arguments& given) {
    const auto instance = Instance::parse(given.instance);
    const auto disk = instance ? read_disk_state(*instance) : Result<DiskState>(instance.error());
    if (!disk) {
        return fail(disk.error());
    }
    std::cout << "generation " << disk->generation << ", " << disk->services.size() << " service files\n"
              << encode_state(disk->state, disk->generation);
    return tell(disk->broken);
}

int log(const Arguments& given) {
    const auto text = read_file(given.file, kFileLimit);
    if (!text) {
        return fail(text.error());
    }
    if (!given.cause.empty()) {
        return tell(judge_log(*text, given.cause));
    }
    std::vector<std::string> loud;
    for (const LogLine& line : log_lines(*text)) {
        if (line.level == "warning" || line.level == "error") {
            loud.push_back(cat(line.level, " ", line.text));
        }
    }
    return tell(loud);
}

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    viscum::Arguments given;
    int status = 0;
    CLI::App app("Judges what a fault left behind.", "viscum-oracle");
    app.require_subcommand(1);
    const auto verb = [&](CLI::App* parent, const char* name, const char* what, int (*run)(const viscum::Arguments&)) {
        CLI::App* const made = parent->add_subcommand(name, what);
        made->callback([&given, &status, run] { status = run(given); });
        return made;
    };
    CLI::App* const leak = app.add_subcommand("leak", "namespaces, links, filters, pins, processes, files, …");
    leak->require_subcommand(1);
    verb(leak, "save", "what there is now", viscum::save_leak)->add_option("file", given.file)->required();
    verb(leak, "since", "what came (+) and went (-) since", viscum::leak_since)
        ->add_option("file", given.file)
        ->required();
    CLI::App* const flow = verb(&app, "flow", "a client without pause", viscum::flow);
    flow->add_option("address", given.address)->required();
    flow->add_option("port", given.port)->required();
    flow->add_option("--seconds", given.seconds)->check(CLI::Range(1, 3600));
    flow->add_option("--netns", given.net_ns, "a namespace of /run/netns to ask from");
    verb(&app, "state", "service files and state on disk", viscum::state)->add_option("--instance", given.instance);
    CLI::App* const log = verb(&app, "log", "warnings and errors of a log", viscum::log);
    log->add_option("file", given.file)->required();
    log->add_option("cause", given.cause, "the text of the only one that is expected");
    CLI11_PARSE(app, argc, argv);
    return status;
}
