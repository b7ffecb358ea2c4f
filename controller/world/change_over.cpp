// SPDX-License-Identifier: GPL-2.0-only
#include "controller/world/change_over.h"

#include <algorithm>
#include <array>

#include "classic/u32.h"
#include "tcprog/attach.h"

namespace viscum {
namespace {

constexpr std::array kDirections{Direction::ingress, Direction::egress};

}  // namespace

Status change_over(const NlSocket& socket, const Datapath& datapath, std::uint32_t filter_handle) {
    if (datapath.adopted && datapath.carryover.older.empty()) {
        return {};  // a restart
    }
    const auto links = list_links(socket);
    if (!links) {
        return links.error();
    }
    catch_up(datapath.dir, datapath.carryover);
    for (const auto& link : *links) {
        for (const auto direction : kDirections) {
            [[maybe_unused]] const auto renewed = renew_filter(number(link.index), filter_handle, datapath, direction);
        }
    }
    catch_up(datapath.dir, datapath.carryover);
    return {};
}

void retire_earlier(const std::vector<Link>& links, Datapath& datapath, std::uint32_t filter_handle) {
    if (datapath.carryover.older.empty()) {
        return;
    }
    const bool used = std::any_of(links.begin(), links.end(), [&](const Link& link) {
        return std::any_of(kDirections.begin(), kDirections.end(), [&](Direction direction) {
            return may_carry_earlier(number(link.index), filter_handle, datapath, direction);
        });
    });
    if (!used) {
        catch_up(datapath.dir, datapath.carryover);
        [[maybe_unused]] const auto status = retire_pins(datapath.dir, datapath.carryover);
    }
}

void remove_classic(const std::vector<Link>& links, std::string_view instance) {
    const auto socket = NlSocket::open();
    for (const Link& link : socket ? links : std::vector<Link>()) {
        [[maybe_unused]] const auto removed = apply_u32(*socket, link.index, u32_instance(instance), {});
    }
}

}  // namespace viscum
