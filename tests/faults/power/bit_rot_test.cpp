// SPDX-License-Identifier: GPL-2.0-only
// What the disk gives back is not what was written: the generation before is used, and that is said.
#include "base/file.h"
#include "controller/store/store.h"
#include "tests/faults/oracle/oracle.h"
#include "tests/scene/scene.h"
#include "tests/support/campaign.h"

namespace viscum {
namespace {

const Instance kRotten{"rotten"};
const SavedState kOlder{{"web"}, {{"web", 7}}, {}, {}};
const SavedState kNewer{{"web", "dns"},
                        {{"web", 7}, {"dns", 4000}},
                        {{"dns", std::string(64, 'a')}},
                        {{"web", {90'000, "a-boot", false, "", "1f"}}}};
constexpr std::size_t kBits = 8;

std::string generation_file(int parity) {
    return cat(kRotten.state_dir(), "/state.", parity);
}

struct Count {
    std::size_t tried = 0;
    std::size_t accepted = 0;  // wrongly
    std::size_t unsaid = 0;
};

/// The newer generation as these bytes: the older one must count, and one line must say which file is broken.
void try_bytes(const std::string& bytes, Count& count) {
    must(write_file_atomically(generation_file(1), bytes, 0644));
    Store store = must(Store::open(kRotten));
    std::vector<std::string> problems;
    const SavedState loaded = store.load_state(&problems);
    ++count.tried;
    count.accepted += loaded == kOlder ? 0U : 1U;
    count.unsaid += problems.size() == 1 && problems[0].find(generation_file(1)) != std::string::npos ? 0U : 1U;
}

/// After a broken generation the next save is whole, and leaves the one that held alone.
void check_saved_over() {
    const auto held = must(read_file(generation_file(0), 4096));
    Store store = must(Store::open(kRotten));
    std::vector<std::string> problems;
    SavedState state = store.load_state(&problems);
    state.drained.insert("other");
    must(store.save_state(state));
    CHECK(must(read_file(generation_file(0), 4096)) == held);
    Store again = must(Store::open(kRotten));
    problems.clear();
    CHECK(again.load_state(&problems) == state);
    CHECK(problems.empty());
}

}  // namespace

TEST_CASE("fault 12: a generation that is cut, or has a byte changed, is not used, the one before is, and it is said") {
    must(make_directory(kRotten.state_dir(), 0755));
    must(write_file_atomically(generation_file(0), encode_state(kOlder, 6), 0644));
    const std::string whole = encode_state(kNewer, 7);
    Count cut;
    for (std::size_t length = 0; length < whole.size(); ++length) {
        try_bytes(whole.substr(0, length), cut);
        std::string zeroes = whole;  // as a file whose blocks were never written
        std::fill(zeroes.begin() + static_cast<std::ptrdiff_t>(length), zeroes.end(), '\0');
        try_bytes(zeroes, cut);
    }
    Count flipped;
    const bool full = effort() == Effort::full;
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (std::size_t bit = full ? 0 : at % kBits; bit < (full ? kBits : at % kBits + 1); ++bit) {
            std::string bytes = whole;
            bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ (1U << bit));
            try_bytes(bytes, flipped);
        }
    }
    CHECK(cut.accepted + flipped.accepted == 0);
    CHECK(cut.unsaid + flipped.unsaid == 0);
    check_saved_over();
    must(record({"bit-rot",
                 "A torn or changed state file",
                 cat(full ? "VISCUM_FAULTS=full " : "", "build/bin/faults_power -tc='fault 12:*'"),
                 {{"truncations tried", std::to_string(cut.tried)},
                  {"flips tried", std::to_string(flipped.tried)},
                  {"accepted wrongly", std::to_string(cut.accepted + flipped.accepted)},
                  {"used without a word", std::to_string(cut.unsaid + flipped.unsaid)}}}));
}

TEST_CASE("fault 12: where both generations are broken viscumd knows of no drained service, and says so") {
    must(make_directory(kRotten.state_dir(), 0755));
    must(write_file_atomically(generation_file(0), encode_state(kOlder, 6).substr(1), 0644));
    must(write_file_atomically(generation_file(1), "", 0644));
    Store store = must(Store::open(kRotten));
    std::vector<std::string> problems;
    CHECK(store.load_state(&problems) == SavedState{});
    REQUIRE(problems.size() == 2);
    CHECK(problems[0].find("no other generation is there") != std::string::npos);
    must(store.save_state(kNewer));
    Store again = must(Store::open(kRotten));
    problems.clear();
    CHECK(again.load_state(&problems) == kNewer);
}

TEST_CASE("fault 12: viscumd comes up with broken files, serves what is whole, and names the others") {
    Scene scene;
    const Instance& instance = scene.viscumd().instance();
    scene.deploy(web_service());
    scene.deploy(test_service("other", {"203.0.113.20 80"}, {"other", "tcp", "203.0.113.20", "80"}));
    scene.ctl({"drain", "web"});
    scene.ctl({"drain", "other"});
    scene.ctl({"resume", "other"});
    const DiskState whole = must(read_disk_state(instance));
    scene.viscumd().kill();
    const std::string newest = cat(instance.state_dir(), "/state.", whole.generation % 2);
    must(write_file_atomically(newest, must(read_file(newest, 4096)).substr(0, 30), 0640));
    const std::string file = instance.services_dir() + "/other.yaml";
    std::string text = whole.services.at("other");
    text.replace(text.find("port: 80"), 8, "port: 99999");
    must(write_file_atomically(file, text, 0640));
    const std::size_t said = scene.viscumd().log().size();
    scene.reboot();
    CHECK(eventually(kLimit, [&] { return scene.status("web").health == "healthy"; }));
    CHECK(scene.status("web").drained);
    CHECK(scene.web() == "cloud");
    scene.ctl({"resume", "web"});
    CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
    std::vector<std::string> problems;
    for (const LogLine& line : log_lines(scene.viscumd().log().substr(said))) {
        if (line.level != "info") {
            problems.push_back(line.text);
        }
    }
    REQUIRE(problems.size() == 2);
    CHECK(problems[0].find(newest) != std::string::npos);
    CHECK(problems[0].find(cat("generation ", whole.generation - 1, " counts")) != std::string::npos);
    CAPTURE(problems[1]);
    CHECK(problems[1].starts_with(cat(file, ":4:")));
    scene.ctl({"remove", "other"});
    scene.ctl({"remove", "web"});
    CHECK(must(read_disk_state(instance)).broken.empty());
    scene.check_no_leak();
}

}  // namespace viscum
