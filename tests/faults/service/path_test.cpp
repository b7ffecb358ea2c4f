// SPDX-License-Identifier: GPL-2.0-only
// ICMP errors about served flows reach the service, as they would reach the cloud.
#include <algorithm>

#include "tests/faults/service/neighbour.h"

namespace viscum {
namespace {

constexpr std::size_t kBody = 1024 * 1024;
constexpr const char* kMtu = "mtu 1280";

std::uint64_t errors_served(const Scene& scene) {
    const auto report = scene.report();
    const auto found = std::ranges::find(report.verdicts, "icmp-served", &ReasonCount::reason);
    return found == report.verdicts.end() ? 0 : found->packets;
}

std::size_t fetch(const NetNs& ns, const Endpoint& to) {
    return http_get(ns, {.to = to, .path = "/big"}).body.size();
}

/// A host behind client1, which is its router and sends at most 1,280 bytes to it; the host itself believes in 1,500.
class FarHost {
public:
    explicit FarHost(Scene& scene) : bed_(scene.bed()), ns_(must(NetNs::create("far"))) {
        const NetNs& router = bed_.client(1);
        must(router.inside([]() -> Status {
            (void)set_net_sysctl("ipv4/ip_forward", "1");
            return set_net_sysctl("ipv6/conf/all/forwarding", "1");
        }));
        must(ip_batch(router,
                      "link add far type veth peer name eth0 netns far\nlink set far up mtu 1280\n"
                      "address add 10.77.200.1/24 dev far\naddress add 2001:db8:77:200::1/64 dev far nodad\n"
                      "route replace default via 10.77.0.1\nroute replace default via 2001:db8:77::1\n"));
        must(ip_batch(ns_,
                      "link set lo up\nlink set eth0 up\naddress add 10.77.200.2/24 dev eth0\n"
                      "address add 2001:db8:77:200::2/64 dev eth0 nodad\n"
                      "route add default via 10.77.200.1\nroute add default via 2001:db8:77:200::1\n"));
        must(ip_batch(bed_.hotspot(),
                      "route add 10.77.200.0/24 via 10.77.0.11\nroute add 2001:db8:77:200::/64 via 2001:db8:77::11\n"));
    }
    FarHost(const FarHost&) = delete;
    FarHost& operator=(const FarHost&) = delete;
    ~FarHost() {
        (void)ip_batch(bed_.hotspot(), "route del 10.77.200.0/24\nroute del 2001:db8:77:200::/64\n");
        (void)ip_batch(bed_.client(1), "link del far\n");
        (void)remove_net_ns_name("far");
    }
    [[nodiscard]] const NetNs& ns() const { return ns_; }

private:
    Bed& bed_;
    NetNs ns_;
};

}  // namespace

TEST_CASE("fault 30: behind a path with a smaller MTU a large body arrives whole, and the service learns that MTU") {
    Scene scene;
    scene.deploy(web_service());
    CHECK(fetch(scene.bed().client(1), kWeb) == kBody);
    const auto flow = scene.flow(kWeb, 2);
    {
        const FarHost far(scene);
        const NetNs service = must(NetNs::open("viscum-web"));
        const auto route_to = [&service](const char* address) {
            return must(output_of({"ip", "route", "get", address}, {.ns = &service}));
        };
        for (const auto& [to, address] : {std::pair(kWeb, "10.77.200.2"), std::pair(kWeb6, "2001:db8:77:200::2")}) {
            CAPTURE(address);
            CHECK(route_to(address).find(kMtu) == std::string::npos);
            const std::uint64_t before = errors_served(scene);
            CHECK(fetch(far.ns(), to) == kBody);
            CHECK(errors_served(scene) > before);
            mentions(route_to(address), kMtu);
        }
        CHECK(route_to("10.77.0.12").find(kMtu) == std::string::npos);  // no other path's
    }
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    const FlowSummary seen = flow->stop();
    check_flow("beside a narrow path", seen);
    for (const char* level : {" warning ", " error "}) {
        CHECK(scene.viscumd().log().find(level) == std::string::npos);
    }
    check_end(scene, {"web"});
}

}  // namespace viscum
