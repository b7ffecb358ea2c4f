// SPDX-License-Identifier: GPL-2.0-only
// What a packet costs in the programs, by class and family: nanoseconds by BPF_PROG_TEST_RUN, beside a program that
// does nothing at all, which costs what the measurement itself does. viscum-bench-packet [--quick]
//
// The services' sockets and one connection of a client are real; each class is checked: all of its packets must have
// had the verdict that the class stands for. What the kernel does afterwards with a redirected packet is not in it.
#define DOCTEST_CONFIG_IMPLEMENT
#include <bpf/bpf.h>
#include <doctest/doctest.h>
#include <linux/bpf.h>
#include <poll.h>

#include "base/event_loop.h"
#include "base/text.h"
#include "tests/bench/measure/measurements.h"
#include "tests/bench/measure/must.h"
#include "tests/bpf/lab.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr int kRounds = 15;
constexpr int kRepeat = 100'000;
constexpr int kQuickRounds = 2;
constexpr int kQuickRepeat = 500;
constexpr const char* kEmpty = "an empty program";
constexpr std::uint16_t kClientPort = 40'000;

enum class Program { empty, lan, service };

struct Class {
    std::string name;
    std::string figure;  // the family
    Program program;
    Bytes frame;
    vs_verdict verdict;
};

/// The addresses of one family, with the client's own, which a socket can have.
struct Addresses {
    std::string figure;
    std::string client;
    Family family;
    std::string unclaimed;
};
const std::vector<Addresses> kAddresses{{"IPv4", "10.77.0.10", kFamilies[0], "203.0.113.20"},
                                        {"IPv6", "2001:db8:77::10", kFamilies[1], "2001:db8:c::20"}};

UniqueFd load_empty() {
    const bpf_insn nothing[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, -1},  // TC_ACT_UNSPEC
                                {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    UniqueFd fd(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "vs_empty", "GPL", nothing, std::size(nothing), nullptr));
    if (!fd) {
        give_up("cannot load an empty program");
    }
    return fd;
}

/// A connection from the client's namespace, from kClientPort.
UniqueFd connect_client(const Lab& lab, const Addresses& at) {
    const Endpoint to = Endpoint::of(at.family.service, 80);
    UniqueFd fd = must(open_socket(lab.client(), SOCK_STREAM, to, Endpoint::of(at.client, kClientPort)));
    const SocketAddress address = to_sockaddr(to);
    (void)connect(fd.get(), address.get(), address.length);
    if (!wait_for_socket(fd.get(), POLLOUT, boot_now() + std::chrono::seconds(5))) {
        give_up(cat("no connection to ", to.text()));
    }
    return fd;
}

