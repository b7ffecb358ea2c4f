// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/leak_network.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <regex>
#include <sstream>

#include "base/text.h"

namespace viscum {
namespace {

std::vector<std::string> words(const std::string& line) {
    std::istringstream stream(line);
    return {std::istream_iterator<std::string>(stream), std::istream_iterator<std::string>()};
}

/// Without what changes by itself: the ids of programs and devices, counters, life times, and how far a link or address
/// has come.
std::string steady(std::string line) {
    static const std::array<std::regex, 6> kChanging = {
        std::regex(" (id|expires|valid_lft|preferred_lft|index|ref|bind|refcnt|state) \\S+"),
        std::regex(" counter packets \\d+ bytes \\d+"),
        std::regex(" (tentative|dadfailed|linkdown|dynamic|jited)"),
        std::regex("NO-CARRIER,|,(LOWER_UP|M-DOWN)"),
        std::regex("@\\S+(?=:)"),
        std::regex("^\\d+: (?=\\S+ +inet)"),
    };
    for (const std::regex& changing : kChanging) {
        line = std::regex_replace(line, changing, "");
    }
    return join(words(line), " ");
}

/// IPv6 makes link-local addresses and their routes by itself, some time after a link came up.
bool comes_by_itself(const std::string& line) {
    return line.find("fe80:") != std::string::npos || line.find("ff00::/8") != std::string::npos ||
           line.find("anycast ") != std::string::npos;
}

class Reader {
public:
    Reader(const Argv& enter, std::string label) : enter_(enter), label_(std::move(label)) {}

    Result<std::vector<std::string>> lines_of(const Argv& command, const std::string& input = "") const {
        Argv argv = enter_;
        argv.insert(argv.end(), command.begin(), command.end());
        auto text = output_of(argv, {.input = input});
        if (!text) {
            return std::move(text).error();
        }
        return split(*text, '\n');
    }

    Status add(const std::string& what, const Argv& command, const std::string& input = "") {
        auto found = lines_of(command, input);
        if (!found) {
            return std::move(found).error();
        }
        for (std::string& line : *found) {
            if (!line.empty() && !comes_by_itself(line)) {
                lines_.push_back(cat(label_, ": ", what, " ", steady(std::move(line))));
            }
        }
        return {};
    }

    Status add_links() {
        auto found = lines_of({"ip", "-o", "link", "show"});
        if (!found) {
            return std::move(found).error();
        }
        for (const std::string& line : *found) {
            const auto parts = words(steady(line));
            if (parts.size() < 5) {
                continue;
            }
            const auto master = std::ranges::find(parts, "master");
            lines_.push_back(cat(label_, ": link ", parts[1], " ", parts[2], " mtu ", parts[4],
                                 master == parts.end() ? "" : " port of " + *(master + 1)));
        }
        return {};
    }

    /// Filters hang on the hooks of clsact and ingress, and are listed device by device.
    Status add_filters() {
        auto qdiscs = lines_of({"tc", "qdisc", "show"});
        if (!qdiscs) {
            return std::move(qdiscs).error();
        }
        std::string input;
        for (const std::string& line : *qdiscs) {
            const auto parts = words(line);
            if (parts.size() < 5) {
                continue;
            }
            lines_.push_back(cat(label_, ": qdisc ", parts[1], " on ", parts[4]));
            if (parts[1] == "clsact" || parts[1] == "ingress") {
                input += cat("filter show dev ", parts[4], " ingress\n");
            }
            if (parts[1] == "clsact") {
                input += cat("filter show dev ", parts[4], " egress\n");
            }
        }
        return input.empty() ? Status() : add("filter", {"tc", "-o", "-batch", "-"}, input);
    }

    std::vector<std::string> take() { return std::move(lines_); }

private:
    Argv enter_;
    std::string label_;
    std::vector<std::string> lines_;
};

}  // namespace

Result<std::vector<std::string>> network_lines(const Argv& enter, const std::string& label) {
    Reader reader(enter, label);
    if (auto added = reader.add_links(); !added) {
        return std::move(added).error();
    }
    const std::string questions = "address show\nroute show table all\nrule show\nneighbour show nud permanent\n";
    if (auto added = reader.add("network", {"ip", "-o", "-batch", "-"}, questions); !added) {
        return std::move(added).error();
    }
    if (auto added = reader.add("rule", {"ip", "-6", "rule", "show"}); !added) {
        return std::move(added).error();
    }
    if (auto added = reader.add_filters(); !added) {
        return std::move(added).error();
    }
    if (auto added = reader.add("nft", {"nft", "--stateless", "list", "ruleset"}); !added) {
        return std::move(added).error();
    }
    return reader.take();
}

}  // namespace viscum
