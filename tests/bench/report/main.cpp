// SPDX-License-Identifier: GPL-2.0-only
// viscum-bench-report [--quick] BENCH_DIR DOC_MD FIGURES_DIR: what benchmarks have measured (BENCH_DIR/*.json) goes
// into FIGURES_DIR/figures.json, beside what others measured before; from all that is in there it writes anew what
// stands between the marks of DOC_MD (document.h), and the plots, FIGURES_DIR/NAME-*.svg, by gnuplot. The same figures
// give the same bytes. Nothing is written where anything is wrong. Figures of quick runs need --quick.
#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "tests/bench/report/document.h"
#include "tests/bench/report/plot.h"
#include "tests/bench/report/section.h"
#include "tests/support/program.h"

namespace viscum {
namespace {

constexpr std::size_t kFileLimit = 16 * 1024 * 1024;
constexpr const char* kAllTargets = "targets";

struct Paths {
    std::string bench;
    std::string document;
    std::string figures;
};

Result<std::map<std::string, std::string>> fresh_figures(const std::string& directory) {
    const auto names = list_directory(directory);
    if (!names) {
        return names.error();
    }
    std::map<std::string, std::string> fresh;
    for (const std::string& name : *names) {
        if (name.ends_with(".json")) {
            const std::string path = cat(directory, "/", name);
            auto text = read_file(path, kFileLimit);
            if (!text) {
                return std::move(text).error();
            }
            fresh.emplace(path, *std::move(text));
        }
    }
    return fresh;
}

Result<std::string> kept_figures(const std::string& path) {
    auto text = read_file(path, kFileLimit);
    if (!text && text.error().errno_code == ENOENT) {
        return std::string();
    }
    return text;
}

Result<std::string> draw(const Plot& plot) {
    const RunOutput output = run({"gnuplot", "--default-settings"}, {.input = plot.script});
    if (output.status == 127) {
        return Error{ENOENT, "gnuplot cannot be run, and draws the plots: install gnuplot (Debian: gnuplot-nox)"};
    }
    if (!output.success() || !output.out.starts_with("<?xml") || output.out.find("</svg>") == std::string::npos) {
        return Error{EINVAL, cat("gnuplot did not draw ", plot.file, ":\n", output.err, plot.script)};
    }
    return output.out;
}

/// FIGURES_DIR as the document names it.
std::string seen_from(const std::string& document, const std::string& directory) {
    namespace fs = std::filesystem;
    return fs::absolute(directory)
        .lexically_normal()
        .lexically_relative(fs::absolute(document).lexically_normal().parent_path())
        .string();
}

/// In the order of the document.
std::vector<Benchmark> ordered(const std::vector<Benchmark>& all, const std::vector<std::string>& marks) {
    std::vector<Benchmark> sorted;
    for (const std::string& mark : marks) {
        const auto found = std::ranges::find(all, mark, &Benchmark::name);
        if (found != all.end()) {
            sorted.push_back(*found);
        }
    }
    return sorted;
}

/// Plots of figures that are measured no more.
Status forget_old_plots(const std::string& directory, const std::vector<Benchmark>& all,
                        const std::map<std::string, std::string>& pictures) {
    const auto names = list_directory(directory);
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
        const bool of_these =
            std::ranges::any_of(all, [&](const Benchmark& one) { return name.starts_with(cat(one.name, "-")); });
        if (of_these && name.ends_with(".svg") && !pictures.contains(name)) {
            if (Status removed = remove_file(cat(directory, "/", name)); !removed) {
                return removed;
            }
        }
    }
    return {};
}

Status write_all(const Paths& paths, const std::string& figures, const std::string& document,
                 const std::map<std::string, std::string>& pictures) {
    Status done = make_directory(paths.figures, 0755);
    for (const auto& [file, svg] : pictures) {
        done = done ? write_file_atomically(cat(paths.figures, "/", file), svg, 0644) : done;
    }
    done = done ? write_file_atomically(cat(paths.figures, "/figures.json"), figures, 0644) : done;
    return done ? write_file_atomically(paths.document, document, 0644) : done;
}

Status report(const Paths& paths, bool quick) {
    const auto fresh = fresh_figures(paths.bench);
    const auto kept = kept_figures(cat(paths.figures, "/figures.json"));
    const auto document = read_file(paths.document, kFileLimit);
    for (const Error* failed :
         {fresh ? nullptr : &fresh.error(), kept ? nullptr : &kept.error(), document ? nullptr : &document.error()}) {
        if (failed != nullptr) {
            return *failed;
        }
    }
    const auto figures = merge_figures(*kept, *fresh);
    if (!figures) {
        return figures.error();
    }
    const auto all = read_figures(*figures);
    const auto marks = marks_of(*document);
    if (!all || !marks) {
        return all ? marks.error() : all.error();
    }
    if (Status refused = refuse_quick(*all); !refused && !quick) {
        return refused;
    }
    std::map<std::string, std::string> sections;
    std::map<std::string, std::string> pictures;
    const std::string directory = seen_from(paths.document, paths.figures);
    for (const Benchmark& one : *all) {
        std::vector<Picture> shown;
        for (const Plot& plot : plots_of(one)) {
            auto svg = draw(plot);
            if (!svg) {
                return std::move(svg).error();
            }
            pictures.insert_or_assign(plot.file, *std::move(svg));
            shown.push_back({cat(directory, "/", plot.file), plot.text});
        }
        sections.emplace(one.name, section_of(one, shown));
    }
    if (std::ranges::find(*marks, kAllTargets) != marks->end()) {
        sections.emplace(kAllTargets, targets_of(ordered(*all, *marks)));
    }
    const auto filled = fill(*document, sections);
    if (!filled) {
        return filled.error().in(paths.document);
    }
    const Status written = write_all(paths, *figures, *filled, pictures);
    return written ? forget_old_plots(paths.figures, *all, pictures) : written;
}

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    const bool quick = std::erase(arguments, "--quick") > 0;
    if (arguments.size() != 3) {
        std::fputs("usage: viscum-bench-report [--quick] BENCH_DIR DOC_MD FIGURES_DIR\n", stderr);
        return 2;
    }
    if (const viscum::Status done = viscum::report({arguments[0], arguments[1], arguments[2]}, quick); !done) {
        std::fprintf(stderr, "viscum-bench-report: %s\n", done.error().what.c_str());
        return 1;
    }
    return 0;
}
