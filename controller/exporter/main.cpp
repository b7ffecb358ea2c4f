// SPDX-License-Identifier: GPL-2.0-only
// viscum-exporter [--instance NAME] [--listen ADDRESS:PORT] [--token-file PATH]: metrics, a read-only API and the
// status page of one viscumd. In the foreground, as an account without rights; it asks, and changes nothing.
#include <getopt.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "base/build_info.h"
#include "base/event_loop.h"
#include "base/instance.h"
#include "base/text.h"
#include "controller/exporter/access.h"
#include "controller/exporter/cage.h"
#include "controller/exporter/site.h"
#include "controller/exporter/source.h"
#include "controller/ipc/observe.h"

namespace viscum {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr const char* kHelp =
    "usage: viscum-exporter [--instance NAME] [--listen ADDRESS:PORT] [--token-file PATH]\n"
    "  --instance NAME        whose viscumd is asked (default: viscum)\n"
    "  --listen ADDRESS:PORT  default: 127.0.0.1:9477; one that is not loopback needs a token\n"
    "  --token-file PATH      one line, which readers show as 'Authorization: Bearer TOKEN'\n"
    "  --version, --help\n";

struct Options {
    std::string instance = "viscum";
    std::string listen = "127.0.0.1:9477";
    std::string token_file;
};

int fail(int code, const Error& error) {
    std::fputs(cat("viscum-exporter: ", error.what, '\n').c_str(), stderr);
    return code;
}

int serve(const Options& options) {
    const auto instance = Instance::parse(options.instance);
    if (!instance) {
        return fail(kUsage, instance.error());
    }
    const auto address = ListenAddress::parse(options.listen);
    if (!address) {
        return fail(kUsage, address.error());
    }
    std::optional<std::string> token;
    if (!options.token_file.empty()) {
        auto read = read_token(options.token_file);
        if (!read) {
            return fail(kUsage, read.error());
        }
        token = *std::move(read);
    }
    if (!token && !address->loopback) {
        return fail(kUsage, {EINVAL, cat("'", options.listen,
                                         "' can be reached from outside: --token-file PATH says "
                                         "who may read")});
    }
    auto loop = EventLoop::open();
    if (!loop) {
        return fail(kFailed, loop.error());
    }
    Source source(**loop, observe_socket(*instance));
    auto site = Site::open(**loop, source, *address, std::move(token));
    if (!site) {
        return fail(kFailed, site.error().in(cat("'", options.listen, "'")));
    }
    std::string lacks;
    if (auto status = shut_exporter_cage(&lacks); !status) {
        return fail(kFailed, status.error());
    }
    std::fputs(cat("viscum-exporter listens on ", options.listen, lacks.empty() ? "" : "; ", lacks, '\n').c_str(),
               stderr);
    const auto status = (*loop)->run();
    return status ? 0 : fail(kFailed, status.error());
}

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    const option options[] = {{"instance", required_argument, nullptr, 'i'},
                              {"listen", required_argument, nullptr, 'l'},
                              {"token-file", required_argument, nullptr, 't'},
                              {"version", no_argument, nullptr, 'v'},
                              {"help", no_argument, nullptr, 'h'},
                              {nullptr, 0, nullptr, 0}};
    viscum::Options given;
    for (int c = 0; (c = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
        switch (c) {
            case 'i': given.instance = optarg; break;
            case 'l': given.listen = optarg; break;
            case 't': given.token_file = optarg; break;
            case 'v': std::printf("viscum-exporter %s\n", viscum::kVersion); return 0;
            case 'h': std::fputs(viscum::kHelp, stdout); return 0;
            default: std::fputs(viscum::kHelp, stderr); return viscum::kUsage;
        }
    }
    if (optind != argc) {
        std::fputs(viscum::kHelp, stderr);
        return viscum::kUsage;
    }
    return viscum::serve(given);
}
