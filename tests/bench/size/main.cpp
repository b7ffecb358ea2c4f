// SPDX-License-Identifier: GPL-2.0-only
// What Viscum takes: memory of its idle programs with none to a hundred services, and the size of the programs on a
// medium and in a package. viscum-bench-size [--quick]
#include <poll.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "tests/bench/many/many.h"
#include "tests/bench/many/process_use.h"
#include "tests/bench/measure/measurements.h"
#include "tests/bench/measure/must.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr double kKB = 1'000;
constexpr int kRounds = 5;
constexpr int kRest = 3'000;  // milliseconds: more than one probe of each service
constexpr int kQuickRest = 200;
const std::vector<std::size_t> kNumbers{0, 1, 10, 100};
const std::vector<std::size_t> kQuickNumbers{0, 1, 3};
const std::vector<std::string> kPrograms{"viscumd", "viscum-shim", "viscum-prober", "viscum-image", "viscum-exporter"};
constexpr const char* kLink = "viscumctl";  // to viscumd: no program more

constexpr const char* kKernel = "the kernel, whole machine";
constexpr const char* kKernelFigure = "slabs, stacks, tables";

/// VISCUM_BENCH_PROGRAMS: where a build with link-time optimisation is; without it, the programs that run here.
std::string programs_dir() {
    const char* given = std::getenv("VISCUM_BENCH_PROGRAMS");
    return given != nullptr ? given : VISCUM_BIN_DIR;
}

/// Of several processes.
struct Sum {
    double pss = 0;
    double rss = 0;
    std::size_t count = 0;
};

Sum memory_of_all(const std::vector<pid_t>& pids) {
    Sum sum;
    for (const pid_t pid : pids) {
        const MemoryUse use = must(memory_of(pid));
        sum.pss += static_cast<double>(use.pss) / kKB;
        sum.rss += static_cast<double>(use.rss) / kKB;
        ++sum.count;
    }
    return sum;
}

