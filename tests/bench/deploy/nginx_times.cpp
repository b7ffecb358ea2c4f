// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/deploy/nginx_times.h"

#include "base/text.h"
#include "tests/bench/measure/must.h"
#include "tests/support/flow_client.h"
#include "tests/support/servers.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

constexpr auto kLimit = 20s;
constexpr const char* kSubject = "nginx";
const Endpoint kAt = Endpoint::of("203.0.113.10", 80);

class NginxTimes {
public:
    NginxTimes(Many& many, Measurements& figures)
        : many_(many),
          figures_(figures),
          cloud_(must(start_server(must(nginx("cloud", "cloud", {"80"})), many.bed().cloud(), 80))),
          files_{file_for("local"), file_for("next")} {}

    /// Each with an address of the client that no connection had before.
    void round(int number) {
        const std::string address = cat("10.77.40.", number + 1);
        must(ip_batch(many_.bed().client(1), cat("address add ", address, "/16 dev eth0\n")));
        FlowClient client(many_.bed().client(1),
                          {.request = {.to = kAt, .from = Endpoint::of(address, 0), .to_the_end = true}});
        if (!client.wait_for("cloud", BootTime{}, kLimit)) {
            give_up("the cloud does not answer");
        }
        step(client, {"deploy", files_[0]}, "deploy: first local answer", "deploy: viscumctl returns", "local");
        step(client, {"deploy", files_[1]}, "update: first answer of the new version", "update: viscumctl returns",
             "next");
        step(client, {"remove", "nginx"}, "remove: first answer of the cloud", "remove: viscumctl returns", "cloud");
        const FlowSummary summary = client.stop();
        if (summary.failed + summary.resets > 0 || summary.ended_early) {
            give_up(cat("not every connection was answered: ", summary.text(), "; ", join(summary.failures, "; ")));
        }
        figures_.add(kSubject, "longest pause between two answers", "ms",
                     static_cast<double>(summary.longest_gap.count()) / 1e6);
    }

private:
    static std::string file_for(const std::string& answer) {
        const Server server = must(nginx(answer, answer, {"80"}));
        return must(write_service("nginx-" + answer,
                                  cat("viscum: 1\nname: nginx\nintercept:\n  - { address: ", kAt.address.text(),
                                      ", port: 80 }\nrun:\n  command: ['", join(server.command, "', '"),
                                      "']\n  stop_signal: QUIT\nhealth: { http: { port: 80, path: /healthz } }\n")));
    }

    /// Both from the instant at which viscumctl is started.
    void step(const FlowClient& client, const Argv& command, const char* answered, const char* returned,
              const std::string& who) {
        const BootTime start = boot_now();
        const double took = many_.ask(command);
        const auto first = client.wait_for(who, start, kLimit);
        if (!first) {
            give_up(cat("viscumctl ", command.front(), ": no client was answered by '", who, "' then"));
        }
        figures_.add(kSubject, answered, "ms", static_cast<double>((first->end - start).count()) / 1e6);
        figures_.add(kSubject, returned, "ms", took);
    }

    Many& many_;
    Measurements& figures_;
    Program cloud_;
    std::array<std::string, 2> files_;
};

}  // namespace

void measure_nginx(Many& many, Measurements& figures, int rounds) {
    NginxTimes times(many, figures);
    for (int number = 0; number < rounds; ++number) {
        times.round(number);
    }
    figures.expect(Target::Bound::at_most, kSubject, "deploy: first local answer", 50);
}

}  // namespace viscum
