// SPDX-License-Identifier: GPL-2.0-only
// All about one service.
#include <algorithm>
#include <iterator>

#include "base/text.h"
#include "controller/ctl/paint.h"
#include "controller/ctl/render.h"

namespace viscum {
namespace {

std::vector<std::string> printable_all(const std::vector<std::string>& texts) {
    std::vector<std::string> out;
    std::transform(texts.begin(), texts.end(), std::back_inserter(out),
                   [](const std::string& text) { return printable(text); });
    return out;
}

// "internet, origin" in its parts.
std::vector<std::string> parts_of(const std::string& text) {
    std::vector<std::string> parts;
    for (const auto& part : split(text, ',')) {
        parts.push_back(printable(part.substr(std::min(part.find_first_not_of(' '), part.size()))));
    }
    return parts;
}

// Whom it runs as, and what it is kept from.
std::string render_sandbox(const ServiceReport& service, bool colour) {
    std::string out;
    if (!service.user.empty()) {
        out += fact("user", printable(service.user));
    }
    auto allows = printable_all(service.allows);
    if (!allows.empty()) {
        allows.front() = "opened for " + allows.front();
    }
    out += list_fact("sandbox", allows, "", Tone::fair, colour);
    if (!service.image.empty()) {
        out += fact("image", printable(service.image));
    }
    if (!service.bundle.empty()) {
        out += fact("bundle", printable(service.bundle));
    }
    out += list_fact("limits", printable_all(service.limits));
    return out;
}

// What it has used up, of its limits and of the log.
std::string render_usage(const ServiceReport& service, bool colour) {
    std::vector<std::string> used;
    if (service.memory_bytes != 0) {
        used.push_back(human_bytes(service.memory_bytes) + " of memory");
    }
    if (service.pids != 0) {
        used.push_back(counted(service.pids, "process", "processes"));
    }
    if (service.cpu_ms != 0) {
        used.push_back(human_time(std::chrono::milliseconds(service.cpu_ms)) + " of CPU");
    }
    std::vector<std::string> refused;
    if (service.oom_kills != 0) {
        refused.push_back(
            counted(service.oom_kills, "process killed, out of memory", "processes killed, out of memory"));
    }
    if (service.forks_refused != 0) {
        refused.push_back(counted(service.forks_refused, "fork refused", "forks refused"));
    }
    if (service.log_dropped != 0) {
        refused.push_back(human_bytes(service.log_dropped) + " of output not logged");
    }
    return list_fact("uses", used) + list_fact("exceeded", refused, "", Tone::bad, colour);
}

std::string render_egress(const ServiceReport& service) {
    const std::string counts = counts_fact("", service.egress_counts, " (packets)");
    const bool says = !service.egress.empty() && (service.egress != "none" || !counts.empty());
    return says ? list_fact("egress", parts_of(service.egress)) + counts : counts;
}

std::string remark_on(const ClaimReport& claim) {
    if (claim.flows != 0 || claim.packets_in != 0 || claim.admission != "serve") {
        return "";
    }
    if (claim.flows_cloud != 0 || !claim.cloud.empty()) {
        return "has served nothing: all that came for it went to the cloud";
    }
    return "has served nothing: no client has asked for it on a LAN device";
}

std::string render_claim(const ClaimReport& claim, bool colour) {
    std::string out = cat(paint(printable(claim.claim), Tone::strong, colour), "  ",
                          paint(claim.admission, tone_of(claim.admission), colour), "\n");
    if (!claim.until.empty()) {
        const std::string until = printable(claim.until);
        out += fact("until", claim.ended ? paint(cat(until, " (ended)"), Tone::fair, colour) : until);
    }
    out += fact("flows", cat(human_count(claim.flows), " served, ", human_count(claim.flows_cloud), " to the cloud"));
    if (claim.packets_in != 0 || claim.packets_out != 0) {
        out += fact("traffic",
                    cat(human_bytes(claim.bytes_in), " in (", counted(claim.packets_in, "packet", "packets"), "), ",
                        human_bytes(claim.bytes_out), " out (", counted(claim.packets_out, "packet", "packets"), ")"));
    }
    out += counts_fact("to cloud", claim.cloud, " (packets)");
    if (const auto remark = remark_on(claim); !remark.empty()) {
        out += fact("remark", paint(remark, Tone::fair, colour));
    }
    return out;
}

// "2.3" of tenths.
std::string tenths(std::uint64_t value) {
    return cat(value / 10, '.', value % 10);
}

}  // namespace

std::string render_service(const ServiceReport& service, bool colour) {
    const auto word = [colour](const std::string& text) { return paint(printable(text), tone_of(text), colour); };
    std::string out = cat(paint(printable(service.name), Tone::strong, colour), ": ", word(service.state), ", ",
                          word(service.health), ", admission ", word(service.admission), "\n");
    if (const auto why = why_not(service); !why.empty()) {
        out += fact("why", why);
    }
    if (service.updating) {
        out += fact("updating", "the version before finishes its connections");
    }
    if (service.confirm_ms_left >= 0) {
        out += fact("to confirm",
                    cat("in ", human_time(std::chrono::milliseconds(service.confirm_ms_left)),
                        " this version goes again; viscumctl confirm ", printable(service.name), " keeps it"));
    }
    if (service.drained) {
        out += fact("hint", cat("viscumctl resume ", printable(service.name), " ends the drain"));
    }
    if (service.up_ms > 0) {
        out += fact("up", human_time(std::chrono::milliseconds(service.up_ms)));
    }
    if (service.pid != 0) {
        out += fact("pid", std::to_string(service.pid));
    }
    out += fact("restarts", service.last_exit.empty()
                                ? std::to_string(service.restarts)
                                : cat(service.restarts, "; the last end: ", printable(service.last_exit)));
    out += render_sandbox(service, colour) + render_usage(service, colour) + render_egress(service);
    out += fact("namespace", service.namespace_name.empty() ? "-" : printable(service.namespace_name));
    out += fact("link", service.link.empty() ? "-" : printable(service.link));
    out += fact("file", service.digest.empty() ? "-" : printable(service.digest));
    for (const auto& claim : service.claims) {
        out += "\n" + render_claim(claim, colour);
    }
    return out;
}

std::string render_audit(const AuditReport& audit, bool colour) {
    std::size_t names = 0;
    for (const auto& item : audit.items) {
        names = std::max(names, width(printable(item.name)));
    }
    std::string out;
    for (const auto& item : audit.items) {
        const std::string name = printable(item.name);
        const std::string exposure = item.ok ? "" : tenths(item.exposure);
        out += cat("  ", item.ok ? paint("ok", Tone::good, colour) : paint("!!", Tone::bad, colour), "  ", name,
                   std::string(names - width(name), ' '), "  ",
                   std::string(4 - std::min<std::size_t>(4, exposure.size()), ' '), exposure, "  ",
                   printable(item.text), "\n");
    }
    const Tone tone = audit.word == "OK" ? Tone::good : audit.word == "MEDIUM" ? Tone::fair : Tone::bad;
    out += cat(out.empty() ? "" : "\n", paint(printable(audit.service), Tone::strong, colour), ": exposure ",
               tenths(audit.score), " of 10, ", paint(printable(audit.word), tone, colour), "\n");
    if (!audit.running) {
        out += "It does not run: this is what its file says.\n";
    }
    return out;
}

}  // namespace viscum
