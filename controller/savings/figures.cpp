// SPDX-License-Identifier: GPL-2.0-only
#include "controller/savings/figures.h"

#include <algorithm>

#include "base/text.h"

namespace viscum {

std::size_t cloud_reason(std::string_view name) {
    const auto found = std::find(kCloudReasons.begin(), kCloudReasons.end() - 1, name);
    return static_cast<std::size_t>(found - kCloudReasons.begin());
}

void RoundTrips::add(const RoundTrips& other) {
    if (other.count == 0) {
        return;
    }
    least_us = count == 0 ? other.least_us : std::min(least_us, other.least_us);
    count = add_up(count, other.count);
    sum_us = add_up(sum_us, other.sum_us);
}

void DayFigures::add(const DayFigures& other) {
    for (const auto member :
         {&DayFigures::flows, &DayFigures::bytes_in, &DayFigures::bytes_out, &DayFigures::uplink_in,
          &DayFigures::uplink_out, &DayFigures::flows_cloud, &DayFigures::served_ms, &DayFigures::cloud_ms,
          &DayFigures::drained_ms, &DayFigures::failovers, &DayFigures::failover_us, &DayFigures::away_failed}) {
        this->*member = add_up(this->*member, other.*member);
    }
    std::transform(cloud.begin(), cloud.end(), other.cloud.begin(), cloud.begin(), add_up);
    here.add(other.here);
    away.add(other.away);
}

// Both: the days of eras of 400 years, which begin in March (H. Hinnant, chrono-compatible low-level date algorithms).
Day day_of(std::int64_t year, unsigned month, unsigned day) {
    const std::int64_t y = month <= 2 ? year - 1 : year;
    const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
    const std::int64_t of_era = y - era * 400;
    const std::int64_t of_year = (153 * ((static_cast<std::int64_t>(month) + 9) % 12) + 2) / 5 + day - 1;
    return static_cast<Day>(era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468);
}

std::string day_text(Day day) {
    if (day == kUndated) {
        return "";
    }
    const std::int64_t shifted = static_cast<std::int64_t>(day) + 719'468;
    const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146'096) / 146'097;
    const std::int64_t of_era = shifted - era * 146'097;
    const std::int64_t year_of_era = (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
    const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t march = (5 * of_year + 2) / 153;
    const std::int64_t month = march < 10 ? march + 3 : march - 9;
    const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    const auto digits = [](std::int64_t number, std::size_t count) {
        const std::string text = std::to_string(number);
        return std::string(count - std::min(count, text.size()), '0') + text;
    };
    return cat(digits(year, 4), '-', digits(month, 2), '-', digits(of_year - (153 * march + 2) / 5 + 1, 2));
}

void merge(DayRows& rows, const DayRows& more) {
    for (const auto& [key, figures] : more) {
        rows[key].add(figures);
    }
}

void prune(DayRows& rows, Day newest) {
    std::erase_if(rows, [newest](const auto& row) {
        return row.first.second != kUndated && row.first.second <= newest - kDaysKept;
    });
    while (rows.size() > kRowsKept) {
        const auto oldest = std::min_element(
            rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first.second < b.first.second; });
        const Day day = oldest->first.second;
        std::erase_if(rows, [&](const auto& row) {
            return row.first.second == day && (day != newest || rows.size() > kRowsKept);
        });
    }
}

}  // namespace viscum
