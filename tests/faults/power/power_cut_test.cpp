// SPDX-License-Identifier: GPL-2.0-only
// The power goes while viscumd writes: what the disk holds then is the old or the new state, and viscumd comes up with
// it.
#include <algorithm>
#include <iterator>
#include <mutex>

#include "base/file.h"
#include "tests/faults/oracle/oracle.h"
#include "tests/faults/power/disk.h"
#include "tests/faults/power/file_calls.h"
#include "tests/scene/scene.h"
#include "tests/support/campaign.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr const char* kDisk = "/tmp/disk";
constexpr const char* kCut = "/tmp/cut";
constexpr std::size_t kStarts = 2;
constexpr unsigned kOneIn = 8;  // images kept for that, of a sample
const Instance kViscum{"viscum"};
const Instance kAfterCut{"cut"};

struct Cut {
    std::string verb;
    std::string after_call;
    std::string image;  // a copy of the disk; empty: not kept
    DiskState found;
    DiskState seen;       // what a reader found at that instant, the power being on
    std::string problem;  // it could not be read
};

/// What a power cut at this instant leaves, as the next start finds it.
Cut cut_now(const std::string& verb, const std::string& call, std::size_t number, bool keep) {
    Cut cut{verb, call, keep ? cat(kCut, '.', number) : "", {}, {}, ""};
    if (auto seen = read_disk_state(kViscum)) {
        cut.seen = std::move(*seen);
    }
    // The mount replays the journal, which writes: what is kept is a copy of its own.
    for (const std::string& copy : {std::string(kCut), cut.image}) {
        if (auto made = copy.empty() ? Result<std::string>("") : output_of({"cp", "--sparse=always", kDisk, copy});
            !made) {
            cut.problem = made.error().what;
            return cut;
        }
    }
    const auto disk = Disk::mount(kCut, kAfterCut);
    auto found = disk ? read_disk_state(kAfterCut) : Result<DiskState>(disk.error());
    if (found) {
        cut.found = std::move(*found);
    } else {
        cut.problem = found.error().what;
    }
    return cut;
}

/// How far the cuts of one verb had come.
struct Count {
    std::size_t cuts = 0;
    std::size_t old_ones = 0;
    std::size_t new_ones = 0;
    std::size_t violations = 0;
};

/// A verb may write twice, one state after the other: each of them is an old or a new one.
bool was_seen(const Cut& cut, const std::vector<Cut>& cuts) {
    const auto is = [](const auto& part) { return [part](const Cut& other) { return part(other.seen); }; };
    return std::ranges::any_of(cuts, is([&](const DiskState& seen) { return seen.state == cut.found.state; })) &&
           std::ranges::any_of(cuts, is([&](const DiskState& seen) { return seen.services == cut.found.services; }));
}

void judge(const Cut& cut, const std::vector<Cut>& cuts, const DiskState& before, Count& count) {
    std::vector<std::string> problems = cut.found.broken;
    if (!cut.problem.empty()) {
        problems.push_back(cut.problem);
    }
    const bool old = cut.found.same_as(before);
    if (!old && !was_seen(cut, cuts)) {
        problems.push_back(cat("neither old nor new: ", encode_state(cut.found.state, cut.found.generation)));
    }
    ++count.cuts;
    ++(!problems.empty() ? count.violations : old ? count.old_ones : count.new_ones);
    CHECK_MESSAGE(problems.empty(), "cut in ", cut.verb, " after ", cut.after_call, ":\n", join(problems, "\n"));
}

