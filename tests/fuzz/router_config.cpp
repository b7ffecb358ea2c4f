// SPDX-License-Identifier: GPL-2.0-only
// viscum.yaml, and a service that is judged by it.
#include "controller/spec/check.h"
#include "controller/spec/parse.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/places.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

const ServiceSpec& some_service() {
    static const ServiceSpec kService = [] {
        ServiceSpec spec;
        spec.name = "web";
        for (const char* prefix : {"203.0.113.10", "198.51.100.0/28", "2001:db8::10", "0.0.0.0/0", "127.0.0.1"}) {
            spec.intercept.push_back({*IpPrefix::parse(prefix), {443, 443}, Protocol::tcp});
        }
        return spec;
    }();
    return kService;
}

void check_values(const RouterConfig& config) {
    require(!config.lan.empty() && config.lan.size() <= 64, "there are 1 to 64 LAN devices");
    for (const auto& name : config.lan) {
        require(!name.empty() && name.find('/') == std::string::npos && !has_control(name), "a device has a name");
    }
    for (const auto& one : config.claimable) {
        require(IpPrefix::parse(one.prefix.text()) == one.prefix, "a claimable prefix is read back");
        require(one.ports.first >= 1 && one.ports.first <= one.ports.last, "claimable ports are a range");
    }
    require(config.tables.rules > 0 && config.tables.flows > 0 && config.tables.fragments > 0, "tables have room");
    require(config.aliases.v4.address.is_v4() && !config.aliases.v6.address.is_v4(), "aliases are of both families");
    require(!config.lease || config.lease->count() > 0, "a lease lasts");
    // Loopback is claimable nowhere, whatever the file says.
    require(!check_claims(some_service(), config, {}, {}).empty(), "what is never claimable is refused");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = text_of(data, size);
    const auto parsed = parse_router_config(text, "viscum.yaml");
    if (const auto* mistakes = std::get_if<Diagnostics>(&parsed)) {
        check_places(text, *mistakes);
    } else {
        check_values(std::get<RouterConfig>(parsed));
    }
    return 0;
}
