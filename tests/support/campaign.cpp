// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/campaign.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>
#include <string_view>

#include "base/file.h"
#include "base/text.h"

namespace viscum {
namespace {

std::string variable(const char* name) {
    const char* const value = std::getenv(name);
    return value != nullptr ? value : "";
}

}  // namespace

Effort effort() {
    return variable("VISCUM_FAULTS") == "full" ? Effort::full : Effort::sample;
}

std::uint32_t campaign_seed() {
    static const std::uint32_t seed = [] {
        const auto chosen = parse_decimal(variable("VISCUM_TEST_SEED"), UINT32_MAX);
        return chosen ? static_cast<std::uint32_t>(*chosen) : std::random_device{}();
    }();
    return seed;
}

int soak_seconds(int usual) {
    const auto chosen = parse_decimal(variable("VISCUM_SOAK_SECONDS"), 86'400);
    return chosen ? static_cast<int>(*chosen) : usual;
}

std::vector<std::size_t> draw(std::size_t total, std::size_t count, std::mt19937& dice) {
    std::vector<std::size_t> all(total);
    std::iota(all.begin(), all.end(), 0U);
    std::vector<std::size_t> drawn;
    // Keeps their order.
    std::ranges::sample(all, std::back_inserter(drawn), static_cast<std::ptrdiff_t>(std::min(total, count)), dice);
    return drawn;
}

Status record(const Figures& figures) {
    nlohmann::ordered_json json;
    json["title"] = figures.title;
    json["full"] = effort() == Effort::full;
    json["seed"] = campaign_seed();
    json["repeat"] = figures.repeat;
    json["values"] = nlohmann::ordered_json::array();
    for (const auto& [name, value] : figures.values) {
        json["values"].push_back({name, value});
    }
    const std::string directory = VISCUM_FIGURES_DIR;
    if (auto made = make_directory(directory, 0755); !made) {
        return made;
    }
    return write_file_atomically(cat(directory, '/', figures.part, ".json"), json.dump(2) + "\n", 0644);
}

std::string p50_p99_ms(std::vector<double> milliseconds) {
    if (milliseconds.empty()) {
        return "none";
    }
    std::ranges::sort(milliseconds);
    const auto rank = [&](double share) {
        const auto nth = static_cast<std::size_t>(std::ceil(share * static_cast<double>(milliseconds.size())));
        return milliseconds[std::max<std::size_t>(nth, 1) - 1];
    };
    std::ostringstream text;
    text << std::fixed << std::setprecision(1) << rank(0.5) << " / " << rank(0.99) << " ms";
    return text.str();
}

}  // namespace viscum