/// Runs a verb, with a cut after each call of viscumd's that changes a file, and one when its end was told.
std::vector<Cut> cut_verb(Scene& scene, const Argv& verb, Count& count, const std::function<bool()>& keep) {
    const std::string name = join({verb.begin(), verb.begin() + 1}, "");
    const DiskState before = must(read_disk_state(kViscum));
    std::vector<Cut> cuts;
    Cut answer;
    std::mutex mutex;  // viscumd may go on writing after its answer: there is one image and one pair of dice
    const auto cut = [&](const std::string& call) {
        const std::lock_guard lock(mutex);
        return cuts.emplace_back(cut_now(name, call, count.cuts + cuts.size(), keep()));
    };
    {
        const auto calls =
            must(FileCalls::follow(scene.viscumd().pid(), {kViscum.services_dir(), kViscum.state_dir()}, cut));
        scene.ctl(verb);
        answer = cut("the answer");
    }
    const DiskState after = must(read_disk_state(kViscum));
    CHECK_MESSAGE(!after.same_as(before), join(verb, " "), " wrote nothing");
    for (const Cut& one : cuts) {
        judge(one, cuts, before, count);
    }
    // What was told to be done is on the disk: the power may go at once.
    const std::string durable = join(judge_state(answer.found, answer.seen, after), "\n");
    CHECK_MESSAGE(durable.empty(), name, " was told to be done, and is lost: ", durable);
    count.violations += durable.empty() ? 0U : 1U;
    return cuts;
}

/// viscumd comes up on what the cut left, and serves what stands there.
void start_after(Scene& scene, std::unique_ptr<Disk>& disk, const Cut& cut) {
    CAPTURE(cut.verb);
    CAPTURE(cut.after_call);
    scene.viscumd().kill();
    disk.reset();
    disk = must(Disk::mount(cut.image, kViscum));
    scene.reboot();
    const bool deployed = cut.found.services.contains("web");
    const bool drained = cut.found.state.drained.contains("web");
    const std::string served = deployed && !drained ? "local" : "cloud";
    CHECK(eventually(kLimit, [&] { return scene.web() == served; }));
    CHECK(eventually(kLimit, [&] { return scene.status("web").health == (deployed ? "healthy" : ""); }));
    CHECK(scene.status("web").drained == (deployed && drained));
    const DiskState now = must(read_disk_state(kViscum));
    CHECK(now.broken.empty());
    CHECK(now.services == cut.found.services);
}

}  // namespace

TEST_CASE("fault 11: whenever the power goes, the disk has the old or the new state, and viscumd comes up with it") {
    if (!run({"mkfs.ext4", "-V"}).success()) {
        return skip("there is no mkfs.ext4");
    }
    must(make_disk(kDisk));
    auto mounted = Disk::mount(kDisk, kViscum);
    if (!mounted) {
        return skip(cat("no loop device: ", mounted.error().what));
    }
    MESSAGE("VISCUM_TEST_SEED=", campaign_seed());
    std::mt19937 dice(campaign_seed());
    std::unique_ptr<Disk> disk = *std::move(mounted);
    Count count;
    std::size_t starts = 0;
    const auto keep = [&dice] { return effort() == Effort::full || dice() % kOneIn == 0; };
    {
        Scene scene;
        std::vector<Cut> cuts;
        for (const char* step : {"deploy 1", "deploy 2", "drain", "deploy 3", "resume", "drain", "remove"}) {
            const auto words = split(step, ' ');
            const Argv verb = words.size() > 1 ? Argv{words[0], web_service(words[1]).write()} : Argv{words[0], "web"};
            std::ranges::copy_if(cut_verb(scene, verb, count, keep), std::back_inserter(cuts),
                                 [](const Cut& cut) { return !cut.image.empty(); });
        }
        CHECK(count.old_ones > 0);
        CHECK(count.new_ones > 0);
        scene.check_no_leak();
        for (const std::size_t cut : draw(cuts.size(), effort() == Effort::full ? cuts.size() : kStarts, dice)) {
            start_after(scene, disk, cuts[cut]);
            ++starts;
        }
    }
    must(record({"power-cuts",
                 "Power cuts while viscumd writes",
                 cat("VISCUM_TEST_SEED=", campaign_seed(), effort() == Effort::full ? " VISCUM_FAULTS=full" : "",
                     " build/bin/faults_power -tc='fault 11:*'"),
                 {{"cuts tried", std::to_string(count.cuts)},
                  {"the old state found", std::to_string(count.old_ones)},
                  {"the new state found", std::to_string(count.new_ones)},
                  {"violations", std::to_string(count.violations)},
                  {"starts from what a cut left", std::to_string(starts)}}}));
}

}  // namespace viscum
