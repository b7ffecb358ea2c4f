// SPDX-License-Identifier: GPL-2.0-only
// What the classic grade counts, where the kernel does not say for a while what its filters have counted.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "controller/world/classic_grade.h"
#include "tests/root/netns/service_net.h"

using namespace viscum;

namespace {

/// All netlink sockets of this process, each out of use and back again.
class Netlink {
public:
    Netlink() {
        for (const auto& name : must(list_directory("/proc/self/fd"))) {
            const int fd = static_cast<int>(parse_decimal(name, 65'535).value_or(0));
            int domain = 0;
            socklen_t size = sizeof domain;
            if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK) {
                sockets_.push_back({fd, UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0))});
            }
        }
    }
    ~Netlink() { mend(); }
    Netlink(const Netlink&) = delete;
    Netlink& operator=(const Netlink&) = delete;
    void fail() const {
        const UniqueFd nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
        for (const auto& [fd, copy] : sockets_) {
            dup3(nothing.get(), fd, O_CLOEXEC);
        }
    }
    void mend() const {
        for (const auto& [fd, copy] : sockets_) {
            dup3(copy.get(), fd, O_CLOEXEC);
        }
    }

private:
    std::vector<std::pair<int, UniqueFd>> sockets_;
};

/// Figures are read anew once those of one report are too old.
ClaimCounters once_known_is(bool known, ClassicGrade& grade, const Claim& claim) {
    ClaimCounters counters;
    for (int look = 0; look < 100; ++look) {
        counters = grade.counters(claim);
        if (counters.known == known) {
            break;
        }
        usleep(20'000);
    }
    return counters;
}

}  // namespace

TEST_CASE("classic: figures that cannot be read are not known, and the last ones stay") {
    const ServiceNet net("classic");
    const auto grade = must(ClassicGrade::open(must(Instance::parse("test")), "for this test"));
    const Claim claim{*IpPrefix::parse("203.0.113.10/32"), {80, 80}, Protocol::tcp};
    WantedBackend wanted;
    wanted.claims = {claim};
    must(grade->fence({net.near.index, 0}, wanted));
    const ClaimCounters before = once_known_is(true, *grade, claim);
    REQUIRE(before.known);
    const Netlink netlink;
    netlink.fail();
    const ClaimCounters meanwhile = once_known_is(false, *grade, claim);
    netlink.mend();
    CHECK(!meanwhile.known);
    CHECK(meanwhile.bytes_out == before.bytes_out);
    CHECK(once_known_is(true, *grade, claim).known);
}
