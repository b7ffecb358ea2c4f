// SPDX-License-Identifier: GPL-2.0-only
// Devices talk to each other through a broker that stands in the place of the cloud's and is joined to it.
#include <algorithm>
#include <map>
#include <thread>

#include "base/file.h"
#include "tests/examples/example.h"
#include "tests/support/campaign.h"

namespace viscum {
namespace {

constexpr const char* kBroker = "203.0.113.40";
constexpr const char* kBroker6 = "2001:db8:c::40";
constexpr std::uint16_t kPort = 1883;
constexpr int kRounds = 20;

Scene::Options with_address() {
    Scene::Options options;
    options.bed.cloud.insert(options.bed.cloud.end(), {kBroker, kBroker6});
    return options;
}

/// How often each message came: a line of `mosquitto_sub` each.
class Subscriber {
public:
    Subscriber(const NetNs& ns, const std::string& name, const std::string& topic)
        : file_(cat("/tmp/", name, ".log")),
          program_(must(Program::start(
              {{"mosquitto_sub", "-h", kBroker, "-i", name, "-c", "-q", "1", "-t", topic, "-v"}, file_, &ns}))) {}
    [[nodiscard]] std::map<std::string, int> received() const {
        std::map<std::string, int> counts;
        const auto text = read_file(file_, 16 * 1024 * 1024);
        for (const std::string& line : split(text ? *text : "", '\n')) {
            ++counts[line];
        }
        return counts;
    }
    [[nodiscard]] bool has(const std::string& line) const { return received().contains(line); }
    /// Of `count` messages of `series` on `topic`: how many came, and how often the most frequent of them.
    [[nodiscard]] std::pair<int, int> of(const std::string& topic, const std::string& series, int count) const {
        const auto all = received();
        std::pair<int, int> seen{0, 0};
        for (int number = 1; number <= count; ++number) {
            const auto found = all.find(cat(topic, " ", series, number));
            seen.first += found != all.end() ? 1 : 0;
            seen.second = std::max(seen.second, found != all.end() ? found->second : 0);
        }
        return seen;
    }
    [[nodiscard]] bool has_all(const std::string& topic, const std::string& series, int count) const {
        // A bridge that found its uplink dead tries again every ten seconds or so.
        return eventually(3 * kLimit, [&] { return of(topic, series, count).first == count; });
    }

private:
    std::string file_;
    Program program_;
};

class Broker : public Example {
public:
    Broker() : Example("broker", with_address()) {
        must(write_file_atomically(
            "/srv/cloud.conf", "listener 1883\nallow_anonymous true\nuser root\nmax_queued_messages 20000\n", 0644));
        scene().start_in_cloud(Server{{"/usr/sbin/mosquitto", "-c", "/srv/cloud.conf"}, "/tmp/cloud-broker.log"},
                               kPort);
        install("mosquitto.conf");
    }
    /// A bridge that notices sooner that its uplink is dead: a test does not wait for half a minute.
    void notice_sooner() {
        const std::string path = "/etc/viscum/files/mosquitto.conf";
        std::string text = must(read_file(path, 65'536));
        const std::string kept = "keepalive_interval 20";
        REQUIRE(text.find(kept) != std::string::npos);
        must(write_file_atomically(path, text.replace(text.find(kept), kept.size(), "keepalive_interval 5"), 0644));
    }
    /// `count` messages of QoS 1; 0 once whoever answers at the broker's address has acknowledged all.
    static int publish(const NetNs& ns, const std::string& topic, const std::string& series, int count) {
        std::string lines;
        for (int number = 1; number <= count; ++number) {
            lines += cat(series, number, "\n");
        }
        return run({"mosquitto_pub", "-h", kBroker, "-q", "1", "-t", topic, "-l"}, {.ns = &ns, .input = lines}).status;
    }
    [[nodiscard]] const NetNs& device() { return bed().client(1); }
    [[nodiscard]] const NetNs& other_device() { return bed().client(2); }
    [[nodiscard]] const NetNs& cloud() { return bed().cloud(); }

    /// Publishes until it is seen: subscriptions and the bridge take a moment.
    [[nodiscard]] bool reaches(const NetNs& from, const std::string& topic, const std::string& word,
                               const std::vector<const Subscriber*>& who) {
        return eventually(kLimit, [&] {
            return publish(from, topic, word, 1) == 0 &&
                   std::ranges::all_of(who, [&](const Subscriber* one) { return one->has(cat(topic, " ", word, 1)); });
        });
    }
};

bool lacks_mosquitto() {
    return !lacks({"mosquitto", "mosquitto_pub", "mosquitto_sub"}).empty();
}

}  // namespace

TEST_CASE(
    "broker: devices and the cloud hear each other, through an uplink that fails, and no message of QoS 1 is lost") {
    if (lacks_mosquitto()) {
        return;
    }
    Broker broker;
    broker.notice_sooner();
    broker.deploy();
    {
        const Subscriber lan(broker.other_device(), "lan", "#");
        const Subscriber cloud(broker.cloud(), "cloud", "#");
        const Subscriber bridge(broker.device(), "bridge", "$SYS/broker/connection/#");
        const auto bridge_is = [&](const char* state) {
            return eventually(3 * kLimit, [&] {
                const auto text = read_file("/tmp/bridge.log", 65'536);
                return text && text->ends_with(cat("/state ", state, "\n"));
            });
        };
        REQUIRE(broker.reaches(broker.device(), "hello", "from-lan", {&lan, &cloud}));
        REQUIRE(broker.reaches(broker.cloud(), "hello", "from-cloud", {&lan, &cloud}));
        CHECK(Broker::publish(broker.device(), "devices", "before-", 20) == 0);
        CHECK(Broker::publish(broker.cloud(), "commands", "before-", 20) == 0);
        for (const Subscriber* one : {&lan, &cloud}) {
            CHECK(one->has_all("devices", "before-", 20));
            CHECK(one->has_all("commands", "before-", 20));
        }
        CHECK(bridge_is("1"));

        // The uplink goes while a device publishes.
        const auto cut = [](int round) { return cat("cut-", round, "-"); };
        std::vector<int> statuses;
        std::jthread publisher([&] {
            for (int round = 1; round <= kRounds; ++round) {
                statuses.push_back(Broker::publish(broker.device(), "devices", cut(round), 20));
            }
        });
        CHECK(cloud.has_all("devices", cut(2), 20));
        broker.uplink_down();
        publisher.join();
        CHECK(std::ranges::count(statuses, 0) == kRounds);
        CHECK(Broker::publish(broker.device(), "devices", "down-", 200) == 0);
        CHECK(lan.has_all("devices", "down-", 200));
        CHECK(bridge_is("0"));
        CHECK(Broker::publish(broker.device(), "devices", "known-", 200) == 0);
        CHECK(Broker::publish(broker.cloud(), "commands", "down-", 200) == 0);
        CHECK(lan.has_all("devices", "known-", 200));
        CHECK(cloud.of("devices", "down-", 200).first + cloud.of("devices", "known-", 200).first == 0);
        CHECK(lan.of("commands", "down-", 200).first == 0);
        CHECK(broker.scene().status("broker").health == "healthy");

        broker.uplink_up();
        CHECK(cloud.has_all("devices", "down-", 200));
        CHECK(cloud.has_all("devices", "known-", 200));
        CHECK(lan.has_all("commands", "down-", 200));
        for (int round = 1; round <= kRounds; ++round) {
            CHECK(lan.has_all("devices", cut(round), 20));
            CHECK(cloud.has_all("devices", cut(round), 20));
        }
        // No message runs in a circle between the two brokers.
        for (const Subscriber* one : {&lan, &cloud}) {
            CHECK(one->of("devices", "before-", 20).second == 1);
            CHECK(one->of("commands", "before-", 20).second == 1);
        }
        MESSAGE("most often a message came: ", lan.of("commands", "down-", 200).second, " times to a device, ",
                cloud.of("devices", "down-", 200).second, " times to the cloud");
    }
    broker.end({"broker"});
}

TEST_CASE("broker: a message that is too large is dropped, its sender and the others go on") {
    if (lacks_mosquitto()) {
        return;
    }
    Broker broker;
    broker.deploy();
    {
        const Subscriber lan(broker.other_device(), "lan", "#");
        const auto publish = [&](const std::string& topic, std::size_t size) {
            return run({"mosquitto_pub", "-h", kBroker, "-q", "1", "-t", topic, "-s"},
                       {.ns = &broker.device(), .input = std::string(size, 'x')})
                .status;
        };
        const auto has = [&](const std::string& topic, std::size_t size) {
            return lan.has(cat(topic, " ", std::string(size, 'x')));
        };
        const std::size_t largest = 262'144;
        REQUIRE(broker.reaches(broker.device(), "hello", "first", {&lan}));
        CHECK(publish("larger", largest + 1) == 0);
        CHECK(publish("largest", largest) == 0);
        CHECK(eventually(kLimit, [&] { return has("largest", largest); }));
        CHECK_FALSE(has("larger", largest + 1));
        // Disconnected, for each time that it tries.
        CHECK(publish("huge", 2 * 1024 * 1024) != 0);
        REQUIRE(broker.reaches(broker.device(), "hello", "last", {&lan}));
        CHECK_FALSE(has("huge", 2 * 1024 * 1024));
    }
    broker.end({"broker"});
}

TEST_CASE("broker: when it dies devices are the cloud's, at the same address, and still hear each other") {
    if (lacks_mosquitto()) {
        return;
    }
    Broker broker;
    broker.deploy();
    {
        const Subscriber lan(broker.other_device(), "lan", "#");
        const Subscriber cloud(broker.cloud(), "cloud", "#");
        REQUIRE(broker.reaches(broker.device(), "hello", "first", {&lan, &cloud}));
        broker.scene().ctl({"drain", "broker"});  // what is started again gets no device, so that there is time to look
        broker.scene().kill_service("broker");
        REQUIRE(broker.reaches(broker.device(), "hello", "dead", {&lan, &cloud}));
        const auto peers = must(output_of({"ss", "-Htn", "sport", "=", ":1883"}, {.ns = &broker.cloud()}));
        CHECK_MESSAGE(peers.find(broker.bed().client_address(2).text()) != std::string::npos, peers);
        // One is the cloud's until its connection ends, one is the hotspot's: the bridge joins them.
        broker.scene().ctl({"resume", "broker"});
        REQUIRE(broker.reaches(broker.device(), "hello", "again", {&lan, &cloud}));
        CHECK(Broker::publish(broker.device(), "devices", "apart-", 20) == 0);
        CHECK(lan.has_all("devices", "apart-", 20));
        CHECK(cloud.has_all("devices", "apart-", 20));
        CHECK(lan.of("devices", "apart-", 20).second == 1);
    }
    broker.end({"broker"});
}

TEST_CASE("broker: what devices say to each other crosses the uplink once, for the cloud") {
    if (lacks_mosquitto()) {
        return;
    }
    constexpr int kMessages = 500;
    Broker broker;
    const auto round = [&](const std::string& series) {
        std::vector<Subscriber> devices;
        for (int number = 1; number <= 5; ++number) {
            devices.emplace_back(broker.other_device(), cat(series, number), "devices");
        }
        std::vector<const Subscriber*> all;
        for (const Subscriber& one : devices) {
            all.push_back(&one);
        }
        REQUIRE(broker.reaches(broker.device(), "devices", cat(series, "-hello"), all));
        const std::uint64_t before = broker.uplink_bytes();
        CHECK(Broker::publish(broker.device(), "devices", series, kMessages) == 0);
        for (const Subscriber& one : devices) {
            CHECK(one.has_all("devices", series, kMessages));
        }
        return broker.uplink_bytes() - before;
    };
    const std::uint64_t without = round("far");
    broker.deploy();
    std::uint64_t with = 0;
    {
        const Subscriber cloud(broker.cloud(), "cloud", "devices");
        REQUIRE(broker.reaches(broker.device(), "devices", "joined", {&cloud}));
        with = round("near");
        const std::uint64_t delivered = broker.uplink_bytes();
        CHECK(cloud.has_all("devices", "near", kMessages));
        with += broker.uplink_bytes() - delivered;
    }
    CHECK(with < without);
    must(record({"example-broker",
                 "Example broker: 500 messages of a device for five others",
                 "examples -tc='broker: what devices*'",
                 {{"over the uplink, by the cloud's broker", amount(without)},
                  {"over the uplink, by the hotspot's, which tells the cloud's", amount(with)}}}));
    broker.end({"broker"});
}

}  // namespace viscum
