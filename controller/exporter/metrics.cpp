// SPDX-License-Identifier: GPL-2.0-only
#include "controller/exporter/metrics.h"

#include <algorithm>
#include <array>
#include <functional>

#include "base/build_info.h"
#include "base/text.h"

namespace viscum {
namespace {

using enum MetricKind;
using Services = std::vector<ServiceReport>;

constexpr std::uint64_t kMicrosPerMilli = 1'000;
constexpr std::array kGrades{"socket", "classic"};
constexpr std::array kStates{"down", "preparing", "starting", "up", "stopping", "backoff", "failed"};
constexpr std::array kHealths{"healthy", "unhealthy", "unknown"};
constexpr std::array kAdmissions{"serve", "drain", "off"};

std::string seconds_of_millis(std::int64_t millis) {
    return seconds_text(static_cast<std::uint64_t>(std::max<std::int64_t>(0, millis)) * kMicrosPerMilli);
}

/// A number of each service.
void each(MetricsText& out, const Services& services, std::string_view name, MetricKind kind, std::string_view help,
          const std::function<std::uint64_t(const ServiceReport&)>& value) {
    out.family(name, kind, help);
    for (const auto& service : services) {
        out.sample({{"service", service.name}}, value(service));
    }
}

/// One sample for each of `words`: 1 where it is the one.
template <std::size_t N>
void each_word(MetricsText& out, const Services& services, std::string_view name, std::string_view label,
               const std::array<const char*, N>& words, std::string_view help, std::string ServiceReport::*field) {
    out.family(name, gauge, help);
    for (const auto& service : services) {
        for (const auto* word : words) {
            out.sample({{"service", service.name}, {label, word}}, service.*field == word ? 1U : 0U);
        }
    }
}

void each_claim(MetricsText& out, const Services& services, std::string_view name, std::string_view help,
                std::uint64_t ClaimReport::*field) {
    out.family(name, counter, help);
    for (const auto& service : services) {
        for (const auto& claim : service.claims) {
            out.sample({{"service", service.name}, {"claim", claim.claim}}, claim.*field);
        }
    }
}

std::uint64_t bytes_saved(const ServiceReport& service) {
    std::uint64_t sum = 0;
    for (const auto& claim : service.claims) {
        sum += claim.bytes_in + claim.bytes_out;
    }
    return sum;
}

std::uint64_t all_ended(const ServiceReport& service) {
    return !service.claims.empty() && std::ranges::all_of(service.claims, &ClaimReport::ended) ? 1 : 0;
}

void write_exporter(MetricsText& out, const Snapshot& snapshot, const ExporterFigures& exporter) {
    out.family("viscum_up", gauge, "Whether viscumd answers.");
    out.sample({}, snapshot.report ? 1U : 0U);
    out.family("viscum_exporter_build", info, "The exporter's version.");
    out.sample({{"version", kVersion}}, 1U);
    out.family("viscum_exporter_reports", counter, "Reports that were asked of viscumd.");
    out.sample({}, exporter.asked);
    out.family("viscum_exporter_turned_away", counter, "Connections that found or lost no place.");
    out.sample({}, exporter.turned_away);
    out.family("viscum_exporter_streams", gauge, "Status pages that are open.");
    out.sample({}, exporter.streams);
}

void write_daemon(MetricsText& out, const DaemonReport& report) {
    out.family("viscum_build", info, "The version of viscumd, and its instance.");
    out.sample({{"version", report.version}, {"name", report.instance}}, 1U);
    out.family("viscum_daemon_pid", gauge, "The process of viscumd: another number is another start.");
    out.sample({}, static_cast<std::uint64_t>(std::max<std::int64_t>(0, report.pid)));
    out.family("viscum_grade", gauge, "How traffic is directed: 1 for the grade that runs.");
    for (const auto* grade : kGrades) {
        out.sample({{"grade", grade}}, report.grade == grade ? 1U : 0U);
    }
    if (report.lease_ms_left >= 0) {
        out.family("viscum_lease_remaining_seconds", gauge,
                   "Until new flows go to the cloud unless viscumd renews the lease; 0: it has ended.");
        out.sample({}, seconds_of_millis(report.lease_ms_left));
    }
    out.family("viscum_lan_devices", gauge, "LAN devices.");
    out.sample({}, report.lan.size());
    out.family("viscum_lan_devices_attached", gauge, "LAN devices whose packets are looked at.");
    out.sample({}, static_cast<std::uint64_t>(std::ranges::count(report.lan, true, &LanReport::attached)));
    out.family("viscum_packets", counter, "Packets seen on the LAN side, by verdict.");
    for (const auto& count : report.verdicts) {
        out.sample({{"reason", count.reason}}, count.packets);
    }
    out.family("viscum_services", gauge, "Services that are deployed.");
    out.sample({}, report.services.size());
}

void write_states(MetricsText& out, const Services& services) {
    each_word(out, services, "viscum_service_state", "state", kStates, "The service's state: 1 for the one it is in.",
              &ServiceReport::state);
    each_word(out, services, "viscum_service_health", "health", kHealths, "Its health: 1 for the one it has.",
              &ServiceReport::health);
    each_word(
        out, services, "viscum_service_admission", "admission", kAdmissions,
        "What new flows are to get: 1 for serve (here), drain or off (the cloud, or nothing: viscum_service_drops).",
        &ServiceReport::admission);
    each(out, services, "viscum_service_drops", gauge, "Whether what is not served here is dropped (on_failure: drop).",
         [](const auto& service) { return service.drops ? 1U : 0U; });
    each(out, services, "viscum_service_ended", gauge, "Whether all its claims are over (until).", all_ended);
    each(out, services, "viscum_service_drained", gauge, "Whether an operator drains it.",
         [](const auto& service) { return service.drained ? 1U : 0U; });
    each(out, services, "viscum_service_updating", gauge, "Whether the version before finishes its connections.",
         [](const auto& service) { return service.updating ? 1U : 0U; });
    out.family("viscum_service_uptime_seconds", gauge, "Since its process started; 0: none runs.");
    for (const auto& service : services) {
        out.sample({{"service", service.name}}, seconds_of_millis(service.up_ms));
    }
    out.family("viscum_service_probe_seconds", gauge, "Round trip of the last healthy probe.");
    for (const auto& service : services) {
        if (service.probe_us >= 0) {
            out.sample({{"service", service.name}}, seconds_text(static_cast<std::uint64_t>(service.probe_us)));
        }
    }
}

void write_failovers(MetricsText& out, const Services& services) {
    out.family("viscum_service_failover_seconds", histogram,
               "From the first sign that it ended or hangs to the rules that send new flows to the cloud.");
    for (const auto& service : services) {
        for (std::size_t i = 0; i < kFailoverBounds.size(); ++i) {
            const auto count = i < service.failover_buckets.size() ? service.failover_buckets[i].count : 0;
            out.sample({{"service", service.name}, {"le", seconds_text(kFailoverBounds.at(i) * kMicrosPerMilli)}},
                       count, "_bucket");
        }
        out.sample({{"service", service.name}, {"le", "+Inf"}}, service.failovers, "_bucket");
        out.sample({{"service", service.name}}, service.failovers, "_count");
        out.sample({{"service", service.name}}, seconds_text(service.failover_us), "_sum");
    }
    out.family("viscum_service_given_back", counter, "How often its new flows began to go to the cloud, by cause.");
    for (const auto& service : services) {
        for (const auto& count : service.given_back) {
            out.sample({{"service", service.name}, {"reason", count.cause}}, count.times);
        }
    }
}

void write_process(MetricsText& out, const Services& services) {
    each(out, services, "viscum_service_restarts", counter, "Starts of its process after the first.",
         [](const auto& service) { return service.restarts; });
    each(out, services, "viscum_service_memory_bytes", gauge, "Memory in use; 0 where it is not counted.",
         [](const auto& service) { return service.memory_bytes; });
    out.family("viscum_service_cpu_seconds", counter, "Processor time since its process started.");
    for (const auto& service : services) {
        out.sample({{"service", service.name}}, seconds_text(service.cpu_ms * kMicrosPerMilli));
    }
    each(out, services, "viscum_service_processes", gauge, "Processes and threads.",
         [](const auto& service) { return service.pids; });
    each(out, services, "viscum_service_oom_kills", counter, "Processes killed because its memory was used up.",
         [](const auto& service) { return service.oom_kills; });
    each(out, services, "viscum_service_forks_refused", counter, "Processes that it was not given.",
         [](const auto& service) { return service.forks_refused; });
    each(out, services, "viscum_service_log_dropped_bytes", counter, "Output that was not logged.",
         [](const auto& service) { return service.log_dropped; });
    out.family("viscum_service_egress_packets", counter, "Packets of flows that it began, by what became of them.");
    for (const auto& service : services) {
        for (const auto& count : service.egress_counts) {
            out.sample({{"service", service.name}, {"reason", count.reason}}, count.packets);
        }
    }
}

void write_claims(MetricsText& out, const Services& services) {
    each(out, services, "viscum_service_uplink_saved_bytes", counter, "Bytes served here, and so kept off the uplink.",
         bytes_saved);
    each_claim(out, services, "viscum_claim_flows", "Flows served here.", &ClaimReport::flows);
    each_claim(out, services, "viscum_claim_cloud_flows", "New flows given to the cloud.", &ClaimReport::flows_cloud);
    each_claim(out, services, "viscum_claim_received_bytes", "Bytes from clients.", &ClaimReport::bytes_in);
    each_claim(out, services, "viscum_claim_sent_bytes", "Bytes to clients.", &ClaimReport::bytes_out);
    each_claim(out, services, "viscum_claim_received_packets", "Packets from clients.", &ClaimReport::packets_in);
    each_claim(out, services, "viscum_claim_sent_packets", "Packets to clients.", &ClaimReport::packets_out);
    out.family("viscum_claim_cloud_packets", counter, "Packets given to the cloud, or dropped, by reason.");
    for (const auto& service : services) {
        for (const auto& claim : service.claims) {
            for (const auto& count : claim.cloud) {
                out.sample({{"service", service.name}, {"claim", claim.claim}, {"reason", count.reason}},
                           count.packets);
            }
        }
    }
}

}  // namespace

std::string render_metrics(const Snapshot& snapshot, const ExporterFigures& exporter, MetricsFormat format) {
    MetricsText out(format);
    write_exporter(out, snapshot, exporter);
    if (snapshot.report) {
        const auto& services = snapshot.report->services;
        write_daemon(out, *snapshot.report);
        write_states(out, services);
        write_failovers(out, services);
        write_process(out, services);
        write_claims(out, services);
    }
    return std::move(out).text();
}

}  // namespace viscum