std::vector<Class> classes_of(const Addresses& at) {
    const auto with_port = [](Frame frame, std::uint16_t port) {
        frame.destination_port = port;
        return frame;
    };
    const auto from_port = [](Frame frame, std::uint16_t port) {
        frame.source_port = port;
        return frame;
    };
    Frame segment = from_port(tcp(at.client, at.family.service, kAck | kPsh), kClientPort);
    segment.payload.assign(64, 'x');
    const Frame question = udp(at.client, at.family.service);
    Frame long_question = from_port(question, 40'001);
    long_question.payload.assign(100, 'q');
    const auto fragments = build_fragments(long_question, 7, 48);
    const auto lan = [&](const std::string& name, const Bytes& frame, vs_verdict verdict) {
        return Class{name, at.figure, Program::lan, frame, verdict};
    };
    return {
        {kEmpty, at.figure, Program::empty, build(segment), VS_VERDICTS},
        lan("not ours, TCP", build(tcp(at.client, at.unclaimed, kAck)), VS_UNCLAIMED),
        lan("not ours, UDP", build(udp(at.client, at.unclaimed)), VS_UNCLAIMED),
        lan("not ours, another port of the service's address", build(with_port(segment, 81)), VS_UNCLAIMED),
        lan("SYN, served", build(from_port(tcp(at.client, at.family.service, kSyn), 40'002)), VS_SERVED),
        lan("SYN, to the cloud: nothing listens", build(with_port(tcp(at.client, at.family.service, kSyn), 8080)),
            VS_NO_LISTENER),
        lan("segment of a served connection", build(segment), VS_SERVED),
        lan("segment of a connection with the cloud", build(from_port(segment, 40'003)), VS_CLOUD_FLOW),
        lan("datagram of a served flow", build(question), VS_SERVED),
        lan("first fragment", fragments[0], VS_SERVED),
        lan("later fragment", fragments[1], VS_SERVED),
        {"reply, TCP", at.figure, Program::service, build(turned(segment)), VS_REPLIED},
        {"reply, UDP", at.figure, Program::service, build(turned(question)), VS_REPLIED},
    };
}

class Bench {
public:
    explicit Bench(Scale scale)
        : rounds_(scale == Scale::full ? kRounds : kQuickRounds),
          repeat_(scale == Scale::full ? kRepeat : kQuickRepeat),
          figures_("packet",
                   cat("BPF_PROG_TEST_RUN, ", repeat_, " packets of a class a round, ", rounds_,
                       " rounds, all classes in turn. An empty program shows what the measurement itself costs; what "
                       "the kernel does with a packet afterwards is not in it."),
                   scale),
          lab_(Lab::make()),
          empty_(load_empty()) {
        std::vector<Rule> rules;
        for (const auto& at : kAddresses) {
            sockets_.push_back(listen_tcp(lab_->namespace_of(0), at.family.service, 80));
            sockets_.push_back(bind_udp(lab_->namespace_of(0), at.family.service, 53));
            for (const Rule& rule : lab_->usual_rules(at.family)) {
                rules.push_back(rule);
            }
            rules.push_back(lab_->rule(at.family.service, 8080));
        }
        (void)lab_->apply(rules);
        lab_->attach();
        for (const auto& at : kAddresses) {
            sockets_.push_back(connect_client(*lab_, at));
            for (Class& one : classes_of(at)) {
                classes_.push_back(std::move(one));
            }
        }
    }

    int run() {
        for (int round = 0; round < rounds_; ++round) {
            for (const Class& one : classes_) {
                figures_.add(one.name, one.figure, "ns", nanoseconds(one));
            }
        }
        for (const auto& at : kAddresses) {
            for (const Class& one : classes_of(at)) {
                if (one.name != kEmpty) {
                    const bool not_ours = one.name.starts_with("not ours");
                    const bool established = one.name == "segment of a served connection";
                    figures_.expect(Target::Bound::at_most, one.name, at.figure,
                                    not_ours      ? 40
                                    : established ? 170
                                                  : 300);
                }
            }
        }
        must(figures_.finish());
        return 0;
    }

private:
    double nanoseconds(const Class& one) {
        __sk_buff context{};
        context.ifindex = one.program == Program::service ? lab_->link_of(0) : lab_->lan_device();
        bpf_test_run_opts options{};
        options.sz = sizeof options;
        options.data_in = one.frame.data();
        options.data_size_in = static_cast<__u32>(one.frame.size());
        options.ctx_in = &context;
        options.ctx_size_in = sizeof context;
        options.repeat = repeat_;
        const int program = one.program == Program::empty ? empty_.get()
                            : one.program == Program::lan ? lab_->datapath().lan.fd.get()
                                                          : lab_->datapath().service.fd.get();
        const auto before = lab_->verdicts();
        if (bpf_prog_test_run_opts(program, &options) != 0) {
            give_up(cat(one.name, ": the program cannot be run"));
        }
        const auto after = lab_->verdicts();
        // The attached programs see the stacks' own multicast besides.
        if (one.program != Program::empty &&
            after[one.verdict] - before[one.verdict] < static_cast<std::uint64_t>(repeat_)) {
            give_up(cat(one.name, ", ", one.figure, ": only ", after[one.verdict] - before[one.verdict], " of ",
                        repeat_, " packets had the verdict ", verdict_name(one.verdict)));
        }
        return options.duration;
    }

    int rounds_;
    int repeat_;
    Measurements figures_;
    std::unique_ptr<Lab> lab_;
    UniqueFd empty_;
    std::vector<UniqueFd> sockets_;
    std::vector<Class> classes_;
};

/// The lab checks as tests do; here any such check that fails is the end.
int measure(Scale scale) {
    doctest::Context context;
    context.setAsDefaultForAssertsOutOfTestCases();
    context.setAssertHandler([](const doctest::AssertData& failed) {
        if (failed.m_failed) {
            give_up(cat(failed.m_file, ":", failed.m_line, ": ", failed.m_expr));
        }
    });
    return Bench(scale).run();
}

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    const viscum::Scale scale = viscum::scale_of(argc, argv);
    return viscum::run_in_sandbox([scale] { return viscum::measure(scale); });
}