/// KB that the kernel holds for itself, of the whole machine: what namespaces, links and groups take is in it.
double kernel_memory() {
    double sum = 0;
    for (const std::string& line : split(must(read_file("/proc/meminfo", 65'536)), '\n')) {
        for (const std::string_view key : {"Slab:", "Percpu:", "KernelStack:", "PageTables:"}) {
            if (line.starts_with(key)) {
                std::string digits = line.substr(key.size());
                std::erase_if(digits, [](char c) { return c < '0' || c > '9'; });
                sum += static_cast<double>(parse_decimal(digits, 1ULL << 40).value_or(0)) * 1.024;
            }
        }
    }
    return sum;
}

class Bench {
public:
    explicit Bench(Scale scale)
        : quick_(scale == Scale::quick),
          figures_("size",
                   "PSS and RSS (/proc/PID/smaps_rollup) of Viscum's idle programs with 0 to 100 services under http "
                   "probes every 2 s; and the programs as a package has them (-DVISCUM_LTO=ON), stripped and "
                   "compressed by gzip -9. KB is 1,000 bytes.",
                   scale) {
        figures_.axis("services");
    }

    int run() {
        programs();
        packages();
        memory();
        figures_.note(
            "A page that several programs have counts in parts (PSS); the system's libraries are shared with whatever "
            "else runs here. RSS counts each page in full.");
        figures_.note(
            "Programs: without the system's libraries, to which viscumd and viscum-image are linked; viscumctl is a "
            "symbolic link to viscumd.");
        must(figures_.finish());
        return 0;
    }

private:
    void programs() {
        if (!std::filesystem::is_symlink(cat(programs_dir(), "/", kLink))) {
            give_up(cat(kLink, " is a program by itself, and would be missing from the sum"));
        }
        double installed = 0;
        double compressed = 0;
        for (const std::string& name : kPrograms) {
            const std::string stripped = cat("/tmp/", name);
            (void)must(output_of({"strip", "--strip-all", "-o", stripped, cat(programs_dir(), "/", name)}));
            const auto whole = static_cast<double>(std::filesystem::file_size(stripped)) / kKB;
            (void)must(output_of({"gzip", "-9", "-n", "-f", stripped}));
            const auto packed = static_cast<double>(std::filesystem::file_size(stripped + ".gz")) / kKB;
            const std::string subject = name == "viscumd" ? cat(name, " and ", kLink) : name;
            figures_.add(subject, "stripped", "KB", whole);
            figures_.add(subject, "stripped, gzip -9", "KB", packed);
            installed += whole;
            compressed += packed;
        }
        figures_.add("all programs", "stripped", "KB", installed);
        figures_.add("all programs", "stripped, gzip -9", "KB", compressed);
        figures_.expect(Target::Bound::at_most, "all programs", "stripped, gzip -9", 600);
    }

    /// VISCUM_BENCH_PACKAGES: what `make packages` has made, as far as it has.
    void packages() {
        const char* directory = std::getenv("VISCUM_BENCH_PACKAGES");
        const auto names = list_directory(directory == nullptr ? "" : directory);
        std::vector<std::string> files = names ? *names : std::vector<std::string>();
        std::erase_if(files, [](const auto& name) { return !name.ends_with(".ipk") && !name.ends_with(".deb"); });
        std::ranges::sort(files);
        for (const std::string& name : files) {
            const auto size = static_cast<double>(std::filesystem::file_size(cat(directory, "/", name))) / kKB;
            figures_.add(name, "package", "KB", size);
            figures_.expect(Target::Bound::at_most, name, "package", name.ends_with(".ipk") ? 1'200 : 600);
        }
        figures_.note(files.empty() ? "No package was built: `make packages`."
                                    : "Packages: a .deb is linked to the system's libraries, an .ipk holds all that it "
                                      "needs.");
    }

    void memory() {
        Many many(ProbeKind::http);
        const auto& numbers = quick_ ? kQuickNumbers : kNumbers;
        std::size_t there = 0;
        for (const std::size_t number : numbers) {
            many.deploy(there, number);
            there = number;
            many.check_all_up(number);
            for (int round = 0; round < (quick_ ? 1 : kRounds); ++round) {
                poll(nullptr, 0, quick_ ? kQuickRest : kRest);
                look(many, number);
            }
        }
        figures_.expect(Target::Bound::at_most, "viscumd", "PSS", 4'000, 0);
        expect_each(static_cast<double>(numbers[1]), static_cast<double>(numbers.back()));
    }

    void look(Many& many, std::size_t number) {
        const auto at = static_cast<double>(number);
        const Sum daemon = memory_of_all({many.viscumd().pid()});
        const Sum shims = memory_of_all(processes_named("viscum-shim"));
        const Sum probers = memory_of_all(processes_named("viscum-prober"));
        if (shims.count != number || probers.count != (number > 0 ? 1 : 0)) {
            give_up(cat(number, " services, but ", shims.count, " shims and ", probers.count, " probers"));
        }
        const auto add = [&](const char* subject, const Sum& sum) {
            figures_.add(subject, "PSS", "KB", sum.pss, at);
            figures_.add(subject, "RSS", "KB", sum.rss, at);
        };
        add("viscumd", daemon);
        if (number > 0) {
            add("viscum-prober", probers);
            add("viscum-shim, each",
                {shims.pss / static_cast<double>(shims.count), shims.rss / static_cast<double>(shims.count), 1});
        }
        figures_.add("all of Viscum", "PSS", "KB", daemon.pss + shims.pss + probers.pss, at);
        figures_.add(kKernel, kKernelFigure, "KB", kernel_memory(), at);
    }

    /// What one service more takes, of whoever has it.
    void expect_each(double few, double many) {
        const auto growth = [&](const char* subject, const char* figure) {
            const double more = spread_of(figures_.find(subject, figure, many)->values).median -
                                spread_of(figures_.find(subject, figure, few)->values).median;
            return more / (many - few);
        };
        const double each = growth("all of Viscum", "PSS");
        figures_.add("one idle service more", "PSS of all of Viscum", "KB", each);
        figures_.add("one idle service more", "PSS of viscumd", "KB", growth("viscumd", "PSS"));
        const double kernel = growth(kKernel, kKernelFigure);
        if (wander(few) + wander(many) < kernel * (many - few) / 2) {
            figures_.add("one idle service more", "the kernel", "KB", kernel);
        } else {
            figures_.note(
                "What the kernel holds for a service is left out: others on this machine took or gave back as "
                "much meanwhile.");
        }
        figures_.expect(Target::Bound::at_most, "one idle service more", "PSS of all of Viscum", 150);
    }

    /// What the kernel's memory changed by while nothing was deployed: by others' doing.
    [[nodiscard]] double wander(double at) const {
        const Spread spread = spread_of(figures_.find(kKernel, kKernelFigure, at)->values);
        return spread.most - spread.least;
    }

    bool quick_;
    Measurements figures_;
};

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    const viscum::Scale scale = viscum::scale_of(argc, argv);
    return viscum::run_in_sandbox([scale] { return viscum::Bench(scale).run(); });
}
