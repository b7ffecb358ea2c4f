// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/watch_frame.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "controller/ctl/paint.h"
#include "controller/ctl/render.h"

namespace viscum {
namespace {

constexpr std::size_t kLeastName = 8;
constexpr std::size_t kMostName = 32;
constexpr std::size_t kFixedLines = 3;  // the head, the columns' names, the keys

struct Cell {
    std::string text;
    Tone tone = Tone::plain;
};

struct Column {
    std::string_view name;
    std::size_t width;
    bool number;
};
// In the order in which they are left out where there is no room, the last one first.
constexpr std::array kColumns{Column{"HEALTH", 9, false}, Column{"LOCAL/s", 7, true}, Column{"CLOUD/s", 7, true},
                              Column{"BYTES/s", 8, true}, Column{"STATE", 9, false},  Column{"PROBE", 8, true}};

std::string pad(const std::string& text, std::size_t columns, bool right, Tone tone, bool colour) {
    const std::string cut = cut_to(text, columns);
    const std::string blanks(columns - std::min(columns, width(cut)), ' ');
    return right ? blanks + paint(cut, tone, colour) : paint(cut, tone, colour) + blanks;
}

struct Sums {
    std::uint64_t flows = 0;
    std::uint64_t cloud = 0;
    std::uint64_t bytes = 0;
};

Sums sums_of(const ServiceReport& service) {
    Sums sums;
    for (const auto& claim : service.claims) {
        sums.flows += claim.flows;
        sums.cloud += claim.flows_cloud;
        sums.bytes += claim.bytes_in + claim.bytes_out;
    }
    return sums;
}

const ServiceReport* find(const std::optional<DaemonReport>& report, const std::string& name) {
    if (!report) {
        return nullptr;
    }
    const auto found = std::ranges::find(report->services, name, &ServiceReport::name);
    return found == report->services.end() ? nullptr : &*found;
}

/// How much it grew in a second; a counter that was set back began anew.
std::optional<std::uint64_t> rate(std::uint64_t before, std::uint64_t now, Millis between) {
    if (between.count() <= 0 || now < before) {
        return std::nullopt;
    }
    const auto ms = static_cast<std::uint64_t>(between.count());
    return ((now - before) * 1000 + ms / 2) / ms;
}

std::string probe_text(std::int64_t us) {
    return us < 0 ? "-" : us < 10'000 ? cat(us / 1000, '.', us % 1000 / 100, " ms") : cat(us / 1000, " ms");
}

Cell cell_of(std::string_view column, const ServiceReport& service, const WatchView& view) {
    const ServiceReport* before = find(view.before, service.name);
    const Sums is = sums_of(service);
    const Sums was = before == nullptr ? is : sums_of(*before);
    const auto count = [](std::optional<std::uint64_t> value) {
        return value ? human_count(*value) : std::string("-");
    };
    const Millis between = before == nullptr ? Millis(0) : view.between;
    if (column == "STATE") {
        return {printable(service.state), tone_of(service.state)};
    }
    if (column == "HEALTH") {
        return {service.drained ? "drained" : printable(service.health),
                service.drained ? Tone::fair : tone_of(service.health)};
    }
    if (column == "LOCAL/s") {
        return {count(rate(was.flows, is.flows, between)), Tone::plain};
    }
    if (column == "CLOUD/s") {
        const auto cloud = rate(was.cloud, is.cloud, between);
        return {count(cloud), cloud.value_or(0) > 0 ? Tone::fair : Tone::plain};
    }
    if (column == "BYTES/s") {
        const auto bytes = rate(was.bytes, is.bytes, between);
        return {bytes ? human_bytes(*bytes) : "-", Tone::plain};
    }
    return {probe_text(service.probe_us), Tone::plain};
}

struct Layout {
    std::size_t name = 0;
    std::size_t columns = kColumns.size();
    std::size_t services = 0;  // lines of them
    std::size_t events = 0;    // lines of them
};

Layout layout_of(const WatchView& view) {
    Layout out;
    std::size_t taken = 0;
    for (const auto& column : kColumns) {
        taken += column.width + 2;
    }
    while (out.columns > 0 && taken + kLeastName > view.columns) {
        taken -= kColumns.at(--out.columns).width + 2;
    }
    out.name = std::min({view.columns - std::min(taken, view.columns), kMostName, view.columns});
    const std::size_t room = view.rows - std::min(view.rows, kFixedLines);
    out.events = std::min(view.events.size(), room / 3);
    out.services = room - out.events - (out.events > 0 ? 1 : 0);
    return out;
}

std::string lease_text(const DaemonReport& report) {
    return report.lease_ms_left < 0    ? "off"
           : report.lease_ms_left == 0 ? "expired"
                                       : human_time(Millis(report.lease_ms_left / 1000 * 1000));
}

std::string head_line(const WatchView& view) {
    if (!view.problem.empty()) {
        return paint(cut_to(printable(view.problem), view.columns), Tone::bad, view.colour);
    }
    if (!view.now) {
        return "";
    }
    const auto served = std::ranges::count(view.now->services, "serve", &ServiceReport::admission);
    return paint(cut_to(cat(printable(view.now->instance), ": ", served, " of ", view.now->services.size(),
                            " served, grade ", printable(view.now->grade), ", lease ", lease_text(*view.now),
                            ", viscumd ", printable(view.now->version)),
                        view.columns),
                 view.now->lease_ms_left == 0 ? Tone::bad : Tone::strong, view.colour);
}

std::string column_line(const WatchView& view, const Layout& layout, const ServiceReport* service) {
    std::string line = service == nullptr ? pad("NAME", layout.name, false, Tone::strong, view.colour)
                                          : pad(printable(service->name), layout.name, false, Tone::plain, view.colour);
    for (std::size_t i = 0; i < layout.columns; ++i) {
        const Column& column = kColumns.at(i);
        const Cell cell =
            service == nullptr ? Cell{std::string(column.name), Tone::strong} : cell_of(column.name, *service, view);
        line += "  " + pad(cell.text, column.width, column.number, cell.tone, view.colour);
    }
    return line;
}

std::string event_text(const Event& event) {
    constexpr std::size_t kClock = 11;  // behind the date
    const std::string times = event.times > 1 ? cat(" (", event.times, " times)") : "";
    return cat(utc_text(event.time_ms).substr(kClock, 8), "  ", event.service.empty() ? "-" : printable(event.service),
               "  ", printable(event.text), times);
}

std::string key_line(const WatchView& view, const Layout& layout) {
    const std::size_t count = view.now ? view.now->services.size() : 0;
    const std::size_t top = watch_top(view);
    const std::size_t last = std::min(count, top + layout.services);
    std::string line = "q quits";
    if (count > layout.services) {
        line += cat("  j k scroll  ", top + 1, "-", last, " of ", count);
    }
    return cut_to(line, view.columns);
}

}  // namespace

std::size_t watch_page(const WatchView& view) {
    return layout_of(view).services;
}

std::size_t watch_top(const WatchView& view) {
    const std::size_t count = view.now ? view.now->services.size() : 0;
    const std::size_t page = watch_page(view);
    return std::min(view.top, count > page ? count - page : 0);
}

std::vector<std::string> watch_lines(const WatchView& view) {
    const Layout layout = layout_of(view);
    std::vector<std::string> lines{head_line(view), column_line(view, layout, nullptr)};
    const std::size_t top = watch_top(view);
    for (std::size_t i = 0; i < layout.services; ++i) {
        const bool there = view.now && top + i < view.now->services.size();
        lines.push_back(there ? column_line(view, layout, &view.now->services[top + i]) : "");
    }
    if (view.now && view.now->services.empty() && layout.services > 0) {
        lines[2] = cut_to("no services", view.columns);
    }
    if (layout.events > 0) {
        lines.push_back(paint(cut_to("EVENTS", view.columns), Tone::strong, view.colour));
        for (std::size_t i = view.events.size() - layout.events; i < view.events.size(); ++i) {
            lines.push_back(cut_to(event_text(view.events[i]), view.columns));
        }
    }
    lines.push_back(key_line(view, layout));
    lines.resize(view.rows);
    return lines;
}

std::string watch_frame(const std::vector<std::string>& lines) {
    std::string out = "\x1b[H";
    // Erased first: behind a full row the cursor still stands on its last column. All rows of the screen are written.
    for (std::size_t i = 0; i < lines.size(); ++i) {
        out += cat(i == 0 ? "" : "\r\n", "\x1b[K", lines[i]);
    }
    return out;
}

std::vector<WatchKey> watch_keys(std::string& typed) {
    constexpr std::array<std::pair<std::string_view, WatchKey>, 17> kKeys{{{"q", WatchKey::quit},
                                                                           {"Q", WatchKey::quit},
                                                                           {"\x03", WatchKey::quit},
                                                                           {"k", WatchKey::up},
                                                                           {"j", WatchKey::down},
                                                                           {"\x1b[A", WatchKey::up},
                                                                           {"\x1bOA", WatchKey::up},
                                                                           {"\x1b[B", WatchKey::down},
                                                                           {"\x1bOB", WatchKey::down},
                                                                           {"\x1b[5~", WatchKey::page_up},
                                                                           {"\x1b[6~", WatchKey::page_down},
                                                                           {" ", WatchKey::page_down},
                                                                           {"b", WatchKey::page_up},
                                                                           {"g", WatchKey::first},
                                                                           {"G", WatchKey::last},
                                                                           {"\x1b[H", WatchKey::first},
                                                                           {"\x1b[F", WatchKey::last}}};
    std::vector<WatchKey> out;
    std::string_view rest = typed;
    while (!rest.empty()) {
        const auto key = std::ranges::find_if(kKeys, [&](const auto& each) { return rest.starts_with(each.first); });
        if (key != kKeys.end()) {
            out.push_back(key->second);
            rest.remove_prefix(key->first.size());
        } else if (std::ranges::any_of(kKeys, [&](const auto& each) { return each.first.starts_with(rest); })) {
            break;
        } else {
            rest.remove_prefix(1);
        }
    }
    typed = std::string(rest);
    return out;
}

}  // namespace viscum
