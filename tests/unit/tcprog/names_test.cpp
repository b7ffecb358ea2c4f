// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "tcprog/attach.h"
#include "tcprog/counters.h"

using namespace viscum;

TEST_CASE("counters: every verdict has a name of its own, and a number without meaning has none") {
    std::set<std::string> names;
    for (std::size_t verdict = VS_UNCLAIMED; verdict <= VS_RETURN_OTHER; ++verdict) {
        CAPTURE(verdict);
        const std::string name = verdict_name(verdict);
        CHECK_FALSE(name.empty());
        CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string::npos);
        CHECK(names.insert(name).second);
    }
    CHECK(std::string(verdict_name(VS_RETURN_OTHER + 1)).empty());
    CHECK(std::string(verdict_name(VS_VERDICTS)).empty());
    CHECK(std::string(verdict_name(SIZE_MAX)).empty());
}

TEST_CASE("counters: reasons are the verdicts from no-listener to cloud-flow") {
    CHECK(std::string(reason_name(0)) == "no-listener");
    CHECK(std::string(reason_name(VS_REASONS - 1)) == "cloud-flow");
}

TEST_CASE("counters: a link's reasons are the verdicts from egress-not-allowed to return-unasked") {
    CHECK(std::string(verdict_name(VS_LINK_REASON_FIRST)) == "egress-not-allowed");
    CHECK(std::string(verdict_name(VS_EGRESS_TOO_MANY)) == "egress-too-many");
    CHECK(std::string(verdict_name(VS_LINK_REASON_FIRST + VS_LINK_REASONS - 1)) == "return-unasked");
}

TEST_CASE("attach: an instance's handle is never 0, fits in 16 bits, and is the same at every start") {
    for (const char* name : {"viscum", "a", "b", "lab", "hotspot2"}) {
        const auto handle = filter_handle(name);
        CHECK(handle > 0);
        CHECK(handle <= 0xffff);
        CHECK(handle == filter_handle(name));
    }
    CHECK(filter_handle("viscum") != filter_handle("viscum2"));
}
